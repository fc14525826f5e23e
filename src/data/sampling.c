/* Which frames of a clip are taken, in exact integers: no rounding mode and no compiler changes an index. */
#include "echoquant/data.h"

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

size_t eq_sampling_bytes(const struct eq_sampling *s)
{
    if (s->frames < 1 || s->frames > EQ_SAMPLING_MAX_FRAMES || s->size < 1 || s->size > EQ_SAMPLING_MAX_SIZE)
        return 0;
    size_t area = 0, bytes = 0;
    if (!eq_mul_size((size_t)s->size * 3, (size_t)s->size, &area) || !eq_mul_size(area, (size_t)s->frames, &bytes))
        return 0;
    return bytes;
}
