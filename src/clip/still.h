/* clip-internal: pictures as PNG and JPEG. */
#ifndef ECHOQUANT_CLIP_STILL_H
#define ECHOQUANT_CLIP_STILL_H

#include "echoquant/base.h"

/* Write pixels, [height][width][3], RGB u8. EQ_UNSUPPORTED: this FFmpeg lacks the encoder; EQ_NOMEM; EQ_IO. */
enum eq_status eq_png_write(const char *path, const uint8_t *pixels, int width, int height, struct eq_err *err);
/* Baseline JPEG with full color, in good quality: gray values are off by 2 or so. */
enum eq_status eq_jpeg_write(const char *path, const uint8_t *pixels, int width, int height, struct eq_err *err);

#endif
