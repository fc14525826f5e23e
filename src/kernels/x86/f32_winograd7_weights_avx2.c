#include "kernels/x86/f32_winograd7_weights_tmpl.h"
