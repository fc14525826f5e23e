/*
 * The file of a quantized model: safetensors, metadata "format" = "echoquant-int8" and "version". The metadata carry
 * what preprocessing needs and "graph", a JSON array with an object a node in order: op, name, src, residual, cin,
 * cout, k, stride, pad, relu, bits. Tensors: NAME.weight (I8 [cout][cin][k][k]; below 8 bits U8, packed a channel at a
 * time: [cout][bytes]), NAME.weight_scale and NAME.bias (F32 [cout]); for convolutions NAME.scale (F32 [1]) and
 * NAME.zero_point (I32 [1]) of the output. A layer in FP32 (bits 32) has F32 weights and no weight_scale; an edge in
 * FP32 ("fp32_edge": true) no scale and zero_point.
 */
#include "quant/packing.h"
#include "quant/qmodel.h"

#include <cjson/cJSON.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Version 2 has layers in FP32, which a reader of version 1 could not run. */
#define VERSION "1"
#define MIXED_VERSION "2"

static const char *const op_names[EQ_QOP_COUNT] = {"input", "conv2d", "maxpool", "head"};

/* ---- writing ------------------------------------------------------------- */

static cJSON *node_to_json(const struct eq_qnode *n)
{
    cJSON *j = cJSON_CreateObject();
    cJSON_AddStringToObject(j, "op", op_names[n->op]);
    cJSON_AddStringToObject(j, "name", n->name);
    cJSON_AddNumberToObject(j, "src", n->src);
    cJSON_AddNumberToObject(j, "residual", n->residual);
    cJSON_AddNumberToObject(j, "cin", n->cin);
    cJSON_AddNumberToObject(j, "cout", n->cout);
    cJSON_AddNumberToObject(j, "k", n->k);
    cJSON_AddNumberToObject(j, "stride", n->stride);
    cJSON_AddNumberToObject(j, "pad", n->pad);
    cJSON_AddBoolToObject(j, "relu", n->relu);
    cJSON_AddNumberToObject(j, "bits", n->weight_bits);
    if (n->fp32_edge)
        cJSON_AddBoolToObject(j, "fp32_edge", true);
    return j;
}

static enum eq_status add_graph(const struct eq_qmodel *m, struct eq_st_file *f, struct eq_err *err)
{
    cJSON *list = cJSON_CreateArray();
    for (int i = 0; i < m->n_nodes; i++)
        cJSON_AddItemToArray(list, node_to_json(&m->nodes[i]));
    char *text = cJSON_PrintUnformatted(list);
    cJSON_Delete(list);
    if (!text)
        return eq_fail(err, EQ_NOMEM, "out of memory for the graph's description");
    eq_st_add_meta(f, "graph", "%s", text);
    cJSON_free(text);
    return EQ_OK;
}

static bool is_mixed(const struct eq_qmodel *m)
{
    bool mixed = false;
    for (int i = 0; i < m->n_nodes; i++)
        mixed = mixed || m->nodes[i].fp32;
    return mixed;
}

static void add_meta(const struct eq_qmodel *m, struct eq_st_file *f)
{
    eq_st_add_meta(f, "format", "%s", EQ_FORMAT_INT8);
    eq_st_add_meta(f, "version", "%s", is_mixed(m) ? MIXED_VERSION : VERSION);
    eq_st_add_meta(f, "sampling", "%s", EQ_SAMPLING_RULE);
    eq_st_add_meta(f, "frames", "%d", m->meta.frames);
    eq_st_add_meta(f, "size", "%d", m->meta.size);
    eq_st_add_meta(f, "pixel_mean", "%d", m->meta.pixel_mean);
    eq_st_add_meta(f, "pixel_std", "%.9g", (double)m->meta.pixel_std);
    eq_st_add_meta(f, "target_mean", "%.9g", (double)m->meta.target_mean);
    eq_st_add_meta(f, "target_std", "%.9g", (double)m->meta.target_std);
    eq_st_add_meta(f, "method", "%s", m->method);
    eq_st_add_meta(f, "observer", "%s", m->observer);
    if (m->recipe)
        eq_st_add_meta(f, "recipe", "%s", m->recipe);
}

