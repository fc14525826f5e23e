/*
 * Whether a device computes what kernels/ref does: three small networks of random numbers, in INT8, mixed precision and
 * FP32, every edge and EF to the bit. Together they run every kernel that the device's path has: each is made once with
 * the large tiles and once with the small ones. Channels are odd or whole quads of words, zero-points 0, 255 and
 * between, with residuals and ReLU.
 */
#include "device/reference.h"
#include "quant/qmodel.h"

#include <limits.h>
#include <math.h>
#include <string.h>

enum { NODES = 9, CLIPS = 2, FRAMES = 3, SIZE = 13 };

/* A node of a network: what differs. fp32: computed in floats; floats: its edge is one of floats. */
struct check_node {
    enum eq_qop op;
    int src, residual, cin, cout, k, stride, pad;
    bool relu;
    int zero_point;
    bool fp32, floats;
};
struct check_net {
    const char *name;
    bool mixed, doubles;
    int n;
    struct check_node nodes[NODES];
};
#define INPUT                                                                                                          \
    {                                                                                                                  \
        EQ_QOP_INPUT, -1, -1, 3, 3, 1, 1, 0, false, 77, false, false                                                   \
    }

static const struct check_net nets[] = {
    {"INT8",
     true,
     false,
     9,
     {INPUT,
      {EQ_QOP_CONV2D, 0, -1, 3, 37, 7, 2, 3, true, 0, false, false}, /* pools */
      {EQ_QOP_MAXPOOL, 1, -1, 37, 37, 3, 2, 1, false, 0, false, false},
      {EQ_QOP_CONV2D, 2, -1, 37, 64, 3, 1, 1, true, 255, false, false},
      {EQ_QOP_MAXPOOL, 3, -1, 64, 64, 3, 1, 1, false, 255, false, false}, /* in a kernel of its own */
      {EQ_QOP_CONV2D, 4, -1, 64, 80, 3, 1, 1, false, 130, false, false},
      {EQ_QOP_CONV2D, 3, -1, 64, 80, 1, 1, 0, false, 3, false, false},
      {EQ_QOP_CONV2D, 5, 6, 80, 80, 3, 1, 1, true, 9, false, false},
      {EQ_QOP_HEAD, 7, -1, 80, 1, 1, 1, 0, false, 0, false, false}}},
    {"mixed precision",
     true,
     false,
     9,
     {INPUT,
      {EQ_QOP_CONV2D, 0, -1, 3, 37, 5, 2, 2, true, 0, true, true},
      {EQ_QOP_MAXPOOL, 1, -1, 37, 37, 3, 2, 1, false, 0, false, true},
      {EQ_QOP_CONV2D, 2, -1, 37, 68, 3, 1, 1, false, 100, true, false},
      {EQ_QOP_CONV2D, 3, -1, 68, 68, 3, 1, 1, true, 0, false, false},
      {EQ_QOP_CONV2D, 4, 3, 68, 68, 3, 1, 1, true, 0, true, true},
      {EQ_QOP_CONV2D, 5, 5, 68, 68, 1, 1, 0, true, 0, true, true},
      {EQ_QOP_CONV2D, 6, -1, 68, 70, 2, 2, 0, false, 200, true, false},
      {EQ_QOP_HEAD, 7, -1, 70, 1, 1, 1, 0, false, 0, true, false}}},
    {"FP32",
     false,
     false,
     6,
     {INPUT,
      {EQ_QOP_CONV2D, 0, -1, 3, 65, 3, 2, 1, true, 0, true, true},
      {EQ_QOP_MAXPOOL, 1, -1, 65, 65, 3, 1, 1, false, 0, false, true},
      {EQ_QOP_CONV2D, 2, -1, 65, 36, 3, 1, 1, false, 0, true, true},
      {EQ_QOP_CONV2D, 3, 3, 36, 36, 3, 1, 1, true, 0, true, true},
      {EQ_QOP_HEAD, 4, -1, 36, 1, 1, 1, 0, false, 0, true, false}}},
    {"a head of doubles",
     true,
     true,
     3,
     {INPUT,
      {EQ_QOP_CONV2D, 0, -1, 3, 36, 3, 3, 1, false, 0, true, true},
      {EQ_QOP_HEAD, 1, -1, 36, 1, 1, 1, 0, false, 0, true, false}}},
};

