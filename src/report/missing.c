/* An unfinished run: what its settings ask for and it does not have yet, and the command that makes it. */
#include "report/report.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void add(struct eq_table *t, const char *run_dir, const char *command, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
static void add(struct eq_table *t, const char *run_dir, const char *command, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    eq_str_vadd(&t->cells.s, fmt, args);
    va_end(args);
    eq_texts_end(&t->cells);
    eq_str_add(&t->cells.s, "echoquant %s --run ", command);
    eq_report_add_word(&t->cells.s, run_dir);
    eq_texts_end(&t->cells);
}

static enum eq_status add_file(struct eq_table *t, const char *dir, const struct eq_run_model *m, struct eq_err *err)
{
    struct eq_history history = {0};
    char state[64];
    bool begun;
    snprintf(state, sizeof state, "state/%s.state", m->name);
    EQ_CHECK(eq_run_look(dir, state, ".safetensors", &begun, err));
    if (begun)
        EQ_CHECK(eq_history_read(dir, m->name, &history, err));
    double epochs = eq_history_last_epoch(&history);
    eq_history_clear(&history);
    if (epochs > 0)
        add(t, dir, m->command, "%s.safetensors: the training was interrupted after %.0f epoch%s", m->file, epochs,
            eq_plural(epochs));
    else
        add(t, dir, m->command, "%s.safetensors%s", m->file, begun ? ": the training was interrupted" : "");
    return EQ_OK;
}

/* cfg: its run.dir is where the run lies now. Each row of a model without a file lacks more than its results. */
static enum eq_status look_at_models(const struct eq_config *cfg, struct eq_table *t, struct eq_err *err)
{
    for (const struct eq_run_model *m = eq_run_models; m->name; m++) {
        bool there, evaluated, timed;
        if (!m->is_wanted(cfg))
            continue;
        EQ_CHECK(eq_run_has_model(cfg->run.dir, m->name, &there, err));
        if (!there && eq_run_model_is_made(m))
            EQ_CHECK(add_file(t, cfg->run.dir, m, err));
        /* Other errors are of files that are not there or not whole, which lack the results. */
        struct eq_err why = {0};
        if (eq_run_look_up(cfg, m->name, &evaluated, &timed, &why) == EQ_NOMEM)
            return eq_fail(err, EQ_NOMEM, "%s", why.msg);
        char *eval = eq_format("eval %s", m->name);
        if (!there || !evaluated)
            add(t, cfg->run.dir, eval, "results of %s", m->row);
        else if (!timed)
            add(t, cfg->run.dir, eval, "latency of %s", m->row);
        free(eval);
    }
    return EQ_OK;
}

/* The seeds that lack something; a line for all of them. */
static enum eq_status look_at_seeds(const struct eq_config *cfg, struct eq_table *t, struct eq_err *err)
{
    struct eq_str list = {0};
    enum eq_status st = EQ_OK;
    size_t n = 0;
    for (int i = 0; i < cfg->train.seeds && st == EQ_OK; i++) {
        struct eq_table of_seed = {0};
        struct eq_config one = *cfg;
        one.run.dir = eq_seed_dir(cfg->run.dir, cfg->run.seed + i);
        st = look_at_models(&one, &of_seed, err);
        if (of_seed.cells.n)
            eq_str_add(&list, "%s%d", n++ ? ", " : "", cfg->run.seed + i);
        eq_str_clear(&of_seed.cells.s);
        free(one.run.dir);
    }
    if (st == EQ_OK && n)
        add(t, cfg->run.dir, "run-all", "seed%s %s", eq_plural((double)n), list.s);
    eq_str_clear(&list);
    return st;
}

enum eq_status eq_report_find_missing(struct eq_report *report, struct eq_err *err)
{
    static const char *const header[] = {"missing", "command that makes it", NULL};
    if (!report->config)
        return EQ_OK;
    struct eq_config cfg = report->settings.config;
    char *dir = eq_strdup(report->run_dir);
    cfg.run.dir = dir;
    eq_table_begin(&report->missing, header, 2);
    enum eq_status st =
        cfg.train.seeds > 1 ? look_at_seeds(&cfg, &report->missing, err) : look_at_models(&cfg, &report->missing, err);
    free(dir);
    return st;
}

void eq_section_missing(const struct eq_report *report, struct eq_section *out)
{
    const struct eq_texts *cells = &report->missing.cells;
    if ((int)cells->n <= report->missing.columns)
        return;
    eq_str_add(&out->title, "This run is not finished");
    eq_texts_add(&out->lines,
                 "The report shows what there is. `echoquant run-all` with the same --run makes everything "
                 "that is missing.");
    struct eq_table *t = eq_section_table(out);
    *t = report->missing;
    t->cells = (struct eq_texts){0};
    EQ_EACH_TEXT(cell, cells)
    {
        eq_texts_add(&t->cells, "%s", cell);
    }
}
