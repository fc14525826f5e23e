/* Sums over a layer's output: pieces of a fixed size, added in order, so that threads can't change them. */
#include "quant/analysis.h"

#include <math.h>
#include <string.h>

enum { PIECE_VALUES = 1 << 14 };

double eq_sqnr_db(double signal, double noise)
{
    return 10 * log10(signal / noise);
}

enum eq_status eq_edge_sums_init(struct eq_edge_sums *e, int channels, struct eq_err *err)
{
    *e = (struct eq_edge_sums){.channels = channels};
    e->min = eq_alloc((size_t)channels, sizeof(float));
    e->max = eq_alloc((size_t)channels, sizeof(float));
    if (!e->min || !e->max)
        return eq_fail(err, EQ_NOMEM, "out of memory for the analysis");
    eq_edge_sums_reset(e);
    return EQ_OK;
}

void eq_edge_sums_clear(struct eq_edge_sums *e)
{
    eq_free(e->min);
    eq_free(e->max);
    eq_free(e->reference);
    *e = (struct eq_edge_sums){0};
}

void eq_edge_sums_reset(struct eq_edge_sums *e)
{
    e->signal = e->noise = 0;
    e->values = e->clipped = 0;
    memset(e->levels, 0, sizeof e->levels);
    for (int c = 0; c < e->channels; c++) {
        e->min[c] = INFINITY;
        e->max[c] = -INFINITY;
    }
}

struct piece_sums {
    double signal, noise;
};

/* What a worker has seen; merging is exact in any order. */
struct seen {
    float *min, *max; /* [channels] */
    bool levels[256];
    size_t clipped;
};

struct sums_job {
    const struct eq_edge_sums *e;
    const struct eq_fake_quant *fq;
    const float *data;
    size_t n;
    struct piece_sums *pieces;
    struct seen *seen; /* [threads]; NULL: not wanted */
};

static void look_at(const struct sums_job *j, struct seen *s, int channel, float x, float inv)
{
    s->min[channel] = x < s->min[channel] ? x : s->min[channel];
    s->max[channel] = x > s->max[channel] ? x : s->max[channel];
    if (!j->fq)
        return;
    const float lo = (float)j->fq->qmin, hi = (float)j->fq->qmax;
    float q = nearbyintf(x * inv) + (float)j->fq->zero_point[0], held = q < lo ? lo : q > hi ? hi : q;
    s->clipped += q != held;
    s->levels[(unsigned char)held] = true;
}

static void sum_piece(void *ctx, size_t piece, int worker)
{
    const struct sums_job *j = ctx;
    size_t first = piece * PIECE_VALUES, last = first + PIECE_VALUES < j->n ? first + PIECE_VALUES : j->n;
    float inv = j->fq ? 1.0f / j->fq->scale[0] : 0;
    double signal = 0, noise = 0;
    for (size_t i = first; i < last; i++) {
        double ref = (double)j->e->reference[i], difference = (double)j->data[i] - ref;
        signal += ref * ref;
        noise += difference * difference;
    }
    j->pieces[piece] = (struct piece_sums){signal, noise};
    for (size_t i = first; j->seen && i < last; i++)
        look_at(j, &j->seen[worker], (int)(i % (size_t)j->e->channels), j->e->reference[i], inv);
}

static void free_seen(struct seen *seen, int n)
{
    for (int i = 0; seen && i < n; i++) {
        eq_free(seen[i].min);
        eq_free(seen[i].max);
    }
    eq_free(seen);
}

/* Each starts from what is known already. */
static struct seen *make_seen(const struct eq_edge_sums *e, int n)
{
    struct seen *seen = eq_alloc((size_t)n, sizeof *seen);
    size_t bytes = (size_t)e->channels * sizeof(float);
    for (int i = 0; seen && i < n; i++) {
        seen[i].min = eq_alloc((size_t)e->channels, sizeof(float));
        seen[i].max = eq_alloc((size_t)e->channels, sizeof(float));
        if (!seen[i].min || !seen[i].max) {
            free_seen(seen, n);
            return NULL;
        }
        memcpy(seen[i].min, e->min, bytes);
        memcpy(seen[i].max, e->max, bytes);
    }
    return seen;
}

static void merge(struct eq_edge_sums *e, const struct seen *s)
{
    for (int c = 0; c < e->channels; c++) {
        e->min[c] = fminf(e->min[c], s->min[c]);
        e->max[c] = fmaxf(e->max[c], s->max[c]);
    }
    for (int i = 0; i < 256; i++)
        e->levels[i] |= s->levels[i];
    e->clipped += s->clipped;
}

enum eq_status eq_edge_sums_add(struct eq_edge_sums *e, const struct eq_fake_quant *fq, const float *data, size_t n,
                                bool with_stats, struct eq_err *err)
{
    int threads = eq_parallel_threads();
    size_t n_pieces = (n + PIECE_VALUES - 1) / PIECE_VALUES;
    struct sums_job j = {.e = e, .fq = fq, .data = data, .n = n};
    j.pieces = eq_alloc(n_pieces, sizeof *j.pieces);
    j.seen = with_stats ? make_seen(e, threads) : NULL;
    if (!j.pieces || (with_stats && !j.seen)) {
        eq_free(j.pieces);
        free_seen(j.seen, threads);
        return eq_fail(err, EQ_NOMEM, "out of memory for the analysis");
    }
    eq_parallel_for(n_pieces, sum_piece, &j);
    for (size_t i = 0; i < n_pieces; i++) {
        e->signal += j.pieces[i].signal;
        e->noise += j.pieces[i].noise;
    }
    for (int i = 0; j.seen && i < threads; i++)
        merge(e, &j.seen[i]);
    e->values += n;
    eq_free(j.pieces);
    free_seen(j.seen, threads);
    if (!isfinite(e->signal) || !isfinite(e->noise))
        return eq_fail(err, EQ_NUMERIC, "its output is NaN or infinite");
    return EQ_OK;
}

static void range_stats(const struct eq_edge_sums *e, const struct eq_fake_quant *fq, struct eq_edge_stats *out)
{
    out->low = (float)(fq->qmin - fq->zero_point[0]) * fq->scale[0];
    out->high = (float)(fq->qmax - fq->zero_point[0]) * fq->scale[0];
    out->clipped = (double)e->clipped / (double)e->values;
    for (int i = 0; i < 256; i++)
        out->levels += e->levels[i];
}

void eq_edge_sums_stats(const struct eq_edge_sums *e, const struct eq_fake_quant *fq, struct eq_edge_stats *out)
{
    *out = (struct eq_edge_stats){.sqnr_db = eq_sqnr_db(e->signal, e->noise),
                                  .min = INFINITY,
                                  .max = -INFINITY,
                                  .low = NAN,
                                  .high = NAN,
                                  .clipped = NAN,
                                  .channels = e->channels};
    for (int c = 0; c < e->channels; c++) {
        out->min = fminf(out->min, e->min[c]);
        out->max = fmaxf(out->max, e->max[c]);
        out->dead += e->min[c] == e->max[c];
    }
    if (fq)
        range_stats(e, fq, out);
}
