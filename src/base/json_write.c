/*
 * Writing JSON. cJSON 1.7 accepts 15 digits when they come within one epsilon of the value, so a double may come back
 * with its last bit changed. Here every number is written with the fewest digits that read back as the same double.
 */
#include "echoquant/base.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_LINE = 110 };

/* Adds what needs no escape; returns what follows it. */
static const char *add_plain(struct eq_str *out, const char *s)
{
    const char *end = s;
    while ((unsigned char)*end >= ' ' && *end != '"' && *end != '\\' && *end != 127)
        end++;
    eq_str_add_bytes(out, s, (size_t)(end - s));
    return end;
}

static void print_string(struct eq_str *out, const char *s)
{
    struct eq_str utf8 = {0};
    eq_str_add_utf8(&utf8, s ? s : "");
    eq_str_add(out, "\"");
    for (s = add_plain(out, utf8.s); *s; s = add_plain(out, s + 1)) {
        unsigned char c = (unsigned char)*s;
        if (c == '"' || c == '\\')
            eq_str_add(out, "\\%c", c);
        else if (c == '\n')
            eq_str_add(out, "\\n");
        else if (c == '\t')
            eq_str_add(out, "\\t");
        else
            eq_str_add(out, "\\u%04x", c);
    }
    eq_str_add(out, "\"");
    eq_str_clear(&utf8);
}

static void newline(struct eq_str *out, int depth)
{
    eq_str_add(out, "\n%*s", 2 * depth, "");
}

static void print_value(struct eq_str *out, const cJSON *json, int depth);

/* depth < 0: everything on one line. */
static void print_children(struct eq_str *out, const cJSON *json, int depth)
{
    bool object = cJSON_IsObject(json), one_line = depth < 0;
    eq_str_add(out, object ? "{" : "[");
    for (const cJSON *child = json->child; child; child = child->next) {
        if (!one_line)
            newline(out, depth + 1);
        if (object) {
            print_string(out, child->string);
            eq_str_add(out, ": ");
        }
        print_value(out, child, one_line ? -1 : depth + 1);
        if (child->next)
            eq_str_add(out, one_line ? ", " : ",");
    }
    if (!one_line && json->child)
        newline(out, depth);
    eq_str_add(out, object ? "}" : "]");
}

static bool holds_containers(const cJSON *json)
{
    for (const cJSON *child = json->child; child; child = child->next)
        if (cJSON_IsArray(child) || cJSON_IsObject(child))
            return true;
    return false;
}

/* Prints short lists of plain values on one line. */
static void print_container(struct eq_str *out, const cJSON *json, int depth)
{
    if (depth >= 0 && !holds_containers(json)) {
        struct eq_str flat = {0};
        print_children(&flat, json, -1);
        bool fits = flat.len + 2 * (size_t)depth < MAX_LINE;
        if (fits)
            eq_str_add_bytes(out, flat.s, flat.len);
        eq_str_clear(&flat);
        if (fits)
            return;
    }
    print_children(out, json, depth);
}

static void print_value(struct eq_str *out, const cJSON *json, int depth)
{
    if (cJSON_IsObject(json) || cJSON_IsArray(json))
        print_container(out, json, depth);
    else if (cJSON_IsNumber(json) && isfinite(json->valuedouble)) /* JSON has no NaN and no infinity: null */
        eq_str_add_real(out, json->valuedouble);
    else if (cJSON_IsString(json))
        print_string(out, json->valuestring);
    else if (cJSON_IsRaw(json))
        eq_str_add(out, "%s", json->valuestring);
    else if (cJSON_IsBool(json))
        eq_str_add(out, cJSON_IsTrue(json) ? "true" : "false");
    else
        eq_str_add(out, "null");
}

enum eq_status eq_json_print(struct eq_str *out, const struct cJSON *json, struct eq_err *err)
{
    EQ_CHECK(eq_json_check(err));
    print_value(out, json, 0);
    eq_str_add(out, "\n");
    return EQ_OK;
}

enum eq_status eq_json_print_row(struct eq_str *out, const struct cJSON *json, struct eq_err *err)
{
    EQ_CHECK(eq_json_check(err));
    print_value(out, json, -1);
    eq_str_add(out, "\n");
    return EQ_OK;
}

enum eq_status eq_json_print_line(struct eq_str *out, const struct cJSON *json, struct eq_err *err)
{
    char *text = cJSON_PrintUnformatted(json);
    enum eq_status st = eq_json_check(err);
    if (st == EQ_OK && text)
        eq_str_add_utf8(out, text);
    cJSON_free(text);
    return st;
}

enum eq_status eq_json_write(const char *path, const struct cJSON *json, struct eq_err *err)
{
    struct eq_str text = {0};
    enum eq_status st = eq_json_print(&text, json, err);
    if (st == EQ_OK)
        st = eq_write_file(path, text.s, text.len, err);
    else
        eq_err_context(err, "%s", path);
    eq_str_clear(&text);
    return st;
}
