/*
 * A DICOM frame as RGB, the pixels that pydicom gives.
 *
 * JPEG and JPEG 2000 go through FFmpeg's decoders, whose output is taken as the components that the file holds;
 * their meaning is that of the tag Photometric Interpretation, as in pydicom. Subsampled chroma of JPEG is interpolated
 * as libjpeg does it ("fancy upsampling", jdsample.c): weights 3/4 and 1/4.
 */
#include "clip/dicom.h"

#include <libavutil/imgutils.h>
#include <libavutil/pixdesc.h>

#include <errno.h>
#include <string.h>

/* ---- opening --------------------------------------------------------------- */

static enum AVCodecID codec_of(enum eq_dicom_coding coding)
{
    switch (coding) {
    case EQ_DICOM_JPEG:
        return AV_CODEC_ID_MJPEG;
    case EQ_DICOM_JPEG_2000:
        return AV_CODEC_ID_JPEG2000;
    default:
        return AV_CODEC_ID_NONE;
    }
}

static enum eq_status find_decoder(struct eq_dicom_reader *r, struct eq_err *err)
{
    enum AVCodecID id = codec_of(r->info->coding);
    if (id == AV_CODEC_ID_NONE)
        return EQ_OK;
    r->codec = avcodec_find_decoder(id);
    r->packet = av_packet_alloc();
    r->frame = av_frame_alloc();
    if (!r->codec)
        return eq_fail(err, EQ_UNSUPPORTED, "%s: this FFmpeg has no decoder for %s", r->name, avcodec_get_name(id));
    return r->packet && r->frame ? EQ_OK : eq_fail(err, EQ_NOMEM, "%s: out of memory", r->name);
}

enum eq_status eq_dicom_reader_open(struct eq_dicom_reader *r, const char *path, const struct eq_dicom_limits *limits,
                                    struct eq_err *err)
{
    *r = (struct eq_dicom_reader){.name = path};
    enum eq_status st;
    EQ_TRY(eq_dicom_open(path, limits, &r->file, err));
    r->info = eq_dicom_about(r->file);
    r->max_pixels = limits->pixels;
    EQ_TRY(eq_clip_check_pixels(path, (int64_t)r->info->width * r->info->height * r->info->frames, err));
    EQ_TRY(find_decoder(r, err));
out:
    if (st != EQ_OK)
        eq_dicom_reader_close(r);
    return st;
}

void eq_dicom_reader_close(struct eq_dicom_reader *r)
{
    av_frame_free(&r->frame);
    av_packet_free(&r->packet);
    if (r->file)
        eq_dicom_close(r->file);
    r->file = NULL;
}

/* ---- components: [height][width][3] ------------------------------------------ */

static void repeat(const uint8_t *src, ptrdiff_t stride, int width, int height, uint8_t *dst)
{
    for (int y = 0; y < height; y++, src += stride)
        for (int x = 0; x < width; x++, dst += 3)
            dst[0] = dst[1] = dst[2] = src[x];
}

/* A component of full size, every `step` bytes, into every third byte of dst. */
static void interleave(const uint8_t *src, ptrdiff_t stride, int step, int width, int height, uint8_t *dst)
{
    for (int y = 0; y < height; y++, src += stride)
        for (int x = 0; x < width; x++, dst += 3)
            *dst = src[(ptrdiff_t)x * step];
}

/* YBR_FULL_422 without compression: Y Y Cb Cr for two pixels. */
static void spread_pairs(const uint8_t *src, size_t pixels, uint8_t *dst)
{
    for (size_t i = 0; i + 1 < pixels; i += 2, src += 4, dst += 6) {
        dst[0] = src[0];
        dst[3] = src[1];
        dst[1] = dst[4] = src[2];
        dst[2] = dst[5] = src[3];
    }
}

static const uint8_t *row_of(const AVFrame *f, int plane, int y)
{
    return f->data[plane] + (ptrdiff_t)y * f->linesize[plane];
}

