/* JSON over cJSON: its parser, with errors as line and column and its leniences closed, and typed members. */
#include "echoquant/base.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_JSON_BYTES = 16 << 20 };

/* Whether cJSON failed to get memory in this thread since eq_json_check was last called. */
static _Thread_local bool lost;

static void *noting_malloc(size_t n)
{
    void *p;
    while (!(p = malloc(n)) && eq_memory_refused(n))
        ;
    lost |= !p;
    return p;
}

/* Runs before main, because documents may be built before the first call into this file. */
__attribute__((constructor)) static void install_hooks(void)
{
    cJSON_InitHooks(&(cJSON_Hooks){.malloc_fn = noting_malloc, .free_fn = free});
}

enum eq_status eq_json_check(struct eq_err *err)
{
    bool failed = lost;
    lost = false;
    return failed ? eq_fail(err, EQ_NOMEM, "out of memory for a JSON document") : EQ_OK;
}

/* text has a NUL at len. */
static enum eq_status syntax_error(const char *text, size_t len, const char *at, const char *name, struct eq_err *err)
{
    size_t offset = at && at >= text ? (size_t)(at - text) : 0, line = 1, column = 1;
    for (size_t i = 0; i < offset; i++) {
        column = text[i] == '\n' ? 1 : column + 1;
        line += text[i] == '\n';
    }
    if (offset >= len)
        return eq_fail(err, EQ_FORMAT, "%s:%zu:%zu: JSON ends too early", name, line, column);
    char near[25] = {0};
    for (size_t i = 0; i < sizeof near - 1 && offset + i < len && (unsigned char)text[offset + i] >= ' '; i++)
        near[i] = text[offset + i];
    return eq_fail(err, EQ_FORMAT, "%s:%zu:%zu: not valid JSON here: %s", name, line, column, near);
}

static const char *skip_digits(const char *p)
{
    return p + strspn(p, "0123456789");
}

/* The end of the number that starts at p by RFC 8259's grammar, or p when there is none. */
static const char *number_end(const char *p)
{
    const char *start = p, *digits = p + (*p == '-');
    p = skip_digits(digits);
    if (p == digits || (*digits == '0' && p - digits > 1))
        return start;
    if (*p == '.') {
        digits = p + 1;
        p = skip_digits(digits);
        if (p == digits)
            return start;
    }
    if (*p == 'e' || *p == 'E') {
        digits = p + 1 + (p[1] == '+' || p[1] == '-');
        p = skip_digits(digits);
        if (p == digits)
            return start;
    }
    return p;
}

/* cJSON takes "01", "1." and raw control characters in strings. Returns the first such place in text that cJSON
 * accepted, or NULL. */
static const char *find_leniency(const char *p)
{
    bool in_string = false;
    for (; *p; p++) {
        if (in_string && *p == '\\') {
            p++;
        } else if (*p == '"') {
            in_string = !in_string;
        } else if (in_string) {
            if ((unsigned char)*p < ' ')
                return p;
        } else if (*p == '-' || (*p >= '0' && *p <= '9')) {
            const char *end = number_end(p);
            if (end == p)
                return p;
            p = end - 1;
        }
    }
    return NULL;
}

struct key {
    const char *text;
    struct eq_str utf8; /* of a key beyond ASCII; text points into it */
};

static int compare_keys(const void *a, const void *b)
{
    return strcmp(((const struct key *)a)->text, ((const struct key *)b)->text);
}

static bool is_ascii(const char *text)
{
    while (*text && (unsigned char)*text < 0x80)
        text++;
    return !*text;
}

/* Refuses a key that occurs twice: parsers differ in which of the two they use. Keys are the same if they are when they
 * are written, as UTF-8. */
static enum eq_status check_keys(const cJSON *object, const char *name, struct eq_err *err)
{
    size_t n = 0;
    for (const cJSON *child = object->child; child; child = child->next)
        n++;
    if (n < 2)
        return EQ_OK;
    struct key *keys = eq_alloc(n, sizeof *keys);
    if (!keys)
        return eq_fail(err, EQ_NOMEM, "%s: out of memory while checking its keys", name);
    n = 0;
    for (const cJSON *child = object->child; child; child = child->next, n++) {
        bool plain = is_ascii(child->string);
        if (!plain)
            eq_str_add_utf8(&keys[n].utf8, child->string);
        keys[n].text = plain ? child->string : keys[n].utf8.s;
    }
    qsort(keys, n, sizeof *keys, compare_keys);
    enum eq_status st = EQ_OK;
    for (size_t i = 1; i < n && st == EQ_OK; i++)
        if (strcmp(keys[i - 1].text, keys[i].text) == 0)
            st = eq_fail(err, EQ_FORMAT, "%s: the key \"%s\" comes twice", name, keys[i].text);
    for (size_t i = 0; i < n; i++)
        eq_str_clear(&keys[i].utf8);
    eq_free(keys);
    return st;
}

