/* The options of all commands: one table, the settings that they change, and --help. */
#ifndef CMD_OPTIONS_H
#define CMD_OPTIONS_H

#include "echoquant/run.h"

enum eq_option_bit {
    EQ_OPT_SETTINGS = 1 << 0, /* --config, --set */
    EQ_OPT_RUN = 1 << 1,
    EQ_OPT_DATA = 1 << 2,
    EQ_OPT_SEED = 1 << 3,
    EQ_OPT_COMPUTE = 1 << 4, /* --threads, --cpu */
    EQ_OPT_MODEL = 1 << 5,
    EQ_OPT_NAME = 1 << 6,
    EQ_OPT_FORCE = 1 << 7,
    EQ_OPT_JSON = 1 << 8,
    EQ_OPT_CONTROL = 1 << 9,
    EQ_OPT_ONNX = 1 << 10, /* --onnx, --opset, --residual */
    EQ_OPT_PRECISION = 1 << 11,
    EQ_OPT_PHASES = 1 << 12,
    EQ_OPT_BENCH = 1 << 13,   /* --train, --fresh, --clips, ... of bench */
    EQ_OPT_PREDICT = 1 << 14, /* --output, --null */
    EQ_OPT_SHEET = 1 << 15,   /* --contact-sheet */
    EQ_OPT_IMPORT = 1 << 16,  /* --out, --labels, --crop, ... of import */
    EQ_OPT_REPORT = 1 << 17,  /* --format, --out of report */
    EQ_OPT_DEVICE = 1 << 18
};

enum eq_help { EQ_HELP_NONE, EQ_HELP_SHORT, EQ_HELP_WHOLE };

struct eq_options {
    struct eq_settings settings;
    enum eq_help help; /* it was asked for and printed: the command is done */
    bool json, force, control, null;
    bool clips_given;                                                            /* --clips */
    const char *model, *name, *onnx, *opset, *residual, *fresh, *output, *sheet; /* NULL: not given */
    const char *out, *labels, *crop; /* of import and report; NULL: not given */
    const char *format, *tensorboard;
    bool no_mask, pictures;
    char *model_path;           /* owned: what model points to */
    struct eq_bench_opts bench; /* with_data: --data was given, to any command */
    char **args;                /* [n_args], in argv */
    int n_args;
};

struct eq_command;
/* Reads argv into settings and options; configures log, threads and CPU. EQ_USAGE: something in them is refused. Clear
 * o in any case. */
enum eq_status eq_options_init(struct eq_options *o, const struct eq_command *command, int argc, char **argv,
                               struct eq_err *err);
void eq_options_clear(struct eq_options *o);
/* help.c: columns for text on stdout, 40 to 120: those of the terminal, or of the variable COLUMNS, or 80. */
int eq_help_width(void);

#endif
