/*
 * A decoded frame into an RGB square of bytes.
 *
 * Ultrasound is mostly gray and stored as full-range YUV with neutral chroma (128). There R = G = B = Y exactly (ITU-T
 * T.871), so such frames skip the color conversion, which is faster and adds no rounding. Everything else goes through
 * swscale with the flags that make its result independent of the CPU.
 */
#include "data/clip.h"

#include <libavutil/opt.h>
#include <libavutil/pixdesc.h>
#include <libswscale/swscale.h>

#include <string.h>

#define SWS_FLAGS (SWS_BILINEAR | SWS_ACCURATE_RND | SWS_BITEXACT | SWS_FULL_CHR_H_INT | SWS_FULL_CHR_H_INP)

void eq_frame_converter_clear(struct eq_frame_converter *c)
{
    sws_freeContext(c->sws);
    av_freep(&c->scratch);
    *c = (struct eq_frame_converter){0};
}

/* YUV formats whose luma is gray where chroma is neutral. YUVJ is YUV with full range; swscale takes the range apart
 * from the format. */
static const struct {
    enum AVPixelFormat yuv, full_range;
} yuv_formats[] = {{AV_PIX_FMT_YUV420P, AV_PIX_FMT_YUVJ420P},
                   {AV_PIX_FMT_YUV422P, AV_PIX_FMT_YUVJ422P},
                   {AV_PIX_FMT_YUV444P, AV_PIX_FMT_YUVJ444P},
                   {AV_PIX_FMT_YUV440P, AV_PIX_FMT_YUVJ440P},
                   {AV_PIX_FMT_YUV411P, AV_PIX_FMT_YUVJ411P}};

/* Whether the format is one of those; *format becomes the plain one. */
static bool is_yuv(enum AVPixelFormat *format, bool *full_range)
{
    for (size_t i = 0; i < sizeof yuv_formats / sizeof *yuv_formats; i++)
        if (*format == yuv_formats[i].yuv || *format == yuv_formats[i].full_range) {
            *full_range |= *format == yuv_formats[i].full_range;
            *format = yuv_formats[i].yuv;
            return true;
        }
    return false;
}

static bool plane_is(const uint8_t *plane, int stride, int width, int height, uint8_t value)
{
    for (int y = 0; y < height; y++) {
        const uint8_t *row = plane + (ptrdiff_t)y * stride;
        uint8_t differs = 0;
        for (int x = 0; x < width; x++)
            differs |= row[x] ^ value;
        if (differs)
            return false;
    }
    return true;
}

/* The frame's luma is its gray value. */
static bool has_no_color(const AVFrame *f, enum AVPixelFormat format, bool yuv, bool full_range)
{
    if (format == AV_PIX_FMT_GRAY8)
        return f->color_range != AVCOL_RANGE_MPEG;
    if (!yuv || !full_range)
        return false;
    const AVPixFmtDescriptor *desc = av_pix_fmt_desc_get(format);
    int width = AV_CEIL_RSHIFT(f->width, desc->log2_chroma_w), height = AV_CEIL_RSHIFT(f->height, desc->log2_chroma_h);
    return plane_is(f->data[1], f->linesize[1], width, height, 128) &&
           plane_is(f->data[2], f->linesize[2], width, height, 128);
}

/* The range is set before swscale builds its filters: changing it afterwards (sws_setColorspaceDetails) makes
 * FFmpeg 5.1 build them twice, the second time wrongly for strong shrinking. */
static struct SwsContext *new_context(const struct eq_conversion *k, int size)
{
    struct SwsContext *sws = sws_alloc_context();
    if (!sws)
        return NULL;
    const struct {
        const char *name;
        int64_t value;
    } options[] = {
        {"srcw", k->width},      {"srch", k->height},           {"src_format", k->src_format}, {"dstw", size},
        {"dsth", size},          {"dst_format", k->dst_format}, {"src_range", k->full_range},  {"dst_range", 1},
        {"sws_flags", SWS_FLAGS}};
    int code = 0;
    for (size_t i = 0; i < sizeof options / sizeof *options && code >= 0; i++)
        code = av_opt_set_int(sws, options[i].name, options[i].value, 0);
    if (code >= 0)
        code = sws_init_context(sws, NULL, NULL);
    if (code < 0) {
        sws_freeContext(sws);
        return NULL;
    }
    if (k->matrix != SWS_CS_DEFAULT)
        sws_setColorspaceDetails(sws, sws_getCoefficients(k->matrix), k->full_range,
                                 sws_getCoefficients(SWS_CS_DEFAULT), 1, 0, 1 << 16, 1 << 16);
    return sws;
}