/* Depth is bounded by CJSON_NESTING_LIMIT. */
static enum eq_status check_values(const cJSON *item, const char *name, struct eq_err *err)
{
    for (; item; item = item->next) {
        if (cJSON_IsNumber(item) && !isfinite(item->valuedouble)) /* cJSON reads 1e999 as infinity */
            return eq_fail(err, EQ_FORMAT, "%s: a number is too large for a double", name);
        if (cJSON_IsObject(item))
            EQ_CHECK(check_keys(item, name, err));
        if (item->child)
            EQ_CHECK(check_values(item->child, name, err));
    }
    return EQ_OK;
}

/* text has a NUL at len and none before. cJSON gets the NUL too, so that it can point at the end. */
static enum eq_status parse_terminated(const char *text, size_t len, const char *name, cJSON **out, struct eq_err *err)
{
    enum eq_status st;
    const char *end = NULL;
    bool others = lost; /* in documents that the caller is building */
    lost = false;
    cJSON *json = cJSON_ParseWithLengthOpts(text, len + 1, &end, 0);
    bool failed = lost;
    lost = others;
    if (failed)
        EQ_TRY(eq_fail(err, EQ_NOMEM, "%s: out of memory while parsing it", name));
    if (!json)
        EQ_TRY(syntax_error(text, len, end, name, err));
    end += strspn(end, " \t\r\n");
    if (end < text + len)
        EQ_TRY(syntax_error(text, len, end, name, err));
    const char *lenient = find_leniency(text);
    if (lenient)
        EQ_TRY(syntax_error(text, len, lenient, name, err));
    EQ_TRY(check_values(json, name, err));
    *out = json;
    json = NULL;
out:
    cJSON_Delete(json);
    return st;
}

enum eq_status eq_json_parse(const char *text, size_t len, const char *name, struct cJSON **out, struct eq_err *err)
{
    *out = NULL;
    if (len > MAX_JSON_BYTES)
        return eq_fail(err, EQ_FORMAT, "%s: %zu bytes of JSON exceed the limit of %d", name, len, MAX_JSON_BYTES);
    const char *nul = len ? memchr(text, '\0', len) : NULL;
    if (nul) /* cJSON would take it for white space */
        return eq_fail(err, EQ_FORMAT, "%s: not JSON: byte %zu is NUL", name, (size_t)(nul - text));
    char *copy = eq_alloc(len + 1, 1);
    if (!copy)
        return eq_fail(err, EQ_NOMEM, "%s: out of memory while parsing it", name);
    if (len)
        memcpy(copy, text, len);
    enum eq_status st = parse_terminated(copy, len, name, out, err);
    eq_free(copy);
    return st;
}

enum eq_status eq_json_read(const char *path, struct cJSON **out, struct eq_err *err)
{
    void *text = NULL;
    size_t len;
    *out = NULL;
    enum eq_status st;
    EQ_TRY(eq_read_file(path, MAX_JSON_BYTES, &text, &len, err));
    EQ_TRY(eq_json_parse(text, len, path, out, err));
out:
    eq_free(text);
    return st;
}

double eq_json_real(const struct cJSON *object, const char *key)
{
    const struct cJSON *value = cJSON_GetObjectItemCaseSensitive(object, key);
    return cJSON_IsNumber(value) ? value->valuedouble : NAN;
}

const char *eq_json_text(const struct cJSON *object, const char *key)
{
    const struct cJSON *value = cJSON_GetObjectItemCaseSensitive(object, key);
    return cJSON_IsString(value) ? value->valuestring : "";
}

bool eq_json_flag(const struct cJSON *object, const char *key)
{
    return cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(object, key));
}

struct cJSON *eq_json_add(struct cJSON *parent, const char *key, struct cJSON *item)
{
    if (key ? cJSON_AddItemToObject(parent, key, item) : cJSON_AddItemToArray(parent, item))
        return item;
    cJSON_Delete(item);
    return NULL;
}

struct cJSON *eq_json_new_real(double value)
{
    return isfinite(value) ? cJSON_CreateNumber(value) : cJSON_CreateNull();
}

void eq_json_add_real(struct cJSON *object, const char *key, double value)
{
    (void)(isfinite(value) ? cJSON_AddNumberToObject(object, key, value) : cJSON_AddNullToObject(object, key));
}
