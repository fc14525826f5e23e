/* Random small networks and clips for the tests of the quant floor. */
#ifndef ECHOQUANT_TESTS_QUANT_FIXTURE_H
#define ECHOQUANT_TESTS_QUANT_FIXTURE_H

#include "echoquant/quant.h"
#include "new_exec.h"
#include "unit/cmocka_all.h"

#include <math.h>
#include <string.h>

/* Fails the test with the error's text. */
#define assert_ok(call)                                                                                                \
    do {                                                                                                               \
        struct eq_err ok_err = {0};                                                                                    \
        struct eq_err *e_ = &ok_err;                                                                                   \
        if ((call) != EQ_OK)                                                                                           \
            fail_msg("%s: %s", #call, ok_err.msg);                                                                     \
    } while (0)

struct net_builder {
    struct eq_graph *g;
    struct eq_rng rng;
};

static inline int net_param(struct net_builder *b, const char *node, const char *kind, int rank, const size_t *shape,
                            bool trainable)
{
    char name[96];
    snprintf(name, sizeof name, "%s.%s", node, kind);
    int at = eq_graph_add_param(b->g, name, rank, shape, trainable, rank > 1);
    assert_true(at >= 0);
    return at;
}

static inline void net_fill(struct net_builder *b, int param, double mean, double deviation)
{
    struct eq_param *p = &b->g->params[param];
    for (size_t i = 0; i < eq_param_count(p); i++)
        eq_param_data(p)[i] = (float)(mean + deviation * eq_rng_normal(&b->rng));
}

static inline int net_node(struct net_builder *b, struct eq_node n, const char *name)
{
    assert_true((size_t)snprintf(n.name, sizeof n.name, "%s", name) < sizeof n.name);
    int at = eq_graph_add_node(b->g, &n);
    assert_true(at >= 0);
    return at;
}

static inline int net_simple(struct net_builder *b, enum eq_op op, int src, const char *name, int c)
{
    struct eq_node n = eq_node_of(op, src);
    n.cin = n.cout = c;
    if (op == EQ_OP_MAXPOOL) {
        n.k = 3;
        n.stride = 2;
        n.pad = 1;
    }
    return net_node(b, n, name);
}

/* conv + batch norm (+ ReLU) with statistics that roughly fit; gammas of both signs. */
static inline int net_conv(struct net_builder *b, int src, const char *name, int cin, int cout, int k, int stride,
                           bool relu)
{
    char bn_name[72], relu_name[72];
    struct eq_node n = eq_node_of(EQ_OP_CONV2D, src);
    n.cin = cin;
    n.cout = cout;
    n.k = k;
    n.stride = stride;
    n.pad = k / 2;
    n.weight = net_param(b, name, "weight", 4, (size_t[]){cout, cin, k, k}, true);
    net_fill(b, n.weight, 0, sqrt(2.0 / (cin * k * k)));
    int x = net_node(b, n, name);
    snprintf(bn_name, sizeof bn_name, "%s_bn", name);
    struct eq_node bn = eq_node_of(EQ_OP_BATCHNORM, x);
    bn.cin = bn.cout = cout;
    bn.eps = 1e-5f;
    bn.momentum = 0.1f;
    bn.gamma = net_param(b, bn_name, "weight", 1, (size_t[]){cout}, true);
    bn.beta = net_param(b, bn_name, "bias", 1, (size_t[]){cout}, true);
    bn.running_mean = net_param(b, bn_name, "running_mean", 1, (size_t[]){cout}, false);
    bn.running_var = net_param(b, bn_name, "running_var", 1, (size_t[]){cout}, false);
    net_fill(b, bn.gamma, 0.8, 0.4);
    net_fill(b, bn.beta, 0.1, 0.3);
    net_fill(b, bn.running_mean, 0, 0.2);
    for (int c = 0; c < cout; c++)
        eq_param_data(&b->g->params[bn.running_var])[c] = (float)eq_rng_range(&b->rng, 0.4, 2);
    x = net_node(b, bn, bn_name);
    snprintf(relu_name, sizeof relu_name, "%s_relu", name);
    return relu ? net_simple(b, EQ_OP_RELU, x, relu_name, cout) : x;
}

/* conv, conv and a residual that is the input itself or a projection of it. */
static inline int net_block(struct net_builder *b, int src, const char *name, int cin, int cout, int stride)
{
    char s[64];
    snprintf(s, sizeof s, "%s.conv1", name);
    int x = net_conv(b, src, s, cin, cout, 3, stride, true), shortcut = src;
    snprintf(s, sizeof s, "%s.conv2", name);
    x = net_conv(b, x, s, cout, cout, 3, 1, false);
    snprintf(s, sizeof s, "%s.down", name);
    if (cin != cout || stride != 1)
        shortcut = net_conv(b, src, s, cin, cout, 1, stride, false);
    snprintf(s, sizeof s, "%s.add", name);
    struct eq_node add = eq_node_of(EQ_OP_ADD, x);
    add.src[1] = shortcut;
    add.cin = add.cout = cout;
    x = net_node(b, add, s);
    snprintf(s, sizeof s, "%s.relu", name);
    return eq_rng_below(&b->rng, 4) ? net_simple(b, EQ_OP_RELU, x, s, cout) : x;
}

static inline void net_head(struct net_builder *b, int src, int cin)
{
    int x = net_simple(b, EQ_OP_GLOBAL_AVG, src, "avgpool", cin);
    x = net_simple(b, EQ_OP_TEMPORAL_MEAN, x, "temporal_mean", cin);
    struct eq_node n = eq_node_of(EQ_OP_LINEAR, x);
    n.cin = cin;
    n.cout = 1;
    n.weight = net_param(b, "fc", "weight", 2, (size_t[]){1, cin}, true);
    n.bias = net_param(b, "fc", "bias", 1, (size_t[]){1}, true);
    net_fill(b, n.weight, 0, 8 / sqrt(cin));
    net_fill(b, n.bias, 55, 5);
    b->g->output = net_node(b, n, "fc");
}

/* A training graph, neither folded nor fused: a stem, perhaps pooling, one to three blocks, the head; odd sizes. */
static inline struct eq_graph *random_net(uint64_t seed)
{
    struct net_builder b = {.g = calloc(1, sizeof(struct eq_graph))};
    assert_non_null(b.g);
    eq_rng_init(&b.rng, seed, EQ_RNG_TEST, 0, 77);
    int stem = 1 + (int)eq_rng_below(&b.rng, 20);
    b.g->meta = (struct eq_model_meta){.frames = 1 + (int)eq_rng_below(&b.rng, 4),
                                       .size = 9 + (int)eq_rng_below(&b.rng, 12),
                                       .pixel_mean = (int)eq_rng_below(&b.rng, 256),
                                       .pixel_std = (float)eq_rng_range(&b.rng, 20, 80),
                                       .target_mean = 55,
                                       .target_std = 12};
    int x = b.g->input = net_simple(&b, EQ_OP_INPUT, -1, "input", 3);
    /* Drawn one by one: the order of arguments is the compiler's. */
    int stride = 1 + (int)eq_rng_below(&b.rng, 2), k = 3 + 2 * (int)eq_rng_below(&b.rng, 3);
    x = net_conv(&b, x, "stem", 3, stem, k, stride, true);
    if (eq_rng_below(&b.rng, 2))
        x = net_simple(&b, EQ_OP_MAXPOOL, x, "pool", stem);
    int c = stem, blocks = 1 + (int)eq_rng_below(&b.rng, 3);
    for (int i = 0; i < blocks; i++) {
        char name[16];
        snprintf(name, sizeof name, "b%d", i);
        int cout = eq_rng_below(&b.rng, 2) ? c : 1 + (int)eq_rng_below(&b.rng, 33);
        x = net_block(&b, x, name, c, cout, 1 + (int)eq_rng_below(&b.rng, 2));
        c = cout;
    }
    net_head(&b, x, c);
    return b.g;
}

/* Clips of noise over a gradient, the same for the same seed. */
struct noise_clips {
    struct eq_clip_source source;
    uint8_t *pixels;
    int n, given;
};

static inline enum eq_status noise_next(void *ctx, const uint8_t **pixels, int *n, struct eq_err *err)
{
    struct noise_clips *c = ctx;
    (void)err;
    size_t clip = (size_t)c->source.frames * c->source.size * c->source.size * 3;
    *n = c->n - c->given < 2 ? c->n - c->given : 2;
    *pixels = c->pixels + (size_t)c->given * clip;
    c->given += *n;
    return EQ_OK;
}

static inline enum eq_status noise_rewind(void *ctx, struct eq_err *err)
{
    (void)err;
    ((struct noise_clips *)ctx)->given = 0;
    return EQ_OK;
}

static inline void noise_clips_init(struct noise_clips *c, uint64_t seed, int n, int frames, int size)
{
    size_t row = (size_t)size * 3, total = (size_t)n * frames * size * row;
    struct eq_rng rng;
    eq_rng_init(&rng, seed, EQ_RNG_TEST, 0, 78);
    *c = (struct noise_clips){.n = n, .pixels = malloc(total ? total : 1)};
    assert_non_null(c->pixels);
    c->source = (struct eq_clip_source){
        .next = noise_next, .rewind = noise_rewind, .ctx = c, .max_clips = 2, .frames = frames, .size = size};
    for (size_t i = 0; i < total; i++) {
        double v = 128 + 100 * sin((double)(i % row) / row * 5) + 40 * eq_rng_normal(&rng);
        c->pixels[i] = (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
    }
}

/* Folded, fused, prepared and calibrated for PTQ; or, with keep_bn, fused, prepared and calibrated as QAT starts. Frees
 * net. */
static inline struct eq_graph *calibrated_net_for(struct eq_graph *net, bool keep_bn, enum eq_observer_kind kind,
                                                  enum eq_arithmetic arithmetic, struct noise_clips *clips)
{
    struct eq_observer_opts opts = {.kind = kind, .averaging = 0.01, .percentile = 99.9};
    struct eq_graph *g = net;
    size_t used;
    if (!keep_bn) {
        assert_ok(eq_fold_batchnorm(net, &g, e_));
        eq_graph_free(net);
    }
    assert_ok(eq_fuse(g, e_));
    assert_ok(eq_prepare_fake_quant_for(g, 8, arithmetic, e_));
    assert_ok(eq_calibrate(g, &clips->source, (size_t)clips->n, &opts, NULL, &used, e_));
    assert_int_equal(used, clips->n);
    return g;
}

static inline struct eq_graph *calibrated_net(struct eq_graph *net, bool keep_bn, enum eq_observer_kind kind,
                                              struct noise_clips *clips)
{
    return calibrated_net_for(net, keep_bn, kind, EQ_ARITHMETIC_DIRECT, clips);
}

/* Scales of edges and points a thousand times too small or too large, zero-points at the ends. */
static inline void extreme_qparams(struct eq_graph *g, uint64_t seed)
{
    struct eq_rng rng;
    eq_rng_init(&rng, seed, EQ_RNG_TEST, 0, 79);
    for (int i = 0; i < g->n_nodes; i++) {
        const int fqs[2] = {g->nodes[i].edge_fq, g->nodes[i].point_fq};
        for (int k = 0; k < 2; k++)
            for (int c = 0; fqs[k] >= 0 && c < g->fake_quants[fqs[k]].channels; c++) {
                struct eq_fake_quant *fq = &g->fake_quants[fqs[k]];
                fq->scale[c] *= (float)pow(10, eq_rng_range(&rng, -3, 3));
                uint32_t zp = eq_rng_below(&rng, 4);
                fq->zero_point[c] = zp == 0 ? 0 : zp == 1 ? 255 : zp == 2 ? 128 : (int)eq_rng_below(&rng, 256);
            }
    }
}

/* Weights of 2 to 7 bits, with one scale for a channel or for the layer. */
static inline void few_bits_of_a_layer(struct eq_graph *g, uint64_t seed)
{
    struct eq_weight_opts opts = {.kind = EQ_WEIGHT_MSE, .per_tensor = seed % 2};
    int qmax = (1 << (1 + seed % 6)) - 1;
    for (int i = 0; i < g->n_nodes; i++)
        if (g->nodes[i].weight_fq >= 0) {
            g->fake_quants[g->nodes[i].weight_fq].qmin = -qmax;
            g->fake_quants[g->nodes[i].weight_fq].qmax = qmax;
        }
    assert_ok(eq_set_weight_qparams(g, &opts, e_));
}

/* Keeps about half of the layers in FP32, drawn from that stream of the seed, or all. */
static inline void keep_random_layers(struct eq_graph *g, uint64_t seed, uint32_t stream, bool all)
{
    struct eq_rng rng;
    bool keep[64];
    eq_rng_init(&rng, seed, EQ_RNG_TEST, 0, stream);
    assert_true(g->n_nodes <= 64);
    for (int i = 0; i < g->n_nodes; i++)
        keep[i] = all || eq_rng_below(&rng, 2);
    assert_ok(eq_keep_fp32(g, keep, e_));
}

#endif
