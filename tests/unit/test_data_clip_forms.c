/* Clips as people have them: other containers, frames at uneven times, display matrices, gray that isn't quite, damage
 * that still decodes, and files that are no clips. */
#include "unit/clip_fixture.h"

#include <sys/stat.h>

static uint8_t *written(const struct test_avi *a, size_t *len)
{
    char *path = path_of("form.bin");
    test_avi_write(path, a);
    uint8_t *bytes = test_read(path, len);
    free(path);
    return bytes;
}

/* ---- time ------------------------------------------------------------------ */

/* Frames at these times fill these ten places. */
static const int times[] = {0, 1, 2, 5, 6, 9}, shown[10] = {0, 1, 2, 2, 2, 3, 4, 4, 4, 5};

/* An AVI's empty chunks repeat a frame, other containers have times: either way the frames are sampled in time. */
static void uneven_frames_are_sampled_in_time(void **state)
{
    (void)state;
    static const struct {
        const char *container;
        enum AVCodecID codec;
    } forms[] = {{"avi", AV_CODEC_ID_MJPEG},      {"avi", AV_CODEC_ID_MPEG4}, {"matroska", AV_CODEC_ID_MJPEG},
                 {"matroska", AV_CODEC_ID_MPEG4}, {"mov", AV_CODEC_ID_MJPEG}, {"mp4", AV_CODEC_ID_MPEG4},
                 {"asf", AV_CODEC_ID_WMV2}};
    for (size_t f = 0; f < sizeof forms / sizeof *forms; f++)
        for (int decode_all = 0; decode_all < 2; decode_all++) {
            struct test_avi a = {.width = 48,
                                 .height = 48,
                                 .frames = 6,
                                 .codec = forms[f].codec,
                                 .container = forms[f].container,
                                 .times = times,
                                 .step = 30};
            size_t len;
            uint8_t *bytes = written(&a, &len);
            struct result r = read_bytes(bytes, len, decode_all, 10, 48);
            if (r.st != EQ_OK || r.info.decoded_frames != 6 || r.info.timed_frames != 10 || r.info.damaged)
                fail_msg("%s, %d: %s%s, %d frames, %d in time", forms[f].container, forms[f].codec, r.err.msg,
                         r.info.reason, r.info.decoded_frames, r.info.timed_frames);
            for (int i = 0; i < 10; i++) {
                int level = test_avi_level(&a, shown[i]), got = r.pixels[(i * 48 * 48 + 20 * 48 + 20) * 3];
                if (forms[f].codec != AV_CODEC_ID_MJPEG) /* video range */
                    level = (level - 16) * 255 / 219;
                assert_true(abs(got - level) <= 5);
            }
            eq_free(r.pixels);
            eq_free(bytes);
        }
}

/* Clocks of a millisecond round the times of a steady rate: that is no other rate. */
static void rounded_times_are_even(void **state)
{
    (void)state;
    struct eq_clip_times t = {0};
    for (int i = 0; i < 200; i++)
        assert_true(eq_clip_times_add(&t, 7 + i * 1000 / 30));
    assert_true(eq_clip_times_settle(&t, 0, AV_NOPTS_VALUE, 1000));
    assert_true(t.interval == 0 && t.places == 200 && eq_clip_times_frame(&t, 150) == 150);
    t.n = 0; /* half the clip at 50 frames a second, half at 25 */
    for (int i = 0; i < 100; i++)
        assert_true(eq_clip_times_add(&t, i < 60 ? 20 * i : 20 * 60 + 40 * (i - 60)));
    assert_true(eq_clip_times_settle(&t, 0, AV_NOPTS_VALUE, 1000));
    assert_true(t.interval == 20 && t.places == 60 + 2 * 39 + 1);
    assert_int_equal(eq_clip_times_frame(&t, 59), 59);
    assert_int_equal(eq_clip_times_frame(&t, 61), 60);
    assert_int_equal(eq_clip_times_frame(&t, 62), 61);
    assert_int_equal(eq_clip_times_frame(&t, t.places - 1), 99);
    const int64_t odd[][3] = {
        {5, 5, 6}, {9, 8, 7}, {0, AV_NOPTS_VALUE, 2}, {INT64_MIN + 1, 0, INT64_MAX}, {0, 1, 1 << 30}};
    for (size_t k = 0; k < sizeof odd / sizeof *odd; k++) { /* nonsense: numbers */
        t.n = 0;
        for (int i = 0; i < 3; i++)
            assert_true(eq_clip_times_add(&t, odd[k][i]));
        assert_true(eq_clip_times_settle(&t, 0, AV_NOPTS_VALUE, 1000));
        assert_true(t.interval == 0 && t.places == 3 && eq_clip_times_frame(&t, 2) == 2);
    }
    eq_clip_times_clear(&t);
}

