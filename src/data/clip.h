/* data-internal: a clip as packets and frames, below eq_clip_read. */
#ifndef ECHOQUANT_DATA_CLIP_H
#define ECHOQUANT_DATA_CLIP_H

#include "echoquant/data.h"

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>

/* The source of the bytes, and limits. */
struct eq_clip_file {
    const char *name;    /* in messages; also the path when data is NULL */
    const uint8_t *data; /* a file in memory (tests, fuzzing) */
    size_t len;
    int64_t max_pixels; /* 0: EQ_CLIP_MAX_PIXELS */
    int max_frames;     /* 0: EQ_CLIP_MAX_FRAMES */
    bool decode_all;    /* count by decoding everything even where the packets suffice */
};

/* An open clip: the container and a decoder for its best video stream. */
struct eq_clip_reader {
    const struct eq_clip_file *file;
    AVFormatContext *format;
    AVIOContext *io;
    size_t io_pos;
    AVCodecContext *decoder;
    AVPacket *packet;
    AVFrame *frame;
    int stream;
};
/* On failure nothing is left to close. Errors: EQ_IO no such file or unreadable; EQ_FORMAT no video in it. */
enum eq_status eq_clip_reader_open(struct eq_clip_reader *r, const struct eq_clip_file *file, struct eq_err *err);
void eq_clip_reader_close(struct eq_clip_reader *r);
/* The stream's next whole packet in r->packet; *end at the end of what can be read. */
enum eq_status eq_clip_reader_packet(struct eq_clip_reader *r, bool *end, struct eq_err *err);
/* Codec, size, frame rate and number of frames as the container gives them. */
void eq_clip_reader_info(const struct eq_clip_reader *r, struct eq_clip_info *info);
/* What every decoder of pictures needs before it is opened: limits, and the same bits on every CPU. */
void eq_clip_set_up_decoder(AVCodecContext *decoder, int64_t max_pixels);
/* Fills err from a libav error code. */
enum eq_status eq_clip_av_fail(struct eq_err *err, const char *name, const char *what, int code);

/* The properties of one packet of Motion JPEG. */
struct eq_mjpeg_info {
    int width, height;
    bool has_huffman; /* brings its own Huffman tables */
};
/* True when the packet is one baseline picture that any JPEG decoder decodes without other packets: SOI, valid
 * quantization (and Huffman) tables for all it uses, one frame header, one scan of all components, EOI. Errors in the
 * entropy-coded data don't show here; they spoil pixels but the picture still decodes. */
bool eq_mjpeg_scan(const uint8_t *data, size_t len, struct eq_mjpeg_info *info);

/* The conversion that a swscale context was made for. */
struct eq_conversion {
    int width, height, matrix;
    enum AVPixelFormat src_format, dst_format;
    bool full_range;
};
/* Turns frames into RGB squares. Init with {.size = n}. */
struct SwsContext;
struct eq_frame_converter {
    int size;
    struct SwsContext *sws;
    struct eq_conversion made_for;
    uint8_t *scratch; /* a square with padded rows */
    int scratch_stride;
};
/* dst: [size][size][3]. *gray: R = G = B in all of it. */
enum eq_status eq_frame_convert(struct eq_frame_converter *c, const AVFrame *frame, uint8_t *dst, bool *gray,
                                struct eq_err *err);
void eq_frame_converter_clear(struct eq_frame_converter *c);

/* eq_clip_read and eq_clip_probe (sampling NULL) of any such file. */
enum eq_status eq_clip_read_file(const struct eq_clip_file *file, const struct eq_sampling *sampling, uint8_t *dst,
                                 struct eq_clip_info *info, struct eq_err *err);

#endif
