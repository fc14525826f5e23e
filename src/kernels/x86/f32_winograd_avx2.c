#include "kernels/x86/f32_winograd_conv_tmpl.h"
