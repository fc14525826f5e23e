/* Opening the data of a run. Synthetic data is made if it does not exist. Every clip is checked here, before anything
 * is trained; those that cannot be used end the command or are left out, so that every phase has the same list. */
#include "echoquant/dist.h"
#include "echoquant/infer.h"
#include "echoquant/make.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static enum eq_status holds_list(const char *dir, bool *there, struct eq_err *err)
{
    char *list;
    enum eq_status st = eq_dataset_list(dir, &list, err);
    *there = list != NULL;
    free(list);
    return st;
}

struct eq_list_opts eq_run_list_opts(const struct eq_config *cfg)
{
    return (struct eq_list_opts){.split_seed = (uint64_t)cfg->data.split_seed,
                                 .on_error = cfg->data.on_error,
                                 .ef_unit = cfg->data.ef_unit,
                                 .patient_column = cfg->data.patient_column,
                                 .val_folds = cfg->data.val_folds,
                                 .test_folds = cfg->data.test_folds,
                                 .links = cfg->data.links};
}

enum eq_status eq_run_data_is_synthetic(const char *dir, bool *is, struct eq_err *err)
{
    char *path = eq_path_join(dir, "synth.json");
    enum eq_status st = eq_path_look(path, is, err);
    free(path);
    return st;
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
                "%s: no such data folder%s%s%s Synthetic clips are made automatically only in " EQ_SYNTHETIC_DIR
                "; to make some here, run `echoquant synth %s`",
                dir, near ? "; did you mean " : ".", near ? near : "", near ? "?" : "", dir);
    free(near);
    return st;
}

/* A folder with a list that synth did not write is the user's own data, whatever data.synthetic says. */
static enum eq_status make_synthetic(const struct eq_config *cfg, struct eq_err *err)
{
    const char *dir = cfg->data.dir;
    bool begun, there, has_list;
    if (!cfg->data.synthetic)
        return EQ_OK;
    EQ_CHECK(eq_run_data_is_synthetic(dir, &begun, err));
    EQ_CHECK(holds_list(dir, &has_list, err));
    EQ_CHECK(eq_path_look(dir, &there, err));
    if (has_list && !begun)
        return EQ_OK;
    if (!begun && !is_place_for_synthetic(dir))
        return there ? EQ_OK : refuse_to_make(dir, err);
    enum eq_status st = eq_run_write_synth(cfg, dir, err);
    if (st == EQ_USAGE)
        eq_err_context(err, "data.synthetic = true");
    return st;
}

enum { FAULTS_SHOWN = 100, NAMES_SHOWN = 6 };

/* Every row and clip that cannot be used, each in a line. */
static void list_faults(const struct eq_dataset *ds, const struct eq_data_check *check)
{
    size_t n = 0;
    for (size_t i = 0; i < ds->n_skipped; i++)
        if (n++ < FAULTS_SHOWN)
            eq_warn("cannot be used: %s", ds->skipped[i].reason);
    for (size_t i = 0; i < check->n; i++)
        if (check->clips[i].fault && n++ < FAULTS_SHOWN)
            eq_warn("cannot be used: %s", check->clips[i].fault);
    if (n > FAULTS_SHOWN)
        eq_warn("... and %zu more; `echoquant inspect --json %s` lists all", n - FAULTS_SHOWN, ds->dir);
}

static enum eq_status refuse_faults(const struct eq_dataset *ds, const struct eq_data_check *check, struct eq_err *err)
{
    size_t all = ds->n + ds->n_skipped, bad = all - check->good;
    const char *reason = ds->n_skipped ? ds->skipped[0].reason : NULL;
    for (size_t i = 0; i < check->n && !reason; i++)
        reason = check->clips[i].fault;
    if (bad == 0)
        return EQ_OK;
    if (bad > 1)
        list_faults(ds, check);
    return eq_fail(err, EQ_FORMAT,
                   "%s: %zu of %zu clips cannot be used (%s%.500s). Replace or correct %s, or leave %s out with --set "
                   "data.on_error=skip",
                   ds->dir, bad, all, bad > 1 ? "listed above; the first: " : "", reason, bad > 1 ? "them" : "it",
                   bad > 1 ? "them" : "it");
}

