/* Synthetic clips: nothing but motion gives EF away, the volume curve ejects what it says, the same seed gives the same
 * pixels, and a folder that is not ours stays as it was. */
#include "unit/cmocka_all.h"
#include "make/synth.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIXELS ((size_t)EQ_SYNTH_SIZE * EQ_SYNTH_SIZE)

static const struct eq_synth_opts defaults = EQ_SYNTH_DEFAULTS;

static void render(const struct eq_synth_patient *p, double cycle, uint8_t *gray)
{
    struct eq_synth_scene s;
    struct eq_err err;
    assert_int_equal(eq_synth_scene_init(&s, p, &err), EQ_OK);
    eq_synth_render(&s, cycle, 5, gray);
    eq_synth_scene_clear(&s);
}

static void the_end_diastolic_frame_does_not_depend_on_ef(void **state)
{
    (void)state;
    uint8_t a[PIXELS], b[PIXELS];
    for (uint32_t i = 0; i < 5; i++) {
        struct eq_synth_patient p;
        eq_synth_draw_patient(&p, &defaults, i);
        p.ef = 20;
        render(&p, 3, a);
        p.ef = 70;
        render(&p, 3, b);
        assert_memory_equal(a, b, PIXELS);
        render(&p, 3 + p.systole, b);
        assert_true(memcmp(a, b, PIXELS) != 0);
    }
}

/* Pearson's r of EF with every other draw, over many patients: |r| < 4 / sqrt(n) unless they are tied. */
static void no_other_draw_is_tied_to_ef(void **state)
{
    (void)state;
    enum { N = 4000, DRAWS = 15 };
    double sx[DRAWS] = {0}, sxx[DRAWS] = {0}, sxy[DRAWS] = {0}, sy = 0, syy = 0;
    for (uint32_t i = 0; i < N; i++) {
        struct eq_synth_patient p;
        eq_synth_draw_patient(&p, &defaults, i);
        const double x[DRAWS] = {p.edv,        p.heart_rate, p.phase, p.systole,     p.frames,
                                 p.apex_x,     p.apex_y,     p.tilt,  p.length,      p.radius,
                                 p.half_angle, p.reach,      p.gain,  p.attenuation, p.blood};
        sy += p.ef;
        syy += p.ef * p.ef;
        for (int k = 0; k < DRAWS; k++) {
            sx[k] += x[k];
            sxx[k] += x[k] * x[k];
            sxy[k] += x[k] * p.ef;
        }
    }
    for (int k = 0; k < DRAWS; k++) {
        double r = (N * sxy[k] - sx[k] * sy) / sqrt((N * sxx[k] - sx[k] * sx[k]) * (N * syy - sy * sy));
        if (!(fabs(r) < 4 / sqrt(N)))
            fail_msg("draw %d has r = %.3f with EF", k, r);
    }
}

static void ef_is_distributed_as_in_patients(void **state)
{
    (void)state;
    int near_sixty = 0, reduced = 0;
    enum { N = 2000 };
    for (uint32_t i = 0; i < N; i++) {
        struct eq_synth_patient p;
        eq_synth_draw_patient(&p, &defaults, i);
        assert_int_in_range((int)p.ef, 15, 80);
        assert_true(p.heart_rate >= 50 && p.heart_rate <= 120);
        assert_int_in_range(p.frames, 90, 220);
        near_sixty += p.ef > 50 && p.ef < 70;
        reduced += p.ef < 40;
    }
    assert_int_in_range(near_sixty, N / 2, N * 9 / 10);
    assert_int_in_range(reduced, N / 20, N / 4);
}

static void the_heart_empties_once_a_cycle(void **state)
{
    (void)state;
    struct eq_synth_patient p;
    eq_synth_draw_patient(&p, &defaults, 0);
    assert_float_equal(eq_synth_emptying(&p, 0), 0, 1e-12);
    assert_float_equal(eq_synth_emptying(&p, p.systole), 1, 1e-9);
    double last = 0, largest_step = 0;
    for (int i = 0; i <= 1000; i++) {
        double s = eq_synth_emptying(&p, i / 1000.0);
        assert_true(s >= -1e-12 && s <= 1 + 1e-12);
        largest_step = fmax(largest_step, fabs(s - last));
        last = s;
    }
    assert_true(largest_step < 0.01); /* continuous, over the end of the cycle, too */
}

