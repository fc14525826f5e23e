/*
 * Opening a clip with libavformat and libavcodec. Only plain media containers are accepted: FFmpeg also knows formats
 * that list other files or addresses, and a data set must not open those.
 */
#include "clip/clip.h"

#include <libavutil/error.h>
#include <libavutil/imgutils.h>
#include <libavutil/log.h>
#include <libavutil/mem.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FORMATS "avi,mov,matroska,mpeg,mpegts,asf,gif,mjpeg,h264,m4v,mpegvideo"
#define IO_BUFFER_BYTES 32768
enum { EACH_PACKET = 65536 }; /* work of a packet beside that of its bytes */

/* The clip that this thread decodes. Several decoders tell of damage in no other way than a message. */
static _Thread_local struct eq_clip_reader *listening;

/* FFmpeg writes to stderr; its lines go to our log instead, at debug level. */
static void log_line(void *avcl, int level, const char *fmt, va_list args)
{
    (void)avcl;
    if (level > AV_LOG_WARNING)
        return;
    char text[512];
    int code = errno; /* of the library's caller, who asks it for ENOMEM */
    vsnprintf(text, sizeof text, fmt, args);
    text[strcspn(text, "\r\n")] = '\0';
    if (!text[0])
        return;
    eq_debug("ffmpeg: %s", text);
    errno = code;
    if (listening && level <= listening->loudness && listening->messages++ == 0)
        snprintf(listening->message, sizeof listening->message, "%.90s", text);
}

/* A damaged header can demand a gigabyte of "extra data"; no block that a clip within our limits needs is that
 * large. */
#define MAX_BLOCK_BYTES ((size_t)256 << 20)

static void set_up_ffmpeg(void)
{
    av_max_alloc(MAX_BLOCK_BYTES);
    av_log_set_callback(log_line);
}

void eq_clip_set_up_ffmpeg(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, set_up_ffmpeg);
}

enum eq_status eq_clip_av_fail(struct eq_err *err, const char *name, const char *what, int code)
{
    char text[AV_ERROR_MAX_STRING_SIZE] = "";
    av_strerror(code, text, sizeof text);
    enum eq_status st = EQ_FORMAT;
    if (code == AVERROR(EIO) || code == AVERROR(ENOENT) || code == AVERROR(EACCES))
        st = EQ_IO;
    if (code == AVERROR(ENOMEM) || code == AVERROR(EMFILE) || code == AVERROR(ENFILE))
        st = EQ_NOMEM; /* no fault of the clip: never a reason to leave it out */
    return eq_fail(err, st, "%s: %s: %s", name, what, text);
}

/* ---- the file's bytes ---------------------------------------------------- */

/* The demuxer reads through these and not through libavformat's own, so that a read that failed is known. */
static int read_bytes(void *opaque, uint8_t *buf, int size)
{
    struct eq_clip_reader *r = opaque;
    if (eq_clip_watch_ends((size_t)size))
        return AVERROR_EXIT;
    if (r->file->data) {
        int64_t left = r->io_len - r->io_pos, n = size < left ? size : left;
        if (n <= 0)
            return AVERROR_EOF;
        memcpy(buf, r->file->data + r->io_pos, (size_t)n);
        r->io_pos += n;
        return (int)n;
    }
    ssize_t n;
    while ((n = pread(r->fd, buf, (size_t)size, (off_t)r->io_pos)) < 0 && errno == EINTR)
        ;
    if (n < 0)
        r->io_error = errno;
    if (n <= 0)
        return n < 0 ? AVERROR(r->io_error) : AVERROR_EOF;
    r->io_pos += n;
    return (int)n;
}

static int64_t seek_bytes(void *opaque, int64_t offset, int whence)
{
    struct eq_clip_reader *r = opaque;
    if (whence & AVSEEK_SIZE)
        return r->io_len;
    whence &= ~AVSEEK_FORCE;
    int64_t base = whence == SEEK_CUR ? r->io_pos : whence == SEEK_END ? r->io_len : 0;
    if (offset < -base || (r->file->data ? offset > r->io_len - base : offset > INT64_MAX - base))
        return AVERROR(EINVAL);
    return r->io_pos = base + offset;
}

