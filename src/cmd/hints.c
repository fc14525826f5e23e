/* An option that a command lacks: what was probably meant. */
#include "cmd/option_table.h"

#include <string.h>

/* Names that other programs use. options: the first one that the command has, separated by blanks. */
static const struct {
    const char *word, *options;
} others[] = {
    {"o", "output onnx out run data"},
    {"out", "output onnx run data"},
    {"out_dir", "run data output"},
    {"outdir", "run data output"},
    {"output", "output onnx out run data"},
    {"output_dir", "out run data output"},
    {"run_dir", "run"},
    {"rundir", "run"},
    {"save_dir", "run output"},
    {"project", "run"},
    {"data_dir", "data"},
    {"data_path", "data"},
    {"datadir", "data"},
    {"dataset", "data"},
    {"source", "data"},
    {"input", "data model"},
    {"i", "data model"},
    {"checkpoint", "model"},
    {"ckpt", "model"},
    {"weights", "model"},
    {"model_path", "model"},
    {"cfg", "config"},
    {"batch", "clips"},
    {"batch_size", "clips"},
    {"b", "clips"},
    {"workers", "threads"},
    {"num_workers", "threads"},
    {"num_threads", "threads"},
    {"jobs", "threads"},
    {"j", "threads"},
    {"dtype", "precision"},
    {"overwrite", "force"},
    {"print0", "null"},
};

/* Letters of other programs, by the name that they stand for there. */
static const char *long_name(const char *letter)
{
    return strcmp(letter, "e") == 0 ? "epochs" : strcmp(letter, "b") == 0 ? "batch" : letter;
}

static const char *other_name(const struct eq_command *command, const char *name)
{
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        if (strcmp(others[i].word, name) != 0)
            continue;
        for (const char *p = others[i].options; *p; p += strspn(p, " ")) {
            char option[32];
            size_t n = strcspn(p, " ");
            snprintf(option, sizeof option, "%.*s", (int)n, p);
            const struct eq_option_row *row = eq_option_named(command, option);
            if (row)
                return row->name;
            p += n;
        }
    }
    return NULL;
}

static const char *similar_name(const struct eq_command *command, const char *name)
{
    const char *names[EQ_MAX_OPTIONS];
    size_t n = 0;
    for (int i = 0; i < eq_option_count; i++)
        if (eq_option_offered(&eq_option_table[i], command))
            names[n++] = eq_option_table[i].name;
    return eq_nearest(name, names, n);
}

/* "--set train.epochs=3 or --set qat.epochs=3" */
static void suggest_settings(const struct eq_command *command, const char *name, bool exact, const char *value,
                             struct eq_str *out)
{
    const char *keys[4];
    size_t n = command->sections && (command->options & EQ_OPT_SETTINGS)
                   ? eq_settings_near(name, command->sections, exact, keys, sizeof keys / sizeof *keys)
                   : 0;
    for (size_t i = 0; i < n; i++)
        eq_str_add(out, "%s--set %s=%.40s", i ? " or " : "; did you mean ", keys[i], value);
    if (n)
        eq_str_add(out, "?");
}

enum eq_status eq_option_unknown(const struct eq_command *command, const char *word, const char *next,
                                 struct eq_err *err)
{
    bool is_long = strncmp(word, "--", 2) == 0;
    const char *text = word + (is_long ? 2 : 1), *equals = strchr(text, '=');
    const char *value = equals ? equals + 1 : next && next[0] != '-' ? next : "VALUE";
    char name[64];
    struct eq_str hint = {0};
    const char *meant = is_long ? text : long_name(text);
    snprintf(name, sizeof name, "%.*s", (int)strcspn(meant, "="), meant);
    for (char *p = name; *p; p++)
        *p = *p == '-' ? '_' : *p;
    const char *option = other_name(command, name);
    bool device = strcmp(name, "device") == 0 || strcmp(name, "gpu") == 0 || strcmp(name, "cuda") == 0 ||
                  strcmp(name, "opencl") == 0;
    if (device && eq_option_named(command, "device"))
        eq_str_add(&hint, "; did you mean --device %s?", name);
    else if (device)
        eq_str_add(&hint, "; this command runs on the CPU. predict, eval, and bench have --device");
    else if (!option && strlen(name) > 1)
        suggest_settings(command, name, true, value, &hint);
    if (!hint.len && !option && strlen(name) > 1)
        option = similar_name(command, name);
    if (!hint.len && option)
        eq_str_add(&hint, "; did you mean --%s?", option);
    if (!hint.len && strlen(name) > 1)
        suggest_settings(command, name, false, value, &hint);
    if (!hint.len)
        eq_str_add(&hint, " (`echoquant %s -h` lists them)", command->name);
    eq_fail(err, EQ_USAGE, "%.60s: no such option for %s%s", word, command->name, hint.s);
    eq_str_clear(&hint);
    return EQ_USAGE;
}