/* packed: NULL for 8 bits, else room that lives until the file is written. */
static void add_tensors(const struct eq_qnode *n, uint8_t *packed, struct eq_st_file *f)
{
    char name[96];
    int64_t cout = n->cout, shape[4] = {cout, n->cin, n->k, n->k};
    size_t per = eq_qnode_weights(n) / (size_t)n->cout;
    snprintf(name, sizeof name, "%s.weight", n->name);
    if (n->fp32) {
        eq_st_add(f, name, EQ_ST_F32, 4, shape, n->fp32_weights);
    } else if (packed) {
        size_t row = eq_packed_weight_bytes(per, n->weight_bits);
        for (int64_t c = 0; c < cout; c++)
            eq_pack_weights(n->weights + (size_t)c * per, per, n->weight_bits, packed + (size_t)c * row);
        eq_st_add(f, name, EQ_ST_U8, 2, (int64_t[]){cout, (int64_t)row}, packed);
    } else {
        eq_st_add(f, name, EQ_ST_I8, 4, shape, n->weights);
    }
    snprintf(name, sizeof name, "%s.weight_scale", n->name);
    if (!n->fp32)
        eq_st_add(f, name, EQ_ST_F32, 1, &cout, n->weight_scale);
    snprintf(name, sizeof name, "%s.bias", n->name);
    eq_st_add(f, name, EQ_ST_F32, 1, &cout, n->bias);
    if (n->op != EQ_QOP_CONV2D || n->fp32_edge)
        return;
    snprintf(name, sizeof name, "%s.scale", n->name);
    eq_st_add(f, name, EQ_ST_F32, 1, (int64_t[]){1}, &n->dst.scale);
    snprintf(name, sizeof name, "%s.zero_point", n->name);
    eq_st_add(f, name, EQ_ST_I32, 1, (int64_t[]){1}, &n->dst.zero_point);
}

enum eq_status eq_qmodel_save(const char *path, const struct eq_qmodel *m, struct eq_err *err)
{
    struct eq_st_file f = {0};
    enum eq_status st;
    uint8_t **packed = eq_alloc((size_t)m->n_nodes, sizeof *packed);
    if (!packed)
        return eq_fail(err, EQ_NOMEM, "out of memory to save %s", path);
    add_meta(m, &f);
    EQ_TRY(add_graph(m, &f, err));
    for (int i = 0; i < m->n_nodes; i++) {
        const struct eq_qnode *n = &m->nodes[i];
        if (!eq_qnode_weights(n))
            continue;
        size_t row = n->fp32 ? 0 : eq_packed_weight_bytes(eq_qnode_weights(n) / (size_t)n->cout, n->weight_bits);
        if (n->weight_bits < 8 && !(packed[i] = eq_alloc((size_t)n->cout, row))) {
            st = eq_fail(err, EQ_NOMEM, "out of memory to save %s", path);
            goto out;
        }
        add_tensors(n, packed[i], &f);
    }
    st = eq_st_write(path, &f, err);
out:
    for (int i = 0; i < m->n_nodes; i++)
        eq_free(packed[i]);
    eq_free(packed);
    eq_st_clear(&f);
    return st;
}

/* ---- reading ------------------------------------------------------------- */

static enum eq_status meta_int(const struct eq_st_file *f, const char *key, int lo, int hi, int *out,
                               struct eq_err *err)
{
    const char *text = eq_st_meta(f, key);
    int64_t v;
    if (!text || !eq_parse_int64(text, &v) || v < lo || v > hi)
        return eq_fail(err, EQ_FORMAT, "metadata \"%s\" is %s%s%s: must be %d to %d", key, text ? "\"" : "",
                       text ? text : "missing", text ? "\"" : "", lo, hi);
    *out = (int)v;
    return EQ_OK;
}

static enum eq_status meta_float(const struct eq_st_file *f, const char *key, float *out, struct eq_err *err)
{
    const char *text = eq_st_meta(f, key);
    double v;
    if (!text || !eq_parse_double(text, &v) || !isfinite((float)v))
        return eq_fail(err, EQ_FORMAT, "metadata \"%s\" is %s%s%s: must be a finite number", key, text ? "\"" : "",
                       text ? text : "missing", text ? "\"" : "");
    *out = (float)v;
    return EQ_OK;
}

static enum eq_status meta_text(const struct eq_st_file *f, const char *key, char *out, size_t size, struct eq_err *err)
{
    const char *text = eq_st_meta(f, key);
    if (!text || strlen(text) >= size)
        return eq_fail(err, EQ_FORMAT, "metadata \"%s\" is missing or too long", key);
    memcpy(out, text, strlen(text) + 1);
    return EQ_OK;
}

