/*
 * Convolution as a product [rows x depth] * [depth x columns] in tiles: a group makes `across` = 4 * LX columns of LY *
 * TALL rows; a work-item TALL rows of 4 columns in registers. A step is 16 words of depth, loaded into registers while
 * the step before it is computed from local memory, in two halves that alternate. There the words of a step are [word]
 * [row] and [word][column], so that work-items read neighbors in 16 bytes.
 */
#define TILE_STEP 16 /* words */
/* Words of local memory for both halves. A row of words ends in 4 more, so that transposing meets in fewer banks. */
#define TILE_A_PITCH(tall, ly) ((tall) * (ly) + 4)
#define TILE_A_WORDS(tall, ly) (TILE_STEP * TILE_A_PITCH(tall, ly))
#define TILE_B_WORDS(lx) (TILE_STEP * 4 * (lx))
#define TILE_LOCAL(tall, lx, ly) (2 * (TILE_A_WORDS(tall, ly) + TILE_B_WORDS(lx)))

/* Adds the words of a step. quads: those of its 4 that are there. */
INLINE void tile_multiply_u8(local const uint *a, local const uint *b, int quads, const int tall, const int a_pitch,
                             const int across, int4 *sums)
{
    for (int q = 0; q < quads; q++) {
#ifndef EQ_PATH_PLAIN /* compilers for CPUs take long over it */
#pragma unroll
#else
#pragma unroll 1
#endif
        for (int k = 0; k < 4; k++, a += a_pitch, b += across) {
            const uint4 w = *(local const uint4 *)b;
#pragma unroll
            for (int i = 0; i < tall; i += 4) {
                const uint4 x = *(local const uint4 *)(a + i);
                sums[i] = (int4)(dot4(x.x, w.x, sums[i].x), dot4(x.x, w.y, sums[i].y), dot4(x.x, w.z, sums[i].z),
                                 dot4(x.x, w.w, sums[i].w));
                sums[i + 1] = (int4)(dot4(x.y, w.x, sums[i + 1].x), dot4(x.y, w.y, sums[i + 1].y),
                                     dot4(x.y, w.z, sums[i + 1].z), dot4(x.y, w.w, sums[i + 1].w));
                sums[i + 2] = (int4)(dot4(x.z, w.x, sums[i + 2].x), dot4(x.z, w.y, sums[i + 2].y),
                                     dot4(x.z, w.z, sums[i + 2].z), dot4(x.z, w.w, sums[i + 2].w));
                sums[i + 3] = (int4)(dot4(x.w, w.x, sums[i + 3].x), dot4(x.w, w.y, sums[i + 3].y),
                                     dot4(x.w, w.z, sums[i + 3].z), dot4(x.w, w.w, sums[i + 3].w));
            }
        }
    }
}

INLINE float4 fma4(float x, float4 w, float4 sum)
{
    return (float4)(fma(x, w.x, sum.x), fma(x, w.y, sum.y), fma(x, w.z, sum.z), fma(x, w.w, sum.w));
}

/* One chain of fma for each sum, depth ascending: the order of docs/QUANTIZATION.md for layers in FP32. */
INLINE void tile_multiply_f32(local const uint *a, local const uint *b, int quads, const int tall, const int a_pitch,
                              const int across, float4 *sums)
{
    for (int q = 0; q < quads; q++) {
#ifndef EQ_PATH_PLAIN /* compilers for CPUs take long over it */
#pragma unroll
#else
#pragma unroll 1
#endif
        for (int k = 0; k < 4; k++, a += a_pitch, b += across) {
            const float4 w = as_float4(*(local const uint4 *)b);
#pragma unroll
            for (int i = 0; i < tall; i += 4) {
                const float4 x = as_float4(*(local const uint4 *)(a + i));
                sums[i] = fma4(x.x, w, sums[i]);
                sums[i + 1] = fma4(x.y, w, sums[i + 1]);
                sums[i + 2] = fma4(x.z, w, sums[i + 2]);
                sums[i + 3] = fma4(x.w, w, sums[i + 3]);
            }
        }
    }
}

/* What a work-item moves in a step: two quads of the source's rows and two of the weights'. */
struct tile_moves {
    struct row row[2];
    uint4 a[2], b[2];
};

