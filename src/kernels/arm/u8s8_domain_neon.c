/* INT8 in Winograd's domain for NEON without dot products. */
#include "kernels/arm/u8s8_smull.h"

#include "kernels/vector/u8s8_domain_tmpl.h"
