/* What a run has of what its settings ask for. */
#include "echoquant/rundir.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Whether the row is of the file that the model runs now; rows of version 0.1.0 do not say. */
static bool is_of_file(const struct eq_config *cfg, const char *name, const struct eq_result *row)
{
    char *path = eq_run_model_path(cfg->run.dir, name, NULL), hex[EQ_SHA256_TEXT];
    bool same =
        !row->file_sha256[0] || (eq_sha256_file(path, hex, NULL) == EQ_OK && strcmp(hex, row->file_sha256) == 0);
    free(path);
    return same;
}

bool eq_run_has_result(const struct eq_config *cfg, const char *name)
{
    struct eq_results results;
    char file[64];
    snprintf(file, sizeof file, "predictions/%s", name);
    if (!eq_run_has_file(cfg->run.dir, file, ".csv") || eq_results_read(cfg->run.dir, &results, NULL) != EQ_OK)
        return false;
    const struct eq_result *row = eq_results_find_model(&results, name);
    /* Rows of early versions, which had a single phase, do not record it. */
    bool there = row && (isnan(row->phases) ? 1 : row->phases) == cfg->eval.phases && is_of_file(cfg, name, row);
    eq_results_clear(&results);
    return there;
}

bool eq_run_is_timed(const struct eq_config *cfg, const char *name)
{
    struct eq_results results;
    if (eq_results_read(cfg->run.dir, &results, NULL) != EQ_OK)
        return false;
    const struct eq_result *row = eq_results_find_model(&results, name);
    bool timed = row && isfinite(row->latency.median);
    eq_results_clear(&results);
    return timed;
}
