/* A network before its first call: the plan of the arena, packed weights, the table of steps, the recorded launches. */
#include "device/net.h"
#include "quant/qmodel.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The buffers of a node in the arena. RAW: the caller's pixels, of the input; the sums, of the head. */
enum { NET_EDGE, NET_RAW, NET_PARTS, NET_BUFFERS = NET_PARTS + EQ_DEVICE_PARTS };
enum { ITEMS = 128, HEAD_ITEMS = 256, MOST_PIECES = 16, PIECE_WORDS = 4096 }; /* ITEMS: as in rest.cl */
enum { MOST_WORDS = 1 << 30 };                                                /* of an edge: kernels count in int */

struct making {
    struct eq_device_net *net;
    const struct eq_qmodel *model;
    bool mixed;
    struct eq_plan plan;
    struct eq_device_conv *convs; /* [n_nodes] */
    float *mb;                    /* m and b of all convolutions, one after the other */
    struct eq_device_step *steps; /* [n_nodes] */
    struct eq_launch *launches;   /* [n_launches], at most n_nodes */
    size_t n_launches;
};

/* ---- what a layer is ------------------------------------------------------------- */

static enum eq_status describe_edge(struct making *k, int i, struct eq_err *err)
{
    const struct eq_qnode *n = &k->model->nodes[i];
    const struct eq_plan_node *p = &k->plan.nodes[i];
    struct eq_device_edge *e = &k->net->edges[i];
    *e = (struct eq_device_edge){
        .rows = p->rows, .channels = p->c, .bytes = !n->fp32_edge, .words = eq_device_words(p->c, !n->fp32_edge)};
    if (n->op != EQ_QOP_HEAD && (p->rows > MOST_WORDS || p->rows * (size_t)e->words > MOST_WORDS))
        return eq_fail(err, EQ_UNSUPPORTED,
                       "%s: its output of %zu x %d values is too large for a device: batch fewer clips", n->name,
                       p->rows, p->c);
    return EQ_OK;
}

/* Devices may take a subnormal number for zero, and the CPU's kernels do. */
static enum eq_status check_scale(const struct eq_qnode *n, const char *what, float scale, struct eq_err *err)
{
    if (isfinite(scale) && fabsf(scale) >= FLT_MIN)
        return EQ_OK;
    return eq_fail(err, EQ_UNSUPPORTED, "%s: %s is %g, which a device may take for %s: run this model on the CPU",
                   n->name, what, (double)scale, isfinite(scale) ? "zero" : "infinite");
}

static enum eq_status describe_u8s8(const struct making *k, int i, float *mb, struct eq_err *err)
{
    const struct eq_qnode *n = &k->model->nodes[i];
    struct eq_device_conv *c = &k->convs[i];
    const struct eq_u8s8_epilogue e = eq_qmodel_epilogue(k->model, i, mb);
    for (int channel = 0; channel < n->cout; channel++)
        EQ_CHECK(check_scale(n, "the scale of a channel's sums", e.m[channel], err));
    c->weights = n->weights;
    c->m = e.m;
    c->b = e.b;
    c->target_min = e.dst_min;
    c->target_max = e.dst_max;
    c->residual_scale = e.residual_m;
    return n->residual < 0 ? EQ_OK : check_scale(n, "the scale of its residual", e.residual_m, err);
}

static enum eq_status describe_f32(const struct making *k, int i, struct eq_err *err)
{
    const struct eq_qnode *nodes = k->model->nodes, *n = &nodes[i], *src = &nodes[n->src];
    struct eq_device_conv *c = &k->convs[i];
    c->weights_f32 = n->fp32_weights;
    c->b = n->bias;
    c->source_bytes = !src->fp32_edge;
    c->relu = n->relu;
    c->target_bytes = !n->fp32_edge;
    c->target_scale = n->dst.scale;
    if (c->source_bytes) {
        c->source_scale = src->dst.scale;
        EQ_CHECK(check_scale(n, "the scale of its source", c->source_scale, err));
    }
    if (n->residual >= 0 && !nodes[n->residual].fp32_edge) {
        c->residual_bytes = true;
        c->residual_scale = nodes[n->residual].dst.scale;
        EQ_CHECK(check_scale(n, "the scale of its residual", c->residual_scale, err));
    }
    return c->target_bytes ? check_scale(n, "the inverse scale of its output", 1.0f / c->target_scale, err) : EQ_OK;
}

