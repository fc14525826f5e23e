/* Description of a model file: FP32 parameters with their ranges, or INT8 layers with their scales. */
#include "cmd/cmd.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <string.h>

static struct cJSON *describe_meta(const char *path, const char *format, const struct eq_model_meta *meta,
                                   uint64_t bytes)
{
    struct cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "path", path);
    cJSON_AddStringToObject(o, "format", format);
    cJSON_AddNumberToObject(o, "size_mb", (double)bytes / 1e6);
    cJSON_AddNumberToObject(o, "frames", meta->frames);
    cJSON_AddNumberToObject(o, "size", meta->size);
    cJSON_AddNumberToObject(o, "pixel_mean", meta->pixel_mean);
    cJSON_AddNumberToObject(o, "pixel_std", (double)meta->pixel_std);
    cJSON_AddNumberToObject(o, "target_mean", (double)meta->target_mean);
    cJSON_AddNumberToObject(o, "target_std", (double)meta->target_std);
    if (meta->looks.clips)
        eq_json_add(o, "clip_statistics", eq_looks_json(&meta->looks));
    return o;
}

static void add_shape(struct cJSON *layer, const size_t *shape, int rank)
{
    struct cJSON *list = cJSON_AddArrayToObject(layer, "shape");
    for (int i = 0; i < rank; i++)
        eq_json_add(list, NULL, cJSON_CreateNumber((double)shape[i]));
}

static void add_range(struct cJSON *layer, const char *key, const float *v, size_t n)
{
    float lo = INFINITY, hi = -INFINITY;
    for (size_t i = 0; i < n; i++) {
        lo = fminf(lo, v[i]);
        hi = fmaxf(hi, v[i]);
    }
    struct cJSON *range = cJSON_AddArrayToObject(layer, key);
    eq_json_add(range, NULL, cJSON_CreateNumber((double)lo));
    eq_json_add(range, NULL, cJSON_CreateNumber((double)hi));
}

static enum eq_status describe_fp32(const char *path, uint64_t bytes, struct cJSON **out, struct eq_err *err)
{
    struct eq_graph *g = NULL;
    EQ_CHECK(eq_model_load(path, &g, err));
    *out = describe_meta(path, EQ_FORMAT_FP32, &g->meta, bytes);
    cJSON_AddNumberToObject(*out, "parameters", (double)eq_graph_param_count(g));
    struct cJSON *layers = cJSON_AddArrayToObject(*out, "layers");
    for (int i = 0; i < g->n_params; i++) {
        struct cJSON *layer = cJSON_CreateObject();
        cJSON_AddStringToObject(layer, "name", g->params[i].name);
        add_shape(layer, g->params[i].value.shape, g->params[i].value.rank);
        add_range(layer, "range", eq_param_data(&g->params[i]), eq_param_count(&g->params[i]));
        cJSON_AddNumberToObject(layer, "bytes", (double)(eq_tensor_bytes(&g->params[i].value)));
        eq_json_add(layers, NULL, layer);
    }
    eq_graph_free(g);
    return EQ_OK;
}

