/* Convolutions for the kernels of tile.cl and mma.cl: which kernel, and weights and tables as it reads them. */
#include "device/conv.h"

#include <float.h>
#include <math.h>
#include <string.h>

/* ---- the kernel ----------------------------------------------------------- */

enum { MMA_64, MMA_32, U8_64, U8_32, F32_64, F32_32, MMA_POOL, U8_POOL, F32_POOL };
static const struct eq_device_tile tiles[] = {
    [MMA_64] = {"conv_mma_64", 64, 64, 128, 4, true},  /* a warp: 32 x 32 of the tile */
    [MMA_32] = {"conv_mma_32", 32, 32, 128, 16, true}, /* a warp: a quarter of the depth */
    [U8_64] = {"conv_u8_64", 64, 64, 128, 4, false},   /* a work-item: 8 x 4 */
    [U8_32] = {"conv_u8_32", 32, 32, 64, 8, false},    /* 4 x 4 */
    [F32_64] = {"conv_f32_64", 64, 64, 128, 4, false},    [F32_32] = {"conv_f32_32", 32, 32, 64, 8, false},
    [MMA_POOL] = {"conv_mma_pool", 64, 64, 128, 4, true}, /* rows: of a pass */
    [U8_POOL] = {"conv_pool_u8", 64, 64, 128, 4, false},  [F32_POOL] = {"conv_pool_f32", 64, 64, 128, 4, false},
};

static bool by_mma(const char *integer_path)
{
    return strncmp(integer_path, "mma", 3) == 0;
}

/* A large tile loads half as much for each product, a small one makes four times as many groups: large where they keep
 * every unit busy. Columns of 32 channels or fewer would leave half of a large one empty. */
const struct eq_device_tile *eq_device_tile_for(const char *integer_path, bool floats, const struct eq_conv_shape *s,
                                                int units)
{
    const int64_t rows = (int64_t)s->b * s->oh * s->ow * s->t;
    const int64_t groups = (rows + 63) / 64 * ((s->cout + 63) / 64);
    const int small = s->cout <= 32 || groups < units;
    if (floats)
        return &tiles[F32_64 + small];
    return &tiles[(by_mma(integer_path) ? MMA_64 : U8_64) + small];
}

/* ---- pooling ---------------------------------------------------------------- */

const struct eq_device_tile *eq_device_pool_tile(const char *integer_path, bool floats)
{
    return &tiles[floats ? F32_POOL : by_mma(integer_path) ? MMA_POOL : U8_POOL];
}

bool eq_device_pool_fits(const struct eq_conv_shape *s, int window, int stride, int pad)
{
    (void)s;
    return window <= tiles[U8_POOL].rows && (stride >= window || (stride == window - 1 && pad <= window - 2));
}

static int64_t groups_of(int64_t all, int64_t each)
{
    return (all + each - 1) / each;
}

/* As few passes as possible for a line of all frames; of those, the one with the most frames side by side in memory. */
static void choose_rows(int frames, struct eq_device_pool *p)
{
    const int rows = tiles[U8_POOL].rows;
    int64_t least = INT64_MAX;
    for (int across = 1; across <= p->width && (across - 1) * p->stride + p->window <= rows; across++) {
        const int room = rows / ((across - 1) * p->stride + p->window), together = room < frames ? room : frames;
        const int64_t passes = groups_of(frames, together) * groups_of(p->width, across);
        if (passes < least) {
            least = passes;
            p->frames = (int)groups_of(frames, groups_of(frames, together));
            p->across = (int)groups_of(p->width, groups_of(p->width, across));
        }
    }
}

/* More lines in a group share more of the convolution's, fewer make more groups: the least passes of the busiest unit,
 * with a group for each of them at least. */
void eq_device_pool_init(const struct eq_conv_shape *s, int units, struct eq_device_pool *p)
{
    int64_t least = INT64_MAX;
    p->height = (s->oh + 2 * p->pad - p->window) / p->stride + 1;
    p->width = (s->ow + 2 * p->pad - p->window) / p->stride + 1;
    choose_rows(s->t, p);
    units = units > 0 ? units : 1;
    const int64_t in_a_line =
        s->b * groups_of(s->t, p->frames) * groups_of(p->width, p->across) * groups_of(s->cout, tiles[U8_POOL].columns);
    for (int down = 1; down <= p->height; down++) {
        const int64_t groups = in_a_line * groups_of(p->height, down);
        const int64_t passes = (down - 1) * (p->stride < p->window ? p->stride : p->window) + p->window;
        if (down > 1 && groups < units)
            break;
        if (groups_of(groups, units) * passes < least) {
            least = groups_of(groups, units) * passes;
            p->down = down;
        }
    }
}

