/* Calibration by several processes, each with every size-th clip: rounds of a clip for each process. The values of its
 * edges stay in memory until all have said between what theirs lie. */
#include "quant/quant_graph.h"
#include "quant/shared_observer.h"
#include "quant/statistics.h"

#include <string.h>

/* What a process says about a site. */
struct extent {
    struct eq_range range;
    uint64_t n;
};

/* An observer, and the site it sees. */
struct place {
    struct eq_observer *observer; /* borrowed */
    size_t site, counts;          /* counts: its number among those that need them */
};

struct rounds {
    struct eq_statistics *s;
    const struct eq_comm *comm;
    size_t clips, done; /* of all processes */
    struct place *places;
    float **values;           /* [nodes], each owned: edges of the own clip; NULL: there was none yet */
    struct extent *extents;   /* [size][n_sites] of the clips of a round */
    struct eq_range *batches; /* [size]: of one site */
    uint64_t *counts;         /* [size][n_counts][EQ_HIST_BINS] */
    size_t n_places, n_sites, n_counts;
    bool over; /* a failure that everybody knows, or that ended the exchange */
    enum eq_status st;
    struct eq_err err;
};

static void list_places(struct rounds *r)
{
    for (int site = 0; site < r->s->n_sites; site++)
        for (int i = 0; i < r->s->n_opts; i++) {
            struct eq_observer *o = eq_observers_of(r->s, site)[i];
            if (o)
                r->places[r->n_places++] = (struct place){o, (size_t)site, r->n_counts};
            r->n_counts += o && eq_observer_needs_counts(o);
        }
}

static enum eq_status open_rounds(struct rounds *r, struct eq_err *err)
{
    size_t size = (size_t)r->comm->size;
    r->n_sites = (size_t)r->s->n_sites;
    r->places = eq_alloc(r->n_sites * (size_t)r->s->n_opts, sizeof *r->places);
    r->values = eq_alloc((size_t)r->s->g->n_nodes, sizeof *r->values);
    r->extents = eq_alloc(size * r->n_sites, sizeof *r->extents);
    r->batches = eq_alloc(size, sizeof *r->batches);
    if (r->places && r->values && r->extents && r->batches) {
        list_places(r);
        if (r->n_counts == 0 || (r->counts = eq_alloc(size * r->n_counts * EQ_HIST_BINS, sizeof *r->counts)))
            return EQ_OK;
    }
    return eq_fail(err, EQ_NOMEM, "out of memory for a calibration by %zu processes", size);
}

static void close_rounds(struct rounds *r)
{
    for (int i = 0; r->values && i < r->s->g->n_nodes; i++)
        eq_free(r->values[i]);
    eq_free(r->places);
    eq_free(r->values);
    eq_free(r->extents);
    eq_free(r->batches);
    eq_free(r->counts);
}

static enum eq_status name_site(const struct rounds *r, size_t i, enum eq_status st, struct eq_err *err)
{
    const struct eq_site *site = &r->s->sites[i];
    return eq_layer_context(r->s->g, site->conv < 0 ? site->node : site->conv, st, err);
}

/* Between what the values of sites lie: those from `first` on, an edge or the points of a convolution. */
static enum eq_status measure(struct rounds *r, size_t first, const float *edge, size_t n, struct eq_err *err)
{
    const struct eq_site *site = &r->s->sites[first];
    struct extent *own = &r->extents[(size_t)r->comm->rank * r->n_sites + first];
    const float *values[EQ_DOMAIN_POINTS] = {edge};
    size_t counts[EQ_DOMAIN_POINTS] = {n};
    if (site->conv >= 0)
        EQ_CHECK(eq_statistics_points(r->s, site, edge, values, counts, err));
    for (int p = 0; p < (site->conv < 0 ? 1 : EQ_DOMAIN_POINTS); p++) {
        own[p].n = counts[p];
        enum eq_status st = counts[p] ? eq_range_of(values[p], counts[p], &own[p].range, err) : EQ_OK;
        if (st != EQ_OK)
            return name_site(r, first, st, err);
    }
    return EQ_OK;
}

/* Keeps the values of an edge, which the pass overwrites. */
static enum eq_status keep_edge(void *ctx, size_t clip, int node, const float *data, size_t n, struct eq_err *err)
{
    struct rounds *r = ctx;
    (void)clip;
    for (size_t i = 0; i < r->n_sites; i++) {
        const struct eq_site *site = &r->s->sites[i];
        if (site->node != node || site->point != 0)
            continue;
        if (!r->values[node] && !(r->values[node] = eq_alloc(n, sizeof(float))))
            return eq_fail(err, EQ_NOMEM, "out of memory for a calibration");
        memcpy(r->values[node], data, n * sizeof *data);
        EQ_CHECK(measure(r, i, data, n, err));
    }
    return EQ_OK;
}

/* The ranges of a site in the clips of a round. */
static const struct eq_range *batches_of(struct rounds *r, size_t site, size_t clips)
{
    for (size_t i = 0; i < clips; i++)
        r->batches[i] = r->extents[i * r->n_sites + site].range;
    return r->batches;
}

static uint64_t *counts_of(const struct rounds *r, size_t clip, const struct place *p)
{
    return r->counts + (clip * r->n_counts + p->counts) * EQ_HIST_BINS;
}

