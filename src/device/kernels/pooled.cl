/*
 * A convolution with the max pooling that alone reads it. A group makes some lines of some pooled pixels in some frames.
 * It goes down the convolution's lines below them: the rows of a pass are the pixels of a line in these frames. The
 * greatest sums of a window's lines stay in registers; then work-items pool along the line, through local memory. Bias,
 * ReLU and rounding keep the order of sums, so they come afterwards, for pooled pixels only.
 *
 * Two windows of a column share one line at most, which is then the first of the second (eq_device_pool_fits), and is
 * computed once.
 */
struct pooled {
    int clip, frame, x; /* where the group begins, in the pooled picture, */
    int left;           /* and in a line of the convolution's, perhaps outside of it */
    int line, last;     /* of the pooled picture: the one that is made, and the end of the group's */
    int y, fresh;       /* the convolution's line, and whether no line of the window came before it */
};

INLINE int groups_of(int all, int each)
{
    return (all + each - 1) / each;
}

/* The window's lines of a line of the pooled picture: top..end-1. */
INLINE int pooled_top(const struct eq_device_step *s, int line)
{
    const int y = line * s->pool_stride - s->pool_pad;
    return y > 0 ? y : 0;
}

INLINE int pooled_end(const struct eq_device_step *s, int line)
{
    const int y = line * s->pool_stride - s->pool_pad + s->pool_window;
    return y < s->out_height ? y : s->out_height;
}

INLINE struct pooled pooled_at(const struct eq_device_step *s)
{
    const int frames = groups_of(s->frames, s->pool_frames), across = groups_of(s->pool_width, s->pool_across);
    const int down = groups_of(s->pool_height, s->pool_down), lines = GROUP_X / frames / across;
    struct pooled p;
    p.clip = lines / down;
    p.frame = GROUP_X % frames * s->pool_frames;
    p.x = GROUP_X / frames % across * s->pool_across;
    p.left = p.x * s->pool_stride - s->pool_pad;
    p.line = lines % down * s->pool_down;
    p.last = p.line + s->pool_down < s->pool_height ? p.line + s->pool_down : s->pool_height;
    p.y = pooled_top(s, p.line);
    p.fresh = 1;
    return p;
}

/* Whether the line of the convolution is the last of its window. */
INLINE int pooled_whole(const struct eq_device_step *s, const struct pooled *p)
{
    return p->y + 1 == pooled_end(s, p->line);
}

/* Goes to the next line, and returns how far down it is. */
INLINE int pooled_next(const struct eq_device_step *s, struct pooled *p)
{
    const int y = p->y++;
    p->fresh = 0;
    if (p->y == pooled_end(s, p->line)) {
        const int top = pooled_top(s, ++p->line);
        p->fresh = top > y;
        p->y = p->fresh ? top : p->y;
    }
    return p->y - y;
}

/* Row m of a pass. Rows that no pooled pixel reads may be of pixels outside of the picture. */
INLINE struct row pooled_row(const struct eq_device_step *s, const struct pooled *p, int m)
{
    int t = p->frame + m % s->pool_frames;
    t = t < s->frames ? t : s->frames - 1;
    struct row r;
    r.y = p->y * s->stride - s->pad;
    r.x = (p->left + m / s->pool_frames) * s->stride - s->pad;
    r.at = (((p->clip * s->height + r.y) * s->width + r.x) * s->frames + t) * s->words;
    return r;
}

/* Moves a row some lines down. */
INLINE void row_down(const struct eq_device_step *s, struct row *r, int lines)
{
    r->y += lines * s->stride;
    r->at += lines * s->stride * s->width * s->frames * s->words;
}

INLINE int4 greater_sums(int4 a, int4 b)
{
    return (int4)(a.x > b.x ? a.x : b.x, a.y > b.y ? a.y : b.y, a.z > b.z ? a.z : b.z, a.w > b.w ? a.w : b.w);
}

/* A NaN is below all numbers here, since ReLU and quantized() make the least of it. */
INLINE float4 greater_floats(float4 a, float4 b)
{
    return (float4)(fmax(a.x, b.x), fmax(a.y, b.y), fmax(a.z, b.z), fmax(a.w, b.w));
}

/* Pools a line of greatest sums, shown[row of the pass][pitch], and stores the group's pixels of it. quads: columns of
 * the group, by four. */