/* ---- display matrices -------------------------------------------------------- */

static void put_be32(uint8_t *at, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        at[i] = (uint8_t)(value >> 8 * (3 - i));
}

static void put_matrix(uint8_t *bytes, size_t len, const int m[4], int one)
{
    size_t at = test_avi_find(bytes, len, "tkhd", 0) + 8 + 36;
    assert_true(at + 36 < len);
    const int values[9] = {m[0] * one, m[1] * one, 0, m[2] * one, m[3] * one, 0, 0, 0, 0x40000000};
    for (int i = 0; i < 9; i++)
        put_be32(bytes + at + 4 * i, (uint32_t)values[i]);
}

static void matrices_are_obeyed(void **state)
{
    (void)state;
    enum { N = 40 };
    /* (x, y) is shown at (a x + c y, b x + d y). */
    static const struct {
        int m[4], turned;
        bool mirrored;
    } turns[] = {{{1, 0, 0, 1}, 0, false},    {{0, 1, -1, 0}, 90, false}, {{-1, 0, 0, -1}, 180, false},
                 {{0, -1, 1, 0}, 270, false}, {{-1, 0, 0, 1}, 0, true},   {{0, -1, -1, 0}, 90, true},
                 {{1, 0, 0, -1}, 180, true},  {{0, 1, 1, 0}, 270, true}};
    for (int color = 0; color < 2; color++) {
        struct test_avi a = {
            .width = N, .height = N, .frames = 3, .texture = true, .first_level = 90, .container = "mov"};
        a.cr = color ? 150 : 0;
        size_t len;
        uint8_t *bytes = written(&a, &len);
        struct result plain = read_bytes(bytes, len, false, 2, N);
        assert_int_equal(plain.st, EQ_OK);
        for (size_t k = 0; k < sizeof turns / sizeof *turns; k++) {
            const int *m = turns[k].m;
            put_matrix(bytes, len, m, 65536);
            struct result r = read_bytes(bytes, len, k % 2, 2, N);
            assert_int_equal(r.st, EQ_OK);
            assert_int_equal(r.info.turned, turns[k].turned);
            assert_int_equal(r.info.mirrored, turns[k].mirrored);
            assert_int_equal(r.info.gray, !color);
            for (int i = 0; i < 2 * N * N * 3; i++) {
                int channel = i % 3, x = i / 3 % N, y = i / 3 / N % N, t = i / 3 / N / N;
                int to_x = m[0] * x + m[2] * y, to_y = m[1] * x + m[3] * y;
                to_x = to_x + (m[0] + m[2] < 0 ? N - 1 : 0);
                to_y = to_y + (m[1] + m[3] < 0 ? N - 1 : 0);
                int got = r.pixels[((t * N + to_y) * N + to_x) * 3 + channel];
                if (abs(got - plain.pixels[i]) > (color ? 1 : 0))
                    fail_msg("turn %zu: pixel (%d, %d) is %d, not %d", k, x, y, got, plain.pixels[i]);
            }
            eq_free(r.pixels);
        }
        put_matrix(bytes, len, (const int[]){1, 1, -1, 1}, 46341);
        struct result r = read_bytes(bytes, len, false, 2, N);
        assert_int_equal(r.st, EQ_FORMAT);
        assert_non_null(strstr(r.err.msg, "not a multiple of 90 degrees"));
        eq_free(r.pixels);
        eq_free(plain.pixels);
        eq_free(bytes);
    }
    /* The size that is told is the one that is shown. */
    struct test_avi wide = {.width = 64, .height = 32, .frames = 2, .container = "mov"};
    size_t len;
    uint8_t *bytes = written(&wide, &len);
    put_matrix(bytes, len, turns[1].m, 65536);
    struct result r = read_bytes(bytes, len, false, 2, 32);
    assert_true(r.st == EQ_OK && r.info.width == 32 && r.info.height == 64);
    eq_free(r.pixels);
    eq_free(bytes);
}

