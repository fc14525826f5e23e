/* Words of four channels: products, rounding, and the loads that all convolutions share. */

/* ---- products of u8 with s8, exact in int32 -------------------------------- */

INLINE int byte_of(uint word, int i)
{
    return (int)(word >> 8 * i & 255);
}
INLINE int signed_byte_of(uint word, int i)
{
    return (int)(word << (24 - 8 * i)) >> 24;
}
INLINE int plain_dot4(uint a, uint b, int sum)
{
    return sum + byte_of(a, 0) * signed_byte_of(b, 0) + byte_of(a, 1) * signed_byte_of(b, 1) +
           byte_of(a, 2) * signed_byte_of(b, 2) + byte_of(a, 3) * signed_byte_of(b, 3);
}

/* What dot4 takes off every byte of a, because the device multiplies s8 by s8 only. */
#ifdef EQ_PATH_SDOT4
#define ZERO_SHIFT 128
#else
#define ZERO_SHIFT 0
#endif

INLINE int dot4(uint a, uint b, int sum)
{
#if defined(EQ_PATH_DP4A)
    int out;
    __asm__("dp4a.u32.s32 %0, %1, %2, %3;" : "=r"(out) : "r"(a), "r"(b), "r"(sum));
    return out;
#elif defined(EQ_PATH_DOT)
    return sum + dot(as_uchar4(a), as_char4(b));
#elif defined(EQ_PATH_SDOT4)
    return __builtin_amdgcn_sdot4((int)(a ^ 0x80808080u), (int)b, sum, false);
#else
    return plain_dot4(a, b, sum);
#endif
}

/* ---- rounding ---------------------------------------------------------------- */

/* Clamps between whole bounds before it rounds half to even, which gives the same. A NaN becomes the least. */
INLINE uint quantized(float r, float least, float most, int zero)
{
    r = r > least ? r : least;
    r = r < most ? r : most;
    return (uint)((int)rint(r) + zero);
}

/* docs/QUANTIZATION.md, section 1: four channels of an output, before a residual is added and they are rounded. */
INLINE float4 scaled4(int4 sum, float4 m, float4 b)
{
    return (float4)(fma((float)sum.x, m.x, b.x), fma((float)sum.y, m.y, b.y), fma((float)sum.z, m.z, b.z),
                    fma((float)sum.w, m.w, b.w));
}

INLINE float4 plus_residual4(const struct eq_device_step *s, uint word, float4 r)
{
    float by = s->residual_scale;
    int zero = s->residual_zero;
    return (float4)(fma((float)(byte_of(word, 0) - zero), by, r.x), fma((float)(byte_of(word, 1) - zero), by, r.y),
                    fma((float)(byte_of(word, 2) - zero), by, r.z), fma((float)(byte_of(word, 3) - zero), by, r.w));
}

INLINE uint quantized4(const struct eq_device_step *s, float4 r)
{
    float least = s->least, most = s->most;
    int zero = s->target_zero;
    return quantized(r.x, least, most, zero) | quantized(r.y, least, most, zero) << 8 |
           quantized(r.z, least, most, zero) << 16 | quantized(r.w, least, most, zero) << 24;
}

/* Word `at` of the target, from its sums. The residual is read and added in one branch: over two with the same condition,
 * PoCL 6.0 of Debian 13 aborts (docs/RELIABILITY.md). */
INLINE void store_requantized4(global uchar *arena, const struct eq_device_step *s, size_t at, int4 sum, float4 m,
                               float4 b)
{
    float4 r = scaled4(sum, m, b);
    if (s->flags & EQ_STEP_RESIDUAL)
        r = plus_residual4(s, ((global const uint *)(arena + s->residual))[at], r);
    ((global uint *)(arena + s->target))[at] = quantized4(s, r);
}

INLINE float4 dequantized4(uint word, int zero, float scale)
{
    return (float4)((float)(byte_of(word, 0) - zero) * scale, (float)(byte_of(word, 1) - zero) * scale,
                    (float)(byte_of(word, 2) - zero) * scale, (float)(byte_of(word, 3) - zero) * scale);
}

/* ---- the source of a convolution, as rows of a matrix ------------------------- */

/* A row: an output pixel in a frame. Where its window starts, perhaps outside of the picture. */
struct row {
    int at, y, x;
};

/* Rows beyond the last one read as the last. */
INLINE struct row row_at(const struct eq_device_step *s, int m)
{
    m = m < s->rows ? m : s->rows - 1;
    int t = m % s->frames, pixel = m / s->frames;
    int ox = pixel % s->out_width, line = pixel / s->out_width;
    struct row r;
    r.y = line % s->out_height * s->stride - s->pad;
    r.x = ox * s->stride - s->pad;
    r.at = (((line / s->out_height * s->height + r.y) * s->width + r.x) * s->frames + t) * s->words;
    return r;
}

/* What the loads of a group have in common. */
struct source {
    global const uint *words;
    global const int2 *taps; /* .x: words from the window's start, .y: row << 16 | column within the window */
    int height, width, load;
    uint4 outside;
    int zero;
    float scale;
};

INLINE bool tap_inside(const struct source *s, const struct row *r, int2 tap)
{
    return (uint)(r->y + (tap.y >> 16)) < (uint)s->height && (uint)(r->x + (tap.y & 0xffff)) < (uint)s->width;
}

INLINE uint word_at(const struct source *s, const struct row *r, int tap)
{
    int2 t = s->taps[tap];
    return tap_inside(s, r, t) ? s->words[r->at + t.x] : s->outside.x;
}

/* Words 4 q to 4 q + 3 of a row. */
INLINE uint4 quad_at(const struct source *s, const struct row *r, int q)
{
    if (s->load == EQ_STEP_QUADS) {
        int2 t = s->taps[q];
        return tap_inside(s, r, t) ? *(global const uint4 *)(s->words + r->at + t.x) : s->outside;
    }
    q *= 4;
    return (uint4)(word_at(s, r, q), word_at(s, r, q + 1), word_at(s, r, q + 2), word_at(s, r, q + 3));
}

/* The same for floats: those of a u8 edge are made here. */
INLINE uint4 float_quad_at(const struct source *s, const struct row *r, int q)
{
    if (s->load != EQ_STEP_BYTES)
        return quad_at(s, r, q);
    int2 t = s->taps[q];
    return tap_inside(s, r, t) ? as_uint4(dequantized4(s->words[r->at + t.x], s->zero, s->scale)) : s->outside;
}

INLINE struct source source_of(global const uchar *arena, const struct eq_device_step *s, uint outside)
{
    struct source out;
    out.words = (global const uint *)(arena + s->source);
    out.taps = (global const int2 *)(arena + s->taps);
    out.height = s->height;
    out.width = s->width;
    out.load = s->load;
    out.outside = (uint4)(outside, outside, outside, outside);
    out.zero = s->source_zero;
    out.scale = s->source_scale;
    return out;
}
