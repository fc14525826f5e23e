/* Writing safetensors. */
#include "model/safetensors.h"

#include <cjson/cJSON.h>
#include <string.h>

enum { ALIGN = 8 };

static cJSON *tensor_entry(const struct eq_tensor *t, size_t begin)
{
    cJSON *entry = cJSON_CreateObject(), *shape = cJSON_AddArrayToObject(entry, "shape");
    cJSON_AddStringToObject(entry, "dtype", eq_dtype_name(t->dtype));
    for (int i = 0; i < t->rank; i++)
        eq_json_add(shape, NULL, cJSON_CreateNumber((double)t->shape[i]));
    cJSON *offsets = cJSON_AddArrayToObject(entry, "data_offsets");
    eq_json_add(offsets, NULL, cJSON_CreateNumber((double)begin));
    eq_json_add(offsets, NULL, cJSON_CreateNumber((double)(begin + eq_tensor_bytes(t))));
    return entry;
}

/* The header as text, padded with blanks so that the data after it is aligned. */
static enum eq_status header_text(const struct eq_st_file *file, struct eq_str *out, struct eq_err *err)
{
    cJSON *header = cJSON_CreateObject();
    cJSON *meta = file->n_meta ? cJSON_AddObjectToObject(header, "__metadata__") : NULL;
    for (size_t i = 0; i < file->n_meta; i++)
        cJSON_AddStringToObject(meta, file->meta_keys[i], file->meta_values[i]);
    size_t at = 0;
    for (size_t i = 0; i < file->n; i++) {
        const struct eq_st_tensor *t = &file->tensors[i];
        eq_json_add(header, t->name, tensor_entry(&t->value, at));
        at += eq_tensor_bytes(&t->value);
    }
    enum eq_status st = eq_json_print_line(out, header, err);
    cJSON_Delete(header);
    while (out->len % ALIGN != 0)
        eq_str_add(out, " ");
    return st;
}

/* Reads the new file as any reader will, before it takes the place of an earlier one. */
static enum eq_status read_back(const struct eq_writer *w, const struct eq_st_file *file, struct eq_err *err)
{
    bool same = false;
    enum eq_status st = eq_st_compare(w->tmp_path, file, &same, err);
    if (st == EQ_NOMEM)
        return eq_err_context(err, "%s: reading it back", w->path);
    if (same)
        return EQ_OK;
    return eq_fail(err, EQ_IO, "%s: the new file reads back differently, so it is not kept: %s", w->path,
                   st == EQ_OK ? "the disk or the memory may be faulty"
                   : err       ? err->msg
                               : "");
}

enum eq_status eq_st_file_bytes(const struct eq_st_file *file, size_t *bytes, struct eq_err *err)
{
    struct eq_str header = {0};
    enum eq_status st = header_text(file, &header, err);
    *bytes = sizeof(uint64_t) + header.len;
    for (size_t i = 0; i < file->n; i++)
        *bytes += eq_tensor_bytes(&file->tensors[i].value);
    eq_str_clear(&header);
    return st;
}

enum eq_status eq_st_write(const char *path, const struct eq_st_file *file, struct eq_err *err)
{
    enum eq_status st;
    struct eq_writer w = {0};
    struct eq_str header = {0};
    uint8_t length[8];
    st = header_text(file, &header, err);
    if (st != EQ_OK) {
        eq_err_context(err, "%s", path);
        goto out;
    }
    for (int i = 0; i < 8; i++)
        length[i] = (uint8_t)((uint64_t)header.len >> 8 * i);
    EQ_TRY(eq_writer_open(&w, path, err));
    EQ_TRY(eq_writer_put(&w, length, sizeof length, err));
    EQ_TRY(eq_writer_put(&w, header.s, header.len, err));
    for (size_t i = 0; i < file->n; i++)
        EQ_TRY(eq_writer_put(&w, file->tensors[i].value.data, eq_tensor_bytes(&file->tensors[i].value), err));
    EQ_TRY(eq_writer_close(&w, err));
    if (w.tmp_path)
        EQ_TRY(read_back(&w, file, err));
    EQ_TRY(eq_writer_commit(&w, err));
out:
    eq_writer_abort(&w);
    eq_str_clear(&header);
    return st;
}
