/* The walk of a model over the kernels that say what all others mean. */
#include "device/reference.h"
#include "kernels/fill.h"
#include "kernels/list.h"
#include "quant/qmodel.h"

#include <math.h>
#include <string.h>

struct walk {
    const struct eq_qmodel *model;
    const struct eq_device_net *net;
    struct eq_plan plan;
    void *const *edges;
    const uint8_t *pixels;
    float *ef;
};

static void to_pixel_layout(const struct walk *w)
{
    const struct eq_plan_node *p = &w->plan.nodes[0];
    uint8_t *out = w->edges[0];
    for (int clip = 0; clip < w->plan.clips; clip++)
        for (int pixel = 0; pixel < p->h * p->w; pixel++)
            for (int t = 0; t < p->t; t++, out += 3)
                memcpy(out, w->pixels + (((size_t)clip * p->t + t) * p->h * p->w + pixel) * 3, 3);
}

/* ---- convolutions ----------------------------------------------------------- */

static enum eq_status conv_u8(const struct walk *w, int i, const struct eq_conv_shape *s, struct eq_err *err)
{
    const struct eq_qnode *n = &w->model->nodes[i], *src = &w->model->nodes[n->src];
    const struct eq_conv_kernel *ref = &eq_u8s8_conv_direct__ref;
    void *packed = eq_alloc(ref->packed_bytes(s), 1);
    float *mb = eq_alloc(2 * (size_t)n->cout, sizeof *mb);
    const bool enough = packed && mb;
    if (enough) {
        struct eq_u8s8_epilogue e = eq_qmodel_epilogue(w->model, i, mb);
        e.residual = n->residual >= 0 ? w->edges[n->residual] : NULL;
        ref->pack_s8(s, n->weights, src->dst.zero_point, packed);
        ref->run.u8s8(s, w->edges[n->src], src->dst.zero_point, packed, &e, w->edges[i], NULL);
    }
    eq_free(packed);
    eq_free(mb);
    return enough ? EQ_OK : eq_fail(err, EQ_NOMEM, "%s: out of memory for its reference", n->name);
}

/* An edge as floats, in `room` where it is bytes. */
static const float *as_floats(const struct walk *w, int node, float *room)
{
    const struct eq_qnode *n = &w->model->nodes[node];
    const uint8_t *q = w->edges[node];
    if (n->fp32_edge)
        return w->edges[node];
    for (size_t i = 0; i < w->plan.nodes[node].n; i++)
        room[i] = (float)(q[i] - n->dst.zero_point) * n->dst.scale;
    return room;
}

static void quantize(const float *x, size_t n, const struct eq_qparams *p, uint8_t *out)
{
    const float inv = 1.0f / p->scale, least = (float)-p->zero_point, most = (float)(255 - p->zero_point);
    for (size_t i = 0; i < n; i++) {
        float r = x[i] * inv;
        r = r > least ? r : least;
        r = r < most ? r : most;
        out[i] = (uint8_t)((int)nearbyintf(r) + p->zero_point);
    }
}

static enum eq_status conv_f32(const struct walk *w, int i, const struct eq_conv_shape *s, struct eq_err *err)
{
    const struct eq_qnode *n = &w->model->nodes[i];
    const struct eq_conv_kernel *ref = &eq_f32_conv_forward_ordered__ref;
    const size_t in = w->plan.nodes[n->src].n, out = w->plan.nodes[i].n;
    void *packed = eq_alloc(ref->packed_bytes(s), 1);
    float *floats = eq_alloc(in + 2 * out, sizeof *floats);
    const bool room = packed && floats;
    if (room) {
        const float *src = as_floats(w, n->src, floats);
        struct eq_f32_epilogue e = {.bias = n->bias, .relu = n->relu};
        float *dst = n->fp32_edge ? w->edges[i] : floats + in + out;
        if (n->residual >= 0)
            e.residual = as_floats(w, n->residual, floats + in);
        ref->pack(s, n->fp32_weights, packed);
        ref->run.forward(s, src, packed, &e, dst, NULL);
        if (!n->fp32_edge)
            quantize(dst, out, &n->dst, w->edges[i]);
    }
    eq_free(packed);
    eq_free(floats);
    return room ? EQ_OK : eq_fail(err, EQ_NOMEM, "%s: out of memory for its reference", n->name);
}

/* ---- pooling and the head ------------------------------------------------------ */