/* ---- gray ---------------------------------------------------------------------- */

static struct result read_chroma(enum AVCodecID codec, uint8_t cb, uint8_t cr, int size)
{
    struct test_avi a = {
        .width = 40, .height = 40, .frames = 3, .texture = true, .first_level = 90, .codec = codec, .cb = cb, .cr = cr};
    size_t len;
    uint8_t *bytes = bytes_of(&a, &len);
    struct result r = read_bytes(bytes, len, false, 3, size);
    if (r.st != EQ_OK)
        fail_msg("%s", r.err.msg);
    eq_free(bytes);
    return r;
}

/* OpenCV 4.13 to 5.0 gives gray pictures a chroma of 127. */
static void chroma_next_to_neutral_is_gray(void **state)
{
    (void)state;
    const enum AVCodecID codecs[] = {AV_CODEC_ID_MJPEG, AV_CODEC_ID_RAWVIDEO}; /* full range and video range */
    const uint8_t near[][2] = {{127, 127}, {127, 129}, {129, 128}};
    for (size_t c = 0; c < 2; c++)
        for (int size = 40; size >= 24; size -= 16) {
            struct result neutral = read_chroma(codecs[c], 128, 128, size);
            for (size_t k = 0; k < sizeof near / sizeof *near; k++) {
                struct result r = read_chroma(codecs[c], near[k][0], near[k][1], size);
                assert_true(r.info.gray);
                assert_memory_equal(r.pixels, neutral.pixels, 3 * (size_t)size * (size_t)size * 3);
                eq_free(r.pixels);
            }
            struct result far = read_chroma(codecs[c], 120, 128, size);
            assert_false(far.info.gray);
            eq_free(far.pixels);
            eq_free(neutral.pixels);
        }
}

/* ---- containers ------------------------------------------------------------------ */

/* Read whole with all frames; cut anywhere, either damaged or refused, or with all frames. */
static void containers_are_read_and_cuts_are_seen(void **state)
{
    (void)state;
    static const struct {
        const char *container, *name;
        enum AVCodecID codec;
        enum AVPixelFormat format;
    } forms[] = {{"avi", "AVI", AV_CODEC_ID_MPEG4, 0},
                 {"mp4", "MP4 or MOV", AV_CODEC_ID_MPEG4, 0},
                 {"matroska", "Matroska or WebM", AV_CODEC_ID_MJPEG, 0},
                 {"asf", "Windows Media", AV_CODEC_ID_WMV2, 0},
                 {"mpegts", "MPEG transport stream", AV_CODEC_ID_MPEG2VIDEO, 0},
                 {"vob", "MPEG program stream", AV_CODEC_ID_MPEG2VIDEO, 0},
                 {"gif", "GIF", AV_CODEC_ID_GIF, AV_PIX_FMT_GRAY8}};
    for (size_t f = 0; f < sizeof forms / sizeof *forms; f++) {
        struct test_avi a = {.width = 64,
                             .height = 64,
                             .frames = 16,
                             .texture = true,
                             .codec = forms[f].codec,
                             .format = forms[f].format,
                             .container = forms[f].container};
        size_t len;
        uint8_t *bytes = written(&a, &len);
        struct result r = read_bytes(bytes, len, false, 8, 64);
        if (r.st != EQ_OK || r.info.damaged || r.info.decoded_frames != 16 ||
            strcmp(r.info.container, forms[f].name) != 0)
            fail_msg("%s: %s%s, %d frames, %s", forms[f].container, r.err.msg, r.info.reason, r.info.decoded_frames,
                     r.info.container);
        eq_free(r.pixels);
        int damaged = 0;
        bool blind = strcmp(forms[f].container, "mpegts") == 0; /* its packets have one length, and no end */
        for (size_t cut = len / 20; cut < len; cut += len / 41 + 1) {
            r = read_bytes(bytes, cut, false, 8, 64);
            assert_true(r.st == EQ_OK || r.st == EQ_FORMAT);
            if (r.st == EQ_OK && !r.info.damaged && r.info.decoded_frames < 16 && !(blind && cut % 188 == 0))
                fail_msg("%s cut at %zu of %zu: %d frames without a word", forms[f].container, cut, len,
                         r.info.decoded_frames);
            damaged += r.st == EQ_OK && r.info.damaged;
            eq_free(r.pixels);
        }
        assert_true(damaged > 0 || strcmp(forms[f].container, "mp4") == 0); /* whose index comes last */
        eq_free(bytes);
    }
}

