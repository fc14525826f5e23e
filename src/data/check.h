/* data-internal: the parts of the check of a data set. */
#ifndef ECHOQUANT_DATA_CHECK_H
#define ECHOQUANT_DATA_CHECK_H

#include "echoquant/data.h"

#include <sys/stat.h>

/* ---- check_cache.c ---- */
/* A clip that was good, and the file as it was then. */
struct eq_cached_clip {
    const char *name; /* path inside the data folder */
    uint64_t bytes, device, inode;
    int64_t modified, changed; /* ns */
    int width, height, frames;
    double fps;
};
/* Borrows text. False: not a cache of this program, or damaged; *out is then empty. Free *out with free(). */
bool eq_check_cache_parse(const char *text, size_t len, struct eq_cached_clip **out, size_t *n);
/* Appends what eq_check_cache_parse reads; clips are sorted by name. */
void eq_check_cache_print(struct eq_cached_clip *clips, size_t n, struct eq_str *out);
/* Fills what is of the file. */
void eq_cached_clip_of(const struct stat *file, struct eq_cached_clip *clip);
bool eq_cached_clip_same_file(const struct eq_cached_clip *a, const struct eq_cached_clip *b);
/* The clip of that name, or NULL. */
const struct eq_cached_clip *eq_check_cache_find(const struct eq_cached_clip *clips, size_t n, const char *name);
/* The file for a data folder, the same for every spelling of it; free(). */
char *eq_check_cache_path(const char *cache_dir, const char *data_dir);

/* ---- findings.c ---- */
/* detail may be NULL. */
void eq_data_check_add(struct eq_data_check *c, enum eq_finding_kind kind, const char *file_name, int split,
                       const char *detail);

/* ---- check_list.c, check_copies.c ---- */
/* What the rows say, alone and against their clips. */
void eq_check_rows(struct eq_data_check *c, const struct eq_dataset *ds, int frames);

/* Clips of the same content. files: [ds->n]. EQ_NOMEM, EQ_INTERRUPTED. */
enum eq_status eq_check_copies(struct eq_data_check *c, const struct eq_dataset *ds, const struct eq_cached_clip *files,
                               struct eq_err *err);

#endif
