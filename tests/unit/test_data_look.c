/* How clips look: the statistics by hand, which clips are told to look unlike others, and the ranges in a model
 * file. */
#include "avi_file.h"
#include "model_support.h"
#include "echoquant/data.h"

#include <math.h>
#include <string.h>

enum { FRAMES = 3, SIZE = 32, PIXELS = FRAMES * SIZE * SIZE };

static void statistics_by_hand(void **state)
{
    (void)state;
    /* Two frames of 2 x 2: gray 0, 40, 80, 120; then all 60, but the last red. */
    const uint8_t p[] = {0, 0, 0, 40, 40, 40, 80, 80, 80, 120, 120, 120, 60, 60, 60, 60, 60, 60, 60, 60, 60, 200, 0, 0};
    struct eq_look l;
    eq_look_of(p, 2, 2, &l);
    /* (200 + 2 * 0 + 0) / 4 = 50 */
    double sum = 0 + 40 + 80 + 120 + 60 + 60 + 60 + 50, squares = 1600 + 6400 + 14400 + 3 * 3600 + 2500;
    assert_float_equal(l.value[EQ_LOOK_BRIGHTNESS], sum / 8, 1e-12);
    assert_float_equal(l.value[EQ_LOOK_CONTRAST], sqrt(squares / 8 - sum * sum / 64), 1e-12);
    assert_float_equal(l.value[EQ_LOOK_BLACK], 1.0 / 8, 1e-12);
    assert_float_equal(l.value[EQ_LOOK_MOTION], (60 + 20 + 20 + 70) / 4.0, 1e-12);
    assert_float_equal(l.value[EQ_LOOK_DETAIL], (40 + 40 + 0 + 10) / 4.0, 1e-12);
    assert_float_equal(l.value[EQ_LOOK_COLOR], 200 / 16.0, 1e-12);
    assert_float_equal(l.cells[0], (0 + 60) / 2.0, 1e-12);
    assert_float_equal(l.cells[15 - 5], (120 + 50) / 2.0, 1e-12); /* row 1 of 2 begins cell row 2 */
    eq_look_of(p, 1, 1, &l);                                      /* neither neighbors nor a frame before */
    assert_true(l.value[EQ_LOOK_MOTION] == 0 && l.value[EQ_LOOK_DETAIL] == 0 && l.value[EQ_LOOK_CONTRAST] == 0);
}

/* Wider than what is taken of a row at once, and no multiple of the cells. */
static void wide_pictures(void **state)
{
    (void)state;
    enum { WIDE = 1027, T = 2 };
    const size_t pixels = (size_t)T * WIDE * WIDE;
    uint8_t *p = malloc(3 * pixels);
    struct eq_rng rng;
    struct eq_look l;
    double detail = 0, motion = 0, color = 0, cells[EQ_LOOK_CELLS] = {0}, in_cell[EQ_LOOK_CELLS] = {0};
    assert_non_null(p);
    eq_rng_init(&rng, 1, EQ_RNG_TEST, 0, 0);
    for (size_t i = 0; i < 3 * pixels; i++)
        p[i] = (uint8_t)(eq_rng_u32(&rng) >> 24);
#define LUMA(q) ((q)[0] + 2 * (q)[1] + (q)[2]) / 4
    for (size_t i = 0; i < pixels; i++) {
        const uint8_t *q = p + 3 * i;
        size_t x = i % WIDE, y = i / WIDE % WIDE,
               cell = y * EQ_LOOK_SIDE / WIDE * EQ_LOOK_SIDE + x * EQ_LOOK_SIDE / WIDE;
        detail += x > 0 ? abs(LUMA(q) - LUMA(q - 3)) : 0;
        motion += i >= pixels / T ? abs(LUMA(q) - LUMA(q - 3 * (pixels / T))) : 0;
        color += abs(q[0] - q[1]) + abs(q[2] - q[1]);
        cells[cell] += LUMA(q);
        in_cell[cell]++;
    }
    eq_look_of(p, T, WIDE, &l);
    assert_true(l.value[EQ_LOOK_DETAIL] == detail / ((double)T * WIDE * (WIDE - 1)));
    assert_true(l.value[EQ_LOOK_MOTION] == motion / ((double)WIDE * WIDE));
    assert_true(l.value[EQ_LOOK_COLOR] == color / (2.0 * (double)pixels));
    for (int c = 0; c < EQ_LOOK_CELLS; c++)
        assert_true(l.cells[c] == cells[c] / in_cell[c]);
    free(p);
}

/* A bright wedge on black with speckle, whose gain, width and motion vary from clip to clip. */
static void draw(uint32_t number, uint8_t *out)
{
    struct eq_rng rng;
    eq_rng_init(&rng, 7, EQ_RNG_TEST, 0, number);
    double gain = 90 + 20 * eq_rng_uniform(&rng), width = 0.4 + 0.1 * eq_rng_uniform(&rng);
    for (int t = 0; t < FRAMES; t++)
        for (int y = 0; y < SIZE; y++)
            for (int x = 0; x < SIZE; x++, out += 3) {
                bool inside = fabs(x - SIZE / 2.0) < width * y + 0.3 * t;
                double v = inside ? gain * (0.5 + eq_rng_uniform(&rng)) : 4 * eq_rng_uniform(&rng);
                out[0] = out[1] = out[2] = (uint8_t)fmin(255, v);
            }
}

/* Ranges over the first n clips. */
static struct eq_looks looks_of_clips(size_t n)
{
    static uint8_t pixels[3 * PIXELS];
    static struct eq_look looks[400];
    struct eq_looks out;
    for (size_t i = 0; i < n; i++) {
        draw((uint32_t)i, pixels);
        eq_look_of(pixels, FRAMES, SIZE, &looks[i]);
    }
    assert_true(eq_looks_of(looks, n, &out));
    assert_int_equal(out.clips, n);
    return out;
}

