#include "kernels/x86/f32_bn_tmpl.h"
