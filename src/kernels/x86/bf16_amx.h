/* What the BF16 kernels over AMX's tiles share: their products, and where the pixels of a padded row lie in a copy. */
#ifndef KERNELS_X86_BF16_AMX_H
#define KERNELS_X86_BF16_AMX_H

#include "kernels/conv.h"
#include "kernels/x86/f32_pack.h"

#define AMX_DOT amx_dot_bf16
#include "kernels/x86/amx_tiles.h"

enum {
    MAX_SIDE = 11, /* of a filter */
    DEPTH = AMX_STEPS * KSTEP
};
_Static_assert((int)NR == (int)AMX_N, "a panel is two tiles wide");

/* Places first..end-1 of a phase hold pixels of the row; those before and after them are zero. */
struct places {
    int first, end;
};

/* A row of w pixels after `left` zero pixels, cut into phases of `wide` places each: pixel x lies in phase
 * (x + left) % phases, at place (x + left) / phases. */
static inline struct places places_of(int w, int left, int phases, int phase, int wide)
{
    const int first = (left - phase + phases - 1) / phases, end = (w + left - phase + phases - 1) / phases;
    return (struct places){first < wide ? first : wide, end < wide ? end : wide};
}

#endif
