#include "cmd/cmd.h"

static const struct eq_command_spec spec = {
    .name = "run-all",
    .arguments = "",
    .about =
        "The whole experiment, the same steps as the single commands: opens the data (or makes synthetic clips), then\n"
        "train, ptq, qat (with qat.control = true also qat --control), eval of each, report. Prints the table and the\n"
        "path of the report.\n\n"
        "A phase whose result is there already is passed over, so an interrupted run goes on where it stopped. A\n"
        "finished run is left as it is; --force removes what is in the run directory and starts anew.\n\n"
        "With train.seeds = N above 1 all of it is done N times, with the seeds run.seed, run.seed + 1, ..., each in "
        "a\n"
        "run directory of its own, seed-SEED below that of --run, where the single commands work, too. The report has\n"
        "mean and spread over the seeds, and the differences between models with their 95 % intervals. Interrupted, "
        "the\n"
        "same command goes on at the seed where it stopped; a larger N adds seeds.\n",
    .options = EQ_OPT_SETTINGS | EQ_OPT_RUN | EQ_OPT_DATA | EQ_OPT_SEED | EQ_OPT_COMPUTE | EQ_OPT_FORCE | EQ_OPT_JSON,
    .sections = (const char *const[]){"data", "synth", "model", "train", "ptq", "qat", "eval", "bench", "run", NULL},
};

enum eq_status eq_cmd_run_all(int argc, char **argv, struct eq_err *err)
{
    struct eq_options o;
    enum eq_status st = eq_options_init(&o, &spec, argc, argv, err);
    if (st != EQ_OK || o.help)
        return st;
    const struct eq_config *cfg = &o.settings.config;
    EQ_TRY(eq_run_experiment(&o.settings, o.force, err));
    EQ_TRY(eq_print_results(cfg->run.dir, o.json, err));
    if (!o.json)
        printf("\n%s/report.html\n", cfg->run.dir);
out:
    eq_options_clear(&o);
    return st;
}
