/* The training loop. Everything random comes from counters (seed, epoch, sample), so that a resumed run has the bits of
 * an uninterrupted one. */
#include "train/trainer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static enum eq_status collect_params(struct eq_trainer *t, struct eq_err *err)
{
    const struct eq_graph *g = t->job.graph;
    size_t max = (size_t)g->n_params;
    size_t *n = calloc(max, sizeof *n);
    t->param_index = calloc(max, sizeof *t->param_index);
    t->params = calloc(max, sizeof *t->params);
    t->grads = calloc(max, sizeof *t->grads);
    t->decay = calloc(max, sizeof *t->decay);
    enum eq_status st;
    if (!n || !t->param_index || !t->params || !t->grads || !t->decay)
        EQ_TRY(eq_fail(err, EQ_NOMEM, "out of memory for the list of parameters"));
    for (int i = 0; i < g->n_params; i++) {
        if (!g->params[i].trainable)
            continue;
        size_t k = t->n_params++;
        n[k] = eq_param_count(&g->params[i]);
        t->param_index[k] = i;
        t->params[k] = eq_param_data(&g->params[i]);
        t->grads[k] = eq_exec_grad(t->exec, i);
        t->decay[k] = g->params[i].decay;
    }
    EQ_TRY(eq_optim_init(&t->optim, &t->job.optim, t->n_params, n, err));
out:
    free(n);
    return st;
}

static enum eq_status init_ema(struct eq_trainer *t, struct eq_err *err)
{
    if (t->job.ema <= 0)
        return EQ_OK;
    t->ema = calloc((size_t)t->job.graph->n_params, sizeof *t->ema);
    if (!t->ema)
        return eq_fail(err, EQ_NOMEM, "out of memory for averaged weights");
    for (int i = 0; i < t->job.graph->n_params; i++) {
        const struct eq_param *p = &t->job.graph->params[i];
        t->ema[i] = eq_alloc(eq_param_count(p), sizeof(float));
        if (!t->ema[i])
            return eq_fail(err, EQ_NOMEM, "out of memory for averaged weights");
        memcpy(t->ema[i], eq_param_data(p), eq_tensor_bytes(&p->value));
    }
    return EQ_OK;
}

/* A job without data takes as many steps as the caller likes; its schedule stays at the start. */
enum { STEPS_WITHOUT_DATA = 1 << 20 };

static enum eq_status open_loaders(struct eq_trainer *t, struct eq_err *err)
{
    const struct eq_train_job *job = &t->job;
    t->steps_per_epoch = STEPS_WITHOUT_DATA;
    if (!job->ds)
        return EQ_OK;
    EQ_CHECK(eq_run_loader(job->cfg, job->ds, EQ_SPLIT_TRAIN, job->accumulate, job->batch, &t->train, err));
    EQ_CHECK(eq_run_loader(job->cfg, job->ds, EQ_SPLIT_VAL, 0, eq_predictor_batch(&job->graph->meta, 1), &t->val, err));
    t->steps_per_epoch = eq_loader_batches(t->train) / (size_t)job->accumulate;
    if (t->steps_per_epoch == 0)
        return eq_fail(err, EQ_USAGE,
                       "the training split is too small for one step: batch %d x accumulate %d needs at least "
                       "%d clips",
                       job->batch, job->accumulate, job->batch * job->accumulate);
    return EQ_OK;
}

enum eq_status eq_trainer_init(struct eq_trainer *t, const struct eq_train_job *job, struct eq_err *err)
{
    const struct eq_model_meta *meta = &job->graph->meta;
    *t = (struct eq_trainer){.job = *job, .comm = eq_comm_world(), .best_mae = INFINITY};
    EQ_CHECK(open_loaders(t, err));
    t->total_steps = t->steps_per_epoch * (size_t)job->epochs;
    const struct eq_exec_opts opts = {EQ_EXEC_TRAIN, job->precision, job->batch,
                                      meta->frames,  meta->size,     job->rule && job->rule->hook};
    EQ_CHECK(eq_exec_new(job->graph, &opts, &t->exec, err));
    if (job->rule && job->rule->hook) {
        struct eq_walk_hook hook = job->rule->hook(job->scales);
        eq_exec_set_hook(t->exec, &hook);
    }
    EQ_CHECK(collect_params(t, err));
    EQ_CHECK(init_ema(t, err));
    EQ_CHECK(eq_micro_init(t, err));
    t->history = calloc((size_t)job->epochs + 1, sizeof *t->history);
    t->ef = eq_alloc(3 * (size_t)job->batch, sizeof *t->ef);
    return t->history && t->ef ? EQ_OK : eq_fail(err, EQ_NOMEM, "out of memory for the history and a batch");
}

