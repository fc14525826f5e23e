/*
 * The state of a training run as one safetensors file: "param.<key>", "m.<key>", "v.<key>", "ema.<key>",
 * "fq.<i>.scale", "fq.<i>.zero_point", "extra"; the position, the history and the signature are in its metadata.
 */
#include "train/trainer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define STATE_FORMAT "echoquant-state-1"

char *eq_trainer_state_path(const struct eq_trainer *t, const char *kind)
{
    return eq_format("%s/state/%s.%s.safetensors", t->job.cfg->run.dir, t->job.name, kind);
}

/* ---- tensors ------------------------------------------------------------- */

/* A vector of n values between memory and the file: path NULL adds it to a file that will be written, else it is taken
 * from one that was read. */
static enum eq_status move_vector(struct eq_st_file *f, const char *path, const char *prefix, const char *key,
                                  enum eq_dtype dtype, size_t n, void *data, struct eq_err *err)
{
    char name[128];
    snprintf(name, sizeof name, "%s%s", prefix, key);
    if (!path) {
        eq_st_add(f, name, eq_tensor_view(dtype, 1, &n, data));
        return EQ_OK;
    }
    const struct eq_tensor *tensor = eq_st_find(f, name);
    if (!tensor)
        return eq_fail(err, EQ_FORMAT, "%s: %s is missing", path, name);
    if (tensor->dtype != dtype || eq_tensor_bytes(tensor) != n * 4)
        return eq_fail(err, EQ_FORMAT, "%s: %s has the wrong type or size", path, name);
    memcpy(data, tensor->data, n * 4);
    for (size_t i = 0; dtype == EQ_F32 && i < n; i++)
        if (!isfinite(((const float *)data)[i]))
            return eq_fail(err, EQ_NUMERIC, "%s: %s has a value that is not finite", path, name);
    return EQ_OK;
}

/* All tensors of a state; extra: [n_extra], the state of the rule that moves the scales. */
static enum eq_status move_tensors(struct eq_st_file *f, const char *path, const struct eq_trainer *t, size_t n_extra,
                                   float *extra, struct eq_err *err)
{
    const struct eq_graph *g = t->job.graph;
    for (int i = 0; i < g->n_params; i++) {
        const struct eq_param *p = &g->params[i];
        EQ_CHECK(move_vector(f, path, "param.", p->name, EQ_F32, eq_param_count(p), eq_param_data(p), err));
        if (t->ema)
            EQ_CHECK(move_vector(f, path, "ema.", p->name, EQ_F32, eq_param_count(p), t->ema[i], err));
    }
    for (size_t i = 0; i < t->n_params; i++) {
        const struct eq_param *p = &g->params[t->param_index[i]];
        EQ_CHECK(move_vector(f, path, "m.", p->name, EQ_F32, eq_param_count(p), t->optim.m[i], err));
        if (t->optim.v)
            EQ_CHECK(move_vector(f, path, "v.", p->name, EQ_F32, eq_param_count(p), t->optim.v[i], err));
    }
    for (int i = 0; i < g->n_fake_quants; i++) {
        const struct eq_fake_quant *fq = &g->fake_quants[i];
        char key[32];
        snprintf(key, sizeof key, "%d.scale", i);
        EQ_CHECK(move_vector(f, path, "fq.", key, EQ_F32, (size_t)fq->channels, fq->scale, err));
        snprintf(key, sizeof key, "%d.zero_point", i);
        EQ_CHECK(move_vector(f, path, "fq.", key, EQ_S32, (size_t)fq->channels, fq->zero_point, err));
    }
    return n_extra ? move_vector(f, path, "", "extra", EQ_F32, n_extra, extra, err) : EQ_OK;
}

/* ---- writing ------------------------------------------------------------- */

