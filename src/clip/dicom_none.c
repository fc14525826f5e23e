/* In place of dicom_file.cc in a build without DICOM. */
#include "clip/dicom_file.h"

bool eq_dicom_built(void)
{
    return false;
}

const char *eq_dicom_version(void)
{
    return NULL;
}

enum eq_status eq_dicom_open(const char *path, const struct eq_dicom_limits *limits, struct eq_dicom **out,
                             struct eq_err *err)
{
    (void)limits;
    *out = NULL;
    return eq_fail(err, EQ_UNSUPPORTED, "%s is a DICOM file, and " EQ_DICOM_NOT_BUILT, path);
}

void eq_dicom_close(struct eq_dicom *d)
{
    (void)d;
}

const struct eq_dicom_info *eq_dicom_about(const struct eq_dicom *d)
{
    (void)d;
    return NULL;
}

enum eq_status eq_dicom_frame(struct eq_dicom *d, int i, const uint8_t **data, size_t *len, struct eq_err *err)
{
    (void)d, (void)i, (void)data, (void)len;
    return eq_fail(err, EQ_UNSUPPORTED, EQ_DICOM_NOT_BUILT);
}
