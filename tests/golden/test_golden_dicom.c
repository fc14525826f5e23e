/* DICOM frames against pydicom's pixels of the same files (data_dicom.py). Without compression, and with RLE, lossless
 * JPEG, JPEG-LS and lossless JPEG 2000, every byte is equal. */
#include "unit/cmocka_all.h"
#include "clip/dicom.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

/* The largest difference that a file may show, and the largest mean of all. */
struct bound {
    const char *prefix;
    int most;
    double mean;
};
/* FFmpeg's and libjpeg's inverse DCT differ by 1 at most; the color of YBR multiplies a step of chroma by up to 1.772.
 * Lossy JPEG 2000 is rounded differently by FFmpeg and OpenJPEG. */
static const struct bound bounds[] = {
    {"jpeg_mono2", 1, 0.05}, {"jpeg_rgb", 1, 0.05}, {"jpeg_", 3, 0.25}, {"j2k_ict", 2, 0.5}, {"", 0, 0.0}};

static const struct bound *bound_of(const char *name)
{
    const struct bound *b = bounds;
    while (strncmp(name, b->prefix, strlen(b->prefix)) != 0)
        b++;
    return b;
}

static void compare(const char *name)
{
    static const struct eq_dicom_limits limits = {EQ_CLIP_MAX_PIXELS, EQ_CLIP_MAX_FRAMES};
    struct eq_dicom_reader r;
    struct eq_err err = {0};
    char *path = eq_format("%s/golden/dicom/%s.dcm", TEST_DATA_DIR, name);
    char *golden = eq_format("%s/golden/dicom/%s.rgb", TEST_DATA_DIR, name);
    void *data = NULL;
    size_t len = 0;
    assert_true(eq_dicom_is(path));
    if (eq_dicom_reader_open(&r, path, &limits, &err) != EQ_OK ||
        eq_read_file(golden, 1 << 20, &data, &len, &err) != EQ_OK)
        fail_msg("%s", err.msg);
    size_t bytes = (size_t)r.info->width * (size_t)r.info->height * 3, total = 0;
    assert_int_equal(len, bytes * (size_t)r.info->frames);
    uint8_t *rgb = eq_alloc(bytes, 1);
    int most = 0;
    for (int k = 0; k < r.info->frames; k++) {
        int i = r.info->frames - 1 - k; /* backwards: frames don't depend on each other */
        const uint8_t *expected = (const uint8_t *)data + (size_t)i * bytes;
        if (eq_dicom_reader_rgb(&r, i, rgb, &err) != EQ_OK)
            fail_msg("%s", err.msg);
        for (size_t j = 0; j < bytes; j++) {
            int d = abs(rgb[j] - expected[j]);
            most = d > most ? d : most;
            total += (size_t)d;
        }
    }
    const struct bound *b = bound_of(name);
    printf("%-24s at most %d, mean %.3f\n", name, most, (double)total / (double)len);
    assert_true(most <= b->most);
    assert_true((double)total / (double)len <= b->mean);
    assert_true(r.info->ultrasound && r.info->fps == 50.0 && !r.info->time_ms);
    eq_dicom_reader_close(&r);
    eq_free(rgb);
    eq_free(data);
    free(path);
    free(golden);
}

static void pixels_are_pydicoms(void **state)
{
    (void)state;
    struct dirent **names;
    int n = scandir(TEST_DATA_DIR "/golden/dicom", &names, NULL, alphasort), compared = 0;
    if (!eq_dicom_built())
        skip();
    for (int i = 0; i < n; i++) {
        char *dot = strrchr(names[i]->d_name, '.');
        if (dot && strcmp(dot, ".dcm") == 0) {
            *dot = '\0';
            compare(names[i]->d_name);
            compared++;
        }
        free(names[i]);
    }
    free(names);
    assert_true(compared >= 35);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pixels_are_pydicoms),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
