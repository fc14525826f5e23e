/*
 * INT8 in Winograd's domain against the exact kernels of the same layer, 3 x 3 at stride 1 with residual, by turns in
 * one run:
 *
 *   bench_domain [--side=14] [--channels=128] [--frames=16] [--clips=1] [--threads=1] [--rounds=200] [--copies=1]
 *                [--level=NAME]
 *
 * Least and median time of a call in ms, on one thread in CPU time. With --copies=N the calls go through N copies of
 * the weights, which are then not in the caches, as in a network. --level: an ISA level, by default the highest that
 * has such a kernel. The domain's bytes are others: their distance is printed. docs/KERNELS.md has the figures.
 */
#include "echoquant/kernels.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MAX_ROUNDS = 10000, MAX_CONTENDERS = 8, MAX_COPIES = 64, WARM_UP = 5, ZP = 3, DST_ZP = 2 };

struct options {
    int side, channels, frames, clips, threads, rounds, copies;
    const char *level;
};

static bool read_options(int argc, char **argv, struct options *o)
{
    const struct {
        const char *name;
        int *value, least, most;
    } known[] = {{"--side=", &o->side, 1, 112},           {"--channels=", &o->channels, 1, 1024},
                 {"--frames=", &o->frames, 1, 256},       {"--clips=", &o->clips, 1, 64},
                 {"--threads=", &o->threads, 1, 64},      {"--rounds=", &o->rounds, 1, MAX_ROUNDS},
                 {"--copies=", &o->copies, 1, MAX_COPIES}};
    for (int i = 1; i < argc; i++) {
        bool found = strncmp(argv[i], "--level=", 8) == 0;
        if (found)
            o->level = argv[i] + 8;
        for (size_t k = 0; k < sizeof known / sizeof *known && !found; k++) {
            int64_t v;
            size_t len = strlen(known[k].name);
            found = strncmp(argv[i], known[k].name, len) == 0 && eq_parse_int64(argv[i] + len, &v) &&
                    v >= known[k].least && v <= known[k].most;
            if (found)
                *known[k].value = (int)v;
        }
        if (!found) {
            fprintf(stderr, "%s: not an option, or out of range\n", argv[i]);
            return false;
        }
    }
    return true;
}

static void *room(size_t bytes)
{
    void *p = eq_alloc(bytes ? bytes : 1, 1);
    if (!p) {
        fprintf(stderr, "out of memory\n");
        exit(1);
    }
    return memset(p, 0, bytes);
}

/* ---- a layer ------------------------------------------------------------- */

struct data {
    struct eq_conv_shape s;
    size_t n_dst;
    uint8_t *src, *residual, *dst, *exact;
    int8_t *weights, *u; /* u: in the domain */
    float *m, *b, *k, *domain_b;
    struct eq_u8s8_epilogue epilogue;
    struct eq_domain_points points;
    struct eq_domain_epilogue domain;
};

/* The sum of twelve uniform numbers. */
static double normal(struct eq_rng *rng)
{
    double sum = -6;
    for (int i = 0; i < 12; i++)
        sum += eq_rng_uniform(rng);
    return sum;
}

/* Normal activations behind a ReLU, normal weights. */
static void make_exact(struct data *d, const struct options *o)
{
    const int c = o->channels;
    struct eq_rng rng;
    eq_rng_init(&rng, 1, EQ_RNG_TEST, 0, 0);
    eq_conv_shape_init(&d->s, o->clips, o->frames, o->side, o->side, c, c, 3, 1, 1, EQ_LAYOUT_PIXEL);
    d->n_dst = (size_t)o->clips * o->side * o->side * o->frames * c;
    d->src = room(d->n_dst);
    d->residual = room(d->n_dst);
    d->dst = room(d->n_dst);
    d->exact = room(d->n_dst);
    d->weights = room((size_t)c * c * 9);
    d->m = room((size_t)c * sizeof(float));
    d->b = room((size_t)c * sizeof(float));
    for (size_t i = 0; i < d->n_dst; i++) {
        d->src[i] = (uint8_t)fmin(255, ZP + fmax(0, normal(&rng) * 60));
        d->residual[i] = (uint8_t)fmin(255, fmax(0, normal(&rng) * 60));
    }
    for (int i = 0; i < c * c * 9; i++)
        d->weights[i] = (int8_t)fmax(-127, fmin(127, normal(&rng) * 35));
    for (int i = 0; i < c; i++) {
        d->m[i] = 40 / (35 * 42 * sqrtf((float)(9 * c)));
        d->b[i] = (float)(normal(&rng) * 20);
    }
    d->epilogue = (struct eq_u8s8_epilogue){.m = d->m,
                                            .b = d->b,
                                            .residual = d->residual,
                                            .residual_m = 0.5f,
                                            .dst_zp = DST_ZP,
                                            .dst_min = DST_ZP,
                                            .dst_max = 255};
}

