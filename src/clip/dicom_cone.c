/*
 * The ultrasound sector in the pictures of a scanner's screen.
 *
 * EchoNet-Dynamic's conversion (Ouyang et al., "Video-based AI for beat-to-beat assessment of cardiac function", Nature
 * 580, 2020; notebook ConvertDICOMToAVI) cuts a square out of the middle and masks all outside of a fixed sector, which
 * suits one kind of screen. Here the sector is where the picture moves: speckle changes from frame to frame, text and
 * scales do not. In steps:
 *
 * 1. A pixel moves if its luma changes by more than CHANGE between frames, in at least an eighth of the pairs of up to
 *    FRAMES frames spread over the clip.
 * 2. A cell of a grid, at most CELLS by CELLS, moves if a third of its pixels do. Closing by 2 cells fills the gaps of
 *    quiet areas; opening by 2 cells removes lines, digits and what they connect. Colored pixels have a grid of their
 *    own, opened by 4 % of the picture: color flow is thick, an ECG is not.
 * 3. The largest connected area of cells is the sector. Black blood can part the tip from it: areas above it that lie
 *    between its two sides, extended, belong to it as well.
 * 4. Its shape is the convex hull of the moving pixels in these cells.
 */
#include "clip/dicom.h"

#include <stdlib.h>
#include <string.h>

enum { FRAMES = 24, CHANGE = 8, COLORED = 24, CELLS = 192, CLOSE = 2, OPEN = 2, COLOR_PERCENT = 4, LEAST_PERCENT = 2 };

struct finder {
    int width, height, cell, across, down; /* pixels of the picture and of a cell's side; cells */
    uint8_t *rgb;                          /* of a frame */
    uint8_t *gray, *color;                 /* [height][width]: in how many pairs a gray or a colored pixel changed */
    uint8_t *luma[2], *colored[2];         /* [height][width], of two frames */
    uint8_t *on, *scratch, *thick;         /* [down][across]; on: 1 moves, 2 was counted, 3 belongs to the sector */
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
            uint8_t changed = abs(now[i] - before[i]) > CHANGE, colored = f->colored[0][i] | f->colored[1][i];
            f->gray[i] = (uint8_t)(f->gray[i] + (changed & !colored));
            f->color[i] = (uint8_t)(f->color[i] + (changed & colored));
        }
    }
    return EQ_OK;
}

static bool moves(const struct finder *f, int x, int y)
{
    size_t i = (size_t)y * (size_t)f->width + (size_t)x;
    return f->gray[i] + f->color[i] >= f->need;
}

