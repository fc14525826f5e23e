/* Frames against other readers of the same files (data_clips.py): PyAV's luma to the bit, OpenCV's RGB within the
 * conversion's freedom. */
#include "unit/cmocka_all.h"
#include "clip/clip.h"

enum { SIZE = 48, SAMPLED = 5, DECODED = 12, PIXELS = SAMPLED * SIZE * SIZE };

static uint8_t pixels[PIXELS * 3];

static void *expected(const char *name, size_t bytes)
{
    struct eq_str path = {0};
    struct eq_err err = {0};
    void *data = NULL;
    size_t len = 0;
    eq_str_add(&path, "%s/golden/clips/%s", TEST_DATA_DIR, name);
    if (eq_read_file(path.s, bytes, &data, &len, &err) != EQ_OK)
        fail_msg("%s", err.msg);
    assert_int_equal(len, bytes);
    eq_str_clear(&path);
    return data;
}

static void read_clip(const char *name, struct eq_clip_info *info)
{
    struct eq_str path = {0};
    struct eq_err err = {0};
    eq_str_add(&path, "%s/golden/clips/%s", TEST_DATA_DIR, name);
    if (eq_clip_read(path.s, &(struct eq_sampling){SAMPLED, SIZE, -1.0, 1}, pixels, info, &err) != EQ_OK)
        fail_msg("%s", err.msg);
    assert_int_equal(info->decoded_frames, DECODED);
    assert_true(info->width == SIZE && info->height == SIZE && info->fps == 50.0);
    eq_str_clear(&path);
}

/* A gray clip as OpenCV writes it: its frames are the decoder's luma, without rounding. */
static void gray_is_the_lumas_bits(void **state)
{
    (void)state;
    struct eq_clip_info info;
    uint8_t *luma = expected("gray_luma_pyav.u8", PIXELS);
    read_clip("gray.avi", &info);
    assert_true(info.gray);
    for (int i = 0; i < PIXELS; i++)
        for (int c = 0; c < 3; c++)
            assert_int_equal(pixels[3 * i + c], luma[i]);
    eq_free(luma);
}

/* What OpenCV writes is counted without decoding: the quick way is for just such files. */
static void opencvs_packets_stand_alone(void **state)
{
    (void)state;
    struct eq_str path = {0};
    eq_str_add(&path, "%s/golden/clips/gray.avi", TEST_DATA_DIR);
    struct eq_clip_file file = {.name = path.s};
    struct eq_clip_reader reader;
    struct eq_mjpeg_info picture;
    int packets = 0;
    assert_int_equal(eq_clip_reader_open(&reader, &file, NULL), EQ_OK);
    for (bool end = false;; packets++) {
        assert_int_equal(eq_clip_reader_packet(&reader, &end, NULL), EQ_OK);
        if (end)
            break;
        assert_true(eq_mjpeg_scan(reader.packet->data, (size_t)reader.packet->size, &picture));
        assert_true(picture.width == SIZE && picture.height == SIZE);
    }
    assert_int_equal(packets, DECODED);
    eq_clip_reader_close(&reader);
    eq_str_clear(&path);
}

/* OpenCV repeats each chroma sample over its 2 x 2 pixels, we interpolate: on smooth color that moves a channel by a
 * few steps. A wrong matrix, range or channel order is off by tens. */
static void color_is_near_opencvs(void **state)
{
    (void)state;
    struct eq_clip_info info;
    uint8_t *rgb = expected("color_rgb_opencv.u8", PIXELS * 3);
    long total = 0;
    int largest = 0;
    read_clip("color.avi", &info);
    assert_false(info.gray);
    for (int i = 0; i < PIXELS * 3; i++) {
        int off = abs(pixels[i] - rgb[i]);
        total += off;
        largest = off > largest ? off : largest;
    }
    print_message("mean difference %.3f, largest %d\n", (double)total / (PIXELS * 3), largest);
    assert_true((double)total / (PIXELS * 3) < 1.0);
    assert_true(largest <= 4);
    eq_free(rgb);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gray_is_the_lumas_bits),
        cmocka_unit_test(opencvs_packets_stand_alone),
        cmocka_unit_test(color_is_near_opencvs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
