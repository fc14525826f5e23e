/* Opening the data of a run. Synthetic data is made if it does not exist. With data.on_error = skip or use every
 * clip is looked at here, once, so that every phase has the same list: those that can't be used are left out, and
 * damaged ones that are used are noted. */
#include "echoquant/infer.h"

#include <stdlib.h>
#include <string.h>

static bool holds(const char *dir, const char *file)
{
    char *path = eq_path_join(dir, file);
    bool there = eq_path_exists(path);
    free(path);
    return there;
}

bool eq_run_data_is_synthetic(const char *dir)
{
    return holds(dir, "synth.json");
}

enum eq_status eq_run_write_synth(const struct eq_config *cfg, const char *dir, struct eq_err *err)
{
    struct eq_synth_opts opts = EQ_SYNTH_DEFAULTS;
    opts.train = cfg->synth.train;
    opts.val = cfg->synth.val;
    opts.test = cfg->synth.test;
    opts.seed = (uint64_t)cfg->synth.seed;
    return eq_synth_write(dir, &opts, err);
}

/* A folder with a list that synth did not write is the user's own data, whatever data.synthetic says. */
static enum eq_status make_synthetic(const struct eq_config *cfg, struct eq_err *err)
{
    const char *dir = cfg->data.dir;
    if (!cfg->data.synthetic || (holds(dir, "FileList.csv") && !eq_run_data_is_synthetic(dir)))
        return EQ_OK;
    enum eq_status st = eq_run_write_synth(cfg, dir, err);
    if (st == EQ_USAGE)
        eq_err_context(err, "data.synthetic = true");
    return st;
}

/* One clip for each piece. */
struct check {
    const struct eq_dataset *ds;
    char **failed, **damaged; /* [n] reasons; NULL: none */
    bool use_damaged;
    struct eq_progress progress;
    size_t done;
};

static void check_piece(void *ctx, size_t i, int worker)
{
    struct check *c = ctx;
    struct eq_err err;
    struct eq_clip_info info;
    const char *path = c->ds->samples[i].path;
    if (eq_interrupted())
        return;
    enum eq_status st = eq_clip_check(path, EQ_CLIP_CHECK_FULL, &info, &err);
    if (st == EQ_OK && !c->use_damaged)
        st = eq_clip_refuse_damaged(path, &info, &err);
    if (st != EQ_OK)
        c->failed[i] = eq_strdup(err.msg);
    else if (info.damaged)
        c->damaged[i] = eq_strdup(info.reason);
    size_t done = __atomic_add_fetch(&c->done, 1, __ATOMIC_RELAXED);
    if (worker == 0) /* one thread draws */
        eq_progress_step(&c->progress, done, NULL);
}

static enum eq_status check_clips(const struct eq_config *cfg, struct eq_dataset *ds, struct eq_err *err)
{
    struct check c = {.ds = ds, .use_damaged = cfg->data.on_error == EQ_ON_ERROR_USE};
    size_t n = ds->n;
    enum eq_status st = EQ_OK;
    c.failed = calloc(n + 1, sizeof *c.failed);
    c.damaged = calloc(n + 1, sizeof *c.damaged);
    if (!c.failed || !c.damaged)
        EQ_TRY(eq_fail(err, EQ_NOMEM, "out of memory for checking the clips"));
    eq_progress_begin(&c.progress, "check", "clips", n);
    eq_parallel_for(n, check_piece, &c);
    eq_progress_step(&c.progress, c.done, NULL);
    eq_progress_end(&c.progress);
    if (eq_interrupted())
        EQ_TRY(eq_fail(err, EQ_INTERRUPTED, "interrupted while checking the clips of %s", ds->dir));
    for (size_t i = 0; i < n; i++)
        if (c.damaged[i])
            eq_dataset_note_damaged(ds, i, c.damaged[i]);
    for (size_t i = n; i-- > 0;)
        if (c.failed[i])
            eq_dataset_skip(ds, i, c.failed[i]);
    if (ds->n == 0)
        st = eq_fail(err, EQ_FORMAT, "%s: no clip can be read", ds->dir);
out:
    for (size_t i = 0; c.failed && c.damaged && i < n; i++) {
        free(c.failed[i]);
        free(c.damaged[i]);
    }
    free(c.failed);
    free(c.damaged);
    return st;
}

/* One warning for all, with the first names. */
static void warn_of_damaged(const struct eq_dataset *ds)
{
    enum { NAMED = 5 };
    struct eq_str text = {0};
    if (ds->n_damaged == 0)
        return;
    for (size_t i = 0; i < ds->n_damaged && i < NAMED; i++)
        eq_str_add(&text, "%s%s: %s", i ? "; " : "", ds->damaged[i].file_name, ds->damaged[i].reason);
    if (ds->n_damaged > NAMED)
        eq_str_add(&text, "; and %zu more, which results.json and the report list", ds->n_damaged - NAMED);
    eq_warn("%zu damaged clip%s used as far as %s can be read (data.on_error=use): %s", ds->n_damaged,
            ds->n_damaged == 1 ? " is" : "s are", ds->n_damaged == 1 ? "it" : "they", text.s);
    eq_str_clear(&text);
}

enum eq_status eq_run_open_data(const struct eq_config *cfg, struct eq_dataset *ds, struct eq_err *err)
{
    enum eq_status st;
    memset(ds, 0, sizeof *ds);
    EQ_TRY(make_synthetic(cfg, err));
    EQ_TRY(eq_dataset_open(cfg->data.dir, (uint64_t)cfg->data.split_seed, cfg->data.on_error, ds, err));
    if (cfg->data.on_error != EQ_ON_ERROR_FAIL)
        EQ_TRY(check_clips(cfg, ds, err));
    for (size_t i = 0; i < ds->n_skipped; i++)
        eq_warn("left out: %s", ds->skipped[i].reason);
    warn_of_damaged(ds);
out:
    if (st != EQ_OK)
        eq_dataset_clear(ds);
    return st;
}
