/*
 * settings: what was asked for. The table in src/settings/settings.c gives key, type, default, range and help of each
 * setting, and drives parsing, validation, --help and docs/CONFIG.md.
 */
#ifndef ECHOQUANT_SETTINGS_H
#define ECHOQUANT_SETTINGS_H

#include "echoquant/data.h"
#include "echoquant/model.h"
#include "echoquant/nn.h"
#include "echoquant/quant.h"

/* What PTQ and QAT do with a layer that has a channel of all-zero weights. */
enum eq_zero_channels { EQ_ZERO_CHANNELS_REFUSE, EQ_ZERO_CHANNELS_ALLOW };

enum { EQ_MAX_SEEDS = 1000 };
/* The default of data.dir. Synthetic clips are made on the way only here, or in a folder named EQ_SYNTHETIC_DIR "-...":
 * a mistyped name of a real data set must not become a synthetic one. */
#define EQ_SYNTHETIC_DIR "data/synthetic"
/* Experiments of several seeds on several processes: all share each one, or each process has its own. */
enum eq_dist_seeds { EQ_DIST_SEEDS_SHARED, EQ_DIST_SEEDS_RANKS };
enum eq_qat_start { EQ_QAT_START_AUTO, EQ_QAT_START_PTQ, EQ_QAT_START_CALIBRATE };

/* The settings of PTQ (section ptq), which decide what becomes of a baseline and calibration clips. */
struct eq_ptq_opts {
    enum eq_observer_kind observer;
    double percentile, averaging;
    int clips; /* for calibration */
    enum eq_weight_observer weight_observer;
    bool per_channel;
    int weight_bits;
    enum eq_arithmetic arithmetic;
    bool search;
    bool reestimate_bn, equalize, bias_correction, adaround;
    int adaround_steps;
    char *keep_fp32;     /* names of layers, separated by commas */
    double max_mae_loss; /* EF points on the validation split; 0: off */
    enum eq_zero_channels zero_channels;
};

/* One field for each setting. Strings are owned by the eq_settings around it. */
struct eq_config {
    struct {
        char *dir; /* EchoNet folder, or one for synthetic clips (EQ_SYNTHETIC_DIR) */
        enum eq_digest_of digest;
        bool synthetic;
        int frames, size;
        int split_seed;
        enum eq_on_error on_error;
        enum eq_ef_unit ef_unit;
        char *patient_column;         /* "auto", "none" or a name */
        char *val_folds, *test_folds; /* values of the column Split, separated by commas */
        int workers;                  /* threads that decode; 0: by the number of threads */
        int cache_mb;                 /* memory for sampled clips */
        char *cache_dir;              /* folder for sampled clips; "": none */
        double cache_gb;              /* its limit */
        double max_clip_pixels;       /* megapixels of all frames of a clip */
        double clip_seconds;          /* CPU time for decoding one */
        enum eq_links links;
    } data;
    struct {
        int train, val, test, seed; /* clips of the synthetic set */
    } synth;
    struct {
        char *init; /* safetensors file to start from; "": none */
        int width;
    } model;
    struct {
        int epochs, batch, accumulate;
        enum eq_optim_kind optimizer;
        double lr, weight_decay, momentum;
        enum eq_schedule schedule;
        double warmup; /* epochs */
        enum eq_loss loss;
        bool flip;
        int shift;
        bool random_phase;
        enum eq_precision precision;
        double grad_clip; /* 0: off */
        double ema;       /* decay, 0: off */
        int patience;     /* epochs without a better validation MAE, 0: off */
        int seeds;        /* run-all: whole experiments, with run.seed, run.seed + 1, ... */
    } train;
    struct eq_ptq_opts ptq;
    struct {
        int epochs, batch, accumulate;
        double lr, weight_decay;
        enum eq_qat_method method;
        int weight_bits;
        enum eq_arithmetic arithmetic;
        double scale_lr; /* LSQ */
        double distill;  /* weight of the distillation term; 0: off */
        enum eq_qat_start start;
        int freeze_bn_epoch, freeze_observer_epoch; /* 1-based: frozen from the start of this epoch; 0: never */
        bool control;                               /* run-all also trains the row FP32+ */
    } qat;
    struct {
        int phases;    /* samplings of a clip to average, in eval and predict */
        char *devices; /* names of device.h, or "auto" for a GPU if there is one, separated by commas */
    } eval;
    struct {
        int clips;
        enum eq_split split;
    } sensitivity;
    struct {
        int warmup, repeats, steps;
        double seconds; /* 0: no limit */
        bool scaling, gray;
        double layer_ms;
    } bench;
    struct {
        double margin; /* EF points of MAE */
        int replicates;
        int strips; /* clips that quantization moved most, as film strips; 0: no film strips at all */
    } report;
    struct {
        double timeout; /* s */
        enum eq_dist_seeds seeds;
    } dist;
    struct {
        char *dir; /* run directory */
        int seed;
        int threads;                 /* 0: all */
        char *cpu;                   /* "auto" or an ISA level */
        char *device;                /* a name of device.h: where predict, bench, and eval compute EFs */
        enum eq_precision precision; /* convolutions of FP32 models in inference */
    } run;
};
struct eq_settings {
    struct eq_config config;
    char **origin; /* owned, by row of the table: where the value came from: "default", "configs/x.json", "--set" */
};

