/* echoquant: the table of commands. A tour of the code starts here, then src/cmd/ptq.c. */
#include "cmd/cmd.h"

static const struct eq_command commands[] = {
    {"run-all", eq_cmd_run_all, "the whole experiment: train, PTQ, QAT, evaluation, report"},
    {"train", eq_cmd_train, "train the FP32 baseline"},
    {"ptq", eq_cmd_ptq, "quantize it after training (PTQ)"},
    {"qat", eq_cmd_qat, "quantize it with quantization-aware training (QAT)"},
    {"eval", eq_cmd_eval, "evaluate models on the test split: errors, size, latency"},
    {"sensitivity", eq_cmd_sensitivity, "which layers quantization hurts, and why"},
    {"report", eq_cmd_report, "write report.md and report.html from the results"},
    {"predict", eq_cmd_predict, "predict the EF of clips"},
    {"bench", eq_cmd_bench, "measure a model's latency"},
    {"export", eq_cmd_export, "write a model as an ONNX file"},
    {"inspect", eq_cmd_inspect, "what is in a model file, a clip, a data folder"},
    {"synth", eq_cmd_synth, "write a synthetic data set"},
};

int main(int argc, char **argv)
{
    return eq_cmd_main(commands, sizeof commands / sizeof *commands, argc, argv);
}
