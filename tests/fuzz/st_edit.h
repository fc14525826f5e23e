/*
 * A safetensors file as eq_st_parse would give it, made of a valid one by the edits that an input lists, a line each.
 * That reaches what comes after the parser thousands of times faster than whole files do; fuzz_safetensors holds the
 * parser to what is relied on here: names that differ, and data that lie within the file, of the size of their shape.
 *
 *   m KEY VALUE              metadata; "\n" in VALUE is a line feed
 *   -m KEY                   no such metadata
 *   t NAME DTYPE SHAPE FILL  a tensor, as in "t fc.bias F32 1 0000803f"; SHAPE is "2x3" or "-" for a scalar; FILL is
 *                            repeated, zeros if it is missing. A dtype without a name here is one of other programs.
 *   -t NAME                  no such tensor
 *   = NAME NAME              a new name for a tensor
 */
#ifndef ECHOQUANT_TESTS_ST_EDIT_H
#define ECHOQUANT_TESTS_ST_EDIT_H

#include "echoquant/model.h"
#include "fuzz.h"

enum { ST_TENSORS = 160, ST_METAS = 40, ST_ARENA = 1 << 16, ST_DATA = 1 << 14, ST_WORDS = 5 };

/* Everything that an edited file points to. */
struct st_edit {
    struct eq_st_tensor tensors[ST_TENSORS];
    char *keys[ST_METAS], *values[ST_METAS];
    char arena[ST_ARENA]; /* of texts */
    uint8_t *blocks[ST_TENSORS];
    size_t used, n_blocks;
    struct eq_st_file file;
};

static inline char *st_text(struct st_edit *e, const char *text, size_t len)
{
    char *copy = e->arena + e->used;
    require(len < ST_ARENA - e->used);
    memcpy(copy, text, len);
    copy[len] = '\0';
    e->used += len + 1;
    return copy;
}

static inline size_t st_tensor_at(const struct st_edit *e, const char *name)
{
    size_t i = 0;
    while (i < e->file.n && strcmp(e->tensors[i].name, name) != 0)
        i++;
    return i;
}

static inline size_t st_meta_at(const struct st_edit *e, const char *key)
{
    size_t i = 0;
    while (i < e->file.n_meta && strcmp(e->keys[i], key) != 0)
        i++;
    return i;
}

static inline void st_unescape(char *text)
{
    char *to = text;
    for (const char *from = text; *from; from++)
        *to++ = from[0] == '\\' && from[1] == 'n' ? (from++, '\n') : *from;
    *to = '\0';
}

/* False: a shape that eq_st_parse refuses, or too much data for a fuzzer. */
static inline bool st_shape(const char *text, struct eq_tensor *t)
{
    size_t bytes = 0;
    t->rank = 0;
    for (const char *p = text; *text != '-' && *p; p += *p == 'x') {
        size_t n = strspn(p, "0123456789");
        if (n == 0 || n > 4 || t->rank == EQ_TENSOR_MAX_RANK || (p[n] && p[n] != 'x'))
            return false;
        t->shape[t->rank++] = strtoul(p, NULL, 10);
        p += n;
    }
    return eq_tensor_checked_bytes(t, &bytes) && bytes <= ST_DATA;
}

/* The data end where their memory does, at any address, so that a read past them shows. */
static inline void *st_data(struct st_edit *e, size_t bytes, const char *fill)
{
    uint8_t pattern[8] = {0}, *block = malloc(bytes + 1);
    size_t n = 0;
    require(block && e->n_blocks < ST_TENSORS);
    for (unsigned byte; n < sizeof pattern && fill && sscanf(fill + 2 * n, "%2x", &byte) == 1 && fill[2 * n + 1]; n++)
        pattern[n] = (uint8_t)byte;
    for (size_t i = 0; i < bytes; i++)
        block[i + 1] = pattern[i % (n ? n : 1)];
    e->blocks[e->n_blocks++] = block;
    return block + 1;
}