/* Dark pixels along the middle of the ventricle: fewer at end-systole, and the fewer the higher EF. */
static int dark_pixels(const struct eq_synth_patient *p, double cycle)
{
    uint8_t gray[PIXELS];
    int dark = 0;
    render(p, cycle, gray);
    for (int y = (int)p->apex_y; y < (int)(p->apex_y + p->length) - 4; y++)
        for (int x = 30; x < 82; x++)
            dark += gray[y * EQ_SYNTH_SIZE + x] < 70 && gray[y * EQ_SYNTH_SIZE + x] > 0;
    return dark;
}

static void the_cavity_shrinks_with_ef(void **state)
{
    (void)state;
    struct eq_synth_patient p;
    eq_synth_draw_patient(&p, &defaults, 3);
    p.ef = 65;
    int diastole = dark_pixels(&p, 0), strong = dark_pixels(&p, p.systole);
    p.ef = 25;
    int weak = dark_pixels(&p, p.systole);
    assert_true(strong < weak && weak < diastole);
}

/* Over a beat. Without regions nothing is left out of any block. */
static void render_beat(uint8_t gray[40][PIXELS], uint32_t index, const char *level, bool regions)
{
    struct eq_synth_patient p;
    struct eq_synth_scene s;
    struct eq_err err;
    assert_int_equal(eq_cpu_set_ceiling(level, &err), EQ_OK);
    eq_synth_draw_patient(&p, &defaults, index);
    assert_int_equal(eq_synth_scene_init(&s, &p, &err), EQ_OK);
    for (int i = 0; !regions && i < s.pixels.n / EQ_SYNTH_BLOCK; i++)
        s.pixels.regions[i] = (struct eq_synth_region){0, INFINITY, -INFINITY, INFINITY, 0};
    for (uint32_t f = 0; f < 40; f++)
        eq_synth_render(&s, f / 40.0, f * 37, gray[f]);
    eq_synth_scene_clear(&s);
    assert_int_equal(eq_cpu_set_ceiling("auto", &err), EQ_OK);
}

static void blocks_and_instruction_sets_do_not_change_a_pixel(void **state)
{
    (void)state;
    static uint8_t plain[40][PIXELS], other[40][PIXELS];
    for (uint32_t i = 0; i < 8; i++) {
        render_beat(plain, i, "ref", false);
        render_beat(other, i, "ref", true);
        assert_memory_equal(plain, other, sizeof plain);
        render_beat(other, i, "auto", true);
        assert_memory_equal(plain, other, sizeof plain);
    }
}

/* ---- splits -------------------------------------------------------------- */

enum { MOST = 4000 };

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* The largest distance between the distribution functions of two samples (Kolmogorov-Smirnov). Sorts both. */
static double ks_distance(double *a, size_t na, double *b, size_t nb)
{
    double largest = 0;
    qsort(a, na, sizeof *a, ascending);
    qsort(b, nb, sizeof *b, ascending);
    for (size_t i = 0, k = 0; i < na && k < nb;) {
        double at = fmin(a[i], b[k]);
        while (i < na && a[i] <= at)
            i++;
        while (k < nb && b[k] <= at)
            k++;
        largest = fmax(largest, fabs((double)i / (double)na - (double)k / (double)nb));
    }
    return largest;
}

/* What decides how hard a clip is: its EF, the frames of a beat, and the beats of the clip, over which the frames that
 * a model sees are spread. */
enum { EF, FRAMES_PER_BEAT, BEATS, TRAITS };

static void traits_of(double trait[TRAITS], double ef, double heart_rate, int frames, int fps)
{
    trait[EF] = ef;
    trait[FRAMES_PER_BEAT] = 60.0 * fps / heart_rate;
    trait[BEATS] = frames / trait[FRAMES_PER_BEAT];
}

