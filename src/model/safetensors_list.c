/* Building safetensors in memory: tensors and metadata. */
#include "model/safetensors.h"

#include <stdarg.h>
#include <stdlib.h>

/* Lists hold 64 entries, then double. Headers are small, as texts are. */
static void *grow(void *array, size_t n, size_t size)
{
    bool full = n == 0 || (n >= EQ_ST_MIN_ROOM && (n & (n - 1)) == 0);
    if (!full)
        return array;
    return eq_small(array, (n ? 2 * n : EQ_ST_MIN_ROOM) * size);
}

struct eq_st_tensor *eq_st_push(struct eq_st_file *file, const char *name)
{
    file->tensors = grow(file->tensors, file->n, sizeof(*file->tensors));
    struct eq_st_tensor *t = &file->tensors[file->n++];
    *t = (struct eq_st_tensor){.name = eq_strdup(name)};
    return t;
}

void eq_st_add(struct eq_st_file *file, const char *name, struct eq_tensor value)
{
    value.owns = false;
    eq_st_push(file, name)->value = value;
}

void eq_st_add_meta(struct eq_st_file *file, const char *key, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    struct eq_str value = {0};
    eq_str_vadd(&value, fmt, args);
    va_end(args);
    file->meta_keys = grow(file->meta_keys, file->n_meta, sizeof(*file->meta_keys));
    file->meta_values = grow(file->meta_values, file->n_meta, sizeof(*file->meta_values));
    file->meta_keys[file->n_meta] = eq_strdup(key);
    file->meta_values[file->n_meta++] = value.s;
}

void eq_st_clear(struct eq_st_file *file)
{
    for (size_t i = 0; i < file->n; i++) {
        free(file->tensors[i].name);
        free(file->tensors[i].other_dtype);
    }
    for (size_t i = 0; i < file->n_meta; i++) {
        free(file->meta_keys[i]);
        free(file->meta_values[i]);
    }
    eq_free(file->tensors);
    eq_free(file->meta_keys);
    eq_free(file->meta_values);
    eq_free(file->buffer);
    *file = (struct eq_st_file){0};
}
