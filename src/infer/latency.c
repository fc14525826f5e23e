/* Latency of one clip: the model alone, and from a file to its EF. */
#include "echoquant/infer.h"

#include <math.h>

static enum eq_status checked_counts(int warmup, int repeats, double **ms, struct eq_err *err)
{
    if (warmup < 0 || repeats < 1)
        return eq_fail(err, EQ_USAGE, "latency needs at least one repeat");
    *ms = eq_alloc((size_t)repeats, sizeof **ms);
    return *ms ? EQ_OK : eq_fail(err, EQ_NOMEM, "out of memory for %d latencies", repeats);
}

/* Calls of one turn: few, so that a disturbance meets all; enough to keep the cost of changing over small. */
enum { CALLS_OF_A_TURN = 5 };

static enum eq_status timed_call(struct eq_predictor *p, const uint8_t *pixels, double *ms, struct eq_err *err)
{
    float ef;
    double start = eq_now_ms();
    enum eq_status st = eq_predictor_run(p, pixels, &ef, err);
    *ms = eq_now_ms() - start;
    return st;
}

/* One unmeasured call, for a new pool and for caches that another predictor filled. */
static enum eq_status change_over(const struct eq_latency_turn *turn, const uint8_t *pixels, struct eq_err *err)
{
    double ms;
    if (eq_parallel_threads() != turn->threads)
        EQ_CHECK(eq_parallel_init(turn->threads, err));
    return timed_call(turn->predictor, pixels, &ms, err);
}

/* Calls first..end-1 of one turn; those below 0 are not kept. */
static enum eq_status take_turn(const struct eq_latency_turn *turn, const uint8_t *pixels, int first, int end,
                                double *ms, struct eq_err *err)
{
    double unused;
    for (int i = first; i < end; i++)
        EQ_CHECK(timed_call(turn->predictor, pixels, i < 0 ? &unused : &ms[i], err));
    return EQ_OK;
}

enum eq_status eq_latency_turns(const struct eq_latency_turn *turns, int n, const uint8_t *pixels, int warmup,
                                int repeats, struct eq_latency out[], struct eq_err *err)
{
    double *ms[EQ_MAX_TURNS] = {NULL};
    enum eq_status st = EQ_OK;
    for (int k = 0; k < n; k++)
        EQ_TRY(checked_counts(warmup, repeats, &ms[k], err));
    for (int first = -warmup, end; first < repeats; first = end) {
        end = first < 0 ? 0 : first + CALLS_OF_A_TURN < repeats ? first + CALLS_OF_A_TURN : repeats;
        for (int k = 0; k < n; k++) {
            if (n > 1)
                EQ_TRY(change_over(&turns[k], pixels, err));
            EQ_TRY(take_turn(&turns[k], pixels, first, end, ms[k], err));
        }
    }
    for (int k = 0; k < n; k++)
        out[k] = eq_latency_of(ms[k], repeats);
    if (n > 1 && eq_parallel_threads() != turns[0].threads)
        EQ_TRY(eq_parallel_init(turns[0].threads, err));
out:
    for (int k = 0; k < n; k++)
        eq_free(ms[k]);
    return st;
}

enum eq_status eq_latency_model(struct eq_predictor *p, const uint8_t *pixels, int warmup, int repeats,
                                struct eq_latency *out, struct eq_err *err)
{
    const struct eq_latency_turn turn = {p, eq_parallel_threads()};
    return eq_latency_turns(&turn, 1, pixels, warmup, repeats, out, err);
}

enum eq_status eq_latency_file(struct eq_predictor *p, const char *const *paths, size_t n, int phases, int warmup,
                               int repeats, struct eq_latency *out, struct eq_err *err)
{
    double *ms = NULL;
    uint8_t *pixels = NULL;
    enum eq_status st;
    struct eq_sampling sampling = {.frames = p->meta.frames, .size = p->meta.size, .phase = -1, .phases = phases};
    EQ_TRY(checked_counts(warmup, repeats, &ms, err));
    pixels = eq_alloc(eq_sampling_bytes(&sampling), 1);
    if (!pixels)
        EQ_TRY(eq_fail(err, EQ_NOMEM, "out of memory for a clip"));
    for (int i = -warmup; i < repeats; i++) {
        float ef;
        const char *path = paths[(size_t)(i + warmup) % n];
        double start = eq_now_ms();
        EQ_TRY(eq_clip_read(path, &sampling, pixels, NULL, err));
        EQ_TRY(eq_predictor_mean(p, pixels, phases, &ef, err));
        if (i >= 0)
            ms[i] = eq_now_ms() - start;
    }
    *out = eq_latency_of(ms, repeats);
out:
    eq_free(pixels);
    eq_free(ms);
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