/* What a writer leaves that can't go back: sizes of 0 or all ones, no index, any count. */
static void piped_avis_are_whole(void **state)
{
    (void)state;
    struct test_avi a = {.width = 48, .height = 48, .frames = 12, .texture = true};
    size_t len;
    uint8_t *bytes = bytes_of(&a, &len);
    size_t movi = test_avi_find(bytes, len, "movi", 0), index = test_avi_find(bytes, len, "idx1", 0);
    size_t flags = test_avi_find(bytes, len, "avih", 0) + 8 + 12;
    const uint32_t open_sizes[] = {0, UINT32_MAX};
    for (int k = 0; k < 2; k++) {
        test_put_le32(bytes + 4, open_sizes[k]);
        test_put_le32(bytes + movi - 4, open_sizes[k]);
        test_avi_claim(bytes, len, 1u << 30);
        for (int with_index = 0; with_index < 2; with_index++) {
            struct result r = read_bytes(bytes, with_index ? len : index, false, 12, 48);
            assert_true(r.st == EQ_OK && r.info.decoded_frames == 12);
            assert_int_equal(r.info.damaged, !with_index); /* the header promises an index */
            eq_free(r.pixels);
        }
        uint8_t promised = bytes[flags];
        bytes[flags] &= (uint8_t)~0x10;
        struct result r = read_bytes(bytes, index, false, 12, 48);
        assert_true(r.st == EQ_OK && r.info.decoded_frames == 12 && !r.info.damaged);
        eq_free(r.pixels);
        r = read_bytes(bytes, index - 100, false, 12, 48);
        assert_true(r.st == EQ_OK && r.info.decoded_frames == 11 && r.info.damaged);
        eq_free(r.pixels);
        bytes[flags] = promised;
    }
    eq_free(bytes);
}

/* The chunks of an AVI written anew: without padding, or with empty chunks before, between and after the frames. */
static uint8_t *rewritten(const uint8_t *bytes, size_t len, bool pad, int before, int after, size_t *new_len)
{
    size_t movi = test_avi_find(bytes, len, "movi", 0) + 4, index = test_avi_find(bytes, len, "idx1", 0), at = movi;
    TEST_REQUIRE(movi < index && index < len);
    uint8_t *out = calloc(1, len + 8 * (size_t)(before + after)), *to = out + movi;
    static const uint8_t empty[8] = {'0', '0', 'd', 'c'};
    memcpy(out, bytes, movi);
    for (int i = 0; i < before; i++, to += 8)
        memcpy(to, empty, 8);
    while (at < index) {
        size_t size = bytes[at + 4] | (size_t)bytes[at + 5] << 8;
        memcpy(to, bytes + at, 8 + size);
        to += 8 + size + (pad ? size % 2 : 0);
        at += 8 + size + size % 2;
    }
    for (int i = 0; i < after; i++, to += 8)
        memcpy(to, empty, 8);
    *new_len = (size_t)(to - out);
    test_put_le32(out + 4, (uint32_t)*new_len - 8);
    test_put_le32(out + movi - 8, (uint32_t)(*new_len - movi + 4));
    return out;
}

/* Some writers leave out the byte that makes chunks of odd length even. */
static void avis_without_padding_are_whole(void **state)
{
    (void)state;
    struct test_avi a = {.width = 48, .height = 48, .frames = 20, .texture = true};
    size_t len, bare_len;
    uint8_t *bytes = bytes_of(&a, &len), *bare = rewritten(bytes, len, false, 0, 0, &bare_len);
    assert_true(bare_len < test_avi_find(bytes, len, "idx1", 0)); /* some had padding */
    struct result r = read_bytes(bare, bare_len, false, 12, 48);
    if (r.st != EQ_OK || r.info.decoded_frames != 20 || r.info.damaged)
        fail_msg("%s%s, %d frames", r.err.msg, r.info.reason, r.info.decoded_frames);
    eq_free(r.pixels);
    r = read_bytes(bare, bare_len - 100, false, 12, 48);
    assert_true(r.st == EQ_OK && r.info.damaged);
    eq_free(r.pixels);
    free(bare);
    eq_free(bytes);
}

