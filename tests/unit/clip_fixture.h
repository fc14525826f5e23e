/* Clips that FFmpeg wrote for a test, read back, with what is to be seen in them. */
#ifndef ECHOQUANT_TESTS_CLIP_FIXTURE_H
#define ECHOQUANT_TESTS_CLIP_FIXTURE_H

#include "avi_file.h"
#include "clip/clip.h"
#include "unit/cmocka_all.h"

static char *dir;

static inline char *path_of(const char *name)
{
    return eq_path_join(dir, name);
}

static inline int make_dir(void **state)
{
    (void)state;
    dir = test_dir_new();
    return eq_parallel_init(3, NULL) == EQ_OK ? 0 : -1;
}

static inline int remove_dir(void **state)
{
    (void)state;
    test_dir_free(dir);
    eq_parallel_shutdown();
    return 0;
}

/* A clip written and read back as bytes; free with eq_free. */
static inline uint8_t *bytes_of(const struct test_avi *a, size_t *len)
{
    char *path = path_of("bytes.avi");
    test_avi_write(path, a);
    uint8_t *bytes = test_read(path, len);
    free(path);
    return bytes;
}

struct result {
    enum eq_status st;
    struct eq_err err;
    struct eq_clip_info info;
    uint8_t *pixels;
};

static inline struct result read_once(const struct eq_clip_file *file, int frames, int size)
{
    struct result r = {0};
    struct eq_sampling sampling = {frames, size, -1.0, 1};
    size_t bytes = eq_sampling_bytes(&sampling);
    r.pixels = eq_alloc(bytes + 64, 1);
    memset(r.pixels + bytes, 0x5A, 64);
    r.st = eq_clip_read_file(file, &sampling, r.pixels, &r.info, &r.err);
    for (size_t i = 0; i < 64; i++)
        assert_int_equal(r.pixels[bytes + i], 0x5A);
    return r;
}

/* Several threads say the same as one. */
static inline struct result read_given(const struct eq_clip_file *file, int frames, int size)
{
    struct eq_clip_file shared = *file;
    struct result r = read_once(file, frames, size);
    shared.helpers = 2;
    for (int i = 0; i < 2; i++) {
        struct result again = read_once(&shared, frames, size);
        assert_int_equal(again.st, r.st);
        assert_string_equal(again.err.msg, r.err.msg);
        if (r.st == EQ_OK) {
            assert_memory_equal(&again.info, &r.info, sizeof r.info);
            assert_memory_equal(again.pixels, r.pixels, (size_t)frames * (size_t)size * (size_t)size * 3);
        }
        eq_free(again.pixels);
    }
    return r;
}

static inline struct result read_bytes(const uint8_t *bytes, size_t len, bool decode_all, int frames, int size)
{
    struct eq_clip_file file = {.name = "clip.avi", .data = bytes, .len = len, .decode_all = decode_all};
    return read_given(&file, frames, size);
}

static inline struct result read_path(const char *path, int frames, int size)
{
    struct eq_clip_file file = {.name = path};
    return read_given(&file, frames, size);
}

/* Slot `slot` shows frame `frame` of the clip (whose levels are test_avi_level's), within the coding's error. */
static inline void check_slot(const struct result *r, const struct test_avi *a, int slot, int frame, int size,
                              int tolerance)
{
    const uint8_t *p = r->pixels + (size_t)slot * (size_t)size * (size_t)size * 3;
    for (int i = 0; i < size * size * 3; i++)
        if (abs(p[i] - test_avi_level(a, frame)) > tolerance)
            fail_msg("slot %d, byte %d is %d, frame %d is %d", slot, i, p[i], frame, test_avi_level(a, frame));
}

#endif
