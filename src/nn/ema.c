/* Exponential moving averages of weights. */
#include "echoquant/nn.h"

struct ema_job {
    float *ema, *x;
    float take;
};

static void update_span(const void *ctx, size_t lo, size_t hi)
{
    const struct ema_job *j = ctx;
    for (size_t i = lo; i < hi; i++)
        j->ema[i] += j->take * (j->x[i] - j->ema[i]);
}

static void swap_span(const void *ctx, size_t lo, size_t hi)
{
    const struct ema_job *j = ctx;
    for (size_t i = lo; i < hi; i++) {
        float x = j->x[i];
        j->x[i] = j->ema[i];
        j->ema[i] = x;
    }
}

void eq_ema_update(float *ema, const float *x, size_t n, float take)
{
    eq_for_spans(n, update_span, &(struct ema_job){ema, (float *)x, take}); /* x is only read */
}

void eq_ema_swap(float *ema, float *x, size_t n)
{
    eq_for_spans(n, swap_span, &(struct ema_job){ema, x, 0});
}
