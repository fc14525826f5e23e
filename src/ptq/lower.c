/* The integer model of PTQ, with its recipe. */
#include "ptq/pipeline.h"

#include <cjson/cJSON.h>

enum eq_status eq_ptq_lower(const struct eq_ptq_opts *opts, const struct eq_ptq *p, const struct cJSON *search,
                            struct eq_qmodel **out, struct eq_err *err)
{
    struct eq_str text = {0};
    struct eq_ptq_opts used = *opts;
    if (p->keep_fp32)
        used.keep_fp32 = p->keep_fp32;
    struct cJSON *recipe = eq_ptq_recipe(&used, p->clips);
    enum eq_status st;
    EQ_TRY(eq_lower_int8(p->graph, "ptq", out, err));
    snprintf((*out)->observer, sizeof(*out)->observer, "%s", eq_observer_names[opts->observer]);
    if (p->mixed)
        eq_json_add(recipe, "mixed_precision", cJSON_Duplicate(p->mixed, true));
    if (search)
        eq_json_add(recipe, "search", cJSON_Duplicate(search, true));
    EQ_TRY(eq_json_print_line(&text, recipe, err));
    (*out)->recipe = text.s;
out:
    cJSON_Delete(recipe);
    return st;
}
