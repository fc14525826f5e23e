/* Template: Winograd's domain for a level, by the compiler's vectors. */
#include "kernels/f32_domain.h"
#include "kernels/level.h"

void ISA_NAME(eq_f32_domain_fill)(struct eq_f32_domain_table *table)
{
    fill_domain(table);
}
