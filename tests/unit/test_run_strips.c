/* Film strips: which clips, the very frames, and what becomes of them without the data folder. */
#include "run_fixture.h"

#include "echoquant/make.h"
#include "report/report.h"
#include "rundir/rundir.h"

#include <libavcodec/avcodec.h>

enum { TEST = 7, FRAMES = 10, SIZE = 112 };
static struct eq_dataset ds;
static char data_dir[96];

/* What the models predict is the true EF and these errors. */
static const double fp32_error[TEST] = {1, -9, 3, 0.5, 4, -2, 6}, moved[TEST] = {0.1, 0.1, -2, 0.1, 1.5, 0, 0.25};

static void put_model(const char *name, bool int8)
{
    struct eq_str text = {0};
    char path[96];
    int test = 0;
    eq_str_add(&text, "FileName,Split,EF,Prediction\n");
    for (size_t i = 0; i < ds.n; i++)
        if (ds.samples[i].split == EQ_SPLIT_TEST) {
            double ef = ds.samples[i].ef + fp32_error[test] + (int8 ? moved[test] : 0);
            eq_str_add(&text, "%s,TEST,%.9g,%.9g\n", ds.samples[i].file_name, ds.samples[i].ef, ef);
            test++;
        }
    assert_int_equal(test, TEST);
    snprintf(path, sizeof path, "predictions/%s.csv", name);
    write_file(path, text.s);
    eq_str_clear(&text);
}

static const char *test_clip(int number)
{
    for (size_t i = 0; i < ds.n; i++)
        if (ds.samples[i].split == EQ_SPLIT_TEST && number-- == 0)
            return ds.samples[i].file_name;
    fail();
    return NULL;
}

static void put_config(int strips)
{
    struct eq_str text = {0};
    eq_str_add(&text,
               "{\"data\": {\"dir\": \"%s\", \"frames\": %d}, \"report\": {\"strips\": %d, \"replicates\": 100}}\n",
               data_dir, FRAMES, strips);
    write_file("config.json", text.s);
    eq_str_clear(&text);
}

static int set_up_run(void **state)
{
    struct eq_synth_opts opts = EQ_SYNTH_DEFAULTS;
    struct eq_err err;
    struct eq_results r;
    char digest[EQ_SHA256_TEXT];
    if (set_up(state) != 0)
        return -1;
    snprintf(data_dir, sizeof data_dir, "%s/clips", dir);
    opts.train = opts.val = 1;
    opts.test = TEST;
    opts.frames_min = 40;
    opts.frames_max = 44;
    if (eq_synth_write(data_dir, &opts, &err) != EQ_OK ||
        eq_dataset_open(data_dir, &(struct eq_list_opts){0}, &ds, &err) != EQ_OK)
        return -1;
    put_row("FP32", "FP32", 3.6, 44.8, 100);
    put_row("PTQ", "INT8", 3.6, 11.2, 50);
    put_model("fp32", false);
    put_model("ptq", true);
    assert_int_equal(eq_results_open(dir, &r, &err), EQ_OK);
    eq_dataset_digest(&ds, digest);
    r.data.digest = digest;
    assert_int_equal(eq_results_write(dir, &r, &err), EQ_OK);
    eq_results_clear(&r);
    return eq_run_write_manifest(dir, &ds, &err) == EQ_OK ? 0 : -1;
}

static int tear_down_run(void **state)
{
    eq_dataset_clear(&ds);
    return tear_down(state);
}

static void report(const struct eq_config *cfg)
{
    struct eq_err err;
    if (eq_run_report_by(dir, NULL, cfg, NULL, &err) != EQ_OK)
        fail_msg("%s", err.msg);
}

static void shell(const char *format, ...)
{
    char command[512];
    va_list args;
    va_start(args, format);
    vsnprintf(command, sizeof command, format, args);
    va_end(args);
    assert_int_equal(system(command), 0);
}

static int pictures(void)
{
    char **names;
    size_t n;
    int found = 0;
    char *plots = eq_path_join(dir, "plots");
    assert_int_equal(eq_list_dir(plots, &names, &n, NULL), EQ_OK);
    for (size_t i = 0; i < n; i++)
        found += strncmp(names[i], "strip_", 6) == 0;
    eq_names_free(names, n);
    free(plots);
    return found;
}

static int count(const char *name, const char *what)
{
    int n = 0;
    char *text = read_text(name);
    for (const char *p = text; (p = strstr(p, what)) != NULL; p++)
        n++;
    eq_free(text);
    return n;
}

