/* The executor: gradients by finite differences, the same bits on any number of threads and in any batch, no
 * allocation. */
#include "model_support.h"

#include "model/exec.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>

enum { CLIPS = 3, FRAMES = 3, SIZE = 32, WIDTH = 4 };
static const size_t CLIP_BYTES = (size_t)FRAMES * SIZE * SIZE * 3;

/* ---- allocations are counted by standing in front of the C library's ----- */

static atomic_long allocations;

#ifndef ECHOQUANT_SANITIZED
extern void *__libc_malloc(size_t n);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *p, size_t n);
extern void *__libc_memalign(size_t align, size_t n);

/* OpenBLAS's kernels for small matrices call malloc for their own scratch; what a library does inside is not ours. */
static void count(const void *caller)
{
    Dl_info info;
    if (!dladdr(caller, &info) || !info.dli_fname || !strstr(info.dli_fname, "openblas"))
        allocations++;
}

void *malloc(size_t n)
{
    count(__builtin_return_address(0));
    return __libc_malloc(n);
}
void *calloc(size_t n, size_t size)
{
    count(__builtin_return_address(0));
    return __libc_calloc(n, size);
}
void *realloc(void *p, size_t n)
{
    count(__builtin_return_address(0));
    return __libc_realloc(p, n);
}
void *aligned_alloc(size_t align, size_t n)
{
    count(__builtin_return_address(0));
    return __libc_memalign(align, n);
}
int posix_memalign(void **out, size_t align, size_t n)
{
    count(__builtin_return_address(0));
    *out = __libc_memalign(align, n);
    return *out ? 0 : ENOMEM;
}
#endif

static void walks_do_not_allocate(void **state)
{
    (void)state;
#ifdef ECHOQUANT_SANITIZED
    print_message("skipped: the sanitizer's allocator can't be stood in front of\n");
    skip();
#endif
    for (int mode = EQ_EXEC_INFER; mode <= EQ_EXEC_TRAIN; mode++) {
        struct eq_graph *g = test_resnet18(WIDTH, 1);
        struct eq_exec *x = NULL;
        uint8_t *pixels = random_pixels(CLIPS * CLIP_BYTES, 1);
        float ef[CLIPS], diff[CLIPS] = {1, -1, 0.5f};
        assert_ok(eq_fuse(g, &err));
        long before = allocations;
        assert_ok(new_exec(g, (enum eq_exec_mode)mode, CLIPS, FRAMES, SIZE, &x, &err));
        assert_true(allocations > before); /* the counter works */
        for (int step = 0; step < 3; step++) {
            before = allocations;
            assert_ok(eq_exec_forward(x, pixels, ef, &err));
            if (mode == EQ_EXEC_TRAIN)
                assert_ok(eq_exec_backward(x, diff, &err));
            eq_exec_weights_changed(x);
            if (step > 0) /* libraries may set themselves up in their first call */
                assert_int_equal(allocations - before, 0);
        }
        eq_free(pixels);
        eq_exec_free(x);
        eq_graph_free(g);
    }
}

/* ---- finite differences -------------------------------------------------- */

/* c . EF for the clips' weights c. */
static double weighted_ef(struct eq_exec *x, const uint8_t *pixels, const float *c)
{
    float ef[CLIPS];
    assert_ok(eq_exec_forward(x, pixels, ef, &err));
    double sum = 0;
    for (int i = 0; i < CLIPS; i++)
        sum += (double)c[i] * ef[i];
    return sum;
}

/* One parameter tensor, moved along a random direction and its opposite. */
static void check_param(struct eq_exec *x, struct eq_param *p, const float *grad, const uint8_t *pixels, const float *c)
{
    float *kept = eq_alloc(eq_param_count(p), sizeof(float)), *v = eq_alloc(eq_param_count(p), sizeof(float));
    double norm = 0, analytic = 0, size = 0;
    random_floats(v, eq_param_count(p), -1, 1, (uint32_t)eq_param_count(p));
    for (size_t i = 0; i < eq_param_count(p); i++)
        norm += (double)eq_param_data(p)[i] * eq_param_data(p)[i] / (double)eq_param_count(p);
    double h = 2e-4 * sqrt(norm);
    memcpy(kept, eq_param_data(p), eq_param_count(p) * sizeof(float));
    for (size_t i = 0; i < eq_param_count(p); i++) {
        analytic += (double)grad[i] * v[i];
        size += (double)grad[i] * grad[i];
        eq_param_data(p)[i] = kept[i] + (float)h * v[i];
    }
    double up = weighted_ef(x, pixels, c);
    for (size_t i = 0; i < eq_param_count(p); i++)
        eq_param_data(p)[i] = kept[i] - (float)h * v[i];
    double down = weighted_ef(x, pixels, c), numeric = (up - down) / (2 * h);
    memcpy(eq_param_data(p), kept, eq_param_count(p) * sizeof(float));
    /* What a random direction has of the gradient is size / sqrt(3); the noise is that of EF in float, and kinks of
     * ReLU. */
    if (!(fabs(numeric - analytic) <= 0.05 * sqrt(size) + 2e-5 / h))
        fail_msg("%s: backward gives the slope %.6g, finite differences %.6g (gradient %.3g)", p->name, analytic,
                 numeric, sqrt(size));
    eq_free(kept);
    eq_free(v);
}