static void max_pool(const struct walk *w, int i)
{
    const struct eq_qnode *n = &w->model->nodes[i];
    const struct eq_plan_node *in = &w->plan.nodes[n->src], *out = &w->plan.nodes[i];
    const struct eq_pool_shape p = {w->plan.clips, in->h,  in->w,  in->t * in->c, n->k,
                                    n->stride,     n->pad, out->h, out->w};
    struct eq_u8s8_table u8;
    struct eq_f32_table f32;
    eq_u8s8_fill__ref(&u8);
    eq_f32_pool_fill__ref(&f32);
    if (n->fp32_edge)
        f32.maxpool_forward(&p, w->edges[n->src], w->edges[i], NULL);
    else
        u8.maxpool(&p, w->edges[n->src], w->edges[i]);
}

/* The order of kernel head_f32: each of 256 work-items takes every 256th value of a piece of the rows; then a tree. */
static float piece_of_floats(const float *x, const float *weights, size_t first, size_t end, size_t channels)
{
    enum { ITEMS = 256 };
    float sums[ITEMS] = {0};
    for (size_t i = first; i < end; i++)
        sums[(i - first) % ITEMS] = fmaf(x[i], weights[i % channels], sums[(i - first) % ITEMS]);
    for (int n = ITEMS / 2; n > 0; n /= 2)
        for (int i = 0; i < n; i++)
            sums[i] += sums[i + n];
    return sums[0];
}

static void head(const struct walk *w, int i)
{
    const struct eq_qnode *n = &w->model->nodes[i], *src = &w->model->nodes[n->src];
    const struct eq_plan_node *in = &w->plan.nodes[n->src];
    const struct eq_device_net *net = w->net;
    const size_t rows = (size_t)in->h * in->w * in->t, channels = (size_t)in->c;
    const size_t each = (rows + (size_t)net->pieces - 1) / (size_t)net->pieces;
    const double count = (double)rows;
    for (int clip = 0; clip < w->plan.clips; clip++) {
        const uint8_t *q = (const uint8_t *)w->edges[n->src] + (size_t)clip * rows * channels;
        const float *x = (const float *)w->edges[n->src] + (size_t)clip * rows * channels;
        int64_t exact = 0;
        double dot = 0;
        for (size_t c = 0; c < channels && net->head != EQ_DEVICE_HEAD_F32; c++) {
            int32_t whole = 0;
            double sum = 0;
            for (size_t row = 0; row < rows; row++) {
                if (src->fp32_edge)
                    sum += (double)x[row * channels + c];
                else
                    whole += q[row * channels + c] - src->dst.zero_point;
            }
            if (n->fp32)
                dot += (src->fp32_edge ? sum : whole * (double)src->dst.scale) / count * (double)n->fp32_weights[c];
            else
                exact += (int64_t)whole * n->weights[c];
        }
        if (!n->fp32)
            dot = (double)exact * ((double)src->dst.scale * n->weight_scale[0] / count);
        for (size_t from = 0; from < rows && net->head == EQ_DEVICE_HEAD_F32; from += each) {
            const size_t to = from + each < rows ? from + each : rows;
            dot += (double)piece_of_floats(x, n->fp32_weights, from * channels, to * channels, channels);
        }
        if (net->head == EQ_DEVICE_HEAD_F32)
            dot /= count;
        w->ef[clip] = (float)(dot + (double)n->bias[0]);
    }
}

enum eq_status eq_device_reference(const struct eq_qmodel *m, const struct eq_device_net *net, const uint8_t *pixels,
                                   void *const *edges, float *ef, struct eq_err *err)
{
    struct walk w = {.model = m, .net = net, .edges = edges, .pixels = pixels, .ef = ef};
    enum eq_status st = eq_qmodel_plan(m, 1, net->clips, m->meta.frames, m->meta.size, &w.plan, err);
    for (int i = 0; i < m->n_nodes && st == EQ_OK; i++) {
        struct eq_conv_shape shape = w.plan.nodes[i].conv;
        shape.src_layout = EQ_LAYOUT_PIXEL;
        switch (m->nodes[i].op) {
        case EQ_QOP_INPUT:
            to_pixel_layout(&w);
            break;
        case EQ_QOP_CONV2D:
            st = m->nodes[i].fp32 ? conv_f32(&w, i, &shape, err) : conv_u8(&w, i, &shape, err);
            break;
        case EQ_QOP_MAXPOOL:
            max_pool(&w, i);
            break;
        default:
            head(&w, i);
            break;
        }
    }
    eq_plan_clear(&w.plan);
    return st;
}