/* Max pooling in the convolution's kernel, where it can. */
static void describe_pool(struct making *k, int i)
{
    const struct eq_qnode *n = &k->model->nodes[i];
    const struct eq_device_info *info = &k->net->device->info;
    struct eq_device_conv *c = &k->convs[i];
    if (!n->fp32 || c->relu || c->target_bytes)
        eq_plan_fuse_pool(&k->plan, i, eq_device_pool_fits);
    eq_plan_pool(&k->plan, i, &c->pool.window, &c->pool.stride, &c->pool.pad);
    if (!c->pool.window)
        return;
    eq_device_pool_init(&c->shape, info->units, &c->pool);
    c->tile = eq_device_pool_tile(info->integer_path, n->fp32);
}

static enum eq_status describe_conv(struct making *k, int i, float *mb, struct eq_err *err)
{
    const struct eq_qnode *nodes = k->model->nodes, *n = &nodes[i];
    const struct eq_device_info *info = &k->net->device->info;
    struct eq_device_conv *c = &k->convs[i];
    *c = (struct eq_device_conv){.shape = k->plan.nodes[i].conv,
                                 .source_zero = nodes[n->src].dst.zero_point,
                                 .residual = n->residual >= 0,
                                 .residual_zero = n->residual >= 0 ? nodes[n->residual].dst.zero_point : 0,
                                 .target_zero = n->dst.zero_point};
    c->tile = eq_device_tile_for(info->integer_path, n->fp32, &c->shape, info->units);
    EQ_CHECK(n->fp32 ? describe_f32(k, i, err) : describe_u8s8(k, i, mb, err));
    describe_pool(k, i);
    return EQ_OK;
}

/* ---- the plan --------------------------------------------------------------------- */

static size_t value_bytes(const struct eq_device_net *n)
{
    return n->head == EQ_DEVICE_HEAD_F32 || n->head == EQ_DEVICE_HEAD_SUMS_U8 ? 4 : 8;
}

static void plan_head(struct making *k, int i)
{
    struct eq_device_net *net = k->net;
    const struct eq_qnode *n = &k->model->nodes[i], *src = &k->model->nodes[n->src];
    const struct eq_plan_node *in = &k->plan.nodes[n->src];
    const int64_t clip_words = (int64_t)in->h * in->w * in->t * net->edges[n->src].words;
    const bool sums = n->fp32 && k->mixed;
    net->channels = in->c;
    net->count = (double)in->h * in->w * in->t;
    net->bias = (double)n->bias[0];
    net->head = sums      ? src->fp32_edge ? EQ_DEVICE_HEAD_SUMS_F32 : EQ_DEVICE_HEAD_SUMS_U8
                : n->fp32 ? EQ_DEVICE_HEAD_F32
                          : EQ_DEVICE_HEAD_U8;
    net->pieces = (int)((clip_words + PIECE_WORDS - 1) / PIECE_WORDS);
    net->pieces = net->pieces < MOST_PIECES ? net->pieces : MOST_PIECES;
    net->sum_channels = net->edges[n->src].words * (net->head == EQ_DEVICE_HEAD_SUMS_U8 ? 4 : 1);
    net->sums_bytes = (size_t)net->clips * (size_t)(sums ? net->sum_channels : net->pieces) * value_bytes(net);
    eq_plan_reserve(&k->plan, i, NET_RAW, net->sums_bytes, i, k->plan.n_nodes);
    eq_plan_reserve(&k->plan, i, NET_PARTS, (size_t)net->edges[n->src].words * 4, 0, k->plan.n_nodes);
}

