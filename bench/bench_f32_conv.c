/*
 * Every convolution of a list of shapes with every f32 and bf16 kernel that supports it here: ms, GMAC/s (taps on
 * padding not counted) and the share of the FMA peak measured in this run; * marks the kernel that the precision's
 * table selects. Kernels take turns, so that a disturbance meets all of them; the least time counts. usage:
 * bench_f32_conv SHAPES.txt [--pass forward|data|weights|all] [--clips B] [--frames T] [--threads N]
 *                       [--cpu LEVEL] [--ms BUDGET] [--layer SUBSTRING] [--kernel SUBSTRING]
 */
#include "echoquant/kernels.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_KERNELS = 16, MAX_LAYERS = 64 };
static const char *const pass_names[EQ_CONV_PASSES] = {"forward", "data", "weights"};

struct options {
    const char *shapes, *pass, *cpu, *layer, *kernel;
    int clips, frames, threads;
    double ms;
};

static bool parse(int argc, char **argv, struct options *o)
{
    *o = (struct options){.pass = "all", .cpu = "auto", .layer = "", .kernel = "", .clips = 1, .frames = 16, .ms = 100};
    if (argc < 2)
        return false;
    o->shapes = argv[1];
    for (int i = 2; i < argc; i += 2) {
        const char *name = argv[i], *value = i + 1 < argc ? argv[i + 1] : NULL;
        int64_t n = 0;
        if (!value)
            return false;
        bool number = eq_parse_int64(value, &n) && n > 0 && n <= 100000;
        if (strcmp(name, "--pass") == 0)
            o->pass = value;
        else if (strcmp(name, "--cpu") == 0)
            o->cpu = value;
        else if (strcmp(name, "--layer") == 0)
            o->layer = value;
        else if (strcmp(name, "--kernel") == 0)
            o->kernel = value;
        else if (!number)
            return false;
        else if (strcmp(name, "--clips") == 0)
            o->clips = (int)n;
        else if (strcmp(name, "--frames") == 0)
            o->frames = (int)n;
        else if (strcmp(name, "--threads") == 0)
            o->threads = (int)n;
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

struct layer {
    char name[64];
    int count;
    struct eq_conv_shape s;
};

static bool read_layer(const char *line, const struct options *o, struct layer *l)
{
    int h, w, cin, cout, k, stride, pad;
    char layout[16];
    if (sscanf(line, "%63s %d %d %d %d %d %d %d %d %15s", l->name, &l->count, &h, &w, &cin, &cout, &k, &stride, &pad,
               layout) != 10)
        return false;
    eq_conv_shape_init(&l->s, o->clips, o->frames, h, w, cin, cout, k, stride, pad,
                       strcmp(layout, "clip") == 0 ? EQ_LAYOUT_CLIP : EQ_LAYOUT_PIXEL);
    return true;
}

static int read_layers(const struct options *o, struct layer *layers)
{
    FILE *f = fopen(o->shapes, "re");
    if (!f)
        return -1;
    char line[256];
    int n = 0;
    while (n < MAX_LAYERS && fgets(line, sizeof line, f))
        if (line[0] != '#' && read_layer(line, o, &layers[n]))
            n++;
    fclose(f);
    return n;
}

/* One convolution's tensors. diff names the gradient of what it stands beside. */
struct tensors {
    float *src, *weights, *dst, *bias, *residual, *out_src, *out_weights;
};

static float *random_floats(size_t n, uint32_t sample)
{
    float *x = eq_alloc(n, sizeof *x);
    struct eq_rng rng;
    eq_rng_init(&rng, 1, EQ_RNG_TEST, 0, sample);
    for (size_t i = 0; x && i < n; i++)
        x[i] = (float)eq_rng_range(&rng, -1, 1);
    return x;
}

static bool tensors_init(struct tensors *x, const struct eq_conv_shape *s)
{
    size_t n_src = (size_t)s->b * s->t * s->h * s->w * s->cin, n_dst = (size_t)s->b * s->t * s->oh * s->ow * s->cout;
    size_t n_weights = (size_t)s->cout * s->cin * s->k * s->k;
    *x = (struct tensors){.src = random_floats(n_src, 1),
                          .weights = random_floats(n_weights, 2),
                          .dst = random_floats(n_dst, 3),
                          .bias = random_floats((size_t)s->cout, 4),
                          .residual = random_floats(n_dst, 5),
                          .out_src = random_floats(n_src, 6),
                          .out_weights = random_floats(n_weights, 7)};
    return x->src && x->weights && x->dst && x->bias && x->residual && x->out_src && x->out_weights;
}

static void tensors_clear(struct tensors *x)
{
    float *const all[] = {x->src, x->weights, x->dst, x->bias, x->residual, x->out_src, x->out_weights};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        eq_free(all[i]);
}

/* A kernel with its packed weights and scratch, and the least times so far. */
struct contender {
    const struct eq_f32_conv_kernel *kernel;
    void *packed, *scratch;
    double ms, pack_ms;
};

static bool contender_init(struct contender *c, const struct eq_f32_conv_kernel *k, const struct eq_conv_shape *s)
{
    size_t packed = k->packed_bytes(s), scratch = k->scratch_bytes(s, eq_parallel_threads());
    *c = (struct contender){.kernel = k,
                            .packed = eq_alloc(packed ? packed : 1, 1),
                            .scratch = eq_alloc(scratch ? scratch : 1, 1),
                            .ms = 1e30,
                            .pack_ms = 1e30};
    return c->packed && c->scratch;
}

static void contender_clear(struct contender *c)
{
    eq_free(c->packed);
    eq_free(c->scratch);
}

static void run_once(struct contender *c, enum eq_conv_pass pass, const struct eq_conv_shape *s, struct tensors *x)
{
    const struct eq_f32_conv_kernel *k = c->kernel;
    struct eq_f32_epilogue epi = {
        .bias = x->bias, .residual = s->k == 3 && s->stride == 1 ? x->residual : NULL, .relu = true};
    double begin = eq_now_ms();
    if (pass != EQ_CONV_BACKWARD_WEIGHTS)
        k->pack(s, x->weights, c->packed);
    double packed = eq_now_ms();
    if (pass == EQ_CONV_FORWARD)
        k->run.forward(s, x->src, c->packed, &epi, x->dst, c->scratch);
    else if (pass == EQ_CONV_BACKWARD_DATA)
        k->run.backward_data(s, x->dst, c->packed, x->out_src, false, c->scratch);
    else
        k->run.backward_weights(s, x->src, x->dst, x->out_weights, c->scratch);
    double ms = eq_now_ms() - packed;
    c->ms = ms < c->ms ? ms : c->ms;
    c->pack_ms = packed - begin < c->pack_ms ? packed - begin : c->pack_ms;
}

/* Totals over the network by precision: kernels as selected, and packing them. */
struct totals {
    double ms, pack_ms;
};

static enum eq_precision precision_of(const struct eq_f32_conv_kernel *k)
{
    return strncmp(k->name, "bf16", 4) == 0 ? EQ_PRECISION_BF16 : EQ_PRECISION_FP32;
}

static void print_contender(const struct contender *c, enum eq_conv_pass pass, const struct layer *l,
                            struct totals t[2])
{
    double peak = peak_of(c->kernel->instruction);
    enum eq_precision precision = precision_of(c->kernel);
    bool chosen = c->kernel == (precision == EQ_PRECISION_BF16 ? eq_bf16_conv_select : eq_f32_conv_select)(pass, &l->s);
    double rate = eq_conv_macs(&l->s) / c->ms * 1e-6;
    printf("%-8s %-13s x%d %-44s %9.3f ms %7.1f GMAC/s %6.1f %%  pack %7.3f ms%s\n", pass_names[pass], l->name,
           l->count, c->kernel->name, c->ms, rate, peak > 0 ? 100 * rate / peak : 0, c->pack_ms, chosen ? " *" : "");
    if (chosen) {
        t[precision].ms += c->ms * l->count;
        t[precision].pack_ms += c->pack_ms * l->count;
    }
}

static bool bench_layer(enum eq_conv_pass pass, const struct layer *l, const struct options *o, struct totals t[2])
{
    const struct eq_f32_conv_kernel *all[MAX_KERNELS];
    struct contender contenders[MAX_KERNELS];
    struct tensors x;
    size_t found = eq_f32_conv_candidates(pass, &l->s, all, MAX_KERNELS), n = 0;
    found += eq_bf16_conv_candidates(pass, &l->s, all + found, MAX_KERNELS - found);
    bool ok = tensors_init(&x, &l->s);
    for (size_t i = 0; ok && i < found; i++)
        if (all[i]->isa != EQ_ISA_REF && strstr(all[i]->name, o->kernel)) /* ref is not meant to be fast */
            ok = contender_init(&contenders[n++], all[i], &l->s);
    double begin = eq_now_ms();
    while (ok && n && eq_now_ms() - begin < o->ms * (double)n)
        for (size_t i = 0; i < n; i++)
            run_once(&contenders[i], pass, &l->s, &x);
    for (size_t i = 0; i < n; i++) {
        if (ok)
            print_contender(&contenders[i], pass, l, t);
        contender_clear(&contenders[i]);
    }
    tensors_clear(&x);
    return ok;
}

static bool bench_pass(enum eq_conv_pass pass, const struct layer *layers, int n, const struct options *o)
{
    struct totals t[2] = {{0, 0}, {0, 0}};
    for (int i = 0; i < n; i++) {
        bool needed = strstr(layers[i].name, o->layer) &&
                      (pass != EQ_CONV_BACKWARD_DATA || layers[i].s.src_layout == EQ_LAYOUT_PIXEL);
        if (needed && !bench_layer(pass, &layers[i], o, t)) {
            fprintf(stderr, "out of memory\n");
            return false;
        }
    }
    for (int p = EQ_PRECISION_FP32; p <= EQ_PRECISION_BF16; p++)
        if (t[p].ms > 0)
            printf("%s: all convolutions listed, with the %s kernels selected (*): %.2f ms, packing %.2f ms\n",
                   pass_names[pass], p == EQ_PRECISION_BF16 ? "bf16" : "f32", t[p].ms, t[p].pack_ms);
    return true;
}

int main(int argc, char **argv)
{
    struct options o;
    struct eq_err err = {0};
    static struct layer layers[MAX_LAYERS];
    if (!parse(argc, argv, &o)) {
        fprintf(stderr, "usage: bench_f32_conv SHAPES.txt [--pass forward|data|weights|all] [--clips B] [--frames T]\n"
                        "                      [--threads N] [--cpu LEVEL] [--ms BUDGET] [--layer SUBSTRING] "
                        "[--kernel SUBSTRING]\n");
        return 2;
    }
    if (eq_parallel_init(o.threads, &err) != EQ_OK || eq_cpu_set_ceiling(o.cpu, &err) != EQ_OK) {
        fprintf(stderr, "%s\n", err.msg);
        return eq_exit_code(err.status);
    }
    eq_kernels_init();
    int n = read_layers(&o, layers);
    if (n <= 0) {
        fprintf(stderr, "%s: no shapes\n", o.shapes);
        return 1;
    }
    printf("%s, %s, %d threads, %d clips of %d frames\n", eq_cpu_model_name(), eq_cpu_isa_in_use(),
           eq_parallel_threads(), o.clips, o.frames);
    measure_peaks();
    bool ok = true;
    for (int pass = 0; ok && pass < EQ_CONV_PASSES; pass++)
        if (strcmp(o.pass, "all") == 0 || strcmp(o.pass, pass_names[pass]) == 0)
            ok = bench_pass((enum eq_conv_pass)pass, layers, n, &o);
    eq_parallel_shutdown();
    return ok ? 0 : 1;
}