/* A point of the tile that starts at (y, x), for one channel of the first frame. */
static int point_at(const struct data *d, int p, int y, int x, int c)
{
    const struct eq_conv_shape *s = &d->s;
    int v = 0;
    for (int i = 0; i < EQ_DOMAIN_POINTS; i++) {
        int sy = y - 1 + i / EQ_DOMAIN_IN, sx = x - 1 + i % EQ_DOMAIN_IN;
        if (sy >= 0 && sy < s->h && sx >= 0 && sx < s->w)
            v += eq_domain_bt[p / EQ_DOMAIN_IN][i / EQ_DOMAIN_IN] * eq_domain_bt[p % EQ_DOMAIN_IN][i % EQ_DOMAIN_IN] *
                 (d->src[((size_t)sy * s->w + sx) * s->t * s->cin + c] - ZP);
    }
    return v;
}

/* Least and greatest value of each point. */
static void make_points(struct data *d)
{
    const struct eq_conv_shape *s = &d->s;
    for (int p = 0; p < EQ_DOMAIN_POINTS; p++) {
        int lo = 0, hi = 1;
        for (int ty = 0; ty < eq_domain_tiles(s->oh); ty++)
            for (int tx = 0; tx < eq_domain_tiles(s->ow); tx++)
                for (int c = 0; c < s->cin; c++) {
                    int v = point_at(d, p, eq_domain_tile(s->oh, ty).start, eq_domain_tile(s->ow, tx).start, c);
                    lo = v < lo ? v : lo;
                    hi = v > hi ? v : hi;
                }
        d->points.mul[p] = (int16_t)eq_domain_mul(1, (float)(hi - lo) / 255);
        d->points.add[p] = (uint8_t)lrint(-lo * (double)d->points.mul[p] / 32768);
    }
}

static void make_domain(struct data *d)
{
    const int c = d->s.cin;
    const size_t plane = (size_t)c * c;
    double *u = room(EQ_DOMAIN_POINTS * plane * sizeof *u);
    d->u = room(EQ_DOMAIN_POINTS * plane);
    d->k = room((size_t)EQ_DOMAIN_POINTS * c * sizeof(float));
    d->domain_b = room((size_t)c * sizeof(float));
    make_points(d);
    for (size_t i = 0; i < plane; i++) {
        float taps[9];
        double at[EQ_DOMAIN_POINTS];
        for (int tap = 0; tap < 9; tap++)
            taps[tap] = d->weights[i * 9 + tap];
        eq_domain_weights(taps, at);
        for (int p = 0; p < EQ_DOMAIN_POINTS; p++)
            u[p * plane + i] = at[p];
    }
    for (int row = 0; row < EQ_DOMAIN_POINTS * c; row++) {
        double most = 1e-30;
        for (int i = 0; i < c; i++)
            most = fmax(most, fabs(u[(size_t)row * c + i]));
        for (int i = 0; i < c; i++)
            d->u[(size_t)row * c + i] = (int8_t)lrint(u[(size_t)row * c + i] / most * 127);
        d->k[row] = (float)(eq_domain_scale(1, d->points.mul[row / c]) * most / 127 * d->m[row % c]);
    }
    for (int i = 0; i < c; i++)
        d->domain_b[i] = d->b[i] + DST_ZP;
    d->domain = (struct eq_domain_epilogue){
        .k = d->k, .b = d->domain_b, .residual = d->residual, .residual_m = 0.5f, .dst_min = DST_ZP};
    eq_free(u);
}

/* ---- turns --------------------------------------------------------------- */

struct contender {
    const struct eq_conv_kernel *kernel;
    bool domain;
    void *packed[MAX_COPIES], *scratch;
    double ms[MAX_ROUNDS];
};

