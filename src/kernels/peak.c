/* The rate that the kernels' instructions reach on registers, on all threads: the 100 % of `bench --layers`. */
#include "kernels/list.h"

static const struct eq_peak *const loops[] = {EQ_PEAKS(EQ_ADDRESS) NULL};

size_t eq_peaks(const struct eq_peak **out, size_t max)
{
    size_t n = 0;
    for (size_t i = 0; loops[i] && n < max; i++)
        if (eq_cpu_use(loops[i]->isa))
            out[n++] = loops[i];
    return n;
}

enum { ITERATIONS = 100000 }; /* less than a millisecond: short enough to run undisturbed */

static void peak_piece(void *ctx, size_t piece, int worker)
{
    (void)piece;
    (void)worker;
    const struct eq_peak *peak = ctx;
    peak->macs(ITERATIONS);
}

double eq_peak_gmacs(const struct eq_peak *peak, double ms)
{
    const int threads = eq_parallel_threads();
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
