/* Whether a run has everything that its settings ask for. */
#include "echoquant/run.h"

#include <stdlib.h>

bool eq_run_is_finished(const struct eq_config *cfg)
{
    const char *dir = cfg->run.dir;
    bool finished = eq_run_has_file(dir, "report", ".html");
    if (cfg->train.seeds == 1) {
        for (const struct eq_run_model *m = eq_run_models; m->name && finished; m++)
            finished = !m->is_wanted(cfg) ||
                       (eq_run_has_file(dir, m->file, ".safetensors") && eq_run_has_timed_result(cfg, m->name));
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
