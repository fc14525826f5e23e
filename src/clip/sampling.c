/* The frames that are sampled from a clip, in exact integers: no rounding mode and no compiler changes an index. */
#include "echoquant/clip.h"

#include <assert.h>
#include <math.h>

/* num / den rounded half to even, for num >= 0, den > 0. */
static int64_t divide_half_even(int64_t num, int64_t den)
{
    int64_t quotient = num / den, rest = num % den;
    if (2 * rest > den || (2 * rest == den && (quotient & 1)))
        quotient++;
    return quotient;
}

int eq_sample_index(int i, int frames, int n)
{
    assert(frames > 0 && i >= 0 && i < frames && n > 0);
    if (frames == 1)
        return (int)divide_half_even((int64_t)n - 1, 2);
    return (int)divide_half_even((int64_t)i * (n - 1), (int64_t)frames - 1);
}

int eq_sample_index_phase(int i, int frames, int n, double phase)
{
    assert(frames > 0 && i >= 0 && i < frames && n > 0 && phase < 1.0);
    if (phase < 0.0)
        return eq_sample_index(i, frames, n);
    /* The phase in units of 2^-24: then (i + phase) n fits 64 bits for every frame count we accept. */
    const int64_t one = (int64_t)1 << 24;
    int64_t place = (int64_t)i * one + (int64_t)floor(phase * (double)one);
    return (int)(place * n / (one * frames));
}

static int phases_of(const struct eq_sampling *s)
{
    return s->phases > 1 ? s->phases : 1;
}

int eq_sampling_slots(const struct eq_sampling *s)
{
    return s->frames * phases_of(s);
}

/* The phases (k + 0.5) / P of T segments are the middles of T P segments. In this form they are exact for every P. */
int eq_sampling_index(const struct eq_sampling *s, int slot, int n)
{
    if (phases_of(s) == 1)
        return eq_sample_index_phase(slot, s->frames, n, s->phase);
    return eq_sample_index_phase(slot, eq_sampling_slots(s), n, 0.5);
}

int eq_sampling_place(const struct eq_sampling *s, int slot)
{
    int phases = phases_of(s);
    return slot % phases * s->frames + slot / phases;
}

size_t eq_sampling_bytes(const struct eq_sampling *s)
{
    if (s->frames < 1 || s->size < 1 || s->size > EQ_SAMPLING_MAX_SIZE || s->phases < 0 ||
        s->frames > EQ_SAMPLING_MAX_FRAMES / phases_of(s))
        return 0;
    size_t area = 0, bytes = 0;
    if (!eq_mul_size((size_t)s->size * 3, (size_t)s->size, &area) ||
        !eq_mul_size(area, (size_t)eq_sampling_slots(s), &bytes))
        return 0;
    return bytes;
}

enum eq_status eq_sampling_check(const struct eq_sampling *s, struct eq_err *err)
{
    if (eq_sampling_bytes(s) == 0 || !(s->phase < 1.0))
        return eq_fail(err, EQ_USAGE, "cannot sample %d frames of %d pixels at phase %g, %d phases", s->frames, s->size,
                       s->phase, s->phases);
    if (s->phases > 1 && s->phase >= 0)
        return eq_fail(err, EQ_USAGE, "a sampling has either several phases (%d) or one of its own (%g)", s->phases,
                       s->phase);
    return EQ_OK;
}
