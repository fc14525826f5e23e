/* Several runs side by side. Nothing here writes into them. */
#ifndef REPORT_COMPARE_H
#define REPORT_COMPARE_H

#include "report/report.h"

struct eq_compared_run {
    const char *dir;           /* borrowed */
    char *name;                /* the end of its path that no other run has */
    struct eq_results results; /* over all seeds, if it has several; no rows: not evaluated yet */
    struct eq_str other_data;  /* names of rows that are left out, because they are of other data */
    struct eq_settings settings;
    bool has_settings;
    char test[EQ_SHA256_TEXT]; /* of the names and EFs of its test clips; "": it does not say */
    int clips;                 /* runs with the same test clips have the same number, from 1 on */
};
/* A setting, or a part of the environment, that differs; its values in the order of the runs. */
struct eq_compared_key {
    char *key;
    struct eq_texts values;
};
struct eq_compared_row {
    const struct eq_compared_run *run;
    const struct eq_result *row;
    double cost;                    /* ms for the EF of a clip: latency of the model, times the phases; NaN: none */
    bool front_latency, front_size; /* no other row with the same test clips is at least as good in both */
};
/* MAE of a model in one run minus that of the same model in the first run with the same test clips. */
struct eq_compared_pair {
    const struct eq_compared_run *run, *base;
    const char *model;
    size_t clips;
    bool by_patient;    /* all clips have a patient, and the bootstrap draws patients */
    struct eq_boot mae; /* of |error| - |error of base|, clip by clip */
};
struct eq_comparison {
    struct eq_compared_run *runs;
    size_t n;
    struct eq_compared_key *keys;
    size_t n_keys;
    struct eq_compared_row *rows;
    size_t n_rows;
    struct eq_compared_pair *pairs;
    size_t n_pairs;
    int groups;       /* of test clips */
    bool timed_alike; /* all latencies are of one CPU, instruction set, and number of threads */
    struct eq_texts notes;
};
/* run_names.c: for each folder, the end of its path that no other one has; free() each, and the list. */
char **eq_runs_names(const char *const *dirs, size_t n);
enum eq_status eq_runs_check(const char *const *dirs, size_t n, struct eq_err *err); /* EQ_USAGE: one is named twice */

/* Reads n run directories. EQ_USAGE: one of them is named twice; EQ_IO: one is no run directory, or none of them has
 * results; EQ_FORMAT: a file of one is damaged. Clear out with eq_comparison_clear in any case. */
enum eq_status eq_comparison_read(const char *const *dirs, size_t n, struct eq_comparison *out, struct eq_err *err);
void eq_comparison_clear(struct eq_comparison *c);

/* compare_front.c: sets the fronts of all rows. */
void eq_comparison_find_fronts(struct eq_comparison *c);
/* Adds the pictures of the fronts. */
void eq_comparison_plot(const struct eq_comparison *c, struct eq_pictures *all);

/* compare_pairs.c: fills out->pairs from the predictions of the runs. */
enum eq_status eq_comparison_pair(struct eq_comparison *out, struct eq_err *err);

/* compare_sections.c: the comparison as sections, as eq_report_sections gives them for a run. */
struct eq_section *eq_comparison_sections(const struct eq_comparison *c, const struct eq_pictures *pictures, size_t *n);

/* compare_formats.c: the tables for other programs. */
void eq_comparison_csv(const struct eq_comparison *c, struct eq_str *out);
enum eq_status eq_comparison_json(const struct eq_comparison *c, struct cJSON **out, struct eq_err *err);
/* latex.c: appends a tabular environment with booktabs' rules. */
void eq_table_latex(const struct eq_table *t, struct eq_str *out);

#endif
