/*
 * Every convolution and pooling kernel of the device's text against kernels/ref, to the bit, over the shapes, data and
 * epilogues of the CPU's kernels, with canaries around everything in the device's memory. Needs no test framework, no
 * clip and no model.
 */
#include "kernels/u8s8_check.h"
#include "unit/device_fixture.h"

#include <limits.h>

static size_t checked;

/* ---- an arena for one launch ---------------------------------------------------- */

enum { GAP = 64, MOST_PARTS = 8 };

/* Parts of the arena with canaries between them. out: the part that the kernel writes. */
struct arena {
    uint8_t *host;
    size_t bytes, offset[MOST_PARTS], size[MOST_PARTS];
    int n;
};

static size_t arena_add(struct arena *a, const void *data, size_t bytes)
{
    const size_t at = (a->bytes + GAP + 63) / 64 * 64, end = at + bytes;
    uint8_t *host = realloc(a->host, end + GAP);
    if (!host || a->n == MOST_PARTS)
        abort();
    memset(host + a->bytes, 0xa5, end + GAP - a->bytes);
    if (data && bytes)
        memcpy(host + at, data, bytes);
    a->host = host;
    a->bytes = end + GAP;
    a->offset[a->n] = at;
    a->size[a->n++] = bytes;
    return at;
}

static void must(enum eq_status st, const struct eq_err *err)
{
    if (st != EQ_OK) {
        printf("%s\n", err->msg);
        exit(1);
    }
}

/* Runs one launch; a->host then holds the whole arena as the device left it. False: something outside of part `out` has
 * changed. */
static bool arena_run(const struct eq_device *d, struct arena *a, const struct eq_device_step *s,
                      const struct eq_launch *launch, int out)
{
    struct eq_err err = {0};
    eq_device_buffer arena, steps;
    struct eq_device_times times;
    void *sequence;
    uint8_t *after = malloc(a->bytes);
    must(d->api->alloc(d->ctx, a->bytes, &arena, &err), &err);
    must(d->api->alloc(d->ctx, sizeof *s, &steps, &err), &err);
    must(d->api->write(d->ctx, arena, 0, a->host, a->bytes, &err), &err);
    must(d->api->write(d->ctx, steps, 0, s, sizeof *s, &err), &err);
    const struct eq_sequence_plan plan = {
        .launches = launch, .n = 1, .arena = arena, .steps = steps, .out_bytes = a->bytes};
    must(d->api->record(d->ctx, &plan, &sequence, &err), &err);
    must(d->api->start(d->ctx, sequence, NULL, &err), &err);
    must(d->api->finish(d->ctx, sequence, after, &times, &err), &err);
    d->api->forget(d->ctx, sequence);
    d->api->release(d->ctx, arena);
    d->api->release(d->ctx, steps);
    const size_t from = a->offset[out], to = from + a->size[out];
    const bool kept = memcmp(a->host, after, from) == 0 && memcmp(a->host + to, after + to, a->bytes - to) == 0;
    free(a->host);
    a->host = after;
    return kept;
}

/* rows of c bytes, or back, as the words of the device; what fills them up must not matter. */
static uint8_t *to_words(const uint8_t *x, size_t rows, int c)
{
    const size_t pitch = (size_t)eq_device_words(c, true) * 4;
    uint8_t *out = u8s8_malloc(rows * pitch);
    memset(out, 0xee, rows * pitch);
    for (size_t r = 0; r < rows; r++)
        memcpy(out + r * pitch, x + r * (size_t)c, (size_t)c);
    return out;
}

static size_t first_difference(const uint8_t *words, const uint8_t *x, size_t rows, int c)
{
    const size_t pitch = (size_t)eq_device_words(c, true) * 4;
    for (size_t r = 0; r < rows; r++)
        for (int i = 0; i < c; i++)
            if (words[r * pitch + (size_t)i] != x[r * (size_t)c + (size_t)i])
                return r * (size_t)c + (size_t)i;
    return SIZE_MAX;
}

