/* Learning-rate schedules: pure functions of the step, so that a resumed run needs no state. */
#include "echoquant/nn.h"

#include <math.h>

static const double PI = 3.14159265358979323846;

/* From start to end along half a cosine; done in [0, 1]. */
static double anneal(double start, double end, double done)
{
    return end + (start - end) / 2 * (1 + cos(PI * done));
}

/* torch.optim.lr_scheduler.OneCycleLR with pct_start 0.3, div_factor 25, final_div_factor 1e4. */
static double onecycle(double peak, double step, double total)
{
    double start = peak / 25, end = start / 1e4;
    double top = 0.3 * total - 1, last = total - 1;
    if (step <= top)
        return top > 0 ? anneal(start, peak, step / top) : peak;
    return last > top ? anneal(peak, end, (step - top) / (last - top)) : end;
}

double eq_schedule_lr(enum eq_schedule kind, double base_lr, size_t step, size_t total, size_t warmup)
{
    if (total && step >= total)
        step = total - 1;
    if (kind == EQ_SCHEDULE_ONECYCLE)
        return onecycle(base_lr, (double)step, (double)total);
    if (step < warmup)
        return base_lr * (double)(step + 1) / (double)warmup;
    if (kind == EQ_SCHEDULE_CONSTANT)
        return base_lr;
    return anneal(base_lr, 0, (double)(step - warmup) / (double)(total - warmup));
}
