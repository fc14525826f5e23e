/* Reading clips that FFmpeg wrote for us: which frames, which pixels, in any thread. */
#include "unit/clip_fixture.h"

#include <libavutil/cpu.h>

#include <pthread.h>

static void samples_the_right_frames(void **state)
{
    (void)state;
    const enum AVCodecID codecs[] = {AV_CODEC_ID_MJPEG, AV_CODEC_ID_MPEG4, AV_CODEC_ID_RAWVIDEO};
    const int asked[] = {1, 2, 5, 16, 40};
    for (size_t c = 0; c < 3; c++) {
        struct test_avi a = {.width = 48, .height = 48, .frames = 23, .codec = codecs[c]};
        if (codecs[c] == AV_CODEC_ID_RAWVIDEO)
            a.format = AV_PIX_FMT_GRAY8;
        size_t len;
        uint8_t *bytes = bytes_of(&a, &len);
        for (size_t k = 0; k < sizeof asked / sizeof *asked; k++) {
            struct result r = read_bytes(bytes, len, false, asked[k], 48);
            assert_int_equal(r.st, EQ_OK);
            assert_int_equal(r.info.decoded_frames, 23);
            assert_int_equal(r.info.header_frames, 23);
            assert_true(r.info.gray);
            assert_true(r.info.fps == 50.0);
            for (int i = 0; i < asked[k] && c != 1; i++)
                check_slot(&r, &a, i, eq_sample_index(i, asked[k], 23), 48, 1);
            eq_free(r.pixels);
        }
        eq_free(bytes);
    }
}

static void phases_choose_other_frames(void **state)
{
    (void)state;
    struct test_avi a = {.width = 32, .height = 32, .frames = 40};
    char *path = path_of("phase.avi");
    test_avi_write(path, &a);
    for (double phase = 0.0; phase < 1.0; phase += 0.24) {
        struct eq_sampling sampling = {8, 32, phase, 1};
        struct result r = {.pixels = eq_alloc(eq_sampling_bytes(&sampling), 1)};
        assert_int_equal(eq_clip_read(path, &sampling, r.pixels, NULL, &r.err), EQ_OK);
        for (int i = 0; i < 8; i++)
            check_slot(&r, &a, i, eq_sample_index_phase(i, 8, 40, phase), 32, 1);
        eq_free(r.pixels);
    }
    free(path);
}

/* Every pixel equals the luma that FFmpeg's decoder gives, when neither size nor color changes. */
static void gray_at_its_own_size_is_untouched(void **state)
{
    (void)state;
    struct test_avi a = {.width = 40, .height = 40, .frames = 6, .texture = true, .first_level = 100};
    size_t len;
    uint8_t *bytes = bytes_of(&a, &len);
    struct eq_clip_file file = {.name = "clip.avi", .data = bytes, .len = len};
    struct result r = read_given(&file, 6, 40);
    assert_int_equal(r.st, EQ_OK);
    assert_true(r.info.gray);
    struct eq_clip_reader reader;
    assert_int_equal(eq_clip_reader_open(&reader, &file, NULL), EQ_OK);
    const uint8_t *p = r.pixels;
    for (int t = 0; t < 6; t++) {
        bool end = false;
        assert_int_equal(eq_clip_reader_packet(&reader, &end, NULL), EQ_OK);
        assert_false(end);
        assert_int_equal(avcodec_send_packet(reader.decoder, reader.packet), 0);
        assert_int_equal(avcodec_receive_frame(reader.decoder, reader.frame), 0);
        for (int y = 0; y < 40; y++)
            for (int x = 0; x < 40; x++, p += 3) {
                int luma = reader.frame->data[0][y * reader.frame->linesize[0] + x];
                assert_true(p[0] == luma && p[1] == luma && p[2] == luma);
            }
    }
    eq_clip_reader_close(&reader);
    eq_free(r.pixels);
    eq_free(bytes);
}

