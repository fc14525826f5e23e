#include "cmd/cmd.h"

#include <string.h>

/* A safetensors file starts with the length of its header, in 8 bytes, and the header's brace. */
static bool looks_like_model(const char *path)
{
    size_t len = strlen(path);
    if (len > 12 && strcmp(path + len - 12, ".safetensors") == 0)
        return true;
    char first[9] = {0};
    FILE *f = fopen(path, "rb");
    bool model = f && fread(first, 1, sizeof first, f) == sizeof first && first[8] == '{';
    if (f)
        fclose(f);
    return model;
}

static enum eq_status inspect(const char *path, const struct eq_options *o, struct eq_err *err)
{
    if (!eq_path_exists(path))
        return eq_fail(err, EQ_IO, "%s: no such file or folder", path);
    if (eq_is_dir(path) && eq_run_has_file(path, "results", ".json"))
        return eq_print_results(path, o->json, err);
    if (eq_is_dir(path))
        return eq_inspect_folder(path, &o->settings.config, o->json, err);
    if (looks_like_model(path))
        return eq_inspect_model(path, o->json, err);
    return eq_inspect_clip(path, o->json, err);
}

static enum eq_status run(struct eq_session *s, struct eq_err *err)
{
    const struct eq_options *o = &s->options;
    for (int i = 0; i < o->n_args; i++) {
        if (i && !o->json)
            printf("\n");
        EQ_CHECK(inspect(o->args[i], o, err));
    }
    return EQ_OK;
}

const struct eq_command eq_cmd_inspect = {
    .name = "inspect",
    .summary = "describe a model file, a clip, a data folder or a run",
    .arguments = "PATH...",
    .about = "Describes a model file (layers, shapes, ranges of weights or scales, zero-points, bytes), a clip "
             "(container, codec, size, frames that decode, display matrix, damage), a data folder (splits, EF, "
             "rows that cannot be used) or a run directory (its table). --json prints one JSON object for each.\n",
    .options = EQ_OPT_SETTINGS | EQ_OPT_JSON,
    .min_args = 1,
    .max_args = 1000,
    .sections = (const char *const[]){"data.split_seed", NULL},
    .run = run,
};
