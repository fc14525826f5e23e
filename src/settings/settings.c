/* The table of settings, and how values are stored, checked and printed by it. */
#include "settings/table.h"

#include <assert.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* By value, NULL after the last. */
static const char *const precision_names[] = {[EQ_PRECISION_FP32] = "fp32", [EQ_PRECISION_BF16] = "bf16", NULL};
static const char *const digest_names[] = {[EQ_DIGEST_LIST] = "list", [EQ_DIGEST_BYTES] = "bytes", NULL};
static const char *const on_error_names[] = {
    [EQ_ON_ERROR_FAIL] = "fail", [EQ_ON_ERROR_SKIP] = "skip", [EQ_ON_ERROR_USE] = "use", NULL};
static const char *const ef_unit_names[] = {[EQ_EF_PERCENT] = "percent", [EQ_EF_FRACTION] = "fraction", NULL};
static const char *const links_names[] = {[EQ_LINKS_INSIDE] = "inside", [EQ_LINKS_ANY] = "any", NULL};
static const char *const optimizer_names[] = {[EQ_OPTIM_ADAMW] = "adamw", [EQ_OPTIM_SGD] = "sgd", NULL};
static const char *const schedule_names[] = {
    [EQ_SCHEDULE_CONSTANT] = "constant", [EQ_SCHEDULE_COSINE] = "cosine", [EQ_SCHEDULE_ONECYCLE] = "onecycle", NULL};
static const char *const loss_names[] = {[EQ_LOSS_MSE] = "mse", [EQ_LOSS_L1] = "l1", [EQ_LOSS_HUBER] = "huber", NULL};
static const char *const qat_start_names[] = {
    [EQ_QAT_START_AUTO] = "auto", [EQ_QAT_START_PTQ] = "ptq", [EQ_QAT_START_CALIBRATE] = "calibrate", NULL};
static const char *const split_names[] = {
    [EQ_SPLIT_TRAIN] = "train", [EQ_SPLIT_VAL] = "val", [EQ_SPLIT_TEST] = "test", NULL};
static const char *const zero_channel_names[] = {
    [EQ_ZERO_CHANNELS_REFUSE] = "refuse", [EQ_ZERO_CHANNELS_ALLOW] = "allow", NULL};

static const char *const dist_seeds_names[] = {
    [EQ_DIST_SEEDS_SHARED] = "shared", [EQ_DIST_SEEDS_RANKS] = "ranks", NULL};

#define AT(section, name) .key = #section "." #name, .offset = offsetof(struct eq_config, section.name)
#define BOOL(section, name, init) AT(section, name), .type = EQ_SETTING_BOOL, .initial = init, .unit = ""
#define TEXT(section, name, init) AT(section, name), .type = EQ_SETTING_TEXT, .initial = init, .unit = ""
#define LIST(section, name, init)                                                                                      \
    AT(section, name), .type = EQ_SETTING_LIST, .initial = init, .may_be_empty = true, .unit = ""
/* An enumeration is stored through an int: the array has a negative size where it is none. */
#define ENUM(section, name, init, names)                                                                               \
    AT(section, name), .initial = init, .choices = names, .unit = "",                                                  \
                       .type = EQ_SETTING_ENUM +                                                                       \
                               0 * sizeof(char[sizeof(((struct eq_config *)0)->section.name) == sizeof(int) ? 1 : -1])
#define INT(section, name, init, lo, hi, of)                                                                           \
    AT(section, name), .type = EQ_SETTING_INT, .initial = init, .min = lo, .max = hi, .unit = of
#define REAL(section, name, init, lo, hi, of)                                                                          \
    AT(section, name), .type = EQ_SETTING_REAL, .initial = init, .min = lo, .max = hi, .unit = of