/* ---- depth: what a row of the product consists of -------------------------- */

static bool floats_of_bytes(const struct eq_device_conv *c)
{
    return c->weights_f32 && c->source_bytes;
}

static int source_words(const struct eq_device_conv *c)
{
    return eq_device_words(c->shape.cin, c->weights || c->source_bytes);
}

/* Words of a tap: of the source, or four for each of its words when they become floats. */
static int tap_words(const struct eq_device_conv *c)
{
    return source_words(c) * (floats_of_bytes(c) ? 4 : 1);
}

static int load_of(const struct eq_device_conv *c)
{
    return floats_of_bytes(c) ? EQ_STEP_BYTES : source_words(c) % 4 == 0 ? EQ_STEP_QUADS : EQ_STEP_WORDS;
}

/* Quads of depth, and those up to the end of a step. */
static int quads_of(const struct eq_device_conv *c)
{
    return (c->shape.k * c->shape.k * tap_words(c) + 3) / 4;
}

static int whole_quads(const struct eq_device_conv *c)
{
    return (quads_of(c) + c->tile->step - 1) / c->tile->step * c->tile->step;
}

static int columns_of(const struct eq_device_conv *c)
{
    return (c->shape.cout + c->tile->columns - 1) / c->tile->columns * c->tile->columns;
}

size_t eq_device_conv_bytes(const struct eq_device_conv *c, enum eq_device_part part)
{
    const size_t quads = (size_t)whole_quads(c), columns = (size_t)columns_of(c);
    if (part == EQ_DEVICE_WEIGHTS)
        return quads * 4 * columns * 4;
    if (part == EQ_DEVICE_CHANNELS)
        return (c->weights ? 3 : 1) * columns * 4;
    return quads * (load_of(c) == EQ_STEP_WORDS ? 4 : 1) * 8;
}

/* ---- packing ------------------------------------------------------------------ */

static int8_t weight_at(const struct eq_device_conv *c, int column, int tap, int channel)
{
    const struct eq_conv_shape *s = &c->shape;
    return channel < s->cin ? c->weights[((size_t)column * s->cin + channel) * s->k * s->k + tap] : 0;
}

/* Subnormal weights are zeros, as on the CPU (base/fpu.h). */
static float weight_f32_at(const struct eq_device_conv *c, int column, int tap, int channel)
{
    const struct eq_conv_shape *s = &c->shape;
    float w = channel < s->cin ? c->weights_f32[((size_t)column * s->cin + channel) * s->k * s->k + tap] : 0;
    return fabsf(w) < FLT_MIN ? 0 : w;
}

static void pack_weights(const struct eq_device_conv *c, uint32_t *out)
{
    const int words = tap_words(c), depth = c->shape.k * c->shape.k * words;
    const size_t pitch = (size_t)whole_quads(c) * 4, columns = (size_t)columns_of(c);
    for (int column = 0; column < c->shape.cout; column++)
        for (int d = 0; d < depth; d++) {
            uint32_t *to = out + (c->tile->by_rows ? (size_t)column * pitch + d : (size_t)d * columns + column);
            const int tap = d / words, word = d % words;
            if (c->weights) {
                *to = 0;
                for (int i = 0; i < 4; i++)
                    *to |= (uint32_t)(uint8_t)weight_at(c, column, tap, 4 * word + i) << 8 * i;
            } else {
                const float w = weight_f32_at(c, column, tap, word);
                memcpy(to, &w, sizeof w);
            }
        }
}

static void pack_channels(const struct eq_device_conv *c, float *out)
{
    const size_t columns = (size_t)columns_of(c), taps = (size_t)c->shape.cin * c->shape.k * c->shape.k;
    for (int column = 0; column < c->shape.cout; column++) {
        const float b = fabsf(c->b[column]) < FLT_MIN ? 0 : c->b[column];
        out[c->weights ? columns + column : (size_t)column] = b;
        if (!c->weights)
            continue;
        int32_t sum = 0;
        for (size_t i = 0; i < taps; i++)
            sum += c->weights[(size_t)column * taps + i];
        out[column] = c->m[column];
        memcpy(out + 2 * columns + column, &sum, sizeof sum);
    }
}