static void plan_node(struct making *k, int i)
{
    struct eq_device_net *net = k->net;
    const int last = k->plan.n_nodes, op = k->model->nodes[i].op;
    struct eq_device_edge *e = &net->edges[i];
    if (op == EQ_QOP_HEAD) {
        plan_head(k, i);
        return;
    }
    const struct eq_plan_node *p = &k->plan.nodes[i];
    e->kept = net->device->keep_edges && !p->pool;
    if (!p->pool)
        eq_plan_reserve(&k->plan, i, NET_EDGE, e->rows * (size_t)e->words * 4, p->pooled_by ? p->pooled_by : i,
                        e->kept ? last : p->last);
    if (op == EQ_QOP_INPUT)
        eq_plan_reserve(&k->plan, i, NET_RAW, e->rows * 3, i, i);
    for (int part = 0; op == EQ_QOP_CONV2D && part < EQ_DEVICE_PARTS; part++)
        eq_plan_reserve(&k->plan, i, NET_PARTS + part, eq_device_conv_bytes(&k->convs[i], (enum eq_device_part)part), 0,
                        last);
}

static size_t offset_of(const struct making *k, int node, int kind)
{
    return k->plan.buffers[node * k->plan.kinds + kind].offset;
}

/* ---- upload ------------------------------------------------------------------------ */

static enum eq_status upload(const struct making *k, int node, int kind, const void *data, size_t bytes,
                             struct eq_err *err)
{
    const struct eq_device *d = k->net->device;
    return d->api->write(d->ctx, k->net->arena, offset_of(k, node, kind), data, bytes, err);
}

static enum eq_status upload_conv(const struct making *k, int i, struct eq_err *err)
{
    enum eq_status st = EQ_OK;
    for (int part = 0; part < EQ_DEVICE_PARTS && st == EQ_OK; part++) {
        const size_t bytes = eq_device_conv_bytes(&k->convs[i], (enum eq_device_part)part);
        void *packed = eq_alloc(bytes, 1);
        if (!packed)
            return eq_fail(err, EQ_NOMEM, "%s: out of memory for its packed weights", k->model->nodes[i].name);
        eq_device_conv_pack(&k->convs[i], (enum eq_device_part)part, packed);
        st = upload(k, i, NET_PARTS + part, packed, bytes, err);
        eq_free(packed);
    }
    return st;
}

/* Weights of products on the device as its edge's words; of sums, a copy for the host. */
static enum eq_status upload_head(const struct making *k, int i, struct eq_err *err)
{
    struct eq_device_net *net = k->net;
    const struct eq_qnode *n = &k->model->nodes[i], *src = &k->model->nodes[n->src];
    const size_t bytes = (size_t)net->edges[n->src].words * 4;
    net->sums = eq_alloc(net->sums_bytes, 1);
    net->weights = eq_alloc(bytes * 4, 1);
    if (!net->sums || !net->weights)
        return eq_fail(err, EQ_NOMEM, "%s: out of memory for its sums", n->name);
    if (n->fp32) {
        memcpy(net->weights, n->fp32_weights, (size_t)n->cin * sizeof(float));
        net->scale = (double)src->dst.scale;
    } else {
        int64_t sum = 0;
        for (int c = 0; c < n->cin; c++)
            sum += n->weights[c];
        memcpy(net->weights, n->weights, (size_t)n->cin);
        net->zero = sum * src->dst.zero_point * (int64_t)net->count;
        net->scale = (double)src->dst.scale * n->weight_scale[0] / net->count;
    }
    return upload(k, i, NET_PARTS, net->weights, bytes, err);
}

/* ---- steps and launches ------------------------------------------------------------- */

