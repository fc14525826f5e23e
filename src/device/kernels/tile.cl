/*
 * Convolution as a product [rows x depth] * [depth x columns] in square tiles: a group of LX * LY work-items makes SIDE =
 * 4 * LX columns of as many rows; a work-item 4 columns of TALL rows in registers. A step is STEP words of depth, loaded
 * into registers while the step before it is computed from local memory, in two halves that alternate. There the words
 * of a step are [word][row] and [word][column], so that work-items read neighbors in 16 bytes.
 */
#define TILE_TALL(lx, ly) (4 * (lx) / (ly))
/* Words of local memory for both halves. A row of words ends in 4 more, so that transposing meets in fewer banks. */
#define TILE_A_PITCH(lx) (4 * (lx) + 4)
#define TILE_LOCAL(lx, step) (2 * (step) * (TILE_A_PITCH(lx) + 4 * (lx)))
/* Quads that a work-item moves in a step: of the source's rows, and as many of the weights. */
#define TILE_MOVES(ly, step) ((step) / (ly))
enum { TILE_TALLEST = 8, TILE_MOST_MOVES = 4 };

INLINE int4 dot4_of_4(uint x, uint4 w, int4 sum)
{
    return (int4)(dot4(x, w.x, sum.x), dot4(x, w.y, sum.y), dot4(x, w.z, sum.z), dot4(x, w.w, sum.w));
}

INLINE float4 fma_of_4(float x, float4 w, float4 sum)
{
    return (float4)(fma(x, w.x, sum.x), fma(x, w.y, sum.y), fma(x, w.z, sum.z), fma(x, w.w, sum.w));
}

/* Adds the words of a step. quads: those of its quads that are there. Four rows are written out: clang 14 unrolls a loop
 * over them too late for registers. */
INLINE void tile_multiply_u8(local const uint *a, local const uint *b, int quads, const int tall, const int a_pitch,
                             const int side, int4 *sums)
{
    for (int q = 0; q < quads; q++) {
#ifndef EQ_PATH_PLAIN /* compilers for CPUs take long over it */
#pragma unroll
#else
#pragma unroll 1
#endif
        for (int k = 0; k < 4; k++, a += a_pitch, b += side) {
            const uint4 w = *(local const uint4 *)b;
#pragma unroll
            for (int i = 0; i < tall; i += 4) {
                const uint4 x = *(local const uint4 *)(a + i);
                sums[i] = dot4_of_4(x.x, w, sums[i]);
                sums[i + 1] = dot4_of_4(x.y, w, sums[i + 1]);
                sums[i + 2] = dot4_of_4(x.z, w, sums[i + 2]);
                sums[i + 3] = dot4_of_4(x.w, w, sums[i + 3]);
            }
        }
    }
}

/* One chain of fma for each sum, depth ascending: the order of docs/QUANTIZATION.md for layers in FP32. */
INLINE void tile_multiply_f32(local const uint *a, local const uint *b, int quads, const int tall, const int a_pitch,
                              const int side, float4 *sums)
{
    for (int q = 0; q < quads; q++) {
#ifndef EQ_PATH_PLAIN
#pragma unroll
#else
#pragma unroll 1
#endif
        for (int k = 0; k < 4; k++, a += a_pitch, b += side) {
            const float4 w = as_float4(*(local const uint4 *)b);
#pragma unroll
            for (int i = 0; i < tall; i += 4) {
                const float4 x = as_float4(*(local const uint4 *)(a + i));
                sums[i] = fma_of_4(x.x, w, sums[i]);
                sums[i + 1] = fma_of_4(x.y, w, sums[i + 1]);
                sums[i + 2] = fma_of_4(x.z, w, sums[i + 2]);
                sums[i + 3] = fma_of_4(x.w, w, sums[i + 3]);
            }
        }
    }
}

/* What a work-item moves in a step. */
struct tile_moves {
    struct row row[TILE_MOST_MOVES];
    uint4 a[TILE_MOST_MOVES], b[TILE_MOST_MOVES];
};

/* The sizes of a tile: constants, after all functions are inlined. */
#define TILE_SIZES const int lx, const int ly, const int step_words
#define TILE_SAME lx, ly, step_words

INLINE void tile_load(struct tile_moves *t, const struct source *src, global const uint *weights, int columns,
                      int step, const int floats, TILE_SIZES)
{
    const int id = LOCAL_ID, threads = lx * ly, quads = step_words / 4;
#pragma unroll
    for (int j = 0; j < TILE_MOVES(ly, step_words); j++) {
        const int i = id + j * threads, q = quads * step + i % quads;
        const int word = step_words * step + i / lx;
        t->a[j] = floats ? float_quad_at(src, &t->row[j], q) : quad_at(src, &t->row[j], q);
        t->b[j] = *(global const uint4 *)(weights + (size_t)word * columns + i % lx * 4);
    }
}

INLINE void tile_store(const struct tile_moves *t, local uint *words, TILE_SIZES)
{
    const int id = LOCAL_ID, threads = lx * ly, quads = step_words / 4, pitch = TILE_A_PITCH(lx);
    local uint *b = words + step_words * pitch;
#pragma unroll
    for (int j = 0; j < TILE_MOVES(ly, step_words); j++) {
        const int i = id + j * threads;
        local uint *to = words + 4 * (i % quads) * pitch + i / quads;
        to[0] = t->a[j].x;
        to[pitch] = t->a[j].y;
        to[2 * pitch] = t->a[j].z;
        to[3 * pitch] = t->a[j].w;
        *(local uint4 *)(b + 4 * i) = t->b[j];
    }
}

