/* A picture of what was cut: before and after, side by side, as PNG. */
#include "clip/dicom.h"
#include "clip/still.h"

struct canvas {
    uint8_t *rgb; /* [height][width][3] */
    int width, height;
};

static void put(struct canvas *c, int x, int y, uint8_t r, uint8_t g, uint8_t b)
{
    if (x < 0 || y < 0 || x >= c->width || y >= c->height)
        return;
    uint8_t *p = c->rgb + ((size_t)y * (size_t)c->width + (size_t)x) * 3;
    p[0] = r;
    p[1] = g;
    p[2] = b;
}

static bool is_kept(const struct eq_dicom_view *v, int x, int y)
{
    const struct eq_rect *s = &v->square;
    return y >= s->y && y < s->y + s->height && x >= s->x && x < s->x + s->width && x >= v->rows[y].left &&
           x < v->rows[y].right;
}

/* The mean of what is not kept in a block of the picture; of a block that is kept whole, nothing. */
static void blur_block(const struct eq_dicom_view *v, const struct eq_dicom_info *info, const uint8_t *luma,
                       struct canvas *c, int x0, int y0, int side)
{
    unsigned long sum = 0, count = 0;
    int x1 = x0 + side < info->width ? x0 + side : info->width,
        y1 = y0 + side < info->height ? y0 + side : info->height;
    for (int pass = 0; pass < 2; pass++) {
        uint8_t mean = (uint8_t)(count ? (sum + count / 2) / count : 0);
        for (int y = y0; y < y1; y++) {
            for (int x = x0; x < x1; x++) {
                uint8_t value = luma[(size_t)y * (size_t)info->width + (size_t)x];
                bool kept = is_kept(v, x, y);
                sum += pass || kept ? 0 : value;
                count += !pass && !kept;
                if (pass)
                    put(c, x, y, kept ? value : mean, kept ? value : mean, kept ? value : mean);
            }
        }
    }
}

/* Text on a scanner's screen is a thirtieth to a sixtieth of the longer side high: a block holds several letters. */
static void draw_before(const struct eq_dicom_view *v, const struct eq_dicom_info *info, const uint8_t *luma,
                        struct canvas *c)
{
    int longer = info->width > info->height ? info->width : info->height, side = longer / 20 > 8 ? longer / 20 : 8;
    for (int y = 0; y < info->height; y += side)
        for (int x = 0; x < info->width; x += side)
            blur_block(v, info, luma, c, x, y, side);
}

static void draw_borders(const struct eq_dicom_view *v, const struct eq_dicom_info *info, struct canvas *c)
{
    const struct eq_rect *s = &v->square;
    for (int y = 0; y < info->height; y++) {
        for (int x = 0; x < info->width; x++) {
            bool edge = is_kept(v, x, y) &&
                        (x == 0 || y == 0 || x + 1 == info->width || y + 1 == info->height || !is_kept(v, x - 1, y) ||
                         !is_kept(v, x + 1, y) || !is_kept(v, x, y - 1) || !is_kept(v, x, y + 1));
            bool frame = (x == s->x || x == s->x + s->width - 1) && y >= s->y && y < s->y + s->height;
            frame |= (y == s->y || y == s->y + s->height - 1) && x >= s->x && x < s->x + s->width;
            if (edge)
                put(c, x, y, 255, 200, 0);
            else if (frame)
                put(c, x, y, 0, 160, 255);
        }
    }
}

/* The clip's frame, each pixel repeated, in the right part of the canvas. */
static void draw_after(const uint8_t *gray, int size, int left, struct canvas *c)
{
    int scale = c->height / size > 0 ? c->height / size : 1;
    for (int y = 0; y < size * scale; y++)
        for (int x = 0; x < size * scale; x++) {
            uint8_t value = gray[(size_t)(y / scale) * (size_t)size + (size_t)(x / scale)];
            put(c, left + x, y, value, value, value);
        }
}

enum eq_status eq_dicom_view_picture(struct eq_dicom_view *v, const struct eq_dicom_info *info, const uint8_t *rgb,
                                     const char *path, struct eq_err *err)
{
    enum eq_status st = EQ_OK;
    enum { GAP = 8 };
    size_t pixels = (size_t)info->width * (size_t)info->height;
    int scale = info->height / v->size > 0 ? info->height / v->size : 1;
    struct canvas c = {.width = info->width + GAP + v->size * scale,
                       .height = info->height > v->size ? info->height : v->size};
    uint8_t *luma = eq_alloc(pixels, 1), *gray = eq_alloc((size_t)v->size, (size_t)v->size);
    c.rgb = eq_alloc((size_t)c.width * (size_t)c.height, 3);
    if (!luma || !gray || !c.rgb)
        EQ_TRY(eq_fail(err, EQ_NOMEM, "%s: out of memory", path));
    eq_dicom_luma(rgb, pixels, luma);
    EQ_TRY(eq_dicom_view_apply(v, info, rgb, gray, err));
    draw_before(v, info, luma, &c);
    draw_borders(v, info, &c);
    draw_after(gray, v->size, info->width + GAP, &c);
    EQ_TRY(eq_png_write(path, c.rgb, c.width, c.height, err));
out:
    eq_free(luma);
    eq_free(gray);
    eq_free(c.rgb);
    return st;
}
