/*
 * Two clips of one patient are not independent: if one is trained on, the other tests nothing. The identifiers
 * themselves are private and leave this file only as a hash for the split.
 */
#include "data/patients.h"

#include "data/dataset.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { NAMED_PATIENTS = 3 }; /* in a note */

bool eq_is_patient_column(const char *name)
{
    static const char *const known[] = {"patient",
                                        "patientid",
                                        "patientno",
                                        "patientnumber",
                                        "patientnum",
                                        "patientkey",
                                        "patientcode",
                                        "pat",
                                        "patid",
                                        "patno",
                                        "pid",
                                        "pseudonym",
                                        "subject",
                                        "subjectid",
                                        "subjectno",
                                        "subj",
                                        "subjid",
                                        "subjectnumber",
                                        "subjectcode",
                                        "participant",
                                        "participantid",
                                        "person",
                                        "personid",
                                        "individual",
                                        "individualid",
                                        "mrn",
                                        "medicalrecordnumber",
                                        "anonpatientid",
                                        "anonmrn",
                                        "patientmrn",
                                        "deidentifiedpatientid"};
    char plain[64];
    size_t n = 0;
    for (; *name && n + 1 < sizeof plain; name++)
        if (!strchr(" _-.", *name))
            plain[n++] = *name;
    plain[n] = '\0';
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcasecmp(plain, known[i]) == 0)
            return true;
    return false;
}

void eq_trim_fraction(char *text)
{
    size_t digits = strspn(text, "0123456789");
    if (digits && text[digits] == '.' && text[digits + 1] &&
        strspn(text + digits + 1, "0") == strlen(text + digits + 1))
        text[digits] = '\0';
}

static bool is_unknown(const char *text)
{
    static const char *const none[] = {"", "nan", "na", "n/a", "#n/a", "<na>", "null", "none", "unknown", "-", "?"};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        if (strcasecmp(text, none[i]) == 0)
            return true;
    return false;
}

/* Blanks, letter case, and what spreadsheets do to numbers ("007", "7", "7.0") make no other patient: two patients
 * that are taken for one cost nothing, one that is taken for two is in two splits. Free with free. */
static char *plain_id(const char *text)
{
    text += strspn(text, " \t");
    char *trimmed = eq_strdup(text), *id;
    for (size_t n = strlen(trimmed); n && strchr(" \t", trimmed[n - 1]); n--)
        trimmed[n - 1] = '\0';
    eq_trim_fraction(trimmed);
    size_t zeros = strspn(trimmed, "0"), len = strlen(trimmed);
    bool number = len && strspn(trimmed, "0123456789") == len;
    id = eq_caseless(trimmed + (!number ? 0 : zeros < len ? zeros : len - 1));
    free(trimmed);
    return id;
}

static bool has_id(const void *items, uint32_t number, const void *key)
{
    const struct eq_patient *list = items;
    return strcmp(list[number].id, key) == 0;
}

static bool add_patient(struct eq_patients *p, char *id, uint64_t hash)
{
    if (p->n == p->cap) {
        size_t cap = p->cap ? 2 * p->cap : 256, bytes;
        struct eq_patient *grown = eq_mul_size(cap, sizeof *grown, &bytes) ? realloc(p->list, bytes) : NULL;
        if (!grown)
            return false;
        p->list = grown;
        p->cap = cap;
    }
    if (!eq_seen_add(&p->seen, hash, (uint32_t)p->n))
        return false;
    p->list[p->n++] = (struct eq_patient){.id = id};
    return true;
}

enum eq_status eq_patients_enter(struct eq_patients *p, const char *text, enum eq_split split, size_t line,
                                 uint32_t *number, struct eq_err *err)
{
    *number = 0;
    char *id = plain_id(text);
    if (is_unknown(id)) {
        free(id);
        return EQ_OK;
    }
    uint64_t hash = eq_hash64(id, strlen(id));
    uint32_t at = (uint32_t)p->n;
    if (eq_seen_find(&p->seen, hash, has_id, p->list, id, &at)) {
        free(id);
    } else if (!add_patient(p, id, hash)) {
        free(id);
        return eq_fail(err, EQ_NOMEM, "out of memory for a list of %zu patients", p->n + 1);
    }
    if (!p->list[at].line[split])
        p->list[at].line[split] = line;
    *number = at + 1;
    return EQ_OK;
}

/* The lines of the first two splits that a patient is in, earlier one first. False: it is in one split. */
static bool in_two_splits(const struct eq_patient *patient, size_t line[2])
{
    size_t n = 0;
    for (int s = 0; s < EQ_SPLIT_COUNT && n < 2; s++)
        if (patient->line[s])
            line[n++] = patient->line[s];
    if (n == 2 && line[0] > line[1]) {
        size_t swap = line[0];
        line[0] = line[1];
        line[1] = swap;
    }
    return n == 2;
}

void eq_patients_compare_splits(const struct eq_patients *p, struct eq_dataset *ds)
{
    struct eq_str names = {0};
    size_t line[2];
    for (size_t i = 0; i < p->n; i++)
        if (in_two_splits(&p->list[i], line) && ds->patients_in_two_splits++ < NAMED_PATIENTS)
            eq_str_add(&names, "%spatient %zu (lines %zu and %zu)", names.len ? ", " : "", i + 1, line[0], line[1]);
    size_t n = ds->patients_in_two_splits;
    if (n > NAMED_PATIENTS)
        eq_str_add(&names, " and %zu more", n - NAMED_PATIENTS);
    if (n)
        eq_dataset_note(ds, EQ_FINDING_PATIENT_ACROSS,
                        "%zu of %zu patients %s clips in more than one split: %s. The test then measures less than a "
                        "new patient would",
                        n, p->n, n == 1 ? "has" : "have", names.s);
    eq_str_clear(&names);
}

void eq_patients_clear(struct eq_patients *p)
{
    for (size_t i = 0; i < p->n; i++)
        free(p->list[i].id);
    free(p->list);
    free(p->seen.slots);
    *p = (struct eq_patients){0};
}
