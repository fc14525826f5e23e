/* Commands: their table rows, what they need before they run, and what they share. */
#ifndef CMD_CMD_H
#define CMD_CMD_H

#include "cmd/options.h"
#include "echoquant/dist.h"

/* What eq_session_open does for a command before it runs. */
enum eq_need {
    EQ_NEED_RUN = 1 << 0,      /* the run directory: admitted, locked, entered for the phase */
    EQ_NEED_DATA = 1 << 1,     /* the data of the settings, opened */
    EQ_NEED_BASELINE = 1 << 2, /* an FP32 model to quantize, checked: that of the run, or of --model */
    EQ_NEED_DEVICE = 1 << 3,   /* the device of run.device, opened */
    EQ_NEED_DEVICES = 1 << 4,  /* the devices of an evaluation: run.device and eval.devices, opened */
    EQ_NEED_OTHERS = 1 << 5    /* the processes of mpirun, with which it shares its work (dist.h) */
};

/* What an argument that is neither the name of a model nor of a layer may be instead of an option. */
enum eq_argument {
    EQ_ARG_RUN = 1 << 0,      /* a folder: --run */
    EQ_ARG_MODEL = 1 << 1,    /* a file: --model */
    EQ_ARG_OTHER_RUN = 1 << 2 /* a second folder, which stays among the arguments */
};

/* The options of a command and everything opened for it. */
struct eq_session {
    struct eq_options options;
    const struct eq_config *cfg; /* the options' settings */
    enum eq_phase phase;         /* EQ_NEED_RUN */
    struct eq_run_lock lock;
    struct eq_dataset data;        /* EQ_NEED_DATA */
    struct eq_device *device;      /* EQ_NEED_DEVICE; NULL: the CPU */
    struct eq_run_devices devices; /* EQ_NEED_DEVICES */
    bool done;                     /* EQ_NEED_RUN: the model of the phase exists; the command only names it */
};

struct eq_command {
    const char *name;
    const char *summary;         /* one line for `echoquant help` */
    const char *arguments;       /* after "[options]" in the usage line; "" none */
    const char *about;           /* what it does, reads and writes: paragraphs for eq_str_add_wrapped */
    const char *example;         /* arguments after the name of the command, and what they do after "  # " */
    unsigned options;            /* enum eq_option_bit; --quiet, --verbose and --help go with every command */
    unsigned accepts;            /* enum eq_argument */
    int min_args, max_args;      /* of those that are left after `accepts` */
    const char *const *sections; /* settings that it reads, as in eq_settings_help; NULL: none */
    unsigned needs;              /* enum eq_need */
    enum eq_phase phase;         /* EQ_NEED_RUN; with --control it is EQ_PHASE_CONTROL */
    /* Refuses what can be refused before anything is opened or made; NULL: no check. */
    enum eq_status (*check)(const struct eq_options *o, struct eq_err *err);
    /* Prints results. The dispatcher prints the error and turns the status into the exit code. */
    enum eq_status (*run)(struct eq_session *s, struct eq_err *err);
};
extern const struct eq_command eq_cmd_train, eq_cmd_ptq, eq_cmd_qat, eq_cmd_eval, eq_cmd_sensitivity, eq_cmd_report,
    eq_cmd_run_all, eq_cmd_verify, eq_cmd_synth, eq_cmd_import, eq_cmd_predict, eq_cmd_inspect, eq_cmd_export,
    eq_cmd_bench, eq_cmd_devices;

/* Runs the program with a table of n commands; returns the exit code. */
int eq_cmd_main(const struct eq_command *const *commands, size_t n, int argc, char **argv);

/* session.c: reads the options and prepares what the command needs, always in this order: admission, baseline,
 * check, devices, lock, data, entering. With --help it prints the help instead and sets s->options.help. Close s in
 * any case. */
enum eq_status eq_session_open(struct eq_session *s, const struct eq_command *command, int argc, char **argv,
                               struct eq_err *err);
void eq_session_close(struct eq_session *s);

/* print.c: results on stdout. */
/* One object: indented, or, after eq_print_json_lines, on a line of its own. Commands that print several call that. */
enum eq_status eq_print_json(const struct cJSON *json, struct eq_err *err);
void eq_print_json_lines(void);
/* A line of text. On a terminal it is broken between words, and its later lines begin at column `indent`. */
void eq_print_line(int indent, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The table of a run; with json, results.json as it is. */
enum eq_status eq_print_results(const char *run_dir, bool json, struct eq_err *err);
/* The lines of eq_run_verdict_lines, with a blank line before each. */
void eq_print_verdict_lines(const char *text);
/* The verdict of a run in words, if there is one. */
enum eq_status eq_print_verdict(const struct eq_config *cfg, struct eq_err *err);
/* The table, the verdict, and the path of the report; with json, results.json as it is. */
enum eq_status eq_print_report(const struct eq_config *cfg, bool json, struct eq_err *err);
/* The file that the phase of the session made, if st is EQ_OK; else returns st. */
enum eq_status eq_print_model(const struct eq_session *s, enum eq_status st, struct eq_err *err);
/* bench_text.c: the result of `bench` as text. */
void eq_print_bench(const struct cJSON *result);

/* inspect_*.c: each prints a description of path on stdout, as text or as one JSON object. */
enum eq_status eq_inspect_model(const char *path, bool json, struct eq_err *err);
enum eq_status eq_inspect_clip(const char *path, bool json, struct eq_err *err);
/* EQ_FORMAT, after the description: the data have a problem. */
enum eq_status eq_inspect_folder(const char *path, const struct eq_options *options, struct eq_err *err);
/* *known: path is a run directory without results, or a folder of runs; otherwise nothing is printed. */
enum eq_status eq_inspect_runs(const char *path, bool json, bool *known, struct eq_err *err);

#endif
