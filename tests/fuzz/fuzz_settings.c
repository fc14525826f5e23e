/* Whatever settings file is accepted must be printed as a config.json that reads back to the same one, with the same
 * origins; whatever is refused must be refused as the user's mistake, with the file's name. One line "key=value" goes
 * to --set. */
#include "settings/table.h"
#include "fuzz.h"

static void check_round_trip(const struct eq_settings *s)
{
    struct eq_settings again;
    struct eq_err err = {0};
    struct eq_str text = {0}, text_again = {0}, changes = {0};
    eq_settings_print(s, &text, NULL);
    if (eq_settings_init(&again, &err) != EQ_OK ||
        eq_settings_parse_run(&again, text.s, text.len, "config", &err) != EQ_OK)
        abort();
    eq_settings_changes(s, &again, NULL, &changes);
    if (changes.len)
        abort();
    eq_settings_print(&again, &text_again, NULL);
    if (strcmp(text.s, text_again.s) != 0)
        abort();
    eq_settings_clear(&again);
    eq_str_clear(&text);
    eq_str_clear(&text_again);
    eq_str_clear(&changes);
}

static enum eq_status apply(struct eq_settings *s, const uint8_t *data, size_t size, struct eq_err *err)
{
    const uint8_t *equals = size < 200 && size > 0 && data[0] != '{' ? memchr(data, '=', size) : NULL;
    if (!equals)
        return eq_settings_parse(s, (const char *)data, size, "input", err);
    char key[200], value[200];
    size_t n = (size_t)(equals - data), m = size - n - 1;
    memcpy(key, data, n);
    memcpy(value, equals + 1, m);
    key[n] = value[m] = '\0';
    return eq_settings_set(s, key, value, "input", err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct eq_settings s;
    struct eq_err err = {0};
    if (eq_settings_init(&s, &err) != EQ_OK)
        abort();
    enum eq_status st = apply(&s, data, size, &err);
    if (st == EQ_OK)
        check_round_trip(&s);
    else if (st != EQ_USAGE || err.status != EQ_USAGE || strncmp(err.msg, "input:", 6) != 0)
        abort();
    eq_settings_clear(&s);
    return 0;
}