const struct eq_setting eq_setting_table[] = {
    {TEXT(data, dir, EQ_SYNTHETIC_DIR), .free_to_change = true,
     .help = "folder with FileList.csv (columns FileName and EF, optionally EchoNet's others) and the clips, flat "
             "or under Videos/. The folder may move; a run identifies its data by their digest"},
    {ENUM(data, digest, "list", digest_names),
     .help = "content of the digest of the data. list: names, splits, EFs, and sizes of the clips' files; bytes: also "
             "their bytes, so every command reads all clips once (docs/DATA.md)"},
    {BOOL(data, synthetic, "true"), .free_to_change = true,
     .help = "make synthetic clips (see synth.*) if data.dir does not exist and is " EQ_SYNTHETIC_DIR " or begins "
             "with " EQ_SYNTHETIC_DIR "-; any other folder must exist"},
    {INT(data, frames, "16", 1, 64, "frames"), .help = "frames sampled evenly from each clip"},
    {INT(data, size, "112", 32, 512, "pixels"), .help = "side of the square that each frame is resized to"},
    {INT(data, split_seed, "1", 0, INT_MAX, ""),
     .help = "seed of the 70/15/15 split by patient or file name; used if FileList.csv has no column Split"},
    {TEXT(data, patient_column, "auto"),
     .help = "column of FileList.csv that identifies the patient of each clip. auto: PatientID, Subject, MRN, and "
             "similar names; none: no column. A drawn split keeps a patient's clips together (docs/DATA.md)"},
    {LIST(data, val_folds, ""),
     .help = "folds of the column Split for validation, e.g. 8. Folds that are neither here nor in "
             "data.test_folds are for training"},
    {LIST(data, test_folds, ""), .help = "folds of the column Split for the test, e.g. 9"},
    {ENUM(data, ef_unit, "percent", ef_unit_names),
     .help = "unit of the column EF: percent (0..100) or fraction (0..1). Models and results are in percent"},
    {ENUM(data, on_error, "fail", on_error_names), .free_to_change = true,
     .help = "reaction to a clip that cannot be read or is damaged. fail: stop the run; skip: leave the clip out; "
             "use: leave out a clip that cannot be read, and use a damaged one as far as it can be read. skip and use "
             "list the clip "
             "in results.json and the report"},
    {INT(data, workers, "0", 0, 64, "threads"), .free_to_change = true,
     .help = "threads that decode clips ahead of training and evaluation; 0: one for every four of run.threads, at "
             "least one. Their number never changes a result (docs/RELIABILITY.md)"},
    {INT(data, cache_mb, "256", 0, 1048576, "MiB"), .free_to_change = true,
     .help = "memory for sampled clips, kept between epochs; 0: decode the clips again in every epoch"},
    {TEXT(data, cache_dir, ""), .may_be_empty = true, .free_to_change = true,
     .help = "folder that keeps sampled clips between commands and runs; empty: none. Several commands may share it. "
             "It contains pixels of the clips, so protect it as you protect them (docs/RELIABILITY.md)"},
    {REAL(data, cache_gb, "16", 0, 1048576, "GiB"), .free_to_change = true,
     .help = "size of data.cache_dir. When it is full, entries unused for a day make room, and further clips are not "
             "kept"},
    {REAL(data, max_clip_pixels, "20000", 1, 1e9, "megapixels"), .free_to_change = true,
     .help = "pixels of all frames of a clip together. A longer or larger clip counts as one that cannot be read "
             "(data.on_error)"},
    {REAL(data, clip_seconds, "600", 0.001, 1e6, "s"), .free_to_change = true,
     .help = "CPU time for decoding one clip. A clip that takes longer stops the command, whatever data.on_error says, "
             "because results must not depend on the speed of the machine; in predict, the clip gets an error"},
    {ENUM(data, links, "inside", links_names), .free_to_change = true,
     .help = "where links in the data folder may lead. inside: to files in the folder; any: also out of it. The data "
             "folder itself may be a link"},

    {INT(synth, train, "400", 1, 90000, "clips"), .help = "training clips of the synthetic set"},
    {INT(synth, val, "100", 1, 5000, "clips"), .help = "validation clips of the synthetic set"},
    {INT(synth, test, "100", 1, 4999, "clips"), .help = "test clips of the synthetic set"},
    {INT(synth, seed, "1", 0, INT_MAX, ""),
     .help = "seed of the synthetic patients; the same seed produces the same pixels"},

    {INT(model, width, "64", 8, 256, "channels"),
     .help = "channels of the first stage of ResNet-18; 64 is the published network; smaller numbers are for "
             "quick tests"},
    {TEXT(model, init, ""), .may_be_empty = true,
     .help = "safetensors file with the ResNet-18 of torchvision or timm to start from; empty: random weights"},

    {INT(train, epochs, "8", 1, 100000, "epochs"), .help = "epochs of the FP32 baseline"},
    {INT(train, batch, "4", 1, 1024, "clips"),
     .help = "clips in a micro-batch; batch norm computes its statistics over them"},
    {INT(train, accumulate, "1", 1, 1024, "micro-batches"),
     .help = "number of micro-batches for one optimizer step; their gradients are added up, in pairs"},
    {ENUM(train, precision, "fp32", precision_names),
     .help =
         "precision of the convolutions in training the baseline, forward and backward. bf16: operands are rounded to "
         "BF16; sums, weights, and everything else stay in FP32 (needs AVX512-BF16). Validation, PTQ, and QAT "
         "always use FP32"},
    {ENUM(train, optimizer, "adamw", optimizer_names), .help = "AdamW (Loshchilov & Hutter 2019) or SGD with momentum"},
    {REAL(train, lr, "0.0006", 0, 10, ""), .above_min = true, .help = "peak learning rate"},
    {REAL(train, weight_decay, "0.01", 0, 10, ""),
     .help = "weight decay of convolution and linear weights; norms and biases have none"},
    {REAL(train, momentum, "0.9", 0, 0.9999, ""), .help = "momentum of SGD"},
    {ENUM(train, schedule, "cosine", schedule_names), .help = "learning-rate schedule over the steps"},
    {REAL(train, warmup, "0.5", 0, 1000, "epochs"),
     .help = "linear warm-up of the constant and cosine schedules (onecycle has its own)"},
    {ENUM(train, loss, "huber", loss_names), .help = "loss on the standardized EF, also used by QAT"},
    {BOOL(train, flip, "false"), .help = "augmentation: mirror a clip left-right with probability 1/2"},
    {INT(train, shift, "1", 0, 64, "pixels"),
     .help = "augmentation: shift a clip by up to this many pixels along each axis"},
    {BOOL(train, random_phase, "true"),
     .help = "augmentation: sample each clip at a random phase of its even segments; false: always at the same "
             "frames"},
    {REAL(train, grad_clip, "5", 0, 1e6, ""), .help = "largest L2 norm of the gradient; 0: no clipping"},
    {REAL(train, ema, "0.99", 0, 0.99999, ""),
     .help = "decay of the averaged weights and running statistics; the averages are validated and kept. The decay "
             "is smaller in the first steps. 0: no averaging"},
    {INT(train, patience, "0", 0, 100000, "epochs"),
     .help = "stop after this many epochs without a better validation MAE; 0: never"},
    {INT(train, seeds, "1", 1, EQ_MAX_SEEDS, "runs"), .free_to_change = true,
     .help = "run-all: number of whole experiments, with the seeds run.seed, run.seed + 1, ..., each in a folder "
             "seed-N below the run directory; the report shows mean and spread"},

    {ENUM(ptq, observer, "minmax", eq_observer_names),
     .help = "how calibration chooses the range of an activation (docs/QUANTIZATION.md)"},
    {REAL(ptq, percentile, "99.99", 50, 100, "%"), .above_min = true,
     .help = "observer percentile: share of the values that stay unclipped on either side"},
    {REAL(ptq, averaging, "0.01", 0, 1, ""), .above_min = true,
     .help = "step of the observer moving_average, in calibration and in QAT"},
    {INT(ptq, clips, "64", 1, 100000, "clips"), .help = "training clips used for calibration"},
    {ENUM(ptq, weight_observer, "minmax", eq_weight_observer_names),
     .help = "how PTQ chooses the range of weights: their full range, or the range with the least squared error"},
    {BOOL(ptq, per_channel, "true"),
     .help = "one scale for the weights of each output channel; false: one scale for each layer"},
    {INT(ptq, weight_bits, "8", 2, 8, "bits"), .help = "bits of PTQ weights; below 8 they are packed in the file"},
    {ENUM(ptq, arithmetic, "direct", eq_arithmetic_names),
     .help = "how the INT8 model computes 3x3 convolutions with stride 1. direct: exactly; winograd: in the domain of "
             "F(4x4, 3x3), with a quarter of the products, where it rounds source and weights once more "
             "(docs/QUANTIZATION.md)"},
    {BOOL(ptq, search, "false"),
     .help = "try observers, weight ranges and the switches below on the calibration clips, starting from these "
             "settings, and keep those with the least squared error of the EF (docs/QUANTIZATION.md)"},
    {BOOL(ptq, reestimate_bn, "false"),
     .help = "re-estimate batch-norm statistics on the calibration clips before folding"},
    {BOOL(ptq, equalize, "false"), .help = "cross-layer equalization (Nagel et al. 2019)"},
    {BOOL(ptq, bias_correction, "false"),
     .help = "correct the shift that quantization causes in the mean of each channel (Nagel et al. 2019)"},
    {BOOL(ptq, adaround, "false"),
     .help = "learn whether to round each weight up or down (AdaRound, Nagel et al. 2020)"},
    {INT(ptq, adaround_steps, "1000", 1, 1000000, "steps"), .help = "AdaRound steps for each layer"},
    {LIST(ptq, keep_fp32, ""),
     .help = "layers that PTQ leaves in FP32, e.g. conv1,layer1.0.conv1; `echoquant inspect` lists their names"},
    {REAL(ptq, max_mae_loss, "0", 0, 100, "EF points"),
     .help = "largest increase in validation MAE to accept; layers are returned to FP32 one at a time until PTQ "
             "stays within it (docs/QUANTIZATION.md); 0: no limit"},
    {ENUM(ptq, zero_channels, "refuse", zero_channel_names),
     .help = "refuse or allow a layer with channels of all-zero weights in PTQ and QAT. Such channels are exact in "
             "INT8, but a sign that training went wrong"},

    {INT(qat, epochs, "1", 1, 100000, "epochs"), .help = "epochs of quantization-aware training"},
    {INT(qat, batch, "4", 1, 1024, "clips"), .help = "clips in a micro-batch"},
    {INT(qat, accumulate, "1", 1, 1024, "micro-batches"),
     .help = "number of micro-batches for one optimizer step, as train.accumulate"},
    {REAL(qat, lr, "0.00005", 0, 10, ""), .above_min = true, .help = "initial learning rate; AdamW, cosine schedule"},
    {REAL(qat, weight_decay, "0.01", 0, 10, ""), .help = "weight decay"},
    {ENUM(qat, method, "ste", eq_qat_method_names),
     .help = "ste: weight scales follow the weights, and activation ranges follow a moving average; lsq: both are "
             "learned (Esser et al. 2020), see qat.scale_lr"},
    {INT(qat, weight_bits, "8", 2, 8, "bits"), .help = "bits of QAT weights; below 8 they are packed in the file"},
    {ENUM(qat, arithmetic, "direct", eq_arithmetic_names), .help = "as ptq.arithmetic, for QAT"},
    {REAL(qat, scale_lr, "0.002", 0, 1, ""), .above_min = true,
     .help = "lsq: initial learning rate of the scales, as a share of a scale; same schedule as qat.lr"},
    {REAL(qat, distill, "0", 0, 1, ""),
     .help = "weight of the distillation term (loss against the baseline's prediction)"},
    {ENUM(qat, start, "auto", qat_start_names),
     .help = "start of the activation ranges. ptq: from ptq.safetensors of the run; calibrate: from a calibration "
             "as in ptq; auto: ptq if that file belongs to this baseline, otherwise calibrate"},
    {INT(qat, freeze_bn_epoch, "1", 0, 100000, "epoch"),
     .help = "first epoch, counted from 1, with frozen batch-norm statistics; 0 or after the last epoch: never"},
    {INT(qat, freeze_observer_epoch, "3", 0, 100000, "epoch"),
     .help = "first epoch, counted from 1, with frozen activation ranges (lsq: scales); 0 or after the last epoch: "
             "never"},
    {BOOL(qat, control, "true"), .free_to_change = true,
     .help = "run-all also trains the control FP32+: the baseline trained further like QAT, but without fake-quant"},

    {INT(eval, phases, "1", 1, 64, "phases"), .free_to_change = true,
     .help = "eval and predict: how many shifted samplings of a clip to average (docs/CLIPS.md); 1 uses a single "
             "sampling from first to last frame"},
    {LIST(eval, devices, "auto"), .free_to_change = true,
     .help = "devices on which eval measures latency and compares EFs, beside the CPU, which is always measured. auto: "
             "a GPU, if there is one; cpu: no other device; otherwise names as in run.device, e.g. cuda:0,opencl:1"},

    {INT(sensitivity, clips, "16", 1, 100000, "clips"), .free_to_change = true,
     .help =
         "number of clips for sensitivity, for ranking layers in automatic mixed precision, and, up to 16, for what "
         "ptq and qat measure beside their models. They are spread evenly over their split; for sensitivity each costs "
         "three passes of the network for each layer"},
    {ENUM(sensitivity, split, "val", split_names), .free_to_change = true, .help = "sensitivity: split of these clips"},

    {INT(bench, warmup, "3", 0, 100000, "calls"), .free_to_change = true, .help = "calls before the measurement"},
    {INT(bench, repeats, "100", 1, 1000000, "calls"), .free_to_change = true,
     .help = "measured calls; the table shows their median. Of fewer than 100, the 99th percentile is the slowest"},
    {REAL(bench, seconds, "4", 0, 86400, "seconds"), .free_to_change = true,
     .help = "measured calls end after this time, but not before each model has 30 (or bench.repeats, if less). eval "
             "measures the model alone and from file to EF, each for this long. 0: no limit"},
    {INT(bench, steps, "10", 1, 1000000, "steps"), .free_to_change = true,
     .help = "bench --train: measured training steps"},
    {BOOL(bench, scaling, "true"), .free_to_change = true,
     .help = "bench: also measure with one thread, alternately, and print the ratio"},
    {BOOL(bench, gray, "true"), .free_to_change = true,
     .help = "bench: random pixels with three equal channels, as in ultrasound; the first convolution is faster on "
             "these. false: three different channels"},
    {REAL(bench, layer_ms, "25", 0, 100000, "ms"), .free_to_change = true,
     .help = "bench --layers: time to measure each kernel of each layer; at least three calls"},

    {REAL(report, margin, "0.5", 0, 100, "EF points"), .above_min = true, .free_to_change = true,
     .help =
         "non-inferiority margin: the largest increase in test MAE that still counts as no loss. Choose it before the "
         "first evaluation; results.json notes it then, and the report tells of a later change "
         "(docs/STATISTICS.md)"},
    {INT(report, replicates, "10000", 100, 1000000, "replicates"), .free_to_change = true,
     .help = "bootstrap replicates for the intervals of the report"},
    {INT(report, strips, "3", 0, 10, "clips"), .free_to_change = true,
     .help =
         "film strips in the report: this many clips that each quantized model moves most, and FP32's worst, median "
         "and best clip. 0: none, so that the report holds no pixels of clips (docs/SECURITY.md)"},

    {REAL(dist, timeout, "300", 0.1, 1e6, "s"), .free_to_change = true,
     .help = "several processes (mpirun, docs/SCALING.md): how long a process waits for another one that does not show "
             "that it is alive. Then the command ends with its name"},

    {ENUM(dist, seeds, "shared", dist_seeds_names), .free_to_change = true,
     .help = "run-all with train.seeds above 1 on several processes. shared: all of them share each experiment; ranks: "
             "each runs experiments of its own, side by side, and the first one writes the report"},

    {TEXT(run, dir, "runs/default"), .free_to_change = true,
     .help = "run directory: the folder for everything that a run writes"},
    {INT(run, seed, "1", 0, INT_MAX, ""),
     .help = "seed of initial weights, shuffling, augmentation, and the choice of calibration clips"},
    {INT(run, threads, "0", 0, 1024, "threads"), .free_to_change = true,
     .help = "number of threads; 0: as many as the CPUs that this process may use. Results do not depend on it"},
    {TEXT(run, cpu, "auto"), .free_to_change = true,
     .help = "highest instruction set to use: auto, ref, avx2, avxvnni, avx512, avx512vnni, avx512bf16, amx, neon, "
             "neondot"},
    {TEXT(run, device, "cpu"), .free_to_change = true,
     .help = "device that predicts in predict, bench, and eval: cpu; gpu, the first GPU that can be used; opencl:N or "
             "cuda:N, as `echoquant devices` lists them (N: 0 if left out). INT8 models predict the same EFs on all of "
             "them. Everything else runs on the CPU (docs/GPU.md)"},
    {ENUM(run, precision, "fp32", precision_names), .free_to_change = true,
     .help =
         "precision of the convolutions of FP32 models in predict, bench, and eval; bf16 (needs AVX512-BF16) adds a "
         "row BF16 for the baseline"},
};
const size_t eq_setting_count = sizeof eq_setting_table / sizeof *eq_setting_table;

