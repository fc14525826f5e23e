/* Whether a run directory still holds what it held: seals, digests of data, models and predictions, and the
 * predictions themselves, made again. Reads only. */
#include "run/verify.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* EF points by which predictions of floating-point models may differ between CPUs and instruction sets: sums have
 * another order there. The network of width 64 on 12 frames of 112 px moved by 6e-5 from AVX-512 to plain C. BF16
 * rounds 2^16 times as coarsely. */
#define FP32_BOUND 0.01
#define BF16_BOUND 0.5

const char *eq_verdict_name(enum eq_verdict v)
{
    static const char *const names[EQ_VERDICT_COUNT] = {"holds", "differs", "not checked"};
    return names[v];
}

void eq_verification_add(struct eq_verification *v, enum eq_verdict verdict, const char *what, const char *fmt, ...)
{
    struct eq_str text = {0};
    va_list args;
    va_start(args, fmt);
    eq_str_vadd(&text, fmt, args);
    va_end(args);
    v->checks = eq_list_grow(v->checks, v->n, sizeof *v->checks);
    v->checks[v->n++] = (struct eq_check){verdict, eq_format("%s%s", v->prefix ? v->prefix : "", what), text.s};
    v->count[verdict]++;
}

/* What could not be looked at, for a reason of its own or for lack of memory, which ends the verification. */
static void add_failure(struct eq_verification *v, enum eq_verdict verdict, const char *what, const struct eq_err *why)
{
    eq_verification_add(v, verdict, what, "%s", why->msg);
    if (why->status == EQ_NOMEM)
        v->lack = *why;
}

void eq_verification_clear(struct eq_verification *v)
{
    for (size_t i = 0; i < v->n; i++) {
        free(v->checks[i].what);
        free(v->checks[i].text);
    }
    free(v->checks);
    *v = (struct eq_verification){0};
}

/* ---- what a run says of itself ----------------------------------------------- */

/* A run directory, read once. */
struct run {
    const struct eq_config *cfg;
    struct cJSON *config; /* config.json */
    const char *digest;   /* of the data, as config.json notes it; "": it does not */
    struct eq_results results;
    struct eq_dataset data;
    struct eq_str no_data; /* why predictions cannot be made again; empty: they can */
};

static void clear_run(struct run *r)
{
    cJSON_Delete(r->config);
    eq_results_clear(&r->results);
    eq_dataset_clear(&r->data);
    eq_str_clear(&r->no_data);
}

static void check_seal(struct eq_verification *v, const struct run *r, const char *file)
{
    struct eq_err why;
    enum eq_seal seal;
    char *path = eq_path_join(r->cfg->run.dir, file);
    if (eq_seal_check(path, &seal, &why) != EQ_OK)
        add_failure(v, EQ_DIFFERS, file, &why);
    else if (seal == EQ_SEAL_HOLDS)
        eq_verification_add(v, EQ_HOLDS, file, "as it was written");
    else if (seal == EQ_SEAL_BROKEN || *r->digest)
        eq_verification_add(v, EQ_DIFFERS, file, "was changed after it was written: its seal is broken");
    else
        eq_verification_add(v, EQ_NOT_CHECKED, file, "has no seal: version 0.1.0 wrote none");
    free(path);
}

/* Written by the report, if there is one. */
static enum eq_status check_statistics(struct eq_verification *v, const struct run *r, struct eq_err *err)
{
    bool there;
    char *path = eq_path_join(r->cfg->run.dir, EQ_STATISTICS_FILE);
    enum eq_status st = eq_path_look(path, &there, err);
    if (st == EQ_OK && there)
        check_seal(v, r, EQ_STATISTICS_FILE);
    free(path);
    return st;
}

/* The measurements beside quantized models; older versions wrote none. */
static enum eq_status check_quantization(struct eq_verification *v, const struct run *r, struct eq_err *err)
{
    enum eq_status st = EQ_OK;
    for (const struct eq_run_model *m = eq_run_models; m->name && st == EQ_OK; m++) {
        bool there;
        char *name = eq_format("quantization/%s", m->name), *file = eq_format("%s.json", name);
        st = eq_run_look(r->cfg->run.dir, name, ".json", &there, err);
        if (st == EQ_OK && there)
            check_seal(v, r, file);
        free(name);
        free(file);
    }
    return st;
}

