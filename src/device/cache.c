/*
 * What is kept of a device between commands, one file in the user's cache for each key. Its name is a hash of the key,
 * which is in the file as a whole: another key of the same hash is noticed.
 *
 * The file: a line with format, result of the self-check and the sizes of what follows; key, reason of a failed
 * self-check, program; the hash of all before.
 */
#include "device/cache.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { HASH_BYTES = 17, MOST_BYTES = 1 << 28, LINE = 128 };
static const char prefix[] = "device-";
static const char *const checks[] = {
    [EQ_DEVICE_UNCHECKED] = "unchecked", [EQ_DEVICE_PASSED] = "passed", [EQ_DEVICE_FAILED] = "failed"};
enum { CHECKS = sizeof checks / sizeof *checks };

void eq_device_key(const struct eq_device_api *api, const struct eq_device_info *info, const char *defines,
                   struct eq_str *key)
{
    eq_str_add(key, "echoquant %s\ntext %016" PRIx64 " %zu\n", ECHOQUANT_VERSION,
               eq_hash64(eq_device_text, strlen(eq_device_text)), strlen(eq_device_text));
    for (const struct eq_device_ptx *p = eq_device_ptx; p->text; p++)
        eq_str_add(key, "ptx %d %016" PRIx64 " %zu\n", p->architecture, eq_hash64(p->text, strlen(p->text)),
                   strlen(p->text));
    eq_str_add(key, "defines %s\nloader %s\ndevice %s, units: %d, bytes: %zu\ndriver %s\n", defines, api->name,
               info->name, info->units, info->memory, info->driver);
}

static int first_line(char line[LINE], const char *key, const struct eq_device_entry *e)
{
    return snprintf(line, LINE, "echoquant-device-1 %s %zu %zu %zu\n", checks[e->check], strlen(key), e->why_bytes,
                    e->program_bytes);
}

void *eq_device_entry_print(const char *key, const struct eq_device_entry *e, size_t *len)
{
    char line[LINE];
    size_t n_line = (size_t)first_line(line, key, e), n_key = strlen(key);
    *len = n_line + n_key + e->why_bytes + e->program_bytes + HASH_BYTES;
    char *data = eq_alloc(*len + 1, 1), *at = data;
    const struct {
        const void *bytes;
        size_t n;
    } parts[] = {{line, n_line}, {key, n_key}, {e->why, e->why_bytes}, {e->program, e->program_bytes}};
    if (!data)
        return NULL;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; at += parts[i++].n)
        if (parts[i].n)
            memcpy(at, parts[i].bytes, parts[i].n);
    snprintf(at, HASH_BYTES + 1, "%016" PRIx64 "\n", eq_hash64(data, (size_t)(at - data)));
    return data;
}

enum eq_device_entry_state eq_device_entry_parse(const void *data, size_t len, const char *key,
                                                 struct eq_device_entry *e)
{
    char hash[HASH_BYTES + 1], line[LINE], check[16];
    const char *text = data, *newline;
    size_t n_key;
    *e = (struct eq_device_entry){0};
    if (len < HASH_BYTES)
        return EQ_ENTRY_DAMAGED;
    size_t body = len - HASH_BYTES;
    snprintf(hash, sizeof hash, "%016" PRIx64 "\n", eq_hash64(text, body));
    if (memcmp(text + body, hash, HASH_BYTES) != 0)
        return EQ_ENTRY_DAMAGED;
    /* Whole; what is not as this version writes it is of another. */
    newline = memchr(text, '\n', body < LINE - 1 ? body : LINE - 1);
    if (!newline)
        return EQ_ENTRY_FOREIGN;
    size_t n_line = (size_t)(newline - text) + 1;
    struct eq_device_entry found = {0};
    memcpy(line, text, n_line);
    line[n_line] = '\0';
    if (sscanf(line, "echoquant-device-1 %15s %zu %zu %zu", check, &n_key, &found.why_bytes, &found.program_bytes) != 4)
        return EQ_ENTRY_FOREIGN;
    int row = 0;
    while (row < CHECKS && strcmp(checks[row], check) != 0)
        row++;
    found.check = (enum eq_device_check)row;
    if (row == CHECKS || n_key != strlen(key) || body - n_line < n_key || memcmp(text + n_line, key, n_key) != 0 ||
        found.why_bytes > body - n_line - n_key || found.program_bytes != body - n_line - n_key - found.why_bytes)
        return EQ_ENTRY_FOREIGN;
    char again[LINE];
    first_line(again, key, &found);
    if (strcmp(again, line) != 0)
        return EQ_ENTRY_FOREIGN;
    found.why = text + n_line + n_key;
    found.program = found.why + found.why_bytes;
    *e = found;
    return EQ_ENTRY_GOOD;
}

static void warn_once(const char *what)
{
    static bool warned;
    if (!__atomic_exchange_n(&warned, true, __ATOMIC_RELAXED))
        eq_warn("the kernels of a device are not kept, so that every command builds and checks them anew: %s", what);
}

enum eq_device_entry_state eq_device_cache_read(const char *key, struct eq_device_entry *e, void **data, char **path)
{
    char *dir = eq_cache_dir();
    struct eq_err why = {0};
    size_t len = 0;
    bool there = false;
    *e = (struct eq_device_entry){0};
    *data = NULL;
    *path = NULL;
    if (!dir)
        return EQ_ENTRY_MISSING;
    *path = eq_format("%s/%s%016" PRIx64, dir, prefix, eq_hash64(key, strlen(key)));
    free(dir);
    enum eq_device_entry_state state = EQ_ENTRY_MISSING;
    if (eq_path_look(*path, &there, NULL) != EQ_OK || !there)
        return state;
    if (eq_read_file(*path, MOST_BYTES, data, &len, &why) != EQ_OK) {
        eq_warn("%s; the kernels are built anew", why.msg);
        return EQ_ENTRY_DAMAGED;
    }
    state = eq_device_entry_parse(*data, len, key, e);
    if (state == EQ_ENTRY_DAMAGED)
        eq_warn("%s: this file of the cache is damaged; it is made anew", *path);
    else if (state == EQ_ENTRY_FOREIGN)
        eq_debug("%s: of another version or device; it is made anew", *path);
    return state;
}

void eq_device_cache_write(const char *path, const char *key, const struct eq_device_entry *e)
{
    struct eq_err err = {0};
    size_t len;
    if (!path) {
        warn_once("neither XDG_CACHE_HOME nor HOME is set");
        return;
    }
    void *data = eq_device_entry_print(key, e, &len);
    char *dir = eq_cache_dir();
    enum eq_status st = data && dir ? eq_cache_write(dir, prefix, path, data, len, &err)
                                    : eq_fail(&err, EQ_NOMEM, "out of memory for %s", path);
    if (st != EQ_OK)
        warn_once(err.msg);
    eq_free(data);
    free(dir);
}
