/* The arena's planner: no two live buffers overlap, alignment, and how near it comes to the lower bound. */
#include "model_support.h"

#include "model/exec.h"

/* The most bytes that are live at one time: no plan can do with less. */
static size_t lower_bound(const struct eq_plan_buffer *b, int n, int steps)
{
    size_t most = 0;
    for (int t = 0; t < steps; t++) {
        size_t live = 0;
        for (int i = 0; i < n; i++)
            if (b[i].first <= t && t <= b[i].last)
                live += (b[i].bytes + 63) / 64 * 64;
        most = live > most ? live : most;
    }
    return most;
}

static void assert_sound(const struct eq_plan_buffer *b, int n, size_t arena)
{
    for (int i = 0; i < n; i++) {
        assert_true(b[i].offset % 64 == 0 && b[i].offset + b[i].bytes <= arena);
        for (int k = 0; k < i; k++) {
            bool together = b[i].first <= b[k].last && b[k].first <= b[i].last;
            bool apart = b[i].offset + b[i].bytes <= b[k].offset || b[k].offset + b[k].bytes <= b[i].offset;
            if (together && !apart && b[i].bytes && b[k].bytes)
                fail_msg("buffers %d and %d share bytes while both live", k, i);
        }
    }
}

static void random_plans(void **state)
{
    (void)state;
    struct eq_rng rng;
    eq_rng_init(&rng, 1, EQ_RNG_TEST, 0, 0);
    double worst = 0;
    for (int trial = 0; trial < 300; trial++) {
        struct eq_plan_buffer b[120];
        int n = 1 + (int)eq_rng_below(&rng, 120), steps = 1 + (int)eq_rng_below(&rng, 60);
        for (int i = 0; i < n; i++) {
            b[i].first = (int)eq_rng_below(&rng, (uint32_t)steps);
            b[i].last = b[i].first + (int)eq_rng_below(&rng, (uint32_t)(steps - b[i].first));
            b[i].bytes = eq_rng_below(&rng, 4) ? eq_rng_below(&rng, 5000) : eq_rng_below(&rng, 500000);
            b[i].offset = SIZE_MAX;
        }
        size_t arena = eq_plan_arena(b, n), bound = lower_bound(b, n, steps);
        assert_sound(b, n, arena);
        assert_true(arena >= bound);
        worst = bound && (double)arena / (double)bound > worst ? (double)arena / (double)bound : worst;
    }
    assert_true(worst < 1.6);
}

static void simple_plans(void **state)
{
    (void)state;
    /* a chain: two buffers in turn suffice */
    struct eq_plan_buffer chain[6];
    for (int i = 0; i < 6; i++)
        chain[i] = (struct eq_plan_buffer){.bytes = 1000, .first = i, .last = i + 1};
    assert_int_equal(eq_plan_arena(chain, 6), 2 * 1024);
    /* neighbours that touch in time but do not share a step share the place */
    struct eq_plan_buffer two[2] = {{.bytes = 64, .first = 0, .last = 1}, {.bytes = 64, .first = 2, .last = 3}};
    assert_int_equal(eq_plan_arena(two, 2), 64);
    two[1].first = 1;
    assert_int_equal(eq_plan_arena(two, 2), 128);
    struct eq_plan_buffer empty[1] = {{.bytes = 0, .first = 0, .last = 3}};
    assert_int_equal(eq_plan_arena(empty, 1), 0);
    assert_int_equal(eq_plan_arena(NULL, 0), 0);
}

/* The plans of real executors; the planner must come within a tenth of the bound. */
static void plan_of(enum eq_exec_mode mode, bool fuse, int width)
{
    struct eq_graph *g = test_resnet18(width, 1);
    struct eq_exec *x = NULL;
    if (fuse)
        assert_ok(eq_fuse(g, &err));
    assert_ok(eq_exec_new(g, mode, 2, 3, 32, &x, &err));
    size_t bound = lower_bound(x->plan, x->n_buffers, 2 * g->n_nodes);
    assert_sound(x->plan, x->n_buffers, x->arena_bytes);
    if ((double)x->arena_bytes > 1.1 * (double)bound)
        fail_msg("mode %d, width %d: an arena of %zu bytes where %zu are live", mode, width, x->arena_bytes, bound);
    eq_exec_free(x);
    eq_graph_free(g);
}

static void executors(void **state)
{
    (void)state;
    for (int width = 4; width <= 32; width *= 8)
        for (int fuse = 0; fuse < 2; fuse++) {
            plan_of(EQ_EXEC_INFER, fuse, width);
            plan_of(EQ_EXEC_TRAIN, fuse, width);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_plans),
        cmocka_unit_test(simple_plans),
        cmocka_unit_test(executors),
    };
    return cmocka_run_group_tests(tests, two_threads, stop_threads);
}
