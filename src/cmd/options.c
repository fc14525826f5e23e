#include "cmd/options.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

struct option_row {
    const char *name;
    char letter; /* 0: none */
    const char *argument;
    unsigned bit; /* 0: every command has it */
    const char *setting;
    const char *help;
};

/* With a setting behind it, an option is a short form of --set. */
static const struct option_row option_table[] = {
    {"config", 'c', "FILE", EQ_OPT_SETTINGS, NULL, "read settings from a JSON file; repeatable, later ones win"},
    {"set", 's', "KEY=VALUE", EQ_OPT_SETTINGS, NULL, "change one setting, e.g. --set data.frames=8; repeatable"},
    {"run", 'r', "DIR", EQ_OPT_RUN, "run.dir", "run directory (run.dir)"},
    {"data", 'd', "DIR", EQ_OPT_DATA, "data.dir", "data folder (data.dir, with data.synthetic=false)"},
    {"seed", 0, "N", EQ_OPT_SEED, "run.seed", "seed of everything random (run.seed)"},
    {"model", 'm', "FILE", EQ_OPT_MODEL, NULL, "model file (.safetensors)"},
    {"name", 'n', "NAME", EQ_OPT_NAME, NULL, "what results.json and predictions/ call the model of --model"},
    {"onnx", 'o', "FILE", EQ_OPT_ONNX, NULL, "the ONNX file to write"},
    {"opset", 0, "N", EQ_OPT_ONNX, NULL, "version of ONNX's operators, 17 to 21 (17)"},
    {"residual", 0, "KIND", EQ_OPT_ONNX, NULL, "INT8: how convolutions enter residual sums, float or u8 (float)"},
    {"threads", 't', "N", EQ_OPT_COMPUTE, "run.threads", "threads, 0: all (run.threads); never changes a result"},
    {"cpu", 0, "LEVEL", EQ_OPT_COMPUTE, "run.cpu", "highest instruction set to use (run.cpu)"},
    {"precision", 0, "P", EQ_OPT_PRECISION, "run.precision",
     "fp32 or bf16: convolutions of an FP32 model (run.precision)"},
    {"phases", 0, "P", EQ_OPT_PHASES, "eval.phases", "phases of a clip whose EFs are averaged (eval.phases)"},
    {"fresh", 0, "KIND", EQ_OPT_BENCH, NULL,
     "a fresh network instead of a file, fp32 or int8; its errors mean nothing"},
    {"frames", 0, "N", EQ_OPT_BENCH, "data.frames", "frames of a clip (data.frames; with --model: the file's)"},
    {"size", 0, "N", EQ_OPT_BENCH, "data.size", "side of a frame (data.size; with --model: the file's)"},
    {"layers", 0, NULL, EQ_OPT_BENCH, NULL, "every layer with every kernel that this CPU has for it"},
    {"layer", 0, "TEXT", EQ_OPT_BENCH, NULL, "--layers: only those whose name holds TEXT"},
    {"kernel", 0, "TEXT", EQ_OPT_BENCH, NULL, "--layers: only kernels whose name holds TEXT"},
    {"train", 0, NULL, EQ_OPT_BENCH, NULL, "a training step instead of an inference"},
    {"clips", 0, "N", EQ_OPT_BENCH, "train.batch", "--train: clips of a step (train.batch)"},
    {"qat", 0, NULL, EQ_OPT_BENCH, NULL, "--train: a step of QAT (qat.method, qat.weight_bits), by turns with FP32's"},
    {"force", 'f', NULL, EQ_OPT_FORCE, NULL, "make anew what the run directory holds already"},
    {"control", 0, NULL, EQ_OPT_CONTROL, NULL, "train the FP32 control (FP32+) instead"},
    {"json", 'j', NULL, EQ_OPT_JSON, NULL, "print JSON on stdout"},
    {"quiet", 'q', NULL, 0, NULL, "only warnings and errors on stderr"},
    {"verbose", 'v', NULL, 0, NULL, "more on stderr"},
    {"help", 'h', NULL, 0, NULL, "this text"},
};
enum { N_OPTIONS = sizeof option_table / sizeof *option_table };

static bool offered(const struct option_row *row, const struct eq_command_spec *spec)
{
    return row->bit == 0 || (spec->options & row->bit);
}

/* ---- --help -------------------------------------------------------------- */

static void print_help(const struct eq_command_spec *spec)
{
    struct eq_str out = {0};
    eq_str_add(&out, "usage: echoquant %s [options]%s%s\n\n%s\nOptions:\n", spec->name, spec->arguments[0] ? " " : "",
               spec->arguments, spec->about);
    for (int i = 0; i < N_OPTIONS; i++) {
        const struct option_row *row = &option_table[i];
        char left[48], letter[8] = "    ";
        if (!offered(row, spec))
            continue;
        if (row->letter)
            snprintf(letter, sizeof letter, "-%c, ", row->letter);
        snprintf(left, sizeof left, "%s--%s%s%s", letter, row->name, row->argument ? " " : "",
                 row->argument ? row->argument : "");
        eq_str_add(&out, "  %-24s  %s\n", left, row->help);
    }
    if (spec->sections) {
        eq_str_add(&out, "\nSettings it reads, with their defaults:\n");
        eq_settings_help(spec->sections, &out);
    }
    fputs(out.s, stdout);
    eq_str_clear(&out);
}