static void launch(struct making *k, struct eq_launch l)
{
    k->net->edges[l.step].kernel = l.kernel;
    k->launches[k->n_launches++] = l;
}

static void launch_items(struct making *k, const char *kernel, int step, size_t items)
{
    launch(k, (struct eq_launch){kernel, step, {(items + ITEMS - 1) / ITEMS, 1, 1}, {ITEMS, 1, 1}});
}

static void step_input(struct making *k, int i)
{
    const struct eq_plan_node *p = &k->plan.nodes[i];
    k->steps[i] = (struct eq_device_step){.source = (int64_t)offset_of(k, i, NET_RAW),
                                          .clips = k->net->clips,
                                          .frames = p->t,
                                          .height = p->h,
                                          .width = p->w,
                                          .source_zero = k->model->nodes[i].dst.zero_point};
    launch_items(k, "input_words", i, p->rows);
}

/* What pooling and the head read. */
static struct eq_device_step step_of_source(const struct making *k, int src)
{
    const struct eq_plan_node *in = &k->plan.nodes[src];
    return (struct eq_device_step){.source = (int64_t)k->net->edges[src].offset,
                                   .clips = k->net->clips,
                                   .frames = in->t,
                                   .height = in->h,
                                   .width = in->w,
                                   .words = k->net->edges[src].words,
                                   .source_zero = k->model->nodes[src].dst.zero_point};
}

static void step_pool(struct making *k, int i)
{
    const struct eq_qnode *n = &k->model->nodes[i];
    const struct eq_plan_node *p = &k->plan.nodes[i];
    struct eq_device_step *s = &k->steps[i];
    *s = step_of_source(k, n->src);
    s->out_height = p->h;
    s->out_width = p->w;
    s->window = n->k;
    s->stride = n->stride;
    s->pad = n->pad;
    launch_items(k, n->fp32_edge ? "max_pool_f32" : "max_pool_u8", i, p->rows * (size_t)s->words);
}

static void step_conv(struct making *k, int i)
{
    const struct eq_qnode *n = &k->model->nodes[i];
    struct eq_device_step *s = &k->steps[i];
    eq_device_conv_step(&k->convs[i], s);
    s->source = (int64_t)k->net->edges[n->src].offset;
    s->residual = n->residual >= 0 ? (int64_t)k->net->edges[n->residual].offset : 0;
    s->weights = (int64_t)offset_of(k, i, NET_PARTS + EQ_DEVICE_WEIGHTS);
    s->channels = (int64_t)offset_of(k, i, NET_PARTS + EQ_DEVICE_CHANNELS);
    s->taps = (int64_t)offset_of(k, i, NET_PARTS + EQ_DEVICE_TAPS);
    launch(k, eq_device_conv_launch(&k->convs[i], i));
}

static void step_head(struct making *k, int i)
{
    static const char *const kernels[] = {[EQ_DEVICE_HEAD_U8] = "head_u8",
                                          [EQ_DEVICE_HEAD_F32] = "head_f32",
                                          [EQ_DEVICE_HEAD_SUMS_U8] = "head_sums_u8",
                                          [EQ_DEVICE_HEAD_SUMS_F32] = "head_sums_f32"};
    const struct eq_device_net *net = k->net;
    struct eq_device_step *s = &k->steps[i];
    const bool sums = net->head == EQ_DEVICE_HEAD_SUMS_U8 || net->head == EQ_DEVICE_HEAD_SUMS_F32;
    *s = step_of_source(k, k->model->nodes[i].src);
    s->weights = (int64_t)offset_of(k, i, NET_PARTS);
    s->pieces = net->pieces;
    const size_t across = sums ? ((size_t)s->words + ITEMS - 1) / ITEMS : (size_t)net->pieces;
    launch(k, (struct eq_launch){
                  kernels[net->head], i, {across, (size_t)net->clips, 1}, {sums ? ITEMS : HEAD_ITEMS, 1, 1}});
}

