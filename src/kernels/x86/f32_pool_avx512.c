#include "kernels/x86/f32_pool_tmpl.h"