/* A row of sums at chroma resolution, 4 times the value, to full width. */
static void widen(const int *sum, int n, int width, int scale_bits, int round_left, int round_right, uint8_t *dst)
{
    for (int x = 0; x < width; x++) {
        int k = x / 2, near = sum[k];
        int other = x % 2 ? (k + 1 < n ? sum[k + 1] : near) : (k > 0 ? sum[k - 1] : near);
        dst[3 * (ptrdiff_t)x] = (uint8_t)((3 * near + other + (x % 2 ? round_right : round_left)) >> scale_bits);
    }
}

/* A chroma plane of half the width, and of half the height where `tall`; rounding as in jdsample.c. */
static void widen_chroma(const AVFrame *f, int plane, bool tall, int *sum, uint8_t *dst)
{
    int n = AV_CEIL_RSHIFT(f->width, 1), rows = AV_CEIL_RSHIFT(f->height, 1);
    for (int y = 0; y < f->height; y++, dst += 3 * (ptrdiff_t)f->width) {
        if (!tall) {
            const uint8_t *row = row_of(f, plane, y);
            for (int x = 0; x < n; x++)
                sum[x] = row[x];
            widen(sum, n, f->width, 2, 1, 2, dst);
            continue;
        }
        int k = y / 2, next = y % 2 ? (k + 1 < rows ? k + 1 : k) : (k > 0 ? k - 1 : k);
        const uint8_t *near = row_of(f, plane, k), *far = row_of(f, plane, next);
        for (int x = 0; x < n; x++)
            sum[x] = 3 * near[x] + far[x];
        widen(sum, n, f->width, 4, 8, 7, dst);
    }
}

/* Any other subsampling: each sample is repeated. */
static void repeat_chroma(const AVFrame *f, int plane, const AVPixFmtDescriptor *desc, uint8_t *dst)
{
    for (int y = 0; y < f->height; y++) {
        const uint8_t *row = row_of(f, plane, y >> desc->log2_chroma_h);
        for (int x = 0; x < f->width; x++, dst += 3)
            *dst = row[x >> desc->log2_chroma_w];
    }
}

static enum eq_status take_yuv(const AVFrame *f, const AVPixFmtDescriptor *desc, uint8_t *dst)
{
    interleave(f->data[0], f->linesize[0], 1, f->width, f->height, dst);
    bool triangle = desc->log2_chroma_w == 1 && desc->log2_chroma_h <= 1;
    int *sum = triangle ? eq_alloc((size_t)f->width / 2 + 1, sizeof *sum) : NULL;
    if (triangle && !sum)
        return EQ_NOMEM;
    for (int plane = 1; plane <= 2; plane++) {
        if (triangle)
            widen_chroma(f, plane, desc->log2_chroma_h == 1, sum, dst + plane);
        else
            repeat_chroma(f, plane, desc, dst + plane);
    }
    eq_free(sum);
    return EQ_OK;
}

/* *rgb: the picture says of itself that its components are red, green and blue. */
static enum eq_status take_picture(struct eq_dicom_reader *r, uint8_t *dst, bool *rgb, struct eq_err *err)
{
    const AVFrame *f = r->frame;
    int w = f->width, h = f->height;
    const AVPixFmtDescriptor *desc = av_pix_fmt_desc_get(f->format);
    bool bytes = desc && desc->comp[0].depth == 8 && !(desc->flags & (AV_PIX_FMT_FLAG_PAL | AV_PIX_FMT_FLAG_ALPHA));
    if (w != r->info->width || h != r->info->height)
        return eq_fail(err, EQ_FORMAT, "%s: a picture of %d x %d pixels, but its tags say %d x %d", r->name, w, h,
                       r->info->width, r->info->height);
    if (bytes && desc->nb_components == 1 && r->info->samples == 1) {
        repeat(f->data[0], f->linesize[0], w, h, dst);
        return EQ_OK;
    }
    if (bytes && desc->nb_components == 3 && r->info->samples == 3) {
        bool is_rgb = desc->flags & AV_PIX_FMT_FLAG_RGB;
        *rgb = f->format == AV_PIX_FMT_GBRP;
        if (!is_rgb && (desc->flags & AV_PIX_FMT_FLAG_PLANAR))
            return take_yuv(f, desc, dst) == EQ_OK ? EQ_OK : eq_fail(err, EQ_NOMEM, "%s: out of memory", r->name);
        for (int c = 0; c < 3 && is_rgb; c++)
            interleave(f->data[desc->comp[c].plane] + desc->comp[c].offset, f->linesize[desc->comp[c].plane],
                       desc->comp[c].step, w, h, dst + c);
        if (is_rgb)
            return EQ_OK;
    }
    return eq_fail(err, EQ_FORMAT, "%s: pictures in the form %s are not supported", r->name, desc ? desc->name : "?");
}

