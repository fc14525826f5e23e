/* From argv to options and settings. */
#include "cmd/option_table.h"

#include <getopt.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* ---- reading argv -------------------------------------------------------- */

/* The requests of argv before any is carried out: files come first, then single values in their order. */
enum { MAX_CONFIGS = 32, MAX_SETS = 256 };
struct request {
    const char *configs[MAX_CONFIGS];
    int n_configs;
    struct {
        const struct eq_option_row *row;
        const char *text; /* a value; KEY=VALUE of --set */
    } sets[MAX_SETS];
    int n_sets;
    enum eq_log_level level;
};

static enum eq_status take(struct eq_options *o, struct request *r, const struct eq_option_row *row, const char *value,
                           struct eq_err *err)
{
    void *field = (char *)o + row->field;
    switch (row->kind) {
    case EQ_OPTION_SETTING:
        if (row->field)
            *(bool *)field = true;
        __attribute__((fallthrough));
    case EQ_OPTION_SET:
        if (r->n_sets == MAX_SETS)
            return eq_fail(err, EQ_USAGE, "more than %d settings on the command line; use --config", MAX_SETS);
        r->sets[r->n_sets].row = row;
        r->sets[r->n_sets++].text = value;
        break;
    case EQ_OPTION_TEXT:
        *(const char **)field = value;
        break;
    case EQ_OPTION_FLAG:
        *(bool *)field = true;
        break;
    case EQ_OPTION_CONFIG:
        if (r->n_configs == MAX_CONFIGS)
            return eq_fail(err, EQ_USAGE, "too many --config files: combine some of them");
        r->configs[r->n_configs++] = value;
        break;
    case EQ_OPTION_QUIET:
        r->level = EQ_LOG_WARN;
        break;
    case EQ_OPTION_VERBOSE:
        r->level = EQ_LOG_DEBUG;
        break;
    case EQ_OPTION_HELP:
        break; /* the caller knows in which form it came */
    }
    return EQ_OK;
}

static void fill_getopt(const struct eq_command *spec, struct option longs[EQ_MAX_OPTIONS + 1], char *shorts)
{
    int n = 0;
    *shorts++ = ':'; /* getopt then distinguishes a missing argument from an unknown option */
    for (int i = 0; i < eq_option_count; i++) {
        const struct eq_option_row *row = &eq_option_table[i];
        if (!eq_option_offered(row, spec))
            continue;
        longs[n++] = (struct option){row->name, row->argument ? required_argument : no_argument, NULL, 256 + i};
        if (row->letter) {
            *shorts++ = row->letter;
            if (row->argument)
                *shorts++ = ':';
        }
    }
    longs[n] = (struct option){NULL, 0, NULL, 0};
    *shorts = '\0';
}

static bool has_run(const struct request *r)
{
    for (int i = 0; i < r->n_sets; i++)
        if (r->sets[i].row->setting && strcmp(r->sets[i].row->setting, "run.dir") == 0)
            return true;
    return false;
}

/* "run.dir" for --run, where a command takes the folder or file without the option, too. */
static enum eq_status take_argument(struct eq_options *o, struct request *r, const struct eq_command *spec,
                                    const char *text, bool *taken, struct eq_err *err)
{
    bool folder, takes_names = spec->max_args && !(spec->accepts & EQ_ARG_OTHER_RUN);
    EQ_CHECK(eq_dir_look(text, &folder, err));
    bool word = takes_names && eq_run_model_named(text); /* the name of a row is no path */
    size_t len = strlen(text);
    bool file = !folder && (strchr(text, '/') || eq_path_may_exist(text) ||
                            (len > 12 && strcmp(text + len - 12, ".safetensors") == 0));
    unsigned kinds = spec->accepts & (EQ_ARG_RUN | EQ_ARG_MODEL);
    *taken = true;
    if ((kinds & EQ_ARG_RUN) && !word && (folder || kinds == EQ_ARG_RUN)) {
        *taken = !(spec->accepts & EQ_ARG_OTHER_RUN) || !has_run(r);
        for (int i = 0; i < r->n_sets && *taken; i++)
            if (r->sets[i].row->setting && strcmp(r->sets[i].row->setting, "run.dir") == 0 &&
                strcmp(r->sets[i].text, text) != 0)
                return eq_fail(err, EQ_USAGE, "%s and --run %s: name one run directory", text, r->sets[i].text);
        return *taken ? take(o, r, eq_option_named(spec, "run"), text, err) : EQ_OK;
    }
    if ((spec->accepts & EQ_ARG_MODEL) && !word && (file || kinds == EQ_ARG_MODEL)) {
        if (o->model && strcmp(o->model, text) != 0)
            return eq_fail(err, EQ_USAGE, "%s and %s: %s accepts only one model file", o->model, text, spec->name);
        o->model = text;
        return EQ_OK;
    }
    *taken = false;
    return EQ_OK;
}