static bool same_conversion(const struct eq_conversion *a, const struct eq_conversion *b)
{
    return a->width == b->width && a->height == b->height && a->src_format == b->src_format &&
           a->dst_format == b->dst_format && a->full_range == b->full_range && a->matrix == b->matrix;
}

/* The whole frame, from src_format to a square of dst_format in c->scratch, whose rows are padded because swscale's
 * SIMD code may write past a row's end. */
static enum eq_status scale(struct eq_frame_converter *c, const AVFrame *f, enum AVPixelFormat src_format,
                            bool full_range, enum AVPixelFormat dst_format, struct eq_err *err)
{
    struct eq_conversion wanted = {
        .width = f->width,
        .height = f->height,
        .src_format = src_format,
        .dst_format = dst_format,
        .full_range = full_range,
        .matrix = f->colorspace == AVCOL_SPC_BT709 ? SWS_CS_ITU709 : SWS_CS_DEFAULT,
    };
    if (!c->scratch) {
        c->scratch_stride = (3 * c->size + 127) / 64 * 64;
        c->scratch = av_malloc((size_t)c->scratch_stride * (size_t)c->size + 64);
    }
    if (!c->sws || !same_conversion(&c->made_for, &wanted)) {
        sws_freeContext(c->sws);
        c->sws = new_context(&wanted, c->size);
        c->made_for = wanted;
    }
    if (!c->scratch || !c->sws)
        return eq_fail(err, EQ_FORMAT, "frames of %d x %d pixels in format %s can't be converted", f->width, f->height,
                       av_get_pix_fmt_name(f->format) ? av_get_pix_fmt_name(f->format) : "?");
    uint8_t *planes[4] = {c->scratch};
    int strides[4] = {c->scratch_stride};
    int rows = sws_scale(c->sws, (const uint8_t *const *)f->data, f->linesize, 0, f->height, planes, strides);
    return rows == c->size ? EQ_OK : eq_fail(err, EQ_FORMAT, "a frame can't be resized to %d x %d", c->size, c->size);
}

static void expand_gray(const uint8_t *src, int stride, int size, uint8_t *dst)
{
    for (int y = 0; y < size; y++) {
        const uint8_t *row = src + (ptrdiff_t)y * stride;
        for (int x = 0; x < size; x++, dst += 3)
            dst[0] = dst[1] = dst[2] = row[x];
    }
}

static bool rgb_is_gray(const uint8_t *rgb, size_t pixels)
{
    uint8_t differs = 0;
    for (size_t i = 0; i < pixels; i++, rgb += 3)
        differs |= (uint8_t)((rgb[0] ^ rgb[1]) | (rgb[0] ^ rgb[2]));
    return differs == 0;
}

enum eq_status eq_frame_convert(struct eq_frame_converter *c, const AVFrame *frame, uint8_t *dst, bool *gray,
                                struct eq_err *err)
{
    enum eq_status st = EQ_OK;
    bool full_range = frame->color_range == AVCOL_RANGE_JPEG;
    enum AVPixelFormat format = frame->format;
    bool yuv = is_yuv(&format, &full_range);
    size_t side = (size_t)c->size;
    if (has_no_color(frame, format, yuv, full_range)) {
        *gray = true;
        if (frame->width == c->size && frame->height == c->size) {
            expand_gray(frame->data[0], frame->linesize[0], c->size, dst);
            return EQ_OK;
        }
        EQ_TRY(scale(c, frame, AV_PIX_FMT_GRAY8, true, AV_PIX_FMT_GRAY8, err));
        expand_gray(c->scratch, c->scratch_stride, c->size, dst);
        return EQ_OK;
    }
    EQ_TRY(scale(c, frame, format, full_range, AV_PIX_FMT_RGB24, err));
    for (size_t y = 0; y < side; y++)
        memcpy(dst + y * side * 3, c->scratch + y * (size_t)c->scratch_stride, side * 3);
    *gray = rgb_is_gray(dst, side * side);
out:
    return st;
}
