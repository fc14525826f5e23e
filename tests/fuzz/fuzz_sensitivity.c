/* Any bytes as sensitivity.json: its section of the report is made, or it is refused by its name. */
#include "fuzz.h"
#include "report/report.h"
#include "rundir/rundir.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct eq_report report = {.run_dir = "/nonexistent"};
    struct eq_err err = {0};
    if (eq_json_parse((const char *)data, size, "input", &report.sensitivity, &err) != EQ_OK)
        return 0; /* fuzz_json */
    if (eq_sensitivity_check(report.sensitivity, "input", &err) == EQ_OK) {
        struct eq_section s = {0};
        struct eq_str md = {0};
        eq_section_sensitivity(&report, &s);
        eq_section_print(&s, 80, &md);
        require(!s.has_holes);
        eq_section_clear(&s);
        eq_str_clear(&md);
    } else {
        require(err.status == EQ_FORMAT && strncmp(err.msg, "input ", 6) == 0);
    }
    cJSON_Delete(report.sensitivity);
    return 0;
}
