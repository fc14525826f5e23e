#include "cmd/cmd.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_RUNS = 1000 };

/* Writes the report, into the folder out unless that is NULL; prints the table, the verdict, what is missing, and the
 * path of the report. */
static enum eq_status report_one(const struct eq_config *cfg, const char *out, struct eq_err *err)
{
    const char *dir = cfg->run.dir;
    struct eq_str missing = {0}, verdict = {0};
    bool results;
    enum eq_status st;
    EQ_TRY(eq_run_report_by(dir, out, cfg, &verdict, err));
    EQ_TRY(eq_run_look(dir, "results", ".json", &results, err));
    if (results)
        EQ_TRY(eq_print_results(dir, false, err));
    eq_print_verdict_lines(verdict.s);
    EQ_TRY(eq_run_missing(dir, eq_columns(STDOUT_FILENO), &missing, err));
    if (missing.len) {
        eq_print_text(results ? "\n" : "");
        eq_print_text(missing.s);
    }
    eq_print_text("\n");
    eq_print_row("%s/report.html", out ? out : dir);
out:
    eq_str_clear(&missing);
    eq_str_clear(&verdict);
    return st;
}

static enum eq_status print_table(const struct eq_options *o, const char *const *dirs, size_t n, struct eq_err *err)
{
    enum eq_report_format format = o->json ? EQ_REPORT_JSON : EQ_REPORT_MD;
    struct eq_str table = {0};
    enum eq_status st;
    if (o->format)
        EQ_TRY(eq_report_format_named(o->format, &format, err));
    EQ_TRY(eq_runs_table(dirs, n, format, o->format ? 0 : eq_columns(STDOUT_FILENO), &table, err));
    if (o->format || o->json)
        eq_print_data(table.s);
    else
        eq_print_text(table.s);
out:
    eq_str_clear(&table);
    return st;
}

static enum eq_status run(struct eq_session *s, struct eq_err *err)
{
    const struct eq_options *o = &s->options;
    const char *dir = s->cfg->run.dir, **dirs = NULL;
    struct eq_str files = {0};
    size_t n = 0;
    enum eq_status st = EQ_OK;
    if (o->n_args == 0 && !o->format && !o->tensorboard) {
        if (o->json)
            return eq_print_results(dir, true, err);
        return report_one(s->cfg, o->out, err);
    }
    for (int i = -1; i < o->n_args; i++) {
        dirs = eq_list_grow(dirs, n, sizeof *dirs);
        dirs[n++] = i < 0 ? dir : o->args[i];
    }
    if (o->tensorboard) {
        EQ_TRY(eq_runs_tensorboard(dirs, n, o->tensorboard, &files, err));
        eq_print_text(files.s);
        goto out;
    }
    if (o->out)
        EQ_TRY(eq_runs_report(dirs, n, o->out, err));
    EQ_TRY(print_table(o, dirs, n, err));
    if (o->out && !o->format && !o->json) {
        eq_print_text("\n");
        eq_print_row("%s/report.html", o->out);
    }
out:
    eq_str_clear(&files);
    free(dirs);
    return st;
}

static enum eq_status check(const struct eq_options *o, struct eq_err *err)
{
    enum eq_report_format format;
    if (o->format)
        EQ_CHECK(eq_report_format_named(o->format, &format, err));
    if (o->format && o->json && format != EQ_REPORT_JSON)
        return eq_fail(err, EQ_USAGE, "--json and --format %s: use one of them", o->format);
    if (o->tensorboard && (o->format || o->json || o->out))
        return eq_fail(err, EQ_USAGE, "--tensorboard writes histories and nothing else: leave out %s",
                       o->format ? "--format"
                       : o->json ? "--json"
                                 : "--out");
    if (o->out && o->n_args == 0 && (o->format || o->json))
        return eq_fail(err, EQ_USAGE, "--out and %s: a table of one run is only printed",
                       o->format ? "--format" : "--json");
    return EQ_OK;
}

const struct eq_command eq_cmd_report = {
    .name = "report",
    .summary = "write the report of a run, or compare runs",
    .arguments = "[DIR...]",
    .about = "One run directory (DIR, or --run DIR): writes report.md, report.html (one self-contained file), "
             "and statistics.json (every figure of the report in full) into it, from its results and "
             "predictions. Prints the table, the verdict, and the path of the report. gnuplot draws "
             "the pictures; their scripts and data stay in plots/. Without gnuplot, the report says that "
             "it has no pictures. Film strips show the clips that quantization moves most, if data.dir is "
             "there; report.strips=0 leaves them out. The report of an unfinished run shows what there is, and names "
             "what is "
             "missing with the commands that make it. --out DIR writes all of this into another "
             "folder and nothing into the run directory. --json prints results.json instead and writes "
             "nothing.\n\n"
             "Several run directories: compares them and writes nothing into them. Prints the settings "
             "that differ, one table of all models with their front (no other model has both a lower MAE "
             "and a lower latency, or a smaller file), and the difference of each model's MAE from the "
             "first run, clip by clip. Runs with different test clips are not compared with each other, "
             "and the output says so. --out DIR also writes the comparison into that folder. --json is "
             "--format json.\n\n"
             "--format prints the table of all models of one or several runs for other programs: Markdown "
             "and LaTeX (a tabular with the rules of booktabs) as it is shown, CSV and JSON with full "
             "precision and one row for each model. docs/COMMANDS.md lists the columns.\n\n"
             "--tensorboard writes the histories of one or several runs for TensorBoard, and for programs "
             "that read its event files.\n",
    .example = "runs/first runs/second --format csv",
    .options = EQ_OPT_SETTINGS | EQ_OPT_RUN | EQ_OPT_JSON | EQ_OPT_REPORT,
    .accepts = EQ_ARG_RUN | EQ_ARG_OTHER_RUN,
    .max_args = MAX_RUNS,
    .sections = (const char *const[]){"report", "data.dir", "run.dir", NULL},
    .check = check,
    .run = run,
};
