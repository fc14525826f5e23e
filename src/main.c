/* echoquant: the table of commands. A tour of the code starts here, then src/cmd/ptq.c. */
#include "cmd/cmd.h"

static const struct eq_command *const commands[] = {
    &eq_cmd_run_all,     &eq_cmd_train,  &eq_cmd_ptq,     &eq_cmd_qat,     &eq_cmd_eval,
    &eq_cmd_sensitivity, &eq_cmd_report, &eq_cmd_verify,  &eq_cmd_predict, &eq_cmd_bench,
    &eq_cmd_devices,     &eq_cmd_export, &eq_cmd_inspect, &eq_cmd_synth,   &eq_cmd_import,
};

int main(int argc, char **argv)
{
    return eq_cmd_main(commands, sizeof commands / sizeof *commands, argc, argv);
}
