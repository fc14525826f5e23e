/* RGB pictures to PNG by libavcodec. */
#include "clip/png.h"
#include "clip/clip.h"

#include <errno.h>
#include <string.h>

static bool encode(AVCodecContext *codec, AVFrame *frame, AVPacket *packet, const uint8_t *pixels)
{
    frame->format = codec->pix_fmt;
    frame->width = codec->width;
    frame->height = codec->height;
    if (av_frame_get_buffer(frame, 0) < 0)
        return false;
    size_t row = (size_t)codec->width * 3;
    for (int y = 0; y < codec->height; y++)
        memcpy(frame->data[0] + (ptrdiff_t)y * frame->linesize[0], pixels + (size_t)y * row, row);
    return avcodec_send_frame(codec, frame) >= 0 && avcodec_send_frame(codec, NULL) >= 0 &&
           avcodec_receive_packet(codec, packet) >= 0;
}

enum eq_status eq_png_write(const char *path, const uint8_t *pixels, int width, int height, struct eq_err *err)
{
    enum eq_status st = EQ_OK;
    const AVCodec *encoder = avcodec_find_encoder(AV_CODEC_ID_PNG);
    if (!encoder)
        return eq_fail(err, EQ_UNSUPPORTED, "this FFmpeg has no PNG encoder");
    eq_clip_set_up_ffmpeg();
    errno = 0; /* for eq_memory_ignored */
    AVCodecContext *codec = avcodec_alloc_context3(encoder);
    AVFrame *frame = av_frame_alloc();
    AVPacket *packet = av_packet_alloc();
    if (!codec || !frame || !packet)
        EQ_TRY(eq_fail(err, EQ_NOMEM, "%s: out of memory for %d x %d pixels", path, width, height));
    codec->width = width;
    codec->height = height;
    codec->pix_fmt = AV_PIX_FMT_RGB24;
    codec->time_base = (AVRational){1, 1};
    codec->thread_count = 1;
    codec->flags |= AV_CODEC_FLAG_BITEXACT;
    int code = avcodec_open2(codec, encoder, NULL);
    eq_memory_ignored();
    if (code < 0 && code != AVERROR(ENOMEM) && !eq_memory_short())
        EQ_TRY(eq_fail(err, EQ_UNSUPPORTED, "the PNG encoder of this FFmpeg cannot be opened"));
    bool encoded = code >= 0 && encode(codec, frame, packet, pixels);
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
