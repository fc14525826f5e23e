/*
 * The cost of calibration relative to FP32 inference over the same clips, for every observer:
 *
 *   bench_calibrate [--frames=12] [--size=112] [--width=64] [--clips=64] [--rounds=3] [--winograd=0]
 *
 * One line each: the minimum of the rounds in ms per clip, its ratio to FP32, and how much of it comes after the last
 * clip (the search in the histograms, weight scales). FP32 and the observers run alternately. Clips are random and
 * already decoded; the network is a random one whose batch norm fits them. --winograd=1: observers of all points of
 * Winograd's domain as well.
 */
#include "echoquant/quant.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct options {
    int frames, size, width, clips, rounds, winograd;
};

/* A few clips of rising contrast, again and again: ranges grow as they pass. */
enum { DISTINCT = 8 };
struct clips {
    uint8_t *pixels;
    size_t bytes;
    int given, n;
};

static enum eq_status next_clip(void *ctx, const uint8_t **pixels, int *n, struct eq_err *err)
{
    struct clips *c = ctx;
    (void)err;
    *n = c->given < c->n;
    *pixels = c->pixels + (size_t)(c->given++ % DISTINCT) * c->bytes;
    return EQ_OK;
}

static enum eq_status rewind_clips(void *ctx, struct eq_err *err)
{
    (void)err;
    ((struct clips *)ctx)->given = 0;
    return EQ_OK;
}

static bool make_clips(struct clips *c, const struct options *o)
{
    struct eq_rng rng;
    *c = (struct clips){.bytes = (size_t)o->frames * o->size * o->size * 3, .n = o->clips};
    c->pixels = eq_alloc(DISTINCT, c->bytes);
    eq_rng_init(&rng, 1, EQ_RNG_TEST, 0, 0);
    for (size_t i = 0; c->pixels && i < DISTINCT * c->bytes; i++)
        c->pixels[i] = (uint8_t)((80 + 20 * (i / c->bytes)) * eq_rng_uniform(&rng));
    return c->pixels != NULL;
}

static enum eq_status run_fp32(struct eq_exec *x, const struct clips *c, double *ms, struct eq_err *err)
{
    double start = eq_now_ms();
    float ef;
    for (int i = 0; i < c->n; i++) {
        enum eq_status st = eq_exec_forward(x, c->pixels + (size_t)(i % DISTINCT) * c->bytes, &ef, err);
        if (st != EQ_OK)
            return st;
    }
    *ms = fmin(*ms, (eq_now_ms() - start) / c->n);
    return EQ_OK;
}

static enum eq_status run_observer(struct eq_graph *g, const struct eq_clip_source *source, size_t n,
                                   const struct eq_observer_opts *opts, double ms[2], struct eq_err *err)
{
    struct eq_statistics *s = NULL;
    double start = eq_now_ms(), behind;
    enum eq_status st = eq_statistics_collect(g, source, n, opts, 1, NULL, NULL, &s, err);
    behind = eq_now_ms();
    if (st == EQ_OK)
        st = eq_statistics_apply(s, 0, g, err);
    eq_statistics_free(s);
    ms[0] = fmin(ms[0], (eq_now_ms() - start) / (double)n);
    ms[1] = fmin(ms[1], (eq_now_ms() - behind) / (double)n);
    return st;
}

static enum eq_status bench(const struct options *o, struct eq_err *err)
{
    enum eq_status st;
    struct eq_model_meta meta = {
        .frames = o->frames, .size = o->size, .pixel_mean = 60, .pixel_std = 50, .target_mean = 55, .target_std = 12};
    struct eq_graph *net = NULL, *fp32 = NULL, *g = NULL;
    struct eq_exec *x = NULL;
    struct clips c;
    double fp32_ms = INFINITY, ms[EQ_OBSERVER_COUNT][2];
    struct eq_clip_source source = {
        .next = next_clip, .rewind = rewind_clips, .ctx = &c, .max_clips = 1, .frames = o->frames, .size = o->size};
    if (!make_clips(&c, o))
        return eq_fail(err, EQ_NOMEM, "out of memory");
    EQ_TRY(eq_resnet18_new(&meta, o->width, 1, &net, err));
    EQ_TRY(eq_reestimate_batchnorm(net, &source, 4, 4, err));
    EQ_TRY(eq_fold_batchnorm(net, &fp32, err));
    EQ_TRY(eq_fuse(fp32, err));
    EQ_TRY(eq_graph_clone(fp32, &g, err));
    EQ_TRY(eq_prepare_fake_quant_for(g, 8, o->winograd ? EQ_ARITHMETIC_WINOGRAD : EQ_ARITHMETIC_DIRECT, err));
    EQ_TRY(eq_exec_new(fp32, &(struct eq_exec_opts){.clips = 1, .frames = o->frames, .size = o->size}, &x, err));
    for (int round = 0; round < o->rounds; round++)
        for (int kind = 0; kind < EQ_OBSERVER_COUNT; kind++) {
            struct eq_observer_opts opts = {
                .kind = (enum eq_observer_kind)kind, .averaging = 0.01, .percentile = 99.99};
            if (round == 0)
                ms[kind][0] = ms[kind][1] = INFINITY;
            EQ_TRY(run_fp32(x, &c, &fp32_ms, err));
            EQ_TRY(run_observer(g, &source, (size_t)o->clips, &opts, ms[kind], err));
        }
    printf("%-16s %8.2f ms\n", "FP32", fp32_ms);
    for (int kind = 0; kind < EQ_OBSERVER_COUNT; kind++)
        printf("%-16s %8.2f ms  %.2f  (%.2f behind the clips)\n", eq_observer_names[kind], ms[kind][0],
               ms[kind][0] / fp32_ms, ms[kind][1]);
out:
    eq_exec_free(x);
    eq_graph_free(g);
    eq_graph_free(fp32);
    eq_graph_free(net);
    eq_free(c.pixels);
    return st;
}

int main(int argc, char **argv)
{
    struct options o = {12, 112, 64, 64, 3, 0};
    struct {
        const char *name;
        int *value, max;
    } known[] = {{"--frames=", &o.frames, 64}, {"--size=", &o.size, 512},      {"--width=", &o.width, 256},
                 {"--clips=", &o.clips, 1000}, {"--rounds=", &o.rounds, 1000}, {"--winograd=", &o.winograd, 1}};
    struct eq_err err = {0};
    for (int i = 1; i < argc; i++) {
        bool found = false;
        for (size_t k = 0; k < sizeof known / sizeof *known && !found; k++) {
            int64_t v;
            size_t len = strlen(known[k].name);
            found = strncmp(argv[i], known[k].name, len) == 0 && eq_parse_int64(argv[i] + len, &v) && v >= 0 &&
                    (v >= 1 || known[k].value == &o.winograd) && v <= known[k].max;
            if (found)
                *known[k].value = (int)v;
        }
        if (!found) {
            fprintf(stderr, "%s: not an option, or out of range\n", argv[i]);
            return 2;
        }
    }
    eq_kernels_init();
    if (eq_parallel_init(0, &err) != EQ_OK || bench(&o, &err) != EQ_OK) {
        fprintf(stderr, "%s\n", err.msg);
        return eq_exit_code(err.status);
    }
    return 0;
}
