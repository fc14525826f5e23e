/*
 * verdict: what the predictions of a run say of its models: errors with intervals, differences between models against
 * the non-inferiority margin, agreement, classes, strata. docs/STATISTICS.md has the formulas.
 */
#ifndef ECHOQUANT_VERDICT_H
#define ECHOQUANT_VERDICT_H

#include "echoquant/infer.h"
#include "echoquant/rundir.h"

#define EQ_STATISTICS_FORMAT "echoquant-statistics-1" /* "format" of EQ_STATISTICS_FILE (rundir.h) */
#define EQ_VERDICT_OUTLIER 15.0                       /* EF points: an error above it is an outlier */
#define EQ_MLPERF_SHARE 0.99                          /* of FP32's quality that MLPerf asks of INT8 */
enum {
    EQ_VERDICT_CUTS = 4,   /* of the EF, for classes */
    EQ_VERDICT_MOVES = 3,  /* EF points by which quantization may move a clip */
    EQ_VERDICT_STRATA = 3, /* at most, of one kind */
    EQ_VERDICT_FEW = 10,   /* fewer clips or patients than this: the intervals come with a warning */
    EQ_VERDICT_SEED = 1    /* of the bootstrap: the same clips get the same draws in every run */
};
extern const double eq_verdict_cuts[EQ_VERDICT_CUTS];   /* 35, 40, 45, 50 */
extern const double eq_verdict_moves[EQ_VERDICT_MOVES]; /* 1, 2, 5 */

/* By what clips are divided: EF at 40 and 50 %, frames of the clip and frames a second at their tertiles. */
enum eq_strata_kind { EQ_STRATA_EF, EQ_STRATA_FRAMES, EQ_STRATA_FPS, EQ_STRATA_KINDS };
struct eq_verdict_strata {
    struct eq_stratum list[EQ_VERDICT_STRATA]; /* those with clips, ascending */
    size_t n; /* 0: length or rate is not known for every clip; 1: it is the same for all, and from = to is it */
};

/* The test clips of one or more models. */
struct eq_verdict_clips {
    struct eq_evaluation of; /* owned: names, true EFs, patients, frames, fps; the predictions of the first model */
    double *ef;              /* [of.n], owned: true EFs */
    uint32_t *patient;       /* [of.n], owned: draws go by patient; NULL: by clip, since no patient is known */
    size_t patients;         /* 0: draws go by clip */
};

/* A model of the run on its test clips. n = clips->of.n. Figures that do not exist are NaN (stats.h says when). */
struct eq_verdict_model {
    char name[EQ_ROW_NAME], row[EQ_ROW_NAME], precision[8];
    const struct eq_verdict_clips *clips;
    double *prediction; /* [n], owned, in the order of the clips */
    struct eq_metrics metrics;
    struct eq_boot mae, rmse, r2, bias;
    struct eq_boot quality; /* 1 - MAE / MAE of the median; NaN without a row Median */
    struct eq_share outliers;
    struct eq_bland_altman agreement;   /* prediction minus truth */
    struct eq_icc icc;                  /* of prediction and truth */
    struct eq_line calibration;         /* truth over prediction */
    struct eq_auc auc[EQ_VERDICT_CUTS]; /* of "EF below the cut" */
    struct eq_boot auc_boot[EQ_VERDICT_CUTS];
    struct eq_roc_point *roc[EQ_VERDICT_CUTS]; /* [n_roc], owned; NULL without clips of both classes */
    size_t n_roc[EQ_VERDICT_CUTS];
    struct eq_verdict_strata strata[EQ_STRATA_KINDS];
    size_t runs; /* over the seeds, if there are several: those that have it */
    struct eq_boot_runs over_mae, over_rmse, over_r2, over_quality;
};