static bool open_bytes(struct eq_clip_reader *r)
{
    uint8_t *buffer = av_malloc(IO_BUFFER_BYTES);
    if (buffer)
        r->io = avio_alloc_context(buffer, IO_BUFFER_BYTES, 0, r, read_bytes, NULL, seek_bytes);
    if (!r->io) {
        av_free(buffer);
        return false;
    }
    r->format->pb = r->io;
    return true;
}

/* ---- opening ------------------------------------------------------------- */

/* Says clearly what libavformat would only call "Invalid data", and keeps it from waiting for a pipe's other end. */
static enum eq_status open_file(struct eq_clip_reader *r, struct eq_err *err)
{
    const char *path = r->file->name;
    struct stat info;
    if (stat(path, &info) != 0)
        return eq_fail_errno(err, "%s", path);
    if (S_ISDIR(info.st_mode))
        return eq_fail(err, EQ_IO, "%s is a folder, not a clip", path);
    if (!S_ISREG(info.st_mode))
        return eq_fail(err, EQ_IO, "%s is a pipe, a socket, or a device: a clip must be a plain file", path);
    if (info.st_size == 0)
        return eq_fail(err, EQ_FORMAT, "%s: the file is empty", path);
    r->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (r->fd < 0 || fstat(r->fd, &info) != 0)
        return eq_fail_errno(err, "%s", path);
    r->io_len = (int64_t)info.st_size;
    return EQ_OK;
}

static enum eq_status read_failed(const struct eq_clip_reader *r, struct eq_err *err)
{
    errno = r->io_error;
    return eq_fail_errno(err, "%s: cannot be read", r->file->name);
}

/* The file's first bytes; returns how many. */
static size_t read_head(struct eq_clip_reader *r, uint8_t head[EQ_CLIP_HEAD])
{
    size_t len = 0;
    r->io_pos = 0;
    for (int n; len < EQ_CLIP_HEAD && (n = read_bytes(r, head + len, (int)(EQ_CLIP_HEAD - len))) > 0;)
        len += (size_t)n;
    return len;
}

#if LIBAVFORMAT_VERSION_MAJOR >= 59
typedef const AVInputFormat input_format;
#else
typedef AVInputFormat input_format;
#endif

/* The demuxer of a file that begins as an AVI does: asking all demuxers takes longer than opening the file with the
 * right one. NULL: they have to be asked. */
static input_format *format_by_head(struct eq_clip_reader *r)
{
    uint8_t head[12];
    int n = read_bytes(r, head, sizeof head);
    r->io_pos = 0;
    bool avi = n == sizeof head && memcmp(head, "RIFF", 4) == 0 && memcmp(head + 8, "AVI ", 4) == 0;
    return avi ? av_find_input_format("avi") : NULL;
}

/* Asked while streams are probed. */
static int is_over(void *ctx)
{
    (void)ctx;
    return eq_clip_watch_ends(IO_BUFFER_BYTES);
}

static enum eq_status open_container(struct eq_clip_reader *r, struct eq_err *err)
{
    enum eq_status st = EQ_OK;
    const char *name = r->file->name;
    AVDictionary *options = NULL;
    struct eq_str url = {0};
    r->io_len = (int64_t)r->file->len;
    if (!r->file->data) {
        EQ_TRY(open_file(r, err));
        eq_str_add(&url, "file:%s", name); /* some demuxers look at the extension */
    }
    r->format = avformat_alloc_context();
    if (!r->format || !open_bytes(r))
        EQ_TRY(eq_fail(err, EQ_NOMEM, "%s: out of memory", name));
    r->format->interrupt_callback.callback = is_over;
    av_dict_set(&options, "format_whitelist", FORMATS, 0);
    av_dict_set(&options, "protocol_whitelist", "file", 0);
    int code = avformat_open_input(&r->format, url.s, format_by_head(r), &options);
    eq_memory_ignored();
    EQ_TRY(eq_clip_watch(name, 0, err));
    uint8_t head[EQ_CLIP_HEAD];
    /* Demuxers give errors of the system for what they don't understand, too; of a lack of memory they know best. */
    size_t len = code < 0 && !r->io_error ? read_head(r, head) : 0;
    if (r->io_error)
        st = read_failed(r, err);
    else if (len > 0 && code != AVERROR(ENOMEM) && code != AVERROR(EMFILE) && code != AVERROR(ENFILE))
        st = eq_clip_fail_kind(name, head, len, err);
    else if (code < 0)
        st = eq_clip_av_fail(err, name, "cannot be opened as a video", code);
out:
    av_dict_free(&options);
    eq_str_clear(&url);
    return st;
}

