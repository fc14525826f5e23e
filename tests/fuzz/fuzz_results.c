/* Any bytes as results.json: what is accepted is written back as it was, with its rows found by name, and drops a row
 * without touching the others; what is refused names the file and leaves nothing behind. */
#include "fuzz.h"
#include "rundir/rundir.h"

#include <cjson/cJSON.h>

static void check_rows(struct eq_results *r)
{
    struct eq_str names = {0};
    for (size_t i = 0; i < r->n; i++) {
        const struct eq_result *found = eq_results_find(r, r->rows[i].model);
        require(found && found <= &r->rows[i] && strcmp(found->model, r->rows[i].model) == 0);
    }
    size_t before = r->n, dropped = eq_results_keep_data(r, &names);
    require(r->n + dropped == before && (dropped == 0) == (names.len == 0));
    eq_str_clear(&names);
    if (r->n) {
        struct eq_result row = r->rows[r->n - 1];
        eq_results_put(r, &row);
        const struct eq_result *found = eq_results_find(r, row.model);
        require(found && found->json == row.json);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct eq_results r, again;
    struct eq_err err = {0};
    struct cJSON *json;
    if (eq_json_parse((const char *)data, size, "input", &json, &err) != EQ_OK)
        return 0; /* fuzz_json */
    if (eq_results_take(json, "input", &r, &err) != EQ_OK) {
        require(!r.json && !r.rows && r.n == 0 && err.status == EQ_FORMAT && strncmp(err.msg, "input", 5) == 0);
        return 0;
    }
    struct cJSON *written = eq_results_json(&r), *twice;
    require(written && eq_json_check(&err) == EQ_OK);
    struct eq_str first = {0}, second = {0};
    require(eq_json_print(&first, written, &err) == EQ_OK);
    require(eq_results_take(written, "written", &again, &err) == EQ_OK && again.n == r.n);
    twice = eq_results_json(&again);
    require(eq_json_print(&second, twice, &err) == EQ_OK && strcmp(first.s, second.s) == 0);
    check_rows(&r);
    cJSON_Delete(twice);
    eq_str_clear(&first);
    eq_str_clear(&second);
    eq_results_clear(&again);
    eq_results_clear(&r);
    return 0;
}
