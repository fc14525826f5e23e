/* The EFs of a model on each device beside those of the CPU. */
#include "run/run.h"

#include <math.h>
#include <string.h>

/* EF points. Layers in FP32 between integer ones can move a value across the border where it is rounded. */
#define FP32_BOUND 1e-3
#define MIXED_BOUND 1e-2

static struct eq_result_device described(const struct eq_device_info *info)
{
    const double none = NAN;
    return (struct eq_result_device){.id = info->id,
                                     .name = info->name,
                                     .driver = info->driver,
                                     .integer_path = info->integer_path,
                                     .is_gpu = info->is_gpu,
                                     .why = "",
                                     .timed = "",
                                     .clips = none,
                                     .largest_difference = none,
                                     .memory = none,
                                     .parts = {none, none, none},
                                     .latency = {none, none, none, none, none, none, none, none, none, NULL}};
}

double eq_device_bound(const struct eq_predictor *p)
{
    return eq_predictor_is_exact(p) ? 0 : eq_predictor_qmodel(p) ? MIXED_BOUND : FP32_BOUND;
}

/* cpu, own: of the same clips in the same order. */
static enum eq_status compare(const struct eq_evaluated *m, const char *id, const struct eq_evaluation *cpu,
                              const struct eq_evaluation *own, double *largest, struct eq_err *err)
{
    const struct eq_prediction *worst = NULL;
    size_t n = 0, at = 0;
    *largest = 0;
    for (size_t i = 0; i < cpu->n && i < own->n; i++) {
        double difference = fabs(own->rows[i].prediction - cpu->rows[i].prediction);
        n += difference > m->bound;
        if (!worst || difference > *largest) {
            *largest = difference;
            worst = &own->rows[i];
            at = i;
        }
    }
    if (n == 0)
        return EQ_OK;
    return eq_fail(err, EQ_NUMERIC,
                   "%s: %s predicts %.9g on %s and %.9g on the CPU (%zu of %zu test clips differ by more than %g EF "
                   "points). Do not use this device: its driver computes wrongly. `echoquant devices` describes it",
                   worst->file_name, m->row, worst->prediction, id, cpu->rows[at].prediction, n, cpu->n, m->bound);
}

/* Predicts the test clips; device: NULL for the CPU. */
static enum eq_status predict(const struct eq_evaluated *m, const struct eq_dataset *ds, struct eq_device *device,
                              struct eq_evaluation *out, size_t *bytes, struct eq_err *err)
{
    struct eq_predictor p = {0};
    const struct eq_predictor_opts opts = {m->precision, device, 0, m->cfg->eval.phases};
    enum eq_status st = eq_predictor_open(&p, m->path, &opts, err);
    if (st == EQ_OK)
        st = eq_evaluate(&p, ds, EQ_SPLIT_TEST, m->cfg, out, err);
    *bytes = p.device_bytes;
    eq_predictor_close(&p);
    return st;
}

static enum eq_status compare_device(const struct eq_evaluated *m, const struct eq_dataset *ds,
                                     const struct eq_run_device *on, const struct eq_evaluation *cpu, bool is_done,
                                     struct cJSON *out, struct eq_err *err)
{
    struct eq_result_device d = described(eq_device_info(on->device));
    struct eq_evaluation e = {0};
    struct eq_err why = {0};
    enum eq_status st = EQ_OK;
    size_t bytes = 0;
    if (m->precision != EQ_PRECISION_FP32) {
        d.why = "BF16 is for the CPU only";
        eq_result_device_put(out, &d);
        return EQ_OK;
    }
    if (!is_done)
        st = predict(m, ds, on->device, &e, &bytes, &why);
    if ((st == EQ_UNSUPPORTED || st == EQ_NOMEM) && !on->is_named && !eq_interrupted()) {
        eq_warn("%s is not measured on %s: %s", m->row, d.id, why.msg);
        d.why = why.msg;
        st = EQ_OK;
    } else if (st != EQ_OK) {
        eq_fail(err, st, "%s", why.msg);
    } else {
        const struct eq_evaluation *own = is_done ? m->test : &e;
        d.clips = (double)own->n;
        st = compare(m, d.id, cpu, own, &d.largest_difference, err);
    }
    if (st == EQ_OK)
        eq_result_device_put(out, &d);
    eq_evaluation_clear(&e);
    return st;
}

enum eq_status eq_compare_devices(const struct eq_evaluated *m, const struct eq_dataset *ds,
                                  const struct eq_run_devices *devices, struct cJSON *out, struct eq_err *err)
{
    struct eq_evaluation cpu = {0};
    enum eq_status st = EQ_OK;
    size_t bytes;
    if (devices->predicts && m->precision == EQ_PRECISION_FP32)
        EQ_TRY(predict(m, ds, NULL, &cpu, &bytes, err));
    for (size_t i = 0; i < devices->n; i++)
        EQ_TRY(compare_device(m, ds, &devices->list[i], devices->predicts ? &cpu : m->test,
                              devices->list[i].device == devices->predicts, out, err));
out:
    eq_evaluation_clear(&cpu);
    return st;
}