void eq_trainer_clear(struct eq_trainer *t)
{
    for (int i = 0; t->ema && i < t->job.graph->n_params; i++)
        eq_free(t->ema[i]);
    free(t->ema);
    eq_micro_clear(t);
    eq_optim_clear(&t->optim);
    eq_exec_free(t->exec);
    eq_predictor_close(&t->shipped);
    eq_loader_free(t->train);
    eq_loader_free(t->val);
    free(t->param_index);
    free(t->params);
    free(t->grads);
    free(t->decay);
    free(t->history);
    eq_free(t->ef);
    memset(t, 0, sizeof *t);
}

static size_t step_number(const struct eq_trainer *t)
{
    return (size_t)t->epoch * t->steps_per_epoch + t->batch_in_epoch / (size_t)t->job.accumulate;
}

static double learning_rate_at(const struct eq_trainer *t, size_t step)
{
    size_t warmup = (size_t)(t->job.warmup * (double)t->steps_per_epoch);
    return eq_schedule_lr(t->job.schedule, t->job.optim.lr, step, t->total_steps, warmup);
}

static double learning_rate(const struct eq_trainer *t)
{
    return learning_rate_at(t, step_number(t));
}

/* step: the current one; in validation, the last one. */
static enum eq_status diverged(const struct eq_trainer *t, const char *what, size_t step, double lr, struct eq_err *err)
{
    char *best = eq_trainer_state_path(t, "best");
    enum eq_status st =
        eq_fail(err, EQ_NUMERIC, "%s: the %s is not a finite number at step %zu of %zu, learning rate %g; %s%s",
                t->job.name, what, step, t->total_steps, lr,
                isfinite(t->best_mae) ? "last good checkpoint: "
                                      : "there is no good checkpoint yet: try a smaller learning rate",
                isfinite(t->best_mae) ? best : "");
    free(best);
    return st;
}

/* Averages running statistics together with their weights. A large decay would keep the random first weights for long,
 * so after n steps it is at most (1 + n) / (10 + n). */
static void update_ema(struct eq_trainer *t)
{
    double n = (double)t->optim.step;
    float take = (float)(1 - fmin(t->job.ema, (1 + n) / (10 + n)));
    for (int i = 0; t->ema && i < t->job.graph->n_params; i++) {
        const struct eq_param *p = &t->job.graph->params[i];
        eq_ema_update(t->ema[i], eq_param_data(p), eq_param_count(p), take);
    }
}

static void lap(struct eq_trainer *t, enum eq_train_part part, double *since)
{
    double now = eq_now_ms();
    t->parts[part] = now - *since;
    *since = now;
}

/* The part of a step after its last micro-batch: the optimizer. */
static enum eq_status apply_gradients(struct eq_trainer *t, double lr, double *since, struct eq_err *err)
{
    const struct eq_train_job *job = &t->job;
    double norm = eq_clip_grad_norm(t->grads, t->optim.n, t->n_params, job->grad_clip);
    if (!isfinite(norm))
        return diverged(t, "gradient", step_number(t) + 1, lr, err);
    t->norm_sum += norm;
    t->norm_max = norm > t->norm_max ? norm : t->norm_max; /* NaN stays */
    lap(t, EQ_TRAIN_NORM, since);
    eq_optim_step(&t->optim, t->params, t->grads, t->decay, lr);
    if (job->rule && job->rule->after_step)
        EQ_CHECK(job->rule->after_step(job->scales, t->exec, job->scale_lr * lr / job->optim.lr, err));
    update_ema(t);
    lap(t, EQ_TRAIN_OPTIMIZER, since);
    eq_exec_weights_changed(t->exec);
    eq_exec_zero_grads(t->exec);
    lap(t, EQ_TRAIN_ZERO, since);
    return EQ_OK;
}