/* An AVI's header has all that is needed; for other containers libavformat decodes a little to find out. */
static bool header_suffices(const AVFormatContext *format)
{
    if (strcmp(format->iformat->name, "avi") != 0)
        return false;
    for (unsigned i = 0; i < format->nb_streams; i++) {
        const AVCodecParameters *par = format->streams[i]->codecpar;
        if (par->codec_type == AVMEDIA_TYPE_VIDEO)
            return par->codec_id != AV_CODEC_ID_NONE && par->width > 0 && par->height > 0;
    }
    return true;
}

static enum eq_status find_stream(struct eq_clip_reader *r, struct eq_err *err)
{
    const char *name = r->file->name;
    r->format->flags |= AVFMT_FLAG_DISCARD_CORRUPT; /* half a packet at the end of a cut file is no frame */
    if (!header_suffices(r->format)) {
        int code = avformat_find_stream_info(r->format, NULL);
        eq_memory_ignored();
        EQ_CHECK(eq_clip_watch(name, 0, err));
        if (code < 0)
            return eq_clip_av_fail(err, name, "cannot be read as a video", code);
    }
    r->stream = av_find_best_stream(r->format, AVMEDIA_TYPE_VIDEO, -1, -1, NULL, 0);
    if (r->stream < 0)
        return eq_fail(err, EQ_FORMAT, "%s has no video stream", name);
    for (unsigned i = 0; i < r->format->nb_streams; i++)
        if ((int)i != r->stream)
            r->format->streams[i]->discard = AVDISCARD_ALL;
    return EQ_OK;
}

/* Where a damaged picture leaves pixels undecoded, FFmpeg shows the buffer's old content. Each picture starts black, so
 * that pixels depend on the file only. */
static int get_black_buffer(AVCodecContext *decoder, AVFrame *frame, int flags)
{
    int code = avcodec_default_get_buffer2(decoder, frame, flags);
    if (code < 0)
        return code;
    ptrdiff_t strides[4];
    for (int i = 0; i < 4; i++)
        strides[i] = frame->linesize[i];
    /* Refused for formats that it doesn't know: those stay as they are. */
    av_image_fill_black(frame->data, strides, frame->format, AVCOL_RANGE_JPEG, frame->width, frame->height);
    return 0;
}

void eq_clip_set_up_decoder(AVCodecContext *decoder, int64_t max_pixels)
{
    eq_clip_set_up_ffmpeg();
    decoder->thread_count = 1; /* clips are decoded in parallel; threads inside one only add overhead */
    decoder->max_pixels = max_pixels;
    decoder->flags |= AV_CODEC_FLAG_BITEXACT;
    decoder->idct_algo = FF_IDCT_SIMPLE; /* the one whose SIMD versions agree with its C to the bit */
    decoder->get_buffer2 = get_black_buffer;
}

enum eq_status eq_clip_reader_open_decoder(struct eq_clip_reader *r, const AVCodecParameters *par, AVRational time_base,
                                           struct eq_err *err)
{
    const char *name = r->file->name;
    int64_t max_pixels = r->file->max_pixels ? r->file->max_pixels : EQ_CLIP_MAX_PIXELS;
    if (par->width > 0 && par->height > 0 && (int64_t)par->width * par->height > max_pixels)
        return eq_fail(err, EQ_TOO_LARGE, "%s: frames of %d x %d pixels are larger than the limit of %lld pixels", name,
                       par->width, par->height, (long long)max_pixels);
    const AVCodec *codec = avcodec_find_decoder(par->codec_id);
    if (!codec)
        return eq_fail(err, EQ_FORMAT, "%s: this FFmpeg has no decoder for %s video", name,
                       avcodec_get_name(par->codec_id));
    r->decoder = avcodec_alloc_context3(codec);
    r->frame = av_frame_alloc();
    if (!r->decoder || !r->frame || avcodec_parameters_to_context(r->decoder, par) < 0)
        return eq_fail(err, EQ_NOMEM, "%s: out of memory", name);
    eq_clip_set_up_decoder(r->decoder, max_pixels);
    r->decoder->pkt_timebase = time_base;
    int code = avcodec_open2(r->decoder, codec, NULL);
    eq_memory_ignored();
    return code < 0 ? eq_clip_av_fail(err, name, "its video decoder cannot be opened", code) : EQ_OK;
}