/* Empty chunks repeat the last frame too; before the first frame there is nothing to repeat. */
static void empty_chunks_at_both_ends(void **state)
{
    (void)state;
    for (int k = 0; k < 4; k++) {
        struct test_avi a = {
            .width = 48, .height = 48, .frames = 6, .step = 30, .codec = k % 2 ? AV_CODEC_ID_MPEG4 : AV_CODEC_ID_MJPEG};
        size_t len, new_len;
        int after = k < 2 ? 6 : 0;
        uint8_t *bytes = bytes_of(&a, &len), *more = rewritten(bytes, len, true, 3, after, &new_len);
        struct result r = read_bytes(more, new_len, false, 12, 48);
        if (r.st != EQ_OK || r.info.decoded_frames != 6 || r.info.timed_frames != 6 + after || r.info.damaged)
            fail_msg("%d: %s%s, %d frames, %d in time", k, r.err.msg, r.info.reason, r.info.decoded_frames,
                     r.info.timed_frames);
        for (int i = 0; after && i < 12; i++) {
            int level = test_avi_level(&a, i < 6 ? i : 5), got = r.pixels[(i * 48 * 48 + 20 * 48 + 20) * 3];
            if (a.codec != AV_CODEC_ID_MJPEG)
                level = (level - 16) * 255 / 219;
            assert_true(abs(got - level) <= 5);
        }
        struct eq_clip_info info;
        struct eq_clip_file file = {.name = "clip.avi", .data = more, .len = new_len};
        assert_int_equal(eq_clip_check_file(&file, EQ_CLIP_CHECK_QUICK, &info, NULL), EQ_OK);
        assert_int_equal(info.timed_frames, 6 + after);
        eq_free(r.pixels);
        free(more);
        eq_free(bytes);
    }
}

/* Phones and upload tools append data of their own to an MP4, which is whole all the same. */
static void what_follows_an_mp4_is_no_cut(void **state)
{
    (void)state;
    static const char *const tails[] = {"hello\n", "SEFHe\0\0\0 of some telephone, longer than a box",
                                        "\0\0\0\0\0\0\0"};
    static const size_t lens[] = {6, 45, 7};
    struct test_avi a = {
        .width = 64, .height = 64, .frames = 16, .texture = true, .codec = AV_CODEC_ID_MPEG4, .container = "mp4"};
    size_t len;
    uint8_t *bytes = written(&a, &len), *more = calloc(1, len + 64);
    for (int k = 0; k < 3; k++) {
        memcpy(more, bytes, len);
        memcpy(more + len, tails[k], lens[k]);
        struct result r = read_bytes(more, len + lens[k], false, 8, 64);
        if (r.st != EQ_OK || r.info.damaged || r.info.decoded_frames != 16)
            fail_msg("%d: %s%s, %d frames", k, r.err.msg, r.info.reason, r.info.decoded_frames);
        eq_free(r.pixels);
    }
    free(more);
    eq_free(bytes);
}

/* Whatever FFmpeg makes of the beginning of a file: that it was cut off is what helps. */
static void the_beginning_of_a_clip_is_called_cut_off(void **state)
{
    (void)state;
    static const struct {
        const char *container;
        enum AVCodecID codec;
    } forms[] = {{"mp4", AV_CODEC_ID_MPEG4},
                 {"mov", AV_CODEC_ID_MJPEG},
                 {"matroska", AV_CODEC_ID_MJPEG},
                 {"avi", AV_CODEC_ID_MJPEG},
                 {"asf", AV_CODEC_ID_WMV2}};
    for (size_t f = 0; f < sizeof forms / sizeof *forms; f++) {
        struct test_avi a = {.width = 64,
                             .height = 64,
                             .frames = 16,
                             .texture = true,
                             .codec = forms[f].codec,
                             .container = forms[f].container};
        size_t len;
        uint8_t *bytes = written(&a, &len);
        for (size_t cut = 64; cut < len; cut += 37) {
            struct result r = read_bytes(bytes, cut, false, 8, 64);
            if (r.st != EQ_OK && !strstr(r.err.msg, "cut off"))
                fail_msg("%s cut at %zu of %zu: %s", forms[f].container, cut, len, r.err.msg);
            eq_free(r.pixels);
        }
        eq_free(bytes);
    }
}

/* ---- damage that decodes ------------------------------------------------------------ */

