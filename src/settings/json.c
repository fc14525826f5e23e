/*
 * Settings as JSON: {"data": {"frames": 8}, ...} or {"data.frames": 8, ...}, any part of it. A run's config.json is
 * such a file with all settings, an object "origin" that says where each value came from, the digests of the data and
 * of the models, and a seal.
 */
#include "settings/table.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MAX_CONFIG_BYTES ((size_t)1 << 20)

static bool is_section(const char *name)
{
    size_t len = strlen(name);
    for (size_t i = 0; i < eq_setting_count; i++)
        if (strncmp(eq_setting_table[i].key, name, len) == 0 && eq_setting_table[i].key[len] == '.')
            return true;
    return false;
}

/* The value as the file has it, on one line, for messages. */
static enum eq_status show(const struct cJSON *value, struct eq_str *out, struct eq_err *err)
{
    enum eq_status st = eq_json_print(out, value, err);
    while (out->len && (out->s[out->len - 1] == '\n' || out->s[out->len - 1] == ' '))
        out->s[--out->len] = '\0';
    for (size_t i = 0; i < out->len; i++)
        if ((unsigned char)out->s[i] < ' ')
            out->s[i] = ' ';
    return st;
}

/* Joins an array of names into one text; false if it is not an array of names without commas. */
static bool join_names(const struct cJSON *value, struct eq_str *out)
{
    const struct cJSON *name;
    if (!cJSON_IsArray(value))
        return false;
    cJSON_ArrayForEach(name, value)
    {
        if (!cJSON_IsString(name) || !name->valuestring[0] || strchr(name->valuestring, ','))
            return false;
        eq_str_add(out, "%s%s", out->len ? "," : "", name->valuestring);
    }
    return true;
}

static enum eq_status apply_value(struct eq_settings *s, const struct eq_setting *row, const struct cJSON *value,
                                  const char *name, struct eq_err *err)
{
    struct eq_str shown = {0}, names = {0};
    enum eq_status st = EQ_OK;
    bool number = row->type == EQ_SETTING_INT || row->type == EQ_SETTING_REAL;
    bool list = row->type == EQ_SETTING_LIST;
    bool text = row->type == EQ_SETTING_ENUM || row->type == EQ_SETTING_TEXT || list;
    EQ_TRY(show(value, &shown, err));
    if (row->type == EQ_SETTING_BOOL && cJSON_IsBool(value))
        eq_setting_store_bool(s, row, cJSON_IsTrue(value), name);
    else if (number && cJSON_IsNumber(value))
        EQ_TRY(eq_setting_store_number(s, row, value->valuedouble, shown.s, name, err));
    else if (list && join_names(value, &names))
        EQ_TRY(eq_setting_store_text(s, row, names.s ? names.s : "", name, err));
    else if (text && cJSON_IsString(value))
        EQ_TRY(eq_setting_store_text(s, row, value->valuestring, name, err));
    else
        EQ_TRY(eq_setting_mistyped(row, shown.s, name, err));
out:
    eq_str_clear(&names);
    eq_str_clear(&shown);
    return st;
}

/* at: as for eq_setting_find_next. */
static enum eq_status apply_key(struct eq_settings *s, const char *key, size_t *at, const struct cJSON *value,
                                const char *name, struct eq_err *err)
{
    const struct eq_setting *row = eq_setting_find_next(key, at);
    return row ? apply_value(s, row, value, name, err) : eq_setting_unknown(key, name, err);
}

static enum eq_status apply_section(struct eq_settings *s, const struct cJSON *section, size_t *at, const char *name,
                                    struct eq_err *err)
{
    for (const struct cJSON *value = section->child; value; value = value->next) {
        char *key = eq_format("%s.%s", section->string, value->string);
        enum eq_status st = apply_key(s, key, at, value, name, err);
        free(key);
        if (st != EQ_OK)
            return st;
    }
    return EQ_OK;
}

