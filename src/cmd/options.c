#include "cmd/option_table.h"

#include <getopt.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define FIELD(name) offsetof(struct eq_options, name)
#define SETTING EQ_OPTION_SETTING
#define TEXT EQ_OPTION_TEXT
#define FLAG EQ_OPTION_FLAG
/* clang-format off */
const struct eq_option_row eq_option_table[] = {
    {"config", 'c', "FILE", EQ_OPT_SETTINGS, EQ_OPTION_CONFIG, 0, NULL,
     "read settings from a JSON file; repeatable, later ones win"},
    {"set", 's', "KEY=VALUE", EQ_OPT_SETTINGS, EQ_OPTION_SET, 0, NULL,
     "set one setting, e.g. --set data.frames=8; repeatable"},
    {"run", 'r', "DIR", EQ_OPT_RUN, SETTING, 0, "run.dir", "run directory (run.dir)"},
    {"data", 'd', "DIR", EQ_OPT_DATA, SETTING, FIELD(bench.with_data), "data.dir",
     "data folder (data.dir, with data.synthetic=false)"},
    {"seed", 0, "N", EQ_OPT_SEED, SETTING, 0, "run.seed", "seed of everything random (run.seed)"},
    {"model", 'm', "FILE", EQ_OPT_MODEL, TEXT, FIELD(model), NULL, "model file (.safetensors)"},
    {"name", 'n', "NAME", EQ_OPT_NAME, TEXT, FIELD(name), NULL,
     "name of the model of --model in results.json and predictions/"},
    {"onnx", 'o', "FILE", EQ_OPT_ONNX, TEXT, FIELD(onnx), NULL, "the ONNX file to write"},
    {"opset", 0, "N", EQ_OPT_ONNX, TEXT, FIELD(opset), NULL, "version of the ONNX operators, 17 to 21 (17)"},
    {"residual", 0, "KIND", EQ_OPT_ONNX, TEXT, FIELD(residual), NULL,
     "INT8: how convolutions enter residual sums, float or u8 (float)"},
    {"threads", 't', "N", EQ_OPT_COMPUTE, SETTING, 0, "run.threads",
     "threads, 0: all (run.threads); never changes a result"},
    {"cpu", 0, "LEVEL", EQ_OPT_COMPUTE, SETTING, 0, "run.cpu", "highest instruction set to use (run.cpu)"},
    {"precision", 0, "P", EQ_OPT_PRECISION, SETTING, 0, "run.precision",
     "fp32 or bf16: convolutions of an FP32 model (run.precision)"},
    {"phases", 0, "P", EQ_OPT_PHASES, SETTING, 0, "eval.phases",
     "phases of a clip whose EFs are averaged (eval.phases)"},
    {"fresh", 0, "KIND", EQ_OPT_BENCH, TEXT, FIELD(fresh), NULL,
     "use a fresh network instead of a file, fp32 or int8; its EFs are meaningless"},
    {"frames", 0, "N", EQ_OPT_BENCH, SETTING, FIELD(bench.frames_given), "data.frames",
     "frames of a clip (data.frames; with --model: the file's)"},
    {"size", 0, "N", EQ_OPT_BENCH, SETTING, FIELD(bench.size_given), "data.size",
     "side of a frame (data.size; with --model: the file's)"},
    {"layers", 0, NULL, EQ_OPT_BENCH, FLAG, FIELD(bench.layers), NULL,
     "every layer with every kernel that this CPU has for it"},
    {"layer", 0, "TEXT", EQ_OPT_BENCH, TEXT, FIELD(bench.layer), NULL, "--layers: only those with TEXT in their name"},
    {"kernel", 0, "TEXT", EQ_OPT_BENCH, TEXT, FIELD(bench.kernel), NULL,
     "--layers: only kernels with TEXT in their name"},
    {"train", 0, NULL, EQ_OPT_BENCH, FLAG, FIELD(bench.train), NULL, "measure a training step instead of inference"},
    {"clips", 0, "N", EQ_OPT_BENCH, SETTING, FIELD(clips_given), "train.batch",
     "--train: clips of a step (train.batch)"},
    {"qat", 0, NULL, EQ_OPT_BENCH, FLAG, FIELD(bench.qat), NULL,
     "--train: a step of QAT (qat.method, qat.weight_bits), alternately with FP32"},
    {"force", 'f', NULL, EQ_OPT_FORCE, FLAG, FIELD(force), NULL, "redo what the run directory already has"},
    {"control", 0, NULL, EQ_OPT_CONTROL, FLAG, FIELD(control), NULL, "train the FP32 control (FP32+) instead"},
    {"json", 'j', NULL, EQ_OPT_JSON, FLAG, FIELD(json), NULL, "print JSON on stdout"},
    {"quiet", 'q', NULL, 0, EQ_OPTION_QUIET, 0, NULL, "only warnings and errors on stderr"},
    {"verbose", 'v', NULL, 0, EQ_OPTION_VERBOSE, 0, NULL, "more on stderr"},
    {"help", 'h', NULL, 0, FLAG, FIELD(help), NULL, "print this help"},
};
/* clang-format on */
const int eq_option_count = sizeof eq_option_table / sizeof *eq_option_table;
_Static_assert(sizeof eq_option_table / sizeof *eq_option_table <= EQ_MAX_OPTIONS, "EQ_MAX_OPTIONS is too small");

