/* Any bytes as the list of EFs for imported files: each file gets the row of its path or its name, no row serves two
 * files, and what is refused has a reason. */
#include "data/dataset.h"
#include "fuzz.h"
#include "make/import.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"in/a.dcm", "in/b/a.dcm", "in/1.2.840", "in/x.DICOM", "in/\xc3\xa9.ima"};
    enum { FILES = sizeof names / sizeof *names };
    struct eq_import_file files[FILES] = {0};
    struct eq_dataset labels;
    struct eq_err err = {0};
    const struct eq_list_opts opts = {.on_error = EQ_ON_ERROR_FAIL};
    if (eq_filelist_parse(data, size, "input", NULL, &opts, &labels, &err) != EQ_OK) {
        require(labels.n == 0 && strncmp(err.msg, "input", 5) == 0);
        return 0;
    }
    for (size_t i = 0; i < FILES; i++) {
        files[i].item.source = eq_strdup(names[i]);
        files[i].inside = files[i].item.source + 3;
    }
    if (eq_import_match_labels(&labels, files, FILES, &err) == EQ_OK) {
        for (size_t i = 0; i < FILES; i++)
            for (size_t k = 0; k < i; k++)
                require(!files[i].label || files[i].label != files[k].label);
        for (size_t i = 0; i < FILES; i++)
            require(!files[i].label ||
                    (files[i].label >= labels.samples && files[i].label < labels.samples + labels.n));
    } else {
        require(err.status == EQ_USAGE && strncmp(err.msg, "the label ", 10) == 0);
    }
    for (size_t i = 0; i < FILES; i++)
        free(files[i].item.source);
    eq_dataset_clear(&labels);
    return 0;
}