/* ---- data -------------------------------------------------------------------- */

static void check_manifest(struct eq_verification *v, const struct run *r, struct eq_dataset *manifest)
{
    struct eq_err why;
    if (!*r->digest)
        eq_verification_add(v, EQ_NOT_CHECKED, "data.csv", "config.json notes no digest of the data (version 0.1.0)");
    else if (eq_run_read_manifest(r->cfg->run.dir, r->digest, manifest, &why) == EQ_OK)
        eq_verification_add(v, EQ_HOLDS, "data.csv", "%zu clips, SHA-256 as noted", manifest->n);
    else
        add_failure(v, EQ_DIFFERS, "data.csv", &why);
}

/* Opens the data, wherever they are now, and compares. */
static enum eq_status check_data(struct eq_verification *v, struct run *r, struct eq_err *err)
{
    struct eq_dataset manifest = {0};
    struct eq_str changes = {0};
    char now[EQ_SHA256_TEXT];
    struct eq_err why;
    const char *dir = r->cfg->data.dir;
    char *list;
    struct eq_config cfg = *r->cfg;
    if (cfg.data.on_error == EQ_ON_ERROR_FAIL)
        cfg.data.on_error = EQ_ON_ERROR_USE; /* a clip that was spoilt since is a difference among others */
    enum eq_status st = eq_dataset_list(dir, &list, err);
    if (st != EQ_OK)
        return st;
    check_manifest(v, r, &manifest);
    if (!list) {
        eq_str_add(&r->no_data, "the data cannot be found (no %s/FileList.csv); name their folder with --data", dir);
        eq_verification_add(v, EQ_NOT_CHECKED, "data", "%s", r->no_data.s);
        goto out;
    }
    st = eq_run_open_data(&cfg, &r->data, &why);
    if (st == EQ_INTERRUPTED || st == EQ_NOMEM)
        EQ_TRY(eq_fail(err, st, "%s", why.msg));
    if (st != EQ_OK) {
        st = EQ_OK;
        eq_str_add(&r->no_data, "the data cannot be opened");
        eq_verification_add(v, EQ_DIFFERS, "data", "%s", why.msg);
        goto out;
    }
    eq_dataset_digest(&r->data, now);
    if (!*r->digest) {
        eq_verification_add(v, EQ_NOT_CHECKED, "data", "config.json notes no digest of the data (version 0.1.0)");
    } else if (strcmp(now, r->digest) == 0) {
        eq_verification_add(v, EQ_HOLDS, "data", "%zu clips of %s: %s as noted", r->data.n, dir,
                            r->cfg->data.digest == EQ_DIGEST_BYTES ? "list and every byte" : "list and sizes");
    } else {
        eq_dataset_changes(&manifest, &r->data, &changes);
        eq_str_add(&r->no_data, "the data differ");
        eq_verification_add(v, EQ_DIFFERS, "data", "%s, changes since the run: %s", dir,
                            manifest.n && changes.len ? changes.s : "unknown, as data.csv does not tell");
    }
out:
    eq_str_clear(&changes);
    eq_dataset_clear(&manifest);
    free(list);
    return st;
}

static void check_rows_data(struct eq_verification *v, const struct run *r)
{
    struct eq_str others = {0};
    size_t n = 0;
    for (size_t i = 0; i < r->results.n; i++) {
        const struct eq_result *row = &r->results.rows[i];
        n += *row->data != '\0';
        if (*row->data && strcmp(row->data, r->digest) != 0)
            eq_str_add(&others, "%s%s", others.len ? ", " : "", row->model);
    }
    if (*r->results.data.digest && strcmp(r->results.data.digest, r->digest) != 0)
        eq_str_add(&others, "%sthe latest evaluation", others.len ? ", " : "");
    if (others.len)
        eq_verification_add(v, EQ_DIFFERS, "rows", "evaluated on other data than config.json notes: %s", others.s);
    else if (n)
        eq_verification_add(v, EQ_HOLDS, "rows", "%zu rows of results.json, all of the data that config.json notes", n);
    eq_str_clear(&others);
}