static struct cJSON *describe_qnode(const struct eq_qnode *n)
{
    static const char *const op_names[] = {
        [EQ_QOP_INPUT] = "input", [EQ_QOP_CONV2D] = "conv2d", [EQ_QOP_MAXPOOL] = "maxpool", [EQ_QOP_HEAD] = "head"};
    struct cJSON *layer = cJSON_CreateObject();
    cJSON_AddStringToObject(layer, "name", n->name);
    cJSON_AddStringToObject(layer, "op", op_names[n->op]);
    if (n->fp32) {
        const size_t shape[4] = {n->cout, n->cin, n->k, n->k}, weights = shape[0] * shape[1] * shape[2] * shape[3];
        add_shape(layer, shape, 4);
        add_range(layer, "range", n->fp32_weights, weights);
        cJSON_AddNumberToObject(layer, "weight_bits", 32);
        cJSON_AddNumberToObject(layer, "bytes", (double)((weights + (size_t)n->cout) * sizeof(float)));
    }
    if (n->weights) {
        const size_t k = n->k ? n->k : 1, shape[4] = {n->cout, n->cin, k, k},
                     points[3] = {EQ_DOMAIN_POINTS, n->cout, n->cin};
        /* as the file packs them: a row that shares a scale at a time */
        const size_t rows = (size_t)n->cout * (n->domain ? EQ_DOMAIN_POINTS : 1),
                     per = (size_t)n->cin * (n->domain ? 1 : k * k);
        const size_t row = (per * (size_t)n->weight_bits + 7) / 8 + sizeof(float);
        add_shape(layer, n->domain ? points : shape, n->domain ? 3 : 4);
        add_range(layer, "weight_scale", n->weight_scale, rows);
        cJSON_AddNumberToObject(layer, "weight_bits", n->weight_bits);
        cJSON_AddNumberToObject(layer, "bytes", (double)(rows * row + (size_t)n->cout * sizeof(float)));
        if (n->domain)
            cJSON_AddBoolToObject(layer, "winograd", true);
    }
    if (n->op != EQ_QOP_HEAD && !n->fp32_edge) {
        cJSON_AddNumberToObject(layer, "scale", (double)n->dst.scale);
        cJSON_AddNumberToObject(layer, "zero_point", n->dst.zero_point);
    }
    cJSON_AddBoolToObject(layer, "relu", n->relu);
    cJSON_AddBoolToObject(layer, "residual", n->residual >= 0);
    return layer;
}

static enum eq_status describe_int8(const char *path, uint64_t bytes, struct cJSON **out, struct eq_err *err)
{
    struct eq_qmodel *m = NULL;
    EQ_CHECK(eq_qmodel_load(path, &m, err));
    *out = describe_meta(path, EQ_FORMAT_INT8, &m->meta, bytes);
    cJSON_AddStringToObject(*out, "method", m->method);
    cJSON_AddStringToObject(*out, "observer", m->observer);
    if (m->recipe)
        eq_json_add(*out, "recipe", cJSON_Parse(m->recipe));
    struct cJSON *layers = cJSON_AddArrayToObject(*out, "layers");
    for (int i = 0; i < m->n_nodes; i++)
        eq_json_add(layers, NULL, describe_qnode(&m->nodes[i]));
    eq_qmodel_free(m);
    return EQ_OK;
}

/* ---- text ---------------------------------------------------------------- */

/* The values of an array, separated by a text; "-" if there is no array. */
static void format(const struct cJSON *layer, const char *key, const char *between, int digits, char out[48])
{
    const struct cJSON *array = cJSON_GetObjectItemCaseSensitive(layer, key), *v;
    size_t n = (size_t)snprintf(out, 48, "%s", array ? "" : "-");
    cJSON_ArrayForEach(v, array) if (n < 48) n +=
        (size_t)snprintf(out + n, 48 - n, "%s%.*g", n ? between : "", digits, v->valuedouble);
}

static void print_layers(const struct cJSON *model, bool int8)
{
    const struct cJSON *layer;
    if (int8)
        eq_print_row("%-22s %-12s %-20s %-10s %4s %7s", "layer", "weights", "weight scale", "edge scale", "zero",
                     "bytes");
    else
        eq_print_row("%-34s %-11s %-24s %8s", "parameter", "shape", "range", "bytes");
    cJSON_ArrayForEach(layer, cJSON_GetObjectItemCaseSensitive(model, "layers"))
    {
        char shape[48], range[48], scale[16] = "-", zero[16] = "-", bytes[24] = "-";
        format(layer, "shape", "x", 9, shape);
        format(layer, int8 ? "weight_scale" : "range", " .. ", int8 ? 3 : 4, range);
        if (int8 && eq_json_real(layer, "weight_bits") == 32)
            snprintf(range, sizeof range, "FP32");
        if (cJSON_HasObjectItem(layer, "scale")) {
            snprintf(scale, sizeof scale, "%.4g", eq_json_real(layer, "scale"));
            snprintf(zero, sizeof zero, "%.0f", eq_json_real(layer, "zero_point"));
        }
        if (cJSON_HasObjectItem(layer, "bytes"))
            snprintf(bytes, sizeof bytes, "%.0f", eq_json_real(layer, "bytes"));
        if (int8)
            eq_print_row("%-22s %-12s %-20s %-10s %4s %7s", eq_json_text(layer, "name"), shape, range, scale, zero,
                         bytes);
        else
            eq_print_row("%-34s %-11s %-24s %8s", eq_json_text(layer, "name"), shape, range, bytes);
    }
}