static void spoilt_data_are_seen(void **state)
{
    (void)state;
    struct test_avi a = {.width = 64, .height = 64, .frames = 9, .texture = true, .first_level = 80};
    size_t len, size;
    uint8_t *bytes = bytes_of(&a, &len), *spoilt = malloc(len);
    struct eq_rng rng;
    eq_rng_init(&rng, 5, EQ_RNG_TEST, 0, 0);
    int seen = 0;
    enum { TRIALS = 60 };
    for (int trial = 0; trial < TRIALS; trial++) {
        memcpy(spoilt, bytes, len);
        size_t at = test_avi_frame(bytes, len, 4, &size), scan = at + size / 2;
        for (int i = 0; i < 16; i++) {
            uint8_t value = (uint8_t)eq_rng_u32(&rng);
            spoilt[scan + i] = value == 0xFF ? 0xFE : value;
        }
        struct eq_clip_file file = {.name = "clip.avi", .data = spoilt, .len = len};
        struct eq_clip_info full, quick;
        assert_int_equal(eq_clip_check_file(&file, EQ_CLIP_CHECK_FULL, &full, NULL), EQ_OK);
        assert_int_equal(eq_clip_check_file(&file, EQ_CLIP_CHECK_QUICK, &quick, NULL), EQ_OK);
        assert_int_equal(quick.damaged, full.damaged); /* it is the middle frame */
        struct result with = read_bytes(spoilt, len, false, 9, 64), without = read_bytes(spoilt, len, false, 2, 64);
        assert_int_equal(with.info.damaged, full.damaged);
        assert_false(without.info.damaged); /* the first and the last frame are good */
        assert_true(!full.damaged || (full.bad_frames == 1 && strstr(full.reason, "1 frame with damaged data")));
        seen += full.damaged;
        eq_free(with.pixels);
        eq_free(without.pixels);
    }
    print_message("%d of %d seen\n", seen, (int)TRIALS);
    assert_true(seen >= TRIALS * 9 / 10);
    free(spoilt);
    eq_free(bytes);
}

/* Every kind of picture that an encoder makes is found intact. */
static void whole_data_are_intact(void **state)
{
    (void)state;
    const enum AVPixelFormat formats[] = {AV_PIX_FMT_YUVJ420P, AV_PIX_FMT_YUVJ422P, AV_PIX_FMT_YUVJ444P};
    for (int f = 0; f < 3; f++)
        for (int width = 33; width < 120; width += 29) {
            struct test_avi a = {.width = width,
                                 .height = 130 - width,
                                 .frames = 6,
                                 .texture = true,
                                 .step = 37,
                                 .format = formats[f],
                                 .cb = 90};
            size_t len;
            uint8_t *bytes = bytes_of(&a, &len);
            struct eq_clip_file file = {.name = "clip.avi", .data = bytes, .len = len};
            struct eq_clip_info info;
            assert_int_equal(eq_clip_check_file(&file, EQ_CLIP_CHECK_FULL, &info, NULL), EQ_OK);
            if (info.damaged)
                fail_msg("%d x %d: %s", a.width, a.height, info.reason);
            eq_free(bytes);
        }
}

/* ---- looks ------------------------------------------------------------------------------ */

static void a_look_tells_the_same(void **state)
{
    (void)state;
    const enum AVCodecID codecs[] = {AV_CODEC_ID_MJPEG, AV_CODEC_ID_MPEG4};
    for (size_t c = 0; c < 2; c++) {
        struct test_avi a = {.width = 64, .height = 40, .frames = 6, .codec = codecs[c], .times = times};
        size_t len;
        uint8_t *bytes = bytes_of(&a, &len);
        struct eq_clip_file file = {.name = "clip.avi", .data = bytes, .len = len};
        for (int claim = 0; claim < 30; claim += 6) {
            test_avi_claim(bytes, len, (uint32_t)claim);
            for (int level = EQ_CLIP_CHECK_QUICK; level <= EQ_CLIP_CHECK_FULL; level++) {
                struct eq_clip_info info;
                assert_int_equal(eq_clip_check_file(&file, (enum eq_clip_level)level, &info, NULL), EQ_OK);
                assert_true(info.decoded_frames == 6 && info.timed_frames == 10 && info.gray && !info.damaged);
                assert_true(info.width == 64 && info.height == 40 && info.header_frames == claim);
            }
        }
        eq_free(bytes);
    }
}

