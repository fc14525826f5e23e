/* The training loop. Everything random comes from counters (seed, epoch, sample), so that a resumed run goes on with
 * the bits of an uninterrupted one. */
#include "run/trainer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static enum eq_status collect_params(struct eq_trainer *t, struct eq_err *err)
{
    const struct eq_graph *g = t->graph;
    size_t max = (size_t)g->n_params;
    size_t *n = calloc(max, sizeof *n);
    t->param_index = calloc(max, sizeof *t->param_index);
    t->params = calloc(max, sizeof *t->params);
    t->grads = calloc(max, sizeof *t->grads);
    t->decay = calloc(max, sizeof *t->decay);
    enum eq_status st;
    if (!n || !t->param_index || !t->params || !t->grads || !t->decay) {
        st = eq_fail(err, EQ_NOMEM, "out of memory for the list of parameters");
        goto out;
    }
    for (int i = 0; i < g->n_params; i++) {
        if (!g->params[i].trainable)
            continue;
        size_t k = t->n_params++;
        n[k] = g->params[i].n;
        t->param_index[k] = i;
        t->params[k] = g->params[i].data;
        t->grads[k] = eq_exec_grad(t->exec, i);
        t->decay[k] = g->params[i].decay;
    }
    EQ_TRY(eq_optim_init(&t->optim, &t->opts.optim, t->n_params, n, err));
out:
    free(n);
    return st;
}

static enum eq_status init_ema(struct eq_trainer *t, struct eq_err *err)
{
    if (t->opts.ema <= 0)
        return EQ_OK;
    t->ema = calloc((size_t)t->graph->n_params, sizeof *t->ema);
    if (!t->ema)
        return eq_fail(err, EQ_NOMEM, "out of memory for averaged weights");
    for (int i = 0; i < t->graph->n_params; i++) {
        const struct eq_param *p = &t->graph->params[i];
        t->ema[i] = eq_alloc(p->n, sizeof(float));
        if (!t->ema[i])
            return eq_fail(err, EQ_NOMEM, "out of memory for averaged weights");
        memcpy(t->ema[i], p->data, p->n * sizeof(float));
    }
    return EQ_OK;
}

enum eq_status eq_trainer_init(struct eq_trainer *t, const struct eq_trainer_opts *opts,
                               const struct eq_trainer_ops *ops, struct eq_graph *graph, const struct eq_dataset *ds,
                               struct eq_loader *train, struct eq_loader *val, struct eq_err *err)
{
    enum eq_status st;
    memset(t, 0, sizeof *t);
    t->opts = *opts;
    t->ops = *ops;
    t->graph = graph;
    t->ds = ds;
    t->train = train;
    t->val = val;
    t->best_mae = INFINITY;
    size_t micro = eq_loader_batches(train);
    t->steps_per_epoch = micro / (size_t)opts->accumulate;
    t->total_steps = t->steps_per_epoch * (size_t)opts->epochs;
    if (t->steps_per_epoch == 0) {
        st = eq_fail(err, EQ_USAGE,
                     "the training split is too small for one step: batch %d x accumulate %d needs %d clips or more",
                     opts->batch, opts->accumulate, opts->batch * opts->accumulate);
        goto out;
    }
    const struct eq_exec_opts exec = {EQ_EXEC_TRAIN,      opts->precision,  opts->batch,
                                      graph->meta.frames, graph->meta.size, opts->watched};
    EQ_TRY(eq_exec_new(graph, &exec, &t->exec, err));
    EQ_TRY(collect_params(t, err));
    EQ_TRY(init_ema(t, err));
    t->history = calloc((size_t)opts->epochs, sizeof *t->history);
    if (!t->history)
        st = eq_fail(err, EQ_NOMEM, "out of memory for the history");
out:
    if (st != EQ_OK)
        eq_trainer_clear(t);
    return st;
}

