/* data-internal: DICOM clips, from their frames to what a clip reader gives. */
#ifndef DATA_DICOM_H
#define DATA_DICOM_H

#include "data/clip.h"
#include "data/dicom_file.h"

/* Whether the file is DICOM by its content: "DICM" after a preamble of 128 bytes, or a data set that begins without
 * one. False for what is no regular file, or can't be opened. */
bool eq_dicom_is(const char *path);

/* ---- frames (dicom_pixels.c) ------------------------------------------------ */

/* An open file and the decoder of its pictures. */
struct eq_dicom_reader {
    const char *name; /* in messages; borrowed */
    struct eq_dicom *file;
    const struct eq_dicom_info *info; /* the file's */
    AVCodecContext *decoder;          /* of JPEG and JPEG 2000, else NULL */
    AVPacket *packet;
    AVFrame *frame;
};
/* Errors as eq_dicom_open, and EQ_UNSUPPORTED when this FFmpeg lacks the decoder. On failure nothing is left to
 * close. */
enum eq_status eq_dicom_reader_open(struct eq_dicom_reader *r, const char *path, const struct eq_dicom_limits *limits,
                                    struct eq_err *err);
void eq_dicom_reader_close(struct eq_dicom_reader *r);
/* Frame i as RGB: [height][width][3]. EQ_FORMAT: it is damaged or missing. */
enum eq_status eq_dicom_reader_rgb(struct eq_dicom_reader *r, int i, uint8_t *rgb, struct eq_err *err);
/* The number in the file of the frame shown at moment k of info->frames moments that divide the clip's time evenly: k
 * itself where frames come at one rate, else the frame nearest in time, of two the earlier. */
int eq_dicom_frame_at(const struct eq_dicom_info *info, int k);

#endif
