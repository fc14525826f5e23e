#include "cmd/cmd.h"

#include <cjson/cJSON.h>

static enum eq_status print_json(const char *run_dir, const struct eq_verification *v, struct eq_err *err)
{
    struct cJSON *json = cJSON_CreateObject(), *checks = cJSON_CreateArray();
    cJSON_AddStringToObject(json, "run", run_dir);
    for (size_t i = 0; i < v->n; i++) {
        struct cJSON *check = eq_json_add(checks, NULL, cJSON_CreateObject());
        cJSON_AddStringToObject(check, "what", v->checks[i].what);
        cJSON_AddStringToObject(check, "verdict", eq_verdict_name(v->checks[i].verdict));
        cJSON_AddStringToObject(check, "text", v->checks[i].text);
    }
    eq_json_add(json, "checks", checks);
    cJSON_AddNumberToObject(json, "holds", (double)v->count[EQ_HOLDS]);
    cJSON_AddNumberToObject(json, "differs", (double)v->count[EQ_DIFFERS]);
    cJSON_AddNumberToObject(json, "not_checked", (double)v->count[EQ_NOT_CHECKED]);
    enum eq_status st = eq_print_json(json, err);
    cJSON_Delete(json);
    return st;
}

static void print_text(const struct eq_verification *v)
{
    for (size_t i = 0; i < v->n; i++)
        eq_print_line(13, "%-11s  %s: %s", eq_verdict_name(v->checks[i].verdict), v->checks[i].what, v->checks[i].text);
    eq_print_text("\n");
    eq_print_row("%zu hold, %zu differ, %zu not checked", v->count[EQ_HOLDS], v->count[EQ_DIFFERS],
                 v->count[EQ_NOT_CHECKED]);
}

static enum eq_status run(struct eq_session *s, struct eq_err *err)
{
    const struct eq_options *o = &s->options;
    const char *run_dir = s->cfg->run.dir;
    struct eq_verification v = {0};
    enum eq_status st;
    EQ_TRY(o->n_args ? eq_run_compare(run_dir, o->args[0], &v, err) : eq_run_verify(s->cfg, &v, err));
    if (o->json)
        EQ_TRY(print_json(run_dir, &v, err));
    else
        print_text(&v);
    if (v.count[EQ_DIFFERS])
        EQ_TRY(eq_fail(err, EQ_FORMAT, "%s: %zu of %zu checks differ", run_dir, v.count[EQ_DIFFERS],
                       v.count[EQ_HOLDS] + v.count[EQ_DIFFERS]));
out:
    eq_verification_clear(&v);
    return st;
}

const struct eq_command eq_cmd_verify = {
    .name = "verify",
    .summary = "check the digests of a run and repeat its predictions",
    .arguments = "[RUN [OTHER]]",
    .about = "Checks a run directory and changes nothing in it:\n\n"
             "  - config.json and results.json are unchanged since they were written.\n"
             "  - Data, models, and predictions have the digests that the run notes.\n"
             "  - The errors in the table follow from the predictions.\n"
             "  - The models make the same predictions again. INT8 models must repeat them to the byte. On "
             "another CPU or instruction set, FP32 models may differ by 0.01 EF points and BF16 models by "
             "0.5.\n\n"
             "Times are not compared. Prints one line for each check: holds, differs, or not checked, with "
             "the reason. The exit code is 0 if no check differs, otherwise 1.\n\n"
             "--data DIR says where the data are. Without the data, the digests are still checked. With "
             "OTHER, the command instead compares what two runs note: data, models, predictions, and "
             "errors.\n",
    .example = "runs/default",
    .options = EQ_OPT_RUN | EQ_OPT_DATA | EQ_OPT_COMPUTE | EQ_OPT_JSON,
    .accepts = EQ_ARG_RUN | EQ_ARG_OTHER_RUN,
    .max_args = 1,
    .sections = (const char *const[]){"data.dir", "run.dir", "run.threads", "run.cpu", NULL},
    .run = run,
};
