/* Keys of settings that a word probably means. */
#include "settings/table.h"

#include <string.h>

enum { MAX_WORD = 64, MAX_KEYS = 256 };

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

static const char *name_of(const char *key)
{
    return strchr(key, '.') + 1;
}

/* section: n bytes before the name, with the dot; 0: any. */
static size_t list_named(const char *name, const char *section, size_t n, const char *const *keys, size_t n_keys,
                         const char **out, size_t cap)
{
    size_t found = 0;
    for (size_t i = 0; i < n_keys && found < cap; i++)
        if (strcmp(name_of(keys[i]), name) == 0 && strncmp(keys[i], section, n) == 0)
            out[found++] = keys[i];
    return found;
}

size_t eq_keys_near(const char *word, const char *const *keys, size_t n_keys, bool exact, const char **out, size_t cap)
{
    char text[MAX_WORD];
    const char *candidates[MAX_KEYS];
    snprintf(text, sizeof text, "%s", word);
    for (char *p = text; *p; p++)
        *p = *p == '-' ? '_' : *p;
    const char *dot = strchr(text, '.'), *name = dot ? dot + 1 : text;
    size_t section = (size_t)(name - text), found = list_named(name, text, section, keys, n_keys, out, cap);
    for (size_t i = 0; i < sizeof usual / sizeof *usual && found == 0; i++)
        if (strcmp(usual[i][0], name) == 0)
            found = list_named(usual[i][1], text, section, keys, n_keys, out, cap);
    if (found || exact)
        return found;
    size_t n = n_keys < MAX_KEYS ? n_keys : MAX_KEYS;
    for (size_t i = 0; i < n; i++)
        candidates[i] = dot ? keys[i] : name_of(keys[i]);
    const char *near = eq_nearest(text, candidates, n);
    if (near && dot && cap)
        out[found++] = near;
    else if (near)
        found = list_named(near, "", 0, keys, n_keys, out, cap);
    return found;
}
