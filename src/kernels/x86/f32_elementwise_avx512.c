#include "kernels/x86/f32_elementwise_tmpl.h"
