#include "kernels/x86/f32_direct_tmpl.h"
