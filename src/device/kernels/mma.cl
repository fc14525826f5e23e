/*
 * INT8 convolutions on NVIDIA's tensor cores: mma.sync on u8 x s8. A warp of 32 lanes makes 32 rows of 32 columns; a
 * group has four, side by side (64 x 64), or where there are few tiles all four on the same 32 x 32, each with a part of
 * the depth, whose sums are added at the end: integers are exact. A warp's step is 16 words of depth. Local memory holds
 * the rows of both sides word by word ([row][16 words], eq_fragment_place), in two halves that alternate; afterwards
 * the sums, from which work-items requantize words that are neighbors in memory.
 */
#ifdef EQ_MMA
#ifdef EQ_PATH_MMA16
#define MMA_ROWS 16
#define MMA_WORDS 8
#define MMA_A 4 /* registers of a lane */
#define MMA_B 2
#define MMA_SUMS 4
#else
#define MMA_ROWS 8
#define MMA_WORDS 4
#define MMA_A 1
#define MMA_B 1
#define MMA_SUMS 2
#endif
#define MMA_THREADS 128
#define MMA_DOWN (32 / MMA_ROWS) /* products that make a warp's 32 x 32 sums */
#define MMA_ACROSS 4
#define MMA_SUM_PITCH(warps) (32 * (warps) + 8)
/* Words of local memory: two halves of both sides, or the sums. */
#define MMA_TILES(wm, wn, wk) (2 * 16 * 32 * ((wm) + (wn)) * (wk))
#define MMA_SUMS_WORDS(wm, wn, wk) ((wk) * 32 * (wm) * MMA_SUM_PITCH(wn))
#define MMA_LOCAL(wm, wn, wk)                                                                                          \
    (MMA_TILES(wm, wn, wk) > MMA_SUMS_WORDS(wm, wn, wk) ? MMA_TILES(wm, wn, wk) : MMA_SUMS_WORDS(wm, wn, wk))

struct mma_fragments {
    uint a[MMA_DOWN][MMA_A], b[MMA_ACROSS][MMA_B];
};
struct mma_sums {
    int at[MMA_DOWN][MMA_ACROSS][MMA_SUMS];
};

#ifdef EQ_MMA_EMULATED
/* The instruction's meaning after the tables of the PTX ISA, written apart from fragment.h: every lane shows its
 * registers to the others, then makes its own sums. */
#define MMA_SHOWN (MMA_DOWN * MMA_A + MMA_ACROSS * MMA_B)
#define MMA_EXCHANGE_WORDS (MMA_THREADS * MMA_SHOWN)

