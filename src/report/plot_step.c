/* Steps of tics where pictures set them. */
#include "report/plots.h"

#include <math.h>

double eq_plot_step(double span, int most)
{
    double least = span / most, ten = pow(10, floor(log10(least)));
    if (!(least > 0 && isfinite(least)))
        return 1;
    return least <= ten ? ten : least <= 2 * ten ? 2 * ten : least <= 5 * ten ? 5 * ten : 10 * ten;
}
