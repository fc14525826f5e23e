/*
 * Clips for tests, written through FFmpeg's API: small AVIs whose frames say which frame they are, and files that are
 * broken in ways that we choose. Header only, because every test is one source file. Failures abort: they are the
 * test's, not ours.
 */
#ifndef ECHOQUANT_TESTS_AVI_FILE_H
#define ECHOQUANT_TESTS_AVI_FILE_H

#include "echoquant/base.h"

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/pixdesc.h>

#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TEST_REQUIRE(condition)                                                                                        \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "%s:%d: the test's own set-up failed: %s\n", __FILE__, __LINE__, #condition);              \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

/* ---- folders and plain files --------------------------------------------- */

static inline char *test_dir_new(void)
{
    const char *base = getenv("TMPDIR");
    struct eq_str path = {0};
    eq_str_add(&path, "%s/echoquant-test-XXXXXX", base && base[0] ? base : "/tmp");
    TEST_REQUIRE(mkdtemp(path.s) != NULL);
    return path.s;
}

static inline int test_remove_entry(const char *path, const struct stat *info, int type, struct FTW *where)
{
    (void)info, (void)type, (void)where;
    return remove(path);
}

static inline void test_dir_free(char *dir)
{
    nftw(dir, test_remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    free(dir);
}

static inline void test_write(const char *path, const void *bytes, size_t len)
{
    FILE *file = fopen(path, "wb");
    TEST_REQUIRE(file && fwrite(bytes, 1, len, file) == len && fclose(file) == 0);
}

/* Free with eq_free. */
static inline uint8_t *test_read(const char *path, size_t *len)
{
    void *bytes = NULL;
    TEST_REQUIRE(eq_read_file(path, (size_t)64 << 20, &bytes, len, NULL) == EQ_OK);
    return bytes;
}

/* ---- AVIs ---------------------------------------------------------------- */

struct test_avi {
    int width, height, frames;
    enum AVCodecID codec;      /* 0: Motion JPEG */
    enum AVPixelFormat format; /* 0: YUVJ420P for Motion JPEG, else YUV420P */
    bool texture;              /* on top of the frame's level, moving detail */
    int first_level, step;     /* frame t is gray level first_level + t * step (0: 20 and 3) */
    uint8_t cb, cr;            /* 0: 128 */
    const char *container;     /* NULL: "avi" */
    const int *times;          /* [frames] in units of 1/50 s; NULL: 0, 1, 2, ... */
};

static inline int test_avi_level(const struct test_avi *a, int t)
{
    int first = a->first_level ? a->first_level : 20, step = a->step ? a->step : 3;
    return (first + t * step) & 255;
}

static inline void test_avi_paint(const struct test_avi *a, AVFrame *f, int t)
{
    const AVPixFmtDescriptor *desc = av_pix_fmt_desc_get(f->format);
    int level = test_avi_level(a, t);
    for (int p = 0; p < desc->nb_components && f->data[p]; p++) {
        int width = p ? AV_CEIL_RSHIFT(f->width, desc->log2_chroma_w) : f->width;
        int height = p ? AV_CEIL_RSHIFT(f->height, desc->log2_chroma_h) : f->height;
        for (int y = 0; y < height; y++)
            for (int x = 0; x < width; x++) {
                int detail = a->texture ? ((x * 5 + y * 3 + t * 4) % 64) - 32 + (x * x + y * t) % 17 : 0;
                int luma = level + detail;
                int chroma = p == 1 ? a->cb : a->cr;
                f->data[p][y * f->linesize[p] + x] = (uint8_t)(p == 0   ? (luma < 0     ? 0
                                                                           : luma > 255 ? 255
                                                                                        : luma)
                                                               : chroma ? chroma
                                                                        : 128);
            }
    }
}

static inline void test_avi_mux(AVFormatContext *mux, AVCodecContext *encoder, AVPacket *packet)
{
    while (avcodec_receive_packet(encoder, packet) == 0) {
        packet->duration = 1;
        av_packet_rescale_ts(packet, encoder->time_base, mux->streams[0]->time_base);
        TEST_REQUIRE(av_interleaved_write_frame(mux, packet) == 0);
    }
}

static inline AVCodecContext *test_avi_encoder(const struct test_avi *a)
{
    const AVCodec *codec = avcodec_find_encoder(a->codec ? a->codec : AV_CODEC_ID_MJPEG);
    TEST_REQUIRE(codec);
    AVCodecContext *encoder = avcodec_alloc_context3(codec);
    encoder->width = a->width;
    encoder->height = a->height;
    encoder->pix_fmt = a->format                        ? a->format
                       : codec->id == AV_CODEC_ID_MJPEG ? AV_PIX_FMT_YUVJ420P
                                                        : AV_PIX_FMT_YUV420P;
    encoder->time_base = (AVRational){1, 50};
    encoder->framerate = (AVRational){50, 1};
    encoder->thread_count = 1;
    if (a->container && (strcmp(a->container, "mp4") == 0 || strcmp(a->container, "matroska") == 0))
        encoder->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
    encoder->flags |= AV_CODEC_FLAG_QSCALE | AV_CODEC_FLAG_BITEXACT;
    encoder->global_quality = 2 * FF_QP2LAMBDA;
    TEST_REQUIRE(avcodec_open2(encoder, codec, NULL) == 0);
    return encoder;
}

static inline void test_avi_write(const char *path, const struct test_avi *a)
{
    AVFormatContext *mux = NULL;
    AVCodecContext *encoder = test_avi_encoder(a);
    AVPacket *packet = av_packet_alloc();
    AVFrame *frame = av_frame_alloc();
    TEST_REQUIRE(packet && frame &&
                 avformat_alloc_output_context2(&mux, NULL, a->container ? a->container : "avi", path) >= 0);
    mux->flags |= AVFMT_FLAG_BITEXACT;
    AVStream *stream = avformat_new_stream(mux, NULL);
    TEST_REQUIRE(stream && avcodec_parameters_from_context(stream->codecpar, encoder) >= 0);
    stream->time_base = encoder->time_base;
    TEST_REQUIRE(avio_open(&mux->pb, path, AVIO_FLAG_WRITE) >= 0 && avformat_write_header(mux, NULL) >= 0);
    frame->format = encoder->pix_fmt;
    frame->width = a->width;
    frame->height = a->height;
    TEST_REQUIRE(av_frame_get_buffer(frame, 0) == 0);
    for (int t = 0; t < a->frames; t++) {
        TEST_REQUIRE(av_frame_make_writable(frame) == 0);
        test_avi_paint(a, frame, t);
        frame->pts = a->times ? a->times[t] : t;
        frame->quality = encoder->global_quality;
        TEST_REQUIRE(avcodec_send_frame(encoder, frame) == 0);
        test_avi_mux(mux, encoder, packet);
    }
    TEST_REQUIRE(avcodec_send_frame(encoder, NULL) == 0);
    test_avi_mux(mux, encoder, packet);
    TEST_REQUIRE(av_write_trailer(mux) == 0);
    avio_closep(&mux->pb);
    avformat_free_context(mux);
    avcodec_free_context(&encoder);
    av_packet_free(&packet);
    av_frame_free(&frame);
}

/* An AVI whose one stream is silence. */
static inline void test_avi_write_audio(const char *path)
{
    AVFormatContext *mux = NULL;
    TEST_REQUIRE(avformat_alloc_output_context2(&mux, NULL, "avi", path) >= 0);
    AVStream *stream = avformat_new_stream(mux, NULL);
    AVCodecParameters *par = stream->codecpar;
    par->codec_type = AVMEDIA_TYPE_AUDIO;
    par->codec_id = AV_CODEC_ID_PCM_S16LE;
    par->sample_rate = 8000;
    par->bits_per_coded_sample = 16;
    par->block_align = 2;
    par->bit_rate = 128000;
    par->format = AV_SAMPLE_FMT_S16;
#if LIBAVCODEC_VERSION_INT >= AV_VERSION_INT(59, 24, 100)
    par->ch_layout = (AVChannelLayout)AV_CHANNEL_LAYOUT_MONO;
#else
    par->channels = 1;
    par->channel_layout = AV_CH_LAYOUT_MONO;
#endif
    stream->time_base = (AVRational){1, 8000};
    TEST_REQUIRE(avio_open(&mux->pb, path, AVIO_FLAG_WRITE) >= 0 && avformat_write_header(mux, NULL) >= 0);
    AVPacket *packet = av_packet_alloc();
    TEST_REQUIRE(packet && av_new_packet(packet, 1600) == 0);
    memset(packet->data, 0, 1600);
    packet->pts = packet->dts = 0;
    packet->duration = 800;
    TEST_REQUIRE(av_interleaved_write_frame(mux, packet) == 0 && av_write_trailer(mux) == 0);
    av_packet_free(&packet);
    avio_closep(&mux->pb);
    avformat_free_context(mux);
}

/* Offset of the first such tag at or after `from`, len when there is none. */
static inline size_t test_avi_find(const uint8_t *bytes, size_t len, const char *tag, size_t from)
{
    for (size_t at = from; at + 4 <= len; at++)
        if (memcmp(bytes + at, tag, 4) == 0)
            return at;
    return len;
}

/* Offset of frame t's bytes (after tag and size) and their number. */
static inline size_t test_avi_frame(const uint8_t *bytes, size_t len, int t, size_t *size)
{
    size_t at = test_avi_find(bytes, len, "movi", 0) + 4;
    for (int k = 0;; k++) {
        TEST_REQUIRE(at + 8 < len && memcmp(bytes + at, "00dc", 4) == 0);
        *size = (size_t)bytes[at + 4] | (size_t)bytes[at + 5] << 8 | (size_t)bytes[at + 6] << 16;
        if (k == t)
            return at + 8;
        at += 8 + *size + *size % 2;
    }
}

static inline void test_put_le32(uint8_t *at, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        at[i] = (uint8_t)(value >> 8 * i);
}

/* Makes the header claim this many frames. */
static inline void test_avi_claim(uint8_t *bytes, size_t len, uint32_t frames)
{
    size_t avih = test_avi_find(bytes, len, "avih", 0), strh = test_avi_find(bytes, len, "strh", 0);
    TEST_REQUIRE(avih + 64 < len && strh + 64 < len);
    test_put_le32(bytes + avih + 8 + 16, frames);
    test_put_le32(bytes + strh + 8 + 32, frames);
}

#endif
