/* How ptq.max_mae_loss came to its layers in FP32, from the recipe in the quantized model's row. */
#include "report/report.h"

#include <cjson/cJSON.h>

static const struct cJSON *mixed_of(const struct cJSON *results)
{
    const struct cJSON *ptq = eq_results_find_model(results, eq_phase_model(EQ_PHASE_PTQ)->row);
    const struct cJSON *recipe = cJSON_GetObjectItemCaseSensitive(ptq, "recipe");
    return cJSON_GetObjectItemCaseSensitive(recipe, "mixed_precision");
}

static void fill(char cells[EQ_TABLE_COLUMNS][EQ_TABLE_CELL], const char *layer, const char *to, double mae,
                 double fp32)
{
    snprintf(cells[0], EQ_TABLE_CELL, "%.39s", layer);
    snprintf(cells[1], EQ_TABLE_CELL, "%.39s", to);
    eq_table_put(cells[2], "", 4, mae);
    eq_table_put(cells[3], "+", 4, mae - fp32);
}

enum eq_status eq_mixed_table(const struct cJSON *results, struct eq_table *out, struct eq_err *err)
{
    static const char *const header[] = {"Layer", "Back to", "Validation MAE", "Loss"};
    const struct cJSON *mixed = mixed_of(results), *step;
    const struct cJSON *steps = cJSON_GetObjectItemCaseSensitive(mixed, "steps");
    double fp32 = eq_report_number(mixed, "mae_fp32");
    *out = (struct eq_table){0};
    if (!cJSON_IsArray(steps))
        return EQ_OK;
    enum eq_status st = eq_table_init(out, header, 4, 2, cJSON_GetArraySize(steps) + 1, err);
    if (st != EQ_OK)
        return st;
    fill(out->cells[out->rows++], "(all)", "", eq_report_number(mixed, "mae_quantized"), fp32);
    cJSON_ArrayForEach(step, steps) fill(out->cells[out->rows++], eq_report_text(step, "layer"),
                                         eq_report_text(step, "to"), eq_report_number(step, "mae"), fp32);
    return EQ_OK;
}

void eq_mixed_note(const struct cJSON *results, struct eq_str *out)
{
    const struct cJSON *mixed = mixed_of(results);
    eq_str_add(out,
               "Layers went back to FP32, the one that alone moves the EF most first, until the integer model lost at "
               "most ptq.max_mae_loss = %g EF points of MAE on the %.0f validation clips (%.4f in FP32); then those "
               "back to INT8 without which it still holds. No test clip was looked at.",
               eq_report_number(mixed, "max_mae_loss"), eq_report_number(mixed, "clips"),
               eq_report_number(mixed, "mae_fp32"));
}