/* Adds what eq_device_conv packs. */
static void add_conv(struct arena *a, const struct eq_device_conv *c, struct eq_device_step *s)
{
    size_t at[EQ_DEVICE_PARTS];
    for (int part = 0; part < EQ_DEVICE_PARTS; part++) {
        const size_t bytes = eq_device_conv_bytes(c, (enum eq_device_part)part);
        void *packed = eq_alloc(bytes, 1);
        eq_device_conv_pack(c, (enum eq_device_part)part, packed);
        at[part] = arena_add(a, packed, bytes);
        eq_free(packed);
    }
    s->weights = (int64_t)at[EQ_DEVICE_WEIGHTS];
    s->channels = (int64_t)at[EQ_DEVICE_CHANNELS];
    s->taps = (int64_t)at[EQ_DEVICE_TAPS];
}

static bool complain(const struct eq_conv_shape *s, const char *kernel, const char *what, size_t at)
{
    printf("%s: b%d t%d %dx%d %d->%d k%d s%d p%d: %s (%zu)\n", kernel, s->b, s->t, s->h, s->w, s->cin, s->cout, s->k,
           s->stride, s->pad, what, at);
    return false;
}

/* ---- pooling in a convolution ------------------------------------------------------- */

/* Windows that a convolution's kernel can pool: side by side, apart, or with a line in common; with and without
 * padding. */
static const struct eq_device_pool windows[] = {
    {.window = 3, .stride = 2, .pad = 1}, {.window = 2, .stride = 2}, {.window = 3, .stride = 3, .pad = 2},
    {.window = 2, .stride = 1},           {.window = 1, .stride = 1}, {.window = 4, .stride = 3, .pad = 2},
    {.window = 2, .stride = 3, .pad = 1},
};
enum { WINDOWS = sizeof windows / sizeof *windows };

/* A window for output s from number i on; NULL: none of them has a pixel everywhere. */
static const struct eq_device_pool *window_for(const struct eq_conv_shape *s, int i)
{
    for (int k = 0; k < WINDOWS; k++) {
        const struct eq_device_pool *w = &windows[(i + k) % WINDOWS];
        const int least = s->oh < s->ow ? s->oh : s->ow;
        if (!eq_device_pool_fits(s, w->window, w->stride, w->pad))
            abort();
        if (least + 2 * w->pad >= w->window)
            return w;
    }
    return NULL;
}

static struct eq_pool_shape pool_shape(const struct eq_conv_shape *s, const struct eq_device_pool *p)
{
    return (struct eq_pool_shape){s->b,      s->oh,  s->ow,     s->t * s->cout, p->window,
                                  p->stride, p->pad, p->height, p->width};
}

static size_t rows_of_target(const struct eq_device_conv *c)
{
    const struct eq_conv_shape *s = &c->shape;
    return (size_t)s->b * s->t * (c->pool.window ? c->pool.height * c->pool.width : s->oh * s->ow);
}

/* What a group makes of the first convolution of ResNet-18 (docs/KERNELS.md), and of a single frame; the rows of a pass
 * always fit. */
static bool check_choice(void)
{
    static const struct {
        int frames, units, across, together, down;
    } rows[] = {{16, 40, 7, 4, 6}, {16, 132, 7, 4, 2}, {16, 0, 7, 4, 28}, {1, 8, 28, 1, 2}, {64, 132, 7, 4, 7}};
    bool ok = true;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct eq_conv_shape s;
        struct eq_device_pool p = {.window = 3, .stride = 2, .pad = 1};
        eq_conv_shape_init(&s, 1, rows[i].frames, 112, 112, 3, 64, 7, 2, 3, EQ_LAYOUT_PIXEL);
        eq_device_pool_init(&s, rows[i].units, &p);
        if (p.across != rows[i].across || p.frames != rows[i].together || p.down != rows[i].down) {
            printf("%d frames, %d units: a group makes %d pixels of %d lines in %d frames\n", rows[i].frames,
                   rows[i].units, p.across, p.down, p.frames);
            ok = false;
        }
    }
    for (int t = 1; t <= 64; t++)
        for (int size = 1; size < 200; size += 7) {
            struct eq_conv_shape s;
            struct eq_device_pool p = {.window = 3, .stride = 2, .pad = 1};
            eq_conv_shape_init(&s, 1, t, size, size, 3, 64, 7, 2, 3, EQ_LAYOUT_PIXEL);
            eq_device_pool_init(&s, 132, &p);
            if (p.frames < 1 || p.across < 1 || p.down < 1 || ((p.across - 1) * 2 + 3) * p.frames > 64) {
                printf("%d frames of %d: a pass has too many rows\n", t, size);
                ok = false;
            }
        }
    return ok;
}