static enum eq_status loss_of_batch(const struct eq_trainer *t, const struct eq_batch *batch, double *loss,
                                    struct eq_err *err)
{
    const struct eq_train_job *job = &t->job;
    float *teacher = t->ef + job->batch, *diff = teacher + job->batch, std = job->graph->meta.target_std;
    size_t n = (size_t)batch->n;
    if (!job->teacher) {
        *loss = eq_loss_forward(job->loss, t->ef, batch->ef, n, std, diff);
        return EQ_OK;
    }
    EQ_CHECK(eq_predictor_run(job->teacher, batch->pixels, teacher, err));
    *loss = eq_loss_distill(job->loss, t->ef, batch->ef, teacher, job->distill, n, std, diff);
    return EQ_OK;
}

/* The forward pass of a micro-batch; *loss: a finite number. */
static enum eq_status forward(struct eq_trainer *t, const struct eq_batch *batch, double lr, double *loss,
                              struct eq_err *err)
{
    const struct eq_train_job *job = &t->job;
    if (job->rule) {
        EQ_CHECK(job->rule->before_forward(job->scales, job->graph, err));
        eq_exec_weights_changed(t->exec);
    }
    eq_micro_begin(t);
    EQ_CHECK(eq_exec_forward(t->exec, batch->pixels, t->ef, err));
    EQ_CHECK(loss_of_batch(t, batch, loss, err));
    return isfinite(*loss) ? EQ_OK : diverged(t, "loss", step_number(t) + 1, lr, err);
}

enum eq_status eq_trainer_step(struct eq_trainer *t, const struct eq_batch *batch, struct eq_err *err)
{
    float *diff = t->ef + 2 * t->job.batch;
    double lr = learning_rate(t), since = eq_now_ms(), loss = NAN;
    bool last = t->micro.done + 1 == t->micro.n;
    enum eq_status st = forward(t, batch, lr, &loss, err);
    if (st != EQ_OK)
        return eq_micro_fail(t, st, err);
    lap(t, EQ_TRAIN_FORWARD, &since);
    eq_micro_note(t, loss);
    for (int i = 0; i < batch->n; i++)
        diff[i] /= (float)t->job.accumulate;
    EQ_CHECK(eq_exec_backward(t->exec, diff, err));
    if (!last)
        eq_micro_keep(t);
    lap(t, EQ_TRAIN_BACKWARD, &since);
    if (!last)
        return EQ_OK;
    EQ_CHECK(eq_micro_finish(t, err));
    lap(t, EQ_TRAIN_EXCHANGE, &since);
    EQ_CHECK(apply_gradients(t, lr, &since, err));
    t->batch_in_epoch += (size_t)t->job.accumulate;
    return EQ_OK;
}

static bool is_frozen(int first_epoch, int epoch)
{
    return first_epoch > 0 && epoch + 1 >= first_epoch;
}

/* Also called when a run resumes within the epoch. */
static void enter_epoch(struct eq_trainer *t)
{
    const struct eq_train_job *job = &t->job;
    for (int i = 0; i < job->graph->n_nodes; i++)
        if (job->graph->nodes[i].op == EQ_OP_BATCHNORM)
            job->graph->nodes[i].bn_frozen = is_frozen(job->freeze_bn_epoch, t->epoch);
    if (job->rule)
        job->rule->freeze(job->scales, is_frozen(job->freeze_scales_epoch, t->epoch));
}

/* How much of the training is done. */
static void report_part(const struct eq_trainer *t)
{
    double steps = (double)(t->steps_per_epoch * (size_t)t->job.accumulate);
    eq_steps_part((t->epoch + (double)t->batch_in_epoch / steps) / t->job.epochs);
}