static enum eq_status take_arguments(struct eq_options *o, struct request *r, const struct eq_command *spec,
                                     struct eq_err *err)
{
    int kept = 0;
    for (int i = 0; i < o->n_args; i++) {
        bool taken = false;
        if (spec->accepts)
            EQ_CHECK(take_argument(o, r, spec, o->args[i], &taken, err));
        if (!taken)
            o->args[kept++] = o->args[i];
    }
    o->n_args = kept;
    return EQ_OK;
}

static enum eq_status read_argv(struct eq_options *o, struct request *r, const struct eq_command *spec, int argc,
                                char **argv, struct eq_err *err)
{
    struct option longs[EQ_MAX_OPTIONS + 1];
    char shorts[2 * EQ_MAX_OPTIONS + 2], letter[3] = "-?";
    fill_getopt(spec, longs, shorts);
    opterr = 0;
    optind = 1;
    for (;;) {
        int code = getopt_long(argc, argv, shorts, longs, NULL);
        if (code == -1)
            break;
        letter[1] = (char)optopt;
        const char *word = optopt > 0 && optopt < 256 ? letter : argv[optind - 1];
        if (code == ':')
            return eq_fail(err, EQ_USAGE, "%s needs an argument", word);
        if (code == '?')
            return eq_option_unknown(spec, word, argv[optind], err);
        const struct eq_option_row *row =
            code >= 256 ? &eq_option_table[code - 256] : eq_option_lettered(spec, (char)code);
        if (row->kind == EQ_OPTION_HELP)
            o->help = code >= 256 ? EQ_HELP_WHOLE : EQ_HELP_SHORT;
        EQ_CHECK(take(o, r, row, optarg, err));
    }
    o->args = argv + optind;
    o->n_args = argc - optind;
    if (o->help)
        return EQ_OK;
    EQ_CHECK(take_arguments(o, r, spec, err));
    if (o->n_args < spec->min_args)
        return eq_fail(err, EQ_USAGE, "%s needs %s", spec->name, spec->arguments);
    if (o->n_args > spec->max_args)
        return eq_fail(err, EQ_USAGE, "%s: unexpected argument \"%s\"; %s accepts %s%s", spec->name,
                       o->args[spec->max_args], spec->name, spec->max_args ? "at most " : "no arguments",
                       spec->max_args ? spec->arguments : " besides its options");
    return EQ_OK;
}

/* ---- settings ------------------------------------------------------------ */

/* The n bytes of text without the blanks around them. */
static char *trimmed(const char *text, size_t n)
{
    while (n && (*text == ' ' || *text == '\t'))
        text++, n--;
    while (n && (text[n - 1] == ' ' || text[n - 1] == '\t'))
        n--;
    return eq_format("%.*s", (int)n, text);
}

/* KEY=VALUE, with blanks around either. */
static enum eq_status apply_set(struct eq_settings *s, const char *text, const char *origin, struct eq_err *err)
{
    const char *equals = strchr(text, '=');
    if (!equals || equals == text)
        return eq_fail(err, EQ_USAGE, "--set %s: write KEY=VALUE, e.g. --set data.frames=8", text);
    char *key = trimmed(text, (size_t)(equals - text)), *value = trimmed(equals + 1, strlen(equals + 1));
    enum eq_status st = eq_settings_set(s, key, value, origin, err);
    free(key);
    free(value);
    return st;
}

