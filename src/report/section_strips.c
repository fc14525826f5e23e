/* Film strips of the clips that quantization moves most, and of the worst, median and best one. */
#include "report/report.h"

void eq_section_strips(const struct eq_report *report, struct eq_section *out)
{
    const struct eq_strips *s = &report->strips;
    size_t earlier = 0;
    if (s->n == 0)
        return;
    eq_str_add(&out->title, "Film strips");
    for (size_t i = 0; i < s->n; i++) {
        const struct eq_strip *strip = &s->list[i];
        earlier += strip->is_earlier;
        if (strip->file.len) {
            out->strips = eq_list_grow(out->strips, out->n_strips, sizeof *out->strips);
            out->strips[out->n_strips++] = strip;
        }
        if (strip->why.len)
            eq_texts_add(&out->lines, "%s (%s): %s.%s", strip->name.s, strip->title.s, strip->why.s,
                         strip->is_earlier ? " Its strip is that of an earlier report." : "");
    }
    if (s->away.len) {
        eq_str_add(&out->lines.s, "The clips cannot be read: %s. ", s->away.s);
        if (earlier == s->n)
            eq_str_add(&out->lines.s, "The strips are those of an earlier report.");
        else
            eq_str_add(&out->lines.s,
                       "%zu of %zu strips are missing. To read the clips from another folder: "
                       "`echoquant report %s --set data.dir=DIR`.",
                       s->n - earlier, s->n, report->run_dir);
        eq_texts_end(&out->lines);
    }
    out->line_style = EQ_LINE_CAUTION;
    if (s->seed >= 0)
        eq_str_add(&out->note, "Predictions of seed %d. ", s->seed);
    if (out->n_strips)
        eq_str_add(&out->note,
                   "The frames that the models see, of test clips: those that quantization moves most, and those with "
                   "FP32's largest, median and smallest error. They are pixels of the clips: pass the report on only "
                   "where these may go; with report.strips = 0 it has none.");
}