/* ---- making -------------------------------------------------------------------- */

/* Weights and scales that spread outputs over their range. */
static void fill_weights(struct eq_qnode *n, float src_scale, struct eq_rng *rng)
{
    const size_t all = eq_qnode_weights(n), per = all / (size_t)n->cout;
    for (size_t i = 0; i < all && n->fp32; i++)
        n->fp32_weights[i] = (float)(eq_rng_range(rng, -1, 1) * 2 / sqrt((double)per));
    for (size_t i = 0; i < all && !n->fp32; i++)
        n->weights[i] = (int8_t)((int)eq_rng_below(rng, 255) - 127);
    for (int c = 0; c < n->cout; c++) {
        if (!n->fp32)
            n->weight_scale[c] =
                (float)(eq_rng_range(rng, 0.5, 1.5) * 60 * n->dst.scale / (src_scale * 8000 * sqrt((double)per)));
        n->bias[c] = (float)(eq_rng_range(rng, -20, 20) * n->dst.scale);
    }
}

static enum eq_status make_model(const struct check_net *net, struct eq_qmodel *m, struct eq_err *err)
{
    struct eq_rng rng;
    eq_rng_init(&rng, 1, EQ_RNG_TEST, 0, (uint32_t)(net - nets));
    *m = (struct eq_qmodel){.meta = {.frames = FRAMES, .size = SIZE, .pixel_mean = 77, .pixel_std = 40},
                            .n_nodes = net->n};
    m->nodes = eq_alloc((size_t)net->n, sizeof *m->nodes);
    if (!m->nodes)
        return eq_fail(err, EQ_NOMEM, "out of memory for the self-check");
    for (int i = 0; i < net->n; i++) {
        const struct check_node *c = &net->nodes[i];
        struct eq_qnode *n = &m->nodes[i];
        *n = (struct eq_qnode){.op = c->op,
                               .src = c->src,
                               .residual = c->residual,
                               .cin = c->cin,
                               .cout = c->cout,
                               .k = c->k,
                               .stride = c->stride,
                               .pad = c->pad,
                               .relu = c->relu,
                               .weight_bits = c->fp32 ? 32 : 8,
                               .fp32 = c->fp32,
                               .fp32_edge = c->floats,
                               .dst = {0.03f, c->zero_point, 0, 255}};
        snprintf(n->name, sizeof n->name, "node %d", i);
        if (eq_qnode_weights(n)) {
            EQ_CHECK(eq_qnode_alloc(n, err));
            fill_weights(n, m->nodes[n->src].fp32_edge ? 1 : m->nodes[n->src].dst.scale, &rng);
        }
        eq_qmodel_derive_qparams(m);
    }
    return EQ_OK;
}

/* ---- comparing -------------------------------------------------------------------- */

struct check {
    const struct eq_device *device;
    const char *name; /* of the network */
    const struct eq_qmodel *model;
    struct eq_device_net *net;
    uint8_t *pixels;
    void *edges[NODES];
    void *made; /* by the device */
    float ef[CLIPS], made_ef[CLIPS];
};

static enum eq_status differs(const struct check *c, const char *what, const char *kernel, struct eq_err *err)
{
    return eq_fail(err, EQ_NUMERIC, "%s (%s) does not compute what the CPU does: self-check in %s, %s by kernel %s",
                   c->device->info.id, c->device->info.name, c->name, what, kernel);
}

