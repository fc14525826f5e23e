#include "kernels/x86/f32_bn.h"
