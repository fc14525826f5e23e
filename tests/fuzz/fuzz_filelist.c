/*
 * Any bytes as FileList.csv: what is accepted keeps the promises of eq_dataset_open and comes back the same when it is
 * written out and read again; what is refused names the file; skipping leaves exactly the bad rows out.
 */
#include "data/dataset.h"
#include "fuzz.h"

static void check_samples(const struct eq_dataset *ds)
{
    for (size_t i = 0; i < ds->n; i++) {
        const struct eq_sample *s = &ds->samples[i];
        require(s->file_name && s->file_name[0] && s->file_name[0] != '/' && !s->path);
        require(s->ef >= 0.0 && s->ef <= 100.0 && s->line >= 2);
        require(s->split >= EQ_SPLIT_TRAIN && s->split < EQ_SPLIT_COUNT);
        require(i == 0 || s->line >= ds->samples[i - 1].line);
    }
    size_t total = 0;
    for (int split = 0; split < EQ_SPLIT_COUNT; split++) {
        uint32_t *indices = NULL;
        total += eq_dataset_split(ds, (enum eq_split)split, &indices);
        free(indices);
    }
    require(total == ds->n);
}

static void write_out(const struct eq_dataset *ds, struct eq_str *text)
{
    eq_str_add(text, "Split,EF,FileName\r\n");
    for (size_t i = 0; i < ds->n; i++) {
        const struct eq_sample *s = &ds->samples[i];
        eq_str_add(text, "%s,%.17g,\"", eq_split_name(s->split), s->ef);
        for (const char *c = s->file_name; *c; c++)
            eq_str_add(text, *c == '"' ? "\"\"" : "%c", *c);
        eq_str_add(text, ".avi\"\r\n");
    }
}

static void check_round_trip(const struct eq_dataset *ds)
{
    struct eq_str text = {0};
    struct eq_dataset again;
    write_out(ds, &text);
    require(eq_filelist_parse(text.s, text.len, "again", NULL, &(struct eq_list_opts){.split_seed = 2}, &again, NULL) ==
            EQ_OK);
    require(again.n == ds->n && again.split_from_file);
    for (size_t i = 0; i < ds->n; i++)
        require(strcmp(again.samples[i].file_name, ds->samples[i].file_name) == 0 &&
                again.samples[i].ef == ds->samples[i].ef && again.samples[i].split == ds->samples[i].split);
    eq_dataset_clear(&again);
    eq_str_clear(&text);
}

/* Folds and fractions: what is accepted has the clips of a patient in one split unless the list says otherwise. */
static void check_options(const uint8_t *data, size_t size)
{
    const struct eq_list_opts opts = {
        .on_error = EQ_ON_ERROR_SKIP, .ef_unit = EQ_EF_FRACTION, .val_folds = "8", .test_folds = "9,x"};
    struct eq_dataset ds, folds;
    if (eq_filelist_parse(data, size, "input", NULL, &opts, &folds, NULL) == EQ_OK)
        check_samples(&folds);
    eq_dataset_clear(&folds);
    if (eq_filelist_parse(data, size, "input", NULL, &(struct eq_list_opts){.on_error = EQ_ON_ERROR_SKIP}, &ds, NULL) ==
            EQ_OK &&
        !ds.split_from_file)
        for (size_t i = 0; i < ds.n; i++)
            for (size_t k = 0; k < i && k < 50; k++)
                require(ds.samples[i].patient == 0 || ds.samples[i].patient != ds.samples[k].patient ||
                        ds.samples[i].split == ds.samples[k].split);
    eq_dataset_clear(&ds);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct eq_dataset strict, lenient;
    struct eq_err err = {0}, lenient_err = {0};
    enum eq_status st =
        eq_filelist_parse(data, size, "input", NULL, &(struct eq_list_opts){.split_seed = 1}, &strict, &err);
    enum eq_status lenient_st = eq_filelist_parse(data, size, "input", NULL,
                                                  &(struct eq_list_opts){.split_seed = 1, .on_error = EQ_ON_ERROR_SKIP},
                                                  &lenient, &lenient_err);
    if (st == EQ_OK) {
        require(lenient_st == EQ_OK && lenient.n == strict.n && lenient.n_skipped == 0 && strict.n_skipped == 0);
        check_samples(&strict);
        check_round_trip(&strict);
    } else {
        require(st == EQ_FORMAT && strncmp(err.msg, "input", 5) == 0);
        require(strict.n == 0 && !strict.samples && !strict.skipped);
    }
    if (lenient_st == EQ_OK) {
        require(lenient.n > 0 && (st == EQ_OK || lenient.n_skipped > 0));
        check_samples(&lenient);
        check_round_trip(&lenient);
    }
    eq_dataset_clear(&strict);
    eq_dataset_clear(&lenient);
    check_options(data, size);
    return 0;
}
