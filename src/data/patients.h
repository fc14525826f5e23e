/* data-internal: the patients of a list, by what its patient column holds. */
#ifndef ECHOQUANT_DATA_PATIENTS_H
#define ECHOQUANT_DATA_PATIENTS_H

#include "data/seen.h"
#include "echoquant/data.h"

/* What the column holds is kept here while a list is read, and nowhere else: messages and results know patients by
 * number. */
struct eq_patient {
    char *id;
    size_t line[EQ_SPLIT_COUNT]; /* of the patient's first clip in each split; 0: none */
};
struct eq_patients {
    struct eq_patient *list; /* patient number k is list[k - 1] */
    size_t n, cap;
    struct eq_seen seen;
};
/* Whether a column of this name holds patients, in any letter case and with or without blanks, _ and -. */
bool eq_is_patient_column(const char *name);
/* *number: 1, 2, ... in the order of the first clips; 0 where the text says that the patient is not known ("", "nan",
 * "unknown"). "12.0" is 12, as pandas writes it. line: of the clip. EQ_NOMEM. */
enum eq_status eq_patients_enter(struct eq_patients *p, const char *text, enum eq_split split, size_t line,
                                 uint32_t *number, struct eq_err *err);
/* Counts the patients with clips in several splits in ds, and notes them there. */
void eq_patients_compare_splits(const struct eq_patients *p, struct eq_dataset *ds);
void eq_patients_clear(struct eq_patients *p);

/* A number without a fraction as pandas writes a column of them with gaps: "12.0" becomes "12". Changes text. */
void eq_trim_fraction(char *text);

#endif
