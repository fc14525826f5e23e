/* ranks.h: the order of values and their mean ranks. */
#ifndef STATS_RANKS_H
#define STATS_RANKS_H

#include "echoquant/stats.h"

/* order: [n], written: the places of v by ascending value, equal values in the order of their places. EQ_NOMEM */
enum eq_status eq_order_of(const double *v, size_t n, uint32_t *order, struct eq_err *err);
/* ranks: [n], written: 1 for the least value; equal values share the mean of their ranks. Those with leave[i] == skip
 * neither count nor get one; leave may be NULL. order: of v. Returns the sum of t^3 - t over the groups of t equal
 * values. */
double eq_mean_ranks(const double *v, const uint32_t *order, size_t n, const bool *leave, bool skip, double *ranks);

#endif
