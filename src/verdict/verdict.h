/* Internals of verdict: test clips of models, figures of a bootstrap sample, the verdict of one run and of seeds. */
#ifndef VERDICT_VERDICT_H
#define VERDICT_VERDICT_H

#include "echoquant/verdict.h"

/* read.c */
/* Reads the predictions of row i of results, brings them into the order of clips that v has already, if they are the
 * same, and adds a model to v. A row without predictions is left out with a note. */
enum eq_status eq_verdict_add_model(const char *run_dir, const struct eq_results *results, size_t i,
                                    struct eq_run_verdict *v, struct eq_err *err);
/* The same for predictions in memory, which e holds or leaves. EQ_FORMAT: a clip is listed twice, or a
 * value is beyond a float. */
enum eq_status eq_verdict_take(struct eq_run_verdict *v, const char *row, const char *name, const char *precision,
                               struct eq_evaluation *e, struct eq_err *err);
/* The pairs of models with the same clips that the verdict is about, with a note for those with other clips. */
void eq_verdict_add_pairs(struct eq_run_verdict *v);
void eq_verdict_note(struct eq_run_verdict *v, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* figures.c: what the bootstrap computes of each sample. */
enum { EQ_FIGURE_MAE, EQ_FIGURE_RMSE, EQ_FIGURE_R2, EQ_FIGURE_BIAS, EQ_FIGURE_QUALITY, EQ_FIGURE_AUC };
enum { EQ_MODEL_FIGURES = EQ_FIGURE_AUC + EQ_VERDICT_CUTS };
enum { EQ_PAIR_MAE, EQ_PAIR_RMSE, EQ_PAIR_R2, EQ_PAIR_QUALITY, EQ_PAIR_FIGURES };
struct eq_figures {
    size_t n, models, pairs;
    const double *ef;             /* [n] */
    const double *const *pred;    /* [run][models] -> [n] */
    const double *const *score;   /* [models] -> [n]: minus the prediction; NULL: no AUC, and one run */
    const uint32_t *const *order; /* [models] -> [n]: eq_auc_order of the scores */
    const bool *const *below;     /* [EQ_VERDICT_CUTS] -> [n]: the true EF is below the cut */
    double median;                /* what the row Median predicts; NaN: no quality */
    const size_t (*pair)[2];      /* [pairs]: models a and b */
};
/* Statistics: [models][EQ_MODEL_FIGURES], then [pairs][EQ_PAIR_FIGURES]. */
size_t eq_figures_count(const struct eq_figures *f);
void eq_figures_of_sample(const void *figures, const struct eq_boot_sample *sample, double *stats);
/* The bootstrap of figures over the clips. */
struct eq_boot_plan eq_figures_plan(const struct eq_figures *f, const struct eq_verdict_clips *clips,
                                    size_t replicates);

/* one_run.c */
/* Every figure of the models that v has; v has the options. */
enum eq_status eq_verdict_compute(struct eq_run_verdict *v, struct eq_err *err);
/* Everything of a run that is not one of several seeds; v has the options, and the stated margin. */
enum eq_status eq_verdict_of_run(const char *run_dir, const struct eq_results *results, struct eq_run_verdict *v,
                                 struct eq_err *err);
void eq_verdict_decide(const struct eq_run_verdict *v, struct eq_verdict_pair *pair);

/* seeds.c */
enum eq_status eq_verdict_of_seeds(const char *run_dir, const struct eq_results *results, struct eq_run_verdict *v,
                                   struct eq_err *err);

#endif
