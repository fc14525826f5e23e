/* What is added up over one layer's output while it passes; internal. */
#ifndef QUANT_ANALYSIS_H
#define QUANT_ANALYSIS_H

#include "echoquant/quant.h"

struct eq_edge_sums {
    int channels;
    double signal, noise; /* squares of FP32's values, and of the differences to them */
    /* Of FP32's values. */
    float *min, *max; /* [channels] */
    bool levels[256];
    size_t values, clipped;
    float *reference; /* FP32's output of the clip under way; NULL until there is one */
};
enum eq_status eq_edge_sums_init(struct eq_edge_sums *e, int channels, struct eq_err *err);
void eq_edge_sums_clear(struct eq_edge_sums *e);
/* Forgets the clips so far. */
void eq_edge_sums_reset(struct eq_edge_sums *e);
/* A clip's output as stored, n values against those of e->reference; channels are innermost. with_stats: also what is
 * said of FP32's values and of the levels of fq (NULL: nothing is rounded). EQ_NUMERIC when one is NaN or infinite. */
enum eq_status eq_edge_sums_add(struct eq_edge_sums *e, const struct eq_fake_quant *fq, const float *data, size_t n,
                                bool with_stats, struct eq_err *err);
void eq_edge_sums_stats(const struct eq_edge_sums *e, const struct eq_fake_quant *fq, struct eq_edge_stats *out);

#endif