/* The own clip of a round in the bins of that moment. */
static enum eq_status count_own(struct rounds *r, size_t clips, struct eq_err *err)
{
    size_t rank = (size_t)r->comm->rank, transformed = r->n_sites;
    const float *values[EQ_DOMAIN_POINTS] = {0};
    for (size_t k = 0; k < r->n_places; k++) {
        const struct place *p = &r->places[k];
        const struct eq_site *site = &r->s->sites[p->site];
        size_t counts[EQ_DOMAIN_POINTS], n = r->extents[p->site].n;
        if (site->conv >= 0 && site->point == 0 && transformed != p->site && rank < clips) {
            EQ_CHECK(eq_statistics_points(r->s, site, r->values[site->node], values, counts, err));
            transformed = p->site;
        }
        if (n == 0) /* a point that no tile has */
            continue;
        enum eq_status st = eq_observer_count(p->observer, batches_of(r, p->site, clips), clips, rank,
                                              site->conv < 0 ? r->values[site->node] : values[site->point], n,
                                              r->counts ? counts_of(r, rank, p) : NULL, err);
        if (st != EQ_OK)
            return name_site(r, p->site, st, err);
    }
    return EQ_OK;
}

static enum eq_status take_counts(struct rounds *r, size_t clips, struct eq_err *err)
{
    for (size_t k = 0; k < r->n_places; k++) {
        const struct place *p = &r->places[k];
        const struct eq_range *batches = batches_of(r, p->site, clips);
        size_t n = r->extents[p->site].n;
        for (size_t i = 0; n > 0 && i < clips && eq_observer_needs_counts(p->observer); i++)
            EQ_CHECK(eq_observer_take_counts(p->observer, &batches[i], n, counts_of(r, i, p), err));
    }
    return EQ_OK;
}

/* All processes, once a round. st: how the own clip went, if there is one. */
static enum eq_status end_round(struct rounds *r, enum eq_status st, struct eq_err *err)
{
    const struct eq_comm *c = r->comm;
    size_t size = (size_t)c->size, left = r->clips - r->done, clips = left < size ? left : size;
    r->over = true;
    EQ_CHECK(eq_comm_agree(c, st, err));
    EQ_CHECK(eq_comm_fill(c, r->extents, size, r->n_sites * sizeof *r->extents, err));
    st = count_own(r, clips, err);
    if (r->counts)
        EQ_CHECK(eq_comm_fill(c, r->counts, size, r->n_counts * EQ_HIST_BINS * sizeof *r->counts, err));
    r->over = false;
    r->done += clips;
    return st == EQ_OK ? take_counts(r, clips, err) : st;
}

/* Before the next own clip. A failure is kept from the walk, which would put this clip's name before it. */
static enum eq_status next_clip(void *ctx, size_t clip, const uint8_t *pixels, struct eq_err *err)
{
    struct rounds *r = ctx;
    (void)pixels;
    if (clip > 0)
        r->st = end_round(r, EQ_OK, &r->err);
    return r->st == EQ_OK ? EQ_OK : eq_fail(err, EQ_IO, "a round failed");
}

/* The counts of all processes in place of the own ones. */
static enum eq_status add_counts(const struct rounds *r, struct eq_err *err)
{
    size_t size = (size_t)r->comm->size, n;
    enum eq_status st = EQ_OK;
    for (size_t k = 0; k < r->n_places && st == EQ_OK; k++) {
        uint64_t *own = eq_observer_own_counts(r->places[k].observer, &n);
        uint64_t *all = n ? eq_alloc(size * n, sizeof *all) : NULL;
        if (n == 0)
            continue;
        if (!all)
            return eq_fail(err, EQ_NOMEM, "out of memory for the counts of %zu processes", size);
        memcpy(all + (size_t)r->comm->rank * n, own, n * sizeof *own);
        st = eq_comm_fill(r->comm, all, size, n * sizeof *all, err);
        memset(own, 0, n * sizeof *own);
        for (size_t i = 0; i < size * n; i++)
            own[i % n] += all[i];
        eq_free(all);
    }
    return st;
}

enum eq_status eq_statistics_share(struct eq_statistics *s, struct eq_clip_walk *walk, size_t clips, struct eq_err *err)
{
    struct rounds r = {.s = s, .comm = walk->clips->comm, .clips = clips};
    enum eq_status st;
    EQ_TRY(open_rounds(&r, err));
    walk->on_edge = keep_edge;
    walk->on_clip = next_clip;
    walk->ctx = &r;
    if ((size_t)r.comm->rank < clips)
        st = eq_clip_walk_run(walk, err);
    if (r.st != EQ_OK) {
        st = r.st;
        if (err)
            *err = r.err;
    }
    if (!r.over) /* of the last own clip, or of one that failed */
        st = end_round(&r, st, err);
    while (st == EQ_OK && r.done < clips) /* rounds without one */
        st = end_round(&r, EQ_OK, err);
    if (!r.over)
        st = eq_comm_agree(r.comm, st, err);
    EQ_TRY(st);
    EQ_TRY(add_counts(&r, err));
out:
    close_rounds(&r);
    return st;
}
