/*
 * clip-internal: a DICOM file as the few tags that its pictures need, and the bytes of one frame at a time.
 *
 * dicom_file.cc implements this over DCMTK; dicom_none.c stands in for it in a build without DICOM and refuses every
 * file. Only the tags behind struct eq_dicom_info are ever looked at: no name, date or identifier leaves this file.
 */
#ifndef ECHOQUANT_CLIP_DICOM_FILE_H
#define ECHOQUANT_CLIP_DICOM_FILE_H

#include "echoquant/base.h"

/* What a build without DICOM says of every such file. */
#define EQ_DICOM_NOT_BUILT                                                                                             \
    "this echoquant was built without DICOM; install libdcmtk-dev and g++, then build it again with "                  \
    "-DECHOQUANT_DICOM=ON"

/* How the bytes of a frame stand in the file. eq_dicom_frame unpacks RLE, to planes, and JPEG-LS, to pixels. */
enum eq_dicom_coding { EQ_DICOM_NATIVE, EQ_DICOM_RLE, EQ_DICOM_JPEG, EQ_DICOM_JPEG_LS, EQ_DICOM_JPEG_2000 };

/* Photometric Interpretation (0028,0004). */
enum eq_dicom_color {
    EQ_DICOM_MONOCHROME1, /* 0 is white */
    EQ_DICOM_MONOCHROME2,
    EQ_DICOM_PALETTE,
    EQ_DICOM_RGB,
    EQ_DICOM_YBR_FULL,
    EQ_DICOM_YBR_FULL_422,
    EQ_DICOM_YBR_RCT, /* JPEG 2000; its decoder gives RGB */
    EQ_DICOM_YBR_ICT
};

/* In pixels; width 0: none. */
struct eq_rect {
    int x, y, width, height;
};

/* Without ultrasound, or below 2 frames, the file holds no clip, and nothing else is set. */
struct eq_dicom_info {
    bool ultrasound;
    int frames; /* 0: no pictures (reports, directories) */
    int width, height;
    int samples; /* of a pixel, 1 or 3, each of 8 bits */
    bool planar; /* native: all of red, then all of green, ... */
    enum eq_dicom_coding coding;
    enum eq_dicom_color color;
    double fps;            /* 0: the tags don't say */
    const double *time_ms; /* [frames] from the first frame on, where the steps differ; NULL: they don't */
    struct eq_rect region; /* the largest region with 2D tissue, else with 2D color flow */
    uint8_t palette[256][3];
};

/* Larger pictures and longer clips are refused before anything is allocated for them. */
struct eq_dicom_limits {
    int64_t pixels;
    int frames;
};

struct eq_dicom;

#ifdef __cplusplus
extern "C" {
#endif

/* echoquant/clip.h says what it means. */
bool eq_dicom_built(void);
const char *eq_dicom_version(void);
/* Reads the tags; the pixels stay in the file. path is a regular file (eq_dicom_is). EQ_IO: it can't be read.
 * EQ_FORMAT: damaged, without pictures, or in a form that is not read, which the message names. EQ_UNSUPPORTED: a build
 * without DICOM. Several threads may open files at once. *out is NULL after a failure. */
enum eq_status eq_dicom_open(const char *path, const struct eq_dicom_limits *limits, struct eq_dicom **out,
                             struct eq_err *err);
void eq_dicom_close(struct eq_dicom *d);
const struct eq_dicom_info *eq_dicom_about(const struct eq_dicom *d);
/* Frame i as it stands in the file (RLE and JPEG-LS unpacked): *data [*len], followed by 64 zero bytes, valid until the
 * next call.
 * EQ_FORMAT: the file is cut off or damaged there. */
enum eq_status eq_dicom_frame(struct eq_dicom *d, int i, const uint8_t **data, size_t *len, struct eq_err *err);

#ifdef __cplusplus
}
#endif
#endif