static void use_pool(const struct eq_device *d, struct eq_device_conv *c, const struct eq_device_pool *pool, int units)
{
    c->pool = *pool;
    eq_device_pool_init(&c->shape, units, &c->pool);
    c->tile = eq_device_pool_tile(d->info.integer_path, c->weights_f32 != NULL);
}

/* ---- u8s8 -------------------------------------------------------------------------- */

/* pool NULL: none. */
static bool check_u8s8(const struct eq_device *d, const struct u8s8_problem *p, const struct eq_device_pool *pool,
                       int units)
{
    struct arena a = {0};
    struct eq_device_step step;
    const struct eq_conv_shape *s = &p->s;
    const size_t rows = p->n_src / (size_t)s->cin;
    struct eq_device_conv c = {.shape = *s,
                               .weights = p->weights,
                               .m = p->epi.m,
                               .b = p->epi.b,
                               .source_zero = p->src_zp,
                               .residual = p->epi.residual != NULL,
                               .residual_zero = p->epi.residual_zp,
                               .residual_scale = p->epi.residual_m,
                               .target_zero = p->epi.dst_zp,
                               .target_min = p->epi.dst_min,
                               .target_max = p->epi.dst_max};
    c.tile = eq_device_tile_for(d->info.integer_path, false, s, units);
    if (pool)
        use_pool(d, &c, pool, units);
    const size_t out_rows = rows_of_target(&c), out_bytes = out_rows * (size_t)eq_device_words(s->cout, true) * 4;
    uint8_t *pooled = u8s8_malloc(out_rows * (size_t)s->cout);
    if (pool) {
        const struct eq_pool_shape shape = pool_shape(s, &c.pool);
        u8s8_ref().maxpool(&shape, p->expected, pooled);
    }
    eq_device_conv_step(&c, &step);
    step.target = (int64_t)arena_add(&a, NULL, out_bytes);
    uint8_t *src = to_words(p->src, rows, s->cin);
    step.source = (int64_t)arena_add(&a, src, rows * (size_t)step.words * 4);
    if (p->epi.residual) {
        uint8_t *residual = to_words(p->epi.residual, out_rows, s->cout);
        step.residual = (int64_t)arena_add(&a, residual, out_bytes);
        free(residual);
    }
    add_conv(&a, &c, &step);
    const struct eq_launch launch = eq_device_conv_launch(&c, 0);
    bool ok = arena_run(d, &a, &step, &launch, 0) || complain(s, c.tile->kernel, "wrote outside of its output", 0);
    const size_t bad = first_difference(a.host + a.offset[0], pool ? pooled : p->expected, out_rows, s->cout);
    if (bad != SIZE_MAX)
        ok = complain(s, c.tile->kernel, "differs from ref at", bad);
    free(pooled);
    free(src);
    free(a.host);
    checked++;
    return ok;
}

