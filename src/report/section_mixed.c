/* The steps by which ptq.max_mae_loss chose layers for FP32, from the recipe in the row of PTQ. */
#include "report/report.h"

static void add_row(struct eq_table *t, const char *layer, const char *to, double mae, double fp32)
{
    eq_texts_add(&t->cells, "%s", layer);
    eq_texts_add(&t->cells, "%s", to);
    eq_table_numbers(t, "%.4f|%+.4f", mae, mae - fp32);
}

void eq_section_mixed(const struct eq_report *report, struct eq_section *out)
{
    static const char *const header[] = {"Layer", "Back to", "Validation MAE", "Loss", NULL};
    const struct eq_result *ptq = eq_results_find(&report->results, eq_phase_model(EQ_PHASE_PTQ)->row);
    const struct cJSON *mixed = ptq ? cJSON_GetObjectItemCaseSensitive(ptq->recipe, "mixed_precision") : NULL, *step;
    const struct cJSON *steps = cJSON_GetObjectItemCaseSensitive(mixed, "steps");
    double fp32 = eq_json_real(mixed, "mae_fp32");
    if (!cJSON_IsArray(steps))
        return;
    eq_str_add(&out->title, "Mixed precision");
    struct eq_table *t = eq_section_table(out);
    eq_table_begin(t, header, 2);
    add_row(t, "(all)", "", eq_json_real(mixed, "mae_quantized"), fp32);
    cJSON_ArrayForEach(step, steps)
        add_row(t, eq_json_text(step, "layer"), eq_json_text(step, "to"), eq_json_real(step, "mae"), fp32);
    eq_str_add(&out->note,
               "Layers were returned to FP32, starting with the one that alone changes the EF most, "
               "until the MAE of the integer model on the %.0f validation clips was within "
               "ptq.max_mae_loss = %g EF points of FP32's %.4f. Then the layers that were not needed "
               "for that became INT8 again. No test clip was used.",
               eq_json_real(mixed, "clips"), eq_json_real(mixed, "max_mae_loss"), fp32);
}
