/* Internal to infer: the rows of predictors on a device. */
#ifndef INFER_PREDICTOR_H
#define INFER_PREDICTOR_H

#include "echoquant/infer.h"

/* A whole number of `phases`, at most `most` unless that is less. */
static inline int eq_predictor_samples(size_t most, int phases)
{
    size_t samples = most / (size_t)phases;
    return (int)(samples ? samples : 1) * phases;
}

/* device_predictor.c */
extern const struct eq_predictor_ops eq_device_float_ops, eq_device_int8_ops;

#endif
