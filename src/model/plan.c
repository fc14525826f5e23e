/* Shapes, readers and fusions of a graph, and where buffers lie in the arena (greedy by size, as the planners of TFLite
 * and XNNPACK). */
#include "echoquant/model.h"

#include <stdlib.h>

enum { ALIGN = 64, MAX_CLIPS = 4096, MAX_FRAMES = 1024, MAX_SIZE = 4096 };

/* ---- the arena ----------------------------------------------------------- */

static size_t round_up(size_t n)
{
    return (n + ALIGN - 1) / ALIGN * ALIGN;
}

/* By size, largest first; equal ones by their first step, then by index, so that the plan is deterministic. */
static int larger_first(const void *pa, const void *pb)
{
    const struct eq_plan_buffer *a = *(struct eq_plan_buffer *const *)pa, *b = *(struct eq_plan_buffer *const *)pb;
    if (a->bytes != b->bytes)
        return a->bytes > b->bytes ? -1 : 1;
    if (a->first != b->first)
        return a->first < b->first ? -1 : 1;
    return a < b ? -1 : a > b;
}

/* The smallest gap between placed neighbors in time that holds the buffer, or the first byte after them all. placed[n]
 * is in order of offset. */
static size_t find_offset(struct eq_plan_buffer *const *placed, int n, const struct eq_plan_buffer *b)
{
    size_t end = 0, best = SIZE_MAX, best_gap = SIZE_MAX, need = round_up(b->bytes);
    for (int i = 0; i < n; i++) {
        const struct eq_plan_buffer *p = placed[i];
        if (p->first > b->last || b->first > p->last)
            continue;
        if (p->offset >= end && p->offset - end >= need && p->offset - end < best_gap) {
            best = end;
            best_gap = p->offset - end;
        }
        size_t p_end = p->offset + round_up(p->bytes);
        end = p_end > end ? p_end : end;
    }
    return best != SIZE_MAX ? best : end;
}

size_t eq_plan_arena(struct eq_plan_buffer *buffers, int n)
{
    struct eq_plan_buffer **order = malloc((2 * (size_t)n + 1) * sizeof *order), **placed = order + n;
    if (!order)
        return SIZE_MAX;
    int used = 0;
    for (int i = 0; i < n; i++) {
        buffers[i].offset = 0;
        if (buffers[i].bytes)
            order[used++] = &buffers[i];
    }
    qsort(order, (size_t)used, sizeof *order, larger_first);
    size_t total = 0;
    for (int i = 0; i < used; i++) {
        struct eq_plan_buffer *b = order[i];
        b->offset = find_offset(placed, i, b);
        int k = i;
        for (; k > 0 && placed[k - 1]->offset > b->offset; k--)
            placed[k] = placed[k - 1];
        placed[k] = b;
        size_t end = b->offset + round_up(b->bytes);
        total = end > total ? end : total;
    }
    free(order);
    return total;
}

/* ---- shapes -------------------------------------------------------------- */

static enum eq_status shape_of_window(const struct eq_plan_node *src, struct eq_plan_node *n, struct eq_err *err)
{
    int h = src->h + 2 * n->pad - n->k, w = src->w + 2 * n->pad - n->k;
    if (n->k < 1 || n->stride < 1 || n->pad < 0 || h < 0 || w < 0)
        return eq_fail(err, EQ_USAGE, "%s: a window of %d does not fit into %d x %d pixels", n->name, n->k, src->h,
                       src->w);
    n->h = h / n->stride + 1;
    n->w = w / n->stride + 1;
    return EQ_OK;
}

/* t, h, w, c of a node's output from its source's. */
static enum eq_status shape_of(const struct eq_plan *p, int i, struct eq_err *err)
{
    struct eq_plan_node *n = &p->nodes[i];
    if (n->src[0] >= i || n->src[1] >= i || n->residual >= i || (n->src[0] < 0) != (n->op == EQ_OP_INPUT))
        return eq_fail(err, EQ_USAGE, "%s: its sources must come before it", n->name);
    n->t = p->frames;
    n->h = n->w = p->size;
    n->c = n->op == EQ_OP_INPUT ? 3 : n->cout;
    if (n->op == EQ_OP_INPUT)
        return EQ_OK;
    const struct eq_plan_node *src = &p->nodes[n->src[0]];
    if (src->c != n->cin)
        return eq_fail(err, EQ_USAGE, "%s: takes %d channels, its source has %d", n->name, n->cin, src->c);
    bool one_frame = n->op == EQ_OP_TEMPORAL_MEAN || n->op == EQ_OP_LINEAR;
    bool one_pixel = n->op == EQ_OP_GLOBAL_AVG || one_frame;
    n->t = one_frame ? 1 : src->t;
    n->h = one_pixel ? 1 : src->h;
    n->w = one_pixel ? 1 : src->w;
    enum eq_status st = n->op == EQ_OP_CONV2D || n->op == EQ_OP_MAXPOOL ? shape_of_window(src, n, err) : EQ_OK;
    if (st == EQ_OK && n->op == EQ_OP_CONV2D)
        eq_conv_shape_init(&n->conv, p->clips, src->t, src->h, src->w, n->cin, n->cout, n->k, n->stride, n->pad,
                           src->op == EQ_OP_INPUT ? EQ_LAYOUT_CLIP : EQ_LAYOUT_PIXEL);
    return st;
}

