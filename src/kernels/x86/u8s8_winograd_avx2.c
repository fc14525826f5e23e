#include "kernels/x86/u8s8_winograd_tmpl.h"
