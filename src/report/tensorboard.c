/* Histories as event files of TensorBoard: records of TFRecord (length, CRC, bytes, CRC), each an Event. */
#include "report/compare.h"

#include <libavutil/crc.h>
#include <math.h>
#include <report/events.pb-c.h>
#include <stdlib.h>
#include <string.h>

#define FILE_NAME "events.out.tfevents.0.echoquant"
typedef Echoquant__Tensorboard__Event event;
typedef Echoquant__Tensorboard__Summary summary;
typedef Echoquant__Tensorboard__Summary__Value scalar;

/* ---- records --------------------------------------------------------------------- */

static void add_little_endian(struct eq_str *out, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++, value >>= 8) {
        unsigned char byte = value & 0xff;
        eq_str_add_bytes(out, &byte, 1);
    }
}

/* CRC-32C, rotated and with a constant added, as TFRecord asks: the CRC of bytes that hold a CRC is a poor one. */
static uint32_t masked_crc(const void *bytes, size_t n)
{
    AVCRC table[257];
    av_crc_init(table, 1, 32, 0x82F63B78, sizeof table); /* Castagnoli's polynomial, reflected */
    uint32_t crc = av_crc(table, 0xffffffff, bytes, n) ^ 0xffffffff;
    return ((crc >> 15) | (crc << 17)) + 0xa282ead8u;
}

static enum eq_status add_record(struct eq_str *out, const event *e, struct eq_err *err)
{
    size_t n = echoquant__tensorboard__event__get_packed_size(e), at = out->len;
    uint8_t *bytes = malloc(n + 1);
    if (!bytes)
        return eq_fail(err, EQ_NOMEM, "out of memory for an event of %zu bytes", n);
    echoquant__tensorboard__event__pack(e, bytes);
    add_little_endian(out, n, 8);
    add_little_endian(out, masked_crc(out->s + at, 8), 4);
    eq_str_add_bytes(out, bytes, n);
    add_little_endian(out, masked_crc(bytes, n), 4);
    free(bytes);
    return EQ_OK;
}

/* ---- a history ------------------------------------------------------------------- */

/* TensorBoard groups scalars by what stands before a slash: "train/loss", "val/mae". */
static char *tag_of(const char *column)
{
    static const char *const groups[] = {"train_", "val_"};
    for (int i = 0; i < 2; i++) {
        size_t len = strlen(groups[i]);
        if (strncmp(column, groups[i], len) == 0)
            return eq_format("%.*s/%s", (int)len - 1, column, column + len);
    }
    return eq_format("train/%s", column);
}

/* The seconds of an epoch; 0: the history does not say. */
static double seconds_of(const struct eq_history *h, size_t row)
{
    for (size_t i = 1; i < h->columns; i++)
        if (strcmp(h->names[i], "seconds") == 0 && isfinite(h->values[row * h->columns + i]))
            return h->values[row * h->columns + i];
    return 0;
}

static enum eq_status add_epoch(struct eq_str *out, const struct eq_history *h, char *const *tags, size_t row,
                                double time, struct eq_err *err)
{
    event e = ECHOQUANT__TENSORBOARD__EVENT__INIT;
    summary s = ECHOQUANT__TENSORBOARD__SUMMARY__INIT;
    scalar *values = NULL, **list = NULL;
    const double *row_values = h->values + row * h->columns;
    for (size_t i = 1; i < h->columns; i++) {
        scalar value = ECHOQUANT__TENSORBOARD__SUMMARY__VALUE__INIT;
        if (isnan(row_values[i])) /* the start has no rate and no loss */
            continue;
        value.tag = tags[i];
        value.value_case = ECHOQUANT__TENSORBOARD__SUMMARY__VALUE__VALUE_SIMPLE_VALUE;
        value.simple_value = (float)row_values[i];
        values = eq_list_grow(values, s.n_value, sizeof *values);
        values[s.n_value++] = value;
    }
    for (size_t i = 0; i < s.n_value; i++) {
        list = eq_list_grow(list, i, sizeof *list);
        list[i] = &values[i];
    }
    s.value = list;
    e.wall_time = time;
    e.step = (int64_t)row_values[0];
    e.what_case = ECHOQUANT__TENSORBOARD__EVENT__WHAT_SUMMARY;
    e.summary = &s;
    enum eq_status st = add_record(out, &e, err);
    free(list);
    free(values);
    return st;
}

