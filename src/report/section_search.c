/* What ptq.search tried, from the recipe in the quantized model's row. */
#include "report/report.h"

#include <cjson/cJSON.h>
#include <math.h>

static const struct cJSON *search_of(const struct cJSON *results)
{
    const struct cJSON *ptq = eq_results_find_model(results, eq_phase_model(EQ_PHASE_PTQ)->row);
    const struct cJSON *recipe = cJSON_GetObjectItemCaseSensitive(ptq, "recipe");
    return cJSON_GetObjectItemCaseSensitive(recipe, "search");
}

enum eq_status eq_search_table(const struct cJSON *results, struct eq_table *out, struct eq_err *err)
{
    static const char *const header[] = {"Tried", "Off by (EF points)", "SQNR(dB)", "Kept"};
    const struct cJSON *tries = cJSON_GetObjectItemCaseSensitive(search_of(results), "tries"), *o;
    *out = (struct eq_table){0};
    if (!cJSON_IsArray(tries))
        return EQ_OK;
    enum eq_status st = eq_table_init(out, header, 4, 1, cJSON_GetArraySize(tries), err);
    if (st != EQ_OK)
        return st;
    cJSON_ArrayForEach(o, tries)
    {
        char(*cells)[EQ_TABLE_CELL] = out->cells[out->rows++];
        snprintf(cells[0], EQ_TABLE_CELL, "%s", eq_report_text(o, "tried"));
        eq_table_put(cells[1], "", 4, sqrt(eq_report_number(o, "mse")));
        eq_table_put(cells[2], "", 1, eq_report_number(o, "sqnr_db"));
        snprintf(cells[3], EQ_TABLE_CELL, "%s", cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(o, "kept")) ? "yes" : "");
    }
    return EQ_OK;
}

void eq_search_note(const struct cJSON *results, struct eq_str *out)
{
    const struct cJSON *search = search_of(results);
    eq_str_add(
        out,
        "ptq.search fitted each try on %.0f calibration clips and judged it on %.0f others: root mean square and "
        "signal-to-noise ratio of the INT8 model's EF against FP32's. A try that did better than all before was "
        "kept, and later ones build on it.",
        eq_report_number(search, "fit_clips"), eq_report_number(search, "judge_clips"));
}
