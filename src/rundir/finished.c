/* What a run has of what its settings ask for. */
#include "echoquant/rundir.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Whether the row is of the file that the model runs now; rows of version 0.1.0 do not say. */
static enum eq_status is_of_file(const struct eq_config *cfg, const char *name, const struct eq_result *row, bool *same,
                                 struct eq_err *err)
{
    char *path = eq_run_model_path(cfg->run.dir, name, NULL), hex[EQ_SHA256_TEXT];
    enum eq_status st = row->file_sha256[0] ? eq_sha256_file(path, hex, err) : EQ_OK;
    *same = !row->file_sha256[0] || (st == EQ_OK && strcmp(hex, row->file_sha256) == 0);
    free(path);
    return st;
}

enum eq_status eq_run_look_up(const struct eq_config *cfg, const char *name, bool *there, bool *timed,
                              struct eq_err *err)
{
    struct eq_results results;
    char file[64];
    *there = *timed = false;
    enum eq_status st = eq_results_read(cfg->run.dir, &results, err);
    if (st != EQ_OK)
        return st;
    snprintf(file, sizeof file, "predictions/%s", name);
    const struct eq_result *row = eq_results_find_model(&results, name);
    *timed = row && isfinite(row->latency.median);
    /* Rows of early versions, which had a single phase, do not record it. */
    if (row && (isnan(row->phases) ? 1 : row->phases) == cfg->eval.phases &&
        eq_run_has_file(cfg->run.dir, file, ".csv"))
        st = is_of_file(cfg, name, row, there, err);
    eq_results_clear(&results);
    return st;
}

bool eq_run_has_result(const struct eq_config *cfg, const char *name)
{
    bool there, timed;
    return eq_run_look_up(cfg, name, &there, &timed, NULL) == EQ_OK && there;
}

bool eq_run_has_timed_result(const struct eq_config *cfg, const char *name)
{
    bool there, timed;
    return eq_run_look_up(cfg, name, &there, &timed, NULL) == EQ_OK && there && timed;
}