/* Time is that since the start of the training: TensorBoard shows the difference to the first event. */
static enum eq_status add_history(struct eq_str *out, const struct eq_history *h, struct eq_err *err)
{
    event first = ECHOQUANT__TENSORBOARD__EVENT__INIT;
    char version[] = "brain.Event:2", **tags = NULL;
    double time = 0;
    first.what_case = ECHOQUANT__TENSORBOARD__EVENT__WHAT_FILE_VERSION;
    first.file_version = version;
    enum eq_status st = add_record(out, &first, err);
    for (size_t i = 0; i < h->columns; i++) {
        tags = eq_list_grow(tags, i, sizeof *tags);
        tags[i] = tag_of(h->names[i]);
    }
    for (size_t row = 0; row < h->rows && st == EQ_OK; row++) {
        time += seconds_of(h, row);
        st = add_epoch(out, h, tags, row, time, err);
    }
    eq_names_free(tags, h->columns);
    return st;
}

/* ---- runs ------------------------------------------------------------------------ */

static enum eq_status write_events(const struct eq_history *h, const char *dir, struct eq_str *files,
                                   struct eq_err *err)
{
    struct eq_str bytes = {0};
    char *path = eq_path_join(dir, FILE_NAME);
    enum eq_status st;
    EQ_TRY(add_history(&bytes, h, err));
    EQ_TRY(eq_make_dirs(dir, err));
    EQ_TRY(eq_write_file(path, bytes.s, bytes.len, err));
    eq_str_add(files, "%s\n", path);
out:
    free(path);
    eq_str_clear(&bytes);
    return st;
}

static enum eq_status write_run(const char *run_dir, const char *out_dir, struct eq_str *files, struct eq_err *err)
{
    enum eq_status st = EQ_OK;
    for (const struct eq_run_model *m = eq_run_models; m->name && st == EQ_OK; m++) {
        struct eq_history history = {0};
        char *dir = eq_path_join(out_dir, m->name);
        if (eq_run_model_is_made(m))
            st = eq_history_read(run_dir, m->name, &history, err);
        if (st == EQ_OK && history.rows)
            st = write_events(&history, dir, files, err);
        eq_history_clear(&history);
        free(dir);
    }
    return st;
}

static enum eq_status write_seeds(const char *run_dir, const char *out_dir, struct eq_str *files, struct eq_err *err)
{
    char **seeds;
    size_t n;
    enum eq_status st = eq_seed_dirs(run_dir, &seeds, &n, err);
    for (size_t i = 0; i < n && st == EQ_OK; i++) {
        char *dir = eq_path_join(out_dir, strrchr(seeds[i], '/') + 1);
        st = write_run(seeds[i], dir, files, err);
        free(dir);
    }
    eq_names_free(seeds, n);
    return st;
}

enum eq_status eq_runs_tensorboard(const char *const *dirs, size_t n, const char *out_dir, struct eq_str *files,
                                   struct eq_err *err)
{
    EQ_CHECK(eq_runs_check(dirs, n, err));
    char **names = eq_runs_names(dirs, n);
    enum eq_status st = EQ_OK;
    for (size_t i = 0; i < n && st == EQ_OK; i++) {
        char *dir = eq_path_join(out_dir, names[i]);
        size_t before = files->len;
        st = write_run(dirs[i], dir, files, err);
        st = st == EQ_OK ? write_seeds(dirs[i], dir, files, err) : st;
        if (st == EQ_OK && files->len == before)
            st = eq_fail(err, EQ_IO, "%s has no history of a training (history/fp32.csv): run `echoquant train` first",
                         dirs[i]);
        free(dir);
    }
    eq_names_free(names, n);
    return st;
}