static enum eq_status apply_sets(struct eq_settings *s, const struct request *r, struct eq_err *err)
{
    for (int i = 0; i < r->n_sets; i++) {
        const struct eq_option_row *row = r->sets[i].row;
        char origin[32];
        snprintf(origin, sizeof origin, "--%s", row->name);
        EQ_CHECK(row->setting ? eq_settings_set(s, row->setting, r->sets[i].text, origin, err)
                              : apply_set(s, r->sets[i].text, origin, err));
        if (row->field == offsetof(struct eq_options, bench.with_data))
            EQ_CHECK(eq_settings_set(s, "data.synthetic", "false", origin, err));
    }
    return EQ_OK;
}

/* The settings in the run directory of a command, if it has some, are the base for all others. */
static enum eq_status apply_run_config(struct eq_settings *s, const struct eq_command *spec, const struct request *r,
                                       struct eq_err *err)
{
    struct eq_settings peek = {0};
    bool found;
    enum eq_status st = EQ_OK;
    if (!(spec->options & EQ_OPT_RUN) || r->n_configs)
        return EQ_OK;
    EQ_TRY(eq_settings_init(&peek, err));
    EQ_TRY(apply_sets(&peek, r, err)); /* --run or --set run.dir */
    EQ_TRY(eq_settings_load_run(s, peek.config.run.dir, &found, err));
    if (found)
        eq_debug("settings of %s/config.json", peek.config.run.dir);
out:
    if (peek.origin)
        eq_settings_clear(&peek);
    return st;
}

/* A device that is asked for where it can do nothing must not look as if it worked. */
static void warn_of_device(const struct eq_settings *s, const struct eq_command *spec, const struct request *r)
{
    bool reads = (spec->options & EQ_OPT_DEVICE) || strcmp(spec->name, "run-all") == 0, asked = false;
    for (int i = 0; i < r->n_sets; i++)
        asked |= !r->sets[i].row->setting && strncmp(r->sets[i].text, "run.device", strlen("run.device")) == 0;
    if (asked && !reads && strcmp(s->config.run.device, "cpu") != 0)
        eq_warn("run.device = %s changes nothing here: %s runs on the CPU", s->config.run.device, spec->name);
}

static enum eq_status resolve(struct eq_options *o, const struct eq_command *spec, const struct request *r,
                              struct eq_err *err)
{
    EQ_CHECK(eq_settings_init(&o->settings, err));
    EQ_CHECK(apply_run_config(&o->settings, spec, r, err));
    for (int i = 0; i < r->n_configs; i++) {
        char *path = eq_shared_file(r->configs[i], "configs", ".json");
        enum eq_status st = eq_settings_load(&o->settings, path, err);
        free(path);
        EQ_CHECK(st);
    }
    EQ_CHECK(apply_sets(&o->settings, r, err));
    EQ_CHECK(eq_settings_check(&o->settings, err));
    EQ_CHECK(eq_run_devices_check(&o->settings.config, err));
    warn_of_device(&o->settings, spec, r);
    if (eq_cpu_set_ceiling(o->settings.config.run.cpu, err) != EQ_OK)
        return eq_fail(err, EQ_USAGE, "run.cpu: %s", err->msg);
    eq_clip_limit(&(struct eq_clip_limits){.megapixels = o->settings.config.data.max_clip_pixels,
                                           .seconds = o->settings.config.data.clip_seconds});
    return eq_parallel_init(o->settings.config.run.threads, err);
}

enum eq_status eq_options_init(struct eq_options *o, const struct eq_command *spec, int argc, char **argv,
                               struct eq_err *err)
{
    struct request r = {.level = EQ_LOG_INFO};
    *o = (struct eq_options){.bench = {.layer = "", .kernel = ""}};
    EQ_CHECK(read_argv(o, &r, spec, argc, argv, err));
    eq_log_configure(r.level);
    if (o->help) {
        struct eq_str text = {0};
        eq_command_help(spec, o->help == EQ_HELP_WHOLE, eq_help_width(), &text);
        eq_print_text(text.s);
        eq_str_clear(&text);
        return EQ_OK;
    }
    if (o->model)
        o->model = o->model_path = eq_shared_file(o->model, "models", ".safetensors");
    EQ_CHECK(resolve(o, spec, &r, err));
    o->bench.model = o->model;
    o->bench.fresh_int8 = o->fresh && strcmp(o->fresh, "int8") == 0;
    return EQ_OK;
}

void eq_options_clear(struct eq_options *o)
{
    if (o->settings.origin)
        eq_settings_clear(&o->settings);
    free(o->model_path);
    memset(o, 0, sizeof *o);
}
