#include "kernels/x86/f32_winograd_weights_tmpl.h"
