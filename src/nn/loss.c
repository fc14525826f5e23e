/* Losses on the standardised target; a batch is a handful of clips, so double sums in index order. */
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
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        double e = ((double)pred[i] - target[i]) / std;
        sum += loss_of(kind, e);
        if (diff_pred)
            diff_pred[i] = (float)(slope_of(kind, e) / std / (double)n);
    }
    return n ? sum / (double)n : 0;
}
