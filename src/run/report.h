/* What the parts of the report share: the table's cells, the pictures, and the documents they are made from. */
#ifndef RUN_REPORT_H
#define RUN_REPORT_H

#include "run/results.h"

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

/* report_search.c: what ptq.search tried (no rows: there was no search), and the sentence that explains the table. */
enum eq_status eq_search_table(const struct cJSON *results, struct eq_table *out, struct eq_err *err);
void eq_search_note(const struct cJSON *results, struct eq_str *out);

/* report_mixed.c: the layers that ptq.max_mae_loss took back to FP32, likewise. */
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

/* report_text.c: sentences that both forms share, one call each. */
/* NaN: absent or null. path: "mae", "latency_ms.median". */
double eq_report_number(const struct cJSON *row, const char *path);
/* "" when absent. */
const char *eq_report_text(const struct cJSON *object, const char *key);
/* What was lost and won, a line for each quantized model. */
void eq_report_findings(const struct eq_report *report, struct eq_str lines[], int max, int *n);
/* Anything that a reader must know before comparing: synthetic data, rows measured under different conditions. */
void eq_report_cautions(const struct eq_report *report, struct eq_str lines[], int max, int *n);
/* "AMD EPYC ..., avx512vnni, 2 threads, echoquant 0.1.0" */
void eq_report_environment(const struct eq_report *report, struct eq_str *out);
/* How a quantized model was made, from the recipe in its file. */
void eq_report_recipe(const struct cJSON *recipe, struct eq_str *out);
void eq_report_data(const struct eq_report *report, struct eq_str *out);

#endif
