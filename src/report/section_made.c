/* The machine and the data behind the results. */
#include "report/report.h"

#include <math.h>

/* The number of the first row that has one; the cautions say when others differ. */
static double phases_of(const struct eq_results *r)
{
    for (size_t i = 0; i < r->n; i++)
        if (isfinite(r->rows[i].phases))
            return r->rows[i].phases;
    return 1;
}

void eq_section_made(const struct eq_report *report, struct eq_section *out)
{
    const struct eq_results *r = &report->results;
    double threads = r->environment.threads, phases = phases_of(r);
    eq_str_add(&out->title, "How it was made");
    eq_texts_add(&out->lines, "Measured on: %s, instruction set %s, %.0f thread%s, echoquant %s", r->environment.cpu,
                 r->environment.isa, threads, threads == 1 ? "" : "s", r->environment.version);
    eq_str_add(&out->lines.s, "Data: %s: %.0f training, %.0f validation, and %.0f test clips (split %s), %.0f left out",
               r->data.dir, r->data.train, r->data.val, r->data.test,
               r->data.split_from_file ? "by FileList.csv" : "drawn by file name", r->data.skipped);
    if (phases > 1)
        eq_str_add(&out->lines.s,
                   "; each EF averages %.0f samplings of the clip. \"File to EF\" times all of them; \"Latency\" times "
                   "one",
                   phases);
    eq_texts_end(&out->lines);
}
