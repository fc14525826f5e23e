/* Reading JSON: cJSON's parser, with its errors turned into line and column and its leniences closed. */
#include "echoquant/base.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_JSON_BYTES = 16 << 20 };

static enum eq_status syntax_error(const char *text, size_t len, const char *at, const char *name, struct eq_err *err)
{
    size_t offset = at && at >= text ? (size_t)(at - text) : 0, line = 1, column = 1;
    if (offset > len)
        offset = len;
    for (size_t i = 0; i < offset; i++) {
        column = text[i] == '\n' ? 1 : column + 1;
        line += text[i] == '\n';
    }
    if (offset >= len || !text[offset])
        return eq_fail(err, EQ_FORMAT, "%s:%zu:%zu: JSON ends too early", name, line, column);
    char near[25] = {0};
    for (size_t i = 0; i < sizeof near - 1 && offset + i < len && (unsigned char)text[offset + i] >= ' '; i++)
        near[i] = text[offset + i];
    return eq_fail(err, EQ_FORMAT, "%s:%zu:%zu: not valid JSON here: %s", name, line, column, near);
}

/* cJSON reads 1e999 as infinity. Depth is bounded by CJSON_NESTING_LIMIT. */
static bool all_finite(const cJSON *item)
{
    for (; item; item = item->next) {
        if (cJSON_IsNumber(item) && !isfinite(item->valuedouble))
            return false;
        if (item->child && !all_finite(item->child))
            return false;
    }
    return true;
}

enum eq_status eq_json_parse(const char *text, size_t len, const char *name, struct cJSON **out, struct eq_err *err)
{
    *out = NULL;
    if (len > MAX_JSON_BYTES)
        return eq_fail(err, EQ_FORMAT, "%s: %zu bytes of JSON are more than the %d allowed", name, len, MAX_JSON_BYTES);
    if (len && memchr(text, '\0', len)) /* cJSON would take it for white space */
        return syntax_error(text, len, memchr(text, '\0', len), name, err);
    const char *end = NULL;
    cJSON *json = len ? cJSON_ParseWithLengthOpts(text, len, &end, 0) : NULL;
    if (!json)
        return syntax_error(text, len, end, name, err);
    while (end < text + len && strchr(" \t\r\n", *end))
        end++;
    if (end < text + len) {
        cJSON_Delete(json);
        return syntax_error(text, len, end, name, err);
    }
    if (!all_finite(json)) {
        cJSON_Delete(json);
        return eq_fail(err, EQ_FORMAT, "%s: a number is too large for a double", name);
    }
    *out = json;
    return EQ_OK;
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
