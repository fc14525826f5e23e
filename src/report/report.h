/* What the parts of the report share: the table's cells, the pictures, and the documents they are made from. */
#ifndef REPORT_REPORT_H
#define REPORT_REPORT_H

#include "echoquant/infer.h"
#include "echoquant/report.h"

#include <cjson/cJSON.h>

enum { EQ_TABLE_COLUMNS = 13, EQ_TABLE_CELL = 40, EQ_MAX_PLOTS = 12 };

/* cells[0] is the header. */
struct eq_table {
    char (*cells)[EQ_TABLE_COLUMNS][EQ_TABLE_CELL]; /* owned */
    int rows, columns;
    int text_columns; /* the first ones: they lean left, numbers right */
};
enum eq_status eq_table_build(const struct cJSON *results, struct eq_table *out, struct eq_err *err);
void eq_table_clear(struct eq_table *t);
/* rows x columns of empty cells under a header; EQ_NOMEM. */
enum eq_status eq_table_init(struct eq_table *t, const char *const *header, int columns, int text_columns, int max_rows,
                             struct eq_err *err);
/* digits behind the point; "-" when NaN; format: "+" with a sign, else what stands behind the number. */
void eq_table_put(char cell[EQ_TABLE_CELL], const char *format, int digits, double value);
/* Markdown, columns padded so that it reads well on a terminal, too. */
void eq_table_print(const struct eq_table *t, struct eq_str *out);

/* section_search.c: what ptq.search tried (no rows: there was no search), and the sentence that explains the table. */
enum eq_status eq_search_table(const struct cJSON *results, struct eq_table *out, struct eq_err *err);
void eq_search_note(const struct cJSON *results, struct eq_str *out);

/* section_mixed.c: the layers that ptq.max_mae_loss took back to FP32, likewise. */
enum eq_status eq_mixed_table(const struct cJSON *results, struct eq_table *out, struct eq_err *err);
void eq_mixed_note(const struct cJSON *results, struct eq_str *out);

/* A picture: plots/<name>.svg with its script plots/<name>.gp and its data plots/<name>.dat. */
struct eq_plot {
    char name[64];
    char title[96], caption[320];
};
struct eq_report {
    const char *run_dir;
    struct cJSON *results; /* owned */
    struct cJSON *config;  /* owned; NULL when the run directory has no config.json */
    struct eq_table table;
    struct cJSON *sensitivity;          /* owned; NULL when the run directory has no sensitivity.json */
    struct eq_table layers;             /* its table */
    struct eq_table seeds, differences; /* of several seeds; no rows for one */
    struct eq_table search;             /* what ptq.search tried; no rows without it */
    struct eq_table mixed;              /* the layers of ptq.max_mae_loss; no rows without it */
    struct eq_plot plots[EQ_MAX_PLOTS];
    int n_plots;
    char no_pictures[320]; /* why plots/ holds no SVG; "" when it does */
};

/* Draws with gnuplot. A gnuplot that is missing or fails is no error: report->no_pictures says it. */
enum eq_status eq_plots_make(struct eq_report *report, struct eq_err *err);
/* Runs `gnuplot script` inside dir; EQ_UNSUPPORTED when there is no gnuplot. */
enum eq_status eq_gnuplot(const char *dir, const char *script, struct eq_err *err);
void eq_report_markdown(const struct eq_report *report, struct eq_str *out);
enum eq_status eq_report_html(const struct eq_report *report, struct eq_str *out, struct eq_err *err);

/* sentences.c: sentences that both forms share, one call each. */
/* What was lost and won, a line for each quantized model. */
void eq_report_findings(const struct eq_report *report, struct eq_str lines[], int max, int *n);
/* Anything that a reader must know before comparing: synthetic data, rows measured under different conditions. */
void eq_report_cautions(const struct eq_report *report, struct eq_str lines[], int max, int *n);
/* "AMD EPYC ..., avx512vnni, 2 threads, echoquant 0.1.0" */
void eq_report_environment(const struct eq_report *report, struct eq_str *out);
/* How a quantized model was made, from the recipe in its file. */
void eq_report_recipe(const struct cJSON *recipe, struct eq_str *out);
void eq_report_data(const struct eq_report *report, struct eq_str *out);

/* section_seeds.c: for results.json of several seeds; nothing for that of one. Clear tables with eq_table_clear. */
bool eq_seeds_has(const struct cJSON *results);
enum eq_status eq_seeds_tables(const struct cJSON *results, struct eq_table *models, struct eq_table *differences,
                               struct eq_err *err);
/* "Over 3 seeds (1, 2, 3)" */
void eq_seeds_title(const struct cJSON *results, struct eq_str *out);
/* What the numbers are, and what they are not. */
extern const char eq_seeds_note[];
/* Title and both tables as Markdown. */
void eq_seeds_print(const struct cJSON *results, const struct eq_table *models, const struct eq_table *differences,
                    struct eq_str *out);

/* section_sensitivity.c */
/* A row for each layer of sensitivity.json. */
enum eq_status eq_sensitivity_table(const struct cJSON *json, struct eq_table *out, struct eq_err *err);
/* "weights of 4 bits, hist_mse; 16 clips of VAL: MAE 6.50 in FP32, 6.61 quantized." */
void eq_sensitivity_title(const struct cJSON *json, struct eq_str *out);
extern const char eq_sensitivity_note[]; /* what the columns are */
/* The picture, as one more of the report's. */
enum eq_status eq_plots_sensitivity(struct eq_report *report, const struct cJSON *json, struct eq_err *err);

#endif