bool eq_option_offered(const struct eq_option_row *row, const struct eq_command *command)
{
    return row->bit == 0 || (command->options & row->bit);
}

/* ---- --help -------------------------------------------------------------- */

int eq_help_width(void)
{
    struct winsize size;
    if (!isatty(STDOUT_FILENO) || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0)
        return 80;
    return size.ws_col < 100 ? size.ws_col : 100;
}

static void print_help(const struct eq_command *spec)
{
    struct eq_str out = {0};
    int width = eq_help_width();
    eq_str_add(&out, "usage: echoquant %s [options]%s%s\n\n", spec->name, spec->arguments[0] ? " " : "",
               spec->arguments);
    eq_str_add_wrapped(&out, spec->about, 0, width);
    eq_str_add(&out, "\nOptions:\n");
    for (int i = 0; i < eq_option_count; i++) {
        const struct eq_option_row *row = &eq_option_table[i];
        char left[48], letter[8] = "    ";
        if (!eq_option_offered(row, spec))
            continue;
        if (row->letter)
            snprintf(letter, sizeof letter, "-%c, ", row->letter);
        snprintf(left, sizeof left, "%s--%s%s%s", letter, row->name, row->argument ? " " : "",
                 row->argument ? row->argument : "");
        eq_str_add(&out, "  %-20s  ", left);
        eq_str_add_wrapped(&out, row->help, 24, width);
    }
    if (spec->sections) {
        eq_str_add(&out, "\nSettings it reads, with their defaults:\n");
        eq_settings_help(spec->sections, width, &out);
    }
    fputs(out.s, stdout);
    eq_str_clear(&out);
}

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
    case SETTING:
        if (row->field)
            *(bool *)field = true;
        __attribute__((fallthrough));
    case EQ_OPTION_SET:
        if (r->n_sets == MAX_SETS)
            return eq_fail(err, EQ_USAGE, "more than %d settings on the command line; use --config", MAX_SETS);
        r->sets[r->n_sets].row = row;
        r->sets[r->n_sets++].text = value;
        break;
    case TEXT:
        *(const char **)field = value;
        break;
    case FLAG:
        *(bool *)field = true;
        break;
    case EQ_OPTION_CONFIG:
        if (r->n_configs == MAX_CONFIGS)
            return eq_fail(err, EQ_USAGE, "too many --config files");
        r->configs[r->n_configs++] = value;
        break;
    case EQ_OPTION_QUIET:
        r->level = EQ_LOG_WARN;
        break;
    case EQ_OPTION_VERBOSE:
        r->level = EQ_LOG_DEBUG;
        break;
    }
    return EQ_OK;
}

static enum eq_status unknown_option(const struct eq_command *spec, const char *word, struct eq_err *err)
{
    const char *names[EQ_MAX_OPTIONS], *near = NULL;
    size_t n = 0;
    for (int i = 0; i < eq_option_count; i++)
        if (eq_option_offered(&eq_option_table[i], spec))
            names[n++] = eq_option_table[i].name;
    if (strncmp(word, "--", 2) == 0) {
        char name[64];
        snprintf(name, sizeof name, "%.*s", (int)strcspn(word + 2, "="), word + 2);
        near = eq_nearest(name, names, n);
    }
    return eq_fail(err, EQ_USAGE, "%s: no such option for %s%s%s%s", word, spec->name, near ? "; did you mean --" : "",
                   near ? near : "", near ? "?" : "");
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

static const struct eq_option_row *row_of(int code)
{
    for (int i = 0; i < eq_option_count; i++)
        if (code == 256 + i || (code < 256 && code == eq_option_table[i].letter))
            return &eq_option_table[i];
    return NULL;
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
        return eq_fail(err, EQ_USAGE, "%s: unexpected argument \"%s\"; %s takes %s%s", spec->name,
                       o->args[spec->max_args], spec->name, spec->max_args ? "at most " : "no arguments",
                       spec->max_args ? spec->arguments : " besides its options");
    return EQ_OK;
}

/* ---- settings ------------------------------------------------------------ */

static enum eq_status apply_sets(struct eq_settings *s, const struct request *r, struct eq_err *err)
{
    for (int i = 0; i < r->n_sets; i++) {
        const struct eq_option_row *row = r->sets[i].row;
        const char *text = r->sets[i].text, *equals = strchr(text, '=');
        char key[128], origin[32];
        if (!row->setting && (!equals || equals == text))
            return eq_fail(err, EQ_USAGE, "--set %s: write KEY=VALUE, e.g. --set data.frames=8", text);
        snprintf(key, sizeof key, "%.*s", row->setting ? (int)sizeof key : (int)(equals - text),
                 row->setting ? row->setting : text);
        snprintf(origin, sizeof origin, "--%s", row->name);
        EQ_CHECK(eq_settings_set(s, key, row->setting ? text : equals + 1, origin, err));
        if (row->field == FIELD(bench.with_data))
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
    if (eq_cpu_set_ceiling(o->settings.config.run.cpu, err) != EQ_OK)
        return eq_fail(err, EQ_USAGE, "run.cpu: %s", err->msg);
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
        print_help(spec);
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
