/* data-internal: pictures as PNG. */
#ifndef ECHOQUANT_DATA_PNG_H
#define ECHOQUANT_DATA_PNG_H

#include "echoquant/data.h"

/* pixels: [height][width][3], RGB u8. Free *png with eq_free. EQ_UNSUPPORTED: this FFmpeg has no PNG encoder;
 * EQ_NOMEM. */
enum eq_status eq_png_encode(const uint8_t *pixels, int width, int height, void **png, size_t *len, struct eq_err *err);

#endif
