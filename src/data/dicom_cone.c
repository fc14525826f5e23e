/*
 * The ultrasound sector in the pictures of a scanner's screen.
 *
 * EchoNet-Dynamic's conversion (Ouyang et al., "Video-based AI for beat-to-beat assessment of cardiac function", Nature
 * 580, 2020; notebook ConvertDICOMToAVI) cuts a square out of the middle and masks all outside of a fixed sector, which
 * suits one kind of screen. Here the sector is where the picture moves: speckle changes from frame to frame, text and
 * scales do not. In steps:
 *
 * 1. A pixel moves if its gray value changes by more than CHANGE between frames, in at least an eighth of the pairs of
 *    up to FRAMES frames spread over the clip. Colored pixels (ECG, color flow) don't count.
 * 2. A cell of a grid, at most CELLS by CELLS, moves if a third of its pixels do. Closing by 2 cells fills the gaps of
 *    quiet areas; opening by 2 cells removes lines, digits and what they connect.
 * 3. The largest connected area of cells is the sector, and its shape the convex hull of the moving pixels in it.
 */
#include "data/dicom.h"

#include <stdlib.h>
#include <string.h>

enum { FRAMES = 24, CHANGE = 8, COLORED = 24, CELLS = 192, CLOSE = 2, OPEN = 2, LEAST_PERCENT = 2 };

struct finder {
    int width, height, cell, across, down; /* pixels of the picture and of a cell's side; cells */
    uint8_t *rgb, *moved;                  /* [height][width]: in how many pairs */
    uint8_t *luma[2];                      /* of two frames; 0 where colored, see colored */
    uint8_t *colored[2];
    uint8_t *on, *scratch; /* [down][across] */
    int *stack;
    int need; /* pairs */
};

void eq_dicom_luma(const uint8_t *rgb, size_t pixels, uint8_t *luma)
{
    for (size_t i = 0; i < pixels; i++, rgb += 3)
        luma[i] = (uint8_t)((19595u * rgb[0] + 38470u * rgb[1] + 7471u * rgb[2] + 32768u) >> 16);
}

static void find_colored(const uint8_t *rgb, size_t pixels, uint8_t *colored)
{
    for (size_t i = 0; i < pixels; i++, rgb += 3) {
        int low = rgb[0] < rgb[1] ? rgb[0] : rgb[1], high = rgb[0] < rgb[1] ? rgb[1] : rgb[0];
        low = rgb[2] < low ? rgb[2] : low;
        high = rgb[2] > high ? rgb[2] : high;
        colored[i] = high - low > COLORED;
    }
}

static enum eq_status count_changes(struct finder *f, struct eq_dicom_reader *r, struct eq_err *err)
{
    int frames = r->info->frames < FRAMES ? r->info->frames : FRAMES;
    size_t pixels = (size_t)f->width * (size_t)f->height;
    f->need = (frames - 1 + 7) / 8;
    for (int k = 0; k < frames; k++) {
        uint8_t *now = f->luma[k % 2], *before = f->luma[(k + 1) % 2];
        int at = frames > 1 ? (int)((int64_t)k * (r->info->frames - 1) / (frames - 1)) : 0;
        EQ_CHECK(eq_dicom_reader_rgb(r, at, f->rgb, err));
        eq_dicom_luma(f->rgb, pixels, now);
        find_colored(f->rgb, pixels, f->colored[k % 2]);
        for (size_t i = 0; k && i < pixels; i++) {
            bool changed = abs(now[i] - before[i]) > CHANGE && !f->colored[0][i] && !f->colored[1][i];
            f->moved[i] = (uint8_t)(f->moved[i] + changed);
        }
    }
    return EQ_OK;
}

static bool moves(const struct finder *f, int x, int y)
{
    return f->moved[(size_t)y * (size_t)f->width + (size_t)x] >= f->need;
}

static void fill_grid(struct finder *f, const struct eq_rect *within)
{
    for (int cy = 0; cy < f->down; cy++) {
        for (int cx = 0; cx < f->across; cx++) {
            int count = 0, all = 0;
            for (int y = cy * f->cell; y < (cy + 1) * f->cell && y < f->height; y++) {
                for (int x = cx * f->cell; x < (cx + 1) * f->cell && x < f->width; x++) {
                    bool inside = within->width == 0 || (x >= within->x && x < within->x + within->width &&
                                                         y >= within->y && y < within->y + within->height);
                    count += inside && moves(f, x, y);
                    all++;
                }
            }
            f->on[cy * f->across + cx] = 3 * count >= all;
        }
    }
}

/* Every cell becomes `value` where a cell within `radius` (a square) has it; beyond the edges all are off. */
static void spread(struct finder *f, uint8_t value, int radius)
{
    size_t bytes = (size_t)f->across * (size_t)f->down;
    memcpy(f->scratch, f->on, bytes);
    for (int y = 0; y < f->down; y++) {
        for (int x = 0; x < f->across; x++) {
            bool near = false;
            for (int v = y - radius; v <= y + radius && !near; v++) {
                for (int u = x - radius; u <= x + radius && !near; u++) {
                    bool outside = v < 0 || u < 0 || v >= f->down || u >= f->across;
                    near = (outside ? 0 : f->scratch[v * f->across + u]) == value;
                }
            }
            if (near)
                f->on[y * f->across + x] = value;
        }
    }
}

