/* Gray frames to an MJPEG AVI through libavcodec and libavformat, bit-exact between runs. The muxer writes through
 * functions of ours: it goes back to fill in lengths, and does not look whether going back succeeded. */
#include "clip/avi_write.h"
#include "clip/clip.h"

#include <libavutil/opt.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { IO_BUFFER_BYTES = 1 << 18 };

struct encoder {
    const char *path;
    struct eq_writer file;
    int64_t at, len;
    int error; /* errno of a write that failed */
    AVFormatContext *format;
    AVIOContext *io;
    AVCodecContext *codec; /* the shared encoder's */
    int64_t start;         /* the encoder's time of frame 0 */
    AVStream *stream;
    AVFrame *frame;
    AVPacket *packet;
};

/* EQ_OK from a libav code of 0 up; otherwise an error. */
static enum eq_status check(const struct encoder *e, const char *what, int code, struct eq_err *err)
{
    char text[AV_ERROR_MAX_STRING_SIZE] = "";
    eq_memory_ignored(); /* libav may go on without an index, for example */
    if (eq_memory_short() || code == AVERROR(ENOMEM))
        return eq_fail(err, EQ_NOMEM, "%s: %s: out of memory", e->path, what);
    if (e->error) {
        errno = e->error;
        return eq_fail_errno(err, "%s: cannot write", e->path);
    }
    if (code >= 0)
        return EQ_OK;
    av_strerror(code, text, sizeof text);
    return eq_fail(err, EQ_IO, "%s: %s: %s", e->path, what, text);
}

#if LIBAVFORMAT_VERSION_MAJOR < 61
typedef uint8_t io_byte;
#else
typedef const uint8_t io_byte;
#endif

static int write_bytes(void *opaque, io_byte *data, int size)
{
    struct encoder *e = opaque;
    for (int done = 0; done < size && !e->error;) {
        ssize_t n = pwrite(fileno(e->file.file), data + done, (size_t)(size - done), (off_t)(e->at + done));
        if (n < 0 && errno != EINTR)
            e->error = errno;
        done += n > 0 ? (int)n : 0;
    }
    if (e->error)
        return AVERROR(e->error);
    e->at += size;
    e->len = e->at > e->len ? e->at : e->len;
    return size;
}

static int64_t seek_bytes(void *opaque, int64_t offset, int whence)
{
    struct encoder *e = opaque;
    if (whence & AVSEEK_SIZE)
        return e->len;
    whence &= ~AVSEEK_FORCE;
    int64_t base = whence == SEEK_CUR ? e->at : whence == SEEK_END ? e->len : 0;
    if (offset < -base || offset > INT64_MAX - base)
        return AVERROR(EINVAL);
    return e->at = base + offset;
}

static enum eq_status open_io(struct encoder *e, struct eq_err *err)
{
    EQ_CHECK(eq_writer_open(&e->file, e->path, err));
    uint8_t *buffer = av_malloc(IO_BUFFER_BYTES);
    if (buffer)
        e->io = avio_alloc_context(buffer, IO_BUFFER_BYTES, 1, e, NULL, write_bytes, seek_bytes);
    if (!e->io)
        av_free(buffer);
    e->format->pb = e->io;
    return e->io ? EQ_OK : eq_fail(err, EQ_NOMEM, "%s: out of memory", e->path);
}

void eq_avi_encoder_clear(struct eq_avi_encoder *encoder)
{
    avcodec_free_context(&encoder->codec);
    *encoder = (struct eq_avi_encoder){0};
}

static bool same_opts(const struct eq_avi_opts *a, const struct eq_avi_opts *b)
{
    return a->size == b->size && a->rate.num == b->rate.num && a->rate.den == b->rate.den && a->quality == b->quality;
}

static enum eq_status open_codec(struct encoder *e, struct eq_avi_encoder *shared, const struct eq_avi_opts *o,
                                 struct eq_err *err)
{
    const AVCodec *mjpeg = avcodec_find_encoder(AV_CODEC_ID_MJPEG);
    if (!mjpeg)
        return eq_fail(err, EQ_UNSUPPORTED, "this FFmpeg has no MJPEG encoder");
    if (shared->codec && !same_opts(&shared->opts, o))
        eq_avi_encoder_clear(shared);
    e->codec = shared->codec;
    e->start = shared->frames;
    if (e->codec)
        return EQ_OK;
    e->codec = shared->codec = avcodec_alloc_context3(mjpeg);
    if (!e->codec)
        return eq_fail(err, EQ_NOMEM, "%s: out of memory", e->path);
    shared->opts = *o;
    e->codec->width = e->codec->height = o->size;
    e->codec->time_base = av_inv_q(o->rate);
    e->codec->framerate = o->rate;
    e->codec->pix_fmt = AV_PIX_FMT_YUVJ420P;
    e->codec->color_range = AVCOL_RANGE_JPEG;
    e->codec->thread_count = 1;
    e->codec->flags |= AV_CODEC_FLAG_QSCALE | AV_CODEC_FLAG_BITEXACT;
    e->codec->global_quality = FF_QP2LAMBDA * o->quality;
    if (e->format->oformat->flags & AVFMT_GLOBALHEADER)
        e->codec->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
    return check(e, "opening the encoder", avcodec_open2(e->codec, mjpeg, NULL), err);
}

