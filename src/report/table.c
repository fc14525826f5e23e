/* The table of results: the five columns of the README first, then what a reviewer asks for. */
#include "report/report.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *const header[EQ_TABLE_COLUMNS] = {
    "Model",   "Precision", "Size(MB)",       "MAE",         "Latency(ms)", "RMSE",       "R2",
    "p95(ms)", "Min(ms)",   "File to EF(ms)", "MAE vs FP32", "Speed-up",    "Compression"};

void eq_table_put(char cell[EQ_TABLE_CELL], const char *format, int digits, double value)
{
    if (isnan(value))
        snprintf(cell, EQ_TABLE_CELL, "-");
    else if (strcmp(format, "+") == 0)
        snprintf(cell, EQ_TABLE_CELL, "%+.*f", digits, value);
    else
        snprintf(cell, EQ_TABLE_CELL, "%.*f%s", digits, value, format);
}

static void put_ms(char cell[EQ_TABLE_CELL], double ms)
{
    eq_table_put(cell, "", ms < 10 ? 2 : 1, ms);
}

static void fill_row(char cells[EQ_TABLE_COLUMNS][EQ_TABLE_CELL], const struct cJSON *row, const struct cJSON *fp32)
{
    double size = eq_report_number(row, "size_mb"), median = eq_report_number(row, "latency_ms.median");
    bool reference = row == fp32;
    snprintf(cells[0], EQ_TABLE_CELL, "%s", eq_results_model_name(row));
    snprintf(cells[1], EQ_TABLE_CELL, "%s", eq_report_text(row, "precision"));
    eq_table_put(cells[2], "", 2, size);
    eq_table_put(cells[3], "", 2, eq_report_number(row, "mae"));
    put_ms(cells[4], median);
    eq_table_put(cells[5], "", 2, eq_report_number(row, "rmse"));
    eq_table_put(cells[6], "", 3, eq_report_number(row, "r2"));
    put_ms(cells[7], eq_report_number(row, "latency_ms.p95"));
    put_ms(cells[8], eq_report_number(row, "latency_ms.min"));
    put_ms(cells[9], eq_report_number(row, "file_latency_ms.median"));
    eq_table_put(cells[10], "+", 2, reference ? NAN : eq_report_number(row, "mae") - eq_report_number(fp32, "mae"));
    eq_table_put(cells[11], "x", 2, reference ? NAN : eq_report_number(fp32, "latency_ms.median") / median);
    eq_table_put(cells[12], "x", 2, reference ? NAN : eq_report_number(fp32, "size_mb") / size);
}

enum eq_status eq_table_init(struct eq_table *t, const char *const *names, int columns, int text_columns, int max_rows,
                             struct eq_err *err)
{
    *t = (struct eq_table){.columns = columns, .text_columns = text_columns};
    t->cells = calloc((size_t)max_rows + 1, sizeof *t->cells);
    if (!t->cells)
        return eq_fail(err, EQ_NOMEM, "out of memory for the table");
    for (int c = 0; c < columns; c++)
        snprintf(t->cells[0][c], EQ_TABLE_CELL, "%s", names[c]);
    t->rows = 1;
    return EQ_OK;
}

enum eq_status eq_table_build(const struct cJSON *results, struct eq_table *out, struct eq_err *err)
{
    const struct cJSON *models = cJSON_GetObjectItemCaseSensitive(results, "models"), *row;
    const struct cJSON *fp32 = eq_results_find_model(results, eq_phase_model(EQ_PHASE_TRAIN)->row);
    enum eq_status st = eq_table_init(out, header, EQ_TABLE_COLUMNS, 2, cJSON_GetArraySize(models), err);
    if (st != EQ_OK)
        return st;
    cJSON_ArrayForEach(row, models) fill_row(out->cells[out->rows++], row, fp32);
    return EQ_OK;
}

void eq_table_clear(struct eq_table *t)
{
    free(t->cells);
    *t = (struct eq_table){0};
}

/* Text columns lean left, numbers right. */
static void print_cell(struct eq_str *out, const char *text, int width, bool left)
{
    eq_str_add(out, left ? " %-*s |" : " %*s |", width, text);
}

void eq_table_print(const struct eq_table *t, struct eq_str *out)
{
    int width[EQ_TABLE_COLUMNS] = {0};
    for (int r = 0; r < t->rows; r++)
        for (int c = 0; c < t->columns; c++)
            if (width[c] < (int)strlen(t->cells[r][c]))
                width[c] = (int)strlen(t->cells[r][c]);
    for (int r = 0; r < t->rows; r++) {
        eq_str_add(out, "|");
        for (int c = 0; c < t->columns; c++)
            print_cell(out, t->cells[r][c], width[c], c < t->text_columns);
        eq_str_add(out, "\n");
        for (int c = 0; r == 0 && c < t->columns; c++) {
            eq_str_add(out, c == 0 ? "|%s" : "%s", c < t->text_columns ? ":" : "-");
            for (int i = 0; i < width[c]; i++)
                eq_str_add(out, "-");
            eq_str_add(out, "%s|", c < t->text_columns ? "-" : ":");
        }
        if (r == 0)
            eq_str_add(out, "\n");
    }
}

enum eq_status eq_run_table(const char *run_dir, struct eq_str *out, struct eq_err *err)
{
    struct cJSON *results = NULL;
    struct eq_table table = {0}, seeds = {0}, differences = {0};
    enum eq_status st;
    EQ_TRY(eq_results_read(run_dir, &results, err));
    EQ_TRY(eq_table_build(results, &table, err));
    EQ_TRY(eq_seeds_tables(results, &seeds, &differences, err));
    eq_table_print(&table, out);
    if (eq_seeds_has(results)) {
        eq_str_add(out, "\n");
        eq_seeds_print(results, &seeds, &differences, out);
    }
out:
    eq_table_clear(&table);
    eq_table_clear(&seeds);
    eq_table_clear(&differences);
    cJSON_Delete(results);
    return st;
}
