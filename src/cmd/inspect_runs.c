/* Description of a run directory without results, and of a folder of runs. */
#include "cmd/cmd.h"

#include <cjson/cJSON.h>
#include <string.h>

static void add_names(struct eq_str *line, const char *before, const struct cJSON *names)
{
    const struct cJSON *name;
    cJSON_ArrayForEach(name, names) eq_str_add(line, "%s%s", name == names->child ? before : ", ", name->valuestring);
}

static void print_run(const struct cJSON *o)
{
    const struct cJSON *models = cJSON_GetObjectItemCaseSensitive(o, "models");
    struct eq_str line = {0};
    eq_str_add(&line, "%s: run directory %s results", eq_json_text(o, "path"),
               eq_json_flag(o, "results") ? "with" : "without");
    if (cJSON_GetArraySize(models) == 0)
        eq_str_add(&line, "; no model");
    add_names(&line, "; models: ", models);
    add_names(&line, "; interrupted: ", cJSON_GetObjectItemCaseSensitive(o, "interrupted"));
    if (eq_json_real(o, "seeds") > 0)
        eq_str_add(&line, "; folders of seeds: %.0f", eq_json_real(o, "seeds"));
    eq_print_row("%s", line.s);
    eq_str_clear(&line);
}

enum eq_status eq_inspect_runs(const char *path, bool json, bool *known, struct eq_err *err)
{
    struct cJSON *o;
    const struct cJSON *run;
    EQ_CHECK(eq_run_describe(path, &o, err));
    *known = o != NULL;
    if (!o)
        return EQ_OK;
    const struct cJSON *runs = cJSON_GetObjectItemCaseSensitive(o, "runs");
    int n = cJSON_GetArraySize(runs);
    enum eq_status st = json ? eq_print_json(o, err) : EQ_OK;
    if (!json && runs) {
        eq_print_row("%s: folder of %d run director%s", path, n, n == 1 ? "y" : "ies");
        cJSON_ArrayForEach(run, runs) print_run(run);
    } else if (!json) {
        print_run(o);
        eq_print_row("  To resume: echoquant run-all --run %s", path);
    }
    cJSON_Delete(o);
    return st;
}
