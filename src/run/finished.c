/* Whether a run has all that its settings ask for. */
#include "echoquant/run.h"

#include <cjson/cJSON.h>
#include <stdlib.h>

/* A row without the number is of a version that knew one phase only. */
static bool has_phases(const struct cJSON *row, int phases)
{
    const struct cJSON *value = cJSON_GetObjectItemCaseSensitive(row, "phases");
    return (cJSON_IsNumber(value) ? value->valueint : 1) == phases;
}

bool eq_run_has_result(const struct eq_config *cfg, const char *name)
{
    struct cJSON *results = NULL;
    char row[EQ_ROW_NAME], file[64];
    eq_run_row_name(name, row);
    snprintf(file, sizeof file, "predictions/%s", name);
    if (!eq_run_has_file(cfg->run.dir, file, ".csv") || eq_results_read(cfg->run.dir, &results, NULL) != EQ_OK)
        return false;
    const struct cJSON *found = eq_results_find_model(results, row);
    bool there = found && has_phases(found, cfg->eval.phases);
    cJSON_Delete(results);
    return there;
}

bool eq_run_is_finished(const struct eq_config *cfg)
{
    const char *dir = cfg->run.dir;
    bool finished = eq_run_has_file(dir, "report", ".html");
    if (cfg->train.seeds == 1) {
        for (const struct eq_run_model *m = eq_run_models; m->name && finished; m++)
            finished = !m->is_wanted(cfg) || (eq_run_has_file(dir, m->file, ".safetensors") && eq_run_has_result(cfg, m->name));
        return finished;
    }
    for (int i = 0; i < cfg->train.seeds && finished; i++) {
        struct eq_config one = *cfg;
        one.run.dir = eq_seed_dir(dir, cfg->run.seed + i);
        one.train.seeds = 1;
        finished = eq_run_is_finished(&one);
        free(one.run.dir);
    }
    return finished && eq_seeds_are_collected(cfg);
}
