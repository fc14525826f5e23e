/* Clips with headers that lie, damaged, cut short or none at all: what is still read, and what each kind is told. */
#include "unit/clip_fixture.h"

#include <signal.h>
#include <unistd.h>

/* ---- headers that lie ---------------------------------------------------- */

static void the_count_is_what_decodes(void **state)
{
    (void)state;
    const enum AVCodecID codecs[] = {AV_CODEC_ID_MJPEG, AV_CODEC_ID_MPEG4};
    const int claims[] = {0, 1, 4, 11, 12, 13, 24, 25, 900, 1 << 30, INT32_MAX};
    for (size_t c = 0; c < 2; c++) {
        struct test_avi a = {.width = 48, .height = 48, .frames = 12, .codec = codecs[c], .texture = true};
        size_t len;
        uint8_t *bytes = bytes_of(&a, &len);
        struct result honest = read_bytes(bytes, len, false, 5, 48);
        assert_int_equal(honest.st, EQ_OK);
        for (size_t k = 0; k < sizeof claims / sizeof *claims; k++)
            for (int decode_all = 0; decode_all < 2; decode_all++) {
                test_avi_claim(bytes, len, (uint32_t)claims[k]);
                struct result r = read_bytes(bytes, len, decode_all, 5, 48);
                assert_int_equal(r.st, EQ_OK);
                assert_int_equal(r.info.decoded_frames, 12);
                assert_int_equal(r.info.timed_frames, 12);
                assert_int_equal(r.info.header_frames, claims[k]);
                assert_false(r.info.damaged);
                assert_memory_equal(r.pixels, honest.pixels, 5 * 48 * 48 * 3);
                eq_free(r.pixels);
            }
        eq_free(honest.pixels);
        eq_free(bytes);
    }
}

/* ---- broken files -------------------------------------------------------- */

/* Frames of the clip that lie wholly in its first `cut` bytes. */
static int whole_frames(const uint8_t *bytes, size_t len, int frames, size_t cut)
{
    int n = 0;
    for (size_t size; n < frames; n++) {
        size_t at = test_avi_frame(bytes, len, n, &size);
        if (at + size > cut)
            break;
    }
    return n;
}

/* Cut anywhere: damaged with the frames that are left, which are the first ones, or refused; never silently short. A
 * cut in the index after the frames leaves the clip whole. */
static void cut_files(void **state)
{
    (void)state;
    struct test_avi a = {.width = 64, .height = 64, .frames = 20, .texture = true};
    size_t len;
    uint8_t *bytes = bytes_of(&a, &len);
    int read = 0, refused = 0;
    for (size_t cut = 0; cut < len; cut += cut < 6000 ? 7 : 491) {
        uint8_t *part = malloc(cut ? cut : 1); /* its own block, for the sanitizer to see its end */
        memcpy(part, bytes, cut);
        struct result r = read_bytes(part, cut, false, 8, 64), slow = read_bytes(part, cut, true, 8, 64);
        assert_int_equal(r.st, slow.st);
        if (r.st == EQ_OK) {
            assert_int_equal(r.info.decoded_frames, whole_frames(bytes, len, 20, cut));
            assert_int_equal(r.info.damaged, r.info.decoded_frames < 20);
            assert_true(!r.info.damaged || strstr(r.info.reason, "cut off"));
            assert_int_equal(r.info.decoded_frames, slow.info.decoded_frames);
            assert_memory_equal(r.pixels, slow.pixels, 8 * 64 * 64 * 3);
            read++;
        } else {
            assert_int_equal(r.st, EQ_FORMAT);
            assert_non_null(strstr(r.err.msg, "clip.avi"));
            refused++;
        }
        eq_free(r.pixels);
        eq_free(slow.pixels);
        free(part);
    }
    assert_true(read > 10 && refused > 10);
    eq_free(bytes);
}

/* A packet that is no picture is no frame, and is told of; the frames after it keep their time. */
static void a_frame_that_is_none(void **state)
{
    (void)state;
    struct test_avi a = {.width = 48, .height = 48, .frames = 12};
    size_t len;
    uint8_t *bytes = bytes_of(&a, &len);
    size_t size, sixth = test_avi_frame(bytes, len, 5, &size);
    memset(bytes + sixth, 0x11, size);
    struct result r = read_bytes(bytes, len, false, 11, 48);
    assert_int_equal(r.st, EQ_OK);
    assert_int_equal(r.info.decoded_frames, 11);
    assert_int_equal(r.info.timed_frames, 12);
    assert_true(r.info.damaged && r.info.missing_frames == 1 && r.info.bad_frames == 0);
    assert_non_null(strstr(r.info.reason, "1 packet without a picture"));
    eq_free(r.pixels);
    r = read_bytes(bytes, len, false, 12, 48);
    for (int i = 0; i < 12; i++)
        check_slot(&r, &a, i, i == 5 ? 4 : i, 48, 1);
    eq_free(r.pixels);
    eq_free(bytes);
}

