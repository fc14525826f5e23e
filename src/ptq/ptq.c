/* Post-training quantization of a run: the baseline in, ptq.safetensors out. */
#include "ptq/pipeline.h"

#include <cjson/cJSON.h>
#include <stdlib.h>

/* The integer model, with a note of the settings that made it, and of the search that found them (NULL: none). */
static enum eq_status lower(const struct eq_ptq_opts *opts, const struct eq_ptq *p, const struct cJSON *search,
                            struct eq_qmodel **out, struct eq_err *err)
{
    struct eq_str text = {0};
    struct eq_ptq_opts used = *opts;
    if (p->keep_fp32)
        used.keep_fp32 = p->keep_fp32;
    struct cJSON *recipe = eq_ptq_recipe(&used, p->clips);
    enum eq_status st;
    EQ_TRY(eq_lower_int8(p->graph, "ptq", out, err));
    snprintf((*out)->observer, sizeof(*out)->observer, "%s", eq_observer_names[opts->observer]);
    if (p->mixed)
        eq_json_add(recipe, "mixed_precision", cJSON_Duplicate(p->mixed, true));
    if (search)
        eq_json_add(recipe, "search", cJSON_Duplicate(search, true));
    EQ_TRY(eq_json_print_line(&text, recipe, err));
    (*out)->recipe = text.s;
out:
    cJSON_Delete(recipe);
    return st;
}

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
    EQ_TRY(lower(&chosen, &ptq, search, &model, err));
    taken = model;
    model = NULL;
    EQ_TRY(eq_predictor_from_qmodel(&quantized, taken, 1, err));
    EQ_TRY(eq_ptq_check(in, &quantized, err));
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
