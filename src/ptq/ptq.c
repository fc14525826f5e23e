/* Post-training quantization of a run: the baseline in, ptq.safetensors out. */
#include "ptq/pipeline.h"

#include <cjson/cJSON.h>
#include <stdlib.h>

enum eq_status eq_run_ptq(const struct eq_config *cfg, const struct eq_dataset *ds, const char *model_path,
                          struct eq_err *err)
{
    enum eq_status st;
    struct eq_graph *trained = NULL;
    struct eq_calibration clips = {0};
    struct eq_ptq ptq = {0};
    struct eq_qmodel *qmodel = NULL;
    struct eq_config chosen = *cfg;
    struct cJSON *search = NULL;
    char *path = eq_run_model_path(cfg->run.dir, eq_phase_model(EQ_PHASE_PTQ)->name, NULL);
    EQ_TRY(eq_run_make_dirs(cfg->run.dir, err));
    EQ_TRY(eq_load_baseline(cfg, model_path, &trained, err));
    if (cfg->ptq.search)
        EQ_TRY(eq_ptq_search(cfg, ds, trained, &chosen, &search, err));
    EQ_TRY(eq_calibration_open(cfg, ds, &clips, err));
    if (chosen.ptq.max_mae_loss > 0)
        EQ_TRY(eq_ptq_make_within(&chosen, ds, trained, &clips, &ptq, err));
    else
        EQ_TRY(eq_ptq_make(&chosen, trained, &clips, &ptq, err));
    EQ_TRY(eq_ptq_lower(&chosen, &ptq, search, &qmodel, err));
    EQ_TRY(eq_qmodel_save(path, qmodel, err));
    eq_info("wrote %s", path);
out:
    cJSON_Delete(search);
    eq_qmodel_free(qmodel);
    eq_ptq_clear(&ptq);
    eq_calibration_close(&clips);
    eq_graph_free(trained);
    free(path);
    return st;
}
