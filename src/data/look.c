/* How a clip looks, in a few numbers that tell other kinds of clips from those that a model was trained on. Sums are of
 * integers, so that they are exact in any order. */
#include "echoquant/data.h"

#include <math.h>
#include <stdlib.h>

/* At most this bright (0..255) is black: beside the cone, and behind bones. */
enum { BLACK = 16 };
/* Statistics that are named for a clip. */
enum { NAMED = 2 };

/* Pixels of a row that are taken at once: their sums fit 32 bits. */
enum { PART = 1024 };

struct sums {
    uint64_t squares, black, motion, detail, color, cells[EQ_LOOK_CELLS];
};

static int luma(const uint8_t *rgb)
{
    return (rgb[0] + 2 * rgb[1] + rgb[2]) / 4;
}

/* The first column of a column of cells; the same for rows. */
static int cell_begin(int cell, int size)
{
    return (cell * size + EQ_LOOK_SIDE - 1) / EQ_LOOK_SIDE;
}

/* Returns how far the pixels are from gray. */
static unsigned take_luma(const uint8_t *rgb, int n, uint8_t *out)
{
    unsigned color = 0;
    for (int i = 0; i < n; i++, rgb += 3) {
        out[i] = (uint8_t)luma(rgb);
        color += (unsigned)(abs(rgb[0] - rgb[1]) + abs(rgb[2] - rgb[1]));
    }
    return color;
}

static unsigned difference(const uint8_t *a, const uint8_t *b, int n)
{
    unsigned sum = 0;
    for (int i = 0; i < n; i++)
        sum += (unsigned)abs(a[i] - b[i]);
    return sum;
}

static unsigned total(const uint8_t *v, int n)
{
    unsigned sum = 0;
    for (int i = 0; i < n; i++)
        sum += v[i];
    return sum;
}

/* The pixels x..x + n - 1 of a row of one frame. rgb: the first of them. before: their luma in the frame before, NULL:
 * there is none. now: gets their luma. cells: of the row. */
static void add_part(struct sums *s, const uint8_t *rgb, int x, int n, int size, const uint8_t *before, uint8_t *now,
                     uint64_t *cells)
{
    unsigned squares = 0, black = 0;
    s->color += take_luma(rgb, n, now);
    for (int i = 0; i < n; i++)
        squares += (unsigned)(now[i] * now[i]);
    for (int i = 0; i < n; i++)
        black += now[i] <= BLACK;
    s->squares += squares;
    s->black += black;
    s->motion += before ? difference(now, before, n) : 0;
    s->detail += difference(now + 1, now, n - 1);
    s->detail += x > 0 ? (unsigned)abs(now[0] - luma(rgb - 3)) : 0;
    for (int c = 0; c < EQ_LOOK_SIDE; c++) {
        int begin = cell_begin(c, size) - x, end = cell_begin(c + 1, size) - x;
        begin = begin < 0 ? 0 : begin;
        end = end > n ? n : end;
        cells[c] += begin < end ? total(now + begin, end - begin) : 0;
    }
}

void eq_look_of(const uint8_t *pixels, int frames, int size, struct eq_look *out)
{
    struct sums s = {0};
    uint64_t sum = 0;
    uint8_t rows[2][PART];
    const size_t frame = 3 * (size_t)size * (size_t)size;
    for (int y = 0; y < size; y++)
        for (int x = 0; x < size; x += PART)
            for (int t = 0; t < frames; t++)
                add_part(&s, pixels + (size_t)t * frame + 3 * ((size_t)y * (size_t)size + (size_t)x), x,
                         size - x < PART ? size - x : PART, size, t > 0 ? rows[(t - 1) % 2] : NULL, rows[t % 2],
                         s.cells + y * EQ_LOOK_SIDE / size * EQ_LOOK_SIDE);
    for (int c = 0; c < EQ_LOOK_CELLS; c++)
        sum += s.cells[c];
    double n = (double)frames * size * size, mean = (double)sum / n;
    double moved = (double)(frames - 1) * size * size, neighbors = (double)frames * size * (size - 1);
    out->value[EQ_LOOK_BRIGHTNESS] = mean;
    out->value[EQ_LOOK_CONTRAST] = sqrt(fmax(0, (double)s.squares / n - mean * mean));
    out->value[EQ_LOOK_BLACK] = (double)s.black / n;
    out->value[EQ_LOOK_MOTION] = moved > 0 ? (double)s.motion / moved : 0;
    out->value[EQ_LOOK_DETAIL] = neighbors > 0 ? (double)s.detail / neighbors : 0;
    out->value[EQ_LOOK_COLOR] = (double)s.color / (2 * n);
    out->value[EQ_LOOK_LAYOUT] = 0; /* against others: eq_looks_of, eq_look_check */
    for (int c = 0; c < EQ_LOOK_CELLS; c++) {
        int row = c / EQ_LOOK_SIDE, column = c % EQ_LOOK_SIDE;
        double height = cell_begin(row + 1, size) - cell_begin(row, size),
               width = cell_begin(column + 1, size) - cell_begin(column, size), in_cell = frames * height * width;
        out->cells[c] = in_cell > 0 ? (double)s.cells[c] / in_cell : 0;
    }
}

