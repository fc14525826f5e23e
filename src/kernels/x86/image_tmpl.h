/* Template: kernels on u8 pixels. */
#include "kernels/fill.h"
#include "kernels/x86/vec.h"

struct normalize {
    const uint8_t *src;
    float *dst;
    float mean, inv_std;
};

static void normalize_span(const void *ctx, size_t lo, size_t hi)
{
    const struct normalize *j = ctx;
    vf mean = v_set1(j->mean), inv_std = v_set1(j->inv_std);
    for (; lo + VL <= hi; lo += VL)
        v_store(j->dst + lo, v_mul(v_sub(v_load_u8(j->src + lo), mean), inv_std));
    for (; lo < hi; lo++)
        j->dst[lo] = ((float)j->src[lo] - j->mean) * j->inv_std;
}

static void normalize(const uint8_t *src, size_t n, float mean, float inv_std, float *dst)
{
    eq_for_spans(n, normalize_span, &(struct normalize){src, dst, mean, inv_std});
}

enum { PIECES = 32 };

struct moments {
    const uint8_t *src;
    size_t n;
    uint64_t sum[PIECES], sum_sq[PIECES];
};

/* At most EQ_SPAN pixels: 1024 steps of at most 2 * 255^2 in each of 8 lanes stay far below 2^31. */
static void add_moments(const uint8_t *src, size_t n, uint64_t *sum, uint64_t *sum_sq)
{
    __m256i sums = _mm256_setzero_si256(), squares = _mm256_setzero_si256();
    size_t i = 0;
    for (; i + 16 <= n; i += 16) {
        __m128i bytes = _mm_loadu_si128((const __m128i *)(src + i));
        __m256i x = _mm256_cvtepu8_epi16(bytes);
        sums = _mm256_add_epi64(sums, _mm256_zextsi128_si256(_mm_sad_epu8(bytes, _mm_setzero_si128())));
        squares = _mm256_add_epi32(squares, _mm256_madd_epi16(x, x));
    }
    uint64_t wide[4];
    uint32_t narrow[8];
    _mm256_storeu_si256((__m256i *)wide, sums);
    _mm256_storeu_si256((__m256i *)narrow, squares);
    *sum += wide[0] + wide[1];
    for (int k = 0; k < 8; k++)
        *sum_sq += narrow[k];
    for (; i < n; i++) {
        *sum += src[i];
        *sum_sq += (uint64_t)src[i] * src[i];
    }
}

static void moments_piece(void *ctx, size_t piece, int worker)
{
    (void)worker;
    struct moments *j = ctx;
    size_t spans = (j->n + EQ_SPAN - 1) / EQ_SPAN;
    for (size_t span = spans * piece / PIECES; span < spans * (piece + 1) / PIECES; span++) {
        size_t at = span * EQ_SPAN, n = j->n - at < EQ_SPAN ? j->n - at : EQ_SPAN;
        add_moments(j->src + at, n, &j->sum[piece], &j->sum_sq[piece]);
    }
}

static void moments(const uint8_t *src, size_t n, uint64_t *sum, uint64_t *sum_sq)
{
    struct moments job = {.src = src, .n = n};
    eq_parallel_for(PIECES, moments_piece, &job);
    *sum = *sum_sq = 0;
    for (int i = 0; i < PIECES; i++) {
        *sum += job.sum[i];
        *sum_sq += job.sum_sq[i];
    }
}

void ISA_NAME(eq_image_fill)(struct eq_image_table *table)
{
    table->normalize = normalize;
    table->moments = moments;
}
