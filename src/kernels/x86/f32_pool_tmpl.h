/* Template: pooling. A pixel is tc = t * c neighboring values; a piece is a row of pixels. */
#include "kernels/f32_pool.h"
#include "kernels/x86/f32_unpool.h"

/* ---- max pooling --------------------------------------------------------- */

/* A window's pixels that lie inside the picture, and their tap numbers. */
struct window {
    const float *px[EQ_POOL_TAPS];
    int tap[EQ_POOL_TAPS], n;
};

static struct window window_of(const struct pool_job *j, int b, int oy, int ox)
{
    struct window win = {.n = 0};
    struct eq_tap_range ry = eq_taps_inside(oy, j->p.stride, j->p.pad, j->p.k, j->p.h);
    struct eq_tap_range rx = eq_taps_inside(ox, j->p.stride, j->p.pad, j->p.k, j->p.w);
    for (int ky = ry.lo; ky < ry.hi; ky++)
        for (int kx = rx.lo; kx < rx.hi; kx++) {
            win.tap[win.n] = ky * j->p.k + kx;
            win.px[win.n++] = j->in + eq_pool_src_at(&j->p, b, oy, ky, ox, kx);
        }
    return win;
}

/* Applied to each value before pooling: nothing, or batch norm and ReLU as bn_apply does them. */
struct norm {
    bool on;
    vf mean, scale, beta;
};

ALWAYS_INLINE vf normed(const struct norm *norm, vf x)
{
    return norm->on ? v_max(v_zero(), v_fma(v_sub(x, norm->mean), norm->scale, norm->beta)) : x;
}

/* The first of the greatest, or a NaN when there is one. */
ALWAYS_INLINE void max_of(const struct window *win, const struct norm *norm, size_t i, int n, float *y, uint8_t *argmax)
{
    vf best = normed(norm, v_load_n(win->px[0] + i, n)), tap = v_set1((float)win->tap[0]);
    for (int k = 1; k < win->n; k++) {
        vf x = normed(norm, v_load_n(win->px[k] + i, n));
        vcond wins = v_or(v_gt(x, best), v_is_nan(x));
        best = v_select(wins, x, best);
        tap = v_select(wins, v_set1((float)win->tap[k]), tap);
    }
    v_store_n(y + i, n, best);
    if (argmax)
        v_store_u8_n(argmax + i, n, tap);
}

static void max_forward_row(void *ctx, size_t row, int worker)
{
    (void)worker;
    const struct pool_job *j = ctx;
    for (int ox = 0; ox < j->p.ow; ox++) {
        struct window win = window_of(j, (int)(row / j->p.oh), (int)(row % j->p.oh), ox);
        size_t at = (row * j->p.ow + ox) * j->p.tc, i = 0, n = (size_t)j->p.tc;
        uint8_t *argmax = j->argmax ? j->argmax + at : NULL;
        const struct norm none = {.on = false};
        for (; i + VL <= n; i += VL)
            max_of(&win, &none, i, VL, j->out + at, argmax);
        if (i < n)
            max_of(&win, &none, i, (int)(n - i), j->out + at, argmax);
    }
}

/* Asks for the values from i on of the pixels that the window before does not have. */
ALWAYS_INLINE void prefetch_new(const struct pool_job *j, const struct window *win, size_t i)
{
    for (int k = 0; k < win->n; k++)
        if (win->tap[k] % j->p.k >= j->p.k - j->p.stride)
            v_prefetch(win->px[k] + i);
}

static void normed_max_row(void *ctx, size_t row, int worker)
{
    (void)worker;
    const struct pool_job *j = ctx;
    const struct eq_bn *bn = j->bn;
    int b = (int)(row / j->p.oh), oy = (int)(row % j->p.oh);
    struct window win = window_of(j, b, oy, 0), next;
    for (int ox = 0; ox < j->p.ow; ox++, win = next) {
        next = ox + 1 < j->p.ow ? window_of(j, b, oy, ox + 1) : win;
        size_t at = (row * j->p.ow + ox) * j->p.tc;
        for (int frame = 0; frame < j->p.tc; frame += bn->c)
            for (int c = 0; c < bn->c; c += VL) {
                prefetch_new(j, &next, (size_t)frame + c);
                vf scale = v_mul(v_load(bn->inv_std + c), v_load(bn->gamma + c));
                const struct norm norm = {true, v_load(bn->mean + c), scale, v_load(bn->beta + c)};
                max_of(&win, &norm, (size_t)frame + c, VL, j->out + at, j->argmax + at);
            }
    }
}

static void max_backward_row(void *ctx, size_t row, int worker)
{
    (void)worker;
    const struct pool_job *j = ctx;
    const struct unpool from = {j->p, j->in, j->argmax_in};
    for (int x = 0; x < j->p.w; x++) {
        struct windows all = windows_of(&j->p, row * j->p.w + x);
        float *dx = j->out + (row * j->p.w + x) * j->p.tc;
        size_t i = 0, n = (size_t)j->p.tc;
        for (; i + VL <= n; i += VL)
            v_store(dx + i, unpooled(&from, &all, i, VL));
        if (i < n)
            v_store_n(dx + i, (int)(n - i), unpooled(&from, &all, i, (int)(n - i)));
    }
}

/* ---- global average ------------------------------------------------------ */

ALWAYS_INLINE void average_n(const struct pool_job *j, const float *x, int n, float *y)
{
    vf s0 = v_zero(), s1 = v_zero();
    int p = 0;
    for (; p + 2 <= j->hw; p += 2, x += 2 * (size_t)j->p.tc) {
        s0 = v_add(s0, v_load_n(x, n));
        s1 = v_add(s1, v_load_n(x + j->p.tc, n));
    }
    if (p < j->hw)
        s0 = v_add(s0, v_load_n(x, n));
    v_store_n(y, n, v_mul(v_add(s0, s1), v_set1(1.0f / (float)j->hw)));
}

static void average_of(const struct pool_job *j, const float *x, int n, float *y)
{
    int i = 0;
    for (; i + VL <= n; i += VL)
        average_n(j, x + i, VL, y + i);
    if (i < n)
        average_n(j, x + i, n - i, y + i);
}

static void share_of(const struct pool_job *j, const float *dy, int n, float *dx)
{
    vf share = v_set1(1.0f / (float)j->hw);
    int i = 0;
    for (; i + VL <= n; i += VL)
        v_store(dx + i, v_mul(v_load(dy + i), share));
    if (i < n)
        v_store_n(dx + i, n - i, v_mul(v_load_n(dy + i, n - i), share));
}

void ISA_NAME(eq_f32_pool_fill)(struct eq_f32_table *table)
{
    fill_pool(table);
}