static void step_node(struct making *k, int i)
{
    static void (*const step_by_op[EQ_QOP_COUNT])(struct making * k, int i) = {[EQ_QOP_INPUT] = step_input,
                                                                               [EQ_QOP_CONV2D] = step_conv,
                                                                               [EQ_QOP_MAXPOOL] = step_pool,
                                                                               [EQ_QOP_HEAD] = step_head};
    const int op = k->model->nodes[i].op;
    const struct eq_plan_node *p = &k->plan.nodes[i];
    if (p->pooled_by) {
        k->net->edges[i].kernel = k->net->edges[p->pooled_by].kernel;
        return;
    }
    step_by_op[op](k, i);
    k->steps[i].target = (int64_t)offset_of(k, p->pool ? p->pool : i, op == EQ_QOP_HEAD ? NET_RAW : NET_EDGE);
    k->steps[i].layout = EQ_STEP_LAYOUT;
}

/* ---- all of it ------------------------------------------------------------------------ */

static enum eq_status allocate(struct making *k, struct eq_err *err)
{
    const struct eq_qmodel *m = k->model;
    const size_t nodes = (size_t)m->n_nodes;
    size_t channels = 0;
    for (int i = 0; i < m->n_nodes; i++)
        channels += m->nodes[i].op == EQ_QOP_CONV2D ? (size_t)m->nodes[i].cout : 0;
    k->net = calloc(1, sizeof *k->net);
    k->convs = eq_alloc(nodes, sizeof *k->convs);
    k->steps = eq_alloc(nodes, sizeof *k->steps);
    k->launches = eq_alloc(nodes, sizeof *k->launches);
    k->mb = eq_alloc(2 * channels + 1, sizeof(float));
    if (k->net)
        k->net->edges = eq_alloc(nodes, sizeof *k->net->edges);
    if (!k->net || !k->net->edges || !k->convs || !k->steps || !k->launches || !k->mb)
        return eq_fail(err, EQ_NOMEM, "out of memory for the device's network");
    return EQ_OK;
}

static enum eq_status plan(struct making *k, struct eq_err *err)
{
    float *mb = k->mb;
    for (int i = 0; i < k->model->n_nodes; i++) {
        const struct eq_qnode *n = &k->model->nodes[i];
        EQ_CHECK(describe_edge(k, i, err));
        if (n->op != EQ_QOP_CONV2D)
            continue;
        EQ_CHECK(describe_conv(k, i, mb, err));
        mb += 2 * n->cout;
    }
    for (int i = 0; i < k->model->n_nodes; i++)
        plan_node(k, i);
    k->plan.bytes = eq_plan_arena(k->plan.buffers, k->plan.n_nodes * k->plan.kinds);
    if (k->plan.bytes == SIZE_MAX)
        return eq_fail(err, EQ_NOMEM, "out of memory for the plan of the device's memory");
    for (int i = 0; i < k->model->n_nodes; i++)
        k->net->edges[i].offset = offset_of(k, i, NET_EDGE);
    return EQ_OK;
}

static enum eq_status fill_device(struct making *k, struct eq_err *err)
{
    struct eq_device_net *net = k->net;
    const struct eq_device *d = net->device;
    const size_t nodes = (size_t)k->model->n_nodes, steps_bytes = nodes * sizeof *k->steps;
    EQ_CHECK(d->api->alloc(d->ctx, k->plan.bytes, &net->arena, err));
    EQ_CHECK(d->api->alloc(d->ctx, steps_bytes, &net->steps, err));
    net->bytes = k->plan.bytes + steps_bytes;
    for (int i = 0; i < k->model->n_nodes; i++) {
        const int op = k->model->nodes[i].op;
        step_node(k, i);
        if (op == EQ_QOP_CONV2D)
            EQ_CHECK(upload_conv(k, i, err));
        if (op == EQ_QOP_HEAD)
            EQ_CHECK(upload_head(k, i, err));
    }
    EQ_CHECK(d->api->write(d->ctx, net->steps, 0, k->steps, steps_bytes, err));
    const struct eq_sequence_plan sequence = {.launches = k->launches,
                                              .n = k->n_launches,
                                              .arena = net->arena,
                                              .steps = net->steps,
                                              .in_offset = offset_of(k, 0, NET_RAW),
                                              .in_bytes = k->net->edges[0].rows * 3,
                                              .out_offset = offset_of(k, (int)nodes - 1, NET_RAW),
                                              .out_bytes = net->sums_bytes};
    return d->api->record(d->ctx, &sequence, &net->sequence, err);
}

