#include "kernels/x86/f32_observe_tmpl.h"