/* ---- models ------------------------------------------------------------------ */

/* A file against a digest, which stands in `source`; "": there is none. */
static enum eq_verdict check_file(struct eq_verification *v, const char *path, const char *what, const char *noted,
                                  const char *source)
{
    struct eq_err why;
    char hex[EQ_SHA256_TEXT];
    enum eq_verdict verdict = EQ_DIFFERS;
    if (eq_sha256_file(path, hex, &why) != EQ_OK)
        add_failure(v, verdict, what, &why);
    else if (!*noted)
        eq_verification_add(v, verdict = EQ_NOT_CHECKED, what, "no digest of it is noted (version 0.1.0)");
    else if (strcmp(hex, noted) == 0)
        eq_verification_add(v, verdict = EQ_HOLDS, what, "SHA-256 as %s notes it", source);
    else
        eq_verification_add(v, verdict, what, "SHA-256 is %.12s..., not %.12s... as %s notes it", hex, noted, source);
    return verdict;
}

static enum eq_status check_models(struct eq_verification *v, const struct run *r, struct eq_err *err)
{
    const struct cJSON *noted = cJSON_GetObjectItemCaseSensitive(r->config, EQ_MODEL_DIGESTS);
    for (const struct eq_run_model *m = eq_run_models; m->name; m++) {
        bool there;
        EQ_CHECK(eq_run_look(r->cfg->run.dir, m->file, ".safetensors", &there, err));
        const char *digest = eq_json_text(noted, m->name);
        if (!eq_run_model_is_made(m) || (!there && !*digest))
            continue;
        char *path = eq_run_model_path(r->cfg->run.dir, m->name, NULL), *what = eq_format("%s.safetensors", m->file);
        check_file(v, path, what, digest, "config.json");
        free(what);
        free(path);
    }
    return EQ_OK;
}

/* ---- predictions ------------------------------------------------------------- */

static bool near(double a, double b)
{
    return (isnan(a) && isnan(b)) || fabs(a - b) <= 1e-6 * (1 + fabs(b)); /* EFs have 9 digits in the file */
}

static void check_metrics(struct eq_verification *v, const struct eq_result *row, const struct eq_metrics *m,
                          const char *what)
{
    if (near(row->mae, m->mae) && near(row->rmse, m->rmse) && near(row->r2, m->r2) && row->clips == (double)m->clips)
        eq_verification_add(v, EQ_HOLDS, what, "MAE, RMSE and R2 follow from the predictions");
    else
        eq_verification_add(v, EQ_DIFFERS, what, "the predictions give MAE %.9g, RMSE %.9g, R2 %.9g of %zu clips",
                            m->mae, m->rmse, m->r2, m->clips);
}

/* The largest difference of a prediction; infinity where clips or EFs differ. Counts the rows that differ. */
static double largest_difference(const struct eq_evaluation *was, const struct eq_evaluation *is, size_t *n)
{
    double largest = was->n == is->n ? 0 : INFINITY;
    *n = 0;
    for (size_t i = 0; i < was->n && i < is->n; i++) {
        const struct eq_prediction *a = &was->rows[i], *b = &is->rows[i];
        bool same = strcmp(a->file_name, b->file_name) == 0 && a->split == b->split && near(a->ef, b->ef);
        float x = (float)a->prediction, y = (float)b->prediction; /* what the file's 9 digits restore */
        largest = fmax(largest, same ? fabs((double)x - (double)y) : INFINITY);
        *n += x != y || !same;
    }
    return largest;
}

/* Files of version 0.1.0 have no Frames and FPS. */
static void drop_new_columns(const struct eq_evaluation *was, struct eq_evaluation *is)
{
    bool known = false;
    for (size_t i = 0; i < was->n; i++)
        known |= was->rows[i].frames > 0 || was->rows[i].fps > 0;
    for (size_t i = 0; i < is->n && !known; i++) {
        is->rows[i].frames = 0;
        is->rows[i].fps = 0;
    }
}

