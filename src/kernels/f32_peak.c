/* What FP32 FMA on registers reaches on all threads: the 100 % of `bench --layers`. */
#include "kernels/f32.h"

static const struct eq_f32_peak *const peaks[] = {
#if defined(__x86_64__)
    &eq_f32_peak__avx2,
    &eq_f32_peak__avx512,
#endif
    NULL,
};

enum { ITERATIONS = 100000 }; /* less than a millisecond: short enough to run undisturbed */

static void peak_piece(void *ctx, size_t piece, int worker)
{
    (void)piece;
    (void)worker;
    const struct eq_f32_peak *peak = ctx;
    peak->macs(ITERATIONS);
}

double eq_peak_f32_gmacs(double ms, const char **what)
{
    const struct eq_f32_peak *peak = NULL;
    for (size_t i = 0; peaks[i]; i++)
        if (eq_cpu_use(peaks[i]->isa))
            peak = peaks[i];
    *what = peak ? peak->instruction : "none: plain C";
    if (!peak)
        return 0;
    int threads = eq_parallel_threads();
    double best = 0, begin = eq_now_ms(), now = begin;
    do {
        double start = now;
        eq_parallel_for((size_t)threads, peak_piece, (void *)(uintptr_t)peak);
        now = eq_now_ms();
        double rate = peak->macs(1) * ITERATIONS * threads / (now - start) * 1e-6;
        best = rate > best ? rate : best;
    } while (now - begin < ms);
    return best;
}
