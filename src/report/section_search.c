/* The tries of ptq.search, from the recipe in the row of PTQ. */
#include "report/report.h"

#include <math.h>

void eq_section_search(const struct eq_report *report, struct eq_section *out)
{
    static const char *const header[] = {"Tried", "RMS difference (EF points)", "SQNR(dB)", "Kept", NULL};
    const struct eq_result *ptq = eq_results_find(&report->results, eq_phase_model(EQ_PHASE_PTQ)->row);
    const struct cJSON *search = ptq ? cJSON_GetObjectItemCaseSensitive(ptq->recipe, "search") : NULL, *o;
    const struct cJSON *tries = cJSON_GetObjectItemCaseSensitive(search, "tries");
    if (!cJSON_IsArray(tries))
        return;
    eq_str_add(&out->title, "Search for PTQ's settings");
    struct eq_table *t = eq_section_table(out);
    eq_table_begin(t, header, 1);
    cJSON_ArrayForEach(o, tries)
    {
        eq_texts_add(&t->cells, "%s", eq_json_text(o, "tried"));
        eq_table_numbers(t, "%.4f|%.1f", sqrt(eq_json_real(o, "mse")), eq_json_real(o, "sqnr_db"));
        eq_texts_add(&t->cells, "%s", eq_json_flag(o, "kept") ? "yes" : "");
    }
    eq_str_add(&out->note,
               "ptq.search fitted each try on %.0f calibration clips and judged it on %.0f others, by "
               "the RMS difference and the signal-to-noise ratio of the INT8 model's EF against FP32's. "
               "A try that was better than all earlier ones was kept, and later tries started from it. Tries have "
               "no error on the validation clips, so the pictures of error against latency and size do not show them.",
               eq_json_real(search, "fit_clips"), eq_json_real(search, "judge_clips"));
}
