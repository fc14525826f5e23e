/*
 * Every integer convolution of ResNet-18 with every kernel that supports it here: ms, GMAC/s (taps on padding not
 * counted) and the share of what the level's dot instruction reaches on registers alone, all measured in this run.
 * usage: bench_qs8_conv [--threads N] [--frames T] [--size S] [--cpu LEVEL] [--ms BUDGET] [--kernel SUBSTRING]
 *        [--layer SUBSTRING] [--gray 1]
 */
#include "echoquant/kernels.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

struct layer {
    const char *name;
    int cin, cout, k, stride, pad, divide, count; /* the input is size / divide; count such layers in the network */
};
static const struct layer layers[] = {
    {"conv1 7x7/2", 3, 64, 7, 2, 3, 1, 1},      {"stage1 3x3", 64, 64, 3, 1, 1, 4, 4},
    {"stage2 3x3/2", 64, 128, 3, 2, 1, 4, 1},   {"stage2 1x1/2", 64, 128, 1, 2, 0, 4, 1},
    {"stage2 3x3", 128, 128, 3, 1, 1, 8, 3},    {"stage3 3x3/2", 128, 256, 3, 2, 1, 8, 1},
    {"stage3 1x1/2", 128, 256, 1, 2, 0, 8, 1},  {"stage3 3x3", 256, 256, 3, 1, 1, 16, 3},
    {"stage4 3x3/2", 256, 512, 3, 2, 1, 16, 1}, {"stage4 1x1/2", 256, 512, 1, 2, 0, 16, 1},
    {"stage4 3x3", 512, 512, 3, 1, 1, 32, 3},
};
enum { LAYERS = sizeof layers / sizeof *layers, MAX_KERNELS = 32 };

struct options {
    int threads, frames, size;
    double ms;
    bool gray;
    const char *cpu, *kernel, *layer;
};

static bool parse(int argc, char **argv, struct options *o)
{
    *o = (struct options){.threads = 0, .frames = 16, .size = 112, .ms = 60, .cpu = "auto", .kernel = "", .layer = ""};
    for (int i = 1; i < argc; i += 2) {
        const char *name = argv[i], *value = i + 1 < argc ? argv[i + 1] : NULL;
        int64_t n = 0;
        if (!value)
            return false;
        bool number = eq_parse_int64(value, &n) && n > 0 && n <= 100000;
        if (strcmp(name, "--cpu") == 0)
            o->cpu = value;
        else if (strcmp(name, "--kernel") == 0)
            o->kernel = value;
        else if (strcmp(name, "--layer") == 0)
            o->layer = value;
        else if (!number)
            return false;
        else if (strcmp(name, "--threads") == 0)
            o->threads = (int)n;
        else if (strcmp(name, "--frames") == 0)
            o->frames = (int)n;
        else if (strcmp(name, "--size") == 0)
            o->size = (int)n;
        else if (strcmp(name, "--gray") == 0)
            o->gray = n == 1;
        else if (strcmp(name, "--ms") == 0)
            o->ms = (double)n;
        else
            return false;
    }
    return true;
}

/* What the instructions here reach on registers. */
static const struct eq_peak *peaks[16];
static double peak_gmacs[16];
static size_t n_peaks;

static void measure_peaks(void)
{
    n_peaks = eq_peaks(peaks, sizeof peaks / sizeof *peaks);
    for (size_t i = 0; i < n_peaks; i++) {
        peak_gmacs[i] = eq_peak_gmacs(peaks[i], 50);
        printf("peak of %s: %.1f GMAC/s\n", peaks[i]->instruction, peak_gmacs[i]);
    }
}

static double peak_of(const char *instruction)
{
    for (size_t i = 0; i < n_peaks && instruction; i++)
        if (strcmp(peaks[i]->instruction, instruction) == 0)
            return peak_gmacs[i];
    return 0;
}

struct buffers {
    uint8_t *src, *dst, *residual;
    int8_t *weights;
    void *packed, *scratch;
    float *m, *b;
};

static bool buffers_init(struct buffers *x, const struct eq_conv_shape *s, int zp)
{
    size_t in = (size_t)s->b * s->t * s->h * s->w * s->cin, out = (size_t)s->b * s->t * s->oh * s->ow * s->cout;
    size_t n = (size_t)s->cout * s->cin * s->k * s->k;
    *x = (struct buffers){.src = eq_alloc(in, 1),
                          .dst = eq_alloc(out, 1),
                          .residual = eq_alloc(out, 1),
                          .weights = eq_alloc(n, 1),
                          .m = eq_alloc((size_t)s->cout, sizeof(float)),
                          .b = eq_alloc((size_t)s->cout, sizeof(float))};
    if (!x->src || !x->dst || !x->residual || !x->weights || !x->m || !x->b)
        return false;
    struct eq_rng rng;
    eq_rng_init(&rng, 1, EQ_RNG_TEST, 0, (uint32_t)zp);
    for (size_t i = 0; i < in; i++)
        x->src[i] = (uint8_t)eq_rng_below(&rng, 256);
    for (size_t i = 0; i < n; i++)
        x->weights[i] = (int8_t)((int)eq_rng_below(&rng, 101) - 50);
    for (int i = 0; i < s->cout; i++)
        x->m[i] = 1.0f / (float)(s->cin * s->k * s->k * 20);
    return true;
}