static bool check_all_u8s8(const struct eq_device *d, int salt)
{
    static const int zero_points[] = {0, 128, 255, 3};
    enum { PICKS = U8S8_DATA_KINDS * U8S8_EPILOGUES };
    bool ok = true;
    for (int i = 0; i < (int)U8S8_SHAPES; i++) {
        struct u8s8_shape row = u8s8_shapes[i];
        row.layout = EQ_LAYOUT_PIXEL;
        const double products = (double)row.t * row.h * row.w * row.cin * row.cout * row.k * row.k;
        for (int units = 0; units < 2; units++) { /* large tiles and small ones */
            const int pick = (i + salt + units) * 7 % PICKS;
            struct u8s8_problem p;
            if (products > 1e8) /* a larger picture of a shape that is there */
                continue;
            u8s8_problem_init(&p, &row, (enum u8s8_data)(pick % U8S8_DATA_KINDS),
                              (enum u8s8_epilogue_kind)(pick / U8S8_DATA_KINDS), zero_points[(pick + i + salt) % 4]);
            ok = check_u8s8(d, &p, NULL, units ? INT_MAX : 0) && ok;
            u8s8_problem_clear(&p);
        }
    }
    return ok;
}

/* The lines of a picture in one group, and in many. Scales are above zero, as those of models, and there is no
 * residual. */
static bool check_pooled_u8s8(const struct eq_device *d, int salt)
{
    static const int zero_points[] = {0, 255, 128, 3};
    bool ok = true;
    for (int i = 0; i < (int)U8S8_SHAPES; i++) {
        struct u8s8_shape row = u8s8_shapes[i];
        row.layout = EQ_LAYOUT_PIXEL;
        const double products = (double)row.t * row.h * row.w * row.cin * row.cout * row.k * row.k;
        for (int units = 0; units < 2 && products < 3e7; units++) {
            const int pick = (i + salt + units) * 5;
            struct u8s8_problem p;
            u8s8_problem_init(&p, &row, (enum u8s8_data)(pick % U8S8_DATA_KINDS),
                              (enum u8s8_epilogue_kind)(pick / U8S8_DATA_KINDS % U8S8_EPILOGUES),
                              zero_points[(pick + i) % 4]);
            p.epi.residual = NULL;
            for (int c = 0; c < p.s.cout; c++)
                p.m[c] = fabsf(p.m[c]);
            u8s8_run_ref(&p, p.expected);
            const struct eq_device_pool *pool = window_for(&p.s, i + 3 * salt + units);
            if (pool)
                ok = check_u8s8(d, &p, pool, units ? INT_MAX : 0) && ok;
            u8s8_problem_clear(&p);
        }
    }
    return ok;
}

/* ---- f32 ---------------------------------------------------------------------------- */

/* A convolution in floats: with edges of bytes or floats on each side. */
struct f32_problem {
    struct eq_conv_shape s;
    bool source_bytes, residual, residual_bytes, target_bytes, relu;
    size_t n_src, n_dst;
    uint8_t *src_q, *residual_q, *expected_q;
    float *src, *residual_f, *weights, *bias, *expected;
};
static const struct eq_qparams f32_src = {0.021f, 255, 0, 255}, f32_res = {0.043f, 0, 0, 255},
                               f32_dst = {0.037f, 117, 0, 255};

static void quantized_floats(struct eq_rng *rng, size_t n, bool bytes, const struct eq_qparams *p, uint8_t *q, float *x)
{
    for (size_t i = 0; i < n; i++) {
        q[i] = (uint8_t)eq_rng_below(rng, 256);
        x[i] = bytes ? (float)(q[i] - p->zero_point) * p->scale : (float)eq_rng_normal(rng);
    }
}

