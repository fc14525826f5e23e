/* DICOM clips beyond their pixels (golden.test_golden_dicom): the sector, frame times, regions, what is refused. */
#include "unit/scratch_dir.h"
#include "clip/dicom.h"
#include "echoquant/make.h"
#include "dicom_screen.h"

#include <sys/stat.h>

/* The sentence of a build without DICOM, in any build. */
#define eq_dicom_built none_built
#define eq_dicom_open none_open
#define eq_dicom_close none_close
#define eq_dicom_about none_about
#define eq_dicom_frame none_frame
#define eq_dicom_version none_version
bool none_built(void);
enum eq_status none_open(const char *path, const struct eq_dicom_limits *limits, struct eq_dicom **out,
                         struct eq_err *err);
void none_close(struct eq_dicom *d);
const struct eq_dicom_info *none_about(const struct eq_dicom *d);
enum eq_status none_frame(struct eq_dicom *d, int i, const uint8_t **data, size_t *len, struct eq_err *err);
const char *none_version(void);
#include "clip/dicom_none.c"
#undef eq_dicom_built
#undef eq_dicom_open
#undef eq_dicom_close
#undef eq_dicom_about
#undef eq_dicom_frame
#undef eq_dicom_version

static const struct eq_dicom_limits limits = {EQ_CLIP_MAX_PIXELS, EQ_CLIP_MAX_FRAMES};

static char *path_of(const char *name)
{
    return eq_path_join(dir, name);
}

static void open_reader(struct eq_dicom_reader *r, const char *path)
{
    struct eq_err err = {0};
    if (eq_dicom_reader_open(r, path, &limits, &err) != EQ_OK)
        fail_msg("%s", err.msg);
}

/* ---- the sector ---------------------------------------------------------------- */

/* The hull of what moves covers the sector, and neither text nor an ECG. */
static void expect_sector(const struct screen *s, const char *what)
{
    struct eq_dicom_reader r;
    struct eq_err err = {0};
    static struct eq_span rows[HEIGHT];
    char *path = path_of("screen.dcm");
    struct test_dicom file = screen_file(s);
    test_dicom_write(path, &file);
    open_reader(&r, path);
    if (eq_dicom_find_cone(&r, rows, &err) != EQ_OK)
        fail_msg("%s", err.msg);
    int both = 0, either = 0;
    for (int y = 0; y < HEIGHT; y++) {
        for (int x = 0; x < WIDTH; x++) {
            bool found = x >= rows[y].left && x < rows[y].right;
            both += found && s->in_sector[y][x];
            either += found || s->in_sector[y][x];
        }
        assert_true(rows[y].left == rows[y].right || (y >= TOP - 2 && y < TOP + SIDE + 2));
    }
    printf("%s: found and true sector have %d of %d pixels in common\n", what, both, either);
    assert_true(both > 0.93 * either);
    eq_dicom_reader_close(&r);
    free(path);
}

static void need_dicom(void)
{
    if (eq_dicom_built())
        return;
    print_message("this build has no DICOM (ECHOQUANT_DICOM)\n");
    skip();
}

static void the_sector_is_found(void **state)
{
    (void)state;
    need_dicom();
    struct screen s;
    screen_make(&s, 3);
    expect_sector(&s, "plain");
    screen_clear(&s);
}

static void black_blood_does_not_hide_the_tip(void **state)
{
    (void)state;
    need_dicom();
    for (uint32_t patient = 1; patient <= 6; patient++) {
        struct screen s;
        screen_make(&s, patient);
        for (int i = 0; i < FRAMES; i++)
            for (int y = TOP + 70; y < TOP + 100; y++)
                for (int x = LEFT; x < LEFT + SIDE; x++)
                    paint(&s, i, x, y, 0, 0, 0);
        expect_sector(&s, "parted");
        screen_clear(&s);
    }
}

static void color_flow_belongs_to_the_sector(void **state)
{
    (void)state;
    need_dicom();
    struct screen s;
    struct eq_rng rng;
    screen_make(&s, 3);
    eq_rng_init(&rng, 2, EQ_RNG_TEST, 0, 0);
    for (int i = 0; i < FRAMES; i++)
        for (int y = TOP + 60; y < TOP + 130; y++)
            for (int x = LEFT; x < LEFT + SIDE; x++)
                if (s.in_sector[y][x] && eq_rng_below(&rng, 4))
                    paint(&s, i, x, y, 200, (int)eq_rng_below(&rng, 120), 0);
    expect_sector(&s, "color flow");
    screen_clear(&s);
}