static void buffers_clear(struct buffers *x)
{
    void *const all[] = {x->src, x->dst, x->residual, x->weights, x->packed, x->scratch, x->m, x->b};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        eq_free(all[i]);
}

/* On one thread its CPU time, so that other work on the machine doesn't count; otherwise the time that passes. */
static double clock_ms(void)
{
    struct timespec t;
    if (eq_parallel_threads() > 1 || clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t) != 0)
        return eq_now_ms();
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static void pooled(struct eq_qs8_epilogue *epi)
{
    epi->pool_k = 3;
    epi->pool_stride = 2;
    epi->pool_pad = 1;
}

/* Least ms of a call within the budget; below 0 when out of memory. */
static double time_kernel(const struct eq_qs8_conv_kernel *k, const struct eq_conv_shape *s, int zp, struct buffers *x,
                          double budget)
{
    size_t scratch = k->scratch_bytes(s, eq_parallel_threads());
    eq_free(x->packed);
    eq_free(x->scratch);
    x->packed = eq_alloc(k->packed_bytes(s), 1);
    x->scratch = eq_alloc(scratch ? scratch : 1, 1);
    if (!x->packed || !x->scratch)
        return -1;
    k->pack(s, x->weights, zp, x->packed);
    struct eq_qs8_epilogue epi = {.m = x->m,
                                  .b = x->b,
                                  .residual = s->k == 3 && s->stride == 1 ? x->residual : NULL,
                                  .residual_m = 0.5f,
                                  .dst_max = 255};
    if (k->fuses_maxpool && k->fuses_maxpool(s, 3, 2, 1)) /* as the engine runs it */
        pooled(&epi);
    double best = 1e30, begin = clock_ms();
    do {
        double t = clock_ms();
        k->run(s, x->src, zp, x->packed, &epi, x->dst, x->scratch);
        t = clock_ms() - t;
        best = t < best ? t : best;
    } while (clock_ms() - begin < budget);
    return best;
}

static bool bench_layer(const struct layer *l, const struct options *o, double *total)
{
    struct eq_conv_shape s;
    int size = (o->size + l->divide - 1) / l->divide, zp = l->k == 7 ? 40 : 0;
    eq_conv_shape_init(&s, 1, o->frames, size, size, l->cin, l->cout, l->k, l->stride, l->pad,
                       l->k == 7 ? EQ_LAYOUT_CLIP : EQ_LAYOUT_PIXEL);
    struct buffers x;
    bool ok = buffers_init(&x, &s, zp);
    for (size_t i = 0; ok && o->gray && l->k == 7 && i < (size_t)o->frames * size * size * 3; i++)
        x.src[i] = i % 3 ? x.src[i - 1] : x.src[i];
    const struct eq_qs8_conv_kernel *all[MAX_KERNELS];
    size_t n = eq_qs8_conv_candidates(&s, zp, all, MAX_KERNELS);
    const struct eq_qs8_conv_kernel *chosen = ok ? eq_qs8_conv_select_for(&s, zp, x.weights) : NULL;
    for (size_t i = 0; ok && i < n; i++) {
        if ((n > 1 && all[i]->isa == EQ_ISA_REF) || !strstr(all[i]->name, o->kernel))
            continue;
        double ms = time_kernel(all[i], &s, zp, &x, o->ms), rate = eq_conv_macs(&s) / ms * 1e-6;
        double peak = peak_of(all[i]->instruction);
        ok = ms >= 0;
        printf("%-13s x%d %3dx%-3d %4d->%-4d %-34s %8.3f ms %7.1f GMAC/s %6.1f %%%s\n", l->name, l->count, s.h, s.w,
               s.cin, s.cout, all[i]->name, ms, rate, peak > 0 ? 100 * rate / peak : 0, all[i] == chosen ? " *" : "");
        if (all[i] == chosen)
            *total += ms * l->count;
    }
    buffers_clear(&x);
    return ok;
}

int main(int argc, char **argv)
{
    struct options o;
    struct eq_err err = {0};
    if (!parse(argc, argv, &o)) {
        fprintf(stderr, "usage: bench_qs8_conv [--threads N] [--frames T] [--size S] [--cpu LEVEL] [--ms BUDGET] "
                        "[--kernel SUBSTRING] [--layer SUBSTRING] [--gray 1]\n");
        return 2;
    }
    if (eq_parallel_init(o.threads, &err) != EQ_OK || eq_cpu_set_ceiling(o.cpu, &err) != EQ_OK) {
        fprintf(stderr, "%s\n", err.msg);
        return eq_exit_code(err.status);
    }
    eq_kernels_init();
    double total = 0;
    printf("%s, %s, %d threads, %d frames of %dx%d\n", eq_cpu_model_name(), eq_cpu_isa_in_use(), eq_parallel_threads(),
           o.frames, o.size, o.size);
    measure_peaks();
    bool ok = true;
    for (int i = 0; ok && i < LAYERS; i++)
        if (strstr(layers[i].name, o.layer))
            ok = bench_layer(&layers[i], &o, &total);
    if (ok)
        printf("all convolutions of a clip with the kernels chosen (*): %.2f ms\n", total);
    else
        fprintf(stderr, "out of memory\n");
    eq_parallel_shutdown();
    return ok ? 0 : 1;
}
