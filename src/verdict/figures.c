/* The figures of a bootstrap sample: those of each model, and their differences between the models of a pair. All
 * models share the draws, so the differences are paired. */
#include "verdict/verdict.h"

#include <math.h>

const double eq_verdict_cuts[EQ_VERDICT_CUTS] = {35, 40, 45, 50};
const double eq_verdict_moves[EQ_VERDICT_MOVES] = {1, 2, 5};

size_t eq_figures_count(const struct eq_figures *f)
{
    return f->models * EQ_MODEL_FIGURES + f->pairs * EQ_PAIR_FIGURES;
}

/* MAE of always predicting the median, on the clips of the sample. */
static double mae_of_median(const struct eq_figures *f, const struct eq_boot_sample *s)
{
    double sum = 0;
    for (size_t i = 0; i < f->n; i++)
        sum += s->times[i] * fabs(f->median - f->ef[i]);
    return sum / s->total;
}

static void figures_of_model(const struct eq_figures *f, const struct eq_boot_sample *s, size_t model, double median,
                             double *out)
{
    const double *pred = f->pred[s->run * f->models + model];
    struct eq_metrics m = eq_metrics_weighted(pred, f->ef, s->times, f->n);
    out[EQ_FIGURE_MAE] = m.mae;
    out[EQ_FIGURE_RMSE] = m.rmse;
    out[EQ_FIGURE_R2] = m.r2;
    out[EQ_FIGURE_BIAS] = m.bias;
    out[EQ_FIGURE_QUALITY] = median > 0 ? 1 - m.mae / median : NAN;
    for (size_t c = 0; c < EQ_VERDICT_CUTS; c++)
        out[EQ_FIGURE_AUC + c] =
            f->score ? eq_auc_weighted(f->score[model], f->below[c], f->order[model], s->times, f->n) : NAN;
}

void eq_figures_of_sample(const void *figures, const struct eq_boot_sample *s, double *stats)
{
    const struct eq_figures *f = figures;
    double median = mae_of_median(f, s), *of_pairs = stats + f->models * EQ_MODEL_FIGURES;
    for (size_t m = 0; m < f->models; m++)
        figures_of_model(f, s, m, median, stats + m * EQ_MODEL_FIGURES);
    for (size_t p = 0; p < f->pairs; p++) {
        const double *a = stats + f->pair[p][0] * EQ_MODEL_FIGURES, *b = stats + f->pair[p][1] * EQ_MODEL_FIGURES;
        double *out = of_pairs + p * EQ_PAIR_FIGURES;
        out[EQ_PAIR_MAE] = a[EQ_FIGURE_MAE] - b[EQ_FIGURE_MAE];
        out[EQ_PAIR_RMSE] = a[EQ_FIGURE_RMSE] - b[EQ_FIGURE_RMSE];
        out[EQ_PAIR_R2] = a[EQ_FIGURE_R2] - b[EQ_FIGURE_R2];
        out[EQ_PAIR_QUALITY] =
            b[EQ_FIGURE_QUALITY] > 0 ? a[EQ_FIGURE_QUALITY] / b[EQ_FIGURE_QUALITY] : NAN; /* else it means nothing */
    }
}

struct eq_boot_plan eq_figures_plan(const struct eq_figures *f, const struct eq_verdict_clips *clips, size_t replicates)
{
    return (struct eq_boot_plan){.n = f->n,
                                 .cluster = clips->patient,
                                 .stats = eq_figures_count(f),
                                 .fn = eq_figures_of_sample,
                                 .ctx = f,
                                 .seed = EQ_VERDICT_SEED,
                                 .replicates = replicates};
}
