/* Any bytes as quantization/<name>.json: sections and pictures of the report are made of it, or it is refused by its
 * name. */
#include "fuzz.h"
#include "report/plots.h"

#include <math.h>

/* What stands in single quotes of a script has none inside, and no script a control character. */
static bool is_clean(const char *script)
{
    for (const char *line = script; *line; line += strcspn(line, "\n"), line += *line == '\n') {
        int quotes = 0;
        for (const char *p = line; *p && *p != '\n'; p++) {
            quotes += *p == '\'';
            if ((unsigned char)*p < ' ')
                return false;
        }
        if (quotes % 2)
            return false;
    }
    return true;
}

static void print(struct eq_report *report)
{
    struct eq_err err = {0};
    void (*const fill[])(const struct eq_report *, struct eq_section *) = {eq_section_parts, eq_section_layer_costs,
                                                                           eq_section_layer_table, eq_section_ranges};
    for (size_t i = 0; i < sizeof fill / sizeof *fill; i++) {
        struct eq_section s = {0};
        struct eq_str md = {0};
        fill[i](report, &s);
        eq_section_print(&s, 80, &md);
        require(!s.has_holes);
        eq_section_clear(&s);
        eq_str_clear(&md);
    }
    require(eq_plot_ranges(report, NULL, &err) == EQ_OK && eq_plot_layer_costs(report, NULL, &err) == EQ_OK);
    struct eq_plot_model fp32 = {.row = &report->results.rows[0], .label = "FP32", .name = "fp32"};
    const struct eq_plot_models models = {.list = &fp32, .n = 1};
    require(eq_plot_front(report, &models, &err) == EQ_OK);
    for (size_t i = 0; i < report->pictures.n; i++)
        require(is_clean(report->pictures.list[i].script.s));
    eq_pictures_clear(&report->pictures);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct eq_err err = {0};
    struct eq_quantization one = {.model = eq_phase_model(EQ_PHASE_PTQ)};
    struct eq_result rows[] = {eq_result_of(NULL), eq_result_of(NULL)}; /* with which the tries of the seeds compare */
    rows[0].model = "FP32", rows[1].model = "PTQ";
    for (int i = 0; i < 2; i++)
        rows[i].phases = 1, rows[i].val_clips = 2, rows[i].val_mae = 3, rows[i].size_mb = 44, rows[i].threads = 2;
    struct eq_report report = {
        .run_dir = "/nonexistent", .results = {.rows = rows, .n = 2}, .measured = {.list = &one, .n = 1, .seed = NAN}};
    if (eq_json_parse((const char *)data, size, "input", &one.json, &err) != EQ_OK)
        return 0; /* fuzz_json */
    if (eq_quantization_check(one.json, "input", &err) == EQ_OK)
        print(&report);
    else
        require(err.status == EQ_FORMAT && strncmp(err.msg, "input", 5) == 0);
    cJSON_Delete(one.json);
    return 0;
}
