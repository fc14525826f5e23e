/* data-internal: the data set while it is made. */
#ifndef ECHOQUANT_DATA_DATASET_H
#define ECHOQUANT_DATA_DATASET_H

#include "echoquant/data.h"

/* digest.c: the seal of a file in memory, of len bytes and a NUL. The text is changed. */
enum eq_seal eq_seal_of(char *text, size_t len);

/* Appends to the two lists. The data set takes over a sample's file_name and path; the names of a skipped clip are
 * copied. */
enum eq_status eq_dataset_add(struct eq_dataset *ds, size_t *cap, const struct eq_sample *sample, struct eq_err *err);
void eq_dataset_note_skipped(struct eq_dataset *ds, enum eq_status status, const char *file_name, const char *reason);
void eq_dataset_note(struct eq_dataset *ds, enum eq_finding_kind kind, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
#define EQ_FILE_LIST_MAX_BYTES ((size_t)256 << 20)
/* Turns FileList.csv's text[len] into samples, split included; messages call it name. dir is the data folder; NULL:
 * clips are not looked for and paths stay NULL, for tests. ds is cleared on failure. Errors as eq_dataset_open. */
enum eq_status eq_filelist_parse(const void *text, size_t len, const char *name, const char *dir,
                                 const struct eq_list_opts *opts, struct eq_dataset *ds, struct eq_err *err);
/* Seeded split, see eq_dataset_open. patients[k - 1] identifies patient k of the samples; clips of patient 0 go by
 * their names. */
enum eq_status eq_split_assign(struct eq_dataset *ds, const char *const *patients, uint64_t seed, struct eq_err *err);

#endif
