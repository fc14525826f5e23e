/* Template: vi_dot2 on registers only, in enough chains to hide its latency and in the pairs in which tiles use it. No
 * kernel made of it can be faster. The including file has included u8s8_tile.h. */
#if defined(__aarch64__)
#define V_REGISTER "w"
#else
#define V_REGISTER "x"
#endif

enum { PEAK_PAIRS = MAX_R };

static double peak_macs(size_t iterations)
{
    vi acc[PEAK_PAIRS][2], x = vi_set1(0x01020301), w0 = vi_set1(0x01ff0201), w1 = vi_set1(0x02010103);
#pragma GCC unroll 8
    for (int i = 0; i < PEAK_PAIRS; i++)
        acc[i][0] = acc[i][1] = vi_set1(i);
    for (size_t n = 0; n < iterations; n++) {
#pragma GCC unroll 8
        for (int i = 0; i < PEAK_PAIRS; i++) {
            vi_dot2(acc[i], x, w0, w1);
            /* The compiler may neither merge the chains nor skip a link nor multiply once for all of them. */
            __asm__ volatile("" : "+" V_REGISTER(acc[i][0]), "+" V_REGISTER(acc[i][1]), "+" V_REGISTER(x));
        }
    }
    return (double)iterations * PEAK_PAIRS * 2 * VL * (EQ_WIDE ? 2 : 4);
}

const struct eq_peak ISA_NAME(EQ_PEAK) = {ISA_LEVEL, EQ_DOT, peak_macs};
