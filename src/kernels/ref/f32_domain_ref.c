/* Winograd's domain in plain C, without instructions beyond the compiler's default. */
#include "kernels/f32_domain.h"

void eq_f32_domain_fill__ref(struct eq_f32_domain_table *table)
{
    fill_domain(table);
}