INLINE void pool_line(global uchar *arena, const struct eq_device_step *s, const struct pooled *p,
                      local const uint4 *shown, const int pitch, const int quads, const int threads, const int floats)
{
    const int zero = s->source_zero - ZERO_SHIFT, items = s->pool_across * s->pool_frames * quads;
    for (int i = LOCAL_ID; i < items; i += threads) {
        const int t = i / quads % s->pool_frames, across = i / quads / s->pool_frames;
        const int column = (GROUP_Y * quads + i % quads) * 4;
        if (p->x + across >= s->pool_width || p->frame + t >= s->frames || column >= s->out_channels)
            continue;
        int x = across * s->pool_stride, end = x + s->pool_window;
        x = p->left + x > 0 ? x : -p->left;
        end = p->left + end < s->out_width ? end : s->out_width - p->left;
        local const uint4 *from = shown + t * pitch + i % quads;
        uint4 most = from[x * s->pool_frames * pitch];
        for (x++; x < end; x++) {
            const uint4 other = from[x * s->pool_frames * pitch];
            most = floats ? as_uint4(greater_floats(as_float4(most), as_float4(other)))
                          : as_uint4(greater_sums(as_int4(most), as_int4(other)));
        }
        const int row =
            ((p->clip * s->pool_height + p->line) * s->pool_width + p->x + across) * s->frames + p->frame + t;
        global const float *channels = (global const float *)(arena + s->channels) + column;
        if (floats) {
            store_floats(arena, s, row, column, as_float4(most), *(global const float4 *)channels);
            continue;
        }
        const int4 sum = as_int4(most), weights = *(global const int4 *)(channels + 2 * s->columns);
        const float4 r = scaled4((int4)(sum.x - zero * weights.x, sum.y - zero * weights.y, sum.z - zero * weights.z,
                                        sum.w - zero * weights.w),
                                 *(global const float4 *)channels, *(global const float4 *)(channels + s->columns));
        ((global uint *)(arena + s->target))[(size_t)row * s->out_words + column / 4] = quantized4(s, r);
    }
}

INLINE void conv_pool(global uchar *arena, const struct eq_device_step *s, local uint *words, const int floats,
                      TILE_SIZES)
{
    const int tall = TILE_TALL(lx, ly), threads = lx * ly, id = LOCAL_ID;
    int4 sums_u8[TILE_TALLEST], most_u8[TILE_TALLEST];
    float4 sums_f32[TILE_TALLEST], most_f32[TILE_TALLEST];
    const struct source src = source_of(arena, s, floats ? 0 : (uint)s->source_zero * 0x01010101u);
    struct pooled p = pooled_at(s);
    local uint4 *shown = (local uint4 *)words;
    struct tile_moves moves;
#pragma unroll
    for (int j = 0; j < TILE_MOVES(ly, step_words); j++)
        moves.row[j] = pooled_row(s, &p, (id + j * threads) / (step_words / 4));
    do { /* not while: PoCL 5.0 then computes something else (docs/RELIABILITY.md) */
#pragma unroll
        for (int i = 0; i < tall; i++)
            if (floats)
                sums_f32[i] = (float4)(0, 0, 0, 0);
            else
                sums_u8[i] = (int4)(0, 0, 0, 0);
        tile_sums(arena, s, &src, &moves, words, sums_u8, sums_f32, floats, TILE_SAME);
#pragma unroll
        for (int i = 0; i < tall; i++) {
            const int at = (id / lx * tall + i) * lx + id % lx;
            if (floats) {
                most_f32[i] = p.fresh ? sums_f32[i] : greater_floats(most_f32[i], sums_f32[i]);
                shown[at] = as_uint4(most_f32[i]);
            } else {
                most_u8[i] = p.fresh ? sums_u8[i] : greater_sums(most_u8[i], sums_u8[i]);
                shown[at] = as_uint4(most_u8[i]);
            }
        }
        LOCAL_BARRIER();
        if (pooled_whole(s, &p)) {
            pool_line(arena, s, &p, shown, lx, lx, threads, floats);
#pragma unroll
            for (int i = 0; i < tall; i++)
                if (floats)
                    most_f32[i] = sums_f32[i];
                else
                    most_u8[i] = sums_u8[i];
        }
        const int lines = pooled_next(s, &p);
#pragma unroll
        for (int j = 0; j < TILE_MOVES(ly, step_words); j++)
            row_down(s, &moves.row[j], lines);
        LOCAL_BARRIER();
    } while (p.line < p.last);
}

KERNEL(conv_pool_f32, 128)(EQ_ARGUMENTS)
{
    local __attribute__((aligned(16))) uint words[TILE_LOCAL(16, 16)];
    const struct eq_device_step s = steps[step];
    conv_pool(arena, &s, words, 1, 16, 8, 16);
}

KERNEL(conv_pool_u8, 128)(EQ_ARGUMENTS)
{
    local __attribute__((aligned(16))) uint words[TILE_LOCAL(16, 16)];
    const struct eq_device_step s = steps[step];
    conv_pool(arena, &s, words, 0, 16, 8, 16);
}
