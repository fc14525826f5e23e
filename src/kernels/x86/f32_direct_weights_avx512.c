#include "kernels/x86/f32_direct_weights_tmpl.h"