/* form: 0 unfused, 1 fused, 2 folded and fused, 3 fused with frozen statistics */
static void gradients_of(int form)
{
    struct eq_graph *g = test_resnet18(WIDTH, 3), *folded = NULL;
    struct eq_exec *x = NULL;
    uint8_t *pixels = random_pixels(CLIPS * CLIP_BYTES, 2);
    const float c[CLIPS] = {1.0f, -0.7f, 0.4f};
    for (size_t i = 0; i < CLIP_BYTES; i++)
        pixels[i] /= 3; /* clips must differ, or batch norm cancels their gradients */
    if (form == 2) {
        assert_ok(eq_fold_batchnorm(g, &folded, &err));
        eq_graph_free(g);
        g = folded;
    }
    if (form > 0)
        assert_ok(eq_fuse(g, &err));
    for (int i = 0; i < g->n_nodes; i++)
        g->nodes[i].bn_frozen = form == 3;
    assert_ok(new_exec(g, EQ_EXEC_TRAIN, CLIPS, FRAMES, SIZE, &x, &err));
    weighted_ef(x, pixels, c);
    eq_exec_zero_grads(x);
    assert_ok(eq_exec_backward(x, c, &err));
    for (int i = 0; i < g->n_params; i++)
        if (g->params[i].trainable)
            check_param(x, &g->params[i], eq_exec_grad(x, i), pixels, c);
    eq_free(pixels);
    eq_exec_free(x);
    eq_graph_free(g);
}

static void gradients(void **state)
{
    (void)state;
    start_threads(1); /* so small a network only waits for a second one */
    for (int form = 0; form < 4; form++)
        gradients_of(form);
    start_threads(2);
}

/* Gradients add up over calls until they are cleared. */
static void gradients_accumulate(void **state)
{
    (void)state;
    struct eq_graph *g = test_resnet18(WIDTH, 3);
    struct eq_exec *x = NULL;
    uint8_t *pixels = random_pixels(CLIPS * CLIP_BYTES, 2);
    const float c[CLIPS] = {1.0f, -0.7f, 0.4f};
    assert_ok(eq_fuse(g, &err));
    assert_ok(new_exec(g, EQ_EXEC_TRAIN, CLIPS, FRAMES, SIZE, &x, &err));
    int conv = eq_graph_find_param(g, "layer2.0.conv1.weight");
    float *grad = eq_exec_grad(x, conv), once[8];
    for (int pass = 0; pass < 2; pass++) {
        weighted_ef(x, pixels, c);
        assert_ok(eq_exec_backward(x, c, &err));
        if (pass == 0)
            memcpy(once, grad, sizeof once);
    }
    for (int i = 0; i < 8; i++)
        assert_true(fabsf(grad[i] - 2 * once[i]) <= 1e-5f * fabsf(once[i]) + 1e-7f);
    assert_refused(eq_exec_backward(x, c, &err), EQ_USAGE, "without a forward");
    eq_exec_zero_grads(x);
    for (int i = 0; i < 8; i++)
        assert_true(grad[i] == 0);
    eq_free(pixels);
    eq_exec_free(x);
    eq_graph_free(g);
}

/* ---- the same bits ------------------------------------------------------- */

