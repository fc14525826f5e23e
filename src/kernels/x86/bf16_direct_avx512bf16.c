#include "kernels/x86/f32_direct.h"