/* ---- no clips ------------------------------------------------------------------------------ */

static void other_files_are_named(void **state)
{
    (void)state;
    static const struct {
        size_t at;
        const char *bytes;
        size_t len;
        const char *said;
    } files[] = {
#define BYTES(text) text, sizeof text - 1
        {0, BYTES("\x89PNG\r\n\x1a\n\0\0\0\rIHDR"), "is a PNG picture"},
        {0, BYTES("\xFF\xD8\xFF\xE0\0\x10JFIF"), "is a JPEG picture"},
        {128, BYTES("DICM\x02\0"), "is a DICOM file"},
        {344, BYTES("n+1\0"), "is a NIfTI file"},
        {0, BYTES("PK\x03\x04\x14\0"), "is a zip archive: unpack it"},
        {0, BYTES("\x1f\x8b\x08\0"), "is a gzip file: unpack it"},
        {0, BYTES("version https://git-lfs.github.com/spec/v1\noid sha256:0\n"), "git lfs pull"},
        {0, BYTES("<!DOCTYPE html>\n<HTML><head>"), "is a web page"},
        {0, BYTES("no video\n"), "is a text file"},
        {0, BYTES("RIFF\x24\0\0\0WAVEfmt "), "is a WAV file: a clip is needed"},
        {0, BYTES("RIFF\x24\0\0\0WEBPVP8X"), "is a WebP picture: convert it"},
        {0, BYTES("RIFF\x24\0\0\0AVI LIST"), "is an AVI without a readable header"},
        {0, BYTES("FLV\x01\x05\0\0\0\x09"), "is a Flash video: convert it: ffmpeg -i IN -c:v mjpeg -q:v 2 OUT.avi"},
        {200, BYTES("\0"), "starts with zeros only"},
        {0, BYTES("\x30\x26\xB2\x75\x8E\x66\xCF\x11\xA6\xD9"), "is a Windows Media file without a readable header"},
        {0,
         BYTES("\0\0\0\x18"
               "ftypisom\0\0\0\0isommp41"),
         "is an MP4 without a readable index"},
    };
    for (size_t k = 0; k < sizeof files / sizeof *files; k++) {
        uint8_t bytes[600] = {0};
        memcpy(bytes + files[k].at, files[k].bytes, files[k].len);
        struct eq_err err = {0};
        struct eq_clip_info info;
        struct eq_clip_file file = {.name = "some.avi", .data = bytes, .len = files[k].at + files[k].len};
        assert_int_equal(eq_clip_check_file(&file, EQ_CLIP_CHECK_QUICK, &info, &err), EQ_FORMAT);
        if (!strstr(err.msg, files[k].said))
            fail_msg("\"%s\" lacks \"%s\"", err.msg, files[k].said);
    }
}

/* Opening a pipe for reading waits for its other end. */
static void pipes_are_refused_at_once(void **state)
{
    (void)state;
    char *path = path_of("pipe.avi");
    struct eq_err err = {0};
    struct eq_clip_info info;
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(eq_clip_check(path, EQ_CLIP_CHECK_QUICK, &info, &err), EQ_IO);
    assert_non_null(strstr(err.msg, "must be a plain file"));
    assert_int_equal(eq_clip_check("/dev/zero", EQ_CLIP_CHECK_QUICK, &info, &err), EQ_IO);
    free(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(uneven_frames_are_sampled_in_time),
        cmocka_unit_test(rounded_times_are_even),
        cmocka_unit_test(matrices_are_obeyed),
        cmocka_unit_test(chroma_next_to_neutral_is_gray),
        cmocka_unit_test(containers_are_read_and_cuts_are_seen),
        cmocka_unit_test(piped_avis_are_whole),
        cmocka_unit_test(avis_without_padding_are_whole),
        cmocka_unit_test(empty_chunks_at_both_ends),
        cmocka_unit_test(what_follows_an_mp4_is_no_cut),
        cmocka_unit_test(the_beginning_of_a_clip_is_called_cut_off),
        cmocka_unit_test(spoilt_data_are_seen),
        cmocka_unit_test(whole_data_are_intact),
        cmocka_unit_test(a_look_tells_the_same),
        cmocka_unit_test(other_files_are_named),
        cmocka_unit_test(pipes_are_refused_at_once),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