/* Model a minus model b, on the same clips. */
struct eq_verdict_pair {
    size_t a, b;                      /* indices of models */
    bool is_quantized;                /* a is INT8 and b is not */
    struct eq_boot mae, rmse, r2;     /* differences */
    enum eq_margin verdict;           /* by the percentile interval of mae and the margin of today */
    enum eq_margin verdict_bca;       /* by its BCa interval */
    enum eq_margin verdict_stated;    /* by the percentile interval and the stated margin */
    struct eq_wilcoxon wilcoxon;      /* of |error of a| - |error of b| */
    double wilcoxon_holm;             /* p, adjusted over the pairs of the run */
    double rms;                       /* of prediction a - prediction b */
    struct eq_bland_altman agreement; /* prediction a - prediction b over their mean */
    struct eq_icc icc;
    struct eq_share moved[EQ_VERDICT_MOVES];
    struct eq_auc_pair auc[EQ_VERDICT_CUTS];
    struct eq_reclass reclass[EQ_VERDICT_CUTS]; /* from b to a */
    struct eq_boot quality_ratio;               /* of a over b; pairs with is_quantized */
    bool mlperf;                                /* quality_ratio is at least EQ_MLPERF_SHARE */
    size_t runs;                                /* over the seeds, if there are several: those that have both */
    struct eq_boot_runs over_mae, over_rmse, over_r2, over_quality_ratio;
};

struct eq_run_verdict {
    double margin;        /* report.margin of today */
    double stated_margin; /* of results.json; NaN: none */
    char stated[EQ_TIME_TEXT];
    bool late; /* the test split had been read when the margin was stated */
    size_t replicates;
    double median;                   /* what the row Median predicts; NaN: none */
    struct eq_verdict_clips **clips; /* owned; [0] are those of the first model */
    size_t n_clips;
    struct eq_verdict_model *models; /* in the order of the rows */
    size_t n_models;
    struct eq_verdict_pair *pairs; /* PTQ - FP32, QAT - FP32+ (or FP32 without it), QAT - PTQ, others - FP32 */
    size_t n_pairs;
    struct eq_str notes; /* sentences, each with its line feed: what is missing or could not be compared */
    /* Several seeds: models and pairs have only row, clips, metrics (means over the seeds), verdicts (by t_low and
     * t_high of over_mae) and over_*; of_seed has the rest. */
    int *seeds;
    struct eq_run_verdict *of_seed; /* [n_seeds], owned */
    size_t n_seeds;                 /* 0: one run */
};
struct eq_verdict_opts {
    double margin; /* EF points */
    int replicates;
};
/* Computes everything from <run_dir>/predictions; with "seeds" in results, from those of the seeds. A row without
 * predictions is left out with a note, and so is every pair of models with different test clips. EQ_FORMAT: a file of
 * predictions is damaged (with its line), or is not the one that results.json notes (with the key). EQ_IO, EQ_NOMEM,
 * EQ_INTERRUPTED. Clear out in any case. */
enum eq_status eq_run_verdict_make(const char *run_dir, const struct eq_results *results,
                                   const struct eq_verdict_opts *opts, struct eq_run_verdict *out, struct eq_err *err);
void eq_run_verdict_clear(struct eq_run_verdict *v);
/* Every figure as JSON; delete with cJSON_Delete. */
struct cJSON *eq_run_verdict_json(const struct eq_run_verdict *v);
/* Writes it to <run_dir>/statistics.json, sealed. EQ_IO, EQ_NOMEM. */
enum eq_status eq_run_verdict_write(const char *run_dir, const struct eq_run_verdict *v, struct eq_err *err);
/* The model of that row, or the pair; NULL: none. */
const struct eq_verdict_model *eq_verdict_model_of(const struct eq_run_verdict *v, const char *row);
const struct eq_verdict_pair *eq_verdict_pair_of(const struct eq_run_verdict *v, const char *a, const char *b);
/* Appends the verdict in two sentences; nothing without a quantized model and its baseline. */
void eq_run_verdict_text(const struct eq_run_verdict *v, struct eq_str *out);
/* Appends lines, each with its line feed: verdicts by the stated margin and by the other interval where they differ,
 * and the notes. */
void eq_run_verdict_more(const struct eq_run_verdict *v, struct eq_str *out);

#endif