INLINE void mma(struct mma_sums *sums, const struct mma_fragments *f, local uint *exchange)
{
    local uint *mine = exchange + LOCAL_ID * MMA_SHOWN, *warp = exchange + (LOCAL_ID & ~31) * MMA_SHOWN;
    const int group = (LOCAL_ID & 31) >> 2, in_group = LOCAL_ID & 3;
    for (int i = 0; i < MMA_DOWN * MMA_A; i++)
        mine[i] = f->a[i / MMA_A][i % MMA_A];
    for (int i = 0; i < MMA_ACROSS * MMA_B; i++)
        mine[MMA_DOWN * MMA_A + i] = f->b[i / MMA_B][i % MMA_B];
    LOCAL_BARRIER();
    for (int down = 0; down < MMA_DOWN; down++)
        for (int across = 0; across < MMA_ACROSS; across++)
            for (int i = 0; i < MMA_SUMS; i++) {
                /* c0, c1: row groupID; c2, c3: row groupID + 8; columns threadID_in_group * 2 + (i & 1). */
                const int row = i < 2 ? group : group + 8, column = in_group * 2 + (i & 1);
                int sum = sums->at[down][across][i];
                for (int k = 0; k < MMA_WORDS; k++) {
                    /* a0: k 0..15 of rows 0..7, a1: of rows 8..15, a2 and a3: k 16..31; b0: k 0..15, b1: k 16..31. */
                    const int a = (row >= 8 ? 1 : 0) + (k >= 4 ? 2 : 0), b = k >= 4 ? 1 : 0;
                    const int a_lane = row % 8 * 4 + k % 4, b_lane = column * 4 + k % 4;
                    sum = plain_dot4(warp[a_lane * MMA_SHOWN + down * MMA_A + a],
                                     warp[b_lane * MMA_SHOWN + MMA_DOWN * MMA_A + across * MMA_B + b], sum);
                }
                sums->at[down][across][i] = sum;
            }
    LOCAL_BARRIER();
}
#else
#define MMA_EXCHANGE_WORDS 1
INLINE void mma(struct mma_sums *sums, const struct mma_fragments *f, local uint *exchange)
{
    (void)exchange;
#pragma unroll
    for (int down = 0; down < MMA_DOWN; down++)
#pragma unroll
        for (int across = 0; across < MMA_ACROSS; across++) {
            int *d = sums->at[down][across];
            const uint *a = f->a[down], *b = f->b[across];
#ifdef EQ_PATH_MMA16
            __asm__ volatile("mma.sync.aligned.m16n8k32.row.col.s32.u8.s8.s32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
                             "{%8, %9}, {%0, %1, %2, %3};"
                             : "+r"(d[0]), "+r"(d[1]), "+r"(d[2]), "+r"(d[3])
                             : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#else
            __asm__ volatile("mma.sync.aligned.m8n8k16.row.col.s32.u8.s8.s32 {%0, %1}, {%2}, {%3}, {%0, %1};"
                             : "+r"(d[0]), "+r"(d[1])
                             : "r"(a[0]), "r"(b[0]));
#endif
        }
}
#endif

/* What a work-item moves in a step: MOVES quads of each side. Both sides have as many rows. */
struct mma_moves {
    struct row row[4];
    uint4 a[4], b[4];
};

INLINE void mma_load(struct mma_moves *t, const struct source *src, global const uint *weights, int weights_pitch,
                     const int wk, const int moves, int step)
{
    const int id = LOCAL_ID, quads = 4 * wk;
#pragma unroll
    for (int j = 0; j < moves; j++) {
        const int i = id + j * MMA_THREADS, q = quads * step + i % quads;
        t->a[j] = quad_at(src, &t->row[j], q);
        t->b[j] = *(global const uint4 *)(weights + (size_t)(i / quads) * weights_pitch + 4 * q);
    }
}

/* Each of the wk parts of the depth has [rows][16 words] of its own. */
INLINE void mma_store(const struct mma_moves *t, local uint *a, local uint *b, const int rows, const int wk,
                      const int moves)
{
    const int id = LOCAL_ID, quads = 4 * wk;
#pragma unroll
    for (int j = 0; j < moves; j++) {
        const int i = id + j * MMA_THREADS, row = i / quads, q = i % quads;
        const int at = (q / 4 * rows + row) * 16 + eq_fragment_place(row, q % 4 * 4);
        *(local uint4 *)(a + at) = t->a[j];
        *(local uint4 *)(b + at) = t->b[j];
    }
}

/* One step of a warp: a, b its 32 rows of 16 words on either side. */
INLINE void mma_step(struct mma_sums *sums, local const uint *a, local const uint *b, local uint *exchange)
{
    const int lane = LOCAL_ID & 31;
#ifndef EQ_MMA_EMULATED
#pragma unroll
#endif
    for (int k = 0; k < 16; k += MMA_WORDS) {
        struct mma_fragments f;
#pragma unroll
        for (int i = 0; i < MMA_DOWN; i++)
#pragma unroll
            for (int r = 0; r < MMA_A; r++) {
                const int row = MMA_ROWS * i + eq_fragment_a_row(lane, r);
                f.a[i][r] = a[row * 16 + eq_fragment_place(row, k + eq_fragment_a_word(lane, r))];
            }
#pragma unroll
        for (int i = 0; i < MMA_ACROSS; i++)
#pragma unroll
            for (int r = 0; r < MMA_B; r++) {
                const int column = 8 * i + eq_fragment_b_column(lane);
                f.b[i][r] = b[column * 16 + eq_fragment_place(column, k + eq_fragment_b_word(lane, r))];
            }
        mma(sums, &f, exchange);
    }
}

INLINE void mma_show_sums(const struct mma_sums *sums, local int *to, const int pitch)
{
    const int lane = LOCAL_ID & 31;
#pragma unroll
    for (int i = 0; i < MMA_DOWN; i++)
#pragma unroll
        for (int k = 0; k < MMA_ACROSS; k++)
#pragma unroll
            for (int r = 0; r < MMA_SUMS; r++)
                to[(MMA_ROWS * i + eq_fragment_sum_row(lane, r)) * pitch + 8 * k + eq_fragment_sum_column(lane, r)] =
                    sums->at[i][k][r];
}

/* The group's outputs, a word for a work-item at a time. */
INLINE void mma_finish(global uchar *arena, const struct eq_device_step *s, local const int *sums, const int rows,
                       const int across, const int pitch, const int wk)
{
    const int zero = s->source_zero, words = across / 4;
    for (int i = LOCAL_ID; i < rows * words; i += MMA_THREADS) {
        const int row = i / words, m = GROUP_X * rows + row, column = GROUP_Y * across + i % words * 4;
        if (m >= s->rows || column >= s->out_channels)
            continue;
        int4 sum = (int4)(0, 0, 0, 0);
        for (int part = 0; part < wk; part++)
            sum += *(local const int4 *)(sums + (part * rows + row) * pitch + i % words * 4);
        global const float *channels = (global const float *)(arena + s->channels) + column;
        const int4 weights = *(global const int4 *)(channels + 2 * s->columns);
        sum = (int4)(sum.x - zero * weights.x, sum.y - zero * weights.y, sum.z - zero * weights.z,
                     sum.w - zero * weights.w);
        store_requantized4(arena, s, (size_t)m * s->out_words + column / 4, sum, *(global const float4 *)channels,
                           *(global const float4 *)(channels + s->columns));
    }
}

/* How the warps of a group share its tile: wm * wn of them a part of the depth, wk parts. */
#define MMA_SHARES const int wm, const int wn, const int wk
#define MMA_SAME wm, wn, wk

/* All steps of a group over the rows of moving. */
INLINE void mma_all(global const uchar *arena, const struct eq_device_step *s, const struct source *src,
                    struct mma_moves *moving, struct mma_sums *sums, local uint *words, local uint *exchange,
                    MMA_SHARES)
{
    const int rows = 32 * wm, across = 32 * wn, moves = rows * wk / 32, half_words = MMA_TILES(wm, wn, wk) / 2;
    const int b_at = 16 * rows * wk, pitch = 4 * s->depth;
    const int warp = LOCAL_ID >> 5, part = warp / (wm * wn), down = warp / wn % wm, right = warp % wn;
    global const uint *weights = (global const uint *)(arena + s->weights) + (size_t)GROUP_Y * across * pitch;
#pragma unroll
    for (int i = 0; i < MMA_DOWN; i++)
#pragma unroll
        for (int k = 0; k < MMA_ACROSS; k++)
#pragma unroll
            for (int r = 0; r < MMA_SUMS; r++)
                sums->at[i][k][r] = 0;
    mma_load(moving, src, weights, pitch, wk, moves, 0);
    mma_store(moving, words, words + b_at, rows, wk, moves);
    LOCAL_BARRIER();
    const int steps = s->depth / (4 * wk);
    for (int step = 0; step < steps; step++) {
        local uint *now = words + (step & 1) * half_words, *next = words + (~step & 1) * half_words;
        const bool more = step + 1 < steps;
        if (more)
            mma_load(moving, src, weights, pitch, wk, moves, step + 1);
        mma_step(sums, now + (part * rows + 32 * down) * 16, now + b_at + (part * across + 32 * right) * 16, exchange);
        if (more)
            mma_store(moving, next, next + b_at, rows, wk, moves);
        LOCAL_BARRIER();
    }
}

/* The sums of all warps in local memory, [part][row][MMA_SUM_PITCH(wn)]. */
INLINE void mma_show(const struct mma_sums *sums, local int *shown, MMA_SHARES)
{
    const int warp = LOCAL_ID >> 5, row = warp / (wm * wn) * 32 * wm + warp / wn % wm * 32;
    mma_show_sums(sums, shown + row * MMA_SUM_PITCH(wn) + warp % wn * 32, MMA_SUM_PITCH(wn));
    LOCAL_BARRIER();
}

INLINE void conv_mma(global uchar *arena, const struct eq_device_step *s, local uint *words, local uint *exchange,
                     MMA_SHARES)
{
    const int rows = 32 * wm;
    const struct source src = source_of(arena, s, (uint)s->source_zero * 0x01010101u);
    local int *shown = (local int *)words;
    struct mma_moves moving;
    struct mma_sums sums;
#pragma unroll
    for (int j = 0; j < rows * wk / 32; j++)
        moving.row[j] = row_at(s, GROUP_X * rows + (LOCAL_ID + j * MMA_THREADS) / (4 * wk));
    mma_all(arena, s, &src, &moving, &sums, words, exchange, MMA_SAME);
    mma_show(&sums, shown, MMA_SAME);
    mma_finish(arena, s, shown, rows, 32 * wn, MMA_SUM_PITCH(wn), wk);
}

INLINE void mma_greater(struct mma_sums *most, const struct mma_sums *sums, int fresh)
{
#pragma unroll
    for (int i = 0; i < MMA_DOWN; i++)
#pragma unroll
        for (int k = 0; k < MMA_ACROSS; k++)
#pragma unroll
            for (int r = 0; r < MMA_SUMS; r++)
                if (fresh || sums->at[i][k][r] > most->at[i][k][r])
                    most->at[i][k][r] = sums->at[i][k][r];
}

/* conv_pool of pooled.cl, 64 rows x 64 columns. */
INLINE void mma_pool(global uchar *arena, const struct eq_device_step *s, local uint *words, local uint *exchange)
{
    enum { WM = 2, WN = 2, MOVES = 2 };
    const struct source src = source_of(arena, s, (uint)s->source_zero * 0x01010101u);
    struct pooled p = pooled_at(s);
    struct mma_moves moving;
    struct mma_sums sums, most;
#pragma unroll
    for (int j = 0; j < MOVES; j++)
        moving.row[j] = pooled_row(s, &p, (LOCAL_ID + j * MMA_THREADS) / 4);
    do { /* as in pooled.cl */
        mma_all(arena, s, &src, &moving, &sums, words, exchange, WM, WN, 1);
        mma_greater(&most, &sums, p.fresh);
        mma_show(&most, (local int *)words, WM, WN, 1);
        if (pooled_whole(s, &p)) {
            pool_line(arena, s, &p, (local const uint4 *)words, MMA_SUM_PITCH(WN) / 4, 16, MMA_THREADS, 0);
            mma_greater(&most, &sums, 1);
        }
        const int lines = pooled_next(s, &p);
#pragma unroll
        for (int j = 0; j < MOVES; j++)
            row_down(s, &moving.row[j], lines);
        LOCAL_BARRIER();
    } while (p.line < p.last);
}

KERNEL(conv_mma_64, MMA_THREADS)(EQ_ARGUMENTS)
{
    local __attribute__((aligned(16))) uint words[MMA_LOCAL(2, 2, 1)];
    local uint exchange[MMA_EXCHANGE_WORDS];
    const struct eq_device_step s = steps[step];
    conv_mma(arena, &s, words, exchange, 2, 2, 1);
}

KERNEL(conv_mma_32, MMA_THREADS)(EQ_ARGUMENTS)
{
    local __attribute__((aligned(16))) uint words[MMA_LOCAL(1, 1, 4)];
    local uint exchange[MMA_EXCHANGE_WORDS];
    const struct eq_device_step s = steps[step];
    conv_mma(arena, &s, words, exchange, 1, 1, 4);
}

KERNEL(conv_mma_pool, MMA_THREADS)(EQ_ARGUMENTS)
{
    local __attribute__((aligned(16))) uint words[MMA_LOCAL(2, 2, 1)];
    local uint exchange[MMA_EXCHANGE_WORDS];
    const struct eq_device_step s = steps[step];
    mma_pool(arena, &s, words, exchange);
}
#endif