static void add_position(struct eq_st_file *f, const struct eq_trainer *t)
{
    eq_st_add_meta(f, "format", STATE_FORMAT);
    eq_st_add_meta(f, "signature", "%s", t->job.signature);
    eq_st_add_meta(f, "epoch", "%d", t->epoch);
    eq_st_add_meta(f, "batch_in_epoch", "%zu", t->batch_in_epoch);
    eq_st_add_meta(f, "optimizer_step", "%zu", t->optim.step);
    eq_st_add_meta(f, "loss_sum", "%.17g", t->loss_sum);
    eq_st_add_meta(f, "norm_sum", "%.17g", t->norm_sum);
    eq_st_add_meta(f, "norm_max", "%.17g", t->norm_max);
    eq_st_add_meta(f, "best_epoch", "%d", t->best_epoch);
    if (isfinite(t->best_mae))
        eq_st_add_meta(f, "best_mae", "%.17g", t->best_mae);
    struct eq_str rows = {0};
    for (int i = 0; i < t->n_history; i++) {
        const struct eq_epoch_row *r = &t->history[i];
        eq_str_add(&rows, "%d %.17g %.17g %.17g %.17g %.17g %.17g %.17g %.17g\n", r->epoch, r->lr, r->train_loss,
                   r->val_mae, r->val_rmse, r->seconds, r->grad_norm, r->grad_norm_max, r->waited);
    }
    eq_st_add_meta(f, "history", "%s", rows.s ? rows.s : "");
    eq_str_clear(&rows);
}

static enum eq_status save(const struct eq_trainer *t, struct eq_err *err)
{
    struct eq_st_file f = {0};
    char *path = eq_trainer_state_path(t, "state");
    size_t n_extra = t->job.rule ? t->job.rule->state_size(t->job.scales) : 0;
    float *extra = eq_alloc(n_extra + 1, sizeof *extra);
    enum eq_status st;
    if (!extra)
        EQ_TRY(eq_fail(err, EQ_NOMEM, "out of memory for %s", path));
    if (n_extra)
        t->job.rule->get_state(t->job.scales, extra);
    add_position(&f, t);
    EQ_TRY(move_tensors(&f, NULL, t, n_extra, extra, err));
    EQ_TRY(eq_st_write(path, &f, err));
out:
    eq_st_clear(&f);
    eq_free(extra);
    free(path);
    return st;
}

enum eq_status eq_trainer_save_state(const struct eq_trainer *t, struct eq_err *err)
{
    enum eq_status st = eq_first_begin() ? save(t, err) : EQ_OK;
    return eq_first_end(st, NULL, 0, err);
}

/* ---- reading ------------------------------------------------------------- */

static enum eq_status take_int(const struct eq_st_file *f, const char *path, const char *key, int64_t max, int64_t *out,
                               struct eq_err *err)
{
    const char *text = eq_st_meta(f, key);
    if (!text || !eq_parse_int64(text, out) || *out < 0 || *out > max)
        return eq_fail(err, EQ_FORMAT, "%s: %s is missing or out of range", path, key);
    return EQ_OK;
}

static enum eq_status take_real(const struct eq_st_file *f, const char *path, const char *key, double *out,
                                struct eq_err *err)
{
    const char *text = eq_st_meta(f, key);
    if (!text || !eq_parse_double(text, out))
        return eq_fail(err, EQ_FORMAT, "%s: %s is missing or not a number", path, key);
    return EQ_OK;
}

/* Norms of the gradient, which states of version 0.1.0 lack: those of steps before the resume are then unknown. */
static enum eq_status take_norms(const struct eq_st_file *f, const char *path, struct eq_trainer *t, bool within_epoch,
                                 struct eq_err *err)
{
    const char *sum = eq_st_meta(f, "norm_sum"), *most = eq_st_meta(f, "norm_max");
    t->norm_sum = t->norm_max = within_epoch ? NAN : 0;
    if (sum && most && strcmp(sum, "nan") != 0) {
        EQ_CHECK(take_real(f, path, "norm_sum", &t->norm_sum, err));
        EQ_CHECK(take_real(f, path, "norm_max", &t->norm_max, err));
    }
    return EQ_OK;
}

/* A row has 9 numbers; in states of earlier versions, which nobody waited for, 8; in those of version 0.1.0, which
 * also lack the norms of the gradient, 6. */