/* A hash of EF, every gradient and every running statistic of two training steps. */
static uint64_t training_bits(int threads, bool fused)
{
    assert_int_equal(start_threads(threads), 0);
    struct eq_graph *g = test_resnet18(16, 5);
    struct eq_exec *x = NULL;
    uint8_t *pixels = random_pixels(CLIPS * CLIP_BYTES, 3);
    float ef[CLIPS];
    const float c[CLIPS] = {1.0f, -0.7f, 0.4f};
    uint64_t bits = 0;
    if (fused)
        assert_ok(eq_fuse(g, &err));
    assert_ok(new_exec(g, EQ_EXEC_TRAIN, CLIPS, FRAMES, SIZE, &x, &err));
    for (int step = 0; step < 2; step++) {
        assert_ok(eq_exec_forward(x, pixels, ef, &err));
        assert_ok(eq_exec_backward(x, c, &err));
        bits = bits * 31 + eq_hash64(ef, sizeof ef);
    }
    for (int i = 0; i < g->n_params; i++) {
        const float *v = eq_exec_grad(x, i) ? eq_exec_grad(x, i) : eq_param_data(&g->params[i]);
        bits = bits * 31 + eq_hash64(v, eq_param_count(&g->params[i]) * sizeof *v);
    }
    eq_free(pixels);
    eq_exec_free(x);
    eq_graph_free(g);
    return bits;
}

/* Training fuses its graph, and a state from before it did goes on. */
static void same_bits_fused_or_not(void **state)
{
    (void)state;
    assert_true(training_bits(2, true) == training_bits(2, false));
}

static void same_bits_on_any_number_of_threads(void **state)
{
    (void)state;
    uint64_t one = training_bits(1, true);
    assert_true(training_bits(2, true) == one);
    assert_true(training_bits(3, true) == one);
    assert_true(training_bits(7, true) == one);
    start_threads(2);
}

/* The EF of each clip alone, in pairs, and all in one batch. */
static void same_bits_in_any_batch(void **state)
{
    (void)state;
    enum { ALL = 6 };
    uint8_t *pixels = random_pixels(ALL * CLIP_BYTES, 4);
    for (int width = 4; width <= 16; width *= 4) {
        struct eq_graph *g = test_resnet18(width, 6), *folded = NULL;
        float ef[3][ALL];
        assert_ok(eq_fold_batchnorm(g, &folded, &err));
        assert_ok(eq_fuse(folded, &err));
        const int batch[3] = {1, 2, ALL};
        for (int k = 0; k < 3; k++) {
            struct eq_exec *x = NULL;
            assert_ok(new_exec(folded, EQ_EXEC_INFER, batch[k], FRAMES, SIZE, &x, &err));
            for (int at = 0; at < ALL; at += batch[k])
                assert_ok(eq_exec_forward(x, pixels + (size_t)at * CLIP_BYTES, &ef[k][at], &err));
            eq_exec_free(x);
        }
        assert_memory_equal(ef[0], ef[1], sizeof ef[0]);
        assert_memory_equal(ef[0], ef[2], sizeof ef[0]);
        assert_true(ef[0][0] != ef[0][1]);
        eq_graph_free(g);
        eq_graph_free(folded);
    }
    eq_free(pixels);
}

/* Packed weights are kept: changed ones count after eq_exec_weights_changed, in inference. */
static void weights_changed(void **state)
{
    (void)state;
    struct eq_graph *g = test_resnet18(WIDTH, 1);
    struct eq_exec *x = NULL;
    uint8_t *pixels = random_pixels(CLIP_BYTES, 1);
    float before, after;
    assert_ok(new_exec(g, EQ_EXEC_INFER, 1, FRAMES, SIZE, &x, &err));
    assert_ok(eq_exec_forward(x, pixels, &before, &err));
    struct eq_param *p = &g->params[eq_graph_find_param(g, "layer3.0.conv1.weight")];
    for (size_t i = 0; i < eq_param_count(p); i++)
        eq_param_data(p)[i] *= -1.5f;
    eq_exec_weights_changed(x);
    assert_ok(eq_exec_forward(x, pixels, &after, &err));
    assert_true(before != after);
    eq_free(pixels);
    eq_exec_free(x);
    eq_graph_free(g);
}

/* ---- requests ------------------------------------------------------------ */

