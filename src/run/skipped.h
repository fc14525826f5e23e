/* Clips that were left out under data.on_error = skip, as they stand in results.json:
 * "skipped": {"FileList.csv": [...], "TRAIN": [...], "VAL": [...], "TEST": [...]}, each entry {"FileName", "reason"}.
 */
#ifndef RUN_SKIPPED_H
#define RUN_SKIPPED_H

#include "echoquant/run.h"

/* Replaces the list under one key; says how many on stderr when there are any. */
enum eq_status eq_skipped_record(const char *run_dir, const char *key, const struct eq_skipped *list, size_t n,
                                 struct eq_err *err);

#endif