/* The method, and the settings if the file has them. */
static enum eq_status print_method(const struct cJSON *m, struct eq_err *err)
{
    const struct cJSON *setting;
    enum eq_status st = EQ_OK;
    struct eq_str list = {0};
    eq_print_row("quantized by %s, activations by %s", eq_json_text(m, "method"), eq_json_text(m, "observer"));
    cJSON_ArrayForEach(setting, cJSON_GetObjectItemCaseSensitive(m, "recipe"))
    {
        if (cJSON_IsObject(setting)) /* the steps of a search: --json and the report show them */
            continue;
        eq_str_add(&list, "%s%s = ", list.len ? ", " : "settings: ", setting->string);
        EQ_TRY(eq_json_print_line(&list, setting, err));
    }
    if (list.len)
        eq_print_line(2, "%s", list.s);
out:
    eq_str_clear(&list);
    return st;
}

static void print_looks(const struct cJSON *looks)
{
    if (!looks) {
        eq_print_line(2,
                      "looks of its training clips: not in this file, so predict and eval cannot recognize clips that "
                      "look unlike them");
        return;
    }
    struct eq_str list = {0};
    for (int k = 0; k < EQ_LOOK_COUNT; k++) {
        char range[48];
        format(looks, eq_look_kinds[k].key, " .. ", 3, range);
        eq_str_add(&list, "%s %s %s", k ? "," : "", eq_look_kinds[k].key, range);
    }
    eq_print_line(2, "looks of its %.0f training clips:%s", eq_json_real(looks, "clips"), list.s);
    eq_str_clear(&list);
}

static enum eq_status print_model(const struct cJSON *m, bool int8, struct eq_err *err)
{
    eq_print_line(2, "%s: %s, %.2f MB", eq_json_text(m, "path"), int8 ? "INT8 model" : "FP32 model",
                  eq_json_real(m, "size_mb"));
    double frames = eq_json_real(m, "frames");
    eq_print_line(2, "input: %.0f frame%s of %.0f x %.0f, normalized by mean %.0f and deviation %.2f", frames,
                  eq_plural(frames), eq_json_real(m, "size"), eq_json_real(m, "size"), eq_json_real(m, "pixel_mean"),
                  eq_json_real(m, "pixel_std"));
    eq_print_row("EF of its training clips: %.2f +- %.2f %%", eq_json_real(m, "target_mean"),
                 eq_json_real(m, "target_std"));
    print_looks(cJSON_GetObjectItemCaseSensitive(m, "clip_statistics"));
    if (int8)
        EQ_CHECK(print_method(m, err));
    else
        eq_print_row("%.0f trainable values", eq_json_real(m, "parameters"));
    eq_print_row("%s", EQ_RESEARCH_ONLY);
    eq_print_text("\n");
    print_layers(m, int8);
    return EQ_OK;
}

enum eq_status eq_inspect_model(const char *path, bool json, struct eq_err *err)
{
    char kind[32];
    uint64_t bytes;
    struct cJSON *model = NULL;
    enum eq_status st;
    EQ_TRY(eq_file_size(path, &bytes, err));
    EQ_TRY(eq_model_kind(path, kind, err));
    bool int8 = strcmp(kind, EQ_FORMAT_INT8) == 0;
    EQ_TRY(int8 ? describe_int8(path, bytes, &model, err) : describe_fp32(path, bytes, &model, err));
    EQ_TRY(eq_json_check(err));
    EQ_TRY(json ? eq_print_json(model, err) : print_model(model, int8, err));
out:
    cJSON_Delete(model);
    return st;
}
