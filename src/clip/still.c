/* RGB pictures to PNG and JPEG by libavcodec. */
#include "clip/still.h"
#include "clip/clip.h"

#include <errno.h>
#include <string.h>

struct kind {
    enum AVCodecID id;
    enum AVPixelFormat format;
    const char *name;
    void (*fill)(AVFrame *frame, const uint8_t *pixels);
};

static void fill_rgb(AVFrame *frame, const uint8_t *pixels)
{
    size_t row = (size_t)frame->width * 3;
    for (int y = 0; y < frame->height; y++)
        memcpy(frame->data[0] + (ptrdiff_t)y * frame->linesize[0], pixels + (size_t)y * row, row);
}

/* One of JFIF's components (ITU-T T.871) in 1/65536; r, g and b add up to 65536, or to 0. */
static uint8_t mix(const uint8_t *rgb, int r, int g, int b, int offset)
{
    int v = ((r * rgb[0] + g * rgb[1] + b * rgb[2] + 32768) >> 16) + offset;
    return (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
}

static void fill_yuv(AVFrame *frame, const uint8_t *pixels)
{
    for (int y = 0; y < frame->height; y++)
        for (int x = 0; x < frame->width; x++) {
            const uint8_t *rgb = pixels + ((size_t)y * (size_t)frame->width + (size_t)x) * 3;
            frame->data[0][(ptrdiff_t)y * frame->linesize[0] + x] = mix(rgb, 19595, 38470, 7471, 0);
            frame->data[1][(ptrdiff_t)y * frame->linesize[1] + x] = mix(rgb, -11058, -21710, 32768, 128);
            frame->data[2][(ptrdiff_t)y * frame->linesize[2] + x] = mix(rgb, 32768, -27439, -5329, 128);
        }
}

static const struct kind png = {AV_CODEC_ID_PNG, AV_PIX_FMT_RGB24, "PNG", fill_rgb};
static const struct kind jpeg = {AV_CODEC_ID_MJPEG, AV_PIX_FMT_YUVJ444P, "JPEG", fill_yuv};
enum { JPEG_SCALE = 3 }; /* of the quantizer, 2 (best) to 31 */

static bool encode(const struct kind *kind, AVCodecContext *codec, AVFrame *frame, AVPacket *packet,
                   const uint8_t *pixels)
{
    frame->format = codec->pix_fmt;
    frame->width = codec->width;
    frame->height = codec->height;
    frame->quality = codec->global_quality;
    frame->pts = 0;
    if (av_frame_get_buffer(frame, 0) < 0)
        return false;
    kind->fill(frame, pixels);
    return avcodec_send_frame(codec, frame) >= 0 && avcodec_send_frame(codec, NULL) >= 0 &&
           avcodec_receive_packet(codec, packet) >= 0;
}

static enum eq_status write_still(const struct kind *kind, const char *path, const uint8_t *pixels, int width,
                                  int height, struct eq_err *err)
{
    enum eq_status st = EQ_OK;
    const AVCodec *encoder = avcodec_find_encoder(kind->id);
    if (!encoder)
        return eq_fail(err, EQ_UNSUPPORTED, "this FFmpeg has no %s encoder", kind->name);
    eq_clip_set_up_ffmpeg();
    errno = 0; /* for eq_memory_ignored */
    AVCodecContext *codec = avcodec_alloc_context3(encoder);
    AVFrame *frame = av_frame_alloc();
    AVPacket *packet = av_packet_alloc();
    if (!codec || !frame || !packet)
        EQ_TRY(eq_fail(err, EQ_NOMEM, "%s: out of memory for %d x %d pixels", path, width, height));
    codec->width = width;
    codec->height = height;
    codec->pix_fmt = kind->format;
    codec->time_base = (AVRational){1, 1};
    codec->thread_count = 1;
    codec->flags |= AV_CODEC_FLAG_BITEXACT;
    if (kind == &jpeg) {
        codec->flags |= AV_CODEC_FLAG_QSCALE;
        codec->global_quality = FF_QP2LAMBDA * JPEG_SCALE;
        codec->color_range = AVCOL_RANGE_JPEG;
    }
    int code = avcodec_open2(codec, encoder, NULL);
    eq_memory_ignored();
    if (code < 0 && code != AVERROR(ENOMEM) && !eq_memory_short())
        EQ_TRY(eq_fail(err, EQ_UNSUPPORTED, "the %s encoder of this FFmpeg cannot be opened", kind->name));
    bool encoded = code >= 0 && encode(kind, codec, frame, packet, pixels);
    eq_memory_ignored();
    if (eq_memory_short())
        EQ_TRY(eq_fail(err, EQ_NOMEM, "%s: out of memory for %d x %d pixels", path, width, height));
    if (!encoded)
        EQ_TRY(eq_fail(err, EQ_NOMEM, "%s: %d x %d pixels cannot be encoded", path, width, height));
    EQ_TRY(eq_write_file(path, packet->data, (size_t)packet->size, err));
out:
    av_packet_free(&packet);
    av_frame_free(&frame);
    avcodec_free_context(&codec);
    return st;
}

enum eq_status eq_png_write(const char *path, const uint8_t *pixels, int width, int height, struct eq_err *err)
{
    return write_still(&png, path, pixels, width, height, err);
}

enum eq_status eq_jpeg_write(const char *path, const uint8_t *pixels, int width, int height, struct eq_err *err)
{
    return write_still(&jpeg, path, pixels, width, height, err);
}