static void clips_of_the_same_kind_pass(void **state)
{
    static uint8_t pixels[3 * PIXELS];
    static const size_t sizes[] = {6, 30, 100, 400};
    (void)state;
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        struct eq_looks trained = looks_of_clips(sizes[s]);
        int odd = 0;
        for (uint32_t i = 1000; i < 1200; i++) {
            draw(i, pixels);
            odd += eq_look_check(&trained, pixels, FRAMES, SIZE, NULL);
        }
        if (odd > (sizes[s] < 30 ? 6 : 1))
            fail_msg("%d of 200 clips look unlike %zu of their kind", odd, sizes[s]);
    }
}

static void clips_of_another_kind_are_told(void **state)
{
    static uint8_t pixels[3 * PIXELS];
    struct eq_looks trained = looks_of_clips(100);
    struct eq_rng rng;
    static const char *const names[] = {
        "inverted", "black", "noise", "constant", "brighter", "upside down", "colored", "still, brighter by 80", NULL};
    (void)state;
    for (int k = 0; names[k]; k++) {
        struct eq_str why = {0};
        draw(5000, pixels);
        eq_rng_init(&rng, 1, EQ_RNG_TEST, 0, 0);
        for (size_t i = 0; i < sizeof pixels; i++) {
            uint8_t v = pixels[i];
            pixels[i] = k == 0   ? 255 - v
                        : k == 1 ? 0
                        : k == 2 ? (uint8_t)(255 * eq_rng_uniform(&rng))
                        : k == 3 ? 100
                        : k == 4 ? (uint8_t)fmin(255, 2.0 * v)
                        : k == 6 ? (uint8_t)(i % 3 == 0 ? v / 2 : v)
                        : k == 7 ? (uint8_t)fmin(255, v + 80)
                                 : v;
        }
        const size_t frame = sizeof pixels / FRAMES, row = 3 * SIZE;
        for (size_t t = 0; k == 5 && t < FRAMES; t++)
            for (size_t y = 0; y < SIZE / 2; y++)
                for (size_t x = 0; x < row; x++) {
                    uint8_t *a = pixels + t * frame + y * row + x, *b = pixels + t * frame + (SIZE - 1 - y) * row + x;
                    uint8_t v = *a;
                    *a = *b, *b = v;
                }
        if (!eq_look_check(&trained, pixels, FRAMES, SIZE, &why))
            fail_msg("a clip that is %s passes", names[k]);
        assert_non_null(strstr(why.s, ", training clips "));
        eq_str_clear(&why);
    }
    trained.clips = 0; /* a file without ranges: no check */
    assert_false(eq_look_check(&trained, pixels, FRAMES, SIZE, NULL));
}

static void no_clips_have_no_ranges(void **state)
{
    struct eq_looks out;
    (void)state;
    assert_true(eq_looks_of(NULL, 0, &out));
    assert_int_equal(out.clips, 0);
}

static struct eq_graph *graph_with(const struct eq_looks *looks)
{
    struct eq_model_meta meta = {
        .frames = FRAMES, .size = SIZE, .pixel_mean = 50, .pixel_std = 40, .target_mean = 55, .target_std = 10};
    struct eq_graph *g = NULL;
    meta.looks = *looks;
    assert_ok(eq_resnet18_new(&meta, 4, 1, &g, &err));
    return g;
}

/* In a model file and back, to the bit; without ranges the file has no such key; a damaged one is refused. */
static void ranges_stand_in_the_model_file(void **state)
{
    (void)state;
    char *folder = test_dir_new(), *path = eq_path_join(folder, "m.safetensors");
    static const char *const bad[] = {"[]", "{}", "{\"clips\": 4}", "nonsense", NULL};
    struct eq_looks trained = looks_of_clips(30), none = {0};
    struct eq_graph *g = graph_with(&trained), *back = NULL;
    assert_ok(eq_model_save(path, g, &err));
    assert_ok(eq_model_load(path, &back, &err));
    assert_memory_equal(&back->meta.looks, &trained, sizeof trained);
    eq_graph_free(back);
    struct eq_st_file f;
    for (int i = 0; bad[i]; i++) {
        assert_ok(eq_model_save(path, g, &err));
        assert_ok(eq_st_read(path, &f, &err));
        for (size_t k = 0; k < f.n_meta; k++)
            if (strcmp(f.meta_keys[k], "clip_statistics") == 0) {
                free(f.meta_values[k]);
                f.meta_values[k] = eq_strdup(bad[i]);
            }
        assert_ok(eq_st_write(path, &f, &err));
        eq_st_clear(&f);
        assert_refused(eq_model_load(path, &back, &err), EQ_FORMAT, "clip_statistics");
    }
    eq_graph_free(g);
    g = graph_with(&none);
    assert_ok(eq_model_save(path, g, &err));
    assert_ok(eq_st_read(path, &f, &err));
    assert_null(eq_st_meta(&f, "clip_statistics"));
    eq_st_clear(&f);
    assert_ok(eq_model_load(path, &back, &err));
    assert_int_equal(back->meta.looks.clips, 0);
    eq_graph_free(back);
    eq_graph_free(g);
    free(path);
    test_dir_free(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(statistics_by_hand),          cmocka_unit_test(wide_pictures),
        cmocka_unit_test(clips_of_the_same_kind_pass), cmocka_unit_test(clips_of_another_kind_are_told),
        cmocka_unit_test(no_clips_have_no_ranges),     cmocka_unit_test(ranges_stand_in_the_model_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
