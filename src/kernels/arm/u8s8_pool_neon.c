/* The slots of the integer table, at the only level of Arm that has them. */
#include "kernels/arm/u8s8_vec128.h"

#include "kernels/vector/u8s8_pool_tmpl.h"
