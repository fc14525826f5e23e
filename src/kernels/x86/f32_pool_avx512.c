#include "kernels/x86/f32_pool.h"
