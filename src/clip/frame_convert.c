/*
 * A decoded frame into an RGB square of bytes.
 *
 * Ultrasound is mostly gray and stored as full-range YUV with neutral chroma (128). There R = G = B = Y exactly (ITU-T
 * T.871), so such frames skip the color conversion, which is faster and adds no rounding. OpenCV 4.13 to 5.0 writes 127
 * throughout for gray pictures: a plane of one value within 1 of 128 counts as neutral. Everything else goes through
 * swscale with the flags that make its result independent of the CPU. Frames with a display matrix are turned before
 * they are resized.
 */
#include "clip/clip.h"

#include <libavutil/opt.h>
#include <libavutil/pixdesc.h>
#include <libswscale/swscale.h>

#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define SWS_FLAGS (SWS_ACCURATE_RND | SWS_BITEXACT | SWS_FULL_CHR_H_INT | SWS_FULL_CHR_H_INP)
#define STRONG_SHRINKING 32

void eq_frame_converter_clear(struct eq_frame_converter *c)
{
    sws_freeContext(c->sws);
    sws_freeContext(c->flat);
    av_frame_free(&c->level);
    av_frame_free(&c->upright);
    av_freep(&c->scratch);
    av_freep(&c->neutral);
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

/* All samples have one value, which is 127, 128 or 129. *exact stays true where it is 128. */
static bool plane_is_neutral(const uint8_t *plane, int stride, int width, int height, bool *exact)
{
    uint8_t value = plane[0];
    if (value < 127 || value > 129)
        return false;
    for (int y = 0; y < height; y++) {
        const uint8_t *row = plane + (ptrdiff_t)y * stride;
        uint8_t differs = 0;
        for (int x = 0; x < width; x++)
            differs |= row[x] ^ value;
        if (differs)
            return false;
    }
    *exact &= value == 128;
    return true;
}

/* A frame as it is converted. */
struct source {
    const AVFrame *frame;
    enum AVPixelFormat format; /* without the range in its name */
    bool full_range;
    bool luma_only;     /* its luma is its gray value */
    bool wrong_neutral; /* neutral chroma of another value than 128 */
};

static struct source look_at(const AVFrame *f)
{
    struct source s = {.frame = f, .format = f->format, .full_range = f->color_range == AVCOL_RANGE_JPEG};
    if (s.format == AV_PIX_FMT_GRAY8) {
        s.luma_only = f->color_range != AVCOL_RANGE_MPEG;
    } else if (is_yuv(&s.format, &s.full_range)) {
        const AVPixFmtDescriptor *desc = av_pix_fmt_desc_get(s.format);
        int width = AV_CEIL_RSHIFT(f->width, desc->log2_chroma_w),
            height = AV_CEIL_RSHIFT(f->height, desc->log2_chroma_h);
        bool exact = true, neutral = plane_is_neutral(f->data[1], f->linesize[1], width, height, &exact) &&
                                     plane_is_neutral(f->data[2], f->linesize[2], width, height, &exact);
        s.luma_only = neutral && s.full_range;
        s.wrong_neutral = neutral && !exact;
    }
    return s;
}

/* The range is set before swscale builds its filters: changing it afterwards (sws_setColorspaceDetails) makes
 * FFmpeg 5.1 build them twice, the second time wrongly for strong shrinking. With the bilinear filter, even so, full
 * range is taken for limited range beyond a factor of about 94 (findings/swscale_range_lost.sh); the area filter has no
 * such limit. */
static struct SwsContext *new_context(const struct eq_conversion *k)
{
    struct SwsContext *sws = sws_alloc_context();
    if (!sws)
        return NULL;
    bool strong = k->width > STRONG_SHRINKING * k->dst_width || k->height > STRONG_SHRINKING * k->dst_height;
    const struct {
        const char *name;
        int64_t value;
    } options[] = {{"srcw", k->width},
                   {"srch", k->height},
                   {"src_format", k->src_format},
                   {"dstw", k->dst_width},
                   {"dsth", k->dst_height},
                   {"dst_format", k->dst_format},
                   {"src_range", k->full_range},
                   {"dst_range", 1},
                   {"sws_flags", SWS_FLAGS | (strong ? SWS_AREA : SWS_BILINEAR)}};
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
    return a->width == b->width && a->height == b->height && a->dst_width == b->dst_width &&
           a->dst_height == b->dst_height && a->src_format == b->src_format && a->dst_format == b->dst_format &&
           a->full_range == b->full_range && a->matrix == b->matrix;
}

/* A plane of 128, in whose place one of neutral chroma of another value is read. */
static bool make_neutral(struct eq_frame_converter *c, size_t bytes)
{
    if (c->neutral_bytes >= bytes)
        return true;
    av_freep(&c->neutral);
    c->neutral = av_malloc(bytes + 64);
    c->neutral_bytes = c->neutral ? bytes : 0;
    if (c->neutral)
        memset(c->neutral, 128, bytes + 64);
    return c->neutral != NULL;
}

/* The whole frame, to width x height pixels of dst_format at dst. The context is kept for the next frame. */
static enum eq_status scale(struct eq_frame_converter *c, struct SwsContext **sws, struct eq_conversion *made_for,
                            const struct source *s, int width, int height, enum AVPixelFormat dst_format, uint8_t *dst,
                            int dst_stride, struct eq_err *err)
{
    const AVFrame *f = s->frame;
    struct eq_conversion wanted = {
        .width = f->width,
        .height = f->height,
        .dst_width = width,
        .dst_height = height,
        .src_format = s->luma_only ? AV_PIX_FMT_GRAY8 : s->format,
        .dst_format = dst_format,
        .full_range = s->luma_only || s->full_range,
        .matrix = f->colorspace == AVCOL_SPC_BT709 ? SWS_CS_ITU709 : SWS_CS_DEFAULT,
    };
    if (!*sws || !same_conversion(made_for, &wanted)) {
        sws_freeContext(*sws);
        *sws = new_context(&wanted);
        *made_for = wanted;
        eq_memory_ignored();
    }
    if (!dst || (!*sws && eq_memory_short()))
        return eq_fail(err, EQ_NOMEM, "out of memory for frames of %d x %d pixels", f->width, f->height);
    if (!*sws)
        return eq_fail(err, EQ_FORMAT, "frames of %d x %d pixels in format %s cannot be converted", f->width, f->height,
                       av_get_pix_fmt_name(f->format) ? av_get_pix_fmt_name(f->format) : "?");
    const uint8_t *from[4];
    int from_strides[4], dst_strides[4] = {dst_stride};
    for (int i = 0; i < 4; i++) {
        from[i] = f->data[i];
        from_strides[i] = f->linesize[i];
    }
    if (s->wrong_neutral && !s->luma_only) {
        if (!make_neutral(c, (size_t)f->width * (size_t)f->height))
            return eq_fail(err, EQ_NOMEM, "out of memory for %d x %d pixels", f->width, f->height);
        from[1] = from[2] = c->neutral;
        from_strides[1] = from_strides[2] = f->width;
    }
    uint8_t *planes[4] = {dst};
    int rows = sws_scale(*sws, from, from_strides, 0, f->height, planes, dst_strides);
    eq_memory_ignored();
    return rows == height ? EQ_OK : eq_fail(err, EQ_FORMAT, "a frame cannot be resized to %d x %d", width, height);
}

/* To a square of dst_format in c->scratch, whose rows are padded because swscale's SIMD code may write past a row's
 * end. */
static enum eq_status scale_to_square(struct eq_frame_converter *c, const struct source *s,
                                      enum AVPixelFormat dst_format, struct eq_err *err)
{
    if (!c->scratch) {
        c->scratch_stride = (3 * c->size + 127) / 64 * 64;
        c->scratch = av_malloc((size_t)c->scratch_stride * (size_t)c->size + 64);
    }
    return scale(c, &c->sws, &c->made_for, s, c->size, c->size, dst_format, c->scratch, c->scratch_stride, err);
}

/* ---- turning --------------------------------------------------------------- */

static bool make_frame(AVFrame **f, enum AVPixelFormat format, int width, int height)
{
    if (*f && ((*f)->format != format || (*f)->width != width || (*f)->height != height))
        av_frame_free(f);
    if (*f)
        return true;
    *f = av_frame_alloc();
    if (!*f)
        return false;
    (*f)->format = format;
    (*f)->width = width;
    (*f)->height = height;
    (*f)->color_range = AVCOL_RANGE_JPEG;
    if (av_frame_get_buffer(*f, 64) < 0)
        av_frame_free(f);
    return *f != NULL;
}

/* The frame upright, in gray or RGB, in c->upright. */
static enum eq_status turn(struct eq_frame_converter *c, const struct source *s, struct eq_err *err)
{
    const AVFrame *f = s->frame;
    bool side = c->turned == 90 || c->turned == 270;
    enum AVPixelFormat format = s->luma_only ? AV_PIX_FMT_GRAY8 : AV_PIX_FMT_RGB24;
    if (!make_frame(&c->level, format, f->width, f->height) ||
        !make_frame(&c->upright, format, side ? f->height : f->width, side ? f->width : f->height))
        return eq_fail(err, EQ_NOMEM, "out of memory for a frame of %d x %d pixels", f->width, f->height);
    const AVFrame *level = s->luma_only ? f : c->level;
    if (!s->luma_only)
        EQ_CHECK(scale(c, &c->flat, &c->flat_made_for, s, f->width, f->height, format, c->level->data[0],
                       c->level->linesize[0], err));
    eq_frame_turn(level->data[0], level->linesize[0], f->width, f->height, s->luma_only ? 1 : 3, c->turned, c->mirrored,
                  c->upright->data[0], c->upright->linesize[0]);
    return EQ_OK;
}

/* ---- the square ------------------------------------------------------------ */

static void triple(const uint8_t *src, size_t n, uint8_t *dst)
{
    for (size_t i = 0; i < n; i++, dst += 3)
        dst[0] = dst[1] = dst[2] = src[i];
}

#if defined(__x86_64__)
/* 5.2 to 0.4 us for 112 x 112 pixels. */
__attribute__((target("avx2"))) static void triple_avx2(const uint8_t *src, size_t n, uint8_t *dst)
{
    const __m128i a = _mm_setr_epi8(0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4, 5),
                  b = _mm_setr_epi8(5, 5, 6, 6, 6, 7, 7, 7, 8, 8, 8, 9, 9, 9, 10, 10),
                  c = _mm_setr_epi8(10, 11, 11, 11, 12, 12, 12, 13, 13, 13, 14, 14, 14, 15, 15, 15);
    size_t i = 0;
    for (; i + 16 <= n; i += 16, dst += 48) {
        __m128i v = _mm_loadu_si128((const __m128i *)(src + i));
        _mm_storeu_si128((__m128i *)dst, _mm_shuffle_epi8(v, a));
        _mm_storeu_si128((__m128i *)(dst + 16), _mm_shuffle_epi8(v, b));
        _mm_storeu_si128((__m128i *)(dst + 32), _mm_shuffle_epi8(v, c));
    }
    triple(src + i, n - i, dst);
}
#endif

static void expand_gray(const uint8_t *src, int stride, int size, uint8_t *dst)
{
    void (*expand)(const uint8_t *, size_t, uint8_t *) = triple;
#if defined(__x86_64__)
    if (eq_cpu_use(EQ_ISA_AVX2))
        expand = triple_avx2;
#endif
    size_t n = (size_t)size;
    for (size_t y = 0; y < n; y++)
        expand(src + (ptrdiff_t)y * stride, n, dst + 3 * n * y);
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
    struct source s = look_at(frame);
    size_t side = (size_t)c->size;
    if (c->turned || c->mirrored) {
        EQ_CHECK(turn(c, &s, err));
        s = look_at(c->upright);
    }
    if (s.luma_only) {
        *gray = true;
        if (s.frame->width == c->size && s.frame->height == c->size) {
            expand_gray(s.frame->data[0], s.frame->linesize[0], c->size, dst);
            return EQ_OK;
        }
        EQ_CHECK(scale_to_square(c, &s, AV_PIX_FMT_GRAY8, err));
        expand_gray(c->scratch, c->scratch_stride, c->size, dst);
        return EQ_OK;
    }
    EQ_CHECK(scale_to_square(c, &s, AV_PIX_FMT_RGB24, err));
    for (size_t y = 0; y < side; y++)
        memcpy(dst + y * side * 3, c->scratch + y * (size_t)c->scratch_stride, side * 3);
    *gray = rgb_is_gray(dst, side * side);
    return EQ_OK;
}