const struct eq_setting *eq_setting_find(const char *key)
{
    size_t at = 0;
    return eq_setting_find_next(key, &at);
}

const struct eq_setting *eq_setting_find_next(const char *key, size_t *at)
{
    for (size_t i = 0; i < eq_setting_count; i++) {
        size_t k = (*at + i) % eq_setting_count;
        if (strcmp(eq_setting_table[k].key, key) == 0) {
            *at = k + 1;
            return &eq_setting_table[k];
        }
    }
    return NULL;
}

size_t eq_settings_near(const char *word, const char *const *sections, bool exact, const char **keys, size_t cap)
{
    const char *listed[sizeof eq_setting_table / sizeof *eq_setting_table];
    size_t n = 0;
    for (size_t i = 0; i < eq_setting_count; i++)
        if (eq_section_listed(eq_setting_table[i].key, sections))
            listed[n++] = eq_setting_table[i].key;
    return eq_keys_near(word, listed, n, exact, keys, cap);
}

enum eq_status eq_setting_unknown(const char *key, const char *origin, struct eq_err *err)
{
    const char *near[4];
    struct eq_str hint = {0};
    size_t n = eq_settings_near(key, NULL, false, near, sizeof near / sizeof *near);
    for (size_t i = 0; i < n; i++)
        eq_str_add(&hint, "%s%s", i ? " or " : "; did you mean ", near[i]);
    eq_str_add(&hint, "%s", n ? "?" : " (`echoquant help settings` lists them all)");
    eq_fail(err, EQ_USAGE, "%s: there is no setting %.80s%s", origin, key, hint.s);
    eq_str_clear(&hint);
    return EQ_USAGE;
}

