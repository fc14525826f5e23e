/* The models of a run: the table of their names, files, rows, and series in pictures. A new row of the results is a row
 * here. */
#include "echoquant/picture.h"
#include "rundir/rundir.h"

#include <stdlib.h>
#include <string.h>

static bool always(const struct eq_config *cfg)
{
    (void)cfg;
    return true;
}

static bool with_bf16(const struct eq_config *cfg)
{
    return cfg->run.precision == EQ_PRECISION_BF16;
}

static bool with_control(const struct eq_config *cfg)
{
    return cfg->qat.control;
}

/* clang-format off */
const struct eq_run_model eq_run_models[] = {
    {"fp32", "FP32", "FP32 baseline", 1, "fp32", EQ_PRECISION_FP32, EQ_PHASE_TRAIN, "train", always},
    {"bf16", "BF16", "FP32 baseline in BF16", 5, "fp32", EQ_PRECISION_BF16, EQ_PHASE_TRAIN, "train", with_bf16},
    {"ptq", "PTQ", "post-training quantization", 2, "ptq", EQ_PRECISION_FP32, EQ_PHASE_PTQ, "ptq", always},
    {"qat", "QAT", "quantization-aware training", 3, "qat", EQ_PRECISION_FP32, EQ_PHASE_QAT, "qat", always},
    {"fp32_plus", "FP32+", "FP32+, the control of QAT", 4, "fp32_plus", EQ_PRECISION_FP32, EQ_PHASE_CONTROL,
     "qat --control", with_control},
    {0},
};
/* clang-format on */

bool eq_run_model_is_made(const struct eq_run_model *m)
{
    return strcmp(m->name, m->file) == 0;
}

const struct eq_run_model *eq_run_model_named(const char *name)
{
    for (const struct eq_run_model *m = eq_run_models; m->name; m++)
        if (strcmp(m->name, name) == 0)
            return m;
    return NULL;
}

const struct eq_run_model *eq_run_model_of_row(const char *row)
{
    for (const struct eq_run_model *m = eq_run_models; m->name; m++)
        if (strcmp(m->row, row) == 0)
            return m;
    return NULL;
}

const struct eq_run_model *eq_phase_model(enum eq_phase phase)
{
    for (const struct eq_run_model *m = eq_run_models; m->name; m++)
        if (m->phase == phase && eq_run_model_is_made(m))
            return m;
    return NULL;
}

int eq_run_series(const char *name)
{
    const struct eq_run_model *m = eq_run_model_named(name);
    return m ? m->series : EQ_SERIES;
}

bool eq_run_is_model_name(const char *name)
{
    size_t len = strlen(name);
    return len > 0 && len < 32 && name[0] != '.' && name[0] != '-' &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-") == len;
}

void eq_run_row_name(const char *name, char row[EQ_ROW_NAME])
{
    const struct eq_run_model *m = eq_run_model_named(name);
    snprintf(row, EQ_ROW_NAME, "%s", m ? m->row : name);
}

bool eq_run_file_name(const char *row, char name[EQ_ROW_NAME])
{
    const struct eq_run_model *m = eq_run_model_of_row(row);
    snprintf(name, EQ_ROW_NAME, "%s", m ? m->name : row);
    return eq_run_is_model_name(name);
}

enum eq_status eq_run_look(const char *dir, const char *name, const char *extension, bool *there, struct eq_err *err)
{
    char *path = eq_format("%s/%s%s", dir, name, extension);
    enum eq_status st = eq_path_look(path, there, err);
    free(path);
    return st;
}

bool eq_run_has_file(const char *dir, const char *name, const char *extension)
{
    bool there;
    return eq_run_look(dir, name, extension, &there, NULL) == EQ_OK && there;
}

enum eq_status eq_run_has_model(const char *run_dir, const char *name, bool *there, struct eq_err *err)
{
    const struct eq_run_model *m = eq_run_model_named(name);
    return eq_run_look(run_dir, m ? m->file : name, ".safetensors", there, err);
}

char *eq_run_model_path(const char *run_dir, const char *name, const char *model_path)
{
    const struct eq_run_model *m = eq_run_model_named(name);
    return model_path ? eq_strdup(model_path) : eq_format("%s/%s.safetensors", run_dir, m ? m->file : name);
}

enum eq_status eq_run_need_model(const char *run_dir, const char *name, const char *model_path, struct eq_err *err)
{
    char kind[32];
    if (model_path)
        return eq_model_kind(model_path, kind, err);
    bool there;
    enum eq_status st = eq_run_has_model(run_dir, name, &there, err);
    if (st != EQ_OK || there)
        return st;
    const struct eq_run_model *m = eq_run_model_named(name);
    if (!m)
        return eq_fail(err, EQ_IO, "%s/%s.safetensors is missing, and no command makes a model of that name", run_dir,
                       name);
    return eq_fail(err, EQ_IO, "%s/%s.safetensors is missing: run `echoquant %s` first, or name a model with --model",
                   run_dir, m->file, m->command);
}

enum eq_status eq_run_has_state(const char *run_dir, const struct eq_run_model *m, bool *there, struct eq_err *err)
{
    char state[64];
    snprintf(state, sizeof state, "state/%s.state", m->name);
    return eq_run_look(run_dir, state, ".safetensors", there, err);
}

enum eq_status eq_run_has_begun(const char *run_dir, const struct eq_run_model *m, bool *begun, struct eq_err *err)
{
    enum eq_status st = eq_run_has_model(run_dir, m->name, begun, err);
    return st == EQ_OK && !*begun ? eq_run_has_state(run_dir, m, begun, err) : st;
}

enum eq_status eq_run_make_dirs(const char *run_dir, struct eq_err *err)
{
    static const char *const names[] = {"state", "history", "predictions", "quantization"};
    enum eq_status st = EQ_OK;
    for (size_t i = 0; i < sizeof names / sizeof *names && st == EQ_OK; i++) {
        char *path = eq_path_join(run_dir, names[i]);
        st = eq_make_dirs(path, err);
        free(path);
    }
    return st;
}
