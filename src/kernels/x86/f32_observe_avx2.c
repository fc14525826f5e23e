#include "kernels/x86/f32_observe.h"
