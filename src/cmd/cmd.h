/* Commands: what each is, and what main.c and the dispatcher need of them. */
#ifndef CMD_CMD_H
#define CMD_CMD_H

#include "cmd/options.h"

/* Reads its options and runs; the dispatcher prints the error and turns the status into the exit code. */
typedef enum eq_status (*eq_cmd_fn)(int argc, char **argv, struct eq_err *err);

struct eq_command {
    const char *name;
    eq_cmd_fn run;
    const char *summary; /* one line for `echoquant help` */
};

enum eq_status eq_cmd_train(int argc, char **argv, struct eq_err *err);
enum eq_status eq_cmd_ptq(int argc, char **argv, struct eq_err *err);
enum eq_status eq_cmd_qat(int argc, char **argv, struct eq_err *err);
enum eq_status eq_cmd_eval(int argc, char **argv, struct eq_err *err);
enum eq_status eq_cmd_sensitivity(int argc, char **argv, struct eq_err *err);
enum eq_status eq_cmd_report(int argc, char **argv, struct eq_err *err);
enum eq_status eq_cmd_run_all(int argc, char **argv, struct eq_err *err);
enum eq_status eq_cmd_synth(int argc, char **argv, struct eq_err *err);
enum eq_status eq_cmd_predict(int argc, char **argv, struct eq_err *err);
enum eq_status eq_cmd_inspect(int argc, char **argv, struct eq_err *err);
enum eq_status eq_cmd_export(int argc, char **argv, struct eq_err *err);
enum eq_status eq_cmd_bench(int argc, char **argv, struct eq_err *err);

/* quantize.c: what ptq and qat share, one model file made from the baseline. */
struct eq_derived_model {
    enum eq_phase phase;
    enum eq_status (*run)(const struct eq_config *cfg, const struct eq_dataset *ds, const char *model_path,
                          struct eq_err *err);
};
enum eq_status eq_cmd_derive(const struct eq_options *o, const struct eq_derived_model *model, struct eq_err *err);

/* The whole program on a table of commands; returns the exit code. */
int eq_cmd_main(const struct eq_command *commands, size_t n, int argc, char **argv);

/* print.c: results on stdout. */
void eq_print_json(const struct cJSON *json);
/* The table of a run and where its report lies; with json, results.json as it is. */
enum eq_status eq_print_results(const char *run_dir, bool json, struct eq_err *err);

/* inspect_*.c: each describes one kind of thing as text on stdout, or as one JSON object. */
enum eq_status eq_inspect_model(const char *path, bool json, struct eq_err *err);
enum eq_status eq_inspect_clip(const char *path, bool json, struct eq_err *err);
enum eq_status eq_inspect_folder(const char *path, const struct eq_config *cfg, bool json, struct eq_err *err);

#endif