bool eq_settings_given(const struct eq_settings *s, const char *key)
{
    const struct eq_setting *row = eq_setting_find(key);
    return row && strcmp(s->origin[row - eq_setting_table], "default") != 0;
}

/* ---- ranges -------------------------------------------------------------- */

void eq_setting_describe_range(const struct eq_setting *row, struct eq_str *out)
{
    switch (row->type) {
    case EQ_SETTING_BOOL:
        eq_str_add(out, "true or false");
        break;
    case EQ_SETTING_TEXT:
        eq_str_add(out, "text");
        break;
    case EQ_SETTING_LIST:
        eq_str_add(out, "names separated by commas; in JSON an array of strings");
        break;
    case EQ_SETTING_ENUM:
        for (size_t i = 0; row->choices[i]; i++)
            eq_str_add(out, "%s%s", i ? ", " : "one of ", row->choices[i]);
        break;
    case EQ_SETTING_INT:
        eq_str_add(out, "a whole number in %.0f..%.0f", row->min, row->max);
        break;
    case EQ_SETTING_REAL:
        if (row->above_min)
            eq_str_add(out, "a number above %g, at most %.10g", row->min, row->max);
        else
            eq_str_add(out, "a number in %g..%.10g", row->min, row->max);
        break;
    }
}

enum eq_status eq_setting_mistyped(const struct eq_setting *row, const char *shown, const char *origin,
                                   struct eq_err *err)
{
    struct eq_str range = {0};
    eq_setting_describe_range(row, &range);
    enum eq_status st = eq_fail(err, EQ_USAGE, "%s: %s = %.80s is not allowed: it must be %s%s%s", origin, row->key,
                                shown, range.s, row->unit[0] ? " " : "", row->unit);
    eq_str_clear(&range);
    return st;
}