/* As independent patients would be drawn, for comparison. */
static double independent_ef(struct eq_rng *r)
{
    double ef = eq_rng_uniform(r) < 0.3 ? 62 - 42 * sqrt(eq_rng_uniform(r)) : 60 + 6.5 * eq_rng_normal(r);
    return ef < 15 ? 15 : ef > 80 ? 80 : ef;
}

/* The largest KS distance of a trait between any two splits. */
static void distances(double most[TRAITS], const struct eq_synth_opts *o, bool independent)
{
    static double x[EQ_SPLIT_COUNT][TRAITS][MOST];
    size_t n[EQ_SPLIT_COUNT] = {0};
    struct eq_rng r;
    eq_rng_init(&r, o->seed, EQ_RNG_TEST, 0, 0);
    for (int i = 0; i < o->train + o->val + o->test; i++) {
        struct eq_synth_patient p;
        double trait[TRAITS];
        eq_synth_draw_patient(&p, o, (uint32_t)i);
        if (independent) {
            p.ef = independent_ef(&r);
            p.heart_rate = eq_rng_range(&r, 50, 120);
            p.frames = o->frames_min + (int)eq_rng_below(&r, (uint32_t)(o->frames_max - o->frames_min + 1));
        }
        traits_of(trait, p.ef, p.heart_rate, p.frames, o->fps);
        for (int k = 0; k < TRAITS; k++)
            x[p.split][k][n[p.split]] = trait[k];
        n[p.split]++;
    }
    assert_true(n[EQ_SPLIT_TRAIN] == (size_t)o->train && n[EQ_SPLIT_VAL] == (size_t)o->val);
    for (int k = 0; k < TRAITS; k++) {
        most[k] = 0;
        for (int a = 0; a < EQ_SPLIT_COUNT; a++)
            for (int b = 0; b < a; b++)
                most[k] = fmax(most[k], ks_distance(x[a][k], n[a], x[b][k], n[b]));
    }
}

/* Independent draws are two to five times as far apart, and not one of these sets of them stays within the bounds. */
static void splits_are_alike(void **state)
{
    (void)state;
    static const struct {
        int train, val, test;
        double bound[TRAITS];
    } sets[] = {{400, 100, 100, {0.05, 0.05, 0.10}},
                {400, 50, 100, {0.07, 0.07, 0.13}},
                {1000, 200, 300, {0.03, 0.03, 0.07}},
                {100, 40, 60, {0.10, 0.10, 0.20}}};
    for (size_t s = 0; s < sizeof sets / sizeof *sets; s++) {
        int independent_within = 0;
        enum { SEEDS = 40 };
        for (uint64_t seed = 1; seed <= SEEDS; seed++) {
            struct eq_synth_opts o = defaults;
            double most[TRAITS];
            o.train = sets[s].train, o.val = sets[s].val, o.test = sets[s].test, o.seed = seed;
            distances(most, &o, false);
            for (int k = 0; k < TRAITS; k++)
                if (!(most[k] <= sets[s].bound[k]))
                    fail_msg("set %zu, seed %d: trait %d differs by %.3f", s, (int)seed, k, most[k]);
            distances(most, &o, true);
            bool within = true;
            for (int k = 0; k < TRAITS; k++)
                within = within && most[k] <= sets[s].bound[k];
            independent_within += within;
        }
        assert_int_equal(independent_within, 0);
    }
}

/* 4,000 patients against independent ones: at the 0.1 % level the distance of two such samples is 0.044. */
static void even_draws_have_the_distribution_of_independent_ones(void **state)
{
    (void)state;
    static double even[TRAITS][MOST], independent[TRAITS][MOST];
    struct eq_rng r;
    eq_rng_init(&r, 3, EQ_RNG_TEST, 0, 0);
    struct eq_synth_opts o = defaults;
    o.train = MOST;
    for (int i = 0; i < MOST; i++) {
        struct eq_synth_patient p;
        double trait[TRAITS];
        eq_synth_draw_patient(&p, &o, (uint32_t)i);
        traits_of(trait, p.ef, p.heart_rate, p.frames, o.fps);
        for (int k = 0; k < TRAITS; k++)
            even[k][i] = trait[k];
        traits_of(trait, independent_ef(&r), eq_rng_range(&r, 50, 120), 90 + (int)eq_rng_below(&r, 131), o.fps);
        for (int k = 0; k < TRAITS; k++)
            independent[k][i] = trait[k];
    }
    for (int k = 0; k < TRAITS; k++) {
        double d = ks_distance(even[k], MOST, independent[k], MOST);
        if (!(d < 0.044))
            fail_msg("trait %d: %.3f", k, d);
    }
}

