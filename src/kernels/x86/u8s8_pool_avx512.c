#include "kernels/x86/u8s8_vec.h"

#include "kernels/vector/u8s8_pool_tmpl.h"