/* After a whole step. */
static enum eq_status interrupted_step(const struct eq_trainer *t, struct eq_err *err)
{
    EQ_CHECK(eq_trainer_save_state(t, err));
    return eq_fail(err, EQ_INTERRUPTED,
                   "%s: interrupted after step %zu; the state is saved. Run the same command to resume.", t->job.name,
                   step_number(t));
}

/* Whether this process, or any, was asked to stop. */
static bool is_to_stop(const struct eq_trainer *t)
{
    return t->comm->size == 1 ? eq_interrupted() : t->micro.stop;
}

static enum eq_status train_epoch(struct eq_trainer *t, struct eq_err *err)
{
    enum eq_status st;
    struct eq_batch batch;
    struct eq_progress progress = {0};
    char label[64], note[64];
    size_t micro = t->steps_per_epoch * (size_t)t->job.accumulate;
    snprintf(label, sizeof label, "%s epoch %d/%d", t->job.name, t->epoch + 1, t->job.epochs);
    eq_progress_begin(&progress, label, "batches", micro);
    eq_progress_resume(&progress, t->batch_in_epoch);
    report_part(t);
    enter_epoch(t);
    EQ_TRY(eq_loader_start(t->train, (uint32_t)t->epoch, t->batch_in_epoch, err));
    while (t->batch_in_epoch < micro) {
        st = eq_loader_next(t->train, &batch, err);
        if (st != EQ_OK)
            st = eq_micro_fail(t, st, err);
        if (st == EQ_INTERRUPTED) /* a clip that takes long was given up, and with it this step */
            st = interrupted_step(t, err);
        EQ_TRY(st);
        EQ_TRY(eq_trainer_step(t, &batch, err));
        if (t->micro.done > 0)
            continue;
        snprintf(note, sizeof note, "loss %.4f", t->loss_sum / (double)t->batch_in_epoch);
        report_part(t);
        eq_progress_step(&progress, t->batch_in_epoch, note);
        if (is_to_stop(t))
            EQ_TRY(interrupted_step(t, err));
    }
out:
    eq_progress_end(&progress);
    return st;
}

/* Swaps averaged and current weights. */
static void swap_ema(struct eq_trainer *t)
{
    for (int i = 0; t->ema && i < t->job.graph->n_params; i++) {
        const struct eq_param *p = &t->job.graph->params[i];
        eq_ema_swap(t->ema[i], eq_param_data(p), eq_param_count(p));
    }
}

/* The graph as it would be shipped after `epoch` epochs, as t->shipped. In FP32, it stays open for the next validation,
 * as most of the time for opening it goes into the memory of its weights. *m: its integer model, owned by t->shipped;
 * NULL: it is FP32. */
static enum eq_status open_shipped(struct eq_trainer *t, int epoch, struct eq_qmodel **m, struct eq_err *err)
{
    const int clips = eq_predictor_batch(&t->job.graph->meta, 1);
    *m = NULL;
    if (!t->job.lower && t->shipped.ops)
        return eq_predictor_follow(&t->shipped, t->job.graph, err);
    if (!t->job.lower)
        return eq_predictor_from_graph(&t->shipped, t->job.graph, EQ_PRECISION_FP32, clips, err);
    eq_predictor_close(&t->shipped);
    enum eq_status st = t->job.lower(t->job.ctx, t->job.graph, epoch, m, err);
    return st == EQ_OK ? eq_predictor_from_qmodel(&t->shipped, *m, clips, err) : st;
}

/* Writes the best model so far; m: its integer form, or NULL. The start is studied once it is sure to stay the best. */
static enum eq_status keep_best(const struct eq_trainer *t, int epoch, const struct eq_qmodel *m, struct eq_err *err)
{
    char *best = eq_trainer_state_path(t, "best");
    enum eq_status st;
    EQ_TRY(m ? eq_qmodel_save(best, m, err) : eq_model_save(best, t->job.graph, err));
    if (t->job.study && epoch > 0)
        EQ_TRY(t->job.study(t->job.ctx, t->job.graph, err));
out:
    free(best);
    return st;
}

