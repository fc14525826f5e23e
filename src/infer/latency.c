/* Latency of one clip: the model alone, and from a file to its EF. */
#include "echoquant/infer.h"

#include <math.h>
#include <string.h>

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
            ms[i] = round((eq_now_ms() - start) * 1e4) / 1e4;
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

/* The pool gets the threads of the turn; where there are several turns, an uncounted call settles it. */
static enum eq_status enter_turn(const struct eq_latency_turn *turn, bool settles, struct eq_err *err)
{
    if (eq_parallel_threads() != turn->threads)
        EQ_CHECK(eq_parallel_init(turn->threads, err));
    return settles ? turn->call(turn->ctx, err) : EQ_OK;
}

/* ms: [n][repeats]. *done: how many calls of each way counted. */
static enum eq_status take_turns(const struct eq_latency_turn *turns, int n, const struct eq_latency_opts *o,
                                 double *ms, int *done, struct eq_err *err)
{
    double began = eq_now_ms();
    *done = 0;
    for (int first = -o->warmup, end; first < o->repeats; first = end) {
        end = first < 0 ? 0 : first + o->calls < o->repeats ? first + o->calls : o->repeats;
        for (int k = 0; k < n; k++) {
            EQ_CHECK(enter_turn(&turns[k], n > 1 && first >= 0, err));
            EQ_CHECK(take_turn(&turns[k], first, end, ms + (size_t)k * (size_t)o->repeats, err));
        }
        *done = end;
        if (o->seconds > 0 && end >= EQ_LATENCY_LEAST && eq_now_ms() - began >= 1e3 * o->seconds)
            break;
    }
    return EQ_OK;
}

enum eq_status eq_latency_turns(const struct eq_latency_turn *turns, int n, const struct eq_latency_opts *opts,
                                struct eq_latency out[], struct eq_err *err)
{
    enum eq_status st = EQ_OK;
    int done;
    if (opts->warmup < 0 || opts->repeats < 1)
        return eq_fail(err, EQ_USAGE, "latency needs at least one repeat");
    double *ms = eq_alloc((size_t)n * (size_t)opts->repeats, sizeof *ms);
    if (!ms)
        return eq_fail(err, EQ_NOMEM, "out of memory for %d latencies", opts->repeats);
    double began = eq_now_ms(), waited = waited_ms();
    EQ_TRY(take_turns(turns, n, opts, ms, &done, err));
    waited = (waited_ms() - waited) / fmax(eq_now_ms() - began, 1e-3);
    for (int k = 0; k < n; k++) {
        double *own = ms + (size_t)k * (size_t)opts->repeats;
        out[k] = eq_latency_of(own, done);
        out[k].waited = waited;
        if (turns[k].ms)
            memcpy(turns[k].ms, own, (size_t)done * sizeof *own);
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

enum eq_status eq_latency_parts_open(const struct eq_latency_clip *clip, int most, struct eq_latency_parts *out,
                                     struct eq_err *err)
{
    *out = (struct eq_latency_parts){
        .clip = *clip, .ms = eq_alloc(3 * (size_t)most, sizeof *out->ms), .most = (size_t)most};
    return out->ms ? EQ_OK : eq_fail(err, EQ_NOMEM, "out of memory for %d latencies", most);
}

enum eq_status eq_latency_parts(void *ctx, struct eq_err *err)
{
    struct eq_latency_parts *parts = ctx;
    EQ_CHECK(eq_latency_clip(&parts->clip, err));
    const struct eq_device_times t = parts->clip.predictor->ops->times(parts->clip.predictor);
    size_t at = parts->n++ % parts->most;
    parts->ms[at] = t.upload;
    parts->ms[parts->most + at] = t.compute;
    parts->ms[2 * parts->most + at] = t.download;
    return EQ_OK;
}

struct eq_device_times eq_latency_parts_medians(struct eq_latency_parts *parts)
{
    size_t n = parts->n < parts->most ? parts->n : parts->most;
    return (struct eq_device_times){eq_median_of(parts->ms, n), eq_median_of(parts->ms + parts->most, n),
                                    eq_median_of(parts->ms + 2 * parts->most, n)};
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
    enum eq_status st = eq_clip_read_by_pool(f->paths[f->calls++ % f->n], &f->sampling, f->pixels, NULL, err);
    return st == EQ_OK ? eq_predictor_mean(f->predictor, f->pixels, f->sampling.phases, &ef, err) : st;
}

enum eq_status eq_latency_file(struct eq_predictor *p, const char *const *paths, size_t n, int phases,
                               const struct eq_latency_opts *opts, struct eq_latency *out, struct eq_err *err)
{
    struct eq_latency_files files;
    enum eq_status st = eq_latency_files_open(p, paths, n, phases, &files, err);
    const struct eq_latency_turn turn = {eq_latency_files, &files, eq_parallel_threads(), NULL};
    if (st == EQ_OK)
        st = eq_latency_turns(&turn, 1, opts, out, err);
    eq_free(files.pixels);
    return st;
}

/* ms: [n], ascending. */
static double nearest_rank(const double *ms, int n, int percent)
{
    size_t rank = ((size_t)n * (size_t)percent + 99) / 100;
    return ms[rank - 1];
}

struct eq_latency eq_latency_of(double *ms, int n)
{
    struct eq_latency l = {NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, n};
    if (n <= 0)
        return l;
    l.median = eq_median_of(ms, (size_t)n);
    l.min = ms[0];
    eq_median_interval(ms, (size_t)n, &l.low, &l.high);
    l.p90 = nearest_rank(ms, n, 90);
    l.p95 = nearest_rank(ms, n, 95);
    l.p99 = nearest_rank(ms, n, 99);
    return l;
}