/* Optional: files of earlier programs have none. */
static enum eq_status read_recipe(const struct eq_st_file *f, struct eq_qmodel *m, struct eq_err *err)
{
    const char *text = eq_st_meta(f, "recipe");
    cJSON *json = NULL;
    if (!text)
        return EQ_OK;
    enum eq_status st = eq_json_parse(text, strlen(text), "metadata \"recipe\"", &json, err);
    if (st == EQ_OK && !cJSON_IsObject(json))
        st = eq_fail(err, EQ_FORMAT, "metadata \"recipe\" is no JSON object");
    cJSON_Delete(json);
    if (st == EQ_OK)
        m->recipe = eq_strdup(text);
    return st;
}

static enum eq_status read_meta(const struct eq_st_file *f, struct eq_qmodel *m, struct eq_err *err)
{
    enum eq_status st;
    const char *format = eq_st_meta(f, "format"), *version = eq_st_meta(f, "version");
    const char *sampling = eq_st_meta(f, "sampling");
    if (!format || strcmp(format, EQ_FORMAT_INT8) != 0)
        return eq_fail(err, EQ_FORMAT, "not a quantized model: format is %s, not %s", format ? format : "missing",
                       EQ_FORMAT_INT8);
    if (!version || (strcmp(version, VERSION) != 0 && strcmp(version, MIXED_VERSION) != 0))
        return eq_fail(err, EQ_FORMAT, "quantized model of version %s: this program reads versions %s and %s",
                       version ? version : "(none)", VERSION, MIXED_VERSION);
    if (!sampling || strcmp(sampling, EQ_SAMPLING_RULE) != 0)
        return eq_fail(err, EQ_FORMAT, "unknown frame sampling \"%s\"", sampling ? sampling : "");
    EQ_TRY(meta_int(f, "frames", 1, 4096, &m->meta.frames, err));
    EQ_TRY(meta_int(f, "size", 1, 4096, &m->meta.size, err));
    EQ_TRY(meta_int(f, "pixel_mean", 0, 255, &m->meta.pixel_mean, err));
    EQ_TRY(meta_float(f, "pixel_std", &m->meta.pixel_std, err));
    EQ_TRY(meta_float(f, "target_mean", &m->meta.target_mean, err));
    EQ_TRY(meta_float(f, "target_std", &m->meta.target_std, err));
    EQ_TRY(meta_text(f, "method", m->method, sizeof m->method, err));
    EQ_TRY(meta_text(f, "observer", m->observer, sizeof m->observer, err));
    EQ_TRY(read_recipe(f, m, err));
out:
    return st;
}

static enum eq_status json_int(const cJSON *j, const char *node, const char *key, int *out, struct eq_err *err)
{
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(j, key);
    if (!cJSON_IsNumber(v) || !(fabs(v->valuedouble) <= 1e6) || v->valuedouble != floor(v->valuedouble))
        return eq_fail(err, EQ_FORMAT, "%s: \"%s\" must be a whole number", node, key);
    *out = (int)v->valuedouble;
    return EQ_OK;
}

static enum eq_status node_op(const cJSON *j, struct eq_qnode *n, int i, struct eq_err *err)
{
    const cJSON *name = cJSON_GetObjectItemCaseSensitive(j, "name");
    const cJSON *op = cJSON_GetObjectItemCaseSensitive(j, "op");
    if (!cJSON_IsString(name) || !name->valuestring[0] || strlen(name->valuestring) >= sizeof n->name)
        return eq_fail(err, EQ_FORMAT, "node %d has no name or one that is too long", i);
    memcpy(n->name, name->valuestring, strlen(name->valuestring) + 1);
    for (int k = 0; cJSON_IsString(op) && k < EQ_QOP_COUNT; k++)
        if (strcmp(op->valuestring, op_names[k]) == 0) {
            n->op = (enum eq_qop)k;
            return EQ_OK;
        }
    return eq_fail(err, EQ_FORMAT, "%s: unknown operation", n->name);
}

static enum eq_status node_from_json(const cJSON *j, struct eq_qnode *n, int i, struct eq_err *err)
{
    enum eq_status st;
    EQ_TRY(node_op(j, n, i, err));
    EQ_TRY(json_int(j, n->name, "src", &n->src, err));
    EQ_TRY(json_int(j, n->name, "residual", &n->residual, err));
    EQ_TRY(json_int(j, n->name, "cin", &n->cin, err));
    EQ_TRY(json_int(j, n->name, "cout", &n->cout, err));
    EQ_TRY(json_int(j, n->name, "k", &n->k, err));
    EQ_TRY(json_int(j, n->name, "stride", &n->stride, err));
    EQ_TRY(json_int(j, n->name, "pad", &n->pad, err));
    EQ_TRY(json_int(j, n->name, "bits", &n->weight_bits, err));
    const cJSON *relu = cJSON_GetObjectItemCaseSensitive(j, "relu");
    if (!cJSON_IsBool(relu)) {
        st = eq_fail(err, EQ_FORMAT, "%s: \"relu\" must be true or false", n->name);
        goto out;
    }
    n->relu = cJSON_IsTrue(relu);
    n->fp32_edge = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(j, "fp32_edge"));
    n->fp32 = n->weight_bits == 32;
