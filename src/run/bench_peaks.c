/* The peaks that kernels are held to, measured before and behind them. */
#include "run/bench.h"

void eq_bench_measure_peaks(struct eq_bench_peaks *p, int rounds, double round_ms)
{
    p->n = eq_peaks(p->peaks, EQ_BENCH_PEAKS);
    for (int round = 0; round < rounds; round++)
        for (size_t i = 0; i < p->n; i++) {
            double gmacs = eq_peak_gmacs(p->peaks[i], round_ms);
            p->gmacs[i] = gmacs > p->gmacs[i] ? gmacs : p->gmacs[i];
        }
}
