/* data-internal: FileList.csv's text into samples, apart from where the text comes from. */
#ifndef ECHOQUANT_DATA_FILELIST_H
#define ECHOQUANT_DATA_FILELIST_H

#include "echoquant/data.h"

/* text[len] is the list, name is what messages call it. dir is where the clips are looked for; NULL: they are not
 * (paths stay NULL), for tests. Fills ds (which is cleared on failure), split included. */
enum eq_status eq_filelist_parse(const void *text, size_t len, const char *name, const char *dir, uint64_t split_seed,
                                 enum eq_on_error on_error, struct eq_dataset *ds, struct eq_err *err);

#endif