static bool read_row(const char *line, size_t len, struct eq_epoch_row *r)
{
    char text[256];
    int used = 0;
    snprintf(text, sizeof text, "%.*s", len < sizeof text ? (int)len : 0, line);
    r->grad_norm = r->grad_norm_max = NAN;
    r->waited = 0;
    int n = sscanf(text, "%d %lf %lf %lf %lf %lf%n %lf %lf%n %lf%n", &r->epoch, &r->lr, &r->train_loss, &r->val_mae,
                   &r->val_rmse, &r->seconds, &used, &r->grad_norm, &r->grad_norm_max, &used, &r->waited, &used);
    return (n == 6 || n == 8 || n == 9) && text[used] == '\0';
}

static enum eq_status take_history(const struct eq_st_file *f, const char *path, struct eq_trainer *t,
                                   struct eq_err *err)
{
    const char *p = eq_st_meta(f, "history");
    for (t->n_history = 0; p && *p; t->n_history++) {
        struct eq_epoch_row r;
        size_t len = strcspn(p, "\n");
        if (t->n_history == t->job.epochs + 1 || !read_row(p, len, &r))
            return eq_fail(err, EQ_FORMAT, "%s: the history cannot be read", path);
        t->history[t->n_history] = r;
        p += len + (p[len] == '\n');
    }
    return p ? EQ_OK : eq_fail(err, EQ_FORMAT, "%s: the history is missing", path);
}

static enum eq_status take_position(const struct eq_st_file *f, const char *path, struct eq_trainer *t,
                                    struct eq_err *err)
{
    int64_t epoch, batch, step, best;
    EQ_CHECK(take_int(f, path, "epoch", t->job.epochs, &epoch, err));
    EQ_CHECK(take_int(f, path, "batch_in_epoch", (int64_t)t->steps_per_epoch * t->job.accumulate, &batch, err));
    EQ_CHECK(take_int(f, path, "optimizer_step", (int64_t)t->total_steps, &step, err));
    EQ_CHECK(take_int(f, path, "best_epoch", epoch, &best, err));
    EQ_CHECK(take_real(f, path, "loss_sum", &t->loss_sum, err));
    if (best || eq_st_meta(f, "best_mae")) /* the start, or an epoch */
        EQ_CHECK(take_real(f, path, "best_mae", &t->best_mae, err));
    EQ_CHECK(take_norms(f, path, t, batch > 0, err));
    EQ_CHECK(take_history(f, path, t, err));
    /* States are only written at the end of a step. */
    if (batch % t->job.accumulate != 0 || step != epoch * (int64_t)t->steps_per_epoch + batch / t->job.accumulate)
        return eq_fail(err, EQ_FORMAT, "%s: optimizer_step, epoch and batch_in_epoch contradict each other", path);
    /* States of version 0.1.0 did not weigh the start, and go on without it. */
    int epochs = t->n_history - (t->n_history > 0 && t->history[0].epoch == 0);
    if (epochs != epoch)
        return eq_fail(err, EQ_FORMAT, "%s: a history of %d epochs in a state of epoch %lld", path, epochs,
                       (long long)epoch);
    t->epoch = (int)epoch;
    t->batch_in_epoch = (size_t)batch;
    t->optim.step = (size_t)step;
    t->best_epoch = (int)best;
    return EQ_OK;
}

/* A copy of the line of text with the same key as `line` ("key=value"); NULL: there is none. */
static char *line_with_key(const char *text, const char *line)
{
    size_t key = strcspn(line, "=\n") + 1;
    for (; *text; text += strcspn(text, "\n"), text += *text != '\0')
        if (strncmp(text, line, key) == 0) {
            return eq_format("%.*s", (int)strcspn(text, "\n"), text);
        }
    return NULL;
}

/* Appends the lines of b that differ from a; only_missing: only those whose key a lacks. States of earlier versions
 * lack settings that are newer, and those of version 0.1.0 do not record where ranges started. */
