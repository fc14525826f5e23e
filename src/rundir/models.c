/* The models of a run: their names, files and rows. */
#include "rundir/rundir.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define CONTROL_ROW "FP32+"

bool eq_run_is_model_name(const char *name)
{
    size_t len = strlen(name);
    return len > 0 && len < 32 && name[0] != '.' && name[0] != '-' &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-") == len;
}

const char *const eq_run_models[EQ_RUN_MODELS] = {"fp32", "ptq", "qat", EQ_CONTROL_NAME};

void eq_run_row_name(const char *name, char row[EQ_ROW_NAME])
{
    size_t i = 0;
    if (strcmp(name, EQ_CONTROL_NAME) == 0)
        name = CONTROL_ROW;
    for (; name[i] && i + 1 < EQ_ROW_NAME; i++)
        row[i] = (char)toupper((unsigned char)name[i]);
    row[i] = '\0';
}

bool eq_run_file_name(const char *row, char name[EQ_ROW_NAME])
{
    size_t i = 0;
    if (strcmp(row, CONTROL_ROW) == 0)
        row = EQ_CONTROL_NAME;
    for (; row[i] && i + 1 < EQ_ROW_NAME; i++)
        name[i] = (char)tolower((unsigned char)row[i]);
    name[i] = '\0';
    return eq_run_is_model_name(name);
}

enum eq_status eq_run_look(const char *dir, const char *name, const char *extension, bool *there, struct eq_err *err)
{
    struct eq_str path = {0};
    eq_str_add(&path, "%s/%s%s", dir, name, extension);
    enum eq_status st = eq_path_look(path.s, there, err);
    eq_str_clear(&path);
    return st;
}

/* Where a wrong "no" costs nothing but work done twice. */
bool eq_run_has_file(const char *dir, const char *name, const char *extension)
{
    bool there;
    return eq_run_look(dir, name, extension, &there, NULL) == EQ_OK && there;
}

enum eq_status eq_run_has_model(const char *run_dir, const char *name, bool *there, struct eq_err *err)
{
    return eq_run_look(run_dir, name, ".safetensors", there, err);
}

enum eq_status eq_run_need_model(const char *run_dir, const char *name, const char *model_path, struct eq_err *err)
{
    char kind[32];
    if (model_path)
        return eq_model_kind(model_path, kind, err);
    if (strcmp(name, EQ_BF16_NAME) == 0)
        name = "fp32";
    bool there;
    enum eq_status st = eq_run_has_model(run_dir, name, &there, err);
    if (st != EQ_OK || there)
        return st;
    return eq_fail(err, EQ_IO, "%s/%s.safetensors is missing: run `echoquant %s` first, or name a model with --model",
                   run_dir, name,
                   strcmp(name, "fp32") == 0            ? "train"
                   : strcmp(name, EQ_CONTROL_NAME) == 0 ? "qat --control"
                                                        : name);
}

const char *eq_phase_model(enum eq_phase phase)
{
    return phase == EQ_PHASE_PTQ       ? "ptq"
           : phase == EQ_PHASE_QAT     ? "qat"
           : phase == EQ_PHASE_CONTROL ? EQ_CONTROL_NAME
                                       : "fp32";
}

enum eq_status eq_run_has_state(const char *run_dir, const char *name, bool *there, struct eq_err *err)
{
    char state[64];
    snprintf(state, sizeof state, "state/%s.state", name);
    return eq_run_look(run_dir, state, ".safetensors", there, err);
}

enum eq_status eq_run_has_begun(const char *run_dir, const char *name, bool *begun, struct eq_err *err)
{
    enum eq_status st = eq_run_has_model(run_dir, name, begun, err);
    return st == EQ_OK && !*begun ? eq_run_has_state(run_dir, name, begun, err) : st;
}

enum eq_status eq_run_make_dirs(const char *run_dir, struct eq_err *err)
{
    static const char *const names[] = {"state", "history", "predictions"};
    enum eq_status st = EQ_OK;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char *path = eq_path_join(run_dir, names[i]);
        st = eq_make_dirs(path, err);
        free(path);
        if (st != EQ_OK)
            break;
    }
    return st;
}
