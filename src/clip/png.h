/* clip-internal: pictures as PNG. */
#ifndef ECHOQUANT_CLIP_PNG_H
#define ECHOQUANT_CLIP_PNG_H

#include "echoquant/base.h"

/* Writes pixels, [height][width][3], RGB u8. EQ_UNSUPPORTED: this FFmpeg has no PNG encoder; EQ_NOMEM; EQ_IO. */
enum eq_status eq_png_write(const char *path, const uint8_t *pixels, int width, int height, struct eq_err *err);

#endif