/* ---- values -------------------------------------------------------------- */

static void *field(struct eq_config *config, const struct eq_setting *row)
{
    return (char *)config + row->offset;
}

static void set_origin(struct eq_settings *s, const struct eq_setting *row, const char *origin)
{
    char **slot = &s->origin[row - eq_setting_table], *copy = eq_strdup(origin);
    free(*slot);
    *slot = copy;
}

enum eq_status eq_setting_store_number(struct eq_settings *s, const struct eq_setting *row, double value,
                                       const char *shown, const char *origin, struct eq_err *err)
{
    bool in_range = value >= row->min && value <= row->max && !(row->above_min && value == row->min);
    if (!in_range || (row->type == EQ_SETTING_INT && value != floor(value)))
        return eq_setting_mistyped(row, shown, origin, err);
    if (row->type == EQ_SETTING_INT)
        *(int *)field(&s->config, row) = (int)value;
    else
        *(double *)field(&s->config, row) = value;
    set_origin(s, row, origin);
    return EQ_OK;
}

/* A list without names has no commas either. */
static bool has_empty_name(const char *list)
{
    size_t n = strlen(list);
    return n > 0 && (list[0] == ',' || list[n - 1] == ',' || strstr(list, ",,"));
}

enum eq_status eq_setting_store_text(struct eq_settings *s, const struct eq_setting *row, const char *text,
                                     const char *origin, struct eq_err *err)
{
    if (row->type == EQ_SETTING_ENUM) {
        int value = 0;
        while (row->choices[value] && strcmp(row->choices[value], text) != 0)
            value++;
        if (!row->choices[value])
            return eq_setting_mistyped(row, text[0] ? text : "\"\"", origin, err);
        *(int *)field(&s->config, row) = value;
    } else {
        if (!text[0] && !row->may_be_empty)
            return eq_fail(err, EQ_USAGE, "%s: %s is empty", origin, row->key);
        for (const char *p = text; *p; p++) /* no path needs one */
            if ((unsigned char)*p < ' ' || *p == 127)
                return eq_fail(err, EQ_USAGE, "%s: %s contains a control character", origin, row->key);
        if (row->type == EQ_SETTING_LIST && has_empty_name(text))
            return eq_fail(err, EQ_USAGE, "%s: %s has an empty name: a comma stands between two names", origin,
                           row->key);
        char **slot = field(&s->config, row), *copy = eq_strdup(text);
        free(*slot);
        *slot = copy;
    }
    set_origin(s, row, origin);
    return EQ_OK;
}