/* `predict` and `import` cut alike, and what is outside of the sector is black. */
static void a_clip_is_the_masked_sector(void **state)
{
    (void)state;
    need_dicom();
    enum { SIZE = 112, SAMPLED = 4 };
    struct screen s;
    struct eq_dicom_reader r;
    struct eq_dicom_view v;
    struct eq_clip_info info;
    struct eq_err err = {0};
    static uint8_t clip[SAMPLED * SIZE * SIZE * 3], gray[SIZE * SIZE];
    char *path = path_of("screen.dcm");
    screen_make(&s, 3);
    struct test_dicom file = screen_file(&s);
    test_dicom_write(path, &file);
    if (eq_clip_read(path, &(struct eq_sampling){SAMPLED, SIZE, -1.0, 1}, clip, &info, &err) != EQ_OK)
        fail_msg("%s", err.msg);
    assert_true(info.decoded_frames == FRAMES && info.width == WIDTH && info.height == HEIGHT && info.fps == 50.0);
    open_reader(&r, path);
    assert_int_equal(eq_dicom_view_open(&v, &r, EQ_CROP_CONE, true, SIZE, &err), EQ_OK);
    assert_true(v.square.width == v.square.height && abs(v.square.width - SIDE) < SIDE / 4);
    uint8_t *rgb = eq_alloc((size_t)WIDTH * HEIGHT, 3);
    for (int i = 0; i < SAMPLED; i++) {
        assert_int_equal(eq_dicom_reader_rgb(&r, eq_sample_index(i, SAMPLED, FRAMES), rgb, &err), EQ_OK);
        assert_int_equal(eq_dicom_view_apply(&v, r.info, rgb, gray, &err), EQ_OK);
        size_t lit = 0;
        for (int k = 0; k < SIZE * SIZE; k++) {
            lit += gray[k] > 0;
            for (int c = 0; c < 3; c++)
                assert_int_equal(clip[(i * SIZE * SIZE + k) * 3 + c], gray[k]);
        }
        assert_true(lit > SIZE * SIZE / 4);
        assert_true(gray[0] == 0 && gray[SIZE - 1] == 0 && gray[(SIZE - 1) * SIZE] == 0); /* corners */
    }
    eq_dicom_view_clear(&v);
    eq_dicom_reader_close(&r);
    eq_free(rgb);
    screen_clear(&s);
    free(path);
}

/* ---- tags ------------------------------------------------------------------------ */

static uint8_t dots[6][8][12][3];

static struct test_dicom small_file(void)
{
    return (struct test_dicom){
        .width = 12, .height = 8, .frames = 6, .pixels = &dots[0][0][0][0], .bytes = sizeof dots};
}

static void open_small(struct eq_dicom_reader *r, const struct test_dicom *file)
{
    char *path = path_of("small.dcm");
    test_dicom_write(path, file);
    open_reader(r, path);
    r->name = "small.dcm"; /* outlives the path */
    free(path);
}