/* Adds all steps of a group over the rows of moves. floats: whether sums are float4, not int4. */
INLINE void tile_sums(global const uchar *arena, const struct eq_device_step *s, const struct source *src,
                      struct tile_moves *moves, local uint *words, int4 *sums_u8, float4 *sums_f32, const int floats,
                      TILE_SIZES)
{
    const int side = 4 * lx, tall = TILE_TALL(lx, ly), quads = step_words / 4;
    const int pitch = TILE_A_PITCH(lx), b_at = step_words * pitch, half_words = TILE_LOCAL(lx, step_words) / 2;
    const int id = LOCAL_ID, columns = s->columns, depth = s->depth;
    global const uint *weights = (global const uint *)(arena + s->weights) + GROUP_Y * side;
    tile_load(moves, src, weights, columns, 0, floats, TILE_SAME);
    tile_store(moves, words, TILE_SAME);
    LOCAL_BARRIER();
    for (int q = 0, step = 0; q < depth; q += quads, step++) {
        local uint *now = words + (step & 1) * half_words, *next = words + (~step & 1) * half_words;
        const bool more = q + quads < depth;
        if (more)
            tile_load(moves, src, weights, columns, step + 1, floats, TILE_SAME);
        local const uint *a = now + id / lx * tall, *b = now + b_at + id % lx * 4;
        if (floats)
            tile_multiply_f32(a, b, more ? quads : depth - q, tall, pitch, side, sums_f32);
        else
            tile_multiply_u8(a, b, more ? quads : depth - q, tall, pitch, side, sums_u8);
        if (more)
            tile_store(moves, next, TILE_SAME);
        LOCAL_BARRIER();
    }
}

/* The rows of a group, as many as columns. */
INLINE struct tile_moves tile_rows(const struct eq_device_step *s, TILE_SIZES)
{
    struct tile_moves t;
#pragma unroll
    for (int j = 0; j < TILE_MOVES(ly, step_words); j++)
        t.row[j] = row_at(s, GROUP_X * 4 * lx + (LOCAL_ID + j * lx * ly) / (step_words / 4));
    return t;
}

INLINE void conv_u8(global uchar *arena, const struct eq_device_step *s, local uint *words, TILE_SIZES)
{
    const int tall = TILE_TALL(lx, ly);
    int4 sums[TILE_TALLEST];
#pragma unroll
    for (int i = 0; i < tall; i++)
        sums[i] = (int4)(0, 0, 0, 0);
    const struct source src = source_of(arena, s, (uint)s->source_zero * 0x01010101u);
    struct tile_moves moves = tile_rows(s, TILE_SAME);
    tile_sums(arena, s, &src, &moves, words, sums, 0, 0, TILE_SAME);
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
        const int4 sum = (int4)(sums[i].x - zero * weights.x, sums[i].y - zero * weights.y,
                                sums[i].z - zero * weights.z, sums[i].w - zero * weights.w);
        store_requantized4(arena, s, (size_t)(first + i) * s->out_words + column / 4, sum, m, b);
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

INLINE void conv_f32(global uchar *arena, const struct eq_device_step *s, local uint *words, TILE_SIZES)
{
    const int tall = TILE_TALL(lx, ly);
    float4 sums[TILE_TALLEST];
#pragma unroll
    for (int i = 0; i < tall; i++)
        sums[i] = (float4)(0, 0, 0, 0);
    const struct source src = source_of(arena, s, 0);
    struct tile_moves moves = tile_rows(s, TILE_SAME);
    tile_sums(arena, s, &src, &moves, words, 0, sums, 1, TILE_SAME);
    const int id = LOCAL_ID, column = (GROUP_Y * lx + id % lx) * 4, first = (GROUP_X * ly + id / lx) * tall;
    if (column >= s->out_channels)
        return;
    const float4 bias = *((global const float4 *)(arena + s->channels) + column / 4);
#pragma unroll
    for (int i = 0; i < tall; i++)
        if (first + i < s->rows)
            store_floats(arena, s, first + i, column, sums[i], bias);
}

/* 64 rows x 64 columns, and 32 x 32 where there would be too few groups of those (conv.c). */
KERNEL(conv_u8_64, 128)(EQ_ARGUMENTS)
{
    local __attribute__((aligned(16))) uint words[TILE_LOCAL(16, 16)];
    const struct eq_device_step s = steps[step];
    conv_u8(arena, &s, words, 16, 8, 16);
}

KERNEL(conv_u8_32, 64)(EQ_ARGUMENTS)
{
    local __attribute__((aligned(16))) uint words[TILE_LOCAL(8, 32)];
    const struct eq_device_step s = steps[step];
    conv_u8(arena, &s, words, 8, 8, 32);
}

KERNEL(conv_f32_64, 128)(EQ_ARGUMENTS)
{
    local __attribute__((aligned(16))) uint words[TILE_LOCAL(16, 16)];
    const struct eq_device_step s = steps[step];
    conv_f32(arena, &s, words, 16, 8, 16);
}

KERNEL(conv_f32_32, 64)(EQ_ARGUMENTS)
{
    local __attribute__((aligned(16))) uint words[TILE_LOCAL(8, 32)];
    const struct eq_device_step s = steps[step];
    conv_f32(arena, &s, words, 8, 8, 32);
}