/* 16 clips of 16 frames at 112 train within 3 GiB, parameters and optimizer aside. The arena grows by equal parts. */
static void memory_of_training(void **state)
{
    (void)state;
    struct eq_model_meta meta = test_meta;
    struct eq_graph *g = NULL;
    size_t bytes[2];
    assert_ok(eq_resnet18_new(&meta, 64, 1, &g, &err));
    assert_ok(eq_fuse(g, &err));
    for (int clips = 1; clips <= 2; clips++) {
        struct eq_exec *x = NULL;
        assert_ok(new_exec(g, EQ_EXEC_TRAIN, clips, 16, 112, &x, &err));
        bytes[clips - 1] = eq_exec_arena_bytes(x);
        eq_exec_free(x);
    }
    double mib = (double)(bytes[0] + 15 * (bytes[1] - bytes[0])) / (1 << 20);
    print_message("16 clips of 16 frames at 112: an arena of %.0f MiB\n", mib);
    assert_true(mib < 2600);
    eq_graph_free(g);
}

static void refusals(void **state)
{
    (void)state;
    struct eq_graph *g = test_resnet18(WIDTH, 1);
    struct eq_exec *x = NULL;
    assert_refused(new_exec(g, EQ_EXEC_INFER, 0, 3, 32, &x, &err), EQ_USAGE, "at least 1");
    assert_refused(new_exec(g, EQ_EXEC_INFER, 1, 3, 100000, &x, &err), EQ_USAGE, "100000 pixels");
    assert_refused(new_exec(g, EQ_EXEC_TRAIN, 1, 1, 32, &x, &err), EQ_USAGE, "more than one value");
    assert_null(x);
    int conv = eq_graph_find_node(g, "layer1.0.conv2");
    g->nodes[conv].cin = 5;
    assert_refused(new_exec(g, EQ_EXEC_INFER, 1, 3, 32, &x, &err), EQ_USAGE, "layer1.0.conv2: takes 5 channels");
    g->nodes[conv].cin = WIDTH;
    g->nodes[conv].src[0] = conv + 1;
    assert_refused(new_exec(g, EQ_EXEC_INFER, 1, 3, 32, &x, &err), EQ_USAGE, "must come before");
    g->nodes[conv].src[0] = conv - 1;
    assert_ok(new_exec(g, EQ_EXEC_INFER, 1, 3, 32, &x, &err));
    uint8_t *pixels = random_pixels(CLIP_BYTES, 1);
    float ef;
    start_threads(4); /* scratch was sized for 2 */
    assert_refused(eq_exec_forward(x, pixels, &ef, &err), EQ_USAGE, "2 threads");
    start_threads(1);
    assert_ok(eq_exec_forward(x, pixels, &ef, &err));
    start_threads(2);
    assert_refused(eq_exec_backward(x, &ef, &err), EQ_USAGE, "training mode");
    eq_free(pixels);
    eq_exec_free(x);
    eq_graph_free(g);
}

static enum eq_status count_edges(void *ctx, struct eq_graph *g, int node, const float *data, size_t n,
                                  struct eq_err *err)
{
    int *left = ctx;
    assert_true(data && n > 0 && node < g->n_nodes);
    return --*left ? EQ_OK : eq_fail(err, EQ_INTERRUPTED, "enough");
}

static void hooks_and_timing(void **state)
{
    (void)state;
    struct eq_graph *g = test_resnet18(WIDTH, 1);
    struct eq_exec *x = NULL;
    struct eq_exec_layer layer;
    uint8_t *pixels = random_pixels(CLIP_BYTES, 1);
    float ef;
    int left = g->n_nodes + 1;
    assert_ok(new_exec(g, EQ_EXEC_INFER, 1, FRAMES, SIZE, &x, &err));
    eq_exec_set_hook(x, &(struct eq_walk_hook){.on_edge = count_edges, .ctx = &left});
    assert_refused(eq_exec_forward(x, pixels, &ef, &err), EQ_USAGE, "watched");
    eq_exec_free(x);
    assert_ok(new_watched_exec(g, EQ_EXEC_INFER, 1, FRAMES, SIZE, &x, &err));
    eq_exec_set_hook(x, &(struct eq_walk_hook){.on_edge = count_edges, .ctx = &left});
    assert_ok(eq_exec_forward(x, pixels, &ef, &err));
    assert_int_equal(left, 1); /* every node once */
    left = 5;
    assert_refused(eq_exec_forward(x, pixels, &ef, &err), EQ_INTERRUPTED, "enough");
    assert_int_equal(left, 0);
    eq_exec_set_hook(x, NULL);
    const double *ms = eq_exec_time(x, true);
    assert_true(ms[1] == 0); /* nobody timed the passes before */
    assert_ok(eq_exec_forward(x, pixels, &ef, &err));
    double sum = 0;
    for (int i = 0; i < g->n_nodes; i++)
        sum += ms[i];
    assert_true(sum > 0);
    assert_true(eq_exec_layer(x, eq_graph_find_node(g, "conv1"), EQ_CONV_FORWARD, &layer));
    const struct eq_conv_shape *s = &layer.shape;
    assert_true(s->src_layout == EQ_LAYOUT_CLIP && s->k == 7 && s->oh == SIZE / 2 && s->t == FRAMES);
    assert_false(eq_exec_layer(x, eq_graph_find_node(g, "bn1"), EQ_CONV_FORWARD, &layer));
    eq_free(pixels);
    eq_exec_free(x);
    eq_graph_free(g);
}

