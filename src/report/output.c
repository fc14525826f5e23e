/* What every report does with its sections, its texts, and the folder that they are written into. */
#include "report/report.h"

#include <stdlib.h>

/* The report of a run has the same names. */
enum eq_status eq_report_check_folder(const char *dir, struct eq_err *err)
{
    static const char *const names[] = {"config", "results"};
    for (int i = 0; i < 2; i++) {
        bool there;
        EQ_CHECK(eq_run_look(dir, names[i], ".json", &there, err));
        if (there)
            return eq_fail(err, EQ_USAGE,
                           "--out %s is a run directory, and has a report of its own: name another folder", dir);
    }
    return EQ_OK;
}

enum eq_status eq_report_write(const char *dir, const char *name, const struct eq_str *text, struct eq_err *err)
{
    char *path = eq_path_join(dir, name);
    enum eq_status st = eq_write_file(path, text->s, text->len, err);
    free(path);
    return st;
}

enum eq_status eq_sections_check(const struct eq_section *sections, size_t n, struct eq_err *err)
{
    for (size_t i = 0; i < n; i++)
        if (sections[i].has_holes)
            return eq_fail(err, EQ_NOMEM, "out of memory for the report");
    return EQ_OK;
}

void eq_sections_free(struct eq_section *sections, size_t n)
{
    for (size_t i = 0; i < n; i++)
        eq_section_clear(&sections[i]);
    free(sections);
}