/* The picture is a JFIF file, which by definition is gray or YCbCr. Some writers tag it as RGB all the same. */
static bool is_jfif(const uint8_t *data, size_t len)
{
    for (size_t at = 2; at + 9 < len && data[at] == 0xff && data[at + 1] != 0xda;
         at += 2 + ((size_t)data[at + 2] << 8 | data[at + 3]))
        if (data[at + 1] == 0xe0 && memcmp(data + at + 4, "JFIF", 5) == 0)
            return true;
    return false;
}

/* A decoder of its own for each picture: what one sets (tables, flags) would stay for the next, and a damaged picture
 * would then depend on what was read before it. */
static int decode_alone(struct eq_dicom_reader *r, const uint8_t *data, size_t len)
{
    AVCodecContext *decoder = avcodec_alloc_context3(r->codec);
    if (!decoder)
        return AVERROR(ENOMEM);
    eq_clip_set_up_decoder(decoder, r->max_pixels);
    if (r->codec->id == AV_CODEC_ID_JPEG2000) /* bit-exact, its lossy wavelet is up to 4 away from OpenJPEG's, else 1 */
        decoder->flags &= ~AV_CODEC_FLAG_BITEXACT;
    decoder->err_recognition = AV_EF_EXPLODE; /* a damaged picture is an error */
    av_packet_unref(r->packet);
    r->packet->data = (uint8_t *)data; /* libavcodec copies what it keeps */
    r->packet->size = (int)len;
    r->packet->flags = AV_PKT_FLAG_KEY;
    int code = avcodec_open2(decoder, r->codec, NULL);
    if (code >= 0)
        code = avcodec_send_packet(decoder, r->packet);
    if (code >= 0)
        code = avcodec_receive_frame(decoder, r->frame);
    eq_memory_ignored();
    avcodec_free_context(&decoder);
    return code;
}

static enum eq_status decode(struct eq_dicom_reader *r, int i, const uint8_t *data, size_t len, struct eq_err *err)
{
    errno = 0; /* for eq_memory_ignored */
    int code = decode_alone(r, data, len);
    if (code == AVERROR(ENOMEM) || eq_memory_short())
        return eq_fail(err, EQ_NOMEM, "%s: out of memory", r->name);
    if (code == 0 && !r->frame->decode_error_flags)
        return EQ_OK;
    return eq_fail(err, EQ_FORMAT, "%s: frame %d is damaged (%s)", r->name, i, avcodec_get_name(r->codec->id));
}

static void take_native(const struct eq_dicom_info *info, const uint8_t *data, uint8_t *dst)
{
    size_t pixels = (size_t)info->width * (size_t)info->height;
    bool rle = info->coding == EQ_DICOM_RLE, jpeg_ls = info->coding == EQ_DICOM_JPEG_LS;
    if (info->samples == 1)
        repeat(data, info->width, info->width, info->height, dst);
    else if (info->color == EQ_DICOM_YBR_FULL_422 && info->coding == EQ_DICOM_NATIVE)
        spread_pairs(data, pixels, dst);
    else if (rle || (info->planar && !jpeg_ls))
        for (size_t c = 0; c < 3; c++)
            interleave(data + c * pixels, info->width, 1, info->width, info->height, dst + c);
    else
        memcpy(dst, data, 3 * pixels);
}