void eq_setting_store_bool(struct eq_settings *s, const struct eq_setting *row, bool value, const char *origin)
{
    *(bool *)field(&s->config, row) = value;
    set_origin(s, row, origin);
}

static enum eq_status store(struct eq_settings *s, const struct eq_setting *row, const char *value, const char *origin,
                            struct eq_err *err)
{
    double number;
    switch (row->type) {
    case EQ_SETTING_BOOL:
        if (strcmp(value, "true") != 0 && strcmp(value, "false") != 0)
            return eq_setting_mistyped(row, value, origin, err);
        eq_setting_store_bool(s, row, value[0] == 't', origin);
        return EQ_OK;
    case EQ_SETTING_INT:
    case EQ_SETTING_REAL:
        if (!eq_parse_double(value, &number))
            return eq_setting_mistyped(row, value, origin, err);
        return eq_setting_store_number(s, row, number, value, origin, err);
    default:
        return eq_setting_store_text(s, row, value, origin, err);
    }
}

enum eq_status eq_settings_set(struct eq_settings *s, const char *key, const char *value, const char *origin,
                               struct eq_err *err)
{
    const struct eq_setting *row = eq_setting_find(key);
    return row ? store(s, row, value, origin, err) : eq_setting_unknown(key, origin, err);
}

