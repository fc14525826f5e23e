/* Post-training quantization of a run: the baseline in, ptq.safetensors out. */
#include "echoquant/dist.h"
#include "ptq/pipeline.h"

#include <cjson/cJSON.h>

/* From the calibrated graph to the files. */
static enum eq_status make_model(const struct eq_ptq_opts *opts, const struct cJSON *search, struct eq_ptq_inputs *in,
                                 struct eq_ptq *ptq, struct eq_err *err)
{
    enum eq_status st;
    struct eq_qmodel *model = NULL, *taken;
    struct eq_predictor quantized = {0};
    EQ_TRY(eq_ptq_lower(opts, ptq, search, &model, err));
    taken = model;
    model = NULL;
    EQ_TRY(eq_predictor_from_qmodel(&quantized, taken, 1, err));
    EQ_TRY(eq_ptq_check(opts, in, ptq, &quantized, err));
    EQ_TRY(eq_ptq_study(in, ptq, &quantized, err));
    EQ_TRY(eq_qmodel_save(in->result, eq_predictor_qmodel(&quantized), err));
    EQ_TRY(eq_run_note_model(in->result, err));
    eq_info("wrote %s", in->result);
out:
    eq_predictor_close(&quantized);
    eq_qmodel_free(model);
    return st;
}

/* Tries many models, in one process. */
static enum eq_status make_chosen(const struct eq_ptq_opts *opts, struct eq_ptq_inputs *in, struct eq_ptq *ptq,
                                  struct eq_err *err)
{
    enum eq_status st;
    struct eq_ptq_opts chosen = *opts;
    struct cJSON *search = NULL;
    EQ_TRY(eq_ptq_search(&chosen, in, &search, err));
    if (chosen.max_mae_loss > 0)
        EQ_TRY(eq_ptq_make_within(&chosen, in, ptq, err));
    else
        EQ_TRY(eq_ptq_make(&chosen, in->trained, &in->clips, ptq, err));
    EQ_TRY(make_model(&chosen, search, in, ptq, err));
out:
    cJSON_Delete(search);
    return st;
}

static enum eq_status make_plain(const struct eq_ptq_opts *opts, struct eq_ptq_inputs *in, struct eq_ptq *ptq,
                                 struct eq_err *err)
{
    EQ_CHECK(eq_ptq_finish(opts, ptq->kept, ptq->graph, &in->clips, err));
    return make_model(opts, NULL, in, ptq, err);
}

/* Processes share the calibration; the first one does the rest. */
enum eq_status eq_run_ptq(const struct eq_ptq_opts *opts, struct eq_ptq_inputs *in, struct eq_err *err)
{
    enum eq_status st = EQ_OK;
    struct eq_ptq ptq = {0};
    bool plain = !opts->search && opts->max_mae_loss <= 0;
    if (plain)
        EQ_TRY(eq_ptq_begin(opts, in->trained, &in->clips, &ptq, err));
    if (plain)
        EQ_TRY(eq_ptq_calibrate(&ptq, opts, &in->clips, err));
    if (eq_first_begin())
        st = plain ? make_plain(opts, in, &ptq, err) : make_chosen(opts, in, &ptq, err);
    st = eq_first_end(st, NULL, 0, err);
out:
    eq_ptq_clear(&ptq);
    return st;
}
