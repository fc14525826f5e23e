/* clip-internal: gray frames to an MJPEG AVI. */
#ifndef ECHOQUANT_CLIP_AVI_WRITE_H
#define ECHOQUANT_CLIP_AVI_WRITE_H

#include "echoquant/base.h"

#include <libavutil/rational.h>

struct eq_avi_opts {
    int size;        /* pixels of a side */
    AVRational rate; /* frames a second */
    int quality;     /* of 1 (best) .. 31 */
};

/* An encoder that files can share one after the other: its tables take longer to build than twenty frames of 112 x 112
 * pixels to encode. Zero at first; owns its context: eq_avi_encoder_clear. */
struct eq_avi_encoder {
    struct AVCodecContext *codec; /* NULL until the first file is written */
    struct eq_avi_opts opts;      /* of codec */
    int64_t frames;               /* given to codec so far: it wants rising times */
};
void eq_avi_encoder_clear(struct eq_avi_encoder *encoder);

/* Writes a file with `frames` frames; next is called for frame 0, 1, ... and fills gray: [size][size]. The same frames
 * give the same bytes, without a date, whatever `encoder` has written before. The file appears whole or not at all, as
 * with eq_write_file. */
enum eq_status eq_avi_write(const char *path, const struct eq_avi_opts *o, struct eq_avi_encoder *encoder, int frames,
                            enum eq_status (*next)(void *ctx, int frame, uint8_t *gray, struct eq_err *err), void *ctx,
                            struct eq_err *err);

#endif