static enum eq_status compare_edges(struct check *c, struct eq_err *err)
{
    for (int i = 0; i < c->model->n_nodes - 1; i++) {
        const struct eq_device_edge *e = &c->net->edges[i];
        const size_t values = e->rows * (size_t)e->channels, bytes = values * (e->bytes ? 1 : 4);
        if (!e->kept) /* its kernel pools it */
            continue;
        EQ_CHECK(eq_device_net_edge(c->net, i, c->made, bytes, err));
        const float *a = c->edges[i], *b = c->made;
        bool equal = !e->bytes || memcmp(a, b, bytes) == 0;
        for (size_t k = 0; k < values && !e->bytes; k++)
            equal = equal && a[k] == b[k]; /* 0 is -0 */
        if (!equal)
            return differs(c, c->model->nodes[i].name, e->kernel, err);
    }
    for (int clip = 0; clip < CLIPS; clip++)
        if (c->ef[clip] != c->made_ef[clip])
            return differs(c, "EF", c->net->edges[c->model->n_nodes - 1].kernel, err);
    return EQ_OK;
}

static enum eq_status allocate(struct check *c, struct eq_err *err)
{
    size_t most = 0;
    bool all = true;
    for (int i = 0; i < c->model->n_nodes - 1; i++) {
        const size_t bytes = c->net->edges[i].rows * (size_t)c->net->edges[i].channels * 4;
        most = bytes > most ? bytes : most;
        c->edges[i] = eq_alloc(bytes, 1);
        all = all && c->edges[i];
    }
    c->made = eq_alloc(most, 1);
    c->pixels = eq_alloc((size_t)CLIPS * FRAMES * SIZE * SIZE * 3, 1);
    return all && c->made && c->pixels ? EQ_OK : eq_fail(err, EQ_NOMEM, "out of memory for the self-check");
}

/* One network with tiles for a device of that many compute units. */
static enum eq_status check_net(const struct eq_device *d, const struct check_net *net, int units, struct eq_err *err)
{
    enum eq_status st;
    struct eq_qmodel m;
    struct eq_device small = *d;
    struct check c = {.device = d, .name = net->name, .model = &m};
    struct eq_rng rng;
    small.keep_edges = true;
    small.info.units = units;
    EQ_TRY(make_model(net, &m, err));
    EQ_TRY(eq_device_net_make(&small, &m, net->mixed, CLIPS, &c.net, err));
    EQ_TRY(allocate(&c, err));
    eq_rng_init(&rng, 2, EQ_RNG_TEST, 0, 0);
    for (size_t i = 0; i < (size_t)CLIPS * FRAMES * SIZE * SIZE * 3; i++)
        c.pixels[i] = (uint8_t)eq_rng_below(&rng, 256);
    EQ_TRY(eq_device_net_run(c.net, c.pixels, c.made_ef, err));
    EQ_TRY(eq_device_reference(&m, c.net, c.pixels, c.edges, c.ef, err));
    EQ_TRY(compare_edges(&c, err));
out:
    eq_device_net_free(c.net);
    for (int i = 0; i < NODES; i++)
        eq_free(c.edges[i]);
    eq_free(c.made);
    eq_free(c.pixels);
    for (int i = 0; m.nodes && i < m.n_nodes; i++) {
        eq_free(m.nodes[i].weights);
        eq_free(m.nodes[i].weight_scale);
        eq_free(m.nodes[i].fp32_weights);
        eq_free(m.nodes[i].bias);
    }
    eq_free(m.nodes);
    return st;
}

enum eq_status eq_device_self_check(struct eq_device *d, struct eq_err *err)
{
    struct eq_device_answers a;
    EQ_CHECK(eq_device_ask(d, &a, err));
    if (a.step_bytes != (int)sizeof(struct eq_device_step) || a.step_layout != EQ_STEP_LAYOUT)
        return eq_fail(err, EQ_NUMERIC, "%s (%s) reads the host's tables otherwise than the host wrote them",
                       d->info.id, d->info.name);
    for (size_t i = 0; i < sizeof nets / sizeof *nets; i++) {
        if (nets[i].doubles && !a.has_doubles)
            continue;
        EQ_CHECK(check_net(d, &nets[i], 0, err));       /* large tiles */
        EQ_CHECK(check_net(d, &nets[i], INT_MAX, err)); /* small ones */
    }
    return EQ_OK;
}