/* ---- which clips ----------------------------------------------------------- */

/* Most moved: 2, 4; errors of FP32: largest 1, median 2 (3 points), smallest 3. */
static void the_right_clips_are_shown(void **state)
{
    static const struct {
        int clip;
        const char *why;
    } want[] = {{2, "PTQ moves it by 2.00 points from FP32 (no. 1); median error of FP32 (3.00 points)"},
                {4, "PTQ moves it by 1.50 points from FP32 (no. 2)"},
                {1, "largest error of FP32 (9.00 points)"},
                {3, "smallest error of FP32 (0.50 points)"}};
    (void)state;
    put_config(2);
    report(NULL);
    assert_int_equal(pictures(), 4);
    char *csv = read_text("plots/strips.csv"), *line = csv + strcspn(csv, "\n") + 1;
    assert_int_equal(strncmp(csv, "FileName,Picture,Shown,EF,FP32,PTQ\n", 35), 0);
    for (int i = 0; i < 4; i++, line += strcspn(line, "\n") + 1) {
        char start[64];
        snprintf(start, sizeof start, "%s,strip_", test_clip(want[i].clip));
        assert_int_equal(strncmp(line, start, strlen(start)), 0);
        assert_int_equal(strncmp(strchr(line + strlen(start), ',') + 1, want[i].why, strlen(want[i].why)), 0);
    }
    assert_int_equal(*line, '\0');
    eq_free(csv);
    assert_int_equal(count("report.html", "data:image/jpeg;base64,"), 4);
    assert_int_equal(count("report.html", "10 frames of the clip, in rows from left to right. True EF "), 4);
    assert_int_equal(count("report.md", "![Film strip](plots/strip_"), 4);
}

/* ---- the frames ------------------------------------------------------------ */

/* The luma of a JPEG; eq_free. */
static uint8_t *decode(const char *path, int *width, int *height)
{
    struct eq_err err;
    void *bytes;
    size_t len;
    assert_int_equal(eq_read_file(path, 1 << 22, &bytes, &len, &err), EQ_OK);
    AVCodecContext *codec = avcodec_alloc_context3(avcodec_find_decoder(AV_CODEC_ID_MJPEG));
    AVPacket *packet = av_packet_alloc();
    AVFrame *frame = av_frame_alloc();
    assert_int_equal(avcodec_open2(codec, NULL, NULL), 0);
    assert_int_equal(av_new_packet(packet, (int)len), 0);
    memcpy(packet->data, bytes, len);
    assert_int_equal(avcodec_send_packet(codec, packet), 0);
    assert_int_equal(avcodec_receive_frame(codec, frame), 0);
    *width = frame->width;
    *height = frame->height;
    uint8_t *luma = eq_alloc((size_t)*width, (size_t)*height);
    for (int y = 0; y < *height; y++)
        memcpy(luma + (ptrdiff_t)y * *width, frame->data[0] + (ptrdiff_t)y * frame->linesize[0], (size_t)*width);
    av_frame_free(&frame);
    av_packet_free(&packet);
    avcodec_free_context(&codec);
    eq_free(bytes);
    return luma;
}

/* Mean absolute difference of frame a of the clip and frame b of the strip. */
static double distance(const uint8_t *clip, int a, const uint8_t *luma, int width, int b)
{
    const int across = 5, gap = 2;
    double sum = 0;
    for (int y = 0; y < SIZE; y++)
        for (int x = 0; x < SIZE; x++)
            sum += abs(clip[((a * SIZE + y) * SIZE + x) * 3] -
                       luma[(b / across * (SIZE + gap) + y) * width + b % across * (SIZE + gap) + x]);
    return sum / (SIZE * SIZE);
}