void eq_setting_print(const struct eq_setting *row, const struct eq_config *config, struct eq_str *out)
{
    const void *value = (const char *)config + row->offset;
    switch (row->type) {
    case EQ_SETTING_BOOL:
        eq_str_add(out, "%s", *(const bool *)value ? "true" : "false");
        break;
    case EQ_SETTING_INT:
        eq_str_add(out, "%d", *(const int *)value);
        break;
    case EQ_SETTING_REAL:
        eq_str_add_real(out, *(const double *)value);
        break;
    case EQ_SETTING_ENUM:
        eq_str_add(out, "%s", row->choices[*(const int *)value]);
        break;
    case EQ_SETTING_TEXT:
    case EQ_SETTING_LIST:
        eq_str_add_utf8(out, *(char *const *)value); /* as config.json has it */
        break;
    }
}

/* ---- all of them --------------------------------------------------------- */

enum eq_status eq_settings_init(struct eq_settings *s, struct eq_err *err)
{
    enum eq_status st = EQ_OK;
    memset(s, 0, sizeof *s);
    s->origin = calloc(eq_setting_count, sizeof *s->origin);
    if (!s->origin)
        return eq_fail(err, EQ_NOMEM, "out of memory for the settings");
    for (size_t i = 0; i < eq_setting_count; i++)
        EQ_TRY(store(s, &eq_setting_table[i], eq_setting_table[i].initial, "default", err));
out:
    if (st != EQ_OK)
        eq_settings_clear(s);
    return st;
}

void eq_settings_clear(struct eq_settings *s)
{
    for (size_t i = 0; i < eq_setting_count; i++) {
        if (s->origin)
            free(s->origin[i]);
        if (eq_setting_table[i].type == EQ_SETTING_TEXT || eq_setting_table[i].type == EQ_SETTING_LIST)
            free(*(char **)field(&s->config, &eq_setting_table[i]));
    }
    free(s->origin);
    memset(s, 0, sizeof *s);
}

static enum eq_status copy(struct eq_settings *out, const struct eq_settings *s, struct eq_err *err)
{
    EQ_CHECK(eq_settings_init(out, err));
    enum eq_status st = EQ_OK;
    for (size_t i = 0; i < eq_setting_count && st == EQ_OK; i++) {
        struct eq_str value = {0};
        eq_setting_print(&eq_setting_table[i], &s->config, &value);
        st = store(out, &eq_setting_table[i], value.s, s->origin[i], err);
        eq_str_clear(&value);
    }
    if (st != EQ_OK)
        eq_settings_clear(out);
    return st;
}

enum eq_status eq_settings_of_seed(struct eq_settings *out, const struct eq_settings *s, int i, struct eq_err *err)
{
    EQ_CHECK(copy(out, s, err));
    assert(i >= 0 && i < s->config.train.seeds);
    char *dir = eq_format("%s/seed-%d", s->config.run.dir, s->config.run.seed + i), *seed = strrchr(dir, '-') + 1;
    char *origin = eq_format("seed %d of train.seeds = %d", i + 1, s->config.train.seeds);
    enum eq_status st;
    EQ_TRY(eq_settings_set(out, "run.dir", dir, origin, err));
    EQ_TRY(eq_settings_set(out, "run.seed", seed, origin, err));
    EQ_TRY(eq_settings_set(out, "train.seeds", "1", origin, err));
out:
    free(dir);
    free(origin);
    if (st != EQ_OK)
        eq_settings_clear(out);
    return st;
}

