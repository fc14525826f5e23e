#include "kernels/x86/u8s8_vec.h"

#include "kernels/vector/u8s8_direct_tmpl.h"
#include "kernels/vector/u8s8_peak_tmpl.h"
