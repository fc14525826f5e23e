/* Internals of rundir: training states, and removal of files. */
#ifndef RUNDIR_RUNDIR_H
#define RUNDIR_RUNDIR_H

#include "echoquant/rundir.h"

/* models.c */
/* *there: whether there is the state of an interrupted training. EQ_IO. */
enum eq_status eq_run_has_state(const char *run_dir, const struct eq_run_model *m, bool *there, struct eq_err *err);
/* *begun: whether there is a model or a training state. EQ_IO. */
enum eq_status eq_run_has_begun(const char *run_dir, const struct eq_run_model *m, bool *begun, struct eq_err *err);

/* forget.c */
/* *ours: whether eq_settings_save wrote the config.json there, which then has origins. One that is no JSON is not ours;
 * EQ_IO: it cannot be read, and may be ours. */
enum eq_status eq_run_is_ours(const char *run_dir, bool *ours, struct eq_err *err);
/* Removes all files of a run. EQ_IO. */
enum eq_status eq_run_forget(const char *run_dir, struct eq_err *err);
/* Removes everything that was made from the file of a model, except the file: it stays until the new one replaces it.
 * */
enum eq_status eq_run_forget_results(const char *run_dir, const struct eq_run_model *m, struct eq_err *err);
/* eq_remove_temporaries in all folders of a run directory. */
enum eq_status eq_run_remove_temporaries(const char *run_dir, bool alone, struct eq_err *err);

#endif