/* Replaces marker by a comment in frame t. */
static void hide_marker(uint8_t *bytes, size_t len, int t, uint8_t marker)
{
    size_t size, at = test_avi_frame(bytes, len, t, &size);
    for (size_t i = at; i + 1 < at + size; i++)
        if (bytes[i] == 0xFF && bytes[i + 1] == marker)
            bytes[i + 1] = 0xFE;
}

static void check_both_ways(const uint8_t *bytes, size_t len, int frames)
{
    struct result fast = read_bytes(bytes, len, false, frames, 48), slow = read_bytes(bytes, len, true, frames, 48);
    assert_int_equal(fast.st, EQ_OK);
    assert_int_equal(slow.st, EQ_OK);
    assert_int_equal(fast.info.decoded_frames, slow.info.decoded_frames);
    assert_memory_equal(fast.pixels, slow.pixels, (size_t)frames * 48 * 48 * 3);
    eq_free(fast.pixels);
    eq_free(slow.pixels);
}

/* Pictures that lean on their neighbors or on the container are read as a decoder that runs through reads them. */
static void frames_that_lean_on_others(void **state)
{
    (void)state;
    const uint8_t markers[] = {0xC4, 0xDB}; /* Huffman, quantization tables */
    struct test_avi a = {.width = 48, .height = 48, .frames = 12, .texture = true, .first_level = 60, .step = 9};
    size_t len;
    for (size_t m = 0; m < 2; m++) {
        uint8_t *bytes = bytes_of(&a, &len);
        hide_marker(bytes, len, 6, markers[m]); /* sampled, while frame 5 isn't */
        check_both_ways(bytes, len, 3);
        for (int t = 0; t < 12; t++)
            hide_marker(bytes, len, t, markers[m]);
        struct result r = read_bytes(bytes, len, false, 3, 48);
        assert_true(r.st == EQ_OK || r.st == EQ_FORMAT);
        eq_free(r.pixels);
        eq_free(bytes);
    }
    /* A container of twice the height makes FFmpeg take pictures for fields. */
    uint8_t *bytes = bytes_of(&a, &len);
    size_t strf = test_avi_find(bytes, len, "strf", 0);
    test_put_le32(bytes + strf + 8 + 8, 96);
    for (int decode_all = 0; decode_all < 2; decode_all++) {
        struct result r = read_bytes(bytes, len, decode_all, 3, 48);
        assert_int_equal(r.st, EQ_OK);
        assert_true(r.info.height == 96 && r.info.decoded_frames == 6);
        eq_free(r.pixels);
    }
    check_both_ways(bytes, len, 3);
    eq_free(bytes);
}

/* The clip with a comment after the first marker of frames first..end-1, and without an index; free it with free. */
static uint8_t *with_comment(const uint8_t *bytes, size_t len, int frames, int first, int end, const char *text,
                             size_t *new_len)
{
    size_t size = strlen(text) + 1, room = 4 + size, movi = test_avi_find(bytes, len, "movi", 0), at = movi + 4, from;
    uint8_t *to = malloc(len + (size_t)frames * room);
    memcpy(to, bytes, at);
    for (int t = 0; t < frames; t++) {
        size_t bytes_of_frame, more = t >= first && t < end ? room : 0;
        from = test_avi_frame(bytes, len, t, &bytes_of_frame);
        memcpy(to + at, "00dc", 4);
        test_put_le32(to + at + 4, (uint32_t)(bytes_of_frame + more));
        memcpy(to + at + 8, bytes + from, 2);
        if (more) {
            memcpy(to + at + 10, (uint8_t[]){0xFF, 0xFE, 0, (uint8_t)(2 + size)}, 4);
            memcpy(to + at + 14, text, size);
        }
        memcpy(to + at + 10 + more, bytes + from + 2, bytes_of_frame - 2 + bytes_of_frame % 2);
        at += 8 + bytes_of_frame + more + bytes_of_frame % 2;
    }
    test_put_le32(to + movi - 4, (uint32_t)(at - movi));
    test_put_le32(to + 4, (uint32_t)(at - 8));
    *new_len = at;
    return to;
}

