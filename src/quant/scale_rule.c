/* The QAT methods as rows of one table. */
#include "quant/quant_graph.h"

#define NAME(id, name) name,
const char *const eq_qat_method_names[EQ_QAT_METHOD_COUNT + 1] = {EQ_QAT_METHODS(NAME)};
const struct eq_scale_rule *const eq_scale_rules[EQ_QAT_METHOD_COUNT] = {&eq_ste_rule, &eq_lsq_rule};
