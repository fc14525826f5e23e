/* The meaning of the kernels on u8 pixels. */
#include "kernels/fill.h"

struct normalize {
    const uint8_t *src;
    float *dst;
    float mean, inv_std;
};

static void normalize_span(const void *ctx, size_t lo, size_t hi)
{
    const struct normalize *j = ctx;
    for (size_t i = lo; i < hi; i++)
        j->dst[i] = ((float)j->src[i] - j->mean) * j->inv_std;
}

static void normalize(const uint8_t *src, size_t n, float mean, float inv_std, float *dst)
{
    eq_for_spans(n, normalize_span, &(struct normalize){src, dst, mean, inv_std});
}

static void moments(const uint8_t *src, size_t n, uint64_t *sum, uint64_t *sum_sq)
{
    *sum = *sum_sq = 0;
    for (size_t i = 0; i < n; i++) {
        *sum += src[i];
        *sum_sq += (uint64_t)src[i] * src[i];
    }
}

void eq_image_fill__ref(struct eq_image_table *table)
{
    table->normalize = normalize;
    table->moments = moments;
}
