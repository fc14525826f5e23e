/* Reading runs for a comparison: their results, the settings that differ, and whether their test clips are the same. */
#include "report/compare.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- test clips ------------------------------------------------------------ */

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Sets run->test from the manifest of the run, or that of its first seed. Without one, the digest of its data stands
 * for them. */
static enum eq_status identify_clips(struct eq_compared_run *run, struct eq_err *err)
{
    const char *digest = run->results.data.digest;
    struct eq_dataset ds = {0};
    struct eq_str all = {0};
    char **lines = NULL, *seed = NULL;
    size_t n = 0;
    bool there;
    enum eq_status st;
    snprintf(run->test, sizeof run->test, "%s", digest);
    if (run->results.n_seeds)
        seed = eq_format("%s/%s", run->dir, run->results.seeds[0].dir);
    const char *dir = seed ? seed : run->dir;
    EQ_TRY(eq_run_look(dir, "data", ".csv", &there, err));
    if (!there || !*digest)
        goto out;
    EQ_TRY(eq_run_read_manifest(dir, digest, &ds, err));
    for (size_t i = 0; i < ds.n; i++) {
        struct eq_str line = {0};
        if (ds.samples[i].split != EQ_SPLIT_TEST)
            continue;
        eq_csv_add(&line, ds.samples[i].file_name);
        eq_str_add(&line, ",%.17g\n", ds.samples[i].ef);
        lines = eq_list_grow(lines, n, sizeof *lines);
        lines[n++] = line.s;
    }
    if (n)
        qsort(lines, n, sizeof *lines, compare_texts);
    for (size_t i = 0; i < n; i++)
        eq_str_add(&all, "%s", lines[i]);
    eq_sha256(all.s, all.len, run->test);
out:
    for (size_t i = 0; i < n; i++)
        free(lines[i]);
    free(lines);
    free(seed);
    eq_str_clear(&all);
    eq_dataset_clear(&ds);
    return st;
}

static void group_clips(struct eq_comparison *c)
{
    for (size_t i = 0; i < c->n; i++) {
        struct eq_compared_run *run = &c->runs[i];
        if (!run->results.n)
            continue;
        for (size_t k = 0; k < i && !run->clips && *run->test; k++)
            if (strcmp(c->runs[k].test, run->test) == 0)
                run->clips = c->runs[k].clips;
        run->clips = run->clips ? run->clips : ++c->groups;
    }
}

/* ---- a run ----------------------------------------------------------------- */

/* A folder of runs is one step too high. */
static enum eq_status refuse(const char *dir, struct eq_err *err)
{
    struct cJSON *what = NULL;
    enum eq_status st = eq_run_describe(dir, &what, err);
    if (st == EQ_OK)
        st = what ? eq_fail(err, EQ_USAGE, "%s is a folder with runs in it: name them, as in %s/*", dir, dir)
                  : eq_fail(err, EQ_IO, "%s is no run directory: it has no results.json and no config.json of a run",
                            dir);
    cJSON_Delete(what);
    return st;
}

/* A value of another kind is taken for a missing one by the reader, which serves old and interrupted runs. Here it
 * would leave a hole in a table that others use. */
static enum eq_status check_rows(const struct eq_compared_run *run, struct eq_err *err)
{
    static const char *const keys[] = {"size_mb", "mae", "rmse", "r2", "bias", "clips", "phases"};
    for (size_t i = 0; i < run->results.n; i++)
        for (size_t k = 0; k < sizeof keys / sizeof *keys; k++) {
            const struct cJSON *value = cJSON_GetObjectItemCaseSensitive(run->results.rows[i].json, keys[k]);
            if (value && !cJSON_IsNumber(value) && !cJSON_IsNull(value))
                return eq_fail(err, EQ_FORMAT, "%s/results.json: \"%s\" of the model %s is not a number", run->dir,
                               keys[k], run->results.rows[i].model);
        }
    return EQ_OK;
}

