/* Whether two runs have the same results, times aside. */
#include "run/verify.h"

#include <stdlib.h>
#include <string.h>

static void compare_texts(struct eq_verification *v, const char *what, const char *a, const char *b)
{
    if (!*a || !*b)
        eq_verification_add(v, EQ_NOT_CHECKED, what, "no digest is noted in %s (version 0.1.0)",
                            *a ? "the second run" : "the first run");
    else if (strcmp(a, b) == 0)
        eq_verification_add(v, EQ_HOLDS, what, "equal, SHA-256 %.12s...", a);
    else
        eq_verification_add(v, EQ_DIFFERS, what, "SHA-256 %.12s... and %.12s...", a, b);
}

static bool same(double a, double b)
{
    return a == b || (a != a && b != b);
}

static void compare_rows(struct eq_verification *v, const struct eq_result *a, const struct eq_result *b)
{
    char *what[] = {eq_format("%s: model", a->model), eq_format("%s: predictions", a->model),
                    eq_format("%s: errors", a->model)};
    bool made = strcmp(a->model, EQ_MEDIAN_ROW) != 0;
    if (made)
        compare_texts(v, what[0], a->file_sha256, b->file_sha256);
    if (made)
        compare_texts(v, what[1], a->predictions_sha256, b->predictions_sha256);
    if (same(a->mae, b->mae) && same(a->rmse, b->rmse) && same(a->r2, b->r2) && same(a->clips, b->clips))
        eq_verification_add(v, EQ_HOLDS, what[2], "equal, MAE %.4g", a->mae);
    else
        eq_verification_add(v, EQ_DIFFERS, what[2], "MAE %.9g and %.9g", a->mae, b->mae);
    for (size_t i = 0; i < sizeof what / sizeof *what; i++)
        free(what[i]);
}

enum eq_status eq_run_compare(const char *run, const char *other, struct eq_verification *out, struct eq_err *err)
{
    struct eq_results a = {0}, b = {0};
    enum eq_status st;
    *out = (struct eq_verification){0};
    EQ_TRY(eq_results_read(run, &a, err));
    EQ_TRY(eq_results_read(other, &b, err));
    compare_texts(out, "data", a.data.digest, b.data.digest);
    for (size_t i = 0; i < a.n; i++) {
        const struct eq_result *partner = eq_results_find(&b, a.rows[i].model);
        if (partner)
            compare_rows(out, &a.rows[i], partner);
        else
            eq_verification_add(out, EQ_DIFFERS, a.rows[i].model, "only in %s", run);
    }
    for (size_t i = 0; i < b.n; i++)
        if (!eq_results_find(&a, b.rows[i].model))
            eq_verification_add(out, EQ_DIFFERS, b.rows[i].model, "only in %s", other);
out:
    eq_results_clear(&a);
    eq_results_clear(&b);
    return st;
}