void eq_trainer_clear(struct eq_trainer *t)
{
    for (int i = 0; t->ema && i < t->graph->n_params; i++)
        eq_free(t->ema[i]);
    free(t->ema);
    eq_optim_clear(&t->optim);
    eq_exec_free(t->exec);
    eq_loader_free(t->train);
    eq_loader_free(t->val);
    free(t->param_index);
    free(t->params);
    free(t->grads);
    free(t->decay);
    free(t->history);
    memset(t, 0, sizeof *t);
}

static size_t step_number(const struct eq_trainer *t)
{
    return (size_t)t->epoch * t->steps_per_epoch + t->batch_in_epoch / (size_t)t->opts.accumulate;
}

static double learning_rate_at(const struct eq_trainer *t, size_t step)
{
    size_t warmup = (size_t)(t->opts.warmup * (double)t->steps_per_epoch);
    return eq_schedule_lr(t->opts.schedule, t->opts.optim.lr, step, t->total_steps, warmup);
}

static double learning_rate(const struct eq_trainer *t)
{
    return learning_rate_at(t, step_number(t));
}

/* In the step under way; in validation, in the last one. */
static enum eq_status diverged(const struct eq_trainer *t, const char *what, size_t step, double lr, struct eq_err *err)
{
    char *best = eq_trainer_state_path(t, "best");
    enum eq_status st = eq_fail(
        err, EQ_NUMERIC, "%s: the %s is not a finite number at step %zu of %zu, learning rate %g; %s%s", t->opts.name,
        what, step, t->total_steps, lr,
        t->best_epoch ? "last good checkpoint: " : "there is no good checkpoint yet: try a smaller learning rate",
        t->best_epoch ? best : "");
    free(best);
    return st;
}

/* Running statistics are averaged with the weights that they belong to. Early on a large decay would hold on to the
 * first, random weights: after n steps it is at most (1 + n) / (10 + n). */
static void update_ema(struct eq_trainer *t)
{
    double n = (double)t->optim.step;
    float take = (float)(1 - fmin(t->opts.ema, (1 + n) / (10 + n)));
    for (int i = 0; t->ema && i < t->graph->n_params; i++) {
        const struct eq_param *p = &t->graph->params[i];
        for (size_t j = 0; j < p->n; j++)
            t->ema[i][j] += take * (p->data[j] - t->ema[i][j]);
    }
}

/* The optimizer's part of a step, after the last micro-batch of it. */
static enum eq_status apply_gradients(struct eq_trainer *t, double lr, struct eq_err *err)
{
    double norm = eq_clip_grad_norm(t->grads, t->optim.n, t->n_params, t->opts.grad_clip);
    if (!isfinite(norm))
        return diverged(t, "gradient", step_number(t) + 1, lr, err);
    eq_optim_step(&t->optim, t->params, t->grads, t->decay, lr);
    enum eq_status st = t->ops.after_step ? t->ops.after_step(t->ops.ctx, t, lr, err) : EQ_OK;
    if (st != EQ_OK)
        return st;
    update_ema(t);
    eq_exec_weights_changed(t->exec);
    eq_exec_zero_grads(t->exec);
    return EQ_OK;
}

/* ef: [3 * batch]: the network's, the teacher's, and where the gradient goes. */
static enum eq_status loss_of_batch(const struct eq_trainer *t, const struct eq_batch *batch, float *ef, double *loss,
                                    struct eq_err *err)
{
    enum eq_status st = EQ_OK;
    float *teacher = ef + t->opts.batch, *diff = teacher + t->opts.batch, std = t->graph->meta.target_std;
    size_t n = (size_t)batch->n;
    if (!t->opts.teacher) {
        *loss = eq_loss_forward(t->opts.loss, ef, batch->ef, n, std, diff);
        return EQ_OK;
    }
    EQ_TRY(eq_predictor_run(t->opts.teacher, batch->pixels, teacher, err));
    *loss = eq_loss_distill(t->opts.loss, ef, batch->ef, teacher, t->opts.distill, n, std, diff);
out:
    return st;
}