/* Leaves out what cannot be read, and with `use` notes what is only damaged. */
static void skip_faults(struct eq_dataset *ds, const struct eq_data_check *check, bool use)
{
    for (size_t i = 0; i < check->n; i++)
        if (check->clips[i].damage && use)
            eq_dataset_note_damaged(ds, i, check->clips[i].damage);
    for (size_t i = check->n; i-- > 0;)
        if (check->clips[i].fault && !(check->clips[i].damage && use))
            eq_dataset_skip(ds, i, EQ_FORMAT, check->clips[i].fault);
}

static void warn_of_findings(const struct eq_data_check *check)
{
    for (int k = 0; k < EQ_FINDING_COUNT; k++) {
        enum eq_finding_kind kind = (enum eq_finding_kind)k;
        struct eq_str line = {0};
        if (eq_finding_is_fault(kind) || eq_data_check_count(check, kind) == 0)
            continue;
        eq_data_check_line(check, kind, NAMES_SHOWN, &line);
        eq_warn("%s", line.s);
        eq_str_clear(&line);
    }
}

static void note_lengths(struct eq_dataset *ds, const struct eq_data_check *check)
{
    for (size_t i = 0; i < check->n; i++) {
        ds->samples[i].clip_fps = check->clips[i].fps;
        ds->samples[i].clip_frames = check->clips[i].frames;
    }
}

static enum eq_status check_clips(const struct eq_config *cfg, struct eq_dataset *ds, struct eq_err *err)
{
    struct eq_data_check check;
    char *cache = eq_cache_dir();
    struct eq_check_opts opts = {.frames = cfg->data.frames, .cache_dir = cache};
    enum eq_status st;
    EQ_TRY(eq_data_check(ds, &opts, &check, err));
    warn_of_findings(&check);
    ds->copies_across_splits = eq_data_check_count(&check, EQ_FINDING_COPY_ACROSS);
    note_lengths(ds, &check);
    if (cfg->data.on_error == EQ_ON_ERROR_FAIL)
        st = refuse_faults(ds, &check, err);
    else
        skip_faults(ds, &check, cfg->data.on_error == EQ_ON_ERROR_USE);
    eq_data_check_clear(&check);
    if (st == EQ_OK && ds->n == 0)
        st = eq_fail(err, EQ_FORMAT, "%s: no clip can be read", ds->dir);
out:
    free(cache);
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

/* Bad rows of the list are left out at first even where they are refused, so that they stand among the bad clips. */
enum eq_status eq_run_open_data(const struct eq_config *cfg, struct eq_dataset *ds, struct eq_err *err)
{
    enum eq_status st;
    memset(ds, 0, sizeof *ds);
    EQ_TRY(make_synthetic(cfg, err));
    struct eq_list_opts opts = eq_run_list_opts(cfg);
    opts.on_error = EQ_ON_ERROR_SKIP;
    EQ_TRY(eq_dataset_open(cfg->data.dir, &opts, ds, err));
    if (ds->ef_like_fraction)
        EQ_TRY(eq_fail(err, EQ_FORMAT,
                       "%s: all %zu EFs lie within 0..1, so they look like fractions. Percent are needed: use "
                       "--set data.ef_unit=fraction to convert them",
                       cfg->data.dir, ds->n));
    EQ_TRY(check_clips(cfg, ds, err));
    if (cfg->data.digest == EQ_DIGEST_BYTES)
        EQ_TRY(eq_dataset_hash(ds, err));
    for (size_t i = 0; i < ds->n_skipped; i++)
        eq_warn("left out: %s", ds->skipped[i].reason);
    warn_of_damaged(ds);
out:
    if (st != EQ_OK)
        eq_dataset_clear(ds);
    return st;
}

enum eq_status eq_run_open_data_of_first(const struct eq_config *cfg, struct eq_dataset *ds, struct eq_err *err)
{
    const struct eq_comm *c = eq_comm_world();
    struct eq_str text = {0};
    if (c->size == 1)
        return EQ_OK;
    if (c->rank > 0 && !ds->dir)
        EQ_CHECK(eq_run_open_data(cfg, ds, err));
    eq_dataset_manifest(ds, &text);
    enum eq_status st = eq_dist_same("data", text.s, err);
    eq_str_clear(&text);
    return st;
}
