/*
 * The micro-batches of a step. Each starts from the state before the step, so neither their number in a process nor
 * their pace shows in what they bring: a gradient, a loss, the statistics of its batch. Gradients and losses are added
 * in the tree of eq_tree, statistics follow one after the other. One process does the same as several.
 *
 * The gradient that was computed last lies in the executor's block; the sums that wait for it lie in `waiting`.
 *
 * What other processes need leaves while the backward pass of this one's last micro-batch runs. A courier exchanges
 * losses and statistics first, then the gradients in buckets, from the last layer to the first, as they become final.
 */
#include "train/trainer.h"

#include <string.h>

/* Floats of parameters that leave at once: enough that latency does not count, few enough that most leave early. Many
 * processes get small pieces of them, so there they are larger. */
enum { BUCKET = 1 << 20, PIECE = 8 << 10 };

static size_t bucket_of(const struct eq_trainer *t)
{
    size_t least = (size_t)t->comm->size * PIECE;
    return least > BUCKET ? least : BUCKET;
}

static float *stats_of(const struct eq_micro *m, size_t micro)
{
    return (float *)(m->rows + micro * m->row_bytes + sizeof(double));
}

static size_t current(const struct eq_micro *m)
{
    return m->first + m->done;
}

/* How many sums wait at most while another gradient is computed. */
static int most_waiting(const struct eq_micro *m, size_t leaves)
{
    struct eq_tree t;
    int most = 0;
    eq_tree_begin(&t, leaves);
    for (size_t i = 0; i + 1 < m->n; i++) {
        eq_tree_push(&t, 0, m->first + i);
        most = t.n > most ? t.n : most;
    }
    return most;
}

enum eq_status eq_micro_check(const struct eq_train_job *job, struct eq_err *err)
{
    int size = eq_comm_world()->size, micro = job->accumulate;
    if (micro < size)
        return eq_fail(err, EQ_USAGE,
                       "%s: %d processes cannot share a step of %d micro-batch%s: set %s to a multiple of "
                       "%d, or start fewer processes",
                       job->name, size, micro, micro == 1 ? "" : "es", job->accumulate_key, size);
    return EQ_OK;
}

enum eq_status eq_micro_init(struct eq_trainer *t, struct eq_err *err)
{
    struct eq_micro *m = &t->micro;
    const struct eq_scale_rule *rule = t->job.rule;
    size_t all = (size_t)t->job.accumulate, n_grads;
    EQ_CHECK(eq_micro_check(&t->job, err));
    m->first = eq_comm_share(t->comm->rank, t->comm->size, all, &m->n);
    eq_exec_grad_block(t->exec, &n_grads);
    m->n_stats = eq_exec_stats(t->exec);
    m->n_seen = rule && rule->seen_size ? rule->seen_size(t->job.scales) : 0;
    m->row_bytes = sizeof(double) + (m->n_stats + m->n_seen + 1) / 2 * 2 * sizeof(float);
    m->rows = eq_alloc(all, m->row_bytes);
    m->losses = eq_alloc(all, sizeof *m->losses);
    if (!m->rows || !m->losses)
        return eq_fail(err, EQ_NOMEM, "out of memory for the statistics of %zu micro-batches", all);
    for (int i = 0; i < most_waiting(m, all); i++)
        if (!(m->waiting[i] = eq_alloc(n_grads, sizeof(float))))
            return eq_fail(err, EQ_NOMEM, "out of memory for the gradients of %zu micro-batches", m->n);
    eq_tree_begin(&m->tree, all);
    if (t->comm->size > 1) /* agreement, rows, buckets, the rest of the parameters, learned scales */
        EQ_CHECK(eq_courier_new(n_grads / bucket_of(t) + 4, &m->courier, err));
    return EQ_OK;
}

void eq_micro_clear(struct eq_trainer *t)
{
    struct eq_micro *m = &t->micro;
    eq_courier_free(m->courier);
    for (int i = 0; i < EQ_TREE_PARTS; i++)
        eq_free(m->waiting[i]);
    eq_free(m->rows);
    eq_free(m->losses);
    *m = (struct eq_micro){0};
}

void eq_micro_begin(struct eq_trainer *t)
{
    struct eq_micro *m = &t->micro;
    float *stats = stats_of(m, current(m));
    eq_exec_keep_stats(t->exec, stats);
    if (m->n_seen)
        t->job.rule->keep(t->job.scales, stats + m->n_stats);
}

/* Whether the step can be finished, and whether the run is to stop after it. */
static enum eq_status agree(struct eq_trainer *t, enum eq_status mine, struct eq_err *err)
{
    bool stop = eq_interrupted();
    enum eq_status st = eq_comm_agree_any(t->comm, mine, &stop, err);
    t->micro.stop = stop;
    return st;
}

enum eq_status eq_micro_fail(struct eq_trainer *t, enum eq_status mine, struct eq_err *err)
{
    double start_ms = eq_now_ms();
    enum eq_status st = agree(t, mine, err);
    t->micro.waited += t->comm->size > 1 ? eq_now_ms() - start_ms : 0;
    return st;
}

/* ---- the exchange, on the courier's thread -------------------------------- */