out:
    return st;
}

static enum eq_status read_graph(const struct eq_st_file *f, struct eq_qmodel *m, struct eq_err *err)
{
    enum eq_status st;
    cJSON *list = NULL;
    const char *text = eq_st_meta(f, "graph");
    if (!text)
        return eq_fail(err, EQ_FORMAT, "metadata \"graph\" is missing");
    EQ_TRY(eq_json_parse(text, strlen(text), "graph", &list, err));
    int n = cJSON_IsArray(list) ? cJSON_GetArraySize(list) : 0, i = 0;
    if (n < 1 || n > EQ_QMODEL_MAX_NODES) {
        st = eq_fail(err, EQ_FORMAT, "the graph must be a list of 1 to %d nodes", EQ_QMODEL_MAX_NODES);
        goto out;
    }
    m->nodes = eq_alloc((size_t)n, sizeof *m->nodes);
    if (!m->nodes) {
        st = eq_fail(err, EQ_NOMEM, "out of memory for %d nodes", n);
        goto out;
    }
    const cJSON *j;
    cJSON_ArrayForEach(j, list)
    {
        EQ_TRY(node_from_json(j, &m->nodes[i], i, err));
        m->n_nodes = ++i;
    }
out:
    cJSON_Delete(list);
    return st;
}

static enum eq_status find_tensor(const struct eq_st_file *f, const struct eq_qnode *n, const char *what,
                                  enum eq_st_dtype dtype, int rank, const int64_t *shape,
                                  const struct eq_st_tensor **out, struct eq_err *err)
{
    char name[96];
    snprintf(name, sizeof name, "%s.%s", n->name, what);
    const struct eq_st_tensor *t = eq_st_find(f, name);
    if (!t)
        return eq_fail(err, EQ_FORMAT, "tensor %s is missing", name);
    bool same = t->dtype == dtype && t->rank == rank;
    for (int i = 0; same && i < rank; i++)
        same = t->shape[i] == shape[i];
    if (!same)
        return eq_fail(err, EQ_FORMAT, "tensor %s has a type or shape that disagrees with the graph", name);
    *out = t;
    return EQ_OK;
}

static enum eq_status read_fp32_weights(const struct eq_st_file *f, struct eq_qnode *n, struct eq_err *err)
{
    enum eq_status st;
    const struct eq_st_tensor *w, *bias;
    int64_t cout = n->cout, shape[4] = {cout, n->cin, n->k, n->k};
    EQ_TRY(find_tensor(f, n, "weight", EQ_ST_F32, 4, shape, &w, err));
    EQ_TRY(find_tensor(f, n, "bias", EQ_ST_F32, 1, &cout, &bias, err));
    n->fp32_weights = eq_alloc(eq_qnode_weights(n), sizeof(float));
    n->bias = eq_alloc((size_t)cout, sizeof(float));
    if (!n->fp32_weights || !n->bias)
        return eq_fail(err, EQ_NOMEM, "%s: out of memory for its weights", n->name);
    memcpy(n->fp32_weights, w->data, w->bytes);
    memcpy(n->bias, bias->data, bias->bytes);
out:
    return st;
}

