#include "cmd/cmd.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

/* text NULL: leaves *opset unchanged. */
static enum eq_status read_opset(const char *text, int *opset, struct eq_err *err)
{
    int64_t v;
    if (!text)
        return EQ_OK;
    if (!eq_parse_int64(text, &v) || v < EQ_ONNX_MIN_OPSET || v > EQ_ONNX_MAX_OPSET)
        return eq_fail(err, EQ_USAGE, "--opset %s: must be %d to %d", text, EQ_ONNX_MIN_OPSET, EQ_ONNX_MAX_OPSET);
    *opset = (int)v;
    return EQ_OK;
}

static enum eq_status read_residual(const char *text, enum eq_onnx_residual *residual, struct eq_err *err)
{
    *residual = text && strcmp(text, "u8") == 0 ? EQ_ONNX_RESIDUAL_U8 : EQ_ONNX_RESIDUAL_FLOAT;
    if (text && *residual == EQ_ONNX_RESIDUAL_FLOAT && strcmp(text, "float") != 0)
        return eq_fail(err, EQ_USAGE, "--residual %s: must be float or u8", text);
    return EQ_OK;
}

/* Whether both paths name one file: the export would replace the model. */
static bool same_file(const char *a, const char *b)
{
    char *real_a = eq_real_path(a), *real_b = eq_real_path(b);
    bool same = real_a && real_b && strcmp(real_a, real_b) == 0;
    free(real_a);
    free(real_b);
    return same;
}

static enum eq_status export_model(const struct eq_options *o, int opset, const char **precision, struct eq_err *err)
{
    enum eq_status st;
    char kind[32];
    struct eq_graph *graph = NULL;
    struct eq_qmodel *qmodel = NULL;
    enum eq_onnx_residual residual;
    EQ_TRY(read_residual(o->residual, &residual, err));
    EQ_TRY(eq_model_kind(o->model, kind, err));
    if (strcmp(kind, EQ_FORMAT_INT8) == 0) {
        *precision = "INT8 (QDQ)";
        EQ_TRY(eq_qmodel_load(o->model, &qmodel, err));
        EQ_TRY(eq_qmodel_export_onnx(o->onnx, qmodel, opset, residual, err));
    } else {
        *precision = "FP32";
        if (o->residual)
            EQ_TRY(eq_fail(err, EQ_USAGE, "--residual is only for INT8 models; %s is an FP32 model", o->model));
        EQ_TRY(eq_model_load(o->model, &graph, err));
        EQ_TRY(eq_export_onnx(o->onnx, graph, opset, err));
    }
out:
    eq_graph_free(graph);
    eq_qmodel_free(qmodel);
    return st;
}

static enum eq_status check(const struct eq_options *o, struct eq_err *err)
{
    if (!o->model || !o->onnx)
        return eq_fail(err, EQ_USAGE, "export needs a model, FILE or --model FILE, and --onnx FILE");
    return same_file(o->model, o->onnx)
               ? eq_fail(err, EQ_USAGE, "--onnx %s is the model itself: name another file", o->onnx)
               : EQ_OK;
}

static enum eq_status print_json(const struct eq_options *o, int opset, const char *precision, uint64_t bytes,
                                 struct eq_err *err)
{
    struct cJSON *json = cJSON_CreateObject();
    cJSON_AddStringToObject(json, "path", o->onnx);
    cJSON_AddStringToObject(json, "model", o->model);
    cJSON_AddStringToObject(json, "precision", precision);
    cJSON_AddNumberToObject(json, "opset", opset);
    cJSON_AddNumberToObject(json, "bytes", (double)bytes);
    enum eq_status st = eq_print_json(json, err);
    cJSON_Delete(json);
    return st;
}

static enum eq_status run(struct eq_session *s, struct eq_err *err)
{
    const struct eq_options *o = &s->options;
    const char *precision;
    uint64_t bytes;
    int opset = EQ_ONNX_MIN_OPSET;
    EQ_CHECK(read_opset(o->opset, &opset, err));
    EQ_CHECK(export_model(o, opset, &precision, err));
    EQ_CHECK(eq_file_size(o->onnx, &bytes, err));
    if (o->json)
        return print_json(o, opset, precision, bytes, err);
    eq_print_row("%s: ONNX opset %d, %s, %.2f MB", o->onnx, opset, precision, (double)bytes / 1e6);
    return EQ_OK;
}

const struct eq_command eq_cmd_export = {
    .name = "export",
    .summary = "write a model as an ONNX file",
    .arguments = "FILE",
    .about = "Writes a model (FILE, or --model FILE) as a self-contained ONNX file, for ONNX Runtime, "
             "OpenVINO, and others. The ONNX model has one input and one output:\n\n"
             "  pixels: u8 [frames, 3, size, size], the sampled frames of one clip, RGB, any number of "
             "frames; the graph normalizes them\n"
             "  ef: f32 [1, 1], the EF in percent\n\n"
             "An FP32 model becomes plain operators with batch norm folded into the convolutions. An INT8 "
             "model becomes QDQ: u8 activations, s8 weights per channel, and s32 biases between "
             "QuantizeLinear and DequantizeLinear. The metadata of the file says how clips are sampled, "
             "and their size. docs/ONNX.md has an example.\n\n"
             "--json prints one object: path, model, precision, opset, bytes.\n",
    .example = "runs/first/ptq.safetensors --onnx ptq.onnx",
    .options = EQ_OPT_MODEL | EQ_OPT_ONNX | EQ_OPT_JSON,
    .accepts = EQ_ARG_MODEL,
    .check = check,
    .run = run,
};