static enum eq_status exchange_rows(void *ctx, size_t lo, size_t hi, struct eq_err *err)
{
    struct eq_trainer *t = ctx;
    (void)lo, (void)hi;
    EQ_CHECK(agree(t, EQ_OK, err));
    return eq_comm_fill(t->comm, t->micro.rows, t->micro.tree.leaves, t->micro.row_bytes, err);
}

/* The gradient of the step, lo .. hi - 1, into the executor's block. */
static enum eq_status exchange_grads(void *ctx, size_t lo, size_t hi, struct eq_err *err)
{
    struct eq_trainer *t = ctx;
    const struct eq_micro *m = &t->micro;
    float *parts[EQ_TREE_PARTS];
    size_t n;
    for (int i = 0; i < m->tree.n; i++)
        parts[i] = (i < m->tree.n - 1 ? m->waiting[i] : eq_exec_grad_block(t->exec, &n)) + lo;
    for (int i = 0; i < m->n_addends; i++)
        eq_tree_add(parts[m->tree.n - 1], m->addends[i] + lo, hi - lo);
    return eq_comm_sum(t->comm, m->tree.leaves, parts, hi - lo, err);
}

/* ---- the caller's side ----------------------------------------------------- */

static void send_final(void *ctx, size_t from)
{
    struct eq_trainer *t = ctx;
    struct eq_micro *m = &t->micro;
    if (m->unsent - from < bucket_of(t))
        return;
    eq_courier_give(m->courier, exchange_grads, t, from, m->unsent);
    m->unsent = from;
}

/* Where the gradient that is computed now belongs in the tree. */
static void find_place(struct eq_micro *m)
{
    int before = m->tree.n;
    m->n_addends = eq_tree_push(&m->tree, 0, current(m));
    for (int k = 1; k <= m->n_addends; k++)
        m->addends[k - 1] = m->waiting[before - k];
}

void eq_micro_note(struct eq_trainer *t, double loss)
{
    struct eq_micro *m = &t->micro;
    memcpy(m->rows + current(m) * m->row_bytes, &loss, sizeof loss);
    find_place(m);
    if (!m->courier || m->done + 1 < m->n)
        return;
    m->unsent = eq_exec_param_grads(t->exec);
    eq_courier_give(m->courier, exchange_rows, t, 0, 0);
    eq_exec_set_grad_hook(t->exec, &(struct eq_grad_hook){send_final, t});
}

struct sum {
    float *to;
    const float *left;
};

static void add_span(const void *ctx, size_t lo, size_t hi)
{
    const struct sum *s = ctx;
    for (size_t i = lo; i < hi; i++)
        s->to[i] = s->left[i] + s->to[i];
}

static void copy_span(const void *ctx, size_t lo, size_t hi)
{
    const struct sum *s = ctx;
    memcpy(s->to + lo, s->left + lo, (hi - lo) * sizeof(float));
}

/* All of this process's gradients, where no courier does it bucket by bucket. */
static void add_up(const struct eq_trainer *t)
{
    size_t n;
    float *block = eq_exec_grad_block(t->exec, &n);
    for (int i = 0; i < t->micro.n_addends; i++)
        eq_for_spans(n, add_span, &(struct sum){block, t->micro.addends[i]});
}

void eq_micro_keep(struct eq_trainer *t)
{
    struct eq_micro *m = &t->micro;
    size_t n;
    float *block = eq_exec_grad_block(t->exec, &n);
    add_up(t);
    m->done++;
    eq_for_spans(n, copy_span, &(struct sum){m->waiting[m->tree.n - 1], block});
    eq_exec_zero_grads(t->exec);
}

static enum eq_status follow(struct eq_trainer *t, struct eq_err *err)
{
    const struct eq_micro *m = &t->micro;
    for (size_t i = 0; i < m->tree.leaves; i++) {
        const float *stats = stats_of(m, i);
        eq_exec_follow_stats(t->exec, stats);
        if (m->n_seen)
            EQ_CHECK(t->job.rule->follow(t->job.scales, stats + m->n_stats, err));
        memcpy(&m->losses[i], m->rows + i * m->row_bytes, sizeof *m->losses);
    }
    eq_tree_sum(m->losses, m->tree.leaves);
    t->loss_sum += m->losses[0];
    return EQ_OK;
}

/* Sends the rest and waits for all. */
static enum eq_status finish_exchange(struct eq_trainer *t, struct eq_err *err)
{
    struct eq_micro *m = &t->micro;
    size_t n, params = eq_exec_param_grads(t->exec);
    double start_ms = eq_now_ms();
    eq_exec_grad_block(t->exec, &n);
    if (m->unsent > 0)
        eq_courier_give(m->courier, exchange_grads, t, 0, m->unsent);
    if (n > params)
        eq_courier_give(m->courier, exchange_grads, t, params, n);
    eq_exec_set_grad_hook(t->exec, &(struct eq_grad_hook){0});
    enum eq_status st = eq_courier_wait(m->courier, err);
    m->waited += eq_now_ms() - start_ms;
    return st;
}

enum eq_status eq_micro_finish(struct eq_trainer *t, struct eq_err *err)
{
    struct eq_micro *m = &t->micro;
    if (m->courier)
        EQ_CHECK(finish_exchange(t, err));
    else
        add_up(t);
    EQ_CHECK(follow(t, err));
    m->done = 0;
    eq_tree_begin(&m->tree, m->tree.leaves);
    return EQ_OK;
}