static void f32_init(struct f32_problem *p, const struct u8s8_shape *row, unsigned form)
{
    struct eq_rng rng;
    const struct eq_conv_kernel *ref = &eq_f32_conv_forward_ordered__ref;
    struct eq_conv_shape *s = &p->s;
    eq_rng_init(&rng, 5, EQ_RNG_TEST, form, (uint32_t)(row - u8s8_shapes));
    *p = (struct f32_problem){.source_bytes = form & 1,
                              .residual = form & 2,
                              .residual_bytes = form & 4,
                              .target_bytes = form & 8,
                              .relu = form & 16};
    eq_conv_shape_init(s, row->b, row->t, row->h, row->w, row->cin, row->cout, row->k, row->stride, row->pad,
                       EQ_LAYOUT_PIXEL);
    const size_t weights = (size_t)s->cout * s->cin * s->k * s->k;
    p->n_src = (size_t)s->b * s->t * s->h * s->w * s->cin;
    p->n_dst = (size_t)s->b * s->t * s->oh * s->ow * s->cout;
    p->src_q = u8s8_malloc(p->n_src);
    p->residual_q = u8s8_malloc(p->n_dst);
    p->expected_q = u8s8_malloc(p->n_dst);
    p->src = u8s8_malloc(p->n_src * 4);
    p->residual_f = u8s8_malloc(p->n_dst * 4);
    p->expected = u8s8_malloc(p->n_dst * 4);
    p->weights = u8s8_malloc(weights * 4);
    p->bias = u8s8_malloc((size_t)s->cout * 4);
    quantized_floats(&rng, p->n_src, p->source_bytes, &f32_src, p->src_q, p->src);
    quantized_floats(&rng, p->n_dst, p->residual_bytes, &f32_res, p->residual_q, p->residual_f);
    for (size_t i = 0; i < weights; i++)
        p->weights[i] = (float)(eq_rng_normal(&rng) / sqrt((double)weights / s->cout));
    for (int i = 0; i < s->cout; i++)
        p->bias[i] = (float)eq_rng_normal(&rng);
    const struct eq_f32_epilogue e = {.bias = p->bias, .residual = p->residual ? p->residual_f : NULL, .relu = p->relu};
    void *packed = eq_alloc(ref->packed_bytes(s), 1);
    ref->pack(s, p->weights, packed);
    ref->run.forward(s, p->src, packed, &e, p->expected, NULL);
    eq_free(packed);
    for (size_t i = 0; i < p->n_dst; i++) {
        float r = p->expected[i] * (1.0f / f32_dst.scale);
        r = fminf(fmaxf(r, (float)-f32_dst.zero_point), (float)(255 - f32_dst.zero_point));
        p->expected_q[i] = (uint8_t)((int)nearbyintf(r) + f32_dst.zero_point);
    }
}

static void f32_clear(struct f32_problem *p)
{
    void *const all[] = {p->src_q,      p->residual_q, p->expected_q, p->src,
                         p->residual_f, p->expected,   p->weights,    p->bias};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        free(all[i]);
}

static size_t add_edge(struct arena *a, size_t rows, int c, bool bytes, const uint8_t *q, const float *x)
{
    uint8_t *words = bytes ? to_words(q, rows, c) : NULL;
    const size_t at = arena_add(a, bytes ? (const void *)words : x, rows * (size_t)eq_device_words(c, bytes) * 4);
    free(words);
    return at;
}