/* was: the predictions in the file text[len]; is: those made now. */
static void compare(struct eq_verification *v, const struct eq_result *row, const char *what, bool floats,
                    const struct eq_evaluation *was, const struct eq_evaluation *is, const void *text, size_t len)
{
    struct eq_str now = {0};
    bool bf16 = strcmp(row->precision, "BF16") == 0;
    double bound = !floats ? 0 : bf16 ? BF16_BOUND : FP32_BOUND;
    size_t n;
    eq_predictions_text(is, &now);
    double largest = largest_difference(was, is, &n);
    if (now.len == len && memcmp(now.s, text, len) == 0)
        eq_verification_add(v, EQ_HOLDS, what, "%zu predictions made again with %s, equal to the byte", is->n,
                            eq_cpu_isa_in_use());
    else if (isinf(largest) || n == 0)
        eq_verification_add(v, EQ_DIFFERS, what, "the file does not list the test clips as the data do");
    else
        eq_verification_add(v, largest <= bound ? EQ_HOLDS : EQ_DIFFERS, what,
                            "%zu of %zu predictions made again with %s (%s then) differ, by up to %.3g EF points; "
                            "accepted are %g (%s)",
                            n, is->n, eq_cpu_isa_in_use(), *row->isa ? row->isa : "unknown", largest, bound,
                            !floats ? "INT8"
                            : bf16  ? "BF16"
                                    : "FP32");
    eq_str_clear(&now);
}

/* Makes the predictions of a row again. */
static enum eq_status repeat(struct eq_verification *v, const struct run *r, const struct eq_result *row,
                             const char *path, const char *what, const struct eq_evaluation *was, const void *text,
                             size_t len, struct eq_err *err)
{
    struct eq_predictor p = {0};
    struct eq_evaluation is = {0};
    struct eq_config cfg = *r->cfg;
    struct eq_err why;
    const struct eq_predictor_opts opts = {.precision = strcmp(row->precision, "BF16") == 0 ? EQ_PRECISION_BF16
                                                                                            : EQ_PRECISION_FP32,
                                           .phases = isnan(row->phases) ? 1 : (int)row->phases};
    enum eq_status st = eq_precision_check(opts.precision, &why);
    if (st == EQ_OK)
        st = eq_predictor_open(&p, path, &opts, &why);
    if (st == EQ_OK) {
        cfg.data.frames = p.meta.frames;
        cfg.data.size = p.meta.size;
        cfg.eval.phases = opts.phases;
        st = eq_evaluate(&p, &r->data, EQ_SPLIT_TEST, &cfg, &is, &why);
    }
    if (st == EQ_OK) {
        drop_new_columns(was, &is);
        compare(v, row, what, !eq_predictor_is_exact(&p), was, &is, text, len);
    } else if (st == EQ_UNSUPPORTED || (st == EQ_USAGE && opts.precision == EQ_PRECISION_BF16))
        eq_verification_add(v, EQ_NOT_CHECKED, what, "cannot be repeated here: %s", why.msg);
    else if (st != EQ_INTERRUPTED && st != EQ_NOMEM)
        eq_verification_add(v, EQ_DIFFERS, what, "cannot be repeated: %s", why.msg);
    if (st == EQ_INTERRUPTED || st == EQ_NOMEM)
        eq_fail(err, st, "%s", why.msg);
    else
        st = EQ_OK;
    eq_evaluation_clear(&is);
    eq_predictor_close(&p);
    return st;
}

