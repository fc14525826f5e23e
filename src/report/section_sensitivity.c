/* sensitivity.json for readers: the table and what its columns mean. */
#include "report/report.h"

#include <cjson/cJSON.h>

static const char *const header[] = {"Layer",   "Weights(dB)", "Output(dB)", "So far(dB)", "MAE only",   "MAE all but",
                                     "EF only", "EF all but",  "Levels",     "Range(%)",   "Clipped(%)", "Dead"};
enum { COLUMNS = sizeof header / sizeof *header };
_Static_assert((int)COLUMNS <= (int)EQ_TABLE_COLUMNS, "columns");

const char eq_sensitivity_note[] =
    "Weights, Output: signal to noise of the layer's weights, and of its output when only its weights and output are "
    "rounded. So far: of its output behind all the quantized layers before it. MAE, EF: change of the MAE and root "
    "mean square change of the EF against FP32, in EF points, when only this layer is quantized, and when all but this "
    "one are. Levels: of the 256, those that FP32's outputs fall on. Range: their span in percent of what the levels "
    "hold. Dead: channels whose output never changes.";

static void fill_row(char cells[EQ_TABLE_COLUMNS][EQ_TABLE_CELL], const struct cJSON *row)
{
    bool kept = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(row, "fp32"));
    snprintf(cells[0], EQ_TABLE_CELL, "%.32s%s", eq_report_text(row, "layer"), kept ? " (FP32)" : "");
    eq_table_put(cells[1], "", 1, eq_report_number(row, "weight_sqnr_db"));
    eq_table_put(cells[2], "", 1, eq_report_number(row, "output_sqnr_db"));
    eq_table_put(cells[3], "", 1, eq_report_number(row, "accumulated_sqnr_db"));
    eq_table_put(cells[4], "+", 3, eq_report_number(row, "mae_change_only"));
    eq_table_put(cells[5], "+", 3, eq_report_number(row, "mae_change_all_but"));
    eq_table_put(cells[6], "", 3, eq_report_number(row, "ef_change_only"));
    eq_table_put(cells[7], "", 3, eq_report_number(row, "ef_change_all_but"));
    eq_table_put(cells[8], "", 0, eq_report_number(row, "levels_used"));
    eq_table_put(cells[9], "", 0, 100 * eq_report_number(row, "range_use"));
    eq_table_put(cells[10], "", 3, 100 * eq_report_number(row, "clipped"));
    eq_table_put(cells[11], "", 0, eq_report_number(row, "dead_channels"));
}

enum eq_status eq_sensitivity_table(const struct cJSON *json, struct eq_table *out, struct eq_err *err)
{
    const struct cJSON *rows = cJSON_GetObjectItemCaseSensitive(json, "layers"), *row;
    enum eq_status st = eq_table_init(out, header, COLUMNS, 1, cJSON_GetArraySize(rows), err);
    if (st != EQ_OK)
        return st;
    cJSON_ArrayForEach(row, rows) fill_row(out->cells[out->rows++], row);
    return EQ_OK;
}

void eq_sensitivity_title(const struct cJSON *json, struct eq_str *out)
{
    double clips = eq_report_number(json, "clips");
    eq_report_recipe(cJSON_GetObjectItemCaseSensitive(json, "recipe"), out);
    eq_str_add(out,
               " On %.0f clip%s of %s: MAE %.3f in FP32, %.3f quantized; EF changes by %.3f points (root mean "
               "square).",
               clips, clips == 1 ? "" : "s", eq_report_text(json, "split"), eq_report_number(json, "mae_fp32"),
               eq_report_number(json, "mae_quantized"), eq_report_number(json, "ef_change"));
}

enum eq_status eq_sensitivity_text(const struct cJSON *json, struct eq_str *out, struct eq_err *err)
{
    struct eq_table table = {0};
    enum eq_status st = eq_sensitivity_table(json, &table, err);
    if (st != EQ_OK)
        return st;
    eq_sensitivity_title(json, out);
    eq_str_add(out, "\n\n");
    eq_table_print(&table, out);
    eq_str_add(out, "\n%s\n", eq_sensitivity_note);
    eq_table_clear(&table);
    return EQ_OK;
}
