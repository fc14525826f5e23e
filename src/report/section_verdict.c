/* The verdict in two sentences, and what limits it. */
#include "report/report.h"

#include <stdlib.h>
#include <string.h>

/* Each line of text becomes one of the section. */
static void add_lines(const char *text, struct eq_texts *lines)
{
    while (text && *text) {
        size_t len = strcspn(text, "\n");
        eq_texts_add(lines, "%.*s", (int)len, text);
        text += len + (text[len] == '\n');
    }
}

void eq_section_verdict(const struct eq_report *report, struct eq_section *out)
{
    struct eq_str text = {0}, more = {0};
    eq_str_add(&out->title, "Verdict");
    eq_run_verdict_text(&report->verdict, &text);
    eq_run_verdict_more(&report->verdict, &more);
    add_lines(text.s, &out->lines);
    add_lines(more.s, &out->lines);
    eq_str_clear(&text);
    eq_str_clear(&more);
}