/* A split keeps its patients, and begins with the same ones, when it or another split grows. */
static void a_split_does_not_depend_on_the_sizes(void **state)
{
    (void)state;
    struct eq_synth_opts small = defaults, large = defaults;
    small.train = 7, small.val = 5, small.test = 3;
    static uint8_t a[PIXELS], b[PIXELS];
    for (uint32_t i = 0; i < 15; i++) {
        struct eq_synth_patient p, q;
        uint32_t first[EQ_SPLIT_COUNT] = {0, 400, 500};
        eq_synth_draw_patient(&p, &small, i);
        eq_synth_draw_patient(&q, &large, first[p.split] + p.number);
        assert_int_equal(q.split, p.split);
        assert_int_equal(q.number, p.number);
        assert_true(q.ef == p.ef && q.heart_rate == p.heart_rate && q.edv == p.edv && q.frames == p.frames);
        render(&p, 0.2, a);
        render(&q, 0.2, b);
        assert_memory_equal(a, b, PIXELS);
    }
}

/* No two splits share a patient or speckle. */
static void splits_have_patients_of_their_own(void **state)
{
    (void)state;
    struct eq_synth_patient p[EQ_SPLIT_COUNT];
    static uint8_t gray[EQ_SPLIT_COUNT][PIXELS];
    static const uint32_t first[EQ_SPLIT_COUNT] = {0, 400, 500};
    for (int s = 0; s < EQ_SPLIT_COUNT; s++) {
        eq_synth_draw_patient(&p[s], &defaults, first[s]);
        struct eq_synth_patient same = p[0];
        same.split = p[s].split;
        render(&same, 0.2, gray[s]);
        for (int t = 0; t < s; t++) {
            assert_true(p[s].ef != p[t].ef && p[s].heart_rate != p[t].heart_rate && p[s].edv != p[t].edv);
            assert_true(memcmp(gray[s], gray[t], PIXELS) != 0);
        }
    }
}

/* ---- folders ------------------------------------------------------------- */

static char *temp_dir(void)
{
    static char path[64];
    snprintf(path, sizeof path, "/tmp/echoquant_synth_XXXXXX");
    assert_non_null(mkdtemp(path));
    return path;
}

static void remove_tree(const char *dir)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    assert_int_equal(system(command), 0);
}

