/* Internals of rundir: documents in memory, training states, and removal of files. */
#ifndef RUNDIR_RUNDIR_H
#define RUNDIR_RUNDIR_H

#include "echoquant/rundir.h"

/* sensitivity_file.c */
/* EQ_FORMAT: the document is not what eq_sensitivity_read reads. */
enum eq_status eq_sensitivity_check(const struct cJSON *json, const char *name, struct eq_err *err);

/* models.c */
/* *there: whether there is the state of an interrupted training. EQ_IO. */
enum eq_status eq_run_has_state(const char *run_dir, const struct eq_run_model *m, bool *there, struct eq_err *err);
/* *begun: whether there is a model or a training state. EQ_IO. */
enum eq_status eq_run_has_begun(const char *run_dir, const struct eq_run_model *m, bool *begun, struct eq_err *err);

/* identity.c */
#define EQ_MANIFEST_FILE "data.csv"
/* eq_run_check_data, but a model that will be replaced, and its row, may be of other data; renewed NULL: none. */
enum eq_status eq_run_check_all_data(const char *run_dir, const struct eq_dataset *ds,
                                     const struct eq_run_model *renewed, struct eq_err *err);
enum eq_status eq_run_write_manifest(const char *run_dir, const struct eq_dataset *ds, struct eq_err *err);
/* What eq_settings_save writes beside the settings: the digest of ds and those of the models that are there, except
 * renewed (NULL: none), which will be replaced. Warns of a file that is not the one that was noted. Delete *notes with
 * cJSON_Delete in any case. EQ_IO. */
enum eq_status eq_run_notes(const char *run_dir, const struct eq_dataset *ds, const struct eq_run_model *renewed,
                            struct cJSON **notes, struct eq_err *err);

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