/* In inference the first convolution pools in its own pass; an executor that is watched, and shows both edges, makes
 * two of it. The bits are the same, also where the convolution's kernel can't do it. */
static void pooling_in_the_convolution(void **state)
{
    (void)state;
    struct eq_graph *g = test_resnet18(16, 6), *folded = NULL;
    struct eq_exec *x = NULL, *watched = NULL;
    struct eq_exec_layer layer;
    uint8_t *pixels = random_pixels(2 * CLIP_BYTES, 4);
    float apart[2], together[2];
    int left = 1 << 20; /* edges that the hook may see before it stops the walk */
    assert_ok(eq_fold_batchnorm(g, &folded, &err));
    assert_ok(eq_fuse(folded, &err));
    assert_ok(new_exec(folded, EQ_EXEC_INFER, 2, FRAMES, SIZE, &x, &err));
    int conv = eq_graph_find_node(folded, "conv1"), pool = eq_graph_find_node(folded, "maxpool");
    assert_ok(new_watched_exec(folded, EQ_EXEC_INFER, 2, FRAMES, SIZE, &watched, &err));
    eq_exec_set_hook(watched, &(struct eq_walk_hook){.on_edge = count_edges, .ctx = &left});
    bool fuses = eq_cpu_use(EQ_ISA_AVX2);
    assert_int_equal(x->plan.nodes[conv].pool, fuses ? pool : 0);
    assert_int_equal(watched->plan.nodes[conv].pool, 0);
    assert_int_equal(x->plan.buffers[conv * EXEC_BUFFERS + EXEC_OUT].bytes == 0, fuses); /* it has no room, either */
    assert_true(eq_exec_layer(x, conv, EQ_CONV_FORWARD, &layer));
    assert_true(layer.pool_k == (fuses ? 3 : 0) && layer.pool_stride == (fuses ? 2 : 0));
    assert_false(eq_exec_layer(x, pool, EQ_CONV_FORWARD, &layer));
    assert_string_equal(layer.name, "maxpool");
    for (int round = 0; round < 2; round++) {
        assert_ok(eq_exec_forward(watched, pixels, apart, &err));
        assert_ok(eq_exec_forward(x, pixels, together, &err));
        assert_memory_equal(apart, together, sizeof apart);
    }
    eq_free(pixels);
    eq_exec_free(x);
    eq_exec_free(watched);
    eq_graph_free(g);
    eq_graph_free(folded);
}

/* In training a batch norm does it, whose mask backward computes again: the same EF and gradients as one by one. */
static void pooling_in_the_batchnorm(void **state)
{
    (void)state;
    struct eq_graph *g = test_resnet18(16, 6);
    struct eq_exec *x = NULL;
    uint8_t *pixels = random_pixels(CLIPS * CLIP_BYTES, 4);
    const float diff[CLIPS] = {1, -1, 0.5f};
    float ef[2][CLIPS];
    uint64_t bits[2] = {0, 0};
    int left = 1 << 20;
    assert_ok(eq_fuse(g, &err));
    for (int k = 0; k < 2; k++) {
        assert_ok((k ? new_watched_exec : new_exec)(g, EQ_EXEC_TRAIN, CLIPS, FRAMES, SIZE, &x, &err));
        assert_int_equal(x->plan.nodes[eq_graph_find_node(g, "bn1")].pool, k ? 0 : eq_graph_find_node(g, "maxpool"));
        assert_true(x->nodes[eq_graph_find_node(g, "layer1.0.bn1")].mask_from_x);
        assert_false(x->nodes[eq_graph_find_node(g, "layer1.0.bn2")].mask_from_x); /* adds a residual before its ReLU */
        eq_exec_set_hook(x, k == 0 ? NULL : &(struct eq_walk_hook){.on_edge = count_edges, .ctx = &left});
        eq_exec_zero_grads(x);
        assert_ok(eq_exec_forward(x, pixels, ef[k], &err));
        assert_ok(eq_exec_backward(x, diff, &err));
        for (int i = 0; i < g->n_params; i++)
            if (eq_exec_grad(x, i))
                bits[k] = bits[k] * 31 + eq_hash64(eq_exec_grad(x, i), eq_tensor_bytes(&g->params[i].value));
        eq_exec_free(x);
    }
    assert_memory_equal(ef[0], ef[1], sizeof ef[0]);
    assert_true(bits[0] == bits[1]);
    eq_free(pixels);
    eq_graph_free(g);
}

