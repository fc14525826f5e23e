#include "cmd/option_table.h"

#include <stddef.h>
#include <string.h>

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
    {"output", 'o', "FILE", EQ_OPT_PREDICT, TEXT, FIELD(output), NULL,
     "write the predictions to a file; it appears whole or not at all"},
    {"null", '0', NULL, EQ_OPT_PREDICT, FLAG, FIELD(null), NULL, "@LIST and -: a NUL ends each path, not a newline"},
    {"opset", 0, "N", EQ_OPT_ONNX, TEXT, FIELD(opset), NULL, "version of the ONNX operators, 17 to 21 (17)"},
    {"residual", 0, "KIND", EQ_OPT_ONNX, TEXT, FIELD(residual), NULL,
     "INT8: how convolutions enter residual sums, float or u8 (float)"},
    {"threads", 't', "N", EQ_OPT_COMPUTE, SETTING, 0, "run.threads",
     "number of threads, 0: all (run.threads); never changes a result"},
    {"cpu", 0, "LEVEL", EQ_OPT_COMPUTE, SETTING, 0, "run.cpu", "highest instruction set to use (run.cpu)"},
    {"precision", 0, "P", EQ_OPT_PRECISION, SETTING, 0, "run.precision",
     "fp32 or bf16: convolutions of an FP32 model (run.precision)"},
    {"device", 0, "NAME", EQ_OPT_DEVICE, SETTING, 0, "run.device",
     "cpu, gpu, opencl:N, or cuda:N: where EFs are computed (run.device)"},
    {"phases", 0, "P", EQ_OPT_PHASES, SETTING, 0, "eval.phases",
     "number of phases of a clip to average (eval.phases)"},
    {"fresh", 0, "KIND", EQ_OPT_BENCH, TEXT, FIELD(fresh), NULL,
     "use a network with random weights instead of a file: fp32 or int8"},
    {"frames", 0, "N", EQ_OPT_BENCH, SETTING, FIELD(bench.frames_given), "data.frames",
     "frames of a clip (data.frames; with --model: the file's)"},
    {"size", 0, "N", EQ_OPT_BENCH, SETTING, FIELD(bench.size_given), "data.size",
     "side of a frame (data.size; with --model: the file's)"},
    {"layers", 0, NULL, EQ_OPT_BENCH, FLAG, FIELD(bench.layers), NULL,
     "measure every kernel that this CPU has for every layer"},
    {"layer", 0, "TEXT", EQ_OPT_BENCH, TEXT, FIELD(bench.layer), NULL,
     "--layers: only layers with TEXT in their names"},
    {"kernel", 0, "TEXT", EQ_OPT_BENCH, TEXT, FIELD(bench.kernel), NULL,
     "--layers: only kernels with TEXT in their names"},
    {"train", 0, NULL, EQ_OPT_BENCH, FLAG, FIELD(bench.train), NULL, "measure a training step instead of inference"},
    {"clips", 0, "N", EQ_OPT_BENCH, SETTING, FIELD(clips_given), "train.batch",
     "--train: clips of a step (train.batch)"},
    {"qat", 0, NULL, EQ_OPT_BENCH, FLAG, FIELD(bench.qat), NULL,
     "--train: alternate steps of QAT (qat.method, qat.weight_bits) and FP32"},
    {"contact-sheet", 0, "FILE", EQ_OPT_SHEET, TEXT, FIELD(sheet), NULL,
     "data folder: draw stills of its clips into a PNG file"},
    {"out", 'o', "DIR", EQ_OPT_IMPORT, TEXT, FIELD(out), NULL, "the data folder to write"},
    {"labels", 0, "FILE", EQ_OPT_IMPORT, TEXT, FIELD(labels), NULL,
     "CSV with the columns FileName (a DICOM file) and EF"},
    {"size", 0, "N", EQ_OPT_IMPORT, SETTING, 0, "data.size", "side of the clips' frames (data.size)"},
    {"crop", 0, "KIND", EQ_OPT_IMPORT, TEXT, FIELD(crop), NULL,
     "keep cone (the sector, default), region (by the tags), or none (the whole picture)"},
    {"no-mask", 0, NULL, EQ_OPT_IMPORT, FLAG, FIELD(no_mask), NULL,
     "--crop cone: keep the pixels of the square outside the sector"},
    {"pictures", 0, NULL, EQ_OPT_IMPORT, FLAG, FIELD(pictures), NULL,
     "also write, for each clip, a picture of the crop"},
    {"format", 0, "FORMAT", EQ_OPT_REPORT, TEXT, FIELD(format), NULL,
     "print only the table of all models, as md, csv, json, or latex; nothing is written"},
    {"out", 'o', "DIR", EQ_OPT_REPORT, TEXT, FIELD(out), NULL,
     "write the report, or the comparison of several runs, into this folder"},
    {"tensorboard", 0, "DIR", EQ_OPT_REPORT, TEXT, FIELD(tensorboard), NULL,
     "only write the histories there, as event files of TensorBoard"},
    {"force", 'f', NULL, EQ_OPT_FORCE, FLAG, FIELD(force), NULL, "redo what the run directory already has"},
    {"control", 0, NULL, EQ_OPT_CONTROL, FLAG, FIELD(control), NULL, "train the FP32 control (FP32+) instead"},
    {"json", 'j', NULL, EQ_OPT_JSON, FLAG, FIELD(json), NULL, "print JSON instead of text"},
    {"quiet", 'q', NULL, 0, EQ_OPTION_QUIET, 0, NULL, "only warnings and errors on stderr"},
    {"verbose", 'v', NULL, 0, EQ_OPTION_VERBOSE, 0, NULL, "also details on stderr"},
    {"help", 'h', NULL, 0, EQ_OPTION_HELP, 0, NULL, "-h: usage and options; --help: the full help"},
};
/* clang-format on */
const int eq_option_count = sizeof eq_option_table / sizeof *eq_option_table;
_Static_assert(sizeof eq_option_table / sizeof *eq_option_table <= EQ_MAX_OPTIONS, "EQ_MAX_OPTIONS is too small");

bool eq_option_offered(const struct eq_option_row *row, const struct eq_command *command)
{
    return row->bit == 0 || (command->options & row->bit);
}

const struct eq_option_row *eq_option_named(const struct eq_command *command, const char *name)
{
    for (int i = 0; i < eq_option_count; i++)
        if (eq_option_offered(&eq_option_table[i], command) && strcmp(eq_option_table[i].name, name) == 0)
            return &eq_option_table[i];
    return NULL;
}

const struct eq_option_row *eq_option_lettered(const struct eq_command *command, char letter)
{
    for (int i = 0; i < eq_option_count && letter; i++)
        if (eq_option_offered(&eq_option_table[i], command) && eq_option_table[i].letter == letter)
            return &eq_option_table[i];
    return NULL;
}
