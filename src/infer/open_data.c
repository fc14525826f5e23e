/* Opening the data of a run. Synthetic data is made if it does not exist. With data.on_error = skip, unreadable clips
 * are left out here, once, so that every phase has the same list. */
#include "echoquant/infer.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

/* Whether dir is EQ_SYNTHETIC_DIR, or that with "-..." after it, however it is spelled from the working directory. */
static bool is_place_for_synthetic(const char *dir)
{
    static const char wanted[] = EQ_SYNTHETIC_DIR;
    struct eq_str path = {0};
    char *here = dir[0] == '/' ? getcwd(NULL, 0) : NULL;
    size_t skip = here ? strlen(here) : 0;
    if (here && strncmp(dir, here, skip) == 0 && dir[skip] == '/')
        dir += skip + 1;
    free(here);
    for (size_t len; *dir; dir += len + (dir[len] == '/')) {
        len = strcspn(dir, "/");
        if (len > 0 && !(len == 1 && dir[0] == '.'))
            eq_str_add(&path, "%s%.*s", path.len ? "/" : "", (int)len, dir);
        else if (len == 0 && !path.len)
            break; /* an absolute path to elsewhere */
    }
    const char *rest = path.s && strncmp(path.s, wanted, sizeof wanted - 1) == 0 ? path.s + sizeof wanted - 1 : NULL;
    bool is = rest && (rest[0] == '\0' || (rest[0] == '-' && !strchr(rest, '/')));
    eq_str_clear(&path);
    return is;
}

static enum eq_status refuse_to_make(const char *dir, struct eq_err *err)
{
    char *near = eq_nearest_folder(dir);
    enum eq_status st =
        eq_fail(err, EQ_IO,
                "%s: no such data folder%s%s%s Synthetic clips are made without asking only in " EQ_SYNTHETIC_DIR
                "; `echoquant synth %s` makes some there",
                dir, near ? "; did you mean " : ".", near ? near : "", near ? "?" : "", dir);
    free(near);
    return st;
}

/* A folder with a list that synth did not write is the user's own data, whatever data.synthetic says. */
static enum eq_status make_synthetic(const struct eq_config *cfg, struct eq_err *err)
{
    const char *dir = cfg->data.dir;
    bool begun = eq_run_data_is_synthetic(dir);
    if (!cfg->data.synthetic || (holds(dir, "FileList.csv") && !begun))
        return EQ_OK;
    if (!begun && !is_place_for_synthetic(dir))
        return eq_path_exists(dir) ? EQ_OK : refuse_to_make(dir, err);
    enum eq_status st = eq_run_write_synth(cfg, dir, err);
    if (st == EQ_USAGE)
        eq_err_context(err, "data.synthetic = true");
    return st;
}

/* One clip for each piece; reasons[i] is NULL if the clip is good. */
struct check {
    const struct eq_dataset *ds;
    struct eq_sampling sampling;
    char **reasons;
    uint8_t *scratch; /* [threads][eq_sampling_bytes] */
    struct eq_progress progress;
    size_t done;
};

static void check_piece(void *ctx, size_t i, int worker)
{
    struct check *c = ctx;
    struct eq_err err;
    if (eq_interrupted())
        return;
    if (eq_clip_read(c->ds->samples[i].path, &c->sampling,
                     c->scratch + (size_t)worker * eq_sampling_bytes(&c->sampling), NULL, &err) != EQ_OK)
        c->reasons[i] = eq_strdup(err.msg);
    size_t done = __atomic_add_fetch(&c->done, 1, __ATOMIC_RELAXED);
    if (worker == 0) /* one thread draws */
        eq_progress_step(&c->progress, done, NULL);
}

static enum eq_status leave_out_bad_clips(const struct eq_config *cfg, struct eq_dataset *ds, struct eq_err *err)
{
    struct check c = {.ds = ds, .sampling = {.frames = cfg->data.frames, .size = cfg->data.size, .phase = -1}};
    size_t n = ds->n;
    enum eq_status st = EQ_OK;
    c.reasons = calloc(n + 1, sizeof *c.reasons);
    c.scratch = eq_alloc((size_t)eq_parallel_threads(), eq_sampling_bytes(&c.sampling));
    if (!c.reasons || !c.scratch)
        EQ_TRY(eq_fail(err, EQ_NOMEM, "out of memory for checking the clips"));
    eq_progress_begin(&c.progress, "check", "clips", n);
    eq_parallel_for(n, check_piece, &c);
    eq_progress_step(&c.progress, c.done, NULL);
    eq_progress_end(&c.progress);
    if (eq_interrupted())
        EQ_TRY(eq_fail(err, EQ_INTERRUPTED, "interrupted while checking the clips of %s", ds->dir));
    for (size_t i = n; i-- > 0;)
        if (c.reasons[i])
            eq_dataset_skip(ds, i, c.reasons[i]);
    if (ds->n == 0)
        st = eq_fail(err, EQ_FORMAT, "%s: no clip can be read", ds->dir);
out:
    for (size_t i = 0; c.reasons && i < n; i++)
        free(c.reasons[i]);
    free(c.reasons);
    eq_free(c.scratch);
    return st;
}

enum eq_status eq_run_open_data(const struct eq_config *cfg, struct eq_dataset *ds, struct eq_err *err)
{
    enum eq_status st;
    memset(ds, 0, sizeof *ds);
    EQ_TRY(make_synthetic(cfg, err));
    EQ_TRY(eq_dataset_open(cfg->data.dir, (uint64_t)cfg->data.split_seed, cfg->data.on_error, ds, err));
    if (cfg->data.on_error == EQ_ON_ERROR_SKIP)
        EQ_TRY(leave_out_bad_clips(cfg, ds, err));
    for (size_t i = 0; i < ds->n_skipped; i++)
        eq_warn("left out: %s", ds->skipped[i].reason);
out:
    if (st != EQ_OK)
        eq_dataset_clear(ds);
    return st;
}