static inline void st_set_tensor(struct st_edit *e, char **word)
{
    struct eq_st_tensor t = {0};
    size_t at = st_tensor_at(e, word[1]);
    if (at == ST_TENSORS || e->n_blocks == ST_TENSORS || !st_shape(word[3], &t.value))
        return;
    t.name = word[1];
    if (!eq_dtype_parse(word[2], &t.value.dtype)) {
        t.other_dtype = word[2];
        size_t bytes = t.value.rank && t.value.shape[0] < ST_DATA ? t.value.shape[0] : 0;
        t.value = (struct eq_tensor){.dtype = EQ_U8, .rank = 1, .shape = {bytes}};
    } else if (!st_shape(word[3], &t.value)) { /* now by its dtype */
        return;
    }
    t.value.data = st_data(e, eq_tensor_bytes(&t.value), word[4]);
    e->tensors[at] = t;
    e->file.n += at == e->file.n;
}

static inline void st_apply(struct st_edit *e, char *line)
{
    char *word[ST_WORDS] = {NULL}, *rest = line;
    size_t n = 0, at;
    for (; n < ST_WORDS && rest; n++) {
        word[n] = rest;
        if (n == 2 && line[0] == 'm')
            rest = NULL; /* a value has blanks */
        else if ((rest = strchr(rest, ' ')) != NULL)
            *rest++ = '\0';
    }
    if (n >= 3 && strcmp(word[0], "m") == 0 && (at = st_meta_at(e, word[1])) < ST_METAS) {
        st_unescape(word[2]);
        e->keys[at] = word[1];
        e->values[at] = word[2];
        e->file.n_meta += at == e->file.n_meta;
    } else if (n >= 2 && strcmp(word[0], "-m") == 0 && (at = st_meta_at(e, word[1])) < e->file.n_meta) {
        e->file.n_meta--;
        memmove(&e->keys[at], &e->keys[at + 1], (e->file.n_meta - at) * sizeof *e->keys);
        memmove(&e->values[at], &e->values[at + 1], (e->file.n_meta - at) * sizeof *e->values);
    } else if (n >= 4 && strcmp(word[0], "t") == 0) {
        st_set_tensor(e, word);
    } else if (n >= 2 && strcmp(word[0], "-t") == 0 && (at = st_tensor_at(e, word[1])) < e->file.n) {
        e->file.n--;
        memmove(&e->tensors[at], &e->tensors[at + 1], (e->file.n - at) * sizeof *e->tensors);
    } else if (n >= 3 && strcmp(word[0], "=") == 0 && (at = st_tensor_at(e, word[1])) < e->file.n &&
               st_tensor_at(e, word[2]) == e->file.n) {
        e->tensors[at].name = word[2];
    }
}

/* base: a file that was read. Valid until st_edit_clear; do not clear the file itself. */
static inline struct eq_st_file *st_edit(struct st_edit *e, const struct eq_st_file *base, const uint8_t *data,
                                         size_t size)
{
    require(base->n < ST_TENSORS && base->n_meta < ST_METAS);
    e->used = e->n_blocks = 0;
    memcpy(e->tensors, base->tensors, base->n * sizeof *e->tensors);
    memcpy(e->keys, base->meta_keys, base->n_meta * sizeof *e->keys);
    memcpy(e->values, base->meta_values, base->n_meta * sizeof *e->values);
    e->file = (struct eq_st_file){
        .tensors = e->tensors, .n = base->n, .meta_keys = e->keys, .meta_values = e->values, .n_meta = base->n_meta};
    if (size >= ST_ARENA / 2)
        return &e->file;
    char *text = st_text(e, (const char *)data, size), *end;
    for (char *line = text; line; line = end) {
        if ((end = strchr(line, '\n')) != NULL)
            *end++ = '\0';
        st_apply(e, line);
    }
    return &e->file;
}

static inline void st_edit_clear(struct st_edit *e)
{
    for (size_t i = 0; i < e->n_blocks; i++)
        free(e->blocks[i]);
}

#endif