static void rate_comes_from_the_tags(void **state)
{
    (void)state;
    need_dicom();
    const struct {
        const char *frame_time, *frame_times, *cine_rate, *display_rate;
        double fps;
        bool varies;
    } cases[] = {
        {NULL, NULL, NULL, NULL, 0.0, false},
        {NULL, NULL, NULL, "25", 25.0, false},
        {NULL, NULL, "40", "25", 40.0, false},
        {"20", NULL, "40", "25", 50.0, false},
        {"0", NULL, "40", NULL, 40.0, false}, /* no time at all is no frame time */
        {"20", "0\\10\\10\\10\\10\\10", NULL, NULL, 100.0, false},
        {"20", "0\\10\\30\\10\\10\\40", NULL, NULL, 50.0, true},
        {"20", "0\\10\\10", NULL, NULL, 50.0, false}, /* a vector for other frames */
        {"20", "0\\10\\-3\\1\\1\\1", NULL, NULL, 50.0, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct eq_dicom_reader r;
        struct test_dicom file = small_file();
        file.frame_time = cases[i].frame_time;
        file.frame_times = cases[i].frame_times;
        file.cine_rate = cases[i].cine_rate;
        file.display_rate = cases[i].display_rate;
        open_small(&r, &file);
        assert_true(r.info->fps == cases[i].fps);
        assert_true((r.info->time_ms != NULL) == cases[i].varies);
        eq_dicom_reader_close(&r);
    }
}

/* Frames at 0, 10, 40, 50, 60, 100 ms; six even moments are 0, 20, 40, ... 100 ms. */
static void moments_are_even_in_time(void **state)
{
    (void)state;
    need_dicom();
    static const int expected[6] = {0, 1, 2, 4, 4, 5}; /* 80 ms is as near to 60 as to 100: the earlier */
    struct eq_dicom_reader r;
    struct test_dicom file = small_file();
    file.frame_times = "0\\10\\30\\10\\10\\40";
    open_small(&r, &file);
    for (int k = 0; k < 6; k++)
        assert_int_equal(eq_dicom_frame_at(r.info, k), expected[k]);
    eq_dicom_reader_close(&r);
}

static void region_comes_from_the_tags(void **state)
{
    (void)state;
    need_dicom();
    struct eq_dicom_reader r;
    struct eq_dicom_view v;
    struct eq_err err = {0};
    struct test_dicom file = small_file();
    open_small(&r, &file);
    assert_int_equal(r.info->region.width, 0);
    assert_int_equal(eq_dicom_view_open(&v, &r, EQ_CROP_REGION, true, 8, &err), EQ_FORMAT);
    assert_non_null(strstr(err.msg, "--crop cone"));
    assert_int_equal(eq_dicom_view_open(&v, &r, EQ_CROP_CONE, true, 8, &err), EQ_FORMAT); /* nothing moves */
    assert_non_null(strstr(err.msg, "no ultrasound sector"));
    eq_dicom_reader_close(&r);
    memcpy(file.region, (int[4]){2, 1, 200, 6}, sizeof file.region); /* reaches over the edge */
    open_small(&r, &file);
    assert_true(r.info->region.x == 2 && r.info->region.y == 1 && r.info->region.width == 10 &&
                r.info->region.height == 6);
    assert_int_equal(eq_dicom_view_open(&v, &r, EQ_CROP_REGION, true, 8, &err), EQ_OK);
    assert_true(v.square.x == 2 && v.square.y == -1 && v.square.width == 10 && v.square.height == 10);
    eq_dicom_view_clear(&v);
    eq_dicom_reader_close(&r);
}

/* ---- what is refused --------------------------------------------------------------- */

static void expect_refused(const struct test_dicom *file, const char *text)
{
    struct eq_clip_info info;
    struct eq_err err = {0};
    char *path = path_of("refused.dcm");
    test_dicom_write(path, file);
    assert_int_equal(eq_clip_check(path, EQ_CLIP_CHECK_QUICK, &info, &err), EQ_FORMAT);
    if (!strstr(err.msg, text) || strncmp(err.msg, path, strlen(path)) != 0)
        fail_msg("\"%s\" lacks \"%s\"", err.msg, text);
    assert_null(strstr(err.msg, "SECRET"));
    free(path);
}

static void other_files_are_refused_by_name(void **state)
{
    (void)state;
    need_dicom();
    struct test_dicom file = small_file();
    file.modality = "CT";
    expect_refused(&file, "not of ultrasound");
    file = small_file();
    file.frames = 1;
    expect_refused(&file, "one frame");
    file = small_file();
    file.frames = 0;
    expect_refused(&file, "without pictures");
    file = small_file();
    file.bits = 16;
    expect_refused(&file, "16 bits");
    file = small_file();
    file.photometric = "HSV";
    expect_refused(&file, "HSV");
    file = small_file();
    file.width = file.height = 20000;
    expect_refused(&file, "larger than");
    file = small_file();
    file.bytes -= 5;
    expect_refused(&file, "cut off");
    file = small_file();
    file.pixels = NULL;
    file.bytes = 0;
    expect_refused(&file, "cut off");
}

/* Frames that the pixels hold count, whatever the tag says; a file is cut off if its pixels end in one. */
static void frames_are_counted_in_the_data(void **state)
{
    (void)state;
    need_dicom();
    static const int claimed[] = {2, 5, 6, 7, 100, 2000000};
    char *path = path_of("count.dcm");
    for (size_t k = 0; k < sizeof claimed / sizeof *claimed; k++) {
        struct test_dicom small = small_file();
        struct eq_clip_info info;
        struct eq_err err = {0};
        small.frames = claimed[k];
        test_dicom_write(path, &small);
        if (eq_clip_check(path, EQ_CLIP_CHECK_FULL, &info, &err) != EQ_OK || info.decoded_frames != 6)
            fail_msg("%d claimed: %s, %d frames", claimed[k], err.msg, info.decoded_frames);
        struct eq_clip_file file = {.name = path, .max_frames = 5};
        assert_int_equal(eq_clip_check_file(&file, EQ_CLIP_CHECK_FULL, &info, &err), EQ_TOO_LARGE);
        assert_non_null(strstr(err.msg, "has 6 frames; 2 to 5 are read"));
        const struct eq_clip_limits all = EQ_CLIP_LIMITS;
        eq_clip_limit(&(struct eq_clip_limits){.megapixels = 5.5e-6 * small.width * small.height, .seconds = 60});
        assert_int_equal(eq_clip_check(path, EQ_CLIP_CHECK_FULL, &info, &err), EQ_TOO_LARGE);
        assert_non_null(strstr(err.msg, "data.max_clip_pixels"));
        eq_clip_limit(&all);
    }
    free(path);
}

/* A file of tests/golden/dicom with other bytes in one place. */
static char *patched(const char *name, const void *from, const void *to, size_t n)
{
    struct eq_str source = {0};
    void *data;
    size_t len;
    eq_str_add(&source, "%s/golden/dicom/%s", TEST_DATA_DIR, name);
    assert_int_equal(eq_read_file(source.s, 1 << 24, &data, &len, NULL), EQ_OK);
    uint8_t *at = memmem(data, len, from, n);
    assert_non_null(at);
    memcpy(at, to, n);
    char *path = path_of(name);
    assert_int_equal(eq_write_file(path, data, len, NULL), EQ_OK);
    eq_free(data);
    eq_str_clear(&source);
    return path;
}

static uint8_t *rgb_of(const char *path, int *frames, size_t *bytes)
{
    struct eq_dicom_reader r;
    struct eq_err err = {0};
    open_reader(&r, path);
    size_t one = 3 * (size_t)r.info->width * (size_t)r.info->height;
    *frames = r.info->frames;
    *bytes = one * (size_t)*frames;
    uint8_t *rgb = malloc(*bytes);
    for (int i = 0; i < *frames; i++)
        if (eq_dicom_reader_rgb(&r, i, rgb + (size_t)i * one, &err) != EQ_OK)
            fail_msg("%s", err.msg);
    eq_dicom_reader_close(&r);
    return rgb;
}

/* Wrong tags beside pixels that tell better: the number of frames, and RGB for a JFIF picture, which is YCbCr. */
static void pictures_speak_for_themselves(void **state)
{
    (void)state;
    need_dicom();
    static const struct {
        const char *name, *from, *to;
        size_t n;
    } tags[] = {
        {"jpeg_444.dcm", "YBR_FULL", "RGB     ", 8},        {"jpeg_420.dcm", "YBR_FULL_422", "RGB         ", 12},
        {"jpeg_pieces.dcm", "IS\2\0003 ", "IS\2\0002 ", 6}, {"jpeg_pieces_table.dcm", "IS\2\0003 ", "IS\2\0009 ", 6},
        {"jpeg_444.dcm", "IS\2\0003 ", "IS\2\0002 ", 6},    {"rle_rgb.dcm", "IS\2\0003 ", "IS\2\0008 ", 6}};
    for (size_t k = 0; k < sizeof tags / sizeof *tags; k++) {
        int frames, other_frames;
        size_t bytes, other_bytes;
        char *same = patched(tags[k].name, tags[k].from, tags[k].from, tags[k].n);
        uint8_t *rgb = rgb_of(same, &frames, &bytes);
        free(same);
        char *wrong = patched(tags[k].name, tags[k].from, tags[k].to, tags[k].n);
        uint8_t *other = rgb_of(wrong, &other_frames, &other_bytes);
        if (frames != other_frames || bytes != other_bytes || memcmp(rgb, other, bytes) != 0)
            fail_msg("%s: %d and %d frames, or other pixels", tags[k].name, frames, other_frames);
        free(wrong);
        free(rgb);
        free(other);
    }
}

/* Bytes after the pixels, as copying by blocks leaves them. A file without its last byte is still cut off. */
static void what_follows_the_pixels_is_no_matter(void **state)
{
    (void)state;
    need_dicom();
    char *path = path_of("tail.dcm");
    struct test_dicom file = small_file();
    struct eq_clip_info info;
    struct eq_err err = {0};
    void *data;
    size_t len;
    test_dicom_write(path, &file);
    assert_int_equal(eq_read_file(path, 1 << 20, &data, &len, NULL), EQ_OK);
    for (size_t tail = 1; tail < 300; tail += 13) {
        uint8_t *more = calloc(1, len + tail);
        memcpy(more, data, len);
        assert_int_equal(eq_write_file(path, more, len + tail, NULL), EQ_OK);
        if (eq_clip_check(path, EQ_CLIP_CHECK_FULL, &info, &err) != EQ_OK || info.decoded_frames != 6)
            fail_msg("%zu more bytes: %s", tail, err.msg);
        free(more);
    }
    eq_free(data);
    free(path);
}

/* A look goes through every frame. */
static void a_damaged_frame_is_seen_by_the_check(void **state)
{
    (void)state;
    need_dicom();
    struct eq_clip_info info;
    struct eq_err err = {0};
    struct eq_str source = {0};
    void *data;
    size_t len, at = 0;
    eq_str_add(&source, "%s/golden/dicom/jpeg_444.dcm", TEST_DATA_DIR);
    assert_int_equal(eq_read_file(source.s, 1 << 24, &data, &len, NULL), EQ_OK);
    uint8_t *bytes = data;
    for (int soi = 0; soi < 2; at++)
        soi += bytes[at] == 0xff && bytes[at + 1] == 0xd8;
    memset(bytes + at + 1, 0, 200); /* of the second picture */
    char *path = path_of("hurt.dcm");
    assert_int_equal(eq_write_file(path, data, len, NULL), EQ_OK);
    assert_int_equal(eq_clip_check(path, EQ_CLIP_CHECK_FULL, &info, &err), EQ_FORMAT);
    assert_non_null(strstr(err.msg, "frame 1 is damaged"));
    eq_free(data);
    eq_str_clear(&source);
    free(path);
}

/* Every length of a file: read or refused, with a message. */
static void cut_files_are_refused(void **state)
{
    (void)state;
    need_dicom();
    char *path = path_of("cut.dcm"), *whole = path_of("whole.dcm");
    struct test_dicom file = small_file();
    struct eq_err err = {0};
    struct eq_clip_info info;
    void *data;
    size_t len;
    test_dicom_write(whole, &file);
    assert_int_equal(eq_read_file(whole, 1 << 20, &data, &len, NULL), EQ_OK);
    for (size_t n = 132; n <= len; n += n < 700 ? 1 : 97) {
        assert_int_equal(eq_write_file(path, data, n, NULL), EQ_OK);
        enum eq_status st = eq_clip_check(path, EQ_CLIP_CHECK_QUICK, &info, &err);
        assert_true(n == len ? st == EQ_OK : st == EQ_FORMAT);
        assert_true(st == EQ_OK || strncmp(err.msg, path, strlen(path)) == 0);
    }
    eq_free(data);
    free(path);
    free(whole);
}

static void dicom_is_known_by_content(void **state)
{
    (void)state;
    char *path = path_of("file"), *pipe = path_of("pipe");
    struct test_dicom file = small_file();
    test_dicom_write(path, &file);
    assert_true(eq_dicom_is(path)); /* whatever it is called */
    assert_int_equal(eq_write_file(path, "RIFF....AVI LIST", 16, NULL), EQ_OK);
    assert_false(eq_dicom_is(path));
    assert_int_equal(eq_write_file(path, "", 0, NULL), EQ_OK);
    assert_false(eq_dicom_is(path));
    assert_false(eq_dicom_is(dir));
    assert_int_equal(mkfifo(pipe, 0600), 0);
    assert_false(eq_dicom_is(pipe)); /* and does not wait for a writer */
    free(path);
    free(pipe);
}

static void a_build_without_dicom_says_so(void **state)
{
    (void)state;
    struct eq_dicom *d;
    struct eq_err err = {0};
    assert_false(none_built());
    assert_int_equal(none_open("clip.dcm", &limits, &d, &err), EQ_UNSUPPORTED);
    assert_null(d);
    assert_non_null(strstr(err.msg, "clip.dcm is a DICOM file, and this echoquant was built without DICOM"));
    assert_non_null(strstr(err.msg, "-DECHOQUANT_DICOM=ON"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_sector_is_found),
        cmocka_unit_test(black_blood_does_not_hide_the_tip),
        cmocka_unit_test(color_flow_belongs_to_the_sector),
        cmocka_unit_test(a_clip_is_the_masked_sector),
        cmocka_unit_test(rate_comes_from_the_tags),
        cmocka_unit_test(moments_are_even_in_time),
        cmocka_unit_test(region_comes_from_the_tags),
        cmocka_unit_test(other_files_are_refused_by_name),
        cmocka_unit_test(frames_are_counted_in_the_data),
        cmocka_unit_test(pictures_speak_for_themselves),
        cmocka_unit_test(what_follows_the_pixels_is_no_matter),
        cmocka_unit_test(a_damaged_frame_is_seen_by_the_check),
        cmocka_unit_test(cut_files_are_refused),
        cmocka_unit_test(dicom_is_known_by_content),
        cmocka_unit_test(a_build_without_dicom_says_so),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