static enum eq_status describe_edge(const struct eq_plan *p, int i, struct eq_err *err)
{
    struct eq_plan_node *n = &p->nodes[i];
    const bool clip_layout = n->op == EQ_OP_INPUT;
    const int shape[] = {p->clips, clip_layout ? n->t : n->h, clip_layout ? n->h : n->w, clip_layout ? n->w : n->t,
                         n->c};
    bool fits = true;
    n->edge.rank = 5;
    n->n = 1;
    for (int a = 0; a < 5; a++) {
        n->rows = n->n;
        n->edge.shape[a] = (size_t)shape[a];
        fits = fits && eq_mul_size(n->n, n->edge.shape[a], &n->n);
    }
    if (!fits || n->n > SIZE_MAX / 64)
        return eq_fail(err, EQ_USAGE, "%s: %d clips of %d frames at %d pixels are too many", n->name, p->clips,
                       p->frames, p->size);
    int other = n->op == EQ_OP_ADD ? n->src[1] : n->residual;
    if (other >= 0 && !eq_tensor_same_shape(&n->edge, &p->nodes[other].edge))
        return eq_fail(err, EQ_USAGE, "%s: its two operands differ in shape", n->name);
    return EQ_OK;
}

static enum eq_status plan_node(struct eq_plan *p, int i, struct eq_err *err)
{
    enum eq_status st;
    struct eq_plan_node *n = &p->nodes[i];
    const int reads[] = {n->src[0], n->src[1], n->residual};
    EQ_TRY(shape_of(p, i, err));
    EQ_TRY(describe_edge(p, i, err));
    n->last = i;
    for (int k = 0; k < 3; k++)
        if (reads[k] >= 0)
            p->nodes[reads[k]].last = i;
out:
    return st;
}

enum eq_status eq_plan_make(struct eq_plan *p, const void *graph, int n_nodes, eq_plan_view view, int kinds, int clips,
                            int frames, int size, struct eq_err *err)
{
    enum eq_status st = EQ_OK;
    *p = (struct eq_plan){.n_nodes = n_nodes, .kinds = kinds, .clips = clips, .frames = frames, .size = size};
    if (clips < 1 || clips > MAX_CLIPS || frames < 1 || frames > MAX_FRAMES || size < 1 || size > MAX_SIZE)
        return eq_fail(err, EQ_USAGE, "%d clips of %d frames at %d pixels: at least 1, at most %d, %d and %d", clips,
                       frames, size, MAX_CLIPS, MAX_FRAMES, MAX_SIZE);
    p->nodes = calloc((size_t)n_nodes, sizeof *p->nodes);
    p->buffers = calloc((size_t)n_nodes * (size_t)kinds + 1, sizeof *p->buffers);
    if (!p->nodes || !p->buffers)
        return eq_fail(err, EQ_NOMEM, "out of memory for the plan");
    for (int i = 0; i < n_nodes && st == EQ_OK; i++) {
        p->nodes[i] = view(graph, i);
        st = plan_node(p, i, err);
    }
    return st;
}

void eq_plan_clear(struct eq_plan *p)
{
    free(p->nodes);
    free(p->buffers);
    *p = (struct eq_plan){0};
}

/* ---- fusions and buffers ------------------------------------------------- */

void eq_plan_fuse_pool(struct eq_plan *p, int i,
                       bool (*fuses)(const struct eq_conv_shape *s, int k, int stride, int pad))
{
    struct eq_plan_node *n = &p->nodes[i], *pool = &p->nodes[n->last];
    int readers = 0;
    for (int k = i + 1; k <= n->last; k++)
        readers += (p->nodes[k].src[0] == i) + (p->nodes[k].src[1] == i) + (p->nodes[k].residual == i);
    if (readers != 1 || pool->op != EQ_OP_MAXPOOL || n->residual >= 0 || !fuses ||
        !fuses(&n->conv, pool->k, pool->stride, pool->pad))
        return;
    n->pool = n->last;
    pool->pooled_by = i;
}

void eq_plan_pool(const struct eq_plan *p, int i, int *k, int *stride, int *pad)
{
    static const struct eq_plan_node none;
    const struct eq_plan_node *pool = p->nodes[i].pool ? &p->nodes[p->nodes[i].pool] : &none;
    *k = pool->k;
    *stride = pool->stride;
    *pad = pool->pad;
}

void eq_plan_reserve(struct eq_plan *p, int node, int kind, size_t bytes, int first, int last)
{
    p->buffers[node * p->kinds + kind] = (struct eq_plan_buffer){.bytes = bytes, .first = first, .last = last};
}

size_t eq_plan_bytes(const struct eq_plan *p, int kind)
{
    size_t bytes = 0;
    for (int i = 0; i < p->n_nodes; i++)
        bytes += p->buffers[i * p->kinds + kind].bytes;
    return bytes;
}

void *eq_plan_allocate(struct eq_plan *p, struct eq_err *err)
{
    p->bytes = eq_plan_arena(p->buffers, p->n_nodes * p->kinds);
    void *arena = p->bytes < SIZE_MAX ? eq_alloc(p->bytes, 1) : NULL;
    if (!arena)
        (void)eq_fail(err, EQ_NOMEM, "out of memory for %d clips of %d frames at %d pixels", p->clips, p->frames,
                      p->size);
    return arena;
}

void *eq_plan_at(const struct eq_plan *p, void *base, int node, int kind)
{
    const struct eq_plan_buffer *b = &p->buffers[node * p->kinds + kind];
    return b->bytes ? (char *)base + b->offset : NULL;
}
