/*
 * Any bytes as a DICOM file: every frame is read, or refused with a message that names the file, and so is the clip.
 * Pixels are there to the last byte: two reads over different backgrounds agree.
 */
#include "clip/dicom.h"
#include "fuzz.h"

#include <sys/mman.h>
#include <unistd.h>

/* DCMTK takes the memory that a deflated file claims, as far as 4 GiB, before it sees that the bytes are missing. It
 * does not touch it, but AddressSanitizer does. So it is refused more than what the limits below can need. */
const char *__asan_default_options(void)
{
    return FUZZ_SANITIZER_OPTIONS ":max_allocation_size_mb=64";
}

enum { FRAMES = 4, SIZE = 16, PIXELS = FRAMES * SIZE * SIZE * 3, MAX_PIXELS = 64 * 64, MAX_FRAMES = 16 };

static void check_error(enum eq_status st, const struct eq_err *err, const char *name)
{
    require(st == err->status);
    require(st == EQ_OK ||
            (strncmp(err->msg, name, strlen(name)) == 0 && (st == EQ_FORMAT || st == EQ_TOO_LARGE || st == EQ_NOMEM)));
}

static void read_frames(const char *path)
{
    static const struct eq_dicom_limits limits = {MAX_PIXELS, MAX_FRAMES};
    static uint8_t rgb[2][MAX_PIXELS * 3 + 64], background[2][sizeof rgb[0]];
    struct eq_dicom_reader r;
    struct eq_err err = {0};
    enum eq_status st = eq_dicom_reader_open(&r, path, &limits, &err);
    check_error(st, &err, path);
    if (st != EQ_OK)
        return;
    memset(background[0], 0xaa, sizeof background[0]);
    memset(background[1], 0x55, sizeof background[1]);
    const struct eq_dicom_info *info = r.info;
    bool clip = eq_dicom_check_clip(path, info, &err) == EQ_OK;
    size_t bytes = (size_t)info->width * (size_t)info->height * 3;
    require(!clip || (bytes > 0 && bytes <= MAX_PIXELS * 3 && info->frames <= MAX_FRAMES));
    for (int i = 0; clip && i < info->frames; i++) {
        enum eq_status two[2];
        for (int k = 0; k < 2; k++) {
            memcpy(rgb[k], background[k], sizeof rgb[k]);
            err = (struct eq_err){0};
            two[k] = eq_dicom_reader_rgb(&r, i, rgb[k], &err);
            check_error(two[k], &err, path);
            require(memcmp(rgb[k] + bytes, background[k], sizeof rgb[k] - bytes) == 0);
        }
        require(two[0] == two[1] && (two[0] != EQ_OK || memcmp(rgb[0], rgb[1], bytes) == 0));
        int shown = eq_dicom_frame_at(info, i);
        require(shown >= 0 && shown < info->frames);
    }
    eq_dicom_reader_close(&r);
}

static void read_clip(const char *path)
{
    static uint8_t pixels[PIXELS + 64];
    struct eq_err err = {0};
    struct eq_clip_info info = {0};
    struct eq_clip_file file = {.name = path, .max_pixels = MAX_PIXELS, .max_frames = MAX_FRAMES};
    memset(pixels, 0x55, sizeof pixels);
    enum eq_status st = eq_clip_read_file(&file, &(struct eq_sampling){FRAMES, SIZE, -1.0, 1}, pixels, &info, &err);
    check_error(st, &err, path);
    for (size_t i = PIXELS; i < sizeof pixels; i++)
        require(pixels[i] == 0x55);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[64];
    eq_memory_forget(); /* what an earlier input was refused */
    int fd = memfd_create("fuzz_dicom", 0);
    require(fd >= 0 && write(fd, data, size) == (ssize_t)size);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (eq_dicom_built() && eq_dicom_is(path)) {
        read_frames(path);
        read_clip(path);
    }
    close(fd);
    return 0;
}
