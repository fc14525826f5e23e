/* Settings by names that are almost theirs. */
#include "settings/table.h"

#include <string.h>

enum { MAX_SETTINGS = 256, MAX_WORD = 64 };

/* What other programs call them, and the name in our table. */
static const char *const usual[][2] = {
    {"batch_size", "batch"},
    {"bs", "batch"},
    {"learning_rate", "lr"},
    {"epoch", "epochs"},
    {"num_epochs", "epochs"},
    {"n_epochs", "epochs"},
    {"wd", "weight_decay"},
    {"optim", "optimizer"},
    {"scheduler", "schedule"},
    {"warmup_epochs", "warmup"},
    {"image_size", "size"},
    {"img_size", "size"},
    {"imgsz", "size"},
    {"num_frames", "frames"},
    {"n_frames", "frames"},
    {"num_clips", "clips"},
    {"num_workers", "threads"},
    {"workers", "threads"},
    {"jobs", "threads"},
    {"pretrained", "init"},
    {"gradient_clip", "grad_clip"},
};

static const char *name_of(const struct eq_setting *row)
{
    return strchr(row->key, '.') + 1;
}

bool eq_settings_given(const struct eq_settings *s, const char *key)
{
    for (size_t i = 0; i < eq_setting_count; i++)
        if (strcmp(eq_setting_table[i].key, key) == 0)
            return strcmp(s->origin[i], "default") != 0;
    return false;
}

static void normalize(const char *word, char out[MAX_WORD])
{
    snprintf(out, MAX_WORD, "%s", word);
    for (char *p = out; *p; p++)
        *p = *p == '-' ? '_' : *p;
}

static size_t list_named(const char *name, const char *const *sections, const char **keys, size_t cap)
{
    size_t n = 0;
    for (size_t i = 0; i < eq_setting_count && n < cap; i++)
        if (eq_section_listed(eq_setting_table[i].key, sections) && strcmp(name_of(&eq_setting_table[i]), name) == 0)
            keys[n++] = eq_setting_table[i].key;
    return n;
}

size_t eq_settings_near(const char *word, const char *const *sections, bool exact, const char **keys, size_t cap)
{
    char name[MAX_WORD];
    const char *names[MAX_SETTINGS];
    size_t n_names = 0;
    normalize(word, name);
    size_t n = list_named(name, sections, keys, cap);
    for (size_t i = 0; i < sizeof usual / sizeof *usual && n == 0; i++)
        if (strcmp(usual[i][0], name) == 0)
            n = list_named(usual[i][1], sections, keys, cap);
    if (n || exact)
        return n;
    for (size_t i = 0; i < eq_setting_count && n_names < MAX_SETTINGS; i++)
        if (eq_section_listed(eq_setting_table[i].key, sections))
            names[n_names++] = name_of(&eq_setting_table[i]);
    const char *near = eq_nearest(name, names, n_names);
    return near ? list_named(near, sections, keys, cap) : 0;
}

enum eq_status eq_setting_unknown(const char *key, const char *origin, struct eq_err *err)
{
    const char *all[MAX_SETTINGS], *keys[4];
    char word[MAX_WORD];
    struct eq_str hint = {0};
    size_t n = 0;
    normalize(key, word);
    if (!strchr(word, '.')) {
        n = eq_settings_near(word, NULL, false, keys, sizeof keys / sizeof *keys);
    } else {
        for (size_t i = 0; i < eq_setting_count && i < MAX_SETTINGS; i++)
            all[i] = eq_setting_table[i].key;
        keys[0] = eq_nearest(word, all, eq_setting_count);
        n = keys[0] != NULL;
        const char *name = strchr(word, '.') + 1; /* "train.batch_size" */
        for (size_t i = 0; i < sizeof usual / sizeof *usual && n == 0; i++) {
            char other[2 * MAX_WORD];
            snprintf(other, sizeof other, "%.*s%s", (int)(name - word), word, usual[i][1]);
            if (strcmp(usual[i][0], name) == 0 && eq_setting_find(other)) {
                keys[0] = eq_setting_find(other)->key;
                n = 1;
            }
        }
    }
    for (size_t i = 0; i < n; i++)
        eq_str_add(&hint, "%s%s", i ? " or " : "; did you mean ", keys[i]);
    eq_str_add(&hint, "%s", n ? "?" : " (`echoquant help settings` lists them all)");
    eq_fail(err, EQ_USAGE, "%s: there is no setting %.80s%s", origin, key, hint.s);
    eq_str_clear(&hint);
    return EQ_USAGE;
}