/* Whether the file of a row is there to make its predictions again; says why it is not. */
static bool has_model(struct eq_verification *v, const struct run *r, const struct eq_result *row, const char *path,
                      const char *what)
{
    char hex[EQ_SHA256_TEXT];
    if (r->no_data.len)
        eq_verification_add(v, EQ_NOT_CHECKED, what, "not repeated: %s", r->no_data.s);
    else if (!eq_path_may_exist(path) && !eq_run_model_of_row(row->model))
        eq_verification_add(v, EQ_NOT_CHECKED, what, "not repeated: %s was evaluated from another folder", row->file);
    else if (eq_sha256_file(path, hex, NULL) != EQ_OK || (*row->file_sha256 && strcmp(hex, row->file_sha256) != 0))
        eq_verification_add(v, EQ_DIFFERS, what, "%s is not the file that was evaluated", path);
    else
        return true;
    return false;
}

/* baseline: an evaluation of the test clips for the row Median; filled by the first row that has predictions. */
static enum eq_status check_row(struct eq_verification *v, const struct run *r, const struct eq_result *row,
                                struct eq_evaluation *baseline, struct eq_err *err)
{
    enum { MAX_BYTES = 256 << 20 };
    char name[EQ_ROW_NAME], *csv = NULL, *path = NULL, *what = NULL, *model = NULL;
    struct eq_evaluation was = {0};
    struct eq_err why;
    void *text = NULL;
    size_t len;
    enum eq_status st = EQ_OK;
    if (!eq_run_file_name(row->model, name)) {
        eq_verification_add(v, EQ_NOT_CHECKED, row->model, "a row whose name can name no file");
        return EQ_OK;
    }
    what = eq_format("predictions/%s.csv", name);
    csv = eq_path_join(r->cfg->run.dir, what);
    path = eq_run_model_path(r->cfg->run.dir, name, NULL);
    model = eq_format("row %s", row->model);
    if (!eq_path_may_exist(csv) && !eq_run_model_of_row(row->model)) {
        eq_verification_add(v, EQ_NOT_CHECKED, what, "is missing");
        goto out;
    }
    if (check_file(v, csv, what, row->predictions_sha256, "results.json") == EQ_DIFFERS)
        goto out;
    if (eq_predictions_read(csv, &was, &why) != EQ_OK || eq_read_file(csv, MAX_BYTES, &text, &len, &why) != EQ_OK) {
        add_failure(v, EQ_DIFFERS, what, &why);
        goto out;
    }
    EQ_TRY(eq_evaluation_measure(&was, err));
    check_metrics(v, row, &was.metrics, model);
    if (has_model(v, r, row, path, model))
        EQ_TRY(repeat(v, r, row, path, model, &was, text, len, err));
    if (!baseline->n) {
        *baseline = was;
        was = (struct eq_evaluation){0};
    }
out:
    eq_evaluation_clear(&was);
    eq_free(text);
    free(model);
    free(path);
    free(csv);
    free(what);
    return st;
}

static enum eq_status check_median(struct eq_verification *v, const struct eq_result *row,
                                   struct eq_evaluation *baseline, struct eq_err *err)
{
    for (size_t i = 0; i < baseline->n; i++)
        baseline->rows[i].prediction = row->prediction;
    if (baseline->n == 0)
        return EQ_OK;
    EQ_CHECK(eq_evaluation_measure(baseline, err));
    check_metrics(v, row, &baseline->metrics, "row " EQ_MEDIAN_ROW);
    return EQ_OK;
}

static enum eq_status check_rows(struct eq_verification *v, const struct run *r, struct eq_err *err)
{
    struct eq_evaluation baseline = {0};
    enum eq_status st = EQ_OK;
    for (size_t i = 0; i < r->results.n && st == EQ_OK; i++) {
        const struct eq_result *row = &r->results.rows[i];
        st = strcmp(row->model, EQ_MEDIAN_ROW) == 0 ? check_median(v, row, &baseline, err)
                                                    : check_row(v, r, row, &baseline, err);
    }
    eq_evaluation_clear(&baseline);
    return st;
}

/* ---- a run ------------------------------------------------------------------- */