enum eq_status eq_settings_check(const struct eq_settings *s, struct eq_err *err)
{
    const struct eq_config *c = &s->config;
    if (c->train.schedule == EQ_SCHEDULE_COSINE && c->train.warmup >= c->train.epochs)
        return eq_fail(err, EQ_USAGE, "train.warmup = %g must be less than train.epochs = %d", c->train.warmup,
                       c->train.epochs);
    if (c->run.seed > INT_MAX - (c->train.seeds - 1))
        return eq_fail(err, EQ_USAGE, "run.seed = %d is too large for train.seeds = %d", c->run.seed, c->train.seeds);
    if (c->ptq.bias_correction && c->ptq.adaround)
        return eq_fail(err, EQ_USAGE,
                       "ptq.bias_correction and ptq.adaround cannot be combined: AdaRound already fits the "
                       "outputs of each layer, including their means. Set one of them to false");
    if (c->ptq.adaround && c->ptq.arithmetic == EQ_ARITHMETIC_WINOGRAD)
        return eq_fail(err, EQ_USAGE,
                       "ptq.adaround and ptq.arithmetic = winograd cannot be combined: AdaRound rounds the weights of "
                       "direct convolutions. Set ptq.adaround = false or ptq.arithmetic = direct");
    if (c->qat.method == EQ_QAT_LSQ && c->qat.arithmetic == EQ_ARITHMETIC_WINOGRAD)
        return eq_fail(
            err, EQ_USAGE,
            "qat.method = lsq and qat.arithmetic = winograd cannot be combined: scales of Winograd's domain are "
            "not learned. Set qat.method = ste or qat.arithmetic = direct");
    return EQ_OK;
}

void eq_settings_changes(const struct eq_settings *was, const struct eq_settings *is, const char *const *sections,
                         struct eq_str *out)
{
    for (size_t i = 0; i < eq_setting_count; i++) {
        const struct eq_setting *row = &eq_setting_table[i];
        struct eq_str a = {0}, b = {0};
        if (row->free_to_change || !eq_section_listed(row->key, sections))
            continue;
        eq_setting_print(row, &was->config, &a);
        eq_setting_print(row, &is->config, &b);
        if (strcmp(a.s, b.s) != 0)
            eq_str_add(out, "%s%s %s -> %s", out->len ? ", " : "", row->key, a.s, b.s);
        eq_str_clear(&a);
        eq_str_clear(&b);
    }
}

void eq_settings_fingerprint(const struct eq_config *config, const char *const *sections, struct eq_str *out)
{
    for (size_t i = 0; i < eq_setting_count; i++) {
        const struct eq_setting *row = &eq_setting_table[i];
        if (row->free_to_change || !eq_section_listed(row->key, sections))
            continue;
        eq_str_add(out, "%s=", row->key);
        eq_setting_print(row, config, out);
        eq_str_add(out, "\n");
    }
}

bool eq_settings_same_line(const char *was, const char *is)
{
    const char *equals = strchr(is, '=');
    double a, b;
    if (strcmp(was, is) == 0)
        return true;
    if (!equals || strncmp(was, is, (size_t)(equals - is) + 1) != 0)
        return false;
    char key[64];
    snprintf(key, sizeof key, "%.*s", (int)(equals - is), is);
    const struct eq_setting *row = eq_setting_find(key);
    const char *old = was + (equals - is) + 1, *now = equals + 1;
    if (!row || !eq_parse_double(old, &a))
        return false;
    if (row->type == EQ_SETTING_BOOL)
        return (a == 1) == (strcmp(now, "true") == 0);
    if (row->type != EQ_SETTING_ENUM)
        return eq_parse_double(now, &b) && a == b;
    for (int i = 0; row->choices[i]; i++)
        if (a == i)
            return strcmp(row->choices[i], now) == 0;
    return false;
}

bool eq_settings_default_line(const char *line)
{
    char key[64];
    const char *equals = strchr(line, '=');
    snprintf(key, sizeof key, "%.*s", equals ? (int)(equals - line) : 0, line);
    const struct eq_setting *row = eq_setting_find(key);
    if (!row)
        return false;
    char *initial = eq_format("%s=%s", key, row->initial);
    bool same = eq_settings_same_line(initial, line);
    free(initial);
    return same;
}

bool eq_section_listed(const char *key, const char *const *sections)
{
    if (!sections)
        return true;
    for (; *sections; sections++) {
        size_t len = strlen(*sections);
        if (strncmp(key, *sections, len) == 0 && (key[len] == '\0' || key[len] == '.'))
            return true;
    }
    return false;
}
