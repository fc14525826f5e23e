/* From a range to scale and zero-point, in float32 and in the order that torch.ao.quantization uses. */
#include "echoquant/quant.h"

#include <float.h>
#include <math.h>

static enum eq_status check_range(float min, float max, struct eq_err *err)
{
    if (!isfinite(min) || !isfinite(max) || !isfinite(max - min))
        return eq_fail(err, EQ_NUMERIC, "the range [%g, %g] is not finite", (double)min, (double)max);
    if (min > max)
        return eq_fail(err, EQ_NUMERIC, "the range [%g, %g] is empty", (double)min, (double)max);
    return EQ_OK;
}

enum eq_status eq_qparams_affine(float min, float max, struct eq_qparams *out, struct eq_err *err)
{
    enum eq_status st = check_range(min, max, err);
    if (st != EQ_OK)
        return st;
    min = fminf(min, 0);
    max = fmaxf(max, 0);
    float scale = fmaxf((max - min) / 255.0f, FLT_EPSILON);
    float zp = 0 - nearbyintf(min / scale);
    *out = (struct eq_qparams){.scale = scale, .zero_point = (int)fminf(fmaxf(zp, 0), 255), .qmin = 0, .qmax = 255};
    return EQ_OK;
}

enum eq_status eq_qparams_symmetric(float min, float max, int bits, struct eq_qparams *out, struct eq_err *err)
{
    if (bits < 2 || bits > 8)
        return eq_fail(err, EQ_USAGE, "%d weight bits: 2 to 8 are possible", bits);
    enum eq_status st = check_range(min, max, err);
    if (st != EQ_OK)
        return st;
    int qmax = (1 << (bits - 1)) - 1;
    float absmax = fmaxf(fabsf(min), fabsf(max));
    *out = (struct eq_qparams){
        .scale = fmaxf(absmax / (float)qmax, FLT_EPSILON), .zero_point = 0, .qmin = -qmax, .qmax = qmax};
    return EQ_OK;
}
