#include "cmd/cmd.h"

static enum eq_status print(const struct eq_session *s, struct eq_err *err)
{
    EQ_CHECK(eq_run_warn(s->cfg->run.dir, err));
    return eq_print_report(s->cfg, s->options.json, err);
}

static enum eq_status run(struct eq_session *s, struct eq_err *err)
{
    EQ_CHECK(eq_run_experiment(&s->options.settings, s->options.force, err));
    enum eq_status st = eq_first_begin() ? print(s, err) : EQ_OK;
    return eq_first_end(st, NULL, 0, err);
}

const struct eq_command eq_cmd_run_all = {
    .name = "run-all",
    .summary = "run the whole experiment: train, PTQ, QAT, evaluation, report",
    .arguments = "",
    .about = "Runs the whole experiment: opens the data (or makes synthetic clips), then runs train, ptq, "
             "qat, eval for each model, and report. With qat.control = true it also runs qat --control. "
             "Prints the table and the path of the report.\n\n"
             "A phase whose result exists is skipped, so an interrupted run resumes where it stopped. A "
             "finished run is left as it is. --force removes the contents of the run directory and starts "
             "over.\n\n"
             "With train.seeds = N above 1, the experiment runs N times, with the seeds run.seed, run.seed "
             "+ 1, and so on. Each seed has its own run directory, seed-SEED below that of --run; the "
             "single commands also work there. The report shows mean and spread over the seeds, and the "
             "differences between models with 95 % intervals. After an interruption, the same command "
             "resumes at the seed where it stopped. A larger N adds seeds.\n",
    .example = "--config configs/echonet.json --data /data/EchoNet-Dynamic",
    .options = EQ_OPT_SETTINGS | EQ_OPT_RUN | EQ_OPT_DATA | EQ_OPT_SEED | EQ_OPT_COMPUTE | EQ_OPT_FORCE | EQ_OPT_JSON,
    .sections = (const char *const[]){"data", "synth", "model", "train", "ptq", "qat", "eval", "bench", "report",
                                      "dist", "run", NULL},
    .needs = EQ_NEED_OTHERS,
    .run = run,
};
