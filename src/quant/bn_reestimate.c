/*
 * Batch-norm re-estimation: new running statistics from clips, with weights and fake-quants as they are. Running
 * averages of training lag behind and were taken under other roundings; plain means over batches are what inference
 * should normalize by.
 */
#include "quant/quant_graph.h"

#include <string.h>

struct statistics {
    struct eq_graph *g;
    size_t n, batches; /* n: values of all batch norms, means and variances */
    float *start;      /* [n]: what was there before */
    double *sum;       /* [n] */
    float *momentum;   /* [n_nodes]: as they were */
    bool *frozen;      /* [n_nodes] */
};

/* Calls fn for the running mean and the running variance of each batch norm, with where its values stand in start and
 * sum. */
static void for_each(struct statistics *s, void (*fn)(struct statistics *s, float *values, size_t at, size_t n))
{
    size_t at = 0;
    for (int i = 0; i < s->g->n_nodes; i++) {
        const struct eq_node *n = &s->g->nodes[i];
        if (n->op != EQ_OP_BATCHNORM)
            continue;
        for (int which = 0; which < 2; which++, at += (size_t)n->cout)
            fn(s, eq_param_data(&s->g->params[which ? n->running_var : n->running_mean]), at, (size_t)n->cout);
    }
    s->n = at;
}

static void count(struct statistics *s, float *values, size_t at, size_t n)
{
    (void)s, (void)values, (void)at, (void)n;
}

static void keep(struct statistics *s, float *values, size_t at, size_t n)
{
    memcpy(s->start + at, values, n * sizeof *values);
}

/* The batch's own statistics are in the graph: adds them, and puts the first ones back, so that the factors that QAT
 * folds into the weights stay what they were. */
static void take(struct statistics *s, float *values, size_t at, size_t n)
{
    for (size_t i = 0; i < n; i++)
        s->sum[at + i] += (double)values[i];
    memcpy(values, s->start + at, n * sizeof *values);
}

static void put_mean(struct statistics *s, float *values, size_t at, size_t n)
{
    for (size_t i = 0; i < n; i++)
        values[i] = (float)(s->sum[at + i] / (double)s->batches);
}

static void put_start(struct statistics *s, float *values, size_t at, size_t n)
{
    memcpy(values, s->start + at, n * sizeof *values);
}

static enum eq_status open_statistics(struct statistics *s, struct eq_err *err)
{
    size_t nodes = (size_t)s->g->n_nodes;
    for_each(s, count);
    if (s->n == 0)
        return eq_fail(err, EQ_UNSUPPORTED, "no batch norm left to re-estimate: this comes before folding");
    s->start = eq_alloc(s->n, sizeof *s->start);
    s->sum = eq_alloc(s->n, sizeof *s->sum);
    s->momentum = eq_alloc(nodes, sizeof *s->momentum);
    s->frozen = eq_alloc(nodes, sizeof *s->frozen);
    if (!s->start || !s->sum || !s->momentum || !s->frozen)
        return eq_fail(err, EQ_NOMEM, "out of memory for batch-norm re-estimation");
    for_each(s, keep);
    for (int i = 0; i < s->g->n_nodes; i++) {
        s->momentum[i] = s->g->nodes[i].momentum;
        s->frozen[i] = s->g->nodes[i].bn_frozen;
        s->g->nodes[i].momentum = 1; /* running = this batch's */
        s->g->nodes[i].bn_frozen = false;
    }
    return EQ_OK;
}

static void close_statistics(struct statistics *s, bool done)
{
    if (s->momentum && s->frozen && s->start) {
        for (int i = 0; i < s->g->n_nodes; i++) {
            s->g->nodes[i].momentum = s->momentum[i];
            s->g->nodes[i].bn_frozen = s->frozen[i];
        }
        for_each(s, done ? put_mean : put_start);
    }
    eq_free(s->start);
    eq_free(s->sum);
    eq_free(s->momentum);
    eq_free(s->frozen);
}

/* Whole batches only: clips that are left over at the end don't count. */
static enum eq_status run_batches(struct statistics *s, struct eq_exec *x, const struct eq_clip_source *clips,
                                  size_t max_clips, int batch, uint8_t *buffer, float *ef, struct eq_err *err)
{
    size_t clip_bytes = (size_t)clips->frames * clips->size * clips->size * 3, seen = 0;
    int filled = 0;
    enum eq_status st = clips->rewind(clips->ctx, err);
    while (st == EQ_OK && seen < max_clips) {
        const uint8_t *pixels;
        int n;
        st = clips->next(clips->ctx, &pixels, &n, err);
        if (st != EQ_OK || n == 0)
            break;
        for (int i = 0; i < n && seen < max_clips && st == EQ_OK; i++, seen++) {
            memcpy(buffer + (size_t)filled++ * clip_bytes, pixels + (size_t)i * clip_bytes, clip_bytes);
            if (filled < batch)
                continue;
            filled = 0;
            if (eq_interrupted())
                return eq_fail(err, EQ_INTERRUPTED, "batch-norm re-estimation was interrupted");
            st = eq_exec_forward(x, buffer, ef, err);
            s->batches++;
            for_each(s, take);
        }
    }
    if (st == EQ_OK && s->batches == 0)
        return eq_fail(err, EQ_USAGE, "batch-norm re-estimation needs at least %d clips, a batch", batch);
    return st;
}

enum eq_status eq_reestimate_batchnorm(struct eq_graph *g, const struct eq_clip_source *clips, size_t max_clips,
                                       int batch, struct eq_err *err)
{
    enum eq_status st;
    bool done = false;
    struct statistics s = {.g = g};
    struct eq_exec *x = NULL;
    uint8_t *buffer = NULL;
    float *ef = NULL;
    EQ_TRY(open_statistics(&s, err));
    EQ_TRY(eq_exec_new(
        g, &(struct eq_exec_opts){.mode = EQ_EXEC_TRAIN, .clips = batch, .frames = clips->frames, .size = clips->size},
        &x, err));
    buffer = eq_alloc((size_t)batch, (size_t)clips->frames * clips->size * clips->size * 3);
    ef = eq_alloc((size_t)batch, sizeof *ef);
    if (!buffer || !ef) {
        st = eq_fail(err, EQ_NOMEM, "out of memory for batch-norm re-estimation");
        goto out;
    }
    EQ_TRY(run_batches(&s, x, clips, max_clips, batch, buffer, ef, err));
    done = true;
out:
    close_statistics(&s, done);
    eq_exec_free(x);
    eq_free(buffer);
    eq_free(ef);
    return st;
}
