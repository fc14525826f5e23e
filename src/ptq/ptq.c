/* Post-training quantization of a run: the baseline in, ptq.safetensors out. */
#include "ptq/pipeline.h"

#include <cjson/cJSON.h>

enum eq_status eq_run_ptq(const struct eq_ptq_opts *opts, struct eq_ptq_inputs *in, struct eq_err *err)
{
    enum eq_status st;
    struct eq_ptq ptq = {0};
    struct eq_qmodel *model = NULL, *taken;
    struct eq_predictor quantized = {0};
    struct eq_ptq_opts chosen = *opts;
    struct cJSON *search = NULL;
    EQ_TRY(eq_ptq_search(&chosen, in, &search, err));
    if (chosen.max_mae_loss > 0)
        EQ_TRY(eq_ptq_make_within(&chosen, in, &ptq, err));
    else
        EQ_TRY(eq_ptq_make(&chosen, in->trained, &in->clips, &ptq, err));
    EQ_TRY(eq_ptq_lower(&chosen, &ptq, search, &model, err));
    taken = model;
    model = NULL;
    EQ_TRY(eq_predictor_from_qmodel(&quantized, taken, 1, err));
    EQ_TRY(eq_ptq_check(&chosen, in, &ptq, &quantized, err));
    EQ_TRY(eq_ptq_study(in, &ptq, &quantized, err));
    EQ_TRY(eq_qmodel_save(in->result, eq_predictor_qmodel(&quantized), err));
    EQ_TRY(eq_run_note_model(in->result, err));
    eq_info("wrote %s", in->result);
out:
    cJSON_Delete(search);
    eq_predictor_close(&quantized);
    eq_qmodel_free(model);
    eq_ptq_clear(&ptq);
    return st;
}