static void a_strip_is_what_the_model_sees(void **state)
{
    struct eq_sampling sampling = {.frames = FRAMES, .size = SIZE, .phase = -1};
    static uint8_t clip[FRAMES * SIZE * SIZE * 3];
    struct eq_err err;
    char path[256], file[64];
    int width, height;
    double other = 0;
    (void)state;
    put_config(2);
    report(NULL);
    char *csv = read_text("plots/strips.csv");
    assert_int_equal(sscanf(csv + strcspn(csv, "\n") + 1, "%*[^,],%63[^,]", file), 1);
    eq_free(csv);
    snprintf(path, sizeof path, "%s/plots/%s", dir, file);
    uint8_t *luma = decode(path, &width, &height);
    assert_int_equal(width, 5 * SIZE + 4 * 2);
    assert_int_equal(height, 2 * SIZE + 2);
    snprintf(path, sizeof path, "%s/Videos/%s.avi", data_dir, test_clip(2));
    assert_int_equal(eq_clip_read(path, &sampling, clip, NULL, &err), EQ_OK);
    for (int a = 0; a < FRAMES; a++) {
        assert_true(distance(clip, a, luma, width, a) < 4);
        other += distance(clip, a, luma, width, (a + 1) % FRAMES);
    }
    assert_true(other > 6 * FRAMES);
    eq_free(luma);
}

/* ---- the data folder ------------------------------------------------------- */

static void the_data_folder_may_be_away(void **state)
{
    struct eq_settings s;
    struct eq_err err;
    char moved_to[128];
    bool found;
    (void)state;
    put_config(2);
    report(NULL);
    snprintf(moved_to, sizeof moved_to, "%s/elsewhere", dir);
    shell("mv '%s' '%s'", data_dir, moved_to);
    report(NULL);
    assert_int_equal(pictures(), 4);
    assert_int_equal(count("report.html", "data:image/jpeg;base64,"), 4);
    assert_int_equal(count("report.html", "The strips are those of an earlier report."), 1);
    shell("rm '%s'/plots/strip_*", dir);
    report(NULL);
    assert_int_equal(count("report.html", "data:image/jpeg;base64,"), 0);
    assert_int_equal(count("report.html", "4 of 4 strips are missing."), 1);
    assert_int_equal(count("report.md", "--set data.dir=DIR"), 1);

    assert_int_equal(eq_settings_init(&s, &err), EQ_OK);
    assert_int_equal(eq_settings_load_run(&s, dir, &found, &err), EQ_OK);
    assert_int_equal(eq_settings_set(&s, "data.dir", moved_to, "test", &err), EQ_OK);
    report(&s.config);
    assert_int_equal(pictures(), 4);
    assert_int_equal(count("report.html", "strips are missing"), 0);
    eq_settings_clear(&s);
    shell("mv '%s' '%s'", moved_to, data_dir);
}

static void a_clip_that_is_not_the_one_has_no_strip(void **state)
{
    (void)state;
    put_config(2);
    shell("rm -f '%s'/plots/strip_*", dir);
    shell("cd '%s/Videos' && cp %s.avi kept.avi && cat kept.avi %s.avi > other && mv other %s.avi", data_dir,
          test_clip(2), test_clip(1), test_clip(2));
    shell("cd '%s/Videos' && mv %s.avi gone && cp %s.avi whole && printf 'no clip at all' | "
          "dd of=%s.avi conv=notrunc status=none",
          data_dir, test_clip(4), test_clip(1), test_clip(1));
    report(NULL);
    assert_int_equal(pictures(), 1);
    assert_int_equal(count("report.html", "data:image/jpeg;base64,"), 1);
    assert_int_equal(count("report.html", "is not the clip that was evaluated"), 1);
    assert_int_equal(count("report.md", "\n> SYN"), 3); /* one sentence each */
    shell("cd '%s/Videos' && mv kept.avi %s.avi && mv gone %s.avi && mv whole %s.avi", data_dir, test_clip(2),
          test_clip(4), test_clip(1));
    report(NULL);
    assert_int_equal(pictures(), 4);
    assert_int_equal(count("report.md", "is not the clip"), 0);
}

/* Strips of clips that are not shown any more are removed, and with 0 all of them. */
static void no_pixels_without_strips(void **state)
{
    (void)state;
    put_config(1);
    report(NULL);
    assert_int_equal(pictures(), 3);
    assert_true(there("plots/strips.csv"));
    put_config(0);
    report(NULL);
    assert_int_equal(pictures(), 0);
    assert_false(there("plots/strips.csv"));
    assert_int_equal(count("report.html", "image/jpeg"), 0);
    assert_int_equal(count("report.html", "Film strips"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_right_clips_are_shown),   cmocka_unit_test(a_strip_is_what_the_model_sees),
        cmocka_unit_test(the_data_folder_may_be_away), cmocka_unit_test(a_clip_that_is_not_the_one_has_no_strip),
        cmocka_unit_test(no_pixels_without_strips),
    };
    return cmocka_run_group_tests(tests, set_up_run, tear_down_run);
}