static bool check_f32(const struct eq_device *d, const struct f32_problem *p, const struct eq_device_pool *pool,
                      int units)
{
    struct arena a = {0};
    struct eq_device_step step;
    const struct eq_conv_shape *s = &p->s;
    const size_t rows = p->n_src / (size_t)s->cin;
    struct eq_device_conv c = {.shape = *s,
                               .weights_f32 = p->weights,
                               .b = p->bias,
                               .source_bytes = p->source_bytes,
                               .source_zero = f32_src.zero_point,
                               .source_scale = f32_src.scale,
                               .residual = p->residual,
                               .residual_bytes = p->residual_bytes,
                               .residual_zero = f32_res.zero_point,
                               .residual_scale = f32_res.scale,
                               .target_bytes = p->target_bytes,
                               .target_zero = f32_dst.zero_point,
                               .target_scale = f32_dst.scale,
                               .relu = p->relu};
    c.tile = eq_device_tile_for(d->info.integer_path, true, s, units);
    if (pool)
        use_pool(d, &c, pool, units);
    const size_t out_rows = rows_of_target(&c), values = out_rows * (size_t)s->cout;
    float *pooled = u8s8_malloc(values * sizeof *pooled);
    uint8_t *pooled_q = u8s8_malloc(values);
    if (pool) {
        const struct eq_pool_shape shape = pool_shape(s, &c.pool);
        struct eq_f32_table f32;
        eq_f32_pool_fill__ref(&f32);
        f32.maxpool_forward(&shape, p->expected, pooled, NULL);
        u8s8_ref().maxpool(&shape, p->expected_q, pooled_q);
    }
    const float *expected = pool ? pooled : p->expected;
    eq_device_conv_step(&c, &step);
    step.target = (int64_t)arena_add(&a, NULL, out_rows * (size_t)eq_device_words(s->cout, p->target_bytes) * 4);
    step.source = (int64_t)add_edge(&a, rows, s->cin, p->source_bytes, p->src_q, p->src);
    if (p->residual)
        step.residual = (int64_t)add_edge(&a, out_rows, s->cout, p->residual_bytes, p->residual_q, p->residual_f);
    add_conv(&a, &c, &step);
    const struct eq_launch launch = eq_device_conv_launch(&c, 0);
    bool ok = arena_run(d, &a, &step, &launch, 0) || complain(s, c.tile->kernel, "wrote outside of its output", 0);
    const uint8_t *out = a.host + a.offset[0];
    size_t bad = SIZE_MAX;
    if (p->target_bytes)
        bad = first_difference(out, pool ? pooled_q : p->expected_q, out_rows, s->cout);
    for (size_t i = 0; i < values && !p->target_bytes && bad == SIZE_MAX; i++) {
        float made;
        memcpy(&made, out + i * sizeof made, sizeof made);
        if (!(made == expected[i]))
            bad = i;
    }
    if (bad != SIZE_MAX)
        ok = complain(s, c.tile->kernel, "differs from ref at", bad);
    free(pooled);
    free(pooled_q);
    free(a.host);
    checked++;
    return ok;
}

static bool check_all_f32(const struct eq_device *d)
{
    static const unsigned pooled[] = {8, 16, 9, 17, 25}; /* u8 targets and ReLU, from floats and bytes */
    bool ok = true;
    for (unsigned i = 0; i < U8S8_SHAPES; i++) {
        const struct u8s8_shape *row = &u8s8_shapes[i];
        if ((double)row->t * row->h * row->w * row->cin * row->cout * row->k * row->k > 3e7)
            continue;
        for (unsigned k = 0; k < 4; k++) { /* all 32 forms over the shapes */
            struct f32_problem p;
            f32_init(&p, row, (i * 4 + k) * 5 % 32);
            ok = check_f32(d, &p, NULL, k % 2 ? INT_MAX : 0) && ok;
            f32_clear(&p);
        }
        for (unsigned k = 0; k < 2; k++) {
            struct f32_problem p;
            f32_init(&p, row, pooled[(i + 2 * k) % 5]);
            const struct eq_device_pool *pool = window_for(&p.s, (int)(i + k));
            if (pool)
                ok = check_f32(d, &p, pool, k ? INT_MAX : 0) && ok;
            f32_clear(&p);
        }
    }
    return ok;
}

/* ---- pooling -------------------------------------------------------------------------- */