static enum eq_status unknown_section(const char *section, const char *name, struct eq_err *err)
{
    struct eq_str known = {0};
    for (size_t i = 0; i < eq_setting_count; i++) {
        const char *key = eq_setting_table[i].key;
        size_t len = strcspn(key, ".") + 1;
        if (i == 0 || strncmp(key, eq_setting_table[i - 1].key, len) != 0)
            eq_str_add(&known, "%s%.*s", i ? ", " : "", (int)len - 1, key);
    }
    enum eq_status st =
        eq_fail(err, EQ_USAGE, "%s: there is no section \"%.80s\"; there are %s", name, section, known.s);
    eq_str_clear(&known);
    return st;
}

static enum eq_status apply_item(struct eq_settings *s, const struct cJSON *item, size_t *at, const char *name,
                                 struct eq_err *err)
{
    if (is_section(item->string)) {
        if (cJSON_IsObject(item))
            return apply_section(s, item, at, name, err);
        return eq_fail(err, EQ_USAGE,
                       "%s: \"%s\" is a section: its value must be an object of settings, as in {\"%s\": {...}}", name,
                       item->string, item->string);
    }
    if (cJSON_IsObject(item))
        return unknown_section(item->string, name, err);
    return apply_key(s, item->string, at, item, name, err);
}

/* config.json has these beside the settings. */
static bool is_note(const struct cJSON *item)
{
    static const char *const objects[] = {"origin", EQ_MODEL_DIGESTS, NULL};
    static const char *const texts[] = {EQ_DATA_DIGEST, EQ_SEAL_KEY, NULL};
    for (const char *const *name = cJSON_IsObject(item) ? objects : texts; *name; name++)
        if (strcmp(item->string, *name) == 0)
            return cJSON_IsObject(item) || cJSON_IsString(item);
    return false;
}

static enum eq_status apply_document(struct eq_settings *s, const struct cJSON *json, const char *name,
                                     struct eq_err *err)
{
    size_t at = 0;
    if (!cJSON_IsObject(json))
        return eq_fail(err, EQ_USAGE, "%s: settings are a JSON object, as in {\"data\": {\"frames\": 8}}", name);
    for (const struct cJSON *item = json->child; item; item = item->next) {
        if (is_note(item))
            continue;
        enum eq_status st = apply_item(s, item, &at, name, err);
        if (st != EQ_OK)
            return st;
    }
    return EQ_OK;
}

/* Restores the origins that eq_settings_save wrote; ignores entries of another kind. */
static void restore_origins(struct eq_settings *s, const struct cJSON *json)
{
    const struct cJSON *origins = cJSON_GetObjectItemCaseSensitive(json, "origin");
    for (size_t i = 0; cJSON_IsObject(origins) && i < eq_setting_count; i++) {
        const struct cJSON *origin = cJSON_GetObjectItemCaseSensitive(origins, eq_setting_table[i].key);
        if (!cJSON_IsString(origin))
            continue;
        free(s->origin[i]);
        s->origin[i] = eq_strdup(origin->valuestring);
    }
}

static enum eq_status parse(struct eq_settings *s, const char *text, size_t len, const char *name, bool with_origins,
                            struct eq_err *err)
{
    struct cJSON *json = NULL;
    enum eq_status st = eq_json_parse(text, len, name, &json, err);
    if (st != EQ_OK)
        return eq_fail(err, st == EQ_FORMAT ? EQ_USAGE : st, "%s", err ? err->msg : "");
    st = apply_document(s, json, name, err);
    if (st == EQ_OK && with_origins)
        restore_origins(s, json);
    cJSON_Delete(json);
    return st;
}

enum eq_status eq_settings_parse(struct eq_settings *s, const char *text, size_t len, const char *name,
                                 struct eq_err *err)
{
    return parse(s, text, len, name, false, err);
}

enum eq_status eq_settings_parse_run(struct eq_settings *s, const char *text, size_t len, const char *name,
                                     struct eq_err *err)
{
    return parse(s, text, len, name, true, err);
}

