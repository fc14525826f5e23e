#include "kernels/x86/f32_winograd7_conv_tmpl.h"
