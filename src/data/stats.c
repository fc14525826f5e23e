/* Pixel and EF statistics of a split. Pixel sums are integers, so they are exact in any order. */
#include "echoquant/data.h"
#include "echoquant/stats.h"

#include <math.h>
#include <stdlib.h>

struct sums {
    uint64_t pixels, sum, squares;
    double *ef;            /* [n] */
    struct eq_look *looks; /* [n] */
    size_t n, cap;
};

static void add_pixels(struct sums *s, const uint8_t *pixels, size_t count)
{
    /* 2^16 squares of bytes fit 32 bits, which vectorizes. */
    for (size_t at = 0; at < count;) {
        size_t end = count - at > 65536 ? at + 65536 : count;
        uint32_t sum = 0, squares = 0;
        for (; at < end; at++) {
            sum += pixels[at];
            squares += (uint32_t)pixels[at] * pixels[at];
        }
        s->sum += sum;
        s->squares += squares;
    }
    s->pixels += count;
}

/* sampling: of the loader, whose clips have one phase. */
static enum eq_status add_clips(struct sums *s, const struct eq_batch *batch, const struct eq_sampling *sampling,
                                struct eq_err *err)
{
    for (int i = 0; i < batch->n; i++) {
        if (s->n == s->cap) {
            size_t cap = s->cap ? 2 * s->cap : 256;
            double *ef = realloc(s->ef, cap * sizeof *ef);
            s->ef = ef ? ef : s->ef;
            struct eq_look *looks = ef ? realloc(s->looks, cap * sizeof *looks) : NULL;
            if (!looks)
                return eq_fail(err, EQ_NOMEM, "out of memory for the statistics of %zu clips", cap);
            s->looks = looks;
            s->cap = cap;
        }
        eq_look_of(batch->pixels + (size_t)i * batch->clip_bytes, sampling->frames, sampling->size, &s->looks[s->n]);
        s->ef[s->n++] = (double)batch->ef[i];
    }
    return EQ_OK;
}

static enum eq_status conclude(struct sums *s, struct eq_data_stats *out, struct eq_err *err)
{
    if (s->n == 0)
        return eq_fail(err, EQ_FORMAT, "no clip to compute statistics from");
    uint64_t mean = (s->sum + s->pixels / 2) / s->pixels;
    /* sum (x - m)^2 = sum x^2 - 2 m sum x + n m^2: never negative, and exact in 64 bits up to 2^47 pixels. */
    uint64_t around = s->squares + s->pixels * mean * mean - 2 * mean * s->sum;
    double total = 0.0, spread = 0.0;
    double median = eq_median_of(s->ef, s->n); /* sorts, so that the sums below do not depend on the clips' order */
    for (size_t i = 0; i < s->n; i++)
        total += s->ef[i];
    double ef_mean = total / (double)s->n;
    for (size_t i = 0; i < s->n; i++)
        spread += (s->ef[i] - ef_mean) * (s->ef[i] - ef_mean);
    *out = (struct eq_data_stats){.pixel_mean = (int)mean,
                                  .pixel_std = sqrt((double)around / (double)s->pixels),
                                  .ef_mean = ef_mean,
                                  .ef_std = sqrt(spread / (double)s->n),
                                  .ef_median = median,
                                  .clips = s->n};
    if (!eq_looks_of(s->looks, s->n, &out->looks))
        return eq_fail(err, EQ_NOMEM, "out of memory for the statistics of %zu clips", s->n);
    if (around == 0)
        return eq_fail(err, EQ_NUMERIC, "every pixel of %zu clips is %d: nothing to learn from", s->n, out->pixel_mean);
    if (!(out->ef_std > 0.0))
        return eq_fail(err, EQ_NUMERIC, "the EF of all %zu clips is %g: nothing to learn from", s->n, ef_mean);
    return EQ_OK;
}

enum eq_status eq_data_stats(struct eq_loader *l, struct eq_data_stats *out, struct eq_err *err)
{
    enum eq_status st = EQ_OK;
    struct sums sums = {0};
    *out = (struct eq_data_stats){0};
    EQ_TRY(eq_loader_start(l, 0, 0, err));
    for (;;) {
        struct eq_batch batch;
        EQ_TRY(eq_loader_next(l, &batch, err));
        if (batch.n == 0)
            break;
        EQ_TRY(add_clips(&sums, &batch, eq_loader_sampling(l), err));
        add_pixels(&sums, batch.pixels, (size_t)batch.n * batch.clip_bytes);
    }
    EQ_TRY(conclude(&sums, out, err));
out:
    free(sums.ef);
    free(sums.looks);
    return st;
}