static enum eq_status read_config(const char *run_dir, struct cJSON **config, struct eq_err *err)
{
    char *path = eq_path_join(run_dir, "config.json");
    enum eq_status st = EQ_OK;
    bool there;
    EQ_TRY(eq_path_look(path, &there, err));
    if (!there)
        EQ_TRY(eq_fail(err, EQ_IO, "%s is not a run directory: it has no config.json", run_dir));
    EQ_TRY(eq_json_read(path, config, err));
out:
    free(path);
    return st;
}

/* False: there are none, or none that can be read, which is noted. */
static bool read_results(struct eq_verification *v, const char *run_dir, struct eq_results *results)
{
    struct eq_err why;
    eq_results_init(results);
    bool there, known = eq_run_look(run_dir, "results", ".json", &there, NULL) == EQ_OK;
    if (known && !there) {
        eq_verification_add(v, EQ_NOT_CHECKED, "results.json", "no model has been evaluated");
        return false;
    }
    if (eq_results_read(run_dir, results, &why) == EQ_OK)
        return true;
    add_failure(v, EQ_DIFFERS, "results.json", &why);
    eq_results_init(results); /* a failure leaves no text in it */
    return false;
}

static enum eq_status verify_one(struct eq_verification *v, const struct eq_config *cfg, struct eq_err *err)
{
    struct run r = {.cfg = cfg, .digest = ""};
    enum eq_status st;
    EQ_TRY(read_config(cfg->run.dir, &r.config, err));
    r.digest = eq_json_text(r.config, EQ_DATA_DIGEST);
    check_seal(v, &r, "config.json");
    bool rows = read_results(v, cfg->run.dir, &r.results);
    if (rows)
        check_seal(v, &r, "results.json");
    EQ_TRY(check_statistics(v, &r, err));
    EQ_TRY(check_quantization(v, &r, err));
    EQ_TRY(check_data(v, &r, err));
    check_rows_data(v, &r);
    EQ_TRY(check_models(v, &r, err));
    EQ_TRY(check_rows(v, &r, err));
out:
    clear_run(&r);
    return st;
}

static enum eq_status verify_seeds(struct eq_verification *v, const struct eq_config *cfg, struct eq_err *err)
{
    struct run r = {.cfg = cfg, .digest = ""};
    enum eq_status st;
    EQ_TRY(read_config(cfg->run.dir, &r.config, err));
    r.digest = eq_json_text(r.config, EQ_DATA_DIGEST);
    check_seal(v, &r, "config.json");
    if (read_results(v, cfg->run.dir, &r.results)) {
        check_seal(v, &r, "results.json");
        eq_verification_add(v, eq_seeds_are_collected(cfg) ? EQ_HOLDS : EQ_DIFFERS, "results.json",
                            "against the results of the %d seeds", cfg->train.seeds);
    }
    EQ_TRY(check_statistics(v, &r, err));
    for (int i = 0; i < cfg->train.seeds; i++) {
        struct eq_config one = *cfg;
        char *prefix = eq_format("seed-%d/", cfg->run.seed + i);
        one.run.dir = eq_seed_dir(cfg->run.dir, cfg->run.seed + i);
        one.run.seed = cfg->run.seed + i;
        one.train.seeds = 1;
        v->prefix = prefix;
        bool begun;
        st = eq_run_look(one.run.dir, "config", ".json", &begun, err);
        if (st == EQ_OK && begun)
            st = verify_one(v, &one, err);
        else if (st == EQ_OK)
            eq_verification_add(v, EQ_NOT_CHECKED, "", "this seed has not begun");
        v->prefix = NULL;
        free(one.run.dir);
        free(prefix);
        EQ_TRY(st);
    }
out:
    clear_run(&r);
    return st;
}

enum eq_status eq_run_verify(const struct eq_config *cfg, struct eq_verification *out, struct eq_err *err)
{
    struct eq_config own = *cfg;
    own.data.synthetic = false; /* nothing is made */
    *out = (struct eq_verification){0};
    enum eq_status st = own.train.seeds > 1 ? verify_seeds(out, &own, err) : verify_one(out, &own, err);
    if (st == EQ_OK && out->lack.status != EQ_OK)
        st = eq_fail(err, out->lack.status, "%s", out->lack.msg);
    return st;
}