/* Where each load of a row reads: struct int2 of words.cl. Loads beyond the depth are outside of every picture. */
static void pack_taps(const struct eq_device_conv *c, int32_t *out)
{
    enum { OUTSIDE = 0x40000000 };
    const struct eq_conv_shape *s = &c->shape;
    const int words = source_words(c), each = load_of(c) == EQ_STEP_QUADS ? 4 : 1;
    const size_t loads = eq_device_conv_bytes(c, EQ_DEVICE_TAPS) / 8;
    for (size_t i = 0; i < loads; i++, out += 2) {
        const int word = (int)i * each, tap = word / words, y = tap / s->k, x = tap % s->k;
        out[0] = tap < s->k * s->k ? (y * s->w + x) * s->t * words + word % words : 0;
        out[1] = tap < s->k * s->k ? y << 16 | x : OUTSIDE;
    }
}

void eq_device_conv_pack(const struct eq_device_conv *c, enum eq_device_part part, void *out)
{
    if (part == EQ_DEVICE_WEIGHTS)
        pack_weights(c, out);
    else if (part == EQ_DEVICE_CHANNELS)
        pack_channels(c, out);
    else
        pack_taps(c, out);
}

/* ---- the step -------------------------------------------------------------------- */

void eq_device_conv_step(const struct eq_device_conv *c, struct eq_device_step *s)
{
    const struct eq_conv_shape *p = &c->shape;
    *s = (struct eq_device_step){.clips = p->b,
                                 .frames = p->t,
                                 .height = p->h,
                                 .width = p->w,
                                 .words = source_words(c),
                                 .out_height = p->oh,
                                 .out_width = p->ow,
                                 .out_words = eq_device_words(p->cout, c->weights || c->target_bytes),
                                 .out_channels = p->cout,
                                 .window = p->k,
                                 .stride = p->stride,
                                 .pad = p->pad,
                                 .rows = p->b * p->oh * p->ow * p->t,
                                 .columns = columns_of(c),
                                 .depth = c->tile->by_rows ? whole_quads(c) : quads_of(c),
                                 .load = load_of(c),
                                 .source_zero = c->source_zero,
                                 .source_scale = c->source_scale,
                                 .residual_zero = c->residual_zero,
                                 .residual_scale = c->residual_scale,
                                 .target_zero = c->target_zero,
                                 .target_inverse = c->target_bytes ? 1.0f / c->target_scale : 0,
                                 .least = (float)((c->weights ? c->target_min : 0) - c->target_zero),
                                 .most = (float)((c->weights ? c->target_max : 255) - c->target_zero),
                                 .pool_window = c->pool.window,
                                 .pool_stride = c->pool.stride,
                                 .pool_pad = c->pool.pad,
                                 .pool_height = c->pool.height,
                                 .pool_width = c->pool.width,
                                 .pool_across = c->pool.across,
                                 .pool_down = c->pool.down,
                                 .pool_frames = c->pool.frames,
                                 .layout = EQ_STEP_LAYOUT};
    s->flags = (c->relu ? EQ_STEP_RELU : 0) | (c->residual ? EQ_STEP_RESIDUAL : 0) |
               (c->residual && c->residual_bytes ? EQ_STEP_RESIDUAL_BYTES : 0) |
               (c->target_bytes ? EQ_STEP_TARGET_BYTES : 0);
}

struct eq_launch eq_device_conv_launch(const struct eq_device_conv *c, int step)
{
    const struct eq_conv_shape *p = &c->shape;
    const struct eq_device_pool *o = &c->pool;
    const int64_t rows = (int64_t)p->b * p->oh * p->ow * p->t;
    const int64_t groups =
        o->window ? p->b * groups_of(o->height, o->down) * groups_of(o->width, o->across) * groups_of(p->t, o->frames)
                  : groups_of(rows, c->tile->rows);
    return (struct eq_launch){c->tile->kernel,
                              step,
                              {(size_t)groups, (size_t)(columns_of(c) / c->tile->columns), 1},
                              {(size_t)c->tile->threads, 1, 1}};
}
