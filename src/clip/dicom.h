/* clip-internal: DICOM clips, from their frames to what a clip reader gives. */
#ifndef ECHOQUANT_CLIP_DICOM_H
#define ECHOQUANT_CLIP_DICOM_H

#include "clip/clip.h"
#include "clip/dicom_file.h"

/* Whether the file is DICOM by its content: "DICM" after a preamble of 128 bytes, or a data set that begins without
 * one. False for what is no regular file, or can't be opened. */
enum eq_status eq_dicom_look(const char *path, bool *is, struct eq_err *err); /* EQ_IO: it cannot be read */
bool eq_dicom_is(const char *path);                                           /* for guesses: false if it cannot */

/* ---- frames (dicom_pixels.c) ------------------------------------------------ */

/* An open file, and what decodes its pictures. */
struct eq_dicom_reader {
    const char *name; /* in messages; borrowed */
    struct eq_dicom *file;
    const struct eq_dicom_info *info; /* the file's */
    const AVCodec *codec;             /* of JPEG and JPEG 2000, else NULL */
    int64_t max_pixels;
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

/* ---- what of a picture is kept (dicom_cone.c, dicom_view.c) ------------------- */

struct eq_span {
    int left, right; /* columns left..right-1 of a row; empty when equal */
};
/* A square of the picture, and which of its pixels are kept. Init with {0}, free with eq_dicom_view_clear. */
struct eq_dicom_view {
    struct eq_rect square; /* width = height; may reach over the picture's edges, where it is black */
    struct eq_span *rows;  /* [picture height]: pixels outside are black */
    struct SwsContext *sws;
    uint8_t *cut; /* the square, rows padded to `stride` */
    int stride, size;
};
/* Finds the ultrasound sector: the convex hull of the largest area whose gray values change from frame to frame, within
 * the region of the tags if there is one. rows: [picture height]. EQ_FORMAT: nothing moves, or a frame is damaged. */
enum eq_status eq_dicom_find_cone(struct eq_dicom_reader *r, struct eq_span *rows, struct eq_err *err);
/* Makes the view for squares of size x size. With EQ_CROP_CONE and !mask the square is the sector's, and all of it is
 * kept. EQ_FORMAT: there is no sector, or the tags have no region. */
enum eq_status eq_dicom_view_open(struct eq_dicom_view *v, struct eq_dicom_reader *r, enum eq_crop crop, bool mask,
                                  int size, struct eq_err *err);
void eq_dicom_view_clear(struct eq_dicom_view *v);
/* rgb: a picture; gray: [size][size], its luma (ITU-R BT.601) cut, masked and resized (bicubic). The same bits on every
 * CPU. */
enum eq_status eq_dicom_view_apply(struct eq_dicom_view *v, const struct eq_dicom_info *info, const uint8_t *rgb,
                                   uint8_t *gray, struct eq_err *err);
/* [height][width][3] to [height][width]. */
void eq_dicom_luma(const uint8_t *rgb, size_t pixels, uint8_t *luma);
/* Writes a PNG: on the left the picture with the borders of what is kept, the rest blurred until no text in it can be
 * read; on the right what is kept. */
enum eq_status eq_dicom_view_picture(struct eq_dicom_view *v, const struct eq_dicom_info *info, const uint8_t *rgb,
                                     const char *path, struct eq_err *err);

/* ---- clips (dicom_clip.c) ------------------------------------------------------ */

/* EQ_FORMAT unless it is ultrasound of several frames. */
enum eq_status eq_dicom_check_clip(const char *name, const struct eq_dicom_info *info, struct eq_err *err);
/* eq_clip_read_file of a DICOM file: sector cropped, the rest masked, as `import` does by default. */
enum eq_status eq_dicom_clip_read(const struct eq_clip_file *file, const struct eq_sampling *sampling, uint8_t *dst,
                                  struct eq_clip_info *info, struct eq_err *err);

#endif