static enum eq_status read_run(struct eq_compared_run *run, struct eq_err *err)
{
    bool there;
    eq_results_init(&run->results);
    EQ_CHECK(eq_settings_init(&run->settings, err));
    EQ_CHECK(eq_settings_load_run(&run->settings, run->dir, &run->has_settings, err));
    const struct eq_config *cfg = &run->settings.config;
    if (run->has_settings && cfg->train.seeds > 1) {
        EQ_CHECK(eq_seeds_have_results(run->dir, cfg->run.seed, cfg->train.seeds, &there, err));
        if (there)
            EQ_CHECK(eq_seeds_read(run->dir, cfg->run.seed, cfg->train.seeds, &run->results, err));
    } else {
        EQ_CHECK(eq_run_look(run->dir, "results", ".json", &there, err));
        if (!there && !run->has_settings)
            return refuse(run->dir, err);
        if (there)
            EQ_CHECK(eq_results_read(run->dir, &run->results, err));
    }
    EQ_CHECK(check_rows(run, err));
    eq_results_keep_data(&run->results, &run->other_data);
    return identify_clips(run, err);
}

/* ---- what differs ------------------------------------------------------------ */

/* Adds a key unless all values are equal. Takes values over. */
static void add_key(struct eq_comparison *c, const char *key, struct eq_texts *values)
{
    bool differ = false;
    EQ_EACH_TEXT(value, values)
    {
        differ |= strcmp(value, values->s.s) != 0;
    }
    if (!differ) {
        eq_str_clear(&values->s);
        return;
    }
    c->keys = eq_list_grow(c->keys, c->n_keys, sizeof *c->keys);
    c->keys[c->n_keys++] = (struct eq_compared_key){eq_strdup(key), *values};
}

/* Where the run lies is its name already. */
static void compare_settings(struct eq_comparison *c)
{
    struct eq_setting_info info;
    for (size_t i = 0; eq_setting_describe(i, &info); i++) {
        struct eq_texts values = {0};
        for (size_t k = 0; k < c->n; k++) {
            if (c->runs[k].has_settings)
                eq_setting_value(i, &c->runs[k].settings.config, &values.s);
            else
                eq_str_add(&values.s, "unknown");
            eq_texts_end(&values);
        }
        if (strcmp(info.key, "run.dir") == 0)
            eq_str_clear(&values.s);
        else
            add_key(c, info.key, &values);
        free(info.takes);
    }
}

static void compare_environments(struct eq_comparison *c)
{
    struct eq_texts version = {0}, cpu = {0}, isa = {0}, threads = {0};
    for (size_t k = 0; k < c->n; k++) {
        const struct eq_results *r = &c->runs[k].results;
        eq_texts_add(&version, "%s", r->environment.version);
        eq_texts_add(&cpu, "%s", r->environment.cpu);
        eq_texts_add(&isa, "%s", r->environment.isa);
        if (isfinite(r->environment.threads))
            eq_str_add_real(&threads.s, r->environment.threads);
        eq_texts_end(&threads);
    }
    add_key(c, "environment.version", &version);
    add_key(c, "environment.cpu", &cpu);
    add_key(c, "environment.isa", &isa);
    add_key(c, "environment.threads", &threads);
}

/* ---- rows and notes ---------------------------------------------------------- */

static void add_rows(struct eq_comparison *c)
{
    const struct eq_result *first = NULL;
    c->timed_alike = true;
    for (size_t i = 0; i < c->n; i++)
        for (size_t k = 0; k < c->runs[i].results.n; k++) {
            const struct eq_result *row = &c->runs[i].results.rows[k];
            double phases = isfinite(row->phases) ? row->phases : 1; /* rows of version 0.1.0 do not say */
            c->rows = eq_list_grow(c->rows, c->n_rows, sizeof *c->rows);
            c->rows[c->n_rows++] =
                (struct eq_compared_row){&c->runs[i], row, row->latency.median * phases, false, false};
            if (!isfinite(row->latency.median))
                continue;
            first = first ? first : row;
            c->timed_alike &= strcmp(row->cpu, first->cpu) == 0 && strcmp(row->isa, first->isa) == 0 &&
                              (row->threads == first->threads || (isnan(row->threads) && isnan(first->threads)));
        }
}