/* ---- reading argv -------------------------------------------------------- */

/* What argv asks for, before any of it is done: files come first, then single values in their order. */
struct request {
    const char *configs[32];
    int n_configs;
    struct {
        const char *key, *value, *origin;
        size_t key_len;
    } sets[256];
    int n_sets;
    enum eq_log_level level;
};

static enum eq_status add_set(struct request *r, const char *key, size_t key_len, const char *value, const char *origin,
                              struct eq_err *err)
{
    size_t cap = sizeof r->sets / sizeof *r->sets;
    if ((size_t)r->n_sets == cap)
        return eq_fail(err, EQ_USAGE, "more than %zu settings on the command line; use --config", cap);
    r->sets[r->n_sets].key = key;
    r->sets[r->n_sets].key_len = key_len;
    r->sets[r->n_sets].value = value;
    r->sets[r->n_sets++].origin = origin;
    return EQ_OK;
}

static enum eq_status take_set(struct request *r, const char *text, struct eq_err *err)
{
    const char *equals = strchr(text, '=');
    if (!equals || equals == text)
        return eq_fail(err, EQ_USAGE, "--set %s: write KEY=VALUE, e.g. --set data.frames=8", text);
    return add_set(r, text, (size_t)(equals - text), equals + 1, "--set", err);
}

static enum eq_status take_short_form(struct request *r, const struct option_row *row, const char *value,
                                      struct eq_err *err)
{
    static const char *const origins[] = {"--run",       "--data",   "--seed",   "--threads", "--cpu",
                                          "--precision", "--phases", "--frames", "--size",    "--clips"};
    const char *origin = "--set";
    for (size_t i = 0; i < sizeof origins / sizeof *origins; i++)
        if (strcmp(origins[i] + 2, row->name) == 0)
            origin = origins[i];
    enum eq_status st = add_set(r, row->setting, strlen(row->setting), value, origin, err);
    if (st == EQ_OK && strcmp(row->name, "data") == 0)
        st = add_set(r, "data.synthetic", strlen("data.synthetic"), "false", origin, err);
    return st;
}

/* For settings that mean something else when they were asked for in this call. */
static void note_given(struct eq_options *o, const char *name)
{
    o->data_given = o->data_given || strcmp(name, "data") == 0;
    o->clips_given = o->clips_given || strcmp(name, "clips") == 0;
    o->frames_given = o->frames_given || strcmp(name, "frames") == 0;
    o->size_given = o->size_given || strcmp(name, "size") == 0;
}

/* Options that are just kept. */
static void take_field(struct eq_options *o, const char *name, const char *value)
{
    const struct {
        const char *name, **text;
        bool *flag;
    } fields[] = {
        {"model", &o->model, NULL},       {"name", &o->name, NULL},     {"onnx", &o->onnx, NULL},
        {"opset", &o->opset, NULL},       {"fresh", &o->fresh, NULL},   {"layer", &o->layer, NULL},
        {"residual", &o->residual, NULL}, {"kernel", &o->kernel, NULL}, {"layers", NULL, &o->layers},
        {"train", NULL, &o->train},       {"qat", NULL, &o->qat},       {"force", NULL, &o->force},
        {"control", NULL, &o->control},   {"json", NULL, &o->json},     {"help", NULL, &o->help},
    };
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        if (strcmp(fields[i].name, name) == 0) {
            if (fields[i].text)
                *fields[i].text = value;
            else
                *fields[i].flag = true;
        }
}

static enum eq_status take(struct eq_options *o, struct request *r, const struct option_row *row, const char *value,
                           struct eq_err *err)
{
    note_given(o, row->name);
    if (row->setting)
        return take_short_form(r, row, value, err);
    if (strcmp(row->name, "set") == 0)
        return take_set(r, value, err);
    if (strcmp(row->name, "config") == 0) {
        if ((size_t)r->n_configs == sizeof r->configs / sizeof *r->configs)
            return eq_fail(err, EQ_USAGE, "too many --config files");
        r->configs[r->n_configs++] = value;
    } else if (strcmp(row->name, "quiet") == 0) {
        r->level = EQ_LOG_WARN;
    } else if (strcmp(row->name, "verbose") == 0) {
        r->level = EQ_LOG_DEBUG;
    } else {
        take_field(o, row->name, value);
    }
    return EQ_OK;
}