/* ---- colors ------------------------------------------------------------------ */

static uint8_t clamp(int v)
{
    return (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
}

/* a / b rounded down. */
static int floor_div(int a, int b)
{
    return a / b - (a % b < 0);
}

/* PS3.3, C.7.6.3.1.2, the nearest whole numbers, halves up: R = Y + 1.402 Cr, B = Y + 1.772 Cb,
 * G = Y - (0.114 * 1.772 Cb + 0.299 * 1.402 Cr) / 0.587, over Cb and Cr around 128. */
static void ybr_to_rgb(uint8_t *p, size_t pixels)
{
    int red[256], blue[256];
    for (int v = 0; v < 256; v++) {
        red[v] = floor_div(1402 * (v - 128) + 500, 1000);
        blue[v] = floor_div(1772 * (v - 128) + 500, 1000);
    }
    for (size_t i = 0; i < pixels; i++, p += 3) {
        int y = p[0], cb = p[1], cr = p[2];
        if (cb == 128 && cr == 128) { /* gray, as nearly all of an echocardiogram is */
            p[1] = p[2] = p[0];
            continue;
        }
        p[0] = clamp(y + red[cr]);
        p[1] = clamp(y + floor_div(293500 - 202008 * (cb - 128) - 419198 * (cr - 128), 587000));
        p[2] = clamp(y + blue[cb]);
    }
}

static void to_rgb(const struct eq_dicom_info *info, bool is_rgb, uint8_t *p)
{
    size_t pixels = (size_t)info->width * (size_t)info->height;
    switch (info->color) {
    case EQ_DICOM_MONOCHROME1:
        for (size_t i = 0; i < 3 * pixels; i++)
            p[i] = (uint8_t)(255 - p[i]);
        break;
    case EQ_DICOM_PALETTE:
        for (size_t i = 0; i < pixels; i++)
            memcpy(p + 3 * i, info->palette[p[3 * i]], 3);
        break;
    case EQ_DICOM_YBR_FULL:
    case EQ_DICOM_YBR_FULL_422:
        if (!is_rgb)
            ybr_to_rgb(p, pixels);
        break;
    case EQ_DICOM_MONOCHROME2:
    case EQ_DICOM_RGB:
    case EQ_DICOM_YBR_RCT:
    case EQ_DICOM_YBR_ICT:
        break;
    }
}

enum eq_status eq_dicom_reader_rgb(struct eq_dicom_reader *r, int i, uint8_t *rgb, struct eq_err *err)
{
    const uint8_t *data;
    size_t len;
    bool is_rgb = false;
    EQ_CHECK(eq_clip_watch(r->name, (size_t)r->info->width * (size_t)r->info->height, err));
    EQ_CHECK(eq_dicom_frame(r->file, i, &data, &len, err));
    if (r->codec) {
        EQ_CHECK(decode(r, i, data, len, err));
        EQ_CHECK(take_picture(r, rgb, &is_rgb, err));
        bool jpeg = r->info->coding == EQ_DICOM_JPEG && r->info->samples == 3;
        if (jpeg && r->info->color == EQ_DICOM_RGB && !is_rgb && is_jfif(data, len))
            ybr_to_rgb(rgb, (size_t)r->info->width * (size_t)r->info->height);
    } else {
        take_native(r->info, data, rgb);
    }
    to_rgb(r->info, is_rgb, rgb);
    return EQ_OK;
}

int eq_dicom_frame_at(const struct eq_dicom_info *info, int k)
{
    const double *t = info->time_ms;
    int last = info->frames - 1;
    if (!t || last < 1)
        return k;
    double at = t[last] * k / last;
    int lo = 0, hi = last; /* t[lo] <= at, and t[hi] >= at */
    while (hi - lo > 1) {
        int mid = lo + (hi - lo) / 2;
        if (t[mid] <= at)
            lo = mid;
        else
            hi = mid;
    }
    return at - t[lo] <= t[hi] - at ? lo : hi;
}
