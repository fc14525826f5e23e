#include "kernels/x86/u8s8_stem_tmpl.h"
