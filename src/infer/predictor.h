/* Internal to infer: the rows of predictors on a device. */
#ifndef INFER_PREDICTOR_H
#define INFER_PREDICTOR_H

#include "echoquant/infer.h"

/* device_predictor.c */
extern const struct eq_predictor_ops eq_device_float_ops, eq_device_int8_ops;

#endif
