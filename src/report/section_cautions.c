/* Cautions before comparing: synthetic data, rows measured under different conditions. */
#include "report/report.h"

#include <math.h>
#include <string.h>

/* Whether all rows that have a number, or a text, at this offset agree on it. */
static bool agree(const struct eq_results *r, bool text, size_t at)
{
    const void *first = NULL;
    for (size_t i = 0; i < r->n; i++) {
        const void *value = (const char *)&r->rows[i] + at;
        if (text ? !**(const char *const *)value : isnan(*(const double *)value))
            continue;
        first = first ? first : value;
        if (text ? strcmp(*(const char *const *)value, *(const char *const *)first) != 0
                 : *(const double *)value != *(const double *)first)
            return false;
    }
    return true;
}

void eq_section_cautions(const struct eq_report *report, struct eq_section *out)
{
    const struct eq_results *r = &report->results;
    out->line_style = EQ_LINE_CAUTION;
    if (report->other_data.len)
        eq_texts_add(&out->lines,
                     "Evaluated on other data than the rest, and therefore left out: %s. `echoquant eval` "
                     "evaluates them again.",
                     report->other_data.s);
    if (r->data.synthetic)
        eq_texts_add(&out->lines, "The clips are synthetic: the errors say nothing about patients, only about what "
                                  "quantization changes.");
    if (!(agree(r, true, offsetof(struct eq_result, cpu)) && agree(r, true, offsetof(struct eq_result, isa)) &&
          agree(r, false, offsetof(struct eq_result, threads))))
        eq_texts_add(&out->lines, "The models were measured on different CPUs, instruction sets or numbers of threads "
                                  "(see results.json): their latencies cannot be compared.");
    if (!agree(r, false, offsetof(struct eq_result, phases)))
        eq_texts_add(&out->lines,
                     "The EFs of the models are means over different numbers of phases (see results.json): "
                     "their errors cannot be compared. `run-all` evaluates all of them alike.");
    if (!agree(r, false, offsetof(struct eq_result, clips)))
        eq_texts_add(&out->lines, "The models were evaluated on different numbers of clips: their errors cannot be "
                                  "compared.");
}
