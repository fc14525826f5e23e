#include "cmd/cmd.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

static enum eq_status print_json(const struct eq_config *cfg, const char *dir, struct eq_err *err)
{
    struct cJSON *json = cJSON_CreateObject();
    char *list = eq_path_join(dir, "FileList.csv");
    cJSON_AddStringToObject(json, "path", dir);
    cJSON_AddStringToObject(json, "list", list);
    cJSON_AddNumberToObject(json, "train", cfg->synth.train);
    cJSON_AddNumberToObject(json, "val", cfg->synth.val);
    cJSON_AddNumberToObject(json, "test", cfg->synth.test);
    cJSON_AddNumberToObject(json, "seed", cfg->synth.seed);
    enum eq_status st = eq_print_json(json, err);
    cJSON_Delete(json);
    free(list);
    return st;
}

static enum eq_status run(struct eq_session *s, struct eq_err *err)
{
    const struct eq_options *o = &s->options;
    bool both = o->bench.with_data && o->n_args;
    if ((!o->bench.with_data && !o->n_args) || (both && strcmp(o->args[0], s->cfg->data.dir) != 0))
        return eq_fail(err, EQ_USAGE, "synth needs one folder to write into: DIR or --data DIR");
    const char *dir = o->n_args ? o->args[0] : s->cfg->data.dir;
    enum eq_status st = eq_run_write_synth(s->cfg, dir, err);
    if (st == EQ_OK && o->json)
        return print_json(s->cfg, dir, err);
    if (st == EQ_OK)
        eq_print_row("%s/FileList.csv", dir);
    return st;
}

const struct eq_command eq_cmd_synth = {
    .name = "synth",
    .summary = "write a synthetic data set",
    .arguments = "[DIR]",
    .about = "Writes a synthetic data set into DIR, or into the folder of --data: FileList.csv with "
             "EchoNet's columns, and MJPEG AVIs of 112 x 112 pixels. The clips look like an apical "
             "four-chamber view, and only the motion of the ventricle shows the EF. The same settings "
             "produce the same pixels. A folder that already has this set is left as it is; any other "
             "folder that is not empty is refused.\n\n"
             "--json prints one object: path, list, train, val, test, seed.\n",
    .example = "data/synthetic",
    .options = EQ_OPT_SETTINGS | EQ_OPT_DATA | EQ_OPT_COMPUTE | EQ_OPT_JSON,
    .max_args = 1,
    .sections = (const char *const[]){"synth", "run.threads", NULL},
    .run = run,
};
