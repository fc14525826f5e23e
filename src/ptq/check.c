/* How far the integer model is from its baseline, before it is written: an observer that clips what the network needs
 * makes a model that is no use, and nothing else would tell. */
#include "ptq/pipeline.h"

#include <math.h>

/* Root mean square of the model's EFs from FP32's over the clips. fp32: to ask; empty: known has its EFs. */
static enum eq_status distance(struct eq_calibration *clips, struct eq_predictor *quantized, struct eq_predictor *fp32,
                               const float *known, double *rms, struct eq_unlike *unlike, struct eq_err *err)
{
    struct eq_str why = {0};
    enum eq_status st;
    struct eq_clip_source *source = &clips->source;
    const struct eq_model_meta *meta = &quantized->meta;
    double sum = 0;
    size_t n = 0;
    EQ_TRY(source->rewind(source->ctx, err));
    for (;; n++) {
        const uint8_t *pixels;
        float ef, wanted;
        int got;
        EQ_TRY(source->next(source->ctx, &pixels, &got, err));
        if (got == 0)
            break;
        EQ_TRY(eq_predictor_run(quantized, pixels, &ef, err));
        if (fp32->ops)
            EQ_TRY(eq_predictor_run(fp32, pixels, &wanted, err));
        else
            wanted = known[n];
        sum += ((double)ef - wanted) * ((double)ef - wanted);
        why.len = 0;
        if (eq_look_check(&meta->looks, pixels, meta->frames, meta->size, &why))
            eq_unlike_add(unlike, source->name(source->ctx, 0), why.s);
        if (eq_interrupted())
            EQ_TRY(eq_fail(err, EQ_INTERRUPTED, "interrupted while comparing the INT8 model with its baseline"));
    }
    *rms = sqrt(sum / (double)n);
out:
    eq_str_clear(&why);
    return st;
}

enum eq_status eq_ptq_check(const struct eq_ptq_opts *opts, struct eq_ptq_inputs *in, const struct eq_ptq *ptq,
                            struct eq_predictor *quantized, struct eq_err *err)
{
    enum eq_status st;
    struct eq_predictor fp32 = {0};
    double rms;
    struct eq_unlike unlike = {0};
    if (!ptq->ef || opts->reestimate_bn || opts->equalize) /* calibration saw another graph than the baseline's */
        EQ_TRY(eq_predictor_from_graph(&fp32, in->trained, EQ_PRECISION_FP32, 1, err));
    EQ_TRY(distance(&in->clips, quantized, &fp32, ptq->ef, &rms, &unlike, err));
    eq_unlike_warn(&unlike, "calibration clips", in->clips.n);
    if (rms <= EQ_PTQ_BROKEN)
        eq_info("INT8 differs from FP32 by %.2f EF points (RMS) on %zu calibration clips", rms, in->clips.n);
    else
        eq_warn("quantization breaks the model: on %zu calibration clips INT8 differs from FP32 by %.2f "
                "EF points (RMS; more than %g). Try another ptq.observer, more ptq.clips, or more "
                "ptq.weight_bits; `echoquant sensitivity` shows which layers are at fault.",
                in->clips.n, rms, EQ_PTQ_BROKEN);
out:
    eq_str_clear(&unlike.first);
    eq_predictor_close(&fp32);
    return st;
}