/* A file that was cut off in its header may seem to lack a stream or a codec: the cut is what helps to know. */
static enum eq_status blame_the_cut(const struct eq_clip_reader *r, enum eq_status st, struct eq_err *err)
{
    char reason[EQ_CLIP_REASON] = "";
    EQ_CHECK(eq_clip_judge_file(r->file, r->format->iformat->name, reason, NULL, err));
    return reason[0] ? eq_fail(err, EQ_FORMAT, "%s: %s", r->file->name, reason) : st;
}

enum eq_status eq_clip_reader_open(struct eq_clip_reader *r, const struct eq_clip_file *file, struct eq_err *err)
{
    eq_clip_set_up_ffmpeg();
    *r = (struct eq_clip_reader){.file = file, .fd = -1, .stream = -1, .end = AV_NOPTS_VALUE, .last = AV_NOPTS_VALUE};
    enum eq_status st = EQ_OK;
    EQ_TRY(open_container(r, err));
    EQ_TRY(find_stream(r, err));
    const AVStream *stream = r->format->streams[r->stream];
    EQ_TRY(eq_clip_reader_open_decoder(r, stream->codecpar, stream->time_base, err));
    r->packet = av_packet_alloc();
    if (!r->packet)
        EQ_TRY(eq_fail(err, EQ_NOMEM, "%s: out of memory", file->name));
out:
    if (st != EQ_NOMEM && st != EQ_INTERRUPTED && st != EQ_TOO_SLOW && r->io_error)
        st = read_failed(r, err);
    if ((st == EQ_FORMAT || st == EQ_TOO_LARGE) && r->format && r->format->iformat && !eq_memory_short())
        st = blame_the_cut(r, st, err);
    if (st != EQ_OK)
        eq_clip_reader_close(r);
    return st;
}

void eq_clip_reader_close(struct eq_clip_reader *r)
{
    av_frame_free(&r->frame);
    av_packet_free(&r->packet);
    avcodec_free_context(&r->decoder);
    avformat_close_input(&r->format);
    if (r->io)
        av_freep(&r->io->buffer);
    avio_context_free(&r->io);
    if (r->file && r->fd >= 0)
        close(r->fd);
    r->fd = -1;
}

/* ---- reading ------------------------------------------------------------- */

/* Demuxers tell of packets that are not whole in a warning, and drop them. */
static int read_frame(struct eq_clip_reader *r)
{
    bool avi = strcmp(r->format->iformat->name, "avi") == 0; /* whose chunks are judged without it */
    r->loudness = avi ? AV_LOG_PANIC : AV_LOG_ERROR;
    listening = r;
    int code = av_read_frame(r->format, r->packet);
    listening = NULL;
    eq_memory_ignored();
    return code;
}

int eq_clip_reader_send(struct eq_clip_reader *r, const AVPacket *packet)
{
    r->loudness = AV_LOG_ERROR;
    listening = r;
    int code = avcodec_send_packet(r->decoder, packet);
    listening = NULL;
    eq_memory_ignored();
    return code;
}

int eq_clip_reader_receive(struct eq_clip_reader *r)
{
    r->loudness = AV_LOG_ERROR;
    listening = r;
    int code = avcodec_receive_frame(r->decoder, r->frame);
    listening = NULL;
    eq_memory_ignored();
    return code;
}

enum eq_status eq_clip_reader_packet(struct eq_clip_reader *r, bool *end, struct eq_err *err)
{
    *end = false;
    for (;;) {
        av_packet_unref(r->packet);
        int code = read_frame(r);
        EQ_CHECK(eq_clip_watch(r->file->name, EACH_PACKET + (code >= 0 ? (size_t)r->packet->size : 0), err));
        if (r->io_error)
            return read_failed(r, err);
        if (code == AVERROR(EIO) || code == AVERROR(ENOMEM))
            return eq_clip_av_fail(err, r->file->name, "cannot be read", code);
        if (code < 0) { /* the end, or damage that hides the rest */
            if (code != AVERROR_EOF && r->messages++ == 0)
                snprintf(r->message, sizeof r->message, "the rest of the file cannot be read");
            *end = true;
            return EQ_OK;
        }
        if (r->packet->stream_index != r->stream)
            continue;
        int64_t at = eq_clip_reader_packet_time(r);
        if (at != AV_NOPTS_VALUE && (r->end == AV_NOPTS_VALUE || at > r->end))
            r->end = at;
        if (r->packet->size > 0) {
            r->last = at;
            return EQ_OK;
        }
    }
}

