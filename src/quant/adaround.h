/* AdaRound of one layer as a matrix problem; internal. */
#ifndef QUANT_ADAROUND_H
#define QUANT_ADAROUND_H

#include "echoquant/quant.h"

/* A row of x holds the inputs of one output position, a row of target its outputs in FP32, before ReLU. */
struct eq_rounding_problem {
    int n; /* samples */
    int k; /* weights a channel */
    int cout;
    const float *x;      /* [n][k], quantized inputs */
    const float *target; /* [n][cout] */
    const float *bias;   /* [cout] */
    bool relu;           /* compare after a ReLU */
    const struct eq_fake_quant *fq;
    float *weights; /* [cout][k]: in FP32; on return on the grid */
    int steps;
    double lr, lambda; /* as in eq_adaround_opts */
};
/* Channels are independent problems, solved in blocks and in parallel. The result is the same for any number of
 * threads. EQ_NOMEM is the only error. */
enum eq_status eq_round_layer(const struct eq_rounding_problem *p, struct eq_err *err);

#endif
