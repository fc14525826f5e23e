#include "cmd/cmd.h"

#include <unistd.h>

/* The table, the verdict, what is missing, and the path of the report. */
static enum eq_status print_one(const struct eq_config *cfg, struct eq_err *err)
{
    const char *dir = cfg->run.dir;
    struct eq_str missing = {0};
    bool results;
    enum eq_status st;
    EQ_TRY(eq_run_look(dir, "results", ".json", &results, err));
    if (results) {
        EQ_TRY(eq_print_results(dir, false, err));
        EQ_TRY(eq_print_verdict(cfg, err));
    }
    EQ_TRY(eq_run_missing(dir, eq_columns(STDOUT_FILENO), &missing, err));
    if (missing.len) {
        eq_print_text(results ? "\n" : "");
        eq_print_text(missing.s);
    }
    eq_print_text("\n");
    eq_print_row("%s/report.html", dir);
out:
    eq_str_clear(&missing);
    return st;
}

static enum eq_status run(struct eq_session *s, struct eq_err *err)
{
    const char *dir = s->cfg->run.dir;
    if (s->options.json)
        return eq_print_results(dir, true, err);
    const struct eq_verdict_opts opts = {s->cfg->report.margin, s->cfg->report.replicates};
    EQ_CHECK(eq_run_report_by(dir, &opts, err));
    return print_one(s->cfg, err);
}

const struct eq_command eq_cmd_report = {
    .name = "report",
    .summary = "write report.md and report.html from the results",
    .arguments = "[DIR]",
    .about = "Writes report.md, report.html (one self-contained file), and statistics.json (every figure "
             "of the report in full) from the results and predictions of a run directory (DIR, or --run "
             "DIR). Prints the table, the verdict, and the path of the report. gnuplot draws "
             "the pictures; their scripts and data stay in plots/. Without gnuplot, the report says that "
             "it has no pictures.\n\n"
             "--json prints results.json instead and writes nothing.\n",
    .example = "runs/first",
    .options = EQ_OPT_SETTINGS | EQ_OPT_RUN | EQ_OPT_JSON,
    .accepts = EQ_ARG_RUN,
    .sections = (const char *const[]){"report", "run.dir", NULL},
    .run = run,
};
