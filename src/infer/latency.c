/* Latency of one clip: the model alone, and from a file to its EF. */
#include "echoquant/infer.h"

#include <math.h>

/* Calls first..end-1; those below 0 are not kept. */
static enum eq_status take_turn(const struct eq_latency_turn *turn, int first, int end, double *ms, struct eq_err *err)
{
    enum eq_status st = EQ_OK;
    for (int i = first; i < end; i++) {
        if (eq_interrupted())
            EQ_TRY(eq_fail(err, EQ_INTERRUPTED, "interrupted while measuring times"));
        double start = eq_now_ms();
        EQ_TRY(turn->call(turn->ctx, err));
        if (i >= 0)
            ms[i] = eq_now_ms() - start;
    }
out:
    return st;
}

/* Milliseconds that the calling thread has waited for a CPU although it could have run; NaN: the kernel does not tell.
 * Involuntary context switches would not do: Linux counts a yield as one. */
static double waited_ms(void)
{
    double ns = NAN;
    FILE *f = eq_fopen("/proc/thread-self/schedstat", "re"); /* Documentation/scheduler/sched-stats.rst of Linux */
    if (f && fscanf(f, "%*u %lf", &ns) != 1)
        ns = NAN;
    if (f)
        fclose(f);
    return ns / 1e6;
}

enum eq_status eq_latency_turns(const struct eq_latency_turn *turns, int n, int calls, int warmup, int repeats,
                                struct eq_latency out[], struct eq_err *err)
{
    enum eq_status st = EQ_OK;
    size_t count = (size_t)repeats;
    if (warmup < 0 || repeats < 1)
        return eq_fail(err, EQ_USAGE, "latency needs at least one repeat");
    double *ms = eq_alloc((size_t)n * count, sizeof *ms); /* [n][repeats] */
    if (!ms)
        return eq_fail(err, EQ_NOMEM, "out of memory for %d latencies", repeats);
    double began = eq_now_ms(), waited = waited_ms();
    for (int first = -warmup, end; first < repeats; first = end) {
        end = first < 0 ? 0 : first + calls < repeats ? first + calls : repeats;
        for (int k = 0; k < n; k++) {
            if (eq_parallel_threads() != turns[k].threads)
                EQ_TRY(eq_parallel_init(turns[k].threads, err));
            if (n > 1 && first >= 0)
                EQ_TRY(turns[k].call(turns[k].ctx, err));
            EQ_TRY(take_turn(&turns[k], first, end, ms + (size_t)k * count, err));
        }
    }
    waited = (waited_ms() - waited) / fmax(eq_now_ms() - began, 1e-3);
    for (int k = 0; k < n; k++) {
        out[k] = eq_latency_of(ms + (size_t)k * count, repeats);
        out[k].waited = waited;
    }
    if (eq_parallel_threads() != turns[0].threads)
        EQ_TRY(eq_parallel_init(turns[0].threads, err));
out:
    eq_free(ms);
    return st;
}

enum eq_status eq_latency_clip(void *ctx, struct eq_err *err)
{
    const struct eq_latency_clip *c = ctx;
    float ef;
    return eq_predictor_run(c->predictor, c->pixels, &ef, err);
}

enum eq_status eq_latency_files_open(struct eq_predictor *p, const char *const *paths, size_t n, int phases,
                                     struct eq_latency_files *out, struct eq_err *err)
{
    *out = (struct eq_latency_files){
        p, paths, n, 0, {.frames = p->meta.frames, .size = p->meta.size, .phase = -1, .phases = phases}, NULL};
    out->pixels = eq_alloc(eq_sampling_bytes(&out->sampling), 1);
    return out->pixels ? EQ_OK : eq_fail(err, EQ_NOMEM, "out of memory for a clip");
}

enum eq_status eq_latency_files(void *ctx, struct eq_err *err)
{
    struct eq_latency_files *f = ctx;
    float ef;
    enum eq_status st = eq_clip_read(f->paths[f->calls++ % f->n], &f->sampling, f->pixels, NULL, err);
    return st == EQ_OK ? eq_predictor_mean(f->predictor, f->pixels, f->sampling.phases, &ef, err) : st;
}

enum eq_status eq_latency_file(struct eq_predictor *p, const char *const *paths, size_t n, int phases, int warmup,
                               int repeats, struct eq_latency *out, struct eq_err *err)
{
    struct eq_latency_files files;
    enum eq_status st = eq_latency_files_open(p, paths, n, phases, &files, err);
    const struct eq_latency_turn turn = {eq_latency_files, &files, eq_parallel_threads()};
    if (st == EQ_OK)
        st = eq_latency_turns(&turn, 1, EQ_LATENCY_CALLS, warmup, repeats, out, err);
    eq_free(files.pixels);
    return st;
}

struct eq_latency eq_latency_of(double *ms, int n)
{
    struct eq_latency l = {.min = NAN, .median = NAN, .p95 = NAN, .low = NAN, .high = NAN, .waited = NAN, .repeats = n};
    if (n <= 0)
        return l;
    l.median = eq_median_of(ms, (size_t)n);
    l.min = ms[0];
    eq_median_interval(ms, (size_t)n, &l.low, &l.high);
    /* Nearest rank: the smallest value that at least 95 % of the calls do not exceed. */
    int rank = (int)ceil(0.95 * n);
    l.p95 = ms[rank - 1];
    return l;
}
