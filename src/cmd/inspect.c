#include "cmd/cmd.h"

#include <string.h>
#include <unistd.h>

/* A safetensors file starts with the length of its header, in 8 bytes, and the header's brace. */
static bool looks_like_model(const char *path)
{
    size_t len = strlen(path);
    if (len > 12 && strcmp(path + len - 12, ".safetensors") == 0)
        return true;
    char first[9];
    size_t n = 0;
    int fd;
    if (eq_open_file(path, &fd, NULL, NULL) != EQ_OK)
        return false;
    eq_read_at(fd, path, 0, first, sizeof first, &n, NULL);
    close(fd);
    return n == sizeof first && first[8] == '{';
}

static enum eq_status inspect(const char *path, const struct eq_options *o, struct eq_err *err)
{
    bool there, is_dir, results, list, known = false;
    EQ_CHECK(eq_path_look(path, &there, err));
    if (!there)
        return eq_fail(err, EQ_IO, "%s: no such file or folder", path);
    EQ_CHECK(eq_dir_look(path, &is_dir, err));
    if (is_dir) {
        EQ_CHECK(eq_run_look(path, "results", ".json", &results, err));
        EQ_CHECK(eq_run_look(path, "FileList", ".csv", &list, err));
        if (results)
            return eq_print_results(path, o->json, err);
        if (!list)
            EQ_CHECK(eq_inspect_runs(path, o->json, &known, err));
        return known ? EQ_OK : eq_inspect_folder(path, o, err);
    }
    if (looks_like_model(path))
        return eq_inspect_model(path, o->json, err);
    return eq_inspect_clip(path, o->json, err);
}

static enum eq_status check(const struct eq_options *o, struct eq_err *err)
{
    if (!o->sheet)
        return EQ_OK;
    if (o->n_args != 1)
        return eq_fail(err, EQ_USAGE, "--contact-sheet needs one data folder, not %d paths", o->n_args);
    const char *path = o->args[0];
    bool there, is_dir, config;
    EQ_CHECK(eq_path_look(path, &there, err));
    EQ_CHECK(eq_dir_look(path, &is_dir, err));
    EQ_CHECK(eq_run_look(path, "config", ".json", &config, err));
    if (there && (!is_dir || config))
        return eq_fail(err, EQ_USAGE, "%s is not a data folder; --contact-sheet needs one", path);
    return EQ_OK;
}

/* A path that fails does not hide the next one. */
static enum eq_status run(struct eq_session *s, struct eq_err *err)
{
    const struct eq_options *o = &s->options;
    enum eq_status st = EQ_OK;
    if (o->n_args > 1)
        eq_print_json_lines();
    for (int i = 0; i < o->n_args && st != EQ_INTERRUPTED; i++) {
        struct eq_err why;
        if (i && !o->json)
            eq_print_text("\n");
        enum eq_status one = inspect(o->args[i], o, &why);
        if (one == EQ_OK)
            continue;
        if (st != EQ_OK)
            eq_log(EQ_LOG_ERROR, "%s", err->msg);
        *err = why;
        st = one;
    }
    return st;
}

const struct eq_command eq_cmd_inspect = {
    .name = "inspect",
    .summary = "describe a model file, a clip, a data folder, or a run",
    .arguments = "PATH...",
    .about = "Describes each PATH:\n\n"
             "  - a model file: layers, shapes, ranges of weights or scales, zero-points, bytes\n"
             "  - a clip: container, codec, size, frames that decode, display matrix, damage\n"
             "  - a run directory: its table, or how far the run is\n"
             "  - a data folder: its list, splits, and clips\n\n"
             "It opens every clip of a data folder, except clips that were good in an earlier check and "
             "have not changed since. Problems are rows and clips that cannot be used, clips that are in "
             "two splits, and EFs that look like fractions. Warnings are about patients, copies, EFs, "
             "volumes, and columns that contradict the clips. A folder of clips without a list is checked, "
             "too.\n\n"
             "--contact-sheet FILE draws the middle frames of up to 64 clips into a PNG file.\n\n"
             "--json prints one JSON object for each path, with the names of all clips (docs/DATA.md); "
             "with several paths, each object is one line. The exit code is 1 if a path cannot be "
             "described or a data folder has problems, otherwise 0.\n",
    .example = "data/synthetic",
    .options = EQ_OPT_SETTINGS | EQ_OPT_COMPUTE | EQ_OPT_SHEET | EQ_OPT_JSON,
    .min_args = 1,
    .max_args = 1000,
    .sections = (const char *const[]){"data.frames", "data.split_seed", "data.ef_unit", "data.patient_column",
                                      "data.val_folds", "data.test_folds", NULL},
    .check = check,
    .run = run,
};