/* A decoder that has met this comment takes the following pictures for limited range, too. read_bytes compares what one
 * thread reads with what several do, of which only one meets it. */
static void comments_that_decoders_remember(void **state)
{
    (void)state;
    enum { FRAMES = 12, SIDE = 48, BYTES = SIDE * SIDE * 3 };
    struct test_avi a = {.width = SIDE, .height = SIDE, .frames = FRAMES, .texture = true};
    size_t len, new_len;
    uint8_t *bytes = bytes_of(&a, &len);
    struct result plain = read_bytes(bytes, len, false, FRAMES, SIDE);
    assert_int_equal(plain.st, EQ_OK);
    for (int end = 5; end <= FRAMES; end += FRAMES - 5) {
        uint8_t *told = with_comment(bytes, len, FRAMES, 4, end, "CS=ITU601", &new_len);
        struct result r = read_bytes(told, new_len, false, FRAMES, SIDE);
        assert_int_equal(r.st, EQ_OK);
        assert_int_equal(r.info.decoded_frames, FRAMES);
        assert_memory_equal(r.pixels, plain.pixels, 4 * BYTES);
        for (int t = 4; t < FRAMES; t++)
            assert_memory_not_equal(r.pixels + t * BYTES, plain.pixels + t * BYTES, BYTES);
        eq_free(r.pixels);
        free(told);
    }
    eq_free(plain.pixels);
    eq_free(bytes);
}

/* Random damage inside the frames: the two ways still agree on how many frames there are. */
static void damaged_frames(void **state)
{
    (void)state;
    struct test_avi a = {.width = 48, .height = 48, .frames = 8, .texture = true};
    size_t len;
    uint8_t *bytes = bytes_of(&a, &len), *spoilt = malloc(len);
    size_t size, first = test_avi_frame(bytes, len, 0, &size);
    struct eq_rng rng;
    eq_rng_init(&rng, 3, EQ_RNG_TEST, 0, 0);
    int fewer = 0;
    for (int trial = 0; trial < 150; trial++) {
        memcpy(spoilt, bytes, len);
        int hits = 1 + (int)eq_rng_below(&rng, 4);
        for (int k = 0; k < hits; k++)
            spoilt[first + eq_rng_below(&rng, (uint32_t)(len - first - 300))] = (uint8_t)eq_rng_u32(&rng);
        struct result fast = read_bytes(spoilt, len, false, 5, 48), slow = read_bytes(spoilt, len, true, 5, 48);
        assert_int_equal(fast.st, slow.st);
        assert_int_equal(fast.info.decoded_frames, slow.info.decoded_frames);
        assert_memory_equal(fast.pixels, slow.pixels, 5 * 48 * 48 * 3);
        fewer += fast.st == EQ_OK && fast.info.decoded_frames < 8;
        eq_free(fast.pixels);
        eq_free(slow.pixels);
    }
    assert_true(fewer > 0);
    free(spoilt);
    eq_free(bytes);
}

static void refuse_path(const char *path, enum eq_status status, const char *message)
{
    struct result r = read_path(path, 4, 32);
    assert_int_equal(r.st, status);
    if (!strstr(r.err.msg, message) || !strstr(r.err.msg, path))
        fail_msg("the message is \"%s\", without \"%s\" or the file", r.err.msg, message);
    eq_free(r.pixels);
    struct eq_clip_info info;
    assert_int_equal(eq_clip_check(path, EQ_CLIP_CHECK_FULL, &info, NULL), status);
}

static void refuse_text(const char *name, const char *text, const char *message)
{
    char *path = path_of(name);
    test_write(path, text, strlen(text));
    refuse_path(path, EQ_FORMAT, message);
    free(path);
}

static void files_that_are_no_clips(void **state)
{
    (void)state;
    refuse_text("empty.avi", "", "the file is empty");
    refuse_text("text.avi", "FileName,EF\nthis is no video,50\n", "is a text file, not a clip");
    refuse_text("riff.avi",
                "RIFF\x10\x01\x01\x01"
                "AVI LIST",
                "is an AVI without a readable header");
    /* Formats that would make FFmpeg open other files. */
    refuse_text("concat.avi", "ffconcat version 1.0\nfile bytes.avi\n", "is a list of files for FFmpeg");
    refuse_text("hls.avi", "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nbytes.avi\n#EXT-X-ENDLIST\n",
                "is a playlist");
    char *absent = path_of("absent.avi");
    refuse_path(absent, EQ_IO, "No such file");
    free(absent);
    refuse_path(dir, EQ_IO, "is a folder");
    char *audio = path_of("audio.avi");
    test_avi_write_audio(audio);
    refuse_path(audio, EQ_FORMAT, "has no video stream");
    free(audio);
}