static void color_survives(void **state)
{
    (void)state;
    const enum AVPixelFormat formats[] = {AV_PIX_FMT_YUVJ420P, AV_PIX_FMT_YUVJ422P, AV_PIX_FMT_YUVJ444P};
    const struct {
        int y;
        uint8_t cb, cr, rgb[3];
    } colors[] = {{76, 85, 255, {254, 0, 0}}, {150, 44, 21, {0, 255, 1}}, {120, 90, 170, {179, 103, 53}}};
    for (size_t f = 0; f < 3; f++)
        for (size_t k = 0; k < 3; k++) {
            struct test_avi a = {.width = 33,
                                 .height = 47,
                                 .frames = 3,
                                 .format = formats[f],
                                 .step = 256,
                                 .first_level = colors[k].y,
                                 .cb = colors[k].cb,
                                 .cr = colors[k].cr};
            size_t len;
            uint8_t *bytes = bytes_of(&a, &len);
            for (int size = 24; size <= 60; size += 36) {
                struct result r = read_bytes(bytes, len, false, 2, size);
                assert_int_equal(r.st, EQ_OK);
                assert_false(r.info.gray);
                assert_int_equal(r.info.width, 33);
                assert_int_equal(r.info.height, 47);
                for (int i = 0; i < 2 * size * size * 3; i++)
                    assert_int_in_range(r.pixels[i] + 4, colors[k].rgb[i % 3] + 1, colors[k].rgb[i % 3] + 7);
                eq_free(r.pixels);
            }
            eq_free(bytes);
        }
}

static void any_size_goes(void **state)
{
    (void)state;
    const int sizes[][2] = {{1, 1}, {3, 5}, {16, 16}, {113, 97}, {200, 31}};
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        struct test_avi a = {.width = sizes[k][0], .height = sizes[k][1], .frames = 4};
        if (a.width == 1) /* FFmpeg 4.4.1 and 6.1.1 encode no halved chroma of one pixel */
            a.format = AV_PIX_FMT_YUVJ444P;
        size_t len;
        uint8_t *bytes = bytes_of(&a, &len);
        const int targets[] = {1, 7, 112};
        for (size_t t = 0; t < 3; t++) {
            struct result r = read_bytes(bytes, len, false, 4, targets[t]);
            if (r.st != EQ_OK)
                fail_msg("%d x %d: %s", a.width, a.height, r.err.msg);
            for (int i = 0; i < 4; i++)
                check_slot(&r, &a, i, i, targets[t], 2);
            eq_free(r.pixels);
        }
        eq_free(bytes);
    }
}

/* FFmpeg 5.1 shrinks wrongly (to a quarter of the level) when a context's range is changed after it was made. */
static void strong_shrinking_keeps_the_level(void **state)
{
    (void)state;
    const int widths[] = {500, 700, 1500, 4000};
    for (size_t k = 0; k < sizeof widths / sizeof *widths; k++)
        for (int color = 0; color < 2; color++) {
            struct test_avi a = {
                .width = widths[k], .height = 16, .frames = 2, .first_level = 120, .cr = color ? 129 : 0};
            size_t len;
            uint8_t *bytes = bytes_of(&a, &len);
            struct result r = read_bytes(bytes, len, false, 2, 8);
            assert_int_equal(r.st, EQ_OK);
            check_slot(&r, &a, 0, 0, 8, 1 + 2 * color);
            check_slot(&r, &a, 1, 1, 8, 1 + 2 * color);
            eq_free(r.pixels);
            eq_free(bytes);
        }
}

/* A full range is not taken for a limited one, as swscale does beyond a factor of about 94 with its bilinear filter
 * (findings/swscale_range_lost.sh): that would be {62, 18, 0}. */
static void strong_shrinking_keeps_the_color(void **state)
{
    (void)state;
    static const uint8_t rgb[3] = {71, 31, 8};
    const int widths[] = {900, 2000, 3400, 4096};
    for (size_t k = 0; k < sizeof widths / sizeof *widths; k++) {
        struct test_avi a = {
            .width = widths[k], .height = 16, .frames = 1, .step = 256, .first_level = 40, .cb = 110, .cr = 150};
        size_t len;
        uint8_t *bytes = bytes_of(&a, &len);
        struct result r = read_bytes(bytes, len, false, 1, 32);
        assert_int_equal(r.st, EQ_OK);
        assert_false(r.info.gray);
        for (size_t i = 0; i < 32 * 32 * 3; i++)
            if (abs(r.pixels[i] - rgb[i % 3]) > 4)
                fail_msg("width %d, byte %zu is %d", widths[k], i, r.pixels[i]);
        eq_free(r.pixels);
        eq_free(bytes);
    }
}

/* Looking at packets and decoding everything must be two ways to the same answer. */
static void both_ways_agree(void **state)
{
    (void)state;
    for (int color = 0; color < 2; color++) {
        struct test_avi a = {
            .width = 56, .height = 48, .frames = 30, .texture = true, .first_level = 60, .cr = color ? 150 : 0};
        size_t len;
        uint8_t *bytes = bytes_of(&a, &len);
        for (int frames = 1; frames <= 64; frames += 21) {
            struct result fast = read_bytes(bytes, len, false, frames, 48),
                          slow = read_bytes(bytes, len, true, frames, 48);
            assert_int_equal(fast.st, EQ_OK);
            assert_int_equal(slow.st, EQ_OK);
            assert_memory_equal(fast.pixels, slow.pixels, (size_t)frames * 48 * 48 * 3);
            assert_int_equal(fast.info.decoded_frames, slow.info.decoded_frames);
            assert_int_equal(fast.info.gray, slow.info.gray);
            assert_int_equal(fast.info.gray, !color);
            eq_free(fast.pixels);
            eq_free(slow.pixels);
        }
        eq_free(bytes);
    }
}