/* Validates the model after `epoch` epochs. If it is the best so far, exactly this model is written. */
static enum eq_status validate(struct eq_trainer *t, int epoch, struct eq_metrics *out, struct eq_err *err)
{
    enum eq_status st;
    struct eq_qmodel *m;
    struct eq_evaluation e = {0};
    swap_ema(t);
    EQ_TRY(open_shipped(t, epoch, &m, err));
    EQ_TRY(eq_evaluate_loader(&t->shipped, t->job.ds, t->val, NULL, &e, err));
    *out = e.metrics;
    if (out->mae < t->best_mae) {
        st = eq_first_begin() ? keep_best(t, epoch, m, err) : EQ_OK;
        EQ_TRY(eq_first_end(st, NULL, 0, err));
        t->best_mae = out->mae;
        t->best_epoch = epoch;
    }
out:
    swap_ema(t);
    eq_evaluation_clear(&e);
    return st;
}

/* The state has all steps of the epoch, so a resume validates first. */
static enum eq_status interrupted_validation(const struct eq_trainer *t, struct eq_err *err)
{
    EQ_CHECK(eq_trainer_save_state(t, err));
    return eq_fail(err, EQ_INTERRUPTED,
                   "%s: interrupted while validating epoch %d; the state is saved. Run the same command to resume.",
                   t->job.name, t->epoch + 1);
}

static enum eq_status finish_epoch(struct eq_trainer *t, double start_ms, double lr, struct eq_err *err)
{
    struct eq_metrics m = {0};
    enum eq_status st = validate(t, t->epoch + 1, &m, err);
    if (st == EQ_INTERRUPTED)
        return interrupted_validation(t, err);
    if (st == EQ_NUMERIC) {
        size_t last = step_number(t);
        return diverged(t, "EF of a validation clip", last, learning_rate_at(t, last - 1), err);
    }
    EQ_CHECK(st);
    struct eq_epoch_row *row = &t->history[t->n_history++];
    *row = (struct eq_epoch_row){.epoch = t->epoch + 1,
                                 .lr = lr,
                                 .train_loss = t->loss_sum / (double)t->batch_in_epoch,
                                 .val_mae = m.mae,
                                 .val_rmse = m.rmse,
                                 .seconds = (eq_now_ms() - start_ms) / 1e3,
                                 .grad_norm = t->norm_sum / (double)t->steps_per_epoch,
                                 .grad_norm_max = t->norm_max,
                                 .waited = t->micro.waited / 1e3};
    char waited[32] = "";
    if (t->comm->size > 1)
        snprintf(waited, sizeof waited, " (%.1f s waiting)", row->waited);
    eq_info("%s epoch %d/%d: loss %.4f, val MAE %.2f (best %.2f, epoch %d), %.1f s%s", t->job.name, row->epoch,
            t->job.epochs, row->train_loss, row->val_mae, t->best_mae, t->best_epoch, row->seconds, waited);
    t->epoch++;
    t->batch_in_epoch = 0;
    t->loss_sum = t->norm_sum = t->norm_max = t->micro.waited = 0;
    EQ_CHECK(eq_history_write(t, err));
    return eq_trainer_save_state(t, err);
}

/* Epoch 0: a training that makes nothing better ships what it started from. */
static enum eq_status weigh_start(struct eq_trainer *t, struct eq_err *err)
{
    struct eq_metrics m = {0};
    double start_ms = eq_now_ms();
    enum eq_status st = validate(t, 0, &m, err);
    if (st == EQ_INTERRUPTED)
        return eq_fail(err, st, "%s: interrupted while validating the start. Run the same command to start again.",
                       t->job.name);
    if (st != EQ_OK)
        return eq_err_context(err, "%s: the start, before any step", t->job.name);
    t->history[t->n_history++] = (struct eq_epoch_row){.lr = NAN,
                                                       .train_loss = NAN,
                                                       .val_mae = m.mae,
                                                       .val_rmse = m.rmse,
                                                       .seconds = (eq_now_ms() - start_ms) / 1e3,
                                                       .grad_norm = NAN,
                                                       .grad_norm_max = NAN};
    eq_info("%s start: validation MAE %.2f before any step", t->job.name, m.mae);
    EQ_CHECK(eq_history_write(t, err));
    return eq_trainer_save_state(t, err);
}