INLINE void tile_load(struct tile_moves *t, const struct source *src, global const uint *weights, int columns,
                      const int threads, const int across, const int floats, int step)
{
    int id = LOCAL_ID;
#pragma unroll
    for (int j = 0; j < 2; j++) {
        int i = id + j * threads, q = 4 * step + (i & 3);
        t->a[j] = floats ? float_quad_at(src, &t->row[j], q) : quad_at(src, &t->row[j], q);
        int word = i / (across / 4), column = i % (across / 4) * 4;
        t->b[j] = *(global const uint4 *)(weights + (size_t)(TILE_STEP * step + word) * columns + column);
    }
}

INLINE void tile_store(const struct tile_moves *t, local uint *a, local uint *b, const int threads, const int a_pitch)
{
    int id = LOCAL_ID;
#pragma unroll
    for (int j = 0; j < 2; j++) {
        int i = id + j * threads;
        local uint *to = a + 4 * (i & 3) * a_pitch + (i >> 2);
        to[0] = t->a[j].x;
        to[a_pitch] = t->a[j].y;
        to[2 * a_pitch] = t->a[j].z;
        to[3 * a_pitch] = t->a[j].w;
        *(local uint4 *)(b + 4 * i) = t->b[j];
    }
}

/* All steps of a group. floats: whether sums are float4 or int4. */
INLINE void tile_sums(global const uchar *arena, const struct eq_device_step *s, const struct source *src,
                      local uint *words, const int tall, const int lx, const int ly, const int floats, int4 *sums_u8,
                      float4 *sums_f32)
{
    const int threads = lx * ly, across = 4 * lx, pitch = TILE_A_PITCH(tall, ly);
    const int half_words = TILE_A_WORDS(tall, ly) + TILE_B_WORDS(lx);
    const int id = LOCAL_ID, columns = s->columns, depth = s->depth;
    global const uint *weights = (global const uint *)(arena + s->weights) + GROUP_Y * across;
    struct tile_moves moves;
    for (int j = 0; j < 2; j++)
        moves.row[j] = row_at(s, GROUP_X * tall * ly + ((id + j * threads) >> 2));
    tile_load(&moves, src, weights, columns, threads, across, floats, 0);
    tile_store(&moves, words, words + TILE_A_WORDS(tall, ly), threads, pitch);
    LOCAL_BARRIER();
    for (int q = 0, step = 0; q < depth; q += 4, step++) {
        local uint *now = words + (step & 1) * half_words, *next = words + (~step & 1) * half_words;
        const bool more = q + 4 < depth;
        if (more)
            tile_load(&moves, src, weights, columns, threads, across, floats, step + 1);
        local const uint *a = now + id / lx * tall, *b = now + TILE_A_WORDS(tall, ly) + id % lx * 4;
        const int quads = more ? 4 : depth - q;
        if (floats)
            tile_multiply_f32(a, b, quads, tall, pitch, across, sums_f32);
        else
            tile_multiply_u8(a, b, quads, tall, pitch, across, sums_u8);
        if (more)
            tile_store(&moves, next, next + TILE_A_WORDS(tall, ly), threads, pitch);
        LOCAL_BARRIER();
    }
}

INLINE void conv_u8(global uchar *arena, const struct eq_device_step *s, local uint *words, const int tall,
                    const int lx, const int ly)
{
    int4 sums[8];
    for (int i = 0; i < 8; i++)
        sums[i] = (int4)(0, 0, 0, 0);
    const struct source src = source_of(arena, s, (uint)s->source_zero * 0x01010101u);
    tile_sums(arena, s, &src, words, tall, lx, ly, 0, sums, 0);
    const int id = LOCAL_ID, column = (GROUP_Y * lx + id % lx) * 4, first = (GROUP_X * ly + id / lx) * tall;
    if (column >= s->out_channels)
        return;
    global const float *channels = (global const float *)(arena + s->channels) + column;
    const float4 m = *(global const float4 *)channels, b = *(global const float4 *)(channels + s->columns);
    const int4 weights = *(global const int4 *)(channels + 2 * s->columns);
    const int zero = s->source_zero - ZERO_SHIFT;
#pragma unroll
    for (int i = 0; i < tall; i++) {
        if (first + i >= s->rows)
            continue;
        const size_t at = (size_t)(first + i) * s->out_words + column / 4;
        const uint residual =
            s->flags & EQ_STEP_RESIDUAL ? ((global const uint *)(arena + s->residual))[at] : 0;
        const int4 sum = (int4)(sums[i].x - zero * weights.x, sums[i].y - zero * weights.y,
                                sums[i].z - zero * weights.z, sums[i].w - zero * weights.w);
        ((global uint *)(arena + s->target))[at] = requantized4(s, sum, m, b, residual);
    }
}

