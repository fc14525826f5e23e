/* The settings, with the origin of each value. */
#include "report/report.h"

#include <stdlib.h>

/* False: out of memory. */
static bool add_setting(struct eq_texts *cells, const char *section, const struct cJSON *value,
                        const struct cJSON *origins)
{
    struct eq_str text = {0};
    char *key = eq_format("%s.%s", section, value->string);
    bool ok = true;
    if (cJSON_IsString(value))
        eq_str_add(&text, "%s", value->valuestring);
    else
        ok = eq_json_print(&text, value, NULL) == EQ_OK;
    if (text.len && text.s[text.len - 1] == '\n')
        text.s[text.len - 1] = '\0';
    eq_texts_add(cells, "%s", key);
    eq_texts_add(cells, "%s", text.s ? text.s : "");
    eq_texts_add(cells, "%s", eq_json_text(origins, key));
    free(key);
    eq_str_clear(&text);
    return ok;
}

void eq_section_config(const struct eq_report *report, struct eq_section *out)
{
    static const char *const header[] = {"setting", "value", "from", NULL};
    const struct cJSON *origins = cJSON_GetObjectItemCaseSensitive(report->config, "origin"), *section, *value;
    out->style = EQ_SECTION_FOLDED;
    eq_str_add(&out->title, "Configuration");
    eq_str_add(&out->brief, "Configuration: `config.json`; %s.",
               report->results.seeds ? "every seed's own report and predictions: `seed-*/`"
                                     : "every prediction: `predictions/`");
    if (!report->config)
        return;
    struct eq_table *t = eq_section_table(out);
    eq_table_begin(t, header, 3);
    cJSON_ArrayForEach(section, report->config)
    {
        if (section == origins)
            continue;
        cJSON_ArrayForEach(value, section) out->has_holes |= !add_setting(&t->cells, section->string, value, origins);
    }
}