static enum eq_status load(struct eq_settings *s, const char *path, bool with_origins, struct eq_err *err)
{
    void *text = NULL;
    size_t len = 0;
    EQ_CHECK(with_origins ? eq_read_file(path, MAX_CONFIG_BYTES, &text, &len, err)
                          : eq_read_input(path, -1, MAX_CONFIG_BYTES, &text, &len, err));
    enum eq_status st = parse(s, text, len, path, with_origins, err);
    eq_free(text);
    return st;
}

enum eq_status eq_settings_load(struct eq_settings *s, const char *path, struct eq_err *err)
{
    return load(s, path, false, err);
}

enum eq_status eq_settings_load_run(struct eq_settings *s, const char *run_dir, bool *found, struct eq_err *err)
{
    char *path = eq_path_join(run_dir, "config.json");
    enum eq_status st = eq_path_look(path, found, err);
    if (st == EQ_OK && *found)
        st = load(s, path, true, err);
    free(path);
    return st;
}

static struct cJSON *names_of(const char *text)
{
    struct cJSON *names = cJSON_CreateArray();
    for (size_t len; text && *text; text += len + (text[len] == ',')) {
        len = strcspn(text, ",");
        char *name = eq_format("%.*s", (int)len, text);
        eq_json_add(names, NULL, cJSON_CreateString(name));
        free(name);
    }
    return names;
}

static struct cJSON *value_of(const struct eq_setting *row, const struct eq_config *config)
{
    struct eq_str text = {0};
    struct cJSON *value;
    double number;
    eq_setting_print(row, config, &text);
    if (row->type == EQ_SETTING_BOOL)
        value = cJSON_CreateBool(strcmp(text.s, "true") == 0);
    else if ((row->type == EQ_SETTING_INT || row->type == EQ_SETTING_REAL) && eq_parse_double(text.s, &number))
        value = cJSON_CreateNumber(number);
    else if (row->type == EQ_SETTING_LIST)
        value = names_of(text.s);
    else
        value = cJSON_CreateString(text.s);
    eq_str_clear(&text);
    return value;
}

struct cJSON *eq_settings_object(const struct eq_config *config, const char *section)
{
    const char *const sections[] = {section, NULL};
    struct cJSON *object = cJSON_CreateObject();
    for (size_t i = 0; i < eq_setting_count; i++)
        if (eq_section_listed(eq_setting_table[i].key, sections))
            eq_json_add(object, strchr(eq_setting_table[i].key, '.') + 1, value_of(&eq_setting_table[i], config));
    return object;
}

static struct cJSON *settings_json(const struct eq_settings *s)
{
    struct cJSON *json = cJSON_CreateObject(), *origins = cJSON_CreateObject();
    for (size_t i = 0; i < eq_setting_count; i++) {
        const char *key = eq_setting_table[i].key;
        char section[32];
        snprintf(section, sizeof section, "%.*s", (int)strcspn(key, "."), key);
        if (!cJSON_HasObjectItem(json, section))
            eq_json_add(json, section, eq_settings_object(&s->config, section));
        cJSON_AddStringToObject(origins, key, s->origin[i]);
    }
    eq_json_add(json, "origin", origins);
    return json;
}

enum eq_status eq_settings_print(const struct eq_settings *s, struct eq_str *out, struct eq_err *err)
{
    struct cJSON *json = settings_json(s);
    enum eq_status st = eq_json_print(out, json, err);
    cJSON_Delete(json);
    return st;
}

enum eq_status eq_settings_save(const struct eq_settings *s, const struct cJSON *notes, const char *path,
                                struct eq_err *err)
{
    struct cJSON *json = settings_json(s);
    for (const struct cJSON *note = notes ? notes->child : NULL; note; note = note->next)
        eq_json_add(json, note->string, cJSON_Duplicate(note, true));
    enum eq_status st = eq_sealed_write(path, json, err);
    cJSON_Delete(json);
    return st;
}
