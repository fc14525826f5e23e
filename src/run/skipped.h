/* Clips that were left out under data.on_error = skip, as they stand in results.json: "skipped": [{"FileName",
 * "reason"}]. */
#ifndef RUN_SKIPPED_H
#define RUN_SKIPPED_H

#include "echoquant/run.h"

enum eq_status eq_skipped_record(const char *run_dir, const struct eq_dataset *ds, struct eq_err *err);

#endif
