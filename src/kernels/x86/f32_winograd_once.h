/*
 * Winograd with weights that serve one call, as in training: a part of the template f32_winograd_conv_tmpl.h. With many
 * channels the transformed weights are larger than the caches, so writing all of them to memory first and reading them
 * again takes as long as half of the products. Here a piece owns a panel of output channels: it transforms the panel's
 * weights into its own scratch and multiplies them with all tiles while they lie in the caches. All tiles are
 * transformed before that, in groups of as many rows as keep a panel's sums in the L2 cache.
 */
#ifndef KERNELS_X86_F32_WINOGRAD_ONCE_H
#define KERNELS_X86_F32_WINOGRAD_ONCE_H

enum {
    ONCE_CHANNELS = 512, /* on both sides, or more */
    ONCE_ROWS = 64,      /* of a group */
    ONCE_PARTS = 4       /* pieces of a tile's transform */
};

struct once_job {
    struct winograd_job j; /* a piece of its plan is a group */
    struct pack_job weights;
};

/* The tiles of a group, in the order of the piece that it is, and the number of each kind. */
struct group {
    struct winograd_tile tiles[MAX_TILES];
    int n, kinds[4];
};

static struct winograd_plan once_plan(const struct winograd_plan *pieces)
{
    struct winograd_plan p = *pieces;
    int tiles = ONCE_ROWS / p.s.t;
    p.tiles_of_piece = tiles < 1 ? 1 : tiles > MAX_TILES ? MAX_TILES : tiles;
    p.pieces_m = (p.tiles + p.tiles_of_piece - 1) / p.tiles_of_piece;
    return p;
}

static size_t once_weights_bytes(const struct winograd_plan *p)
{
    return eq_align64(panel_stride(p->s.cin) * sizeof(operand));
}

static size_t once_worker_bytes(const struct winograd_plan *p)
{
    return once_weights_bytes(p) + eq_align64(POSITIONS * sums_stride(p) * sizeof(float));
}

/* 0: packing all weights first is as good. */
static size_t once_bytes(const struct winograd_plan *pieces, int threads)
{
    struct winograd_plan p = once_plan(pieces);
    if (p.s.cin < ONCE_CHANNELS || p.s.cout < ONCE_CHANNELS)
        return 0;
    return p.pieces_m * input_bytes(&p) + once_worker_bytes(&p) * threads;
}

static void group_tiles(const struct winograd_plan *p, int group, struct group *g)
{
    int first = group * p->tiles_of_piece, end = first + p->tiles_of_piece;
    g->n = winograd_list(&p->ay, &p->ax, first, end < p->tiles ? end : p->tiles, g->tiles, g->kinds);
}

static operand *once_input(const struct once_job *o, int group)
{
    return (operand *)(o->j.scratch + group * input_bytes(&o->j.p));
}

/* A part of a tile. */
static void once_input_piece(void *ctx, size_t piece, int worker)
{
    (void)worker;
    const struct once_job *o = ctx;
    const struct winograd_plan *p = &o->j.p;
    size_t tile = piece / ONCE_PARTS, part = piece % ONCE_PARTS, n = (size_t)p->s.t * p->s.cin, vectors = n / VL;
    int group = (int)tile / p->tiles_of_piece, i = (int)tile % p->tiles_of_piece;
    struct group g;
    group_tiles(p, group, &g);
    input_tile(p, o->j.src, &g.tiles[i], vectors * part / ONCE_PARTS * VL, vectors * (part + 1) / ONCE_PARTS * VL,
               once_input(o, group) + i * n);
}

static void once_panel_piece(void *ctx, size_t panel, int worker)
{
    const struct once_job *o = ctx;
    const struct winograd_plan *p = &o->j.p;
    char *scratch = o->j.scratch + p->pieces_m * input_bytes(p) + once_worker_bytes(p) * worker;
    operand *weights = (operand *)scratch;
    float *sums = (float *)(scratch + once_weights_bytes(p));
    pack_depths(&o->weights, (int)panel, 0, p->s.cin, weights);
    for (int group = 0; group < p->pieces_m; group++) {
        struct group g;
        group_tiles(p, group, &g);
        multiply_panel(p, g.kinds, once_input(o, group), weights, sums);
        for (int i = 0; i < g.n; i++)
            output_tile(&o->j, &g.tiles[i], (int)panel, sums + (size_t)i * p->s.t * NR);
    }
}

static void run_once(const struct winograd_job *j, struct pack_job weights)
{
    struct once_job o = {*j, weights};
    o.j.p = once_plan(&j->p);
    eq_parallel_for((size_t)o.j.p.tiles * ONCE_PARTS, once_input_piece, &o);
    eq_parallel_for((size_t)o.j.p.panels, once_panel_piece, &o);
}

#endif
