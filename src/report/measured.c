/* Reads what phases have measured and written beside their models. */
#include "report/report.h"

#include <math.h>
#include <stdlib.h>

static enum eq_status read_models(const char *dir, struct eq_measured *out, struct eq_err *err)
{
    for (const struct eq_run_model *m = eq_run_models; m->name; m++) {
        struct cJSON *json;
        EQ_CHECK(eq_quantization_read(dir, m->name, &json, err));
        if (!json)
            continue;
        out->list = eq_list_grow(out->list, out->n, sizeof *out->list);
        out->list[out->n++] = (struct eq_quantization){m, json};
    }
    return EQ_OK;
}

enum eq_status eq_measured_read(const char *run_dir, const struct eq_results *r, struct eq_measured *out,
                                struct eq_err *err)
{
    enum eq_status st;
    bool there;
    *out = (struct eq_measured){.seed = NAN};
    EQ_TRY(read_models(run_dir, out, err));
    for (size_t i = 0; i < r->n_seeds && out->n == 0; i++) {
        char *dir = eq_path_join(run_dir, r->seeds[i].dir);
        st = read_models(dir, out, err);
        free(dir);
        EQ_TRY(st);
        out->seed = out->n ? r->seeds[i].seed : NAN;
    }
    EQ_TRY(eq_run_look(run_dir, "data", ".csv", &there, err));
    if (there && r->data.digest && *r->data.digest)
        EQ_TRY(eq_run_read_manifest(run_dir, r->data.digest, &out->clips, err));
out:
    return st;
}

void eq_measured_clear(struct eq_measured *m)
{
    for (size_t i = 0; i < m->n; i++)
        cJSON_Delete(m->list[i].json);
    free(m->list);
    eq_dataset_clear(&m->clips);
    *m = (struct eq_measured){0};
}

const struct cJSON *eq_measured_of(const struct eq_measured *m, enum eq_phase phase)
{
    for (size_t i = 0; i < m->n; i++)
        if (m->list[i].model == eq_phase_model(phase))
            return m->list[i].json;
    return NULL;
}

void eq_measured_note_seed(const struct eq_measured *m, struct eq_str *out)
{
    if (!isnan(m->seed))
        eq_str_add(out, " Of several seeds, this is seed %.0f.", m->seed);
}

double eq_layer_gain(const struct cJSON *quantization, const struct cJSON *layer)
{
    const struct cJSON *parts = cJSON_GetObjectItemCaseSensitive(quantization, "parts");
    return eq_json_real(cJSON_GetObjectItemCaseSensitive(parts, "both"), "rms_from_fp32") -
           eq_json_real(layer, "rms_from_fp32");
}
