#include "kernels/x86/f32_peak.h"
