/* Anything that a reader must know before comparing: synthetic data, rows measured under different conditions. */
#include "report/report.h"

#include <math.h>
#include <string.h>

/* Whether all rows that have it agree on a number or a text, which stands at this offset. */
static bool agree_on_number(const struct eq_results *r, size_t at)
{
    double first = NAN;
    for (size_t i = 0; i < r->n; i++) {
        double value = *(const double *)((const char *)&r->rows[i] + at);
        if (value != first && !isnan(value) && !isnan(first))
            return false;
        first = isnan(first) ? value : first;
    }
    return true;
}

static bool agree_on_text(const struct eq_results *r, size_t at)
{
    const char *first = NULL;
    for (size_t i = 0; i < r->n; i++) {
        const char *value = *(const char *const *)((const char *)&r->rows[i] + at);
        if (value && first && strcmp(value, first) != 0)
            return false;
        first = first ? first : value;
    }
    return true;
}

void eq_section_cautions(const struct eq_report *report, struct eq_section *out)
{
    const struct eq_results *r = &report->results;
    out->line_style = EQ_LINE_CAUTION;
    if (r->data.synthetic)
        eq_texts_add(&out->lines, "The clips are synthetic: the errors say nothing about patients, only about what "
                                  "quantization changes.");
    if (!(agree_on_text(r, offsetof(struct eq_result, cpu)) && agree_on_text(r, offsetof(struct eq_result, isa)) &&
          agree_on_number(r, offsetof(struct eq_result, threads))))
        eq_texts_add(&out->lines, "The models were measured on different CPUs, instruction sets or numbers of threads "
                                  "(see results.json): their latencies can't be compared.");
    if (!agree_on_number(r, offsetof(struct eq_result, phases)))
        eq_texts_add(&out->lines, "The models' EFs are means over different numbers of phases (see results.json): "
                                  "their errors can't be compared. `run-all` evaluates all of them alike.");
    if (!agree_on_number(r, offsetof(struct eq_result, clips)))
        eq_texts_add(&out->lines, "The models were evaluated on different numbers of clips: their errors can't be "
                                  "compared.");
}