static bool out_of_patience(const struct eq_trainer *t)
{
    return t->job.patience > 0 && t->epoch - t->best_epoch >= t->job.patience;
}

/* Moves the best model to model_path and removes the state. */
static enum eq_status publish(const struct eq_trainer *t, const char *model_path, struct eq_err *err)
{
    if (t->best_epoch == 0 && t->job.study_start)
        EQ_CHECK(t->job.study_start(t->job.ctx, err));
    char *best = eq_trainer_state_path(t, "best"), *state = eq_trainer_state_path(t, "state");
    enum eq_status st = EQ_OK;
    if (rename(best, model_path) != 0)
        st = eq_fail_errno(err, "%s: cannot be moved to %s", best, model_path);
    else
        remove(state);
    free(best);
    free(state);
    return st;
}

/* Whether any process was asked to stop. */
static enum eq_status interrupted_epoch(const struct eq_trainer *t, struct eq_err *err)
{
    enum eq_status st = EQ_OK;
    if (eq_interrupted())
        st = eq_fail(err, EQ_INTERRUPTED,
                     "%s: interrupted after epoch %d; the state is saved. Run the same command to resume.", t->job.name,
                     t->epoch);
    return eq_comm_agree(t->comm, st, err);
}

enum eq_status eq_trainer_run(struct eq_trainer *t, const char *model_path, struct eq_err *err)
{
    bool resumed;
    EQ_CHECK(eq_trainer_load_state(t, &resumed, err));
    if (resumed)
        eq_info("%s: resuming at epoch %d, batch %zu", t->job.name, t->epoch + 1, t->batch_in_epoch + 1);
    else if (t->job.weigh_start)
        EQ_CHECK(weigh_start(t, err));
    eq_exec_weights_changed(t->exec);
    eq_exec_zero_grads(t->exec);
    while (t->epoch < t->job.epochs && !out_of_patience(t)) {
        /* The history has the rate of the first step of an epoch, also when the run resumes in the middle of it. */
        double start_ms = eq_now_ms(), lr = learning_rate_at(t, (size_t)t->epoch * t->steps_per_epoch);
        EQ_CHECK(train_epoch(t, err));
        EQ_CHECK(finish_epoch(t, start_ms, lr, err));
        if (t->epoch < t->job.epochs)
            EQ_CHECK(interrupted_epoch(t, err));
    }
    if (out_of_patience(t))
        eq_info("%s: stopped early, no better validation MAE for %d epoch%s", t->job.name, t->job.patience,
                eq_plural(t->job.patience));
    if (t->best_epoch == 0)
        eq_info("%s: no epoch was better than the start (validation MAE %.2f), so the start is kept as the model",
                t->job.name, t->best_mae);
    eq_predictor_close(&t->shipped); /* its memory is of use for a study */
    enum eq_status st = eq_first_begin() ? publish(t, model_path, err) : EQ_OK;
    return eq_first_end(st, NULL, 0, err);
}

enum eq_status eq_fit(const struct eq_train_job *job, struct eq_err *err)
{
    struct eq_trainer t = {0};
    char *path = eq_format("%s/%s.safetensors", job->cfg->run.dir, job->name);
    const struct eq_step alone = {job->name, 1};
    bool only_step = eq_steps_begin(&alone, 1);
    enum eq_status st;
    if (only_step)
        eq_steps_next(NULL);
    EQ_TRY(eq_trainer_init(&t, job, err));
    EQ_TRY(eq_trainer_run(&t, path, err));
    st = eq_first_begin() ? eq_run_note_model(path, err) : EQ_OK;
    EQ_TRY(eq_first_end(st, NULL, 0, err));
    eq_info("wrote %s", path);
out:
    if (only_step)
        eq_steps_end(st == EQ_OK);
    eq_trainer_clear(&t);
    free(path);
    return st;
}