/* Sets all defaults. EQ_NOMEM leaves s empty. Clear it with eq_settings_clear. */
enum eq_status eq_settings_init(struct eq_settings *s, struct eq_err *err);
void eq_settings_clear(struct eq_settings *s);
/* The settings of experiment i of train.seeds, i in 0..seeds-1: run.dir is <run.dir>/seed-<run.seed + i>. */
enum eq_status eq_settings_of_seed(struct eq_settings *out, const struct eq_settings *s, int i, struct eq_err *err);
/* Reads a JSON file with any part of the settings. EQ_USAGE names file, key, value and range, or the nearest known key;
 * EQ_IO: the file cannot be read. */
enum eq_status eq_settings_load(struct eq_settings *s, const char *path, struct eq_err *err);
/* Reads <run_dir>/config.json with the origins that it records. *found: whether it exists. Errors as above. */
enum eq_status eq_settings_load_run(struct eq_settings *s, const char *run_dir, bool *found, struct eq_err *err);
/* Sets one value, written as --set takes it. origin: copied, also used in messages. EQ_USAGE as above. */
enum eq_status eq_settings_set(struct eq_settings *s, const char *key, const char *value, const char *origin,
                               struct eq_err *err);
/* Whether a value was given for it: it has another source than its default. */
bool eq_settings_given(const struct eq_settings *s, const char *key);
/* The keys, borrowed, of the settings that a word without a section ("epochs", "batch-size") probably means: at most
 * cap of those in sections (as in eq_settings_help) whose name it is, also under a name that is usual elsewhere.
 * Unless exact: if there is none, those of the nearest name. Returns how many. */
size_t eq_settings_near(const char *word, const char *const *sections, bool exact, const char **keys, size_t cap);
/* Checks settings against each other (e.g. warm-up against epochs). EQ_USAGE. */
enum eq_status eq_settings_check(const struct eq_settings *s, struct eq_err *err);
/* Writes the resolved settings with their origins, sealed; eq_settings_load reads such a file. notes: an object whose
 * members are written beside the settings, EQ_DATA_DIGEST (text) and EQ_MODEL_DIGESTS (object); NULL: none. */
#define EQ_DATA_DIGEST "data_digest"
#define EQ_MODEL_DIGESTS "model_digests"
enum eq_status eq_settings_save(const struct eq_settings *s, const struct cJSON *notes, const char *path,
                                struct eq_err *err);
/* Appends "key old -> new, ..." for the settings that affect results and differ; sections as in eq_settings_help. */
void eq_settings_changes(const struct eq_settings *was, const struct eq_settings *is, const char *const *sections,
                         struct eq_str *out);
/* Appends "key=value\n" for each setting of the sections that affects results, in the order of the table. A file keeps
 * this as a record of the settings that made it. sections as in eq_settings_help. */
void eq_settings_fingerprint(const struct eq_config *config, const char *const *sections, struct eq_str *out);
/* The settings of a section ("ptq") as a JSON object, by name, in the order of the table. Delete with cJSON_Delete. */
struct cJSON *eq_settings_object(const struct eq_config *config, const char *section);
/* Whether two lines of fingerprints, without their "\n", have the same meaning. Version 0.1.0 wrote enumerations and
 * booleans as numbers, and reals with 17 digits. */
bool eq_settings_same_line(const char *was, const char *is);
/* Whether such a line says that a setting has its default: fingerprints of versions without the setting mean that. */
bool eq_settings_default_line(const char *line);
/* Appends the settings for --help, in lines of at most `width` columns. sections: a list of sections ("train") and keys
 * ("run.seed") that ends with NULL; NULL: all settings. */
void eq_settings_help(const char *const *sections, int width, struct eq_str *out);
void eq_settings_markdown(struct eq_str *out); /* appends docs/CONFIG.md */
/* Row i of the table, for help in other forms; false after the last. takes: what it accepts, with the unit; free()
 * it. */
struct eq_setting_info {
    const char *key, *initial, *help;
    const char *const *choices; /* of an enumeration or a switch, ends with NULL; NULL: any text or number */
    bool free_to_change;
    char *takes;
};
bool eq_setting_describe(size_t i, struct eq_setting_info *out);
/* Appends the value of row i as --set takes it, in UTF-8. */
void eq_setting_value(size_t i, const struct eq_config *config, struct eq_str *out);
/* Whether key or its section is in the list, which ends with NULL; NULL as the list contains everything. */
bool eq_section_listed(const char *key, const char *const *sections);
/* The sources of a setting, in the order in which they count: paragraphs for eq_str_add_wrapped. */
extern const char eq_settings_sources[];

#endif