static void add_notes(struct eq_comparison *c)
{
    for (size_t i = 0; i < c->n; i++) {
        const struct eq_compared_run *run = &c->runs[i];
        struct eq_str word = {0};
        eq_report_add_word(&word, run->dir);
        if (!run->results.n)
            eq_texts_add(&c->notes, "%s has no results yet: `echoquant run-all --run %s` makes them.", run->name,
                         word.s);
        if (run->other_data.len)
            eq_texts_add(&c->notes, "%s: left out, because they were evaluated on other data: %s.", run->name,
                         run->other_data.s);
        eq_str_clear(&word);
    }
    if (c->groups > 1) {
        eq_str_add(&c->notes.s, "The runs were tested on different clips, so their errors cannot be compared, and no "
                                "difference between them is given. Runs with the same test clips:");
        for (int group = 1; group <= c->groups; group++) {
            const char *before = " ";
            for (size_t i = 0; i < c->n; i++)
                if (c->runs[i].clips == group) {
                    eq_str_add(&c->notes.s, "%s%s", before, c->runs[i].name);
                    before = ", ";
                }
            eq_str_add(&c->notes.s, group < c->groups ? ";" : ".");
        }
        eq_texts_end(&c->notes);
    }
    if (!c->timed_alike)
        eq_texts_add(&c->notes, "The latencies were measured on different CPUs, instruction sets, or numbers of "
                                "threads, so they cannot be compared, and no front of error against latency is given.");
}

enum eq_status eq_comparison_read(const char *const *dirs, size_t n, struct eq_comparison *out, struct eq_err *err)
{
    *out = (struct eq_comparison){0};
    EQ_CHECK(eq_runs_check(dirs, n, err));
    for (size_t i = 0; i < n; i++)
        out->runs = eq_list_grow(out->runs, i, sizeof *out->runs);
    for (out->n = 0; out->n < n;) {
        struct eq_compared_run *run = &out->runs[out->n++];
        run->dir = dirs[out->n - 1];
        EQ_CHECK(read_run(run, err));
    }
    char **names = eq_runs_names(dirs, n);
    for (size_t i = 0; i < n; i++)
        out->runs[i].name = names[i];
    free(names);
    group_clips(out);
    if (out->groups == 0) {
        struct eq_str word = {0};
        eq_report_add_word(&word, dirs[0]);
        enum eq_status st =
            eq_fail(err, EQ_IO, "%s has no results yet: run `echoquant run-all --run %s` first", dirs[0], word.s);
        eq_str_clear(&word);
        return st;
    }
    compare_settings(out);
    compare_environments(out);
    add_rows(out);
    add_notes(out);
    eq_comparison_find_fronts(out);
    return eq_comparison_pair(out, err);
}

void eq_comparison_clear(struct eq_comparison *c)
{
    for (size_t i = 0; i < c->n; i++) {
        free(c->runs[i].name);
        eq_results_clear(&c->runs[i].results);
        eq_str_clear(&c->runs[i].other_data);
        if (c->runs[i].settings.origin)
            eq_settings_clear(&c->runs[i].settings);
    }
    for (size_t i = 0; i < c->n_keys; i++) {
        free(c->keys[i].key);
        eq_str_clear(&c->keys[i].values.s);
    }
    free(c->runs);
    free(c->keys);
    free(c->rows);
    free(c->pairs);
    eq_str_clear(&c->notes.s);
    *c = (struct eq_comparison){0};
}
