/* How a clip looks, in a few numbers that tell other kinds of clips from those that a model was trained on. Sums are of
 * integers, so that they are exact in any order. */
#include "echoquant/data.h"

#include <math.h>
#include <stdlib.h>

/* At most this bright (0..255) is black: beside the cone, and behind bones. */
enum { BLACK = 16 };
/* Statistics that are named for a clip. */
enum { NAMED = 2 };

static int luma(const uint8_t *rgb)
{
    return (rgb[0] + 2 * rgb[1] + rgb[2]) / 4;
}

void eq_look_of(const uint8_t *pixels, int frames, int size, struct eq_look *out)
{
    uint64_t sum = 0, squares = 0, black = 0, motion = 0, detail = 0, color = 0;
    uint64_t cells[EQ_LOOK_CELLS] = {0}, in_cell[EQ_LOOK_CELLS] = {0};
    const size_t frame = 3 * (size_t)size * (size_t)size;
    for (int t = 0; t < frames; t++)
        for (int y = 0; y < size; y++) {
            const uint8_t *row = pixels + (size_t)t * frame + 3 * (size_t)y * (size_t)size;
            for (int x = 0; x < size; x++) {
                const uint8_t *p = row + 3 * x;
                int v = luma(p), cell = y * EQ_LOOK_SIDE / size * EQ_LOOK_SIDE + x * EQ_LOOK_SIDE / size;
                sum += (uint64_t)v;
                squares += (uint64_t)(v * v);
                black += v <= BLACK;
                motion += t > 0 ? (uint64_t)abs(v - luma(p - frame)) : 0;
                detail += x > 0 ? (uint64_t)abs(v - luma(p - 3)) : 0;
                color += (uint64_t)(abs(p[0] - p[1]) + abs(p[2] - p[1]));
                cells[cell] += (uint64_t)v;
                in_cell[cell]++;
            }
        }
    double n = (double)frames * size * size, mean = (double)sum / n;
    double moved = (double)(frames - 1) * size * size, neighbors = (double)frames * size * (size - 1);
    out->value[EQ_LOOK_BRIGHTNESS] = mean;
    out->value[EQ_LOOK_CONTRAST] = sqrt(fmax(0, (double)squares / n - mean * mean));
    out->value[EQ_LOOK_BLACK] = (double)black / n;
    out->value[EQ_LOOK_MOTION] = moved > 0 ? (double)motion / moved : 0;
    out->value[EQ_LOOK_DETAIL] = neighbors > 0 ? (double)detail / neighbors : 0;
    out->value[EQ_LOOK_COLOR] = (double)color / (2 * n);
    out->value[EQ_LOOK_LAYOUT] = 0; /* against others: eq_looks_of, eq_look_check */
    for (int c = 0; c < EQ_LOOK_CELLS; c++)
        out->cells[c] = in_cell[c] ? (double)cells[c] / (double)in_cell[c] : 0;
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