static bool check_pool(const struct eq_device *d, const struct eq_pool_shape *p, int t, bool bytes, struct eq_rng *rng)
{
    struct arena a = {0};
    struct eq_u8s8_table u8;
    struct eq_f32_table f32;
    const int c = p->tc / t, words = eq_device_words(c, bytes);
    const size_t rows = (size_t)p->b * p->h * p->w * t, out_rows = (size_t)p->b * p->oh * p->ow * t;
    uint8_t *q = u8s8_malloc(rows * c), *expected_q = u8s8_malloc(out_rows * c);
    float *x = u8s8_malloc(rows * c * 4), *expected = u8s8_malloc(out_rows * c * 4);
    quantized_floats(rng, rows * c, false, &f32_src, q, x);
    eq_u8s8_fill__ref(&u8);
    eq_f32_pool_fill__ref(&f32);
    u8.maxpool(p, q, expected_q);
    f32.maxpool_forward(p, x, expected, NULL);
    struct eq_device_step s = {.clips = p->b,
                               .frames = t,
                               .height = p->h,
                               .width = p->w,
                               .words = words,
                               .out_height = p->oh,
                               .out_width = p->ow,
                               .window = p->k,
                               .stride = p->stride,
                               .pad = p->pad,
                               .layout = EQ_STEP_LAYOUT};
    s.target = (int64_t)arena_add(&a, NULL, out_rows * (size_t)words * 4);
    s.source = (int64_t)add_edge(&a, rows, c, bytes, q, x);
    const struct eq_launch launch = {
        bytes ? "max_pool_u8" : "max_pool_f32", 0, {(out_rows * (size_t)words + 127) / 128, 1, 1}, {128, 1, 1}};
    bool ok = arena_run(d, &a, &s, &launch, 0);
    ok = ok && (bytes ? first_difference(a.host + a.offset[0], expected_q, out_rows, c) == SIZE_MAX
                      : memcmp(a.host + a.offset[0], expected, out_rows * c * 4) == 0);
    if (!ok)
        printf("%s: b%d %dx%d tc%d k%d s%d p%d: differs from ref\n", launch.kernel, p->b, p->h, p->w, p->tc, p->k,
               p->stride, p->pad);
    free(q);
    free(x);
    free(expected_q);
    free(expected);
    free(a.host);
    checked++;
    return ok;
}

static bool check_pools(const struct eq_device *d)
{
    static const int shapes[][8] = {/* b, t, h, w, c, k, stride, pad */
                                    {1, 1, 1, 1, 1, 3, 2, 1},  {2, 3, 7, 5, 6, 3, 2, 1}, {1, 4, 9, 9, 64, 2, 2, 0},
                                    {1, 5, 6, 8, 33, 5, 1, 2}, {3, 1, 4, 4, 3, 3, 3, 0}, {1, 16, 12, 11, 16, 3, 2, 1}};
    struct eq_rng rng;
    bool ok = true;
    eq_rng_init(&rng, 6, EQ_RNG_TEST, 0, 0);
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        const int *r = shapes[i];
        const struct eq_pool_shape p = {r[0],
                                        r[2],
                                        r[3],
                                        r[1] * r[4],
                                        r[5],
                                        r[6],
                                        r[7],
                                        (r[2] + 2 * r[7] - r[5]) / r[6] + 1,
                                        (r[3] + 2 * r[7] - r[5]) / r[6] + 1};
        ok = check_pool(d, &p, r[1], true, &rng) && ok;
        ok = check_pool(d, &p, r[1], false, &rng) && ok;
    }
    return ok;
}

static int tests_of_device(void)
{
    eq_kernels_init();
    if (eq_parallel_init(2, NULL) != EQ_OK)
        return 1;
    bool ok = check_choice();
    for (int i = 0; i < DEVICE_PATHS && ok; i++) {
        const char *why;
        struct eq_device *d = test_device_open(i, "", &why);
        if (why) {
            const bool wanted = i > 0 || getenv("ECHOQUANT_TEST_DEVICE");
            printf("%s: %s\n", wanted ? "FAILED" : "skipped", why);
            return wanted;
        }
        if (!d)
            continue;
        checked = 0;
        ok = check_all_u8s8(d, i) && check_pooled_u8s8(d, i);
        if (i == 0) /* the same kernels in every program */
            ok = check_all_f32(d) && check_pools(d) && ok;
        printf("%s on %s: %zu launches, %s\n", d->info.integer_path, d->info.name, checked,
               ok ? "all equal to ref" : "FAILED");
        test_device_close(d);
    }
    eq_parallel_shutdown();
    return ok ? 0 : 1;
}

int main(void)
{
    return test_device_apart(tests_of_device);
}