static void a_clip_without_frames(void **state)
{
    (void)state;
    struct test_avi a = {.width = 48, .height = 48, .frames = 3};
    size_t len;
    uint8_t *bytes = bytes_of(&a, &len);
    for (int i = 0; i < 3; i++) {
        size_t size, at = test_avi_frame(bytes, len, i, &size);
        memset(bytes + at, 0, size);
    }
    struct result r = read_bytes(bytes, len, false, 4, 48);
    assert_int_equal(r.st, EQ_FORMAT);
    assert_non_null(strstr(r.err.msg, "clip.avi: not one frame can be decoded (codec mjpeg)"));
    eq_free(r.pixels);
    eq_free(bytes);
}

static void limits_are_kept(void **state)
{
    (void)state;
    struct test_avi a = {.width = 64, .height = 48, .frames = 6};
    size_t len;
    uint8_t *bytes = bytes_of(&a, &len);
    struct eq_clip_file file = {.name = "clip.avi", .data = bytes, .len = len, .max_pixels = 64 * 48 - 1};
    struct result r = read_given(&file, 4, 32);
    assert_int_equal(r.st, EQ_TOO_LARGE);
    assert_non_null(strstr(r.err.msg, "frames of 64 x 48 pixels"));
    eq_free(r.pixels);
    for (int decode_all = 0; decode_all < 2; decode_all++) {
        file = (struct eq_clip_file){
            .name = "clip.avi", .data = bytes, .len = len, .max_frames = 5, .decode_all = decode_all};
        r = read_given(&file, 4, 32);
        assert_int_equal(r.st, EQ_TOO_LARGE);
        assert_non_null(strstr(r.err.msg, "more than 5 frames"));
        eq_free(r.pixels);
    }
    struct eq_sampling bad = {0, 32, -1.0, 1};
    uint8_t nothing[1];
    assert_int_equal(eq_clip_read("x.avi", &bad, nothing, NULL, NULL), EQ_USAGE);
    bad = (struct eq_sampling){4, 32, 1.0, 1};
    assert_int_equal(eq_clip_read("x.avi", &bad, nothing, NULL, NULL), EQ_USAGE);
    eq_free(bytes);
}

/* The pixels of all frames together, and time. The limits are those of the process. */
static void limits_of_the_settings(void **state)
{
    (void)state;
    struct test_avi a = {.width = 64, .height = 48, .frames = 6};
    size_t len;
    const struct eq_clip_limits all = EQ_CLIP_LIMITS;
    const double exact = 6 * 64 * 48 * 1e-6;
    struct eq_clip_file file;
    struct result r;
    uint8_t *bytes = bytes_of(&a, &len);
    for (int decode_all = 0; decode_all < 2; decode_all++) {
        struct eq_clip_info info;
        struct eq_err err;
        file = (struct eq_clip_file){.name = "clip.avi", .data = bytes, .len = len, .decode_all = decode_all};
        eq_clip_limit(&(struct eq_clip_limits){.megapixels = exact, .seconds = 60});
        r = read_given(&file, 4, 32);
        assert_int_equal(r.st, EQ_OK);
        eq_free(r.pixels);
        eq_clip_limit(&(struct eq_clip_limits){.megapixels = exact - 1e-6, .seconds = 60});
        r = read_given(&file, 4, 32);
        assert_int_equal(r.st, EQ_TOO_LARGE);
        assert_non_null(strstr(r.err.msg, "clip.avi: more than 0.018431 megapixels in all its frames"));
        assert_non_null(strstr(r.err.msg, "data.max_clip_pixels"));
        eq_free(r.pixels);
        assert_int_equal(eq_clip_check_file(&file, EQ_CLIP_CHECK_FULL, &info, &err), EQ_TOO_LARGE);
        assert_int_equal(eq_clip_check_file(&file, EQ_CLIP_CHECK_QUICK, &info, &err), EQ_TOO_LARGE);
    }
    eq_free(bytes);
    struct test_avi large = {.width = 2048, .height = 2048, .frames = 4}; /* 4 megapixels, for a look at the clock */
    bytes = bytes_of(&large, &len);
    file = (struct eq_clip_file){.name = "clip.avi", .data = bytes, .len = len, .decode_all = true};
    eq_clip_limit(&(struct eq_clip_limits){.megapixels = 1000, .seconds = 1e-6});
    r = read_given(&file, 4, 32);
    assert_int_equal(r.st, EQ_TOO_SLOW);
    assert_non_null(strstr(r.err.msg, "data.clip_seconds"));
    eq_free(r.pixels);
    eq_clip_limit(&all);
    /* After a signal a usual clip is still read to its end. */
    eq_signals_install();
    raise(SIGTERM);
    r = read_given(&file, 4, 32);
    eq_interrupt_reset();
    assert_int_equal(r.st, EQ_OK);
    eq_free(r.pixels);
    eq_free(bytes);
}

