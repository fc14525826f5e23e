#include "kernels/x86/f32_elementwise.h"
