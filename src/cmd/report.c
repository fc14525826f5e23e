#include "cmd/cmd.h"

static enum eq_status run(struct eq_session *s, struct eq_err *err)
{
    enum eq_status st = eq_run_report(s->cfg->run.dir, err);
    return st == EQ_OK ? eq_print_report(s->cfg->run.dir, s->options.json, err) : st;
}

const struct eq_command eq_cmd_report = {
    .name = "report",
    .summary = "write report.md and report.html from the results",
    .arguments = "[DIR]",
    .about = "Writes report.md and report.html (one self-contained file) from the results of a run directory, "
             "and prints the table and the path of the report. gnuplot draws the pictures; their scripts and "
             "data stay in plots/. Without gnuplot the report says that it has no pictures. --json prints "
             "results.json instead.\n",
    .example = "runs/first",
    .options = EQ_OPT_SETTINGS | EQ_OPT_RUN | EQ_OPT_JSON,
    .accepts = EQ_ARG_RUN,
    .sections = (const char *const[]){"run.dir", NULL},
    .run = run,
};
