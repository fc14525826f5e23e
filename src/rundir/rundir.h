/* The files of a run directory, for those that make, find and remove them. */
#ifndef RUNDIR_RUNDIR_H
#define RUNDIR_RUNDIR_H

#include "echoquant/rundir.h"

/* models.c */
const char *eq_phase_model(enum eq_phase phase);              /* the model that a phase makes */
bool eq_run_has_begun(const char *run_dir, const char *name); /* a model or a training state */

/* forget.c */
/* Whether config.json there is one that eq_settings_save wrote: it notes where each value came from. */
bool eq_run_is_ours(const char *run_dir);
enum eq_status eq_run_forget(const char *run_dir, struct eq_err *err);
/* Everything of one model but its file, which stays until the new one takes its place. */
enum eq_status eq_run_forget_result(const char *run_dir, const char *name, struct eq_err *err);
/* Temporary files of processes that were killed. */
enum eq_status eq_run_remove_stale(const char *run_dir, struct eq_err *err);

#endif