/* One block holds every gradient, of parameters and then of learned scales, and nothing else: what it holds beside them
 * stays 0, so that it can be cleared, or summed over processes, as a whole. */
static void gradients_are_one_block(void **state)
{
    (void)state;
    struct eq_graph *g = test_resnet18(WIDTH, 1);
    struct eq_exec *x = NULL;
    uint8_t *pixels = random_pixels(CLIPS * CLIP_BYTES, 1);
    float ef[CLIPS], diff[CLIPS] = {1, -1, 0.5f};
    size_t n, held = 0;
    assert_ok(eq_fuse(g, &err));
    int conv = eq_graph_find_node(g, "layer1.0.conv1"), channels = g->nodes[conv].cout;
    for (int k = 0; k < 2; k++) { /* a scale a channel, learned, and one that is not */
        int fq = eq_graph_add_fake_quant(g, channels, -127, 127);
        for (int c = 0; c < channels; c++)
            g->fake_quants[fq].scale[c] = 0.01f;
        g->fake_quants[fq].enabled = true;
        g->fake_quants[fq].learn_scale = k == 0;
        g->nodes[k ? eq_graph_find_node(g, "layer1.0.conv2") : conv].weight_fq = fq;
    }
    assert_ok(new_exec(g, EQ_EXEC_TRAIN, CLIPS, FRAMES, SIZE, &x, &err));
    float *block = eq_exec_grad_block(x, &n), *next = block;
    assert_ok(eq_exec_forward(x, pixels, ef, &err));
    assert_ok(eq_exec_backward(x, diff, &err));
    double all = 0, own = 0;
    for (size_t i = 0; i < n; i++)
        all += fabs((double)block[i]);
    for (int i = 0; i < g->n_params + g->n_fake_quants; i++) {
        bool is_param = i < g->n_params;
        const float *grad = is_param ? eq_exec_grad(x, i) : eq_exec_scale_grad(x, i - g->n_params);
        size_t count = is_param ? eq_param_count(&g->params[i]) : (size_t)channels;
        assert_int_equal(grad != NULL, is_param ? g->params[i].trainable : i == g->n_params);
        if (!grad)
            continue;
        assert_true(grad >= next && grad + count <= block + n && (grad - block) % 16 == 0);
        next = block + (grad - block) + count;
        held += count;
        for (size_t k = 0; k < count; k++)
            own += fabs((double)grad[k]);
    }
    assert_true(own > 0 && fabs(all - own) <= 1e-9 * own);
    assert_true(eq_exec_scale_grad(x, 0)[0] != 0 && held == eq_graph_param_count(g) + (size_t)channels);
    eq_exec_zero_grads(x);
    for (size_t i = 0; i < n; i++)
        assert_true(block[i] == 0);
    eq_exec_free(x);
    assert_ok(new_exec(g, EQ_EXEC_INFER, 1, FRAMES, SIZE, &x, &err));
    assert_null(eq_exec_grad_block(x, &n));
    assert_true(n == 0 && !eq_exec_scale_grad(x, 0));
    eq_free(pixels);
    eq_exec_free(x);
    eq_graph_free(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(walks_do_not_allocate),
        cmocka_unit_test(gradients),
        cmocka_unit_test(gradients_accumulate),
        cmocka_unit_test(same_bits_fused_or_not),
        cmocka_unit_test(same_bits_on_any_number_of_threads),
        cmocka_unit_test(same_bits_in_any_batch),
        cmocka_unit_test(weights_changed),
        cmocka_unit_test(memory_of_training),
        cmocka_unit_test(refusals),
        cmocka_unit_test(hooks_and_timing),
        cmocka_unit_test(pooling_in_the_convolution),
        cmocka_unit_test(pooling_in_the_batchnorm),
        cmocka_unit_test(gradients_are_one_block),
    };
    return cmocka_run_group_tests(tests, two_threads, stop_threads);
}