static enum eq_status micro_step(struct eq_trainer *t, const struct eq_batch *batch, float *ef, struct eq_err *err)
{
    enum eq_status st;
    float *diff = ef + 2 * t->opts.batch;
    double lr = learning_rate(t);
    int accumulate = t->opts.accumulate;
    if (t->ops.before_forward)
        EQ_TRY(t->ops.before_forward(t->ops.ctx, t, err));
    EQ_TRY(eq_exec_forward(t->exec, batch->pixels, ef, err));
    double loss;
    EQ_TRY(loss_of_batch(t, batch, ef, &loss, err));
    if (!isfinite(loss)) {
        st = diverged(t, "loss", step_number(t) + 1, lr, err);
        goto out;
    }
    for (int i = 0; i < batch->n; i++)
        diff[i] /= (float)accumulate;
    EQ_TRY(eq_exec_backward(t->exec, diff, err));
    t->loss_sum += loss;
    if ((t->batch_in_epoch + 1) % (size_t)accumulate == 0)
        EQ_TRY(apply_gradients(t, lr, err));
    t->batch_in_epoch++;
out:
    return st;
}

static enum eq_status train_epoch(struct eq_trainer *t, struct eq_err *err)
{
    enum eq_status st;
    struct eq_batch batch;
    struct eq_progress progress = {0};
    char label[64], note[64];
    size_t micro = t->steps_per_epoch * (size_t)t->opts.accumulate;
    float *ef = eq_alloc(3 * (size_t)t->opts.batch, sizeof *ef);
    if (!ef)
        return eq_fail(err, EQ_NOMEM, "out of memory for a batch");
    snprintf(label, sizeof label, "%s epoch %d/%d", t->opts.name, t->epoch + 1, t->opts.epochs);
    eq_progress_begin(&progress, label, "batches", micro);
    if (t->ops.enter_epoch)
        EQ_TRY(t->ops.enter_epoch(t->ops.ctx, t, t->epoch, err));
    EQ_TRY(eq_loader_start(t->train, (uint32_t)t->epoch, t->batch_in_epoch, err));
    while (t->batch_in_epoch < micro) {
        EQ_TRY(eq_loader_next(t->train, &batch, err));
        if (batch.n != t->opts.batch) {
            st =
                eq_fail(err, EQ_FORMAT, "%s: too few readable clips for a full batch of %d", t->ds->dir, t->opts.batch);
            goto out;
        }
        EQ_TRY(micro_step(t, &batch, ef, err));
        snprintf(note, sizeof note, "loss %.4f", t->loss_sum / (double)t->batch_in_epoch);
        eq_progress_step(&progress, t->batch_in_epoch, note);
        if (eq_interrupted() && t->batch_in_epoch % (size_t)t->opts.accumulate == 0) {
            EQ_TRY(eq_trainer_save_state(t, err));
            st = eq_fail(err, EQ_INTERRUPTED,
                         "%s: interrupted after step %zu; the state is saved: the same command goes on", t->opts.name,
                         step_number(t));
            goto out;
        }
    }
out:
    eq_progress_end(&progress);
    eq_free(ef);
    return st;
}

/* Swaps averaged and current weights. */
static void swap_ema(struct eq_trainer *t)
{
    for (int i = 0; t->ema && i < t->graph->n_params; i++) {
        const struct eq_param *p = &t->graph->params[i];
        for (size_t j = 0; j < p->n; j++) {
            float w = p->data[j];
            p->data[j] = t->ema[i][j];
            t->ema[i][j] = w;
        }
    }
}

static enum eq_status validate(struct eq_trainer *t, struct eq_metrics *out, struct eq_err *err)
{
    enum eq_status st;
    struct eq_predictor p = {0};
    struct eq_evaluation e = {0};
    char *best = eq_trainer_state_path(t, "best");
    swap_ema(t);
    EQ_TRY(t->ops.open_predictor(t->ops.ctx, t->graph, &p, err));
    EQ_TRY(eq_evaluate_loader(&p, t->ds, t->val, NULL, &e, err));
    *out = e.metrics;
    if (out->mae < t->best_mae) {
        EQ_TRY(t->ops.save(t->ops.ctx, t->graph, &p, best, err));
        t->best_mae = out->mae;
        t->best_epoch = t->epoch + 1;
    }
out:
    swap_ema(t);
    eq_evaluation_clear(&e);
    eq_predictor_close(&p);
    free(best);
    return st;
}

