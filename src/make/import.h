/* make-internal: the parts of eq_import_dicom. */
#ifndef ECHOQUANT_MAKE_IMPORT_H
#define ECHOQUANT_MAKE_IMPORT_H

#include "echoquant/make.h"

/* A file while it is imported. */
struct eq_import_file {
    struct eq_import_item item;
    const char *inside; /* the part of item.source below the folder that was named; the file's name if none was */
    bool named;         /* the user named this file itself, not a folder above it */
    int width, height;  /* of the source */
    const struct eq_sample *label;
};

/* import_find.c: the files of the paths, in order; nothing is opened. EQ_IO: a path or a folder can't be read. Free
 * item.source of each, and *files. */
enum eq_status eq_import_find(const char *const *paths, size_t n_paths, struct eq_import_file **files, size_t *n,
                              struct eq_err *err);

/* import_labels.c: reads the CSV and points each file's label at its row: the row of its path, of its path inside the
 * folder, or of its name, each with or without .dcm, .dicom or .ima. labels must outlive the files; clear it with
 * eq_dataset_clear. EQ_FORMAT: as eq_dataset_open; EQ_USAGE: a row fits two files. */
enum eq_status eq_import_read_labels(const char *path, struct eq_dataset *labels, struct eq_err *err);
enum eq_status eq_import_match_labels(const struct eq_dataset *labels, struct eq_import_file *files, size_t n,
                                      struct eq_err *err);

#endif
