/* The column Split. EchoNet-Pediatric's, for one, has folds 0 to 9 for a cross-validation. */
#include "data/folds.h"

#include "data/patients.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool is_whole_number(const char *text)
{
    return text[0] && strspn(text, "0123456789") == strlen(text);
}

/* The place of a fold, new if it has not been met; EQ_MAX_FOLDS: there is no room. */
static size_t place_of(struct eq_folds *f, const char *name)
{
    size_t at = 0;
    while (at < f->n && strcasecmp(f->fold[at].name, name) != 0)
        at++;
    if (at == f->n && at < EQ_MAX_FOLDS)
        f->fold[f->n++].name = eq_strdup(name);
    return at;
}

static enum eq_status map_folds(struct eq_folds *f, const char *names, enum eq_split split, struct eq_err *err)
{
    for (size_t len; names && *names; names += len + (names[len] == ',')) {
        names += strspn(names, " ");
        len = strcspn(names, ",");
        size_t end = len;
        while (end && names[end - 1] == ' ')
            end--;
        char *name = eq_format("%.*s", (int)end, names);
        size_t at = name[0] ? place_of(f, name) : EQ_MAX_FOLDS;
        bool both = at < EQ_MAX_FOLDS && f->fold[at].mapped && f->fold[at].split != split;
        if (both)
            eq_fail(err, EQ_USAGE, "fold %.60s is in data.val_folds and in data.test_folds", name);
        else if (at < EQ_MAX_FOLDS) {
            f->fold[at].mapped = f->mapping = true;
            f->fold[at].split = split;
        }
        free(name);
        if (both)
            return EQ_USAGE;
    }
    return EQ_OK;
}

enum eq_status eq_folds_init(struct eq_folds *f, const struct eq_list_opts *opts, struct eq_err *err)
{
    *f = (struct eq_folds){0};
    EQ_CHECK(map_folds(f, opts->val_folds, EQ_SPLIT_VAL, err));
    return map_folds(f, opts->test_folds, EQ_SPLIT_TEST, err);
}

enum eq_status eq_folds_read(struct eq_folds *f, const char *text, size_t line, enum eq_split *out, struct eq_err *err)
{
    static const struct {
        const char *name;
        enum eq_split split;
    } known[] = {{"TRAIN", EQ_SPLIT_TRAIN}, {"TRAINING", EQ_SPLIT_TRAIN}, {"VAL", EQ_SPLIT_VAL},
                 {"VALID", EQ_SPLIT_VAL},   {"VALIDATION", EQ_SPLIT_VAL}, {"TEST", EQ_SPLIT_TEST},
                 {"TESTING", EQ_SPLIT_TEST}};
    char *fold = eq_strdup(text);
    eq_trim_fraction(fold);
    bool whole = is_whole_number(fold);
    enum eq_status st = EQ_OK;
    size_t at = 0;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strcasecmp(fold, known[i].name) == 0) {
            *out = known[i].split;
            f->named = true;
            goto out;
        }
    }
    at = whole || f->mapping ? place_of(f, fold) : EQ_MAX_FOLDS;
    if (at < EQ_MAX_FOLDS)
        f->fold[at].seen = true;
    if (f->mapping && at < EQ_MAX_FOLDS && (whole || f->fold[at].mapped)) {
        *out = f->fold[at].mapped ? f->fold[at].split : EQ_SPLIT_TRAIN;
        goto out;
    }
    if (whole && !f->mapping && !f->unmapped_line)
        f->unmapped_line = line;
    st = eq_fail(err, EQ_FORMAT, "Split \"%.80s\" is not TRAIN, VAL, or TEST%s", text,
                 f->mapping ? " or a fold of data.val_folds or data.test_folds" : "");
out:
    free(fold);
    return st;
}

static int compare_folds(const void *a, const void *b)
{
    const struct eq_fold *x = a, *y = b;
    long i = strtol(x->name, NULL, 10), k = strtol(y->name, NULL, 10);
    return i != k ? (i > k) - (i < k) : strcasecmp(x->name, y->name);
}

/* The folds of the list, as in "0, 1, 2". */
static void list_folds(const struct eq_folds *f, struct eq_str *out)
{
    size_t n = 0;
    for (size_t i = 0; i < f->n; i++)
        if (f->fold[i].seen && n++ < 20)
            eq_str_add(out, "%s%.40s", out->len ? ", " : "", f->fold[i].name);
    if (n > 20)
        eq_str_add(out, ", ...");
}

/* The two highest numbers among the folds, for an example. */
static void last_two(const struct eq_folds *f, long last[2])
{
    last[0] = last[1] = -1;
    for (size_t i = 0; i < f->n; i++) {
        long number = strtol(f->fold[i].name, NULL, 10);
        if (number > last[1]) {
            last[0] = last[1];
            last[1] = number;
        } else if (number > last[0]) {
            last[0] = number;
        }
    }
}

enum eq_status eq_folds_conclude(struct eq_folds *f, const char *list, struct eq_err *err)
{
    struct eq_str folds = {0};
    enum eq_status st = EQ_OK;
    long last[2];
    qsort(f->fold, f->n, sizeof *f->fold, compare_folds);
    list_folds(f, &folds);
    last_two(f, last);
    if (f->unmapped_line && !f->named && last[0] >= 0)
        st = eq_fail(err, EQ_FORMAT,
                     "%s:%zu: the column Split has folds (%s), not TRAIN, VAL, and TEST. To validate on one "
                     "fold, test on another, and train on the rest: --set data.val_folds=%ld --set "
                     "data.test_folds=%ld",
                     list, f->unmapped_line, folds.s, last[0], last[1]);
    for (size_t i = 0; i < f->n && st == EQ_OK; i++)
        if (f->fold[i].mapped && !f->fold[i].seen)
            st = eq_fail(err, EQ_FORMAT, "%s: no row has fold %.60s of %s; the column Split has %s", list,
                         f->fold[i].name, f->fold[i].split == EQ_SPLIT_VAL ? "data.val_folds" : "data.test_folds",
                         folds.len ? folds.s : "no folds");
    eq_str_clear(&folds);
    return st;
}

void eq_folds_clear(struct eq_folds *f)
{
    for (size_t i = 0; i < f->n; i++)
        free(f->fold[i].name);
    *f = (struct eq_folds){0};
}