/* The epoch's steps are all in the state: going on validates first. */
static enum eq_status interrupted_validation(const struct eq_trainer *t, struct eq_err *err)
{
    enum eq_status st = eq_trainer_save_state(t, err);
    if (st != EQ_OK)
        return st;
    return eq_fail(err, EQ_INTERRUPTED,
                   "%s: interrupted while validating epoch %d; the state is saved: the same command goes on",
                   t->opts.name, t->epoch + 1);
}

static enum eq_status finish_epoch(struct eq_trainer *t, double start_ms, double lr, struct eq_err *err)
{
    enum eq_status st;
    struct eq_metrics m = {0};
    st = validate(t, &m, err);
    if (st == EQ_INTERRUPTED)
        return interrupted_validation(t, err);
    if (st == EQ_NUMERIC) {
        size_t last = step_number(t);
        return diverged(t, "EF of a validation clip", last, learning_rate_at(t, last - 1), err);
    }
    if (st != EQ_OK)
        return st;
    struct eq_epoch_row *row = &t->history[t->n_history++];
    *row = (struct eq_epoch_row){.epoch = t->epoch + 1,
                                 .lr = lr,
                                 .train_loss = t->loss_sum / (double)t->batch_in_epoch,
                                 .val_mae = m.mae,
                                 .val_rmse = m.rmse,
                                 .seconds = (eq_now_ms() - start_ms) / 1e3};
    eq_info("%s epoch %d/%d: train loss %.4f, validation MAE %.2f (best %.2f, epoch %d), %.1f s", t->opts.name,
            row->epoch, t->opts.epochs, row->train_loss, row->val_mae, t->best_mae, t->best_epoch, row->seconds);
    t->epoch++;
    t->batch_in_epoch = 0;
    t->loss_sum = 0;
    EQ_TRY(eq_history_write(t, err));
    EQ_TRY(eq_trainer_save_state(t, err));
out:
    return st;
}

static bool out_of_patience(const struct eq_trainer *t)
{
    return t->opts.patience > 0 && t->epoch - t->best_epoch >= t->opts.patience;
}

/* The best model becomes the run's model; the state has done its work. */
static enum eq_status publish(const struct eq_trainer *t, const char *model_path, struct eq_err *err)
{
    char *best = eq_trainer_state_path(t, "best"), *state = eq_trainer_state_path(t, "state");
    enum eq_status st = EQ_OK;
    if (rename(best, model_path) != 0)
        st = eq_fail_errno(err, "%s: can't be moved to %s", best, model_path);
    else
        remove(state);
    free(best);
    free(state);
    return st;
}

enum eq_status eq_trainer_run(struct eq_trainer *t, const char *model_path, struct eq_err *err)
{
    enum eq_status st;
    bool resumed;
    EQ_TRY(eq_trainer_load_state(t, &resumed, err));
    if (resumed)
        eq_info("%s: going on at epoch %d, batch %zu", t->opts.name, t->epoch + 1, t->batch_in_epoch + 1);
    eq_exec_weights_changed(t->exec);
    eq_exec_zero_grads(t->exec);
    while (t->epoch < t->opts.epochs && !out_of_patience(t)) {
        /* The history notes the rate of an epoch's first step, also when the run resumes in the middle of it. */
        double start_ms = eq_now_ms(), lr = learning_rate_at(t, (size_t)t->epoch * t->steps_per_epoch);
        EQ_TRY(train_epoch(t, err));
        EQ_TRY(finish_epoch(t, start_ms, lr, err));
        if (eq_interrupted() && t->epoch < t->opts.epochs) {
            st = eq_fail(err, EQ_INTERRUPTED,
                         "%s: interrupted after epoch %d; the state is saved: the same command goes on", t->opts.name,
                         t->epoch);
            goto out;
        }
    }
    if (out_of_patience(t))
        eq_info("%s: stopped early, no better validation MAE for %d epochs", t->opts.name, t->opts.patience);
    EQ_TRY(publish(t, model_path, err));
out:
    return st;
}