int64_t eq_clip_reader_packet_time(const struct eq_clip_reader *r)
{
    bool avi = strcmp(r->format->iformat->name, "avi") == 0; /* its clock counts chunks, in decoding order */
    return avi || r->packet->pts == AV_NOPTS_VALUE ? r->packet->dts : r->packet->pts;
}

/* The end of the last frame that the stream's index lists. */
static int64_t index_end(AVStream *stream)
{
    int64_t end = 0;
#if LIBAVFORMAT_VERSION_INT >= AV_VERSION_INT(59, 0, 100)
    int n = avformat_index_get_entries_count(stream);
#else
    int n = stream->nb_index_entries;
#endif
    for (int i = 0; i < n; i++) {
#if LIBAVFORMAT_VERSION_INT >= AV_VERSION_INT(59, 0, 100)
        const AVIndexEntry *entry = avformat_index_get_entry(stream, i);
#else
        const AVIndexEntry *entry = &stream->index_entries[i];
#endif
        if (entry && entry->pos + entry->size > end)
            end = entry->pos + entry->size;
    }
    return end;
}

void eq_clip_reader_judge_index(const struct eq_clip_reader *r, char reason[EQ_CLIP_REASON])
{
    int64_t size = r->io_len, end = index_end(r->format->streams[r->stream]);
    if (!reason[0] && size > 0 && end > size)
        snprintf(reason, EQ_CLIP_REASON,
                 "the file is cut off: it has %lld bytes, and its index lists frames up to %lld", (long long)size,
                 (long long)end);
}

/* The display matrix of the stream; NULL: none. */
static const int32_t *matrix_of(const AVStream *stream)
{
#if LIBAVCODEC_VERSION_INT >= AV_VERSION_INT(60, 31, 102)
    const AVPacketSideData *data = av_packet_side_data_get(
        stream->codecpar->coded_side_data, stream->codecpar->nb_coded_side_data, AV_PKT_DATA_DISPLAYMATRIX);
    return data && data->size >= 9 * sizeof(int32_t) ? (const int32_t *)(const void *)data->data : NULL;
#else
    for (int i = 0; i < stream->nb_side_data; i++)
        if (stream->side_data[i].type == AV_PKT_DATA_DISPLAYMATRIX &&
            (size_t)stream->side_data[i].size >= 9 * sizeof(int32_t))
            return (const int32_t *)(const void *)stream->side_data[i].data;
    return NULL;
#endif
}

enum eq_status eq_clip_reader_info(const struct eq_clip_reader *r, struct eq_clip_info *info, struct eq_err *err)
{
    const AVStream *stream = r->format->streams[r->stream];
    *info = (struct eq_clip_info){.width = stream->codecpar->width, .height = stream->codecpar->height};
    info->header_frames = stream->nb_frames > 0 && stream->nb_frames <= INT32_MAX ? (int)stream->nb_frames : 0;
    AVRational rate = av_guess_frame_rate(r->format, (AVStream *)stream, NULL);
    if ((rate.num <= 0 || rate.den <= 0) && strcmp(r->format->iformat->name, "avi") == 0)
        rate = av_inv_q(stream->time_base); /* AVI's clock ticks once a frame */
    info->fps = rate.num > 0 && rate.den > 0 ? av_q2d(rate) : 0.0;
    snprintf(info->codec, sizeof info->codec, "%s", avcodec_get_name(stream->codecpar->codec_id));
    snprintf(info->container, sizeof info->container, "%s", eq_clip_container_name(r->format->iformat->name));
    const int32_t *matrix = matrix_of(stream);
    if (matrix && !eq_frame_turn_of(matrix, &info->turned, &info->mirrored))
        return eq_fail(err, EQ_FORMAT,
                       "%s: its display matrix turns the pictures by an angle that is not a multiple of 90 "
                       "degrees. Convert it: ffmpeg -i IN -c:v mjpeg -q:v 2 OUT.avi",
                       r->file->name);
    return EQ_OK;
}
