/* AdaRound of one layer as a matrix problem; internal. */
#ifndef QUANT_ADAROUND_H
#define QUANT_ADAROUND_H

#include "echoquant/quant.h"

/* Rows of x are what one output position sees, rows of target what FP32 makes of it (before ReLU). */
struct eq_rounding_problem {
    int n; /* samples */
    int k; /* weights a channel */
    int cout;
    const float *x;      /* [n][k], quantized inputs */
    const float *target; /* [n][cout] */
    const float *bias;   /* [cout] */
    bool relu;           /* compare after a ReLU */
    const struct eq_fake_quant *fq;
    float *weights; /* [cout][k]: FP32 in, on the grid out */
    int steps;
    double lr, lambda; /* as in eq_adaround_opts */
};
/* Channels are independent problems: worked on in blocks, in parallel, equal for any number of threads. */
enum eq_status eq_round_layer(const struct eq_rounding_problem *p, struct eq_err *err);

#endif