static enum eq_status open_file(struct encoder *e, struct eq_avi_encoder *shared, const struct eq_avi_opts *o,
                                struct eq_err *err)
{
    enum eq_status st;
    EQ_TRY(check(e, "AVI writer", avformat_alloc_output_context2(&e->format, NULL, "avi", NULL), err));
    e->format->flags |= AVFMT_FLAG_BITEXACT;
    e->format->flush_packets = 0; /* a write for each full buffer, not for each frame */
    EQ_TRY(open_codec(e, shared, o, err));
    e->stream = avformat_new_stream(e->format, NULL);
    e->frame = av_frame_alloc();
    e->packet = av_packet_alloc();
    if (!e->stream || !e->frame || !e->packet)
        EQ_TRY(eq_fail(err, EQ_NOMEM, "%s: out of memory", e->path));
    e->stream->time_base = e->codec->time_base;
    e->stream->avg_frame_rate = e->codec->framerate;
    EQ_TRY(check(e, "stream", avcodec_parameters_from_context(e->stream->codecpar, e->codec), err));
    e->frame->format = e->codec->pix_fmt;
    e->frame->width = e->frame->height = o->size;
    e->frame->quality = e->codec->global_quality;
    EQ_TRY(check(e, "frame", av_frame_get_buffer(e->frame, 0), err));
    EQ_TRY(open_io(e, err));
    EQ_TRY(check(e, "header", avformat_write_header(e->format, NULL), err));
out:
    return st;
}

/* Writes what the encoder has ready. MJPEG has each frame ready at once, so that nothing is left in it at the end. */
static enum eq_status drain(struct encoder *e, struct eq_err *err)
{
    enum eq_status st = EQ_OK;
    for (;;) {
        int code = avcodec_receive_packet(e->codec, e->packet);
        if (code == AVERROR(EAGAIN) || code == AVERROR_EOF)
            break;
        EQ_TRY(check(e, "encoding", code, err));
        e->packet->pts -= e->start;
        e->packet->dts -= e->start;
        av_packet_rescale_ts(e->packet, e->codec->time_base, e->stream->time_base);
        e->packet->stream_index = e->stream->index;
        EQ_TRY(check(e, "writing", av_interleaved_write_frame(e->format, e->packet), err));
    }
out:
    return st;
}

static enum eq_status put_frame(struct encoder *e, const uint8_t *gray, int size, int number, struct eq_err *err)
{
    enum eq_status st = check(e, "frame", av_frame_make_writable(e->frame), err);
    if (st != EQ_OK)
        return st;
    for (int y = 0; y < size; y++)
        memcpy(e->frame->data[0] + (ptrdiff_t)y * e->frame->linesize[0], gray + (size_t)y * (size_t)size, (size_t)size);
    for (int plane = 1; plane <= 2; plane++)
        for (int y = 0; y < (size + 1) / 2; y++)
            memset(e->frame->data[plane] + (ptrdiff_t)y * e->frame->linesize[plane], 128, (size_t)(size + 1) / 2);
    e->frame->pts = e->start + number;
    st = check(e, "encoding", avcodec_send_frame(e->codec, e->frame), err);
    return st == EQ_OK ? drain(e, err) : st;
}

static enum eq_status finish(struct encoder *e, struct eq_err *err)
{
    enum eq_status st;
    EQ_TRY(check(e, "trailer", av_write_trailer(e->format), err));
    /* A full disk may show only now. */
    avio_flush(e->format->pb);
    EQ_TRY(check(e, "writing", e->format->pb->error, err));
    EQ_TRY(eq_writer_commit(&e->file, err));
out:
    return st;
}

enum eq_status eq_avi_write(const char *path, const struct eq_avi_opts *o, struct eq_avi_encoder *encoder, int frames,
                            enum eq_status (*next)(void *ctx, int frame, uint8_t *gray, struct eq_err *err), void *ctx,
                            struct eq_err *err)
{
    struct encoder e = {.path = path};
    enum eq_status st;
    eq_clip_set_up_ffmpeg();
    errno = 0; /* for check */
    uint8_t *gray = eq_alloc((size_t)o->size, (size_t)o->size);
    if (!gray)
        return eq_fail(err, EQ_NOMEM, "%s: out of memory", path);
    EQ_TRY(open_file(&e, encoder, o, err));
    for (int i = 0; i < frames; i++) {
        EQ_TRY(next(ctx, i, gray, err));
        EQ_TRY(put_frame(&e, gray, o->size, i, err));
    }
    encoder->frames += frames;
    EQ_TRY(finish(&e, err));
out:
    if (st != EQ_OK)
        eq_avi_encoder_clear(encoder); /* it may hold a frame of this file */
    eq_writer_abort(&e.file);
    if (e.io)
        av_freep(&e.io->buffer);
    avio_context_free(&e.io);
    avformat_free_context(e.format);
    av_frame_free(&e.frame);
    av_packet_free(&e.packet);
    eq_free(gray);
    return st;
}