static void call(struct contender *x, struct data *d, int copy, uint8_t *dst)
{
    if (x->domain)
        x->kernel->run.u8s8_domain(&d->s, d->src, ZP, x->packed[copy], &d->points, &d->domain, dst, x->scratch);
    else
        x->kernel->run.u8s8(&d->s, d->src, ZP, x->packed[copy], &d->epilogue, dst, x->scratch);
}

static void contender_init(struct contender *x, struct data *d, const struct options *o)
{
    x->scratch = room(x->kernel->scratch_bytes(&d->s, o->threads));
    for (int copy = 0; copy < o->copies; copy++) {
        x->packed[copy] = room(x->kernel->packed_bytes(&d->s));
        if (x->domain)
            x->kernel->pack_domain(&d->s, d->u, &d->points, x->packed[copy]);
        else
            x->kernel->pack_s8(&d->s, d->weights, ZP, x->packed[copy]);
    }
    call(x, d, 0, x->domain ? d->dst : d->exact);
}

/* Kernels of one level, the domain's last. */
static size_t list_contenders(struct data *d, const struct options *o, struct contender *all)
{
    const struct eq_conv_kernel *found[64];
    const char *level = o->level ? o->level : eq_isa_name(eq_u8s8_domain_select(&d->s)->isa);
    size_t exact = eq_u8s8_conv_candidates(&d->s, found, 32);
    size_t both = exact + eq_u8s8_domain_candidates(&d->s, found + exact, 32), n = 0;
    for (size_t i = 0; i < both && n < MAX_CONTENDERS; i++)
        if (strcmp(eq_isa_name(found[i]->isa), level) == 0 &&
            (!found[i]->accepts || found[i]->accepts(&d->s, d->weights, ZP))) {
            all[n].kernel = found[i];
            all[n].domain = i >= exact;
            contender_init(&all[n++], d, o);
        }
    return n;
}

static double clock_ms(void)
{
    struct timespec t;
    if (eq_parallel_threads() > 1 || clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t) != 0)
        return eq_now_ms();
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static double timed_call(struct contender *x, struct data *d, int copy)
{
    double start = clock_ms();
    call(x, d, copy, d->dst);
    return clock_ms() - start;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void print_distance(const struct data *d)
{
    double square = 0, mean = 0, var = 0, n = (double)d->n_dst;
    for (size_t i = 0; i < d->n_dst; i++) {
        square += (d->dst[i] - d->exact[i]) * (double)(d->dst[i] - d->exact[i]);
        mean += d->exact[i];
        var += d->exact[i] * (double)d->exact[i];
    }
    printf("distance from the exact bytes %.2f rms, of a deviation of %.1f\n", sqrt(square / n),
           sqrt(var / n - mean / n * mean / n));
}

int main(int argc, char **argv)
{
    static struct contender all[MAX_CONTENDERS];
    struct options o = {
        .side = 14, .channels = 128, .frames = 16, .clips = 1, .threads = 1, .rounds = 200, .copies = 1};
    struct data d;
    struct eq_err err = {0};
    if (!read_options(argc, argv, &o))
        return 2;
    eq_kernels_init();
    if (eq_parallel_init(o.threads, &err) != EQ_OK) {
        fprintf(stderr, "%s\n", err.msg);
        return eq_exit_code(err.status);
    }
    make_exact(&d, &o);
    make_domain(&d);
    size_t n = list_contenders(&d, &o, all);
    if (n < 2 || !all[n - 1].domain) {
        fprintf(stderr, "this CPU lacks the level, or the level such a kernel\n");
        return 1;
    }
    print_distance(&d);
    for (int round = -WARM_UP; round < o.rounds; round++)
        for (size_t i = 0; i < n; i++) {
            int copy = 2 * (round + WARM_UP) % o.copies;
            timed_call(&all[i], &d, copy); /* fetches what the others have driven out of the caches */
            double ms = timed_call(&all[i], &d, (copy + 1) % o.copies);
            all[i].ms[round < 0 ? 0 : round] = ms;
        }
    for (size_t i = 0; i < n; i++) {
        qsort(all[i].ms, (size_t)o.rounds, sizeof(double), by_value);
        printf("%-32s %7.4f %7.4f\n", all[i].kernel->name, all[i].ms[0], all[i].ms[o.rounds / 2]);
    }
    return 0;
}
