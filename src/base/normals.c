/*
 * Many normals at once. Logarithm, cosine and square root are computed side by side in double precision; the result
 * differs from the C library's by far less than one part in 2^46. Where every number that near rounds to the same
 * float, that float is also the one that eq_rng_normal leads to (the test of Ziv, "Fast evaluation of elementary
 * mathematical functions with correctly rounded last bit", ACM TOMS 17, 1991). For the others, about one in 2^20, the
 * C library is asked. Polynomials and constants are those of fdlibm (e_log.c, k_sin.c, k_cos.c, e_rem_pio2.c).
 */
#include "base/normals.h"

#include <string.h>

/* Compiled once for each instruction set below. */
#define ALWAYS_INLINE static inline __attribute__((always_inline))

enum { LANES = 32 };
static const double TOLERANCE = 0x1p-46, NEAR_A_ZERO = 0x1p-30; /* of the cosine, where its argument is not exact */

/* The blocks of philox.h from the counter on: words[k][i] is word k of block i. */
ALWAYS_INLINE void draw_blocks(const struct eq_rng *r, uint32_t words[4][LANES])
{
    uint32_t k0 = r->key[0], k1 = r->key[1];
    uint32_t *restrict c0 = words[0], *restrict c1 = words[1], *restrict c2 = words[2], *restrict c3 = words[3];
    for (uint32_t i = 0; i < LANES; i++) {
        c0[i] = r->ctr[0] + i;
        c1[i] = r->ctr[1];
        c2[i] = r->ctr[2];
        c3[i] = r->ctr[3];
    }
    for (int round = 0; round < 10; round++) {
        for (int i = 0; i < LANES; i++) {
            uint64_t p0 = (uint64_t)0xD2511F53u * c0[i], p1 = (uint64_t)0xCD9E8D57u * c2[i];
            c0[i] = (uint32_t)(p1 >> 32) ^ c1[i] ^ k0;
            c1[i] = (uint32_t)p1;
            c2[i] = (uint32_t)(p0 >> 32) ^ c3[i] ^ k1;
            c3[i] = (uint32_t)p0;
        }
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
}

/* eq_rng_uniform: 27 bits and 26 bits, exact in every step. */
ALWAYS_INLINE double uniform_of(uint32_t high, uint32_t low)
{
    return ((double)(int32_t)(high >> 5) * 0x1p26 + (double)(int32_t)(low >> 6)) * 0x1p-53;
}

/* out[i] = log(u[i]) */
ALWAYS_INLINE void take_logarithms(const double *restrict u, double *restrict out)
{
    const uint64_t root = 0x3fe6a09e00000000, bias = (uint64_t)64 << 52, one = 0x4330000000000000; /* one: 2^52 */
    uint64_t m[LANES], e[LANES];
    double mantissa[LANES], exponent[LANES];
    memcpy(m, u, sizeof m);
    for (int i = 0; i < LANES; i++) { /* to [sqrt(1/2), sqrt(2)) */
        uint64_t shifted = (m[i] - root + bias) >> 52;
        m[i] += bias - (shifted << 52);
        e[i] = shifted | one;
    }
    memcpy(mantissa, m, sizeof m);
    memcpy(exponent, e, sizeof e);
    for (int i = 0; i < LANES; i++) {
        double k = exponent[i] - 0x1p52 - 64, f = mantissa[i] - 1, s = f / (2 + f), z = s * s, w = z * z;
        double even = w * (3.999999999940941908e-01 + w * (2.222219843214978396e-01 + w * 1.531383769920937332e-01));
        double odd =
            z * (6.666666666666735130e-01 +
                 w * (2.857142874366239149e-01 + w * (1.818357216161805012e-01 + w * 1.479819860511658591e-01)));
        double half = 0.5 * f * f;
        out[i] = k * 6.93147180369123816490e-01 -
                 ((half - (s * (half + (odd + even)) + k * 1.90821492927058770002e-10)) - f);
    }
}

/* out[i] = cos(x[i]), x in [0, 2 pi]; distance[i]: of x[i] from the nearest multiple of pi / 2. */
ALWAYS_INLINE void take_cosines(const double *restrict x, double *restrict out, double *restrict distance)
{
    const double magic = 0x1.8p52;
    for (int i = 0; i < LANES; i++) {
        double k = (x[i] * 6.36619772367581382433e-01 + magic) - magic;
        double y = (x[i] - k * 1.57079632673412561417e+00) - k * 6.07710050650619224932e-11, z = y * y;
        double sine = y + y * z *
                              (-1.66666666666666324348e-01 +
                               z * (8.33333333332248946124e-03 +
                                    z * (-1.98412698298579493134e-04 +
                                         z * (2.75573137070700676789e-06 +
                                              z * (-2.50507602534068634195e-08 + z * 1.58969099521155010221e-10)))));
        double rest = z * (4.16666666666666019037e-02 +
                           z * (-1.38888888888741095749e-03 +
                                z * (2.48015872894767294178e-05 +
                                     z * (-2.75573143513906633035e-07 +
                                          z * (2.08757232129817482790e-09 + z * -1.13596475577881948265e-11)))));
        double cosine = 1 - (0.5 * z - z * rest);
        const bool odd = (k == 1) | (k == 3), below = (k == 1) | (k == 2);
        double value = odd ? sine : cosine;
        out[i] = below ? -value : value;
        distance[i] = fabs(y);
    }
}

/* The normals of the next LANES blocks. */
ALWAYS_INLINE void make_normals(const struct eq_rng *r, float *restrict out)
{
    uint32_t words[4][LANES];
    double u[LANES], v[LANES], x[LANES], logarithm[LANES], cosine[LANES], distance[LANES];
    uint64_t unsure[LANES], any = 0;
    draw_blocks(r, words);
    for (int i = 0; i < LANES; i++) {
        u[i] = 1.0 - uniform_of(words[0][i], words[1][i]);
        v[i] = uniform_of(words[2][i], words[3][i]);
        x[i] = 6.283185307179586 * v[i];
    }
    take_logarithms(u, logarithm);
    take_cosines(x, cosine, distance);
    for (int i = 0; i < LANES; i++) {
        double value = sqrt(-2.0 * logarithm[i]) * cosine[i];
        float low = (float)(value * (1 - TOLERANCE)), high = (float)(value * (1 + TOLERANCE));
        out[i] = low;
        unsure[i] = (low != high) | !(distance[i] >= NEAR_A_ZERO) | !(u[i] < 1);
        any |= unsure[i];
    }
    for (int i = 0; any && i < LANES; i++)
        if (unsure[i])
            out[i] = (float)eq_normal_of(u[i], v[i]);
}

static void normals_plain(const struct eq_rng *r, float *out)
{
    make_normals(r, out);
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) static void normals_avx2(const struct eq_rng *r, float *out)
{
    make_normals(r, out);
}
#else
#define normals_avx2 normals_plain
#endif

/* Each takes one block of four words. */
void eq_rng_normals(struct eq_rng *r, size_t n, float *out)
{
    const bool wide = eq_cpu_use(EQ_ISA_AVX2);
    for (; n >= LANES && r->used >= 4; n -= LANES, out += LANES, r->ctr[0] += LANES)
        (wide ? normals_avx2 : normals_plain)(r, out);
    for (; n > 0; n--)
        *out++ = (float)eq_rng_normal(r);
}
