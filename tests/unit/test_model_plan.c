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
    /* neighbors that touch in time but do not share a step share the place */
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
    assert_ok(new_exec(g, mode, 2, 3, 32, &x, &err));
    const struct eq_plan *p = &x->plan;
    int n = p->n_nodes * p->kinds;
    size_t bound = lower_bound(p->buffers, n, 2 * g->n_nodes);
    assert_sound(p->buffers, n, p->bytes);
    if ((double)p->bytes > 1.1 * (double)bound)
        fail_msg("mode %d, width %d: an arena of %zu bytes where %zu are live", mode, width, p->bytes, bound);
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

/* input, conv, max pooling, conv with the pooling as residual, linear */
static const struct eq_plan_node small[5] = {
    {.name = "input", .op = EQ_OP_INPUT, .src = {-1, -1}, .residual = -1},
    {.name = "a",
     .op = EQ_OP_CONV2D,
     .src = {0, -1},
     .residual = -1,
     .cin = 3,
     .cout = 8,
     .k = 3,
     .stride = 2,
     .pad = 1},
    {.name = "p", .op = EQ_OP_MAXPOOL, .src = {1, -1}, .residual = -1, .cin = 8, .cout = 8, .k = 2, .stride = 2},
    {.name = "b", .op = EQ_OP_CONV2D, .src = {2, -1}, .residual = 2, .cin = 8, .cout = 8, .k = 1, .stride = 1},
    {.name = "fc", .op = EQ_OP_LINEAR, .src = {3, -1}, .residual = -1, .cin = 8, .cout = 1}};

static struct eq_plan_node view(const void *graph, int i)
{
    struct eq_plan_node n = ((const struct eq_plan_node *)graph)[i];
    n.edge.dtype = i == 1 || i == 2 ? EQ_U8 : EQ_F32;
    return n;
}

static bool fuses_k2(const struct eq_conv_shape *s, int k, int stride, int pad)
{
    return s->cout == 8 && k == 2 && stride == 2 && pad == 0;
}

static void shapes_lives_and_fusions(void **state)
{
    (void)state;
    struct eq_plan p;
    assert_ok(eq_plan_make(&p, small, 5, view, 2, 2, 3, 16, &err));
    const size_t input[] = {2, 3, 16, 16, 3}, conv[] = {2, 8, 8, 3, 8}, pooled[] = {2, 4, 4, 3, 8},
                 ef[] = {2, 1, 1, 1, 1};
    const size_t *const shapes[] = {input, conv, pooled, pooled, ef};
    const int last[] = {1, 2, 3, 4, 4};
    for (int i = 0; i < 5; i++) {
        assert_memory_equal(p.nodes[i].edge.shape, shapes[i], sizeof input);
        assert_null(p.nodes[i].edge.data);
        assert_int_equal(p.nodes[i].last, last[i]);
        assert_int_equal(p.nodes[i].n, p.nodes[i].rows * (size_t)p.nodes[i].c);
    }
    assert_int_equal(eq_tensor_bytes(&p.nodes[1].edge), 2 * 8 * 8 * 3 * 8);
    assert_true(p.nodes[1].conv.src_layout == EQ_LAYOUT_CLIP && p.nodes[3].conv.src_layout == EQ_LAYOUT_PIXEL);
    assert_int_equal(p.nodes[1].conv.oh, 8);
    int k, stride, pad;
    eq_plan_fuse_pool(&p, 1, NULL); /* its kernel can't */
    eq_plan_pool(&p, 1, &k, &stride, &pad);
    assert_int_equal(k, 0);
    eq_plan_fuse_pool(&p, 2, fuses_k2); /* read by no pooling */
    eq_plan_fuse_pool(&p, 1, fuses_k2);
    assert_true(p.nodes[1].pool == 2 && p.nodes[2].pooled_by == 1 && p.nodes[2].pool == 0);
    eq_plan_pool(&p, 1, &k, &stride, &pad);
    assert_true(k == 2 && stride == 2 && pad == 0);
    eq_plan_reserve(&p, 2, 1, 100, 1, 3);
    eq_plan_reserve(&p, 3, 0, 60, 2, 4);
    char *arena = eq_plan_allocate(&p, NULL);
    assert_non_null(arena);
    assert_int_equal(p.bytes, 128 + 64);
    assert_true(eq_plan_at(&p, arena, 2, 1) == arena && eq_plan_at(&p, arena, 3, 0) == arena + 128);
    assert_null(eq_plan_at(&p, arena, 2, 0));
    eq_free(arena);
    eq_plan_clear(&p);
}

static void impossible_graphs(void **state)
{
    (void)state;
    struct {
        int node;
        struct eq_plan_node instead;
        const char *text;
    } cases[] = {{2, small[2], "p: a window of 9 does not fit"},
                 {3, small[3], "b: its two operands differ"},
                 {3, small[3], "b: its sources must come before"},
                 {4, small[4], "fc: takes 9 channels"}};
    cases[0].instead.k = 9;
    cases[1].instead.stride = 2;
    cases[2].instead.residual = 3;
    cases[3].instead.cin = 9;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct eq_plan_node graph[5];
        struct eq_plan p;
        memcpy(graph, small, sizeof graph);
        graph[cases[i].node] = cases[i].instead;
        assert_refused(eq_plan_make(&p, graph, 5, view, 1, 1, 1, 16, &err), EQ_USAGE, cases[i].text);
        eq_plan_clear(&p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_plans),      cmocka_unit_test(simple_plans),
        cmocka_unit_test(executors),         cmocka_unit_test(shapes_lives_and_fusions),
        cmocka_unit_test(impossible_graphs),
    };
    return cmocka_run_group_tests(tests, two_threads, stop_threads);
}