/* Marks the connected area of a cell with `mark`; returns its cells. */
static int flood(struct finder *f, int start, uint8_t mark)
{
    int n = 0, count = 0;
    f->on[start] = mark;
    f->stack[n++] = start;
    while (n) {
        int at = f->stack[--n], x = at % f->across, y = at / f->across;
        const int next[4] = {x > 0 ? at - 1 : -1, x + 1 < f->across ? at + 1 : -1, y > 0 ? at - f->across : -1,
                             y + 1 < f->down ? at + f->across : -1};
        count++;
        for (int k = 0; k < 4; k++) {
            if (next[k] < 0 || f->on[next[k]] != 1)
                continue;
            f->on[next[k]] = mark;
            f->stack[n++] = next[k];
        }
    }
    return count;
}

/* Keeps the largest area only, as 3; false when there is none worth the name. */
static bool keep_largest(struct finder *f)
{
    int cells = f->across * f->down, best = 0, best_start = -1;
    for (int i = 0; i < cells; i++) {
        if (f->on[i] != 1)
            continue;
        int count = flood(f, i, 2);
        if (count > best) {
            best = count;
            best_start = i;
        }
    }
    if (best_start < 0 || (int64_t)100 * best < (int64_t)LEAST_PERCENT * cells)
        return false;
    for (int i = 0; i < cells; i++)
        f->on[i] = f->on[i] == 2;
    flood(f, best_start, 3);
    return true;
}

/* ---- the hull ---------------------------------------------------------------- */

struct point {
    int x, y;
};

/* Twice the area of the triangle, with a sign. */
static int64_t turn(struct point a, struct point b, struct point c)
{
    return (int64_t)(b.x - a.x) * (c.y - a.y) - (int64_t)(b.y - a.y) * (c.x - a.x);
}

/* One side of the hull (Andrew's monotone chain, by rows): the points with no other beyond them in the direction of
 * `sign` (-1: left, 1: right); returns how many. points: by ascending y, changed. */
static int chain(struct point *points, int n, int sign)
{
    int kept = 0;
    for (int i = 0; i < n; i++) {
        while (kept >= 2 && sign * turn(points[kept - 2], points[kept - 1], points[i]) <= 0)
            kept--;
        points[kept++] = points[i];
    }
    return kept;
}

/* x of the chain at row y, toward the outside. */
static int chain_x(const struct point *points, int n, int y, int sign)
{
    int k = 0;
    while (k + 2 < n && points[k + 1].y < y)
        k++;
    if (n == 1)
        return points[0].x;
    struct point a = points[k], b = points[k + 1];
    int64_t up = (int64_t)(b.x - a.x) * (y - a.y), down = b.y - a.y;
    int64_t floor = up / down - (up % down < 0);
    return a.x + (int)(sign < 0 || up % down == 0 ? floor : floor + 1);
}

static enum eq_status make_hull(const struct finder *f, struct eq_span *rows, struct eq_err *err)
{
    struct point *left = eq_alloc((size_t)f->height, sizeof *left), *right = eq_alloc((size_t)f->height, sizeof *right);
    int n = 0;
    for (int y = 0; left && right && y < f->height; y++) {
        int first = -1, last = -1;
        for (int x = 0; x < f->width; x++) {
            if (f->on[(y / f->cell) * f->across + x / f->cell] != 3 || !moves(f, x, y))
                continue;
            first = first < 0 ? x : first;
            last = x;
        }
        rows[y] = (struct eq_span){0, 0};
        if (first < 0)
            continue;
        left[n] = (struct point){first, y};
        right[n++] = (struct point){last, y};
    }
    enum eq_status st = left && right ? EQ_OK : eq_fail(err, EQ_NOMEM, "out of memory");
    if (st == EQ_OK && n) {
        int top = left[0].y, bottom = left[n - 1].y, n_left = chain(left, n, -1), n_right = chain(right, n, 1);
        for (int y = top; y <= bottom; y++)
            rows[y] = (struct eq_span){chain_x(left, n_left, y, -1), chain_x(right, n_right, y, 1) + 1};
    }
    eq_free(left);
    eq_free(right);
    return st;
}

enum eq_status eq_dicom_find_cone(struct eq_dicom_reader *r, struct eq_span *rows, struct eq_err *err)
{
    enum eq_status st = EQ_OK;
    struct finder f = {.width = r->info->width, .height = r->info->height};
    int side = f.width > f.height ? f.width : f.height;
    f.cell = side / CELLS > 1 ? (side + CELLS - 1) / CELLS : 2;
    f.across = (f.width + f.cell - 1) / f.cell;
    f.down = (f.height + f.cell - 1) / f.cell;
    size_t pixels = (size_t)f.width * (size_t)f.height, cells = (size_t)f.across * (size_t)f.down;
    f.rgb = eq_alloc(pixels, 3);
    f.moved = eq_alloc(pixels, 5);
    f.on = eq_alloc(cells, 2);
    f.stack = eq_alloc(cells, sizeof *f.stack);
    if (!f.rgb || !f.moved || !f.on || !f.stack)
        EQ_TRY(eq_fail(err, EQ_NOMEM, "%s: out of memory", r->name));
    for (int k = 0; k < 2; k++) {
        f.luma[k] = f.moved + (size_t)(1 + k) * pixels;
        f.colored[k] = f.moved + (size_t)(3 + k) * pixels;
    }
    f.scratch = f.on + cells;
    EQ_TRY(count_changes(&f, r, err));
    fill_grid(&f, &r->info->region);
    spread(&f, 1, CLOSE);
    spread(&f, 0, CLOSE + OPEN);
    spread(&f, 1, OPEN);
    if (!keep_largest(&f))
        EQ_TRY(eq_fail(err, EQ_FORMAT,
                       "%s: no ultrasound sector was found, since no large area moves; import it with --crop region or "
                       "--crop none",
                       r->name));
    EQ_TRY(make_hull(&f, rows, err));
out:
    eq_free(f.rgb);
    eq_free(f.moved);
    eq_free(f.on);
    eq_free(f.stack);
    return st;
}
