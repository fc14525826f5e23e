/*
 * Observers of processes that share the batches (clips) of a calibration: the figures of one that has seen all, to the
 * bit. Internal.
 *
 * Batches go in rounds, one for each process. In a round each process says between what its values lie. From these
 * ranges, in the order of the batches, everybody follows how bins change, and counts its own values in the bins of that
 * moment. Ranges need no more than that. Bins of constant width hold whole numbers, so the processes' counts are added
 * at the end (eq_observer_own_counts). Bins that stretch hold fractions whose sum depends on the order, so there
 * everybody takes the counts of every batch, in order (eq_observer_needs_counts).
 */
#ifndef QUANT_SHARED_OBSERVER_H
#define QUANT_SHARED_OBSERVER_H

#include "quant/histogram.h"

/* Whether it has seen no value. */
bool eq_observer_is_empty(const struct eq_observer *o);
bool eq_observer_needs_counts(const struct eq_observer *o);
/* A round: batches[batches_n] in order, each of n values; x: those of batch `own`; own = batches_n: none. counts:
 * [EQ_HIST_BINS], where they are needed. Errors as from eq_observer_add. */
enum eq_status eq_observer_count(struct eq_observer *o, const struct eq_range *batches, size_t batches_n, size_t own,
                                 const float *x, size_t n, uint64_t *counts, struct eq_err *err);
/* Where counts are needed: after it, every batch of the round in order. */
enum eq_status eq_observer_take_counts(struct eq_observer *o, const struct eq_range *batch, size_t n,
                                       const uint64_t *counts, struct eq_err *err);
/* [*n]: the counts of this process's values, to be replaced by the sum over all; *n = 0: there are none. */
uint64_t *eq_observer_own_counts(struct eq_observer *o, size_t *n);

#endif
