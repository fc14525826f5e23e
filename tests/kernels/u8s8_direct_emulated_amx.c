/* The AMX kernel itself, over emulated tile instructions; test_u8s8_amx_emulated.c runs it. */
#if defined(__x86_64__)
#define EQ_AMX_EMULATED
#include "kernels/amx_emulated.h"

#define eq_u8s8_conv_direct__amx eq_u8s8_conv_direct__amx_emulated
#define eq_u8s8_peak__amx eq_u8s8_peak__amx_emulated
#include "kernels/x86/u8s8_direct_amx.c"

atomic_int amx_emulated_configured;
atomic_long amx_emulated_dots;
#else
typedef int nothing;
#endif
