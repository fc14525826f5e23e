#include "kernels/x86/f32_peak_tmpl.h"
