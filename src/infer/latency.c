/* Latency of one clip: the model alone, and from a file to its EF. */
#include "echoquant/infer.h"

#include <math.h>

/* Calls first..end-1; those below 0 are not kept. */
static enum eq_status take_turn(const struct eq_latency_turn *turn, int first, int end, double *ms, struct eq_err *err)
{
    enum eq_status st = EQ_OK;
    for (int i = first; i < end; i++) {
        double start = eq_now_ms();
        EQ_TRY(turn->call(turn->ctx, err));
        if (i >= 0)
            ms[i] = eq_now_ms() - start;
    }
out:
    return st;
}

enum eq_status eq_latency_turns(const struct eq_latency_turn *turns, int n, int calls, int warmup, int repeats,
                                struct eq_latency out[], struct eq_err *err)
{
    double *ms[EQ_MAX_TURNS] = {NULL};
    enum eq_status st = EQ_OK;
    if (warmup < 0 || repeats < 1)
        return eq_fail(err, EQ_USAGE, "latency needs at least one repeat");
    for (int k = 0; k < n; k++)
        if (!(ms[k] = eq_alloc((size_t)repeats, sizeof **ms)))
            EQ_TRY(eq_fail(err, EQ_NOMEM, "out of memory for %d latencies", repeats));
    for (int first = -warmup, end; first < repeats; first = end) {
        end = first < 0 ? 0 : first + calls < repeats ? first + calls : repeats;
        for (int k = 0; k < n; k++) {
            if (eq_parallel_threads() != turns[k].threads)
                EQ_TRY(eq_parallel_init(turns[k].threads, err));
            if (n > 1 && first >= 0)
                EQ_TRY(turns[k].call(turns[k].ctx, err));
            EQ_TRY(take_turn(&turns[k], first, end, ms[k], err));
        }
    }
    for (int k = 0; k < n; k++)
        out[k] = eq_latency_of(ms[k], repeats);
    if (eq_parallel_threads() != turns[0].threads)
        EQ_TRY(eq_parallel_init(turns[0].threads, err));
out:
    for (int k = 0; k < n; k++)
        eq_free(ms[k]);
    return st;
}

enum eq_status eq_latency_clip(void *ctx, struct eq_err *err)
{
    const struct eq_latency_clip *c = ctx;
    float ef;
    return eq_predictor_run(c->predictor, c->pixels, &ef, err);
}

enum eq_status eq_latency_model(struct eq_predictor *p, const uint8_t *pixels, int warmup, int repeats,
                                struct eq_latency *out, struct eq_err *err)
{
    struct eq_latency_clip clip = {p, pixels};
    const struct eq_latency_turn turn = {eq_latency_clip, &clip, eq_parallel_threads()};
    return eq_latency_turns(&turn, 1, EQ_LATENCY_CALLS, warmup, repeats, out, err);
}

struct files {
    struct eq_predictor *p;
    const char *const *paths;
    size_t n, calls;
    struct eq_sampling sampling;
    uint8_t *pixels;
};

static enum eq_status read_and_predict(void *ctx, struct eq_err *err)
{
    struct files *f = ctx;
    float ef;
    enum eq_status st = eq_clip_read(f->paths[f->calls++ % f->n], &f->sampling, f->pixels, NULL, err);
    return st == EQ_OK ? eq_predictor_mean(f->p, f->pixels, f->sampling.phases, &ef, err) : st;
}

enum eq_status eq_latency_file(struct eq_predictor *p, const char *const *paths, size_t n, int phases, int warmup,
                               int repeats, struct eq_latency *out, struct eq_err *err)
{
    struct files f = {p, paths, n, 0, {p->meta.frames, p->meta.size, .phase = -1, .phases = phases}, NULL};
    const struct eq_latency_turn turn = {read_and_predict, &f, eq_parallel_threads()};
    f.pixels = eq_alloc(eq_sampling_bytes(&f.sampling), 1);
    if (!f.pixels)
        return eq_fail(err, EQ_NOMEM, "out of memory for a clip");
    enum eq_status st = eq_latency_turns(&turn, 1, EQ_LATENCY_CALLS, warmup, repeats, out, err);
    eq_free(f.pixels);
    return st;
}

struct eq_latency eq_latency_of(double *ms, int n)
{
    struct eq_latency l = {.min = NAN, .median = NAN, .p95 = NAN, .repeats = n};
    if (n <= 0)
        return l;
    l.median = eq_median_of(ms, (size_t)n);
    l.min = ms[0];
    /* Nearest rank: the smallest value that at least 95 % of the calls do not exceed. */
    int rank = (int)ceil(0.95 * n);
    l.p95 = ms[rank - 1];
    return l;
}