static void add_changes(const char *a, const char *b, bool only_missing, struct eq_str *out)
{
    for (const char *line = b; *line; line += strcspn(line, "\n"), line += *line != '\0') {
        char *was = line_with_key(a, line), *is = line_with_key(b, line);
        bool start = strncmp(line, EQ_SIGNATURE_START, strlen(EQ_SIGNATURE_START)) == 0;
        bool noted = was || !(start || eq_settings_default_line(is));
        bool changed = noted && (only_missing ? !was : !was || !eq_settings_same_line(was, is));
        if (changed && only_missing)
            eq_str_add(out, "%s%s -> ", out->len ? ", " : "", is);
        else if (changed)
            eq_str_add(out, "%s%s -> %s", out->len ? ", " : "", was ? was : "", is);
        free(was);
        free(is);
    }
}

/* Compares signatures by key, because versions have different orders. */
static enum eq_status compare_signature(const char *path, const char *was, const char *is, struct eq_err *err)
{
    struct eq_str changes = {0};
    enum eq_status st = EQ_OK;
    add_changes(was, is, false, &changes);
    add_changes(is, was, true, &changes);
    if (changes.len)
        st = eq_fail(err, EQ_USAGE,
                     "%s was written with other settings (%.600s): set them back to resume, or name another "
                     "folder with --run",
                     path, changes.s);
    eq_str_clear(&changes);
    return st;
}

static enum eq_status check_format(void *ctx, struct eq_st_file *f, struct eq_err *err)
{
    const char *format = eq_st_meta(f, "format");
    (void)ctx;
    return format && strcmp(format, STATE_FORMAT) == 0 && eq_st_meta(f, "signature")
               ? EQ_OK
               : eq_fail(err, EQ_FORMAT, "not a training state of this version");
}

enum eq_status eq_trainer_take_state(struct eq_trainer *t, struct eq_st_file *f, const char *path, struct eq_err *err)
{
    enum eq_status st;
    size_t n_extra = t->job.rule ? t->job.rule->state_size(t->job.scales) : 0;
    float *extra = eq_alloc(n_extra + 1, sizeof *extra);
    if (!extra)
        EQ_TRY(eq_fail(err, EQ_NOMEM, "out of memory for %s", path));
    if (check_format(NULL, f, err) != EQ_OK)
        EQ_TRY(eq_err_context(err, "%s", path));
    EQ_TRY(compare_signature(path, eq_st_meta(f, "signature"), t->job.signature, err));
    EQ_TRY(take_position(f, path, t, err));
    EQ_TRY(move_tensors(f, path, t, n_extra, extra, err));
    if (n_extra)
        t->job.rule->set_state(t->job.scales, extra);
out:
    eq_free(extra);
    return st;
}

/* Every process reads the state. */
static enum eq_status load(struct eq_trainer *t, bool *resumed, struct eq_err *err)
{
    struct eq_st_file f = {0};
    enum eq_status st;
    bool there;
    char *path = eq_trainer_state_path(t, "state"), *best = eq_trainer_state_path(t, "best");
    *resumed = false;
    EQ_TRY(eq_path_look(path, &there, err));
    if (!there)
        goto out;
    EQ_TRY(eq_st_read_checked(path, check_format, NULL, &f, err));
    EQ_TRY(eq_trainer_take_state(t, &f, path, err));
    EQ_TRY(eq_path_look(best, &there, err));
    if (isfinite(t->best_mae) && !there)
        EQ_TRY(eq_fail(err, EQ_IO,
                       "%s is missing, but %s refers to it: restore it, or remove %s to start the training again", best,
                       path, path));
    *resumed = true;
out:
    eq_st_clear(&f);
    free(path);
    free(best);
    return st;
}

enum eq_status eq_trainer_load_state(struct eq_trainer *t, bool *resumed, struct eq_err *err)
{
    EQ_CHECK(load(t, resumed, err));
    char *position = eq_format("resumed=%d\nepoch=%d\nbatch=%zu\nbest_epoch=%d\nloss_sum=%.17g\n", *resumed, t->epoch,
                               t->batch_in_epoch, t->best_epoch, t->loss_sum);
    enum eq_status st = eq_dist_same("state files", position, err);
    free(position);
    return st;
}
