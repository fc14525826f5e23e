/* The error of EFs that a part of a quantized model predicts. */
#include "ptq/pipeline.h"

#include <math.h>

double eq_part_mae(const struct eq_calibration *clips, const float *ef, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += fabs((double)ef[i] - clips->ds->samples[clips->indices[i]].ef);
    return sum / (double)n;
}

void eq_part_error_add(struct cJSON *json, const struct eq_part_error *errors, const struct eq_calibration *clips,
                       const float *ef, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += ((double)ef[i] - errors->fp32[i]) * ((double)ef[i] - errors->fp32[i]);
    eq_json_add_real(json, "rms_from_fp32", sqrt(sum / (double)n));
    eq_json_add_real(json, "mae_change", eq_part_mae(clips, ef, n) - errors->mae);
}
