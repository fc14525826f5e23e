/*
 * Any bytes as a clip: read, or refused with a message that names the file. What is read is there to the last byte, and
 * the two ways of reading (a look at the packets, decoding everything) give the same frames. Two threads say the same
 * as one.
 */
#include "clip/clip.h"
#include "fuzz.h"

enum { FRAMES = 5, SIZE = 24, PIXELS = FRAMES * SIZE * SIZE * 3 };

struct outcome {
    enum eq_status st;
    struct eq_err err;
    struct eq_clip_info info;
    uint8_t pixels[PIXELS + 64];
};
enum way { QUICK, WHOLE, SHARED };

static void read_once(const uint8_t *data, size_t size, enum way way, uint8_t fill, struct outcome *o)
{
    struct eq_clip_file file = {.name = "input",
                                .data = data,
                                .len = size,
                                .max_pixels = 128 * 128,
                                .max_frames = 64,
                                .decode_all = way == WHOLE,
                                .helpers = way == SHARED};
    memset(o, 0, sizeof *o);
    memset(o->pixels, fill, sizeof o->pixels);
    o->st = eq_clip_read_file(&file, &(struct eq_sampling){FRAMES, SIZE, -1.0, 1}, o->pixels, &o->info, &o->err);
    for (size_t i = PIXELS; i < sizeof o->pixels; i++)
        require(o->pixels[i] == fill);
    require(o->st == o->err.status);
    if (o->st != EQ_OK)
        require(strncmp(o->err.msg, "input", 5) == 0 &&
                (o->st == EQ_FORMAT || o->st == EQ_TOO_LARGE || o->st == EQ_IO || o->st == EQ_NOMEM));
    else
        require(o->info.decoded_frames >= 1 && o->info.decoded_frames <= 64 && o->info.width > 0 && o->info.height > 0);
}

/* What can be read can be looked at, in either depth; a reason comes with damage only. */
static void look(const uint8_t *data, size_t size, enum eq_status read)
{
    for (int level = EQ_CLIP_CHECK_QUICK; level <= EQ_CLIP_CHECK_FULL; level++) {
        struct eq_err err = {0};
        struct eq_clip_info info;
        struct eq_clip_file file = {
            .name = "input", .data = data, .len = size, .max_pixels = 128 * 128, .max_frames = 64};
        enum eq_status st = eq_clip_check_file(&file, (enum eq_clip_level)level, &info, &err);
        require(st == err.status && (st == EQ_OK || strncmp(err.msg, "input", 5) == 0));
        require(st != EQ_OK || info.damaged == (info.reason[0] != '\0'));
        require(level == EQ_CLIP_CHECK_QUICK || read != EQ_OK || st == EQ_OK);
    }
}

/* Another way of reading gives the same; `other` is filled over another background in the whole way. */
static void compare(const struct outcome *quick, const struct outcome *other)
{
    require(quick->st == other->st);
    if (quick->st == EQ_OK) {
        require(quick->info.decoded_frames == other->info.decoded_frames && quick->info.gray == other->info.gray);
        require(memcmp(quick->pixels, other->pixels, PIXELS) == 0);
        require(quick->info.timed_frames == other->info.timed_frames);
    }
}

/* A quarter of the sizes is read in all ways, the others in one and another one: opening a file takes longest. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct outcome quick, whole, shared;
    static const uint8_t nothing[1];
    const uint8_t *bytes = size ? data : nothing; /* a file without data is a path */
    const size_t more = size % 4;
    if (eq_parallel_threads() == 1)
        require(eq_parallel_init(2, NULL) == EQ_OK);
    read_once(bytes, size, QUICK, 0x55, &quick);
    if (quick.st != EQ_OK && more) /* most are refused while they are opened, which is the same four times */
        return 0;
    if (more == 0 || more == 1) {
        read_once(bytes, size, WHOLE, 0xAA, &whole);
        compare(&quick, &whole);
    }
    if (more == 0 || more == 2) {
        read_once(bytes, size, SHARED, 0x55, &shared);
        compare(&quick, &shared);
        require(strcmp(quick.err.msg, shared.err.msg) == 0);
        require(memcmp(&quick.info, &shared.info, sizeof quick.info) == 0);
    }
    if (more == 0 || more == 3)
        look(bytes, size, quick.st);
    return 0;
}
