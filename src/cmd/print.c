/* What commands print on stdout. */
#include "cmd/cmd.h"

#include <cjson/cJSON.h>

void eq_print_json(const struct cJSON *json)
{
    struct eq_str text = {0};
    eq_json_print(&text, json);
    fputs(text.s, stdout);
    eq_str_clear(&text);
}

enum eq_status eq_print_results(const char *run_dir, bool json, struct eq_err *err)
{
    struct eq_str table = {0};
    struct eq_results results = {0};
    enum eq_status st;
    if (json) {
        EQ_TRY(eq_results_read(run_dir, &results, err));
        eq_print_json(results.json);
    } else {
        EQ_TRY(eq_run_table(run_dir, &table, err));
        fputs(table.s, stdout);
    }
out:
    eq_results_clear(&results);
    eq_str_clear(&table);
    return st;
}
