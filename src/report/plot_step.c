/* Steps of tics where pictures set them, and of curves. */
#include "report/plots.h"

#include <math.h>

double eq_plot_step(double span, int most)
{
    double least = span / most, ten = pow(10, floor(log10(least)));
    if (!(least > 0 && isfinite(least)))
        return 1;
    return least <= ten ? ten : least <= 2 * ten ? 2 * ten : least <= 5 * ten ? 5 * ten : 10 * ten;
}

bool eq_plot_draws_step(size_t i, size_t n)
{
    size_t every = (n + EQ_PLOT_STEPS - 1) / EQ_PLOT_STEPS;
    return n <= EQ_PLOT_STEPS || i % every == 0 || i + 1 == n;
}