/* changes: f->gray or f->color. */
static void fill_grid(struct finder *f, const uint8_t *changes, const struct eq_rect *within)
{
    for (int cy = 0; cy < f->down; cy++) {
        for (int cx = 0; cx < f->across; cx++) {
            int count = 0, all = 0;
            for (int y = cy * f->cell; y < (cy + 1) * f->cell && y < f->height; y++) {
                for (int x = cx * f->cell; x < (cx + 1) * f->cell && x < f->width; x++) {
                    bool inside = within->width == 0 || (x >= within->x && x < within->x + within->width &&
                                                         y >= within->y && y < within->y + within->height);
                    count += inside && changes[(size_t)y * (size_t)f->width + (size_t)x] >= f->need;
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

/* Marks the connected area of a cell, all of the same value, with `mark`; returns its cells. */
static int flood(struct finder *f, int start, uint8_t mark)
{
    int n = 0, count = 0;
    uint8_t value = f->on[start];
    f->on[start] = mark;
    f->stack[n++] = start;
    while (n) {
        int at = f->stack[--n], x = at % f->across, y = at / f->across;
        const int next[4] = {x > 0 ? at - 1 : -1, x + 1 < f->across ? at + 1 : -1, y > 0 ? at - f->across : -1,
                             y + 1 < f->down ? at + f->across : -1};
        count++;
        for (int k = 0; k < 4; k++) {
            if (next[k] < 0 || f->on[next[k]] != value)
                continue;
            f->on[next[k]] = mark;
            f->stack[n++] = next[k];
        }
    }
    return count;
}

/* Marks the largest area as 3, the others as 2; false when there is none worth the name. */
static bool mark_largest(struct finder *f)
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

struct edge {
    struct point from, step; /* the upper end, and from there to the lower end */
};

/* The longest edge of a chain of at least one point that leads outward, downward; its step is 0 if there is none. The
 * arc below, which leads inward, can have a longer one. */
static struct edge longest_edge(const struct point *points, int n, int sign)
{
    struct edge best = {points[0], {0, 0}};
    for (int i = 0; i + 1 < n; i++) {
        int64_t dx = points[i + 1].x - points[i].x, dy = points[i + 1].y - points[i].y;
        if (sign * dx > 0 &&
            dx * dx + dy * dy > (int64_t)best.step.x * best.step.x + (int64_t)best.step.y * best.step.y)
            best = (struct edge){points[i], {(int)dx, (int)dy}};
    }
    return best;
}

/* Where a point lies from the line through an edge: below 0 right of it, above 0 left of it. */
static int64_t side_of(const struct edge *e, int x, int y)
{
    return (int64_t)e->step.x * (y - e->from.y) - (int64_t)e->step.y * (x - e->from.x);
}

/* Two chains from top to bottom. */
struct hull {
    struct point *left, *right; /* [picture height] */
    int n_left, n_right, top, bottom;
};

static void find_hull(const struct finder *f, struct hull *h)
{
    int n = 0;
    for (int y = 0; y < f->height; y++) {
        int first = -1, last = -1;
        for (int x = 0; x < f->width; x++) {
            if (f->on[(y / f->cell) * f->across + x / f->cell] != 3 || !moves(f, x, y))
                continue;
            first = first < 0 ? x : first;
            last = x;
        }
        if (first < 0)
            continue;
        h->top = n == 0 ? y : h->top;
        h->bottom = y;
        h->left[n] = (struct point){first, y};
        h->right[n++] = (struct point){last, y};
    }
    h->n_left = chain(h->left, n, -1);
    h->n_right = chain(h->right, n, 1);
}

/* Whether cells above the hull, between its sides, have joined the sector. */
static bool take_tip(struct finder *f, const struct hull *h)
{
    bool taken = false;
    if (h->n_left == 0)
        return false;
    const struct edge left = longest_edge(h->left, h->n_left, -1), right = longest_edge(h->right, h->n_right, 1);
    if (left.step.x >= 0 || right.step.x <= 0) /* no sector: its sides don't meet above */
        return false;
    for (int i = 0; i < f->across * f->down; i++) {
        int x = i % f->across * f->cell + f->cell / 2, y = i / f->across * f->cell + f->cell / 2;
        if (f->on[i] != 2 || y >= h->top || side_of(&left, x, y) > 0 || side_of(&right, x, y) < 0)
            continue;
        f->on[i] = 3;
        taken = true;
    }
    return taken;
}

static enum eq_status make_hull(struct finder *f, struct eq_span *rows, struct eq_err *err)
{
    struct hull h = {.left = eq_alloc((size_t)f->height, sizeof *h.left),
                     .right = eq_alloc((size_t)f->height, sizeof *h.right)};
    enum eq_status st = h.left && h.right ? EQ_OK : eq_fail(err, EQ_NOMEM, "out of memory");
    memset(rows, 0, (size_t)f->height * sizeof *rows);
    if (st == EQ_OK) {
        find_hull(f, &h);
        if (take_tip(f, &h))
            find_hull(f, &h);
        for (int y = h.top; h.n_left && y <= h.bottom; y++)
            rows[y] = (struct eq_span){chain_x(h.left, h.n_left, y, -1), chain_x(h.right, h.n_right, y, 1) + 1};
    }
    eq_free(h.left);
    eq_free(h.right);
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
    f.gray = eq_alloc(pixels, 6);
    f.on = eq_alloc(cells, 3);
    f.stack = eq_alloc(cells, sizeof *f.stack);
    if (!f.rgb || !f.gray || !f.on || !f.stack)
        EQ_TRY(eq_fail(err, EQ_NOMEM, "%s: out of memory", r->name));
    f.color = f.gray + pixels;
    for (int k = 0; k < 2; k++) {
        f.luma[k] = f.gray + (size_t)(2 + k) * pixels;
        f.colored[k] = f.gray + (size_t)(4 + k) * pixels;
    }
    f.scratch = f.on + cells;
    f.thick = f.on + 2 * cells;
    EQ_TRY(count_changes(&f, r, err));
    int radius = (f.down < f.across ? f.down : f.across) * COLOR_PERCENT / 100;
    fill_grid(&f, f.color, &r->info->region);
    spread(&f, 0, radius > OPEN ? radius : OPEN);
    spread(&f, 1, radius > OPEN ? radius : OPEN);
    memcpy(f.thick, f.on, cells);
    fill_grid(&f, f.gray, &r->info->region);
    for (size_t i = 0; i < cells; i++)
        f.on[i] |= f.thick[i];
    spread(&f, 1, CLOSE);
    spread(&f, 0, CLOSE + OPEN);
    spread(&f, 1, OPEN);
    if (!mark_largest(&f))
        EQ_TRY(eq_fail(err, EQ_FORMAT,
                       "%s: no ultrasound sector was found, because no large area moves. Import it with --crop "
                       "region or --crop none",
                       r->name));
    EQ_TRY(make_hull(&f, rows, err));
out:
    eq_free(f.rgb);
    eq_free(f.gray);
    eq_free(f.on);
    eq_free(f.stack);
    return st;
}
