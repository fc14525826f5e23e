/* Pixel and EF statistics of a split. Pixel sums are integers, so they are exact in any order. */
#include "echoquant/data.h"
#include "echoquant/stats.h"

#include <math.h>
#include <stdlib.h>

/* Of one clip. */
struct row {
    uint64_t pixels, sum, squares;
    double ef;
    struct eq_look look;
};

struct sums {
    uint64_t pixels, sum, squares;
    double *ef;            /* [n] */
    struct eq_look *looks; /* [n] */
    size_t n;
};

static void add_pixels(struct row *s, const uint8_t *pixels, size_t count)
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

/* The rows of the own clips, which have one phase. */
static enum eq_status look_at_own(struct eq_loader *l, struct row *row, struct eq_err *err)
{
    const struct eq_sampling *sampling = eq_loader_sampling(l);
    enum eq_status st;
    EQ_TRY(eq_loader_start(l, 0, 0, err));
    for (;;) {
        struct eq_batch batch;
        EQ_TRY(eq_loader_next(l, &batch, err));
        if (batch.n == 0)
            break;
        for (int i = 0; i < batch.n; i++, row++) {
            const uint8_t *pixels = batch.pixels + (size_t)i * batch.clip_bytes;
            row->ef = (double)batch.ef[i];
            eq_look_of(pixels, sampling->frames, sampling->size, &row->look);
            add_pixels(row, pixels, batch.clip_bytes);
        }
    }
out:
    return st;
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

static void add_up(const struct row *rows, size_t n, struct sums *s)
{
    for (; s->n < n; s->n++) {
        const struct row *row = &rows[s->n];
        s->pixels += row->pixels;
        s->sum += row->sum;
        s->squares += row->squares;
        s->ef[s->n] = row->ef;
        s->looks[s->n] = row->look;
    }
}

enum eq_status eq_data_stats(struct eq_loader *l, struct eq_data_stats *out, struct eq_err *err)
{
    const struct eq_batch_share *share = eq_loader_share(l);
    size_t n = eq_loader_clips(l);
    struct row *rows = eq_alloc(n + 1, sizeof *rows);
    struct sums sums = {.ef = eq_alloc(n + 1, sizeof *sums.ef), .looks = eq_alloc(n + 1, sizeof *sums.looks)};
    enum eq_status st;
    *out = (struct eq_data_stats){0};
    if (!rows || !sums.ef || !sums.looks)
        EQ_TRY(eq_fail(err, EQ_NOMEM, "out of memory for the statistics of %zu clips", n));
    EQ_TRY(eq_comm_agree(share->comm, look_at_own(l, rows + share->first, err), err));
    EQ_TRY(eq_comm_fill(share->comm, rows, n, sizeof *rows, err));
    add_up(rows, n, &sums);
    EQ_TRY(conclude(&sums, out, err));
out:
    eq_free(rows);
    eq_free(sums.ef);
    eq_free(sums.looks);
    return st;
}