/* FFmpeg's SIMD code and its plain C give the same bits with the flags that we set. */
static void the_cpu_makes_no_difference(void **state)
{
    (void)state;
    const enum AVCodecID codecs[] = {AV_CODEC_ID_MJPEG, AV_CODEC_ID_MPEG4};
    const int sizes[] = {64, 48, 101};
    for (size_t c = 0; c < 2; c++)
        for (int color = 0; color < 2; color++) {
            struct test_avi a = {.width = 64,
                                 .height = 64,
                                 .frames = 9,
                                 .codec = codecs[c],
                                 .texture = true,
                                 .first_level = 90,
                                 .cb = color ? 77 : 0,
                                 .cr = color ? 160 : 0};
            size_t len;
            uint8_t *bytes = bytes_of(&a, &len);
            for (size_t k = 0; k < 3; k++) {
                struct result simd = read_bytes(bytes, len, false, 5, sizes[k]);
                av_force_cpu_flags(0);
                struct result plain = read_bytes(bytes, len, false, 5, sizes[k]);
                av_force_cpu_flags(-1);
                assert_int_equal(simd.st, EQ_OK);
                assert_int_equal(plain.st, EQ_OK);
                assert_memory_equal(simd.pixels, plain.pixels, 5 * (size_t)sizes[k] * (size_t)sizes[k] * 3);
                eq_free(simd.pixels);
                eq_free(plain.pixels);
            }
            eq_free(bytes);
        }
}

static void probing_says_the_same(void **state)
{
    (void)state;
    const enum AVCodecID codecs[] = {AV_CODEC_ID_MJPEG, AV_CODEC_ID_MPEG4};
    for (size_t c = 0; c < 2; c++) {
        struct test_avi a = {.width = 64, .height = 40, .frames = 9, .codec = codecs[c]};
        char *path = path_of("probe.avi");
        test_avi_write(path, &a);
        struct eq_clip_info info;
        assert_int_equal(eq_clip_check(path, EQ_CLIP_CHECK_FULL, &info, NULL), EQ_OK);
        assert_int_equal(info.width, 64);
        assert_int_equal(info.height, 40);
        assert_int_equal(info.decoded_frames, 9);
        assert_int_equal(info.header_frames, 9);
        assert_true(info.gray);
        assert_string_equal(info.codec, c ? "mpeg4" : "mjpeg");
        free(path);
    }
}

/* ---- threads ------------------------------------------------------------- */

static void *read_in_thread(void *path)
{
    struct eq_sampling sampling = {8, 40, -1.0, 1};
    size_t bytes = eq_sampling_bytes(&sampling);
    uint8_t *pixels = eq_alloc(bytes, 1);
    uint64_t hash = 0;
    for (int k = 0; k < 5; k++) {
        if (eq_clip_read(path, &sampling, pixels, NULL, NULL) != EQ_OK)
            hash = 1;
        hash ^= eq_hash64(pixels, bytes) * (uint64_t)(2 * k + 1);
    }
    eq_free(pixels);
    return (void *)(uintptr_t)hash;
}

static void threads_read_the_same(void **state)
{
    (void)state;
    struct test_avi a = {.width = 48, .height = 48, .frames = 12, .texture = true, .cb = 100};
    char *path = path_of("threads.avi");
    test_avi_write(path, &a);
    void *alone = read_in_thread(path), *result;
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, read_in_thread, path), 0);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(threads[i], &result), 0);
        assert_ptr_equal(result, alone);
    }
    free(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(samples_the_right_frames),
        cmocka_unit_test(phases_choose_other_frames),
        cmocka_unit_test(gray_at_its_own_size_is_untouched),
        cmocka_unit_test(color_survives),
        cmocka_unit_test(any_size_goes),
        cmocka_unit_test(strong_shrinking_keeps_the_level),
        cmocka_unit_test(strong_shrinking_keeps_the_color),
        cmocka_unit_test(both_ways_agree),
        cmocka_unit_test(the_cpu_makes_no_difference),
        cmocka_unit_test(probing_says_the_same),
        cmocka_unit_test(threads_read_the_same),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
