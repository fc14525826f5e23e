#include "cmd/cmd.h"

static const char *const sections[] = {"run.dir", NULL};
static const struct eq_command_spec spec = {
    .name = "report",
    .arguments = "",
    .about =
        "Writes report.md and report.html (one self-contained file) from the results of a run directory, and prints "
        "the\n"
        "table and the path of the report. The pictures come from gnuplot; their scripts and data stay in plots/.\n"
        "Without gnuplot the report says that it has no pictures. --json prints results.json instead.\n",
    .options = EQ_OPT_SETTINGS | EQ_OPT_RUN | EQ_OPT_JSON,
    .sections = sections,
};

enum eq_status eq_cmd_report(int argc, char **argv, struct eq_err *err)
{
    struct eq_options o;
    enum eq_status st = eq_options_init(&o, &spec, argc, argv, err);
    if (st != EQ_OK || o.help)
        return st;
    const char *dir = o.settings.config.run.dir;
    EQ_TRY(eq_run_report(dir, err));
    EQ_TRY(eq_print_results(dir, o.json, err));
    if (!o.json)
        printf("\n%s/report.html\n", dir);
out:
    eq_options_clear(&o);
    return st;
}
