/* The report as a list of sections, which is written as Markdown and as HTML. */
#ifndef REPORT_REPORT_H
#define REPORT_REPORT_H

#include "echoquant/infer.h"
#include "echoquant/picture.h"
#include "echoquant/report.h"
#include "echoquant/verdict.h"

#include <cjson/cJSON.h>

/* ---- texts and tables ---------------------------------------------------- */

/* A growing list of texts, each followed by its NUL. eq_str_add to s starts a text or continues it; eq_texts_end ends
 * it. Init with {0}; eq_str_clear(&t->s) frees it. */
struct eq_texts {
    struct eq_str s;
    size_t n;
};
void eq_texts_end(struct eq_texts *t);
void eq_texts_add(struct eq_texts *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
#define EQ_EACH_TEXT(p, t) for (const char *p = (t)->s.s; p && p < (t)->s.s + (t)->s.len; p += strlen(p) + 1)

/* Cells row by row, the header first. */
struct eq_table {
    struct eq_texts cells;
    int columns;
    int text_columns;      /* the first ones, aligned left; numbers are aligned right */
    struct eq_str caption; /* in HTML, above it; empty: the title of the section */
};
/* Adds the header, a list that ends with NULL. */
void eq_table_begin(struct eq_table *t, const char *const *header, int text_columns);
/* Adds a cell for each double. formats: one for each, separated by "|"; NaN becomes "-". */
void eq_table_numbers(struct eq_table *t, const char *formats, ...) __attribute__((format(printf, 2, 3)));
/* Appends Markdown with padded columns, which also reads well on a terminal. columns above 0: a wider table becomes
 * several, one after the other, each with the first column. */
void eq_table_print(const struct eq_table *t, int columns, struct eq_str *out);

/* ---- the content of a report ---------------------------------------------- */

/* What phases have measured and written beside their models, and the clips. */
struct eq_measured {
    struct eq_quantization {
        const struct eq_run_model *model;
        struct cJSON *json; /* owned: quantization/<name>.json */
    } * list;               /* owned */
    size_t n;
    double seed;             /* of the run that they are of; NaN: of the run directory itself */
    struct eq_dataset clips; /* of data.csv; empty if the run has none */
};
/* measured.c. Over several seeds quantization/ is that of the first seed which has one. Clear out also after a failure.
 * EQ_FORMAT: a file is damaged. */
enum eq_status eq_measured_read(const char *run_dir, const struct eq_results *r, struct eq_measured *out,
                                struct eq_err *err);
void eq_measured_clear(struct eq_measured *m);
/* That of the model which a phase makes; NULL: there is none. */
const struct cJSON *eq_measured_of(const struct eq_measured *m, enum eq_phase phase);
/* Appends which seed, where there are several; otherwise nothing. */
void eq_measured_note_seed(const struct eq_measured *m, struct eq_str *out);
/* What a layer gains in FP32: by how much the RMS of INT8's EF from FP32's falls. NaN: unknown. */
double eq_layer_gain(const struct cJSON *quantization, const struct cJSON *layer);

/* The sampled frames of a test clip in one picture, plots/<file>. */
struct eq_strip {
    size_t clip;         /* of the verdict's first clips */
    struct eq_str file;  /* empty: there is none */
    struct eq_str name;  /* of the clip */
    struct eq_str title; /* why it is shown */
    struct eq_str caption, alt;
    struct eq_str why; /* why it could not be made now */
    bool is_earlier;   /* an earlier report made it */
    int width, height; /* pixels */
};
/* Init with {0}; free with eq_strips_clear. */
struct eq_strips {
    struct eq_strip *list;
    size_t n;
    int seed;           /* of the run whose models predicted; -1: one run */
    struct eq_str away; /* why no clip can be read; empty: some can */
};
struct eq_report {
    const char *run_dir;
    const char *out_dir; /* where the report is written; NULL: run_dir */
    struct eq_results results;
    struct eq_run_verdict verdict;      /* empty, without models, if there are no predictions */
    struct eq_str other_data;           /* names of rows that are left out, because they are of other data */
    struct cJSON *config;               /* owned; NULL when the run directory has no config.json */
    struct eq_settings settings;        /* those of config.json, the defaults without one */
    char config_sha256[EQ_SHA256_TEXT]; /* of that file; "": there is none */
    struct eq_table missing;   /* what the settings ask for and the run lacks, with the command that makes it */
    struct cJSON *sensitivity; /* owned; NULL when the run directory has no sensitivity.json */
    struct eq_measured measured;
    struct eq_pictures pictures;
    struct eq_strips strips;
};
void eq_report_clear(struct eq_report *report);
/* compare_report.c: whether a report may be written there. EQ_USAGE: it is a run directory. */
enum eq_status eq_report_check_folder(const char *dir, struct eq_err *err);
/* missing.c: fills report->missing from report->settings and the files of the run directory. */
enum eq_status eq_report_find_missing(struct eq_report *report, struct eq_err *err);
/* Makes the film strips of report->verdict in plots/, which exists, and removes those of other clips. cfg:
 * report.strips, and how to read the clips. A clip that cannot be read is no error, unless the system failed
 * (eq_err_is_of_system). EQ_IO: also if plots/ cannot be written; EQ_NOMEM, EQ_INTERRUPTED. */
enum eq_status eq_strips_make(struct eq_report *report, const struct eq_config *cfg, struct eq_err *err);
void eq_strips_clear(struct eq_strips *s);
/* section_provenance.c: appends a word of a command, quoted for a POSIX shell if it has to be. */
void eq_report_add_word(struct eq_str *out, const char *word);
/* section_findings.c: whether a quantized model computes in Winograd's domain, by its recipe (NULL: none). */
bool eq_report_is_winograd(const struct cJSON *recipe);
/* The same file: appends how a quantized model was made, from the recipe in its file. */
void eq_report_recipe(const struct cJSON *recipe, struct eq_str *out);

/* section_results.c: adds the ids of the devices that have a column of their own in the table of results, unless they
 * are there: those that no row shows as its GPU. */
void eq_results_table_devices(const struct eq_results *r, struct eq_texts *devices);
/* The header of the table, and a row of it. fp32: the row that it is compared with; NULL: none. */
void eq_results_table_begin(struct eq_table *t, const struct eq_texts *devices);
void eq_results_table_row(struct eq_table *t, const struct eq_result *row, const struct eq_result *fp32,
                          const struct eq_texts *devices);

/* A quantized model whose MAE is this much above FP32's, in EF points, is called broken. */
#define EQ_BROKEN_LOSS 2.0

/* timing.c: whether the latency of a row may be compared with that of base. */
enum eq_speed {
    EQ_SPEED_UNKNOWN,        /* one of them has none */
    EQ_SPEED_NOT_MEASURABLE, /* the intervals of the medians overlap, or they were not timed by turns */
    EQ_SPEED_KNOWN
};
/* *ratio: of the medians, above 1 if the row is faster. */
enum eq_speed eq_report_speed(const struct eq_result *row, const struct eq_result *base, double *ratio);
/* Whether the timing of a row was disturbed: the 95th percentile is above 1.5 medians, or the timed thread waited for
 * a CPU for more than this share of the time. */
#define EQ_DISTURBED_P95 1.5
#define EQ_DISTURBED_WAIT 0.02
bool eq_report_is_disturbed(const struct eq_result *row);
/* Appends a positive value with three significant digits (more before the point, at most six after it). */
void eq_report_significant(double value, const char *unit, struct eq_str *out);

/* cells.c: figures of the verdict as cells of tables. */
/* A model or a pair of the verdict in each run: of the one run, or of each seed that has it. */
struct eq_runs_of {
    const void *item[EQ_MAX_SEEDS]; /* struct eq_verdict_model or eq_verdict_pair */
    size_t n;
    bool seeds; /* of several seeds, even if only one has it */
};
struct eq_runs_of eq_report_model_runs(const struct eq_run_verdict *v, size_t model);
struct eq_runs_of eq_report_pair_runs(const struct eq_run_verdict *v, size_t pair);
/* How a figure is printed. */
struct eq_digits {
    int after; /* the point */
    bool sign;
    double times; /* 100: as percent */
};
/* Adds "value (low to high)" of the doubles at these offsets of the item, or "value" if low is NaN or EQ_NO_LIMITS, or
 * "-" if value is NaN. With several seeds: "mean (least to greatest)" of the value. */
#define EQ_NO_LIMITS SIZE_MAX
void eq_cell_figure(struct eq_table *t, const struct eq_runs_of *of, size_t value, size_t low, size_t high,
                    struct eq_digits digits);
/* The same for a size_t without limits. */
void eq_cell_count(struct eq_table *t, const struct eq_runs_of *of, size_t at);
/* The same for a p value: three significant digits. */
void eq_cell_p(struct eq_table *t, const struct eq_runs_of *of, size_t at);
/* Adds "value (low to high)" of numbers that need no runs. */
void eq_cell_interval(struct eq_table *t, double value, double low, double high, struct eq_digits digits);
/* Adds the name of a pair, "PTQ - FP32". */
void eq_cell_pair(struct eq_table *t, const struct eq_run_verdict *v, size_t pair);
/* Appends how to read figures over several seeds; nothing for one run. */
void eq_note_seeds(const struct eq_run_verdict *v, struct eq_str *note);

/* ---- sections ------------------------------------------------------------ */

enum eq_section_style {
    EQ_SECTION_HEADED,
    EQ_SECTION_LEAD_IN, /* in Markdown the title is a lead-in of a paragraph that continues the section before */
    EQ_SECTION_FOLDED,  /* HTML shows the title, the rest on a click */
    EQ_SECTION_UNFOLDED
};
enum eq_line_style { EQ_LINE_PLAIN, EQ_LINE_ITEM, EQ_LINE_CAUTION };
/* Printed in the order of its fields; empty ones are omitted. A section without lines, tables, plots and strips is
 * omitted. */
struct eq_section {
    const char *id; /* names it in HTML's style sheet */
    int place;      /* in report.md, from 0 on; report.html has the order of the list */
    enum eq_section_style style;
    struct eq_str title;
    const char *heading; /* HTML's, where Markdown has no title; borrowed; NULL: none */
    enum eq_line_style line_style;
    struct eq_texts lines;
    struct eq_table *tables;
    size_t n_tables;
    struct eq_str note;              /* how to read the tables */
    struct eq_str brief;             /* Markdown has this in place of everything else */
    const struct eq_picture **plots; /* in Markdown each has a heading of its own, and the section none */
    size_t n_plots;
    const struct eq_strip **strips; /* those with a file */
    size_t n_strips;
    bool has_holes; /* out of memory: the report cannot be written */
};
/* Adds an empty table. The pointer is valid until the next call. */
struct eq_table *eq_section_table(struct eq_section *s);
void eq_section_clear(struct eq_section *s);
/* Appends the section as Markdown, with a blank line before each part unless out is empty. columns above 0: tables and
 * text are broken to fit. */
void eq_section_print(const struct eq_section *s, int columns, struct eq_str *out);

/* The sections in the order of report.html, and the place of each in report.md. eq_section_<name> is in a file of
 * its own and leaves the section empty when there is nothing to say. Pictures whose kind is the name of a section are
 * added to it. */
#define EQ_SECTIONS(X)                                                                                                 \
    X(verdict, 1)                                                                                                      \
    X(missing, 3)                                                                                                      \
    X(findings, 30)                                                                                                    \
    X(cautions, 5)                                                                                                     \
    X(results, 10)                                                                                                     \
    X(seeds, 20)                                                                                                       \
    X(errors, 21)                                                                                                      \
    X(differences, 22)                                                                                                 \
    X(mlperf, 23)                                                                                                      \
    X(no_pictures, 60)                                                                                                 \
    X(scatter, 80)                                                                                                     \
    X(agreement, 25)                                                                                                   \
    X(moved, 24)                                                                                                       \
    X(calibration, 29)                                                                                                 \
    X(auc, 26)                                                                                                         \
    X(auc_differences, 27)                                                                                             \
    X(reclass, 28)                                                                                                     \
    X(strata_ef, 31)                                                                                                   \
    X(strata_frames, 32)                                                                                               \
    X(strata_fps, 33)                                                                                                  \
    X(strips, 95)                                                                                                      \
    X(latency, 12)                                                                                                     \
    X(front, 90)                                                                                                       \
    X(labels, 62)                                                                                                      \
    X(history, 70)                                                                                                     \
    X(layers, 100)                                                                                                     \
    X(parts, 101)                                                                                                      \
    X(layer_costs, 102)                                                                                                \
    X(layer_table, 103)                                                                                                \
    X(ranges, 104)                                                                                                     \
    X(search, 120)                                                                                                     \
    X(mixed, 130)                                                                                                      \
    X(sensitivity, 110)                                                                                                \
    X(made, 50)                                                                                                        \
    X(provenance, 148)                                                                                                 \
    X(config, 150)                                                                                                     \
    X(skipped, 140)                                                                                                    \
    X(damaged, 145)
#define EQ_SECTION_FUNCTION(name, place) void eq_section_##name(const struct eq_report *report, struct eq_section *out);
EQ_SECTIONS(EQ_SECTION_FUNCTION)

/* The sections that are not empty; free with eq_sections_free. */
struct eq_section *eq_report_sections(const struct eq_report *report, size_t *n);
/* EQ_NOMEM: one of them has holes. */
enum eq_status eq_sections_check(const struct eq_section *sections, size_t n, struct eq_err *err);
void eq_sections_free(struct eq_section *sections, size_t n);
void eq_report_markdown(const struct eq_section *sections, size_t n, struct eq_str *out);
/* Appends one self-contained page, with the pictures of <run_dir>/plots embedded. EQ_IO: a picture is missing. */
enum eq_status eq_report_html(const char *run_dir, const struct eq_section *sections, size_t n, struct eq_str *out,
                              struct eq_err *err);

/* Writes <dir>/<name>. EQ_IO. */
enum eq_status eq_report_write(const char *dir, const char *name, const struct eq_str *text, struct eq_err *err);

#endif
