/* Losses on the standardized target; a batch is a handful of clips, so double sums in index order. */
#include "echoquant/nn.h"

#include <math.h>

static double loss_of(enum eq_loss kind, double e)
{
    switch (kind) {
    case EQ_LOSS_MSE:
        return e * e;
    case EQ_LOSS_L1:
        return fabs(e);
    case EQ_LOSS_HUBER:
        return fabs(e) < 1 ? e * e / 2 : fabs(e) - 0.5;
    }
    return NAN;
}

/* d loss / d e; 0 for L1 at 0, as PyTorch. */
static double slope_of(enum eq_loss kind, double e)
{
    double sign = e > 0 ? 1 : e < 0 ? -1 : e; /* NaN stays NaN */
    switch (kind) {
    case EQ_LOSS_MSE:
        return 2 * e;
    case EQ_LOSS_L1:
        return sign;
    case EQ_LOSS_HUBER:
        return fabs(e) < 1 ? e : sign;
    }
    return NAN;
}

double eq_loss_forward(enum eq_loss kind, const float *pred, const float *target, size_t n, float std, float *diff_pred)
{
    return eq_loss_distill(kind, pred, target, target, 0, n, std, diff_pred);
}

double eq_loss_distill(enum eq_loss kind, const float *pred, const float *target, const float *teacher, double weight,
                       size_t n, float std, float *diff_pred)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        double e = ((double)pred[i] - target[i]) / std, d = ((double)pred[i] - teacher[i]) / std;
        sum += (1 - weight) * loss_of(kind, e) + weight * loss_of(kind, d);
        if (diff_pred)
            diff_pred[i] = (float)(((1 - weight) * slope_of(kind, e) + weight * slope_of(kind, d)) / std / (double)n);
    }
    return n ? sum / (double)n : 0;
}