static void a_set_is_written_once_and_reads_back(void **state)
{
    (void)state;
    struct eq_synth_opts o = {
        .train = 2, .val = 1, .test = 1, .frames_min = 12, .frames_max = 20, .fps = 50, .seed = 9};
    char dir[96];
    snprintf(dir, sizeof dir, "%s/set", temp_dir());
    struct eq_err err;
    struct eq_dataset ds;
    assert_int_equal(eq_synth_write(dir, &o, &err), EQ_OK);
    assert_int_equal(eq_dataset_open(dir, &(struct eq_list_opts){.split_seed = 1}, &ds, &err), EQ_OK);
    assert_int_equal(ds.n, 4);
    assert_true(ds.split_from_file);
    static uint8_t first[8 * PIXELS * 3], again[8 * PIXELS * 3];
    struct eq_sampling sampling = {.frames = 8, .size = EQ_SYNTH_SIZE, .phase = -1};
    struct eq_clip_info info;
    for (size_t i = 0; i < ds.n; i++) {
        struct eq_synth_patient p;
        eq_synth_draw_patient(&p, &o, (uint32_t)i);
        assert_int_equal(eq_clip_read(ds.samples[i].path, &sampling, first, &info, &err), EQ_OK);
        assert_int_equal(info.decoded_frames, p.frames);
        assert_true(info.gray);
        assert_float_equal(ds.samples[i].ef, p.ef, 1e-5);
        assert_float_equal(ds.samples[i].esv / ds.samples[i].edv, 1 - p.ef / 100, 1e-6);
    }
    char path[128];
    snprintf(path, sizeof path, "%s", ds.samples[3].path);
    assert_int_equal(unlink(ds.samples[0].path), 0);
    assert_int_equal(eq_synth_write(dir, &o, &err), EQ_OK); /* the set is there: nothing is written */
    assert_int_not_equal(access(ds.samples[0].path, F_OK), 0);
    eq_dataset_clear(&ds);
    remove_tree(dir);
    assert_int_equal(eq_synth_write(dir, &o, &err), EQ_OK);
    assert_int_equal(eq_clip_read(path, &sampling, again, NULL, &err), EQ_OK);
    assert_memory_equal(first, again, sizeof first);
    o.seed = 10;
    assert_int_equal(eq_synth_write(dir, &o, &err), EQ_USAGE);
    assert_non_null(strstr(err.msg, "other settings"));
    remove_tree(dir);
}

static void a_folder_of_others_is_refused(void **state)
{
    (void)state;
    struct eq_err err;
    char *dir = temp_dir(), file[96];
    snprintf(file, sizeof file, "%s/FileList.csv", dir);
    assert_int_equal(eq_write_file(file, "precious", 8, &err), EQ_OK);
    assert_int_equal(eq_synth_write(dir, &defaults, &err), EQ_USAGE);
    assert_non_null(strstr(err.msg, "not empty"));
    void *data;
    size_t len;
    assert_int_equal(eq_read_file(file, 100, &data, &len, &err), EQ_OK);
    assert_memory_equal(data, "precious", 8);
    eq_free(data);
    remove_tree(dir);
}

static void a_note_that_cannot_be_looked_up_is_said(void **state)
{
    (void)state;
    struct eq_err err;
    char *dir = temp_dir(), note[96];
    snprintf(note, sizeof note, "%s/synth.json", dir);
    assert_int_equal(symlink("synth.json", note), 0);
    assert_int_equal(eq_synth_write(dir, &defaults, &err), EQ_IO);
    assert_non_null(strstr(err.msg, note));
    remove_tree(dir);
}

static void impossible_options_are_refused(void **state)
{
    (void)state;
    struct eq_err err;
    struct eq_synth_opts o = defaults;
    o.train = -1;
    assert_int_equal(eq_synth_write("/nonexistent/set", &o, &err), EQ_USAGE);
    o = defaults;
    o.frames_max = 10;
    assert_int_equal(eq_synth_write("/nonexistent/set", &o, &err), EQ_USAGE);
}

int main(void)
{
    struct eq_err err;
    if (eq_parallel_init(2, &err) != EQ_OK)
        return 1;
    eq_log_configure(EQ_LOG_ERROR);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_end_diastolic_frame_does_not_depend_on_ef),
        cmocka_unit_test(no_other_draw_is_tied_to_ef),
        cmocka_unit_test(ef_is_distributed_as_in_patients),
        cmocka_unit_test(the_heart_empties_once_a_cycle),
        cmocka_unit_test(the_cavity_shrinks_with_ef),
        cmocka_unit_test(blocks_and_instruction_sets_do_not_change_a_pixel),
        cmocka_unit_test(splits_are_alike),
        cmocka_unit_test(even_draws_have_the_distribution_of_independent_ones),
        cmocka_unit_test(a_split_does_not_depend_on_the_sizes),
        cmocka_unit_test(splits_have_patients_of_their_own),
        cmocka_unit_test(a_set_is_written_once_and_reads_back),
        cmocka_unit_test(a_folder_of_others_is_refused),
        cmocka_unit_test(a_note_that_cannot_be_looked_up_is_said),
        cmocka_unit_test(impossible_options_are_refused),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    eq_parallel_shutdown();
    return failed;
}
