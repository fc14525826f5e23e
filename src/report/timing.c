/* What two latencies may be said to be to each other. */
#include "report/report.h"

#include <math.h>
#include <string.h>

/* Rows of version 0.1.0, and those of fewer than 6 calls, have no interval of the median. All calls but the slowest 5 %
 * stand in for it. */
static double low_of(const struct eq_result_latency *l)
{
    return isnan(l->low) ? l->min : l->low;
}

static double high_of(const struct eq_result_latency *l)
{
    return isnan(l->high) ? l->p95 : l->high;
}

enum eq_speed eq_report_speed(const struct eq_result *row, const struct eq_result *base, double *ratio)
{
    const struct eq_result_latency *a = &row->latency, *b = &base->latency;
    *ratio = b->median / a->median;
    if (!isfinite(*ratio) || !(*ratio > 0))
        return EQ_SPEED_UNKNOWN;
    bool together = !*row->timed || !*base->timed || strcmp(row->timed, base->timed) == 0;
    if (!together || !(high_of(a) < low_of(b) || high_of(b) < low_of(a)))
        return EQ_SPEED_NOT_MEASURABLE;
    return EQ_SPEED_KNOWN;
}

bool eq_report_is_disturbed(const struct eq_result *row)
{
    const struct eq_result_latency *l = &row->latency;
    return l->p95 > EQ_DISTURBED_P95 * l->median || l->waited > EQ_DISTURBED_WAIT;
}

void eq_report_significant(double value, const char *unit, struct eq_str *out)
{
    if (!(fabs(value) < 1e15)) { /* of two numbers of a damaged or foreign file */
        eq_str_add(out, "%.3g%s", value, unit);
        return;
    }
    int before = value > 0 ? (int)floor(log10(value)) : 0;
    int digits = before > 2 ? 0 : before < -4 ? 6 : 2 - before;
    eq_str_add(out, "%.*f%s", digits, value, unit);
}