/* Pearson's correlation of two layouts; 0 if one of them is flat. */
static double correlation(const double *a, const float *b)
{
    double mean_a = 0, mean_b = 0, aa = 0, bb = 0, ab = 0;
    for (int c = 0; c < EQ_LOOK_CELLS; c++) {
        mean_a += a[c] / EQ_LOOK_CELLS;
        mean_b += (double)b[c] / EQ_LOOK_CELLS;
    }
    for (int c = 0; c < EQ_LOOK_CELLS; c++) {
        double x = a[c] - mean_a, y = (double)b[c] - mean_b;
        aa += x * x;
        bb += y * y;
        ab += x * y;
    }
    return aa > 1e-6 && bb > 1e-6 ? ab / sqrt(aa * bb) : 0;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The quantiles 0.5 and 99.5 % (nearest rank): below 200 clips the extremes. */
static void take_range(double *sorted, size_t n, float *low, float *high)
{
    qsort(sorted, n, sizeof *sorted, ascending);
    size_t cut = n / 200;
    *low = (float)sorted[cut];
    *high = (float)sorted[n - 1 - cut];
}

bool eq_looks_of(struct eq_look *looks, size_t n, struct eq_looks *out)
{
    double *v = n ? malloc(n * sizeof *v) : NULL;
    *out = (struct eq_looks){0};
    if (!v)
        return n == 0;
    for (int c = 0; c < EQ_LOOK_CELLS; c++) {
        double sum = 0;
        for (size_t i = 0; i < n; i++)
            sum += looks[i].cells[c];
        out->cells[c] = (float)(sum / (double)n);
    }
    for (size_t i = 0; i < n; i++)
        looks[i].value[EQ_LOOK_LAYOUT] = correlation(looks[i].cells, out->cells);
    for (int k = 0; k < EQ_LOOK_COUNT; k++) {
        for (size_t i = 0; i < n; i++)
            v[i] = looks[i].value[k];
        take_range(v, n, &out->low[k], &out->high[k]);
    }
    out->clips = (int)n;
    free(v);
    return true;
}

bool eq_look_check(const struct eq_looks *trained, const uint8_t *pixels, int frames, int size, struct eq_str *why)
{
    struct eq_look look;
    int odd = 0;
    if (trained->clips == 0)
        return false;
    eq_look_of(pixels, frames, size, &look);
    look.value[EQ_LOOK_LAYOUT] = correlation(look.cells, trained->cells);
    for (int k = 0; k < EQ_LOOK_COUNT; k++) {
        double low = (double)trained->low[k], high = (double)trained->high[k], v = look.value[k];
        double margin = fmax(eq_look_kinds[k].margin, (high - low) * (0.25 + 10.0 / trained->clips));
        if (v >= low - margin && v <= high + margin)
            continue;
        if (why && odd < NAMED)
            eq_str_add(why, "%s%s %.3g, training clips %.3g to %.3g", odd ? "; " : "", eq_look_kinds[k].text, v, low,
                       high);
        odd++;
    }
    return odd > 0;
}