static enum eq_status read_weights(const struct eq_st_file *f, struct eq_qnode *n, struct eq_err *err)
{
    enum eq_status st;
    const struct eq_st_tensor *w, *scale, *bias;
    int64_t cout = n->cout, shape[4] = {cout, n->cin, n->k, n->k};
    size_t total = eq_qnode_weights(n), per = total / (size_t)n->cout,
           row = eq_packed_weight_bytes(per, n->weight_bits);
    if (n->weight_bits == 8)
        EQ_TRY(find_tensor(f, n, "weight", EQ_ST_I8, 4, shape, &w, err));
    else
        EQ_TRY(find_tensor(f, n, "weight", EQ_ST_U8, 2, (int64_t[]){cout, (int64_t)row}, &w, err));
    EQ_TRY(find_tensor(f, n, "weight_scale", EQ_ST_F32, 1, &cout, &scale, err));
    EQ_TRY(find_tensor(f, n, "bias", EQ_ST_F32, 1, &cout, &bias, err));
    n->weights = eq_alloc(total, 1);
    n->weight_scale = eq_alloc((size_t)cout, sizeof(float));
    n->bias = eq_alloc((size_t)cout, sizeof(float));
    if (!n->weights || !n->weight_scale || !n->bias)
        return eq_fail(err, EQ_NOMEM, "%s: out of memory for its weights", n->name);
    for (int64_t c = 0; c < cout && n->weight_bits < 8; c++)
        eq_unpack_weights((const uint8_t *)w->data + (size_t)c * row, per, n->weight_bits,
                          n->weights + (size_t)c * per);
    if (n->weight_bits == 8)
        memcpy(n->weights, w->data, total);
    memcpy(n->weight_scale, scale->data, (size_t)cout * sizeof(float));
    memcpy(n->bias, bias->data, (size_t)cout * sizeof(float));
out:
    return st;
}

static enum eq_status read_qparams(const struct eq_st_file *f, struct eq_qnode *n, struct eq_err *err)
{
    enum eq_status st;
    const struct eq_st_tensor *scale, *zero_point;
    int32_t zp;
    EQ_TRY(find_tensor(f, n, "scale", EQ_ST_F32, 1, (int64_t[]){1}, &scale, err));
    EQ_TRY(find_tensor(f, n, "zero_point", EQ_ST_I32, 1, (int64_t[]){1}, &zero_point, err));
    memcpy(&n->dst.scale, scale->data, sizeof n->dst.scale);
    memcpy(&zp, zero_point->data, sizeof zp);
    n->dst.zero_point = zp;
    n->dst.qmin = 0;
    n->dst.qmax = 255;
out:
    return st;
}

static enum eq_status read_tensors(const struct eq_st_file *f, struct eq_qmodel *m, struct eq_err *err)
{
    enum eq_status st = EQ_OK;
    for (int i = 0; i < m->n_nodes && st == EQ_OK; i++) {
        if (eq_qnode_weights(&m->nodes[i]))
            st = m->nodes[i].fp32 ? read_fp32_weights(f, &m->nodes[i], err) : read_weights(f, &m->nodes[i], err);
        if (st == EQ_OK && m->nodes[i].op == EQ_QOP_CONV2D && !m->nodes[i].fp32_edge)
            st = read_qparams(f, &m->nodes[i], err);
    }
    eq_qmodel_derive_qparams(m);
    return st;
}

static size_t tensors_of(const struct eq_qnode *n)
{
    size_t weights = eq_qnode_weights(n) ? n->fp32 ? 2 : 3 : 0;
    return weights + (n->op == EQ_QOP_CONV2D && !n->fp32_edge ? 2 : 0);
}

static enum eq_status check_tensor_count(const struct eq_st_file *f, const struct eq_qmodel *m, struct eq_err *err)
{
    size_t expected = 0;
    for (int i = 0; i < m->n_nodes; i++)
        expected += tensors_of(&m->nodes[i]);
    if (f->n == expected)
        return EQ_OK;
    return eq_fail(err, EQ_FORMAT, "%zu tensors where the graph has %zu", f->n, expected);
}

enum eq_status eq_qmodel_from_st(const struct eq_st_file *f, struct eq_qmodel **out, struct eq_err *err)
{
    enum eq_status st;
    *out = NULL;
    struct eq_qmodel *m = eq_alloc(1, sizeof *m);
    if (!m)
        return eq_fail(err, EQ_NOMEM, "out of memory for a quantized model");
    EQ_TRY(read_meta(f, m, err));
    EQ_TRY(read_graph(f, m, err));
    EQ_TRY(eq_qmodel_check_graph(m, err));
    EQ_TRY(check_tensor_count(f, m, err));
    EQ_TRY(read_tensors(f, m, err));
    EQ_TRY(eq_qmodel_check_values(m, err));
    EQ_TRY(eq_qmodel_check_form(m, err));
    *out = m;
    m = NULL;
out:
    eq_qmodel_free(m);
    return st;
}

enum eq_status eq_qmodel_load(const char *path, struct eq_qmodel **out, struct eq_err *err)
{
    struct eq_st_file f = {0};
    *out = NULL;
    enum eq_status st = eq_st_read(path, &f, err);
    if (st != EQ_OK)
        return st;
    st = eq_qmodel_from_st(&f, out, err);
    eq_st_clear(&f);
    return st == EQ_OK ? st : eq_err_context(err, "%s", path);
}