/* Bias, residual, ReLU in this order; then as floats, or as bytes by fake-quant's formula. */
INLINE void store_floats(global uchar *arena, const struct eq_device_step *s, int row, int column, float4 sum,
                         float4 bias)
{
    const size_t word = (size_t)row * ((s->out_channels + 3) / 4) + column / 4;
    const size_t at = (size_t)row * s->out_channels + column;
    const int n = s->out_channels - column < 4 ? s->out_channels - column : 4;
    float r[4];
    r[0] = sum.x + bias.x;
    r[1] = sum.y + bias.y;
    r[2] = sum.z + bias.z;
    r[3] = sum.w + bias.w;
    if (s->flags & EQ_STEP_RESIDUAL_BYTES) {
        const uint bytes = ((global const uint *)(arena + s->residual))[word];
        const float4 x = dequantized4(bytes, s->residual_zero, s->residual_scale);
        r[0] += x.x;
        r[1] += x.y;
        r[2] += x.z;
        r[3] += x.w;
    } else if (s->flags & EQ_STEP_RESIDUAL) {
        global const float *x = (global const float *)(arena + s->residual) + at;
#pragma unroll
        for (int i = 0; i < 4; i++)
            r[i] += i < n ? x[i] : 0;
    }
    if (s->flags & EQ_STEP_RELU)
#pragma unroll
        for (int i = 0; i < 4; i++)
            r[i] = r[i] > 0 ? r[i] : 0;
    if (s->flags & EQ_STEP_TARGET_BYTES) {
        uint out = 0;
#pragma unroll
        for (int i = 0; i < 4; i++)
            out |= quantized(r[i] * s->target_inverse, s->least, s->most, s->target_zero) << 8 * i;
        ((global uint *)(arena + s->target))[word] = out;
        return;
    }
    global float *to = (global float *)(arena + s->target) + at;
    if ((s->out_channels & 3) == 0)
        *(global float4 *)to = (float4)(r[0], r[1], r[2], r[3]);
    else
#pragma unroll
        for (int i = 0; i < 4; i++)
            if (i < n)
                to[i] = r[i];
}

INLINE void conv_f32(global uchar *arena, const struct eq_device_step *s, local uint *words, const int tall,
                     const int lx, const int ly)
{
    float4 sums[8];
    for (int i = 0; i < 8; i++)
        sums[i] = (float4)(0, 0, 0, 0);
    const struct source src = source_of(arena, s, 0);
    tile_sums(arena, s, &src, words, tall, lx, ly, 1, 0, sums);
    const int id = LOCAL_ID, column = (GROUP_Y * lx + id % lx) * 4, first = (GROUP_X * ly + id / lx) * tall;
    if (column >= s->out_channels)
        return;
    const float4 bias = *((global const float4 *)(arena + s->channels) + column / 4);
#pragma unroll
    for (int i = 0; i < tall; i++)
        if (first + i < s->rows)
            store_floats(arena, s, first + i, column, sums[i], bias);
}

/* 64 rows x 64 columns, and 32 x 32 where there would be too few groups of those (net_tiles.c). */
KERNEL(conv_u8_64, 128)(EQ_ARGUMENTS)
{
    local __attribute__((aligned(16))) uint words[TILE_LOCAL(8, 16, 8)];
    const struct eq_device_step s = steps[step];
    conv_u8(arena, &s, words, 8, 16, 8);
}

KERNEL(conv_u8_32, 64)(EQ_ARGUMENTS)
{
    local __attribute__((aligned(16))) uint words[TILE_LOCAL(4, 8, 8)];
    const struct eq_device_step s = steps[step];
    conv_u8(arena, &s, words, 4, 8, 8);
}

KERNEL(conv_f32_64, 128)(EQ_ARGUMENTS)
{
    local __attribute__((aligned(16))) uint words[TILE_LOCAL(8, 16, 8)];
    const struct eq_device_step s = steps[step];
    conv_f32(arena, &s, words, 8, 16, 8);
}

KERNEL(conv_f32_32, 64)(EQ_ARGUMENTS)
{
    local __attribute__((aligned(16))) uint words[TILE_LOCAL(4, 8, 8)];
    const struct eq_device_step s = steps[step];
    conv_f32(arena, &s, words, 4, 8, 8);
}
