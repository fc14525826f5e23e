/* Whether a run has all that its settings ask for. */
#include "echoquant/run.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

bool eq_run_has_result(const struct eq_config *cfg, const char *name)
{
    struct eq_results results;
    char file[64];
    snprintf(file, sizeof file, "predictions/%s", name);
    if (!eq_run_has_file(cfg->run.dir, file, ".csv") || eq_results_read(cfg->run.dir, &results, NULL) != EQ_OK)
        return false;
    const struct eq_result *row = eq_results_find_model(&results, name);
    /* A row without phases is of a version that knew one phase only. */
    bool there = row && (isnan(row->phases) ? 1 : row->phases) == cfg->eval.phases;
    eq_results_clear(&results);
    return there;
}

static bool seeds_are_finished(const struct eq_config *cfg)
{
    bool finished = eq_run_has_file(cfg->run.dir, "report", ".html");
    for (int i = 0; i < cfg->train.seeds && finished; i++) {
        struct eq_config one = *cfg;
        one.run.dir = eq_seed_dir(cfg->run.dir, cfg->run.seed + i);
        one.train.seeds = 1;
        finished = eq_run_is_finished(&one);
        free(one.run.dir);
    }
    return finished && eq_seeds_are_collected(cfg);
}

bool eq_run_is_finished(const struct eq_config *cfg)
{
    if (cfg->train.seeds > 1)
        return seeds_are_finished(cfg);
    const char *dir = cfg->run.dir;
    for (int i = 0; i < EQ_RUN_MODELS; i++) {
        bool wanted = cfg->qat.control || strcmp(eq_run_models[i], EQ_CONTROL_NAME) != 0;
        if (wanted && !(eq_run_has_model(dir, eq_run_models[i]) && eq_run_has_result(cfg, eq_run_models[i])))
            return false;
    }
    if (cfg->run.precision == EQ_PRECISION_BF16 && !eq_run_has_result(cfg, EQ_BF16_NAME))
        return false;
    return eq_run_has_file(dir, "report", ".html");
}
