/* The files of a run directory, for those that make, find and remove them. */
#ifndef RUNDIR_RUNDIR_H
#define RUNDIR_RUNDIR_H

#include "echoquant/rundir.h"

/* models.c */
/* *there: whether there is the state of a training that was interrupted. */
enum eq_status eq_run_has_state(const char *run_dir, const struct eq_run_model *m, bool *there, struct eq_err *err);
/* *begun: whether there is a model or a training state. */
enum eq_status eq_run_has_begun(const char *run_dir, const struct eq_run_model *m, bool *begun, struct eq_err *err);

/* forget.c */
/* *ours: whether config.json there is one that eq_settings_save wrote: it notes where each value came from. One that
 * can't be read is an error: it may be ours. */
enum eq_status eq_run_is_ours(const char *run_dir, bool *ours, struct eq_err *err);
/* Removes all that a run writes. */
enum eq_status eq_run_forget(const char *run_dir, struct eq_err *err);
/* Everything that was made of one model's file but the file itself, which stays until the new one takes its place. */
enum eq_status eq_run_forget_results(const char *run_dir, const struct eq_run_model *m, struct eq_err *err);
/* Temporary files of processes that were killed. */
enum eq_status eq_run_remove_stale(const char *run_dir, struct eq_err *err);

#endif
