/* Latency of one clip: the model alone, and from a file to its EF. */
#include "echoquant/run.h"

static enum eq_status checked_counts(int warmup, int repeats, double **ms, struct eq_err *err)
{
    if (warmup < 0 || repeats < 1)
        return eq_fail(err, EQ_USAGE, "latency needs at least one repeat");
    *ms = eq_alloc((size_t)repeats, sizeof **ms);
    return *ms ? EQ_OK : eq_fail(err, EQ_NOMEM, "out of memory for %d latencies", repeats);
}

/* All of them in each round. */
static enum eq_status measure(struct eq_predictor *const p[], int n, const uint8_t *pixels, int warmup, int repeats,
                              struct eq_latency out[], struct eq_err *err)
{
    double *ms[2] = {NULL, NULL};
    enum eq_status st = EQ_OK;
    for (int k = 0; k < n; k++)
        EQ_TRY(checked_counts(warmup, repeats, &ms[k], err));
    for (int i = -warmup; i < repeats; i++)
        for (int k = 0; k < n; k++) {
            float ef;
            double start = eq_now_ms();
            EQ_TRY(eq_predictor_run(p[k], pixels, &ef, err));
            if (i >= 0)
                ms[k][i] = eq_now_ms() - start;
        }
    for (int k = 0; k < n; k++)
        out[k] = eq_latency_of(ms[k], repeats);
out:
    eq_free(ms[0]);
    eq_free(ms[1]);
    return st;
}

enum eq_status eq_latency_model(struct eq_predictor *p, const uint8_t *pixels, int warmup, int repeats,
                                struct eq_latency *out, struct eq_err *err)
{
    return measure(&p, 1, pixels, warmup, repeats, out, err);
}

enum eq_status eq_latency_pair(struct eq_predictor *const pair[2], const uint8_t *pixels, int warmup, int repeats,
                               struct eq_latency out[2], struct eq_err *err)
{
    return measure(pair, 2, pixels, warmup, repeats, out, err);
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
    if (!pixels) {
        st = eq_fail(err, EQ_NOMEM, "out of memory for a clip");
        goto out;
    }
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
