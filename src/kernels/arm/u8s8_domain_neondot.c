/* INT8 in Winograd's domain for NEON with dot products. */
#include "kernels/arm/u8s8_sdot.h"

#include "kernels/vector/u8s8_domain_tmpl.h"