/* Only a head over floats whose bits are those of the CPU's needs doubles on the device. */
static enum eq_status check_doubles(struct eq_device *d, const struct eq_qmodel *m, bool mixed, struct eq_err *err)
{
    const struct eq_qnode *head = &m->nodes[m->n_nodes - 1];
    struct eq_device_answers a;
    if (!mixed || !head->fp32 || !m->nodes[head->src].fp32_edge)
        return EQ_OK;
    EQ_CHECK(eq_device_ask(d, &a, err));
    return a.has_doubles
               ? EQ_OK
               : eq_fail(err, EQ_UNSUPPORTED, "%s: this head in FP32 needs double precision, which %s (%s) lacks",
                         head->name, d->info.id, d->info.name);
}

static enum eq_status check_domain(const struct eq_device *d, const struct eq_qmodel *m, struct eq_err *err)
{
    for (int i = 0; i < m->n_nodes; i++)
        if (m->nodes[i].domain)
            return eq_fail(
                err, EQ_UNSUPPORTED,
                "%s: INT8 in Winograd's domain runs on the CPU only, not on %s (%s): use --device cpu, or make "
                "the model with %s.arithmetic = direct",
                m->nodes[i].name, d->info.id, d->info.name, m->method);
    return EQ_OK;
}

enum eq_status eq_device_net_make(struct eq_device *d, const struct eq_qmodel *m, bool mixed, int clips,
                                  struct eq_device_net **out, struct eq_err *err)
{
    enum eq_status st;
    struct making k = {.model = m, .mixed = mixed};
    *out = NULL;
    EQ_TRY(eq_qmodel_check_graph(m, err));
    EQ_TRY(eq_qmodel_check_values(m, err));
    EQ_TRY(check_doubles(d, m, mixed, err));
    EQ_TRY(check_domain(d, m, err));
    EQ_TRY(allocate(&k, err));
    k.net->device = d;
    k.net->clips = clips;
    k.net->n_nodes = m->n_nodes;
    EQ_TRY(eq_qmodel_plan(m, NET_BUFFERS, clips, m->meta.frames, m->meta.size, &k.plan, err));
    EQ_TRY(plan(&k, err));
    EQ_TRY(fill_device(&k, err));
    *out = k.net;
    k.net = NULL;
out:
    eq_device_net_free(k.net);
    eq_plan_clear(&k.plan);
    eq_free(k.convs);
    eq_free(k.steps);
    eq_free(k.launches);
    eq_free(k.mb);
    return st;
}

enum eq_status eq_device_net_of_qmodel(struct eq_device *d, const struct eq_qmodel *m, int clips,
                                       struct eq_device_net **out, struct eq_err *err)
{
    return eq_device_net_make(d, m, true, clips, out, err);
}

enum eq_status eq_device_net_of_graph(struct eq_device *d, const struct eq_graph *g, int clips,
                                      struct eq_device_net **out, struct eq_err *err)
{
    struct eq_qmodel floats;
    *out = NULL;
    EQ_CHECK(eq_device_floats_of_graph(g, &floats, err));
    enum eq_status st = eq_device_net_make(d, &floats, false, clips, out, err);
    eq_device_floats_clear(&floats);
    return st;
}