static void paths_are_paths(void **state)
{
    (void)state;
    struct test_avi a = {.width = 32, .height = 32, .frames = 4};
    char *plain = path_of("plain.avi");
    test_avi_write(plain, &a);
    const char *const names[] = {"http:x.avi", "with space \xc3\xa4 %20 %d.avi", "a|b.avi"};
    for (size_t i = 0; i < 3; i++) {
        char *path = path_of(names[i]);
        assert_int_equal(rename(plain, path), 0);
        struct result r = read_path(path, 4, 32);
        assert_int_equal(r.st, EQ_OK);
        eq_free(r.pixels);
        assert_int_equal(rename(path, plain), 0);
        free(path);
    }
    char *before = getcwd(NULL, 0); /* a relative path that looks like a protocol */
    assert_int_equal(chdir(dir), 0);
    assert_int_equal(rename(plain, "http:x.avi"), 0);
    struct result r = read_path("http:x.avi", 4, 32);
    assert_int_equal(r.st, EQ_OK);
    eq_free(r.pixels);
    assert_int_equal(chdir(before), 0);
    free(before);
    free(plain);
}

/* ---- the look at a packet ------------------------------------------------ */

static void packets_must_stand_alone(void **state)
{
    (void)state;
    struct test_avi a = {.width = 40, .height = 24, .frames = 1, .texture = true};
    size_t len;
    uint8_t *bytes = bytes_of(&a, &len);
    size_t size;
    const uint8_t *jpeg = bytes + test_avi_frame(bytes, len, 0, &size);
    struct eq_mjpeg_info info;
    assert_true(eq_mjpeg_scan(jpeg, size, &info));
    assert_int_equal(info.width, 40);
    assert_int_equal(info.height, 24);
    assert_true(info.has_huffman);
    uint8_t *copy = malloc(size + 8);
    for (size_t cut = 0; cut < size; cut++) { /* no beginning of a picture is a picture */
        uint8_t *part = malloc(cut ? cut : 1);
        memcpy(part, jpeg, cut);
        bool whole = eq_mjpeg_scan(part, cut, &info);
        free(part);
        while (cut < size && whole && jpeg[cut] == 0) /* but for padding */
            cut++;
        assert_true(!whole || cut == size);
    }
    memcpy(copy, jpeg, size);
    memset(copy + size, 0, 8);
    assert_true(eq_mjpeg_scan(copy, size + 8, &info));
    copy[size + 7] = 1;
    assert_false(eq_mjpeg_scan(copy, size + 8, &info));
    const uint8_t markers[] = {0xDB, 0xC4, 0xC0, 0xDA}; /* without tables, frame header or scan it does not stand */
    for (size_t m = 0; m < sizeof markers; m++) {
        memcpy(copy, jpeg, size);
        for (size_t i = 0; i + 1 < size; i++)
            if (copy[i] == 0xFF && copy[i + 1] == markers[m])
                copy[i + 1] = 0xFE;       /* now a comment */
        bool expect = markers[m] == 0xC4; /* Huffman tables may be the standard's */
        assert_int_equal(eq_mjpeg_scan(copy, size, &info), expect);
        assert_true(!expect || !info.has_huffman);
    }
    free(copy);
    eq_free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_count_is_what_decodes),
        cmocka_unit_test(cut_files),
        cmocka_unit_test(a_frame_that_is_none),
        cmocka_unit_test(frames_that_lean_on_others),
        cmocka_unit_test(comments_that_decoders_remember),
        cmocka_unit_test(damaged_frames),
        cmocka_unit_test(files_that_are_no_clips),
        cmocka_unit_test(a_clip_without_frames),
        cmocka_unit_test(limits_are_kept),
        cmocka_unit_test(limits_of_the_settings),
        cmocka_unit_test(paths_are_paths),
        cmocka_unit_test(packets_must_stand_alone),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