static enum eq_status unknown_option(const struct eq_command_spec *spec, const char *word, struct eq_err *err)
{
    const char *names[N_OPTIONS], *near = NULL;
    size_t n = 0;
    for (int i = 0; i < N_OPTIONS; i++)
        if (offered(&option_table[i], spec))
            names[n++] = option_table[i].name;
    if (strncmp(word, "--", 2) == 0) {
        char name[64];
        snprintf(name, sizeof name, "%.*s", (int)strcspn(word + 2, "="), word + 2);
        near = eq_nearest(name, names, n);
    }
    return eq_fail(err, EQ_USAGE, "%s: no such option for %s%s%s%s", word, spec->name, near ? "; did you mean --" : "",
                   near ? near : "", near ? "?" : "");
}

static void fill_getopt(const struct eq_command_spec *spec, struct option longs[N_OPTIONS + 1], char *shorts)
{
    int n = 0;
    *shorts++ = ':'; /* a missing argument is told apart from an unknown option */
    for (int i = 0; i < N_OPTIONS; i++) {
        const struct option_row *row = &option_table[i];
        if (!offered(row, spec))
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

static const struct option_row *row_of(int code)
{
    for (int i = 0; i < N_OPTIONS; i++)
        if (code == 256 + i || (code < 256 && code == option_table[i].letter))
            return &option_table[i];
    return NULL;
}

static enum eq_status read_argv(struct eq_options *o, struct request *r, const struct eq_command_spec *spec, int argc,
                                char **argv, struct eq_err *err)
{
    struct option longs[N_OPTIONS + 1];
    char shorts[2 * N_OPTIONS + 2], letter[3] = "-?";
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
            return unknown_option(spec, word, err);
        enum eq_status st = take(o, r, row_of(code), optarg, err);
        if (st != EQ_OK)
            return st;
    }
    o->args = argv + optind;
    o->n_args = argc - optind;
    if (o->help)
        return EQ_OK;
    if (o->n_args < spec->min_args)
        return eq_fail(err, EQ_USAGE, "%s needs %s", spec->name, spec->arguments);
    if (o->n_args > spec->max_args)
        return eq_fail(err, EQ_USAGE, "%s: what is \"%s\" for? %s takes %s%s", spec->name, o->args[spec->max_args],
                       spec->name, spec->max_args ? "at most " : "no arguments",
                       spec->max_args ? spec->arguments : " besides its options");
    return EQ_OK;
}

/* ---- settings ------------------------------------------------------------ */

static enum eq_status apply_sets(struct eq_settings *s, const struct request *r, struct eq_err *err)
{
    enum eq_status st = EQ_OK;
    for (int i = 0; i < r->n_sets && st == EQ_OK; i++) {
        char key[128];
        snprintf(key, sizeof key, "%.*s", (int)r->sets[i].key_len, r->sets[i].key);
        st = eq_settings_set(s, key, r->sets[i].value, r->sets[i].origin, err);
    }
    return st;
}

/* Where a command works on a run directory that has its settings, they are the ground that the others build on. */
static enum eq_status apply_run_config(struct eq_settings *s, const struct eq_command_spec *spec,
                                       const struct request *r, struct eq_err *err)
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

static enum eq_status resolve(struct eq_options *o, const struct eq_command_spec *spec, const struct request *r,
                              struct eq_err *err)
{
    enum eq_status st;
    EQ_TRY(eq_settings_init(&o->settings, err));
    EQ_TRY(apply_run_config(&o->settings, spec, r, err));
    for (int i = 0; i < r->n_configs; i++)
        EQ_TRY(eq_settings_load(&o->settings, r->configs[i], err));
    EQ_TRY(apply_sets(&o->settings, r, err));
    EQ_TRY(eq_settings_check(&o->settings, err));
    if (eq_cpu_set_ceiling(o->settings.config.run.cpu, err) != EQ_OK) {
        st = eq_fail(err, EQ_USAGE, "run.cpu: %s", err->msg);
        goto out;
    }
    EQ_TRY(eq_parallel_init(o->settings.config.run.threads, err));
out:
    return st;
}

enum eq_status eq_options_init(struct eq_options *o, const struct eq_command_spec *spec, int argc, char **argv,
                               struct eq_err *err)
{
    struct request r = {.level = EQ_LOG_INFO};
    enum eq_status st;
    memset(o, 0, sizeof *o);
    EQ_TRY(read_argv(o, &r, spec, argc, argv, err));
    eq_log_configure(r.level);
    if (o->help) {
        print_help(spec);
        return EQ_OK;
    }
    EQ_TRY(resolve(o, spec, &r, err));
out:
    if (st != EQ_OK)
        eq_options_clear(o);
    return st;
}

void eq_options_clear(struct eq_options *o)
{
    if (o->settings.origin)
        eq_settings_clear(&o->settings);
    memset(o, 0, sizeof *o);
}
