/* What of a picture is kept: a square, black outside of a shape, resized. */
#include "clip/dicom.h"

#include <libavutil/opt.h>
#include <libswscale/swscale.h>

#include <errno.h>
#include <string.h>

const char *const eq_crop_names[EQ_CROP_COUNT + 1] = {"cone", "region", "none", NULL};

enum { PADDING = 64, MAX_SIDE = 8192 };

static void keep_rect(struct eq_span *rows, const struct eq_rect *rect)
{
    for (int y = rect->y; y < rect->y + rect->height; y++)
        rows[y] = (struct eq_span){rect->x, rect->x + rect->width};
}

static struct eq_rect bounds_of(const struct eq_span *rows, int height)
{
    struct eq_rect b = {0};
    int right = 0;
    for (int y = 0; y < height; y++) {
        if (rows[y].left == rows[y].right)
            continue;
        if (b.height == 0)
            b = (struct eq_rect){rows[y].left, y, 0, 0};
        b.height = y - b.y + 1;
        b.x = rows[y].left < b.x ? rows[y].left : b.x;
        right = rows[y].right > right ? rows[y].right : right;
    }
    b.width = right - b.x;
    return b;
}

/* The smallest square around a rectangle, with the same middle. */
static struct eq_rect square_around(const struct eq_rect *b)
{
    int side = b->width > b->height ? b->width : b->height;
    return (struct eq_rect){b->x - (side - b->width) / 2, b->y - (side - b->height) / 2, side, side};
}

static enum eq_status choose(struct eq_dicom_view *v, struct eq_dicom_reader *r, enum eq_crop crop, bool mask,
                             struct eq_err *err)
{
    const struct eq_dicom_info *info = r->info;
    struct eq_rect whole = {0, 0, info->width, info->height}, rect = whole;
    if (crop == EQ_CROP_CONE) {
        EQ_CHECK(eq_dicom_find_cone(r, v->rows, err));
        rect = bounds_of(v->rows, info->height);
        if (!mask)
            keep_rect(v->rows, &whole);
    } else {
        if (crop == EQ_CROP_REGION)
            rect = info->region;
        if (rect.width == 0)
            return eq_fail(err, EQ_FORMAT,
                           "%s: its tags name no region with a two-dimensional picture; import it with "
                           "--crop cone or --crop none",
                           r->name);
        keep_rect(v->rows, &rect);
    }
    v->square = square_around(&rect);
    if (v->square.width > MAX_SIDE)
        return eq_fail(err, EQ_FORMAT, "%s: a region of %d x %d pixels exceeds the limit of %d pixels a side", r->name,
                       rect.width, rect.height, MAX_SIDE);
    return EQ_OK;
}

/* Ranges are set before swscale builds its filters (frame_convert.c says why). */
static bool open_scaler(struct eq_dicom_view *v)
{
    const struct {
        const char *name;
        int64_t value;
    } options[] = {{"srcw", v->square.width},
                   {"srch", v->square.height},
                   {"src_format", AV_PIX_FMT_GRAY8},
                   {"dstw", v->size},
                   {"dsth", v->size},
                   {"dst_format", AV_PIX_FMT_GRAY8},
                   {"src_range", 1},
                   {"dst_range", 1},
                   {"sws_flags", SWS_BICUBIC | SWS_ACCURATE_RND | SWS_BITEXACT}};
    eq_clip_set_up_ffmpeg();
    errno = 0; /* for eq_memory_ignored */
    v->sws = sws_alloc_context();
    for (size_t i = 0; v->sws && i < sizeof options / sizeof *options; i++)
        if (av_opt_set_int(v->sws, options[i].name, options[i].value, 0) < 0)
            return false;
    bool open = v->sws && sws_init_context(v->sws, NULL, NULL) >= 0;
    eq_memory_ignored();
    return open;
}

enum eq_status eq_dicom_view_open(struct eq_dicom_view *v, struct eq_dicom_reader *r, enum eq_crop crop, bool mask,
                                  int size, struct eq_err *err)
{
    enum eq_status st = EQ_OK;
    *v = (struct eq_dicom_view){.size = size};
    v->rows = eq_alloc((size_t)r->info->height, sizeof *v->rows);
    if (!v->rows)
        EQ_TRY(eq_fail(err, EQ_NOMEM, "%s: out of memory", r->name));
    EQ_TRY(choose(v, r, crop, mask, err));
    int longer = v->square.width > size ? v->square.width : size;
    v->stride = (longer + 2 * PADDING) / PADDING * PADDING;
    v->cut = eq_alloc((size_t)v->stride, (size_t)(v->square.height + size) + 1);
    if (!v->cut)
        EQ_TRY(eq_fail(err, EQ_NOMEM, "%s: out of memory", r->name));
    bool open = open_scaler(v);
    if (eq_memory_short())
        EQ_TRY(eq_fail(err, EQ_NOMEM, "%s: out of memory", r->name));
    if (!open)
        EQ_TRY(eq_fail(err, EQ_FORMAT, "%s: a square of %d x %d pixels cannot be resized to %d x %d", r->name,
                       v->square.width, v->square.height, size, size));
out:
    if (st != EQ_OK)
        eq_dicom_view_clear(v);
    return st;
}

void eq_dicom_view_clear(struct eq_dicom_view *v)
{
    sws_freeContext(v->sws);
    eq_free(v->rows);
    eq_free(v->cut);
    *v = (struct eq_dicom_view){0};
}

/* The square out of the picture into v->cut, black where it isn't kept. */
static void cut_square(struct eq_dicom_view *v, const struct eq_dicom_info *info, const uint8_t *rgb)
{
    const struct eq_rect *s = &v->square;
    for (int y = 0; y < s->height; y++) {
        uint8_t *row = v->cut + (size_t)y * (size_t)v->stride;
        int py = s->y + y;
        memset(row, 0, (size_t)v->stride);
        if (py < 0 || py >= info->height)
            continue;
        int left = v->rows[py].left > s->x ? v->rows[py].left : s->x;
        int right = v->rows[py].right < s->x + s->width ? v->rows[py].right : s->x + s->width;
        if (left < right)
            eq_dicom_luma(rgb + ((size_t)py * (size_t)info->width + (size_t)left) * 3, (size_t)(right - left),
                          row + (left - s->x));
    }
}

enum eq_status eq_dicom_view_apply(struct eq_dicom_view *v, const struct eq_dicom_info *info, const uint8_t *rgb,
                                   uint8_t *gray, struct eq_err *err)
{
    cut_square(v, info, rgb);
    uint8_t *scaled = v->cut + (size_t)v->square.height * (size_t)v->stride;
    const uint8_t *src[4] = {v->cut};
    uint8_t *dst[4] = {scaled};
    const int strides[4] = {v->stride};
    if (v->square.width == v->size) {
        scaled = v->cut;
    } else if (sws_scale(v->sws, src, strides, 0, v->square.height, dst, strides) != v->size) {
        return eq_fail(err, EQ_FORMAT, "a square of %d x %d pixels cannot be resized to %d x %d", v->square.width,
                       v->square.height, v->size, v->size);
    }
    for (int y = 0; y < v->size; y++)
        memcpy(gray + (size_t)y * (size_t)v->size, scaled + (size_t)y * (size_t)v->stride, (size_t)v->size);
    return EQ_OK;
}
