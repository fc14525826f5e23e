/* What the report says over several seeds: two tables and how to read them. */
#include "report/report.h"

#include <cjson/cJSON.h>
#include <math.h>

const char eq_seeds_note[] =
    "Each seed is a whole experiment of its own: first weights, order of clips, augmentation, calibration clips. The "
    "table above has means over the seeds. SD: standard deviation over seeds (n - 1). Differences are taken within a "
    "seed, then summed up; 95 % interval: mean ± t(0.975, n - 1) SD / √n, Student's t. The test clips are the same for "
    "all seeds: the intervals say what another training would give, not what other patients would.";

bool eq_seeds_has(const struct cJSON *results)
{
    return cJSON_IsArray(cJSON_GetObjectItemCaseSensitive(results, "seeds"));
}

static void fill_model(char cells[EQ_TABLE_COLUMNS][EQ_TABLE_CELL], const struct cJSON *row)
{
    const struct cJSON *over = cJSON_GetObjectItemCaseSensitive(row, "over_seeds");
    snprintf(cells[0], EQ_TABLE_CELL, "%s", eq_results_model_name(row));
    eq_table_put(cells[1], "", 0, eq_report_number(over, "n"));
    eq_table_put(cells[2], "", 2, eq_report_number(over, "mae.mean"));
    eq_table_put(cells[3], "", 2, eq_report_number(over, "mae.sd"));
    eq_table_put(cells[4], "", 2, eq_report_number(over, "mae.min"));
    eq_table_put(cells[5], "", 2, eq_report_number(over, "mae.max"));
    eq_table_put(cells[6], "", 2, eq_report_number(over, "rmse.mean"));
    eq_table_put(cells[7], "", 2, eq_report_number(over, "rmse.sd"));
    eq_table_put(cells[8], "", 3, eq_report_number(over, "r2.mean"));
    eq_table_put(cells[9], "", 3, eq_report_number(over, "r2.sd"));
}

static void fill_difference(char cells[EQ_TABLE_COLUMNS][EQ_TABLE_CELL], const struct cJSON *d)
{
    double low = eq_report_number(d, "low"), high = eq_report_number(d, "high");
    snprintf(cells[0], EQ_TABLE_CELL, "%.18s - %.18s", eq_report_text(d, "model"), eq_report_text(d, "minus"));
    eq_table_put(cells[1], "", 0, eq_report_number(d, "n"));
    eq_table_put(cells[2], "+", 3, eq_report_number(d, "mean"));
    eq_table_put(cells[3], "", 3, eq_report_number(d, "sd"));
    if (isnan(low) || isnan(high))
        snprintf(cells[4], EQ_TABLE_CELL, "-");
    else
        snprintf(cells[4], EQ_TABLE_CELL, "%+.3f to %+.3f", low, high);
    eq_table_put(cells[5], "+", 3, eq_report_number(d, "min"));
    eq_table_put(cells[6], "+", 3, eq_report_number(d, "max"));
}

enum eq_status eq_seeds_tables(const struct cJSON *results, struct eq_table *models, struct eq_table *differences,
                               struct eq_err *err)
{
    static const char *const of_models[] = {"Model", "Seeds",     "MAE mean", "SD",      "Min",
                                            "Max",   "RMSE mean", "SD",       "R2 mean", "SD"};
    static const char *const of_differences[] = {"Difference of MAE", "Seeds", "Mean", "SD",
                                                 "95 % interval",     "Min",   "Max"};
    const struct cJSON *rows = cJSON_GetObjectItemCaseSensitive(results, "models"), *row;
    const struct cJSON *list = cJSON_GetObjectItemCaseSensitive(results, "differences");
    enum eq_status st = EQ_OK;
    if (!eq_seeds_has(results))
        return EQ_OK;
    EQ_TRY(eq_table_init(models, of_models, 10, 1, cJSON_GetArraySize(rows), err));
    EQ_TRY(eq_table_init(differences, of_differences, 7, 1, cJSON_GetArraySize(list), err));
    cJSON_ArrayForEach(row, rows) fill_model(models->cells[models->rows++], row);
    cJSON_ArrayForEach(row, list) fill_difference(differences->cells[differences->rows++], row);
out:
    return st;
}

void eq_seeds_title(const struct cJSON *results, struct eq_str *out)
{
    const struct cJSON *seeds = cJSON_GetObjectItemCaseSensitive(results, "seeds"), *entry;
    int n = cJSON_GetArraySize(seeds);
    double wanted = eq_report_number(results, "seeds_wanted");
    eq_str_add(out, "Over %d seed%s (", n, n == 1 ? "" : "s");
    cJSON_ArrayForEach(entry, seeds)
        eq_str_add(out, "%s%.0f", entry == seeds->child ? "" : ", ", eq_report_number(entry, "seed"));
    eq_str_add(out, ")");
    if (n < wanted)
        eq_str_add(out, ", %.0f of %.0f still to come", wanted - n, wanted);
}

void eq_seeds_print(const struct cJSON *results, const struct eq_table *models, const struct eq_table *differences,
                    struct eq_str *out)
{
    eq_seeds_title(results, out);
    eq_str_add(out, ":\n\n");
    eq_table_print(models, out);
    eq_str_add(out, "\n");
    eq_table_print(differences, out);
}
