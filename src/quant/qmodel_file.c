/*
 * The file of a quantized model: safetensors, metadata "format" = "echoquant-int8" and "version". The metadata hold
 * the data for preprocessing and "graph", a JSON array with one object per node, in order: op, name, src, residual,
 * cin, cout, k, stride, pad, relu, bits. Tensors: NAME.weight (I8 [cout][cin][k][k]; below 8 bits U8, packed a channel
 * at a time: [cout][bytes]), NAME.weight_scale and NAME.bias (F32 [cout]); for convolutions NAME.scale (F32 [1]) and
 * NAME.zero_point (I32 [1]) of the output. A layer in FP32 (bits 32) has F32 weights and no weight_scale; an edge in
 * FP32 ("fp32_edge": true) no scale and zero_point. A layer in Winograd's domain ("winograd": true) has the weights I8
 * [36][cout][cin] (below 8 bits U8 [36][cout][bytes]), weight_scale [36][cout], and point_mul and point_add (I32 [36]).
 */
#include "model/graph.h"
#include "quant/qmodel.h"

#include <cjson/cJSON.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Version 2 has layers in FP32, version 3 such in Winograd's domain, which a reader of an earlier one could not run. */
enum version { PLAIN, MIXED, DOMAIN, VERSIONS };
static const char *const versions[VERSIONS] = {"1", "2", "3"};

static const char *const op_names[EQ_QOP_COUNT] = {"input", "conv2d", "maxpool", "head"};
/* The whole numbers of a node. */
static const struct {
    const char *key;
    size_t offset;
} numbers[] = {{"src", offsetof(struct eq_qnode, src)}, {"residual", offsetof(struct eq_qnode, residual)},
               {"cin", offsetof(struct eq_qnode, cin)}, {"cout", offsetof(struct eq_qnode, cout)},
               {"k", offsetof(struct eq_qnode, k)},     {"stride", offsetof(struct eq_qnode, stride)},
               {"pad", offsetof(struct eq_qnode, pad)}, {"bits", offsetof(struct eq_qnode, weight_bits)}};
enum { NUMBERS = sizeof numbers / sizeof *numbers };

/* ---- writing ------------------------------------------------------------- */

static cJSON *node_to_json(const struct eq_qnode *n)
{
    cJSON *j = cJSON_CreateObject();
    cJSON_AddStringToObject(j, "op", op_names[n->op]);
    cJSON_AddStringToObject(j, "name", n->name);
    for (int i = 0; i < NUMBERS; i++) {
        if (i == NUMBERS - 1) /* "relu" comes before "bits" in the file */
            cJSON_AddBoolToObject(j, "relu", n->relu);
        cJSON_AddNumberToObject(j, numbers[i].key, *(const int *)(const void *)((const char *)n + numbers[i].offset));
    }
    if (n->fp32_edge)
        cJSON_AddBoolToObject(j, "fp32_edge", true);
    if (n->domain)
        cJSON_AddBoolToObject(j, "winograd", true);
    return j;
}

static enum eq_status add_graph(const struct eq_qmodel *m, struct eq_st_file *f, struct eq_err *err)
{
    struct eq_str text = {0};
    cJSON *list = cJSON_CreateArray();
    for (int i = 0; i < m->n_nodes; i++)
        eq_json_add(list, NULL, node_to_json(&m->nodes[i]));
    enum eq_status st = eq_json_print_line(&text, list, err);
    cJSON_Delete(list);
    if (st == EQ_OK)
        eq_st_add_meta(f, "graph", "%s", text.s);
    eq_str_clear(&text);
    return st;
}

static enum eq_status add_meta(const struct eq_qmodel *m, struct eq_st_file *f, struct eq_err *err)
{
    enum version version = eq_qmodel_has_domain(m) ? DOMAIN : PLAIN;
    for (int i = 0; i < m->n_nodes; i++)
        version = m->nodes[i].fp32 && version < MIXED ? MIXED : version;
    eq_st_add_meta(f, "format", "%s", EQ_FORMAT_INT8);
    eq_st_add_meta(f, "version", "%s", versions[version]);
    eq_st_add_meta(f, "sampling", "%s", EQ_SAMPLING_RULE);
    EQ_CHECK(eq_model_meta_add(f, &m->meta, err));
    eq_st_add_meta(f, "method", "%s", m->method);
    eq_st_add_meta(f, "observer", "%s", m->observer);
    if (m->recipe)
        eq_st_add_meta(f, "recipe", "%s", m->recipe);
    return EQ_OK;
}

static bool is_packed(const struct eq_qnode *n)
{
    return eq_qnode_weights(n) && n->weight_bits < 8;
}

/* Bytes of a row of packed weights. */
static size_t packed_row(const struct eq_qnode *n)
{
    return n->fp32 ? 0 : eq_packed_weight_bytes(eq_qnode_weights(n) / eq_qnode_rows(n), n->weight_bits);
}

/* [rows][packed_row], to be freed with eq_free; NULL when out of memory. */
static uint8_t *pack_weights(const struct eq_qnode *n)
{
    size_t row = packed_row(n), rows = eq_qnode_rows(n), per = eq_qnode_weights(n) / rows;
    uint8_t *packed = eq_alloc(rows, row);
    for (size_t c = 0; packed && c < rows; c++)
        eq_pack_weights(n->weights + c * per, per, n->weight_bits, packed + c * row);
    return packed;
}

enum { MAX_TENSORS = 7 };

/* Weights as the file has them. */
static struct eq_tensor weight_tensor(const struct eq_qnode *n, uint8_t *packed)
{
    const size_t direct[4] = {n->cout, n->cin, n->k, n->k}, rows[2] = {n->cout, packed_row(n)};
    const size_t points[3] = {EQ_DOMAIN_POINTS, n->cout, n->weight_bits < 8 ? packed_row(n) : (size_t)n->cin};
    const bool is_packed = !n->fp32 && n->weight_bits < 8;
    void *const data = is_packed ? (void *)packed : (void *)n->weights;
    if (n->fp32)
        return eq_tensor_view(EQ_F32, 4, direct, n->fp32_weights);
    if (n->domain)
        return eq_tensor_view(is_packed ? EQ_U8 : EQ_S8, 3, points, data);
    return is_packed ? eq_tensor_view(EQ_U8, 2, rows, data) : eq_tensor_view(EQ_S8, 4, direct, data);
}

/* The tensors of a node, in the file's order, over the node's own memory; weights below 8 bits over packed, which is
 * [rows][bytes of a row]. Returns how many. */
static int node_tensors(const struct eq_qnode *n, uint8_t *packed, struct eq_tensor *out, const char **kind)
{
    const size_t scales[2] = {EQ_DOMAIN_POINTS, n->cout}, points = EQ_DOMAIN_POINTS, one = 1;
    int i = 0;
    if (eq_qnode_weights(n)) {
        kind[i] = "weight";
        out[i++] = weight_tensor(n, packed);
        if (!n->fp32) {
            kind[i] = "weight_scale";
            out[i++] = eq_tensor_view(EQ_F32, n->domain ? 2 : 1, n->domain ? scales : scales + 1, n->weight_scale);
        }
        kind[i] = "bias";
        out[i++] = eq_tensor_view(EQ_F32, 1, scales + 1, n->bias);
    }
    if (n->domain) {
        kind[i] = "point_mul";
        out[i++] = eq_tensor_view(EQ_S32, 1, &points, n->point_mul);
        kind[i] = "point_add";
        out[i++] = eq_tensor_view(EQ_S32, 1, &points, n->point_add);
    }
    if (n->op == EQ_QOP_CONV2D && !n->fp32_edge) {
        kind[i] = "scale";
        out[i++] = eq_tensor_view(EQ_F32, 1, &one, &n->dst.scale);
        kind[i] = "zero_point";
        out[i++] = eq_tensor_view(EQ_S32, 1, &one, &n->dst.zero_point);
    }
    return i;
}

/* f: borrows from m and packed, [n_nodes], whose entries the caller frees with eq_free. */
static enum eq_status fill_file(const struct eq_qmodel *m, uint8_t **packed, struct eq_st_file *f, struct eq_err *err)
{
    EQ_CHECK(add_meta(m, f, err));
    EQ_CHECK(add_graph(m, f, err));
    for (int i = 0; i < m->n_nodes; i++) {
        const struct eq_qnode *n = &m->nodes[i];
        struct eq_tensor tensors[MAX_TENSORS];
        const char *kinds[MAX_TENSORS];
        char name[96];
        if (is_packed(n) && !(packed[i] = pack_weights(n)))
            return eq_fail(err, EQ_NOMEM, "out of memory for the weights of %s", n->name);
        for (int k = 0, count = node_tensors(n, packed[i], tensors, kinds); k < count; k++) {
            snprintf(name, sizeof name, "%s.%s", n->name, kinds[k]);
            eq_st_add(f, name, tensors[k]);
        }
    }
    return EQ_OK;
}

/* Writes the file, or with path NULL sets only its size. */
static enum eq_status make_file(const struct eq_qmodel *m, const char *path, size_t *bytes, struct eq_err *err)
{
    struct eq_st_file f = {0};
    uint8_t **packed = eq_alloc((size_t)m->n_nodes, sizeof *packed);
    if (!packed)
        return eq_fail(err, EQ_NOMEM, "out of memory for the file of a quantized model");
    enum eq_status st = fill_file(m, packed, &f, err);
    if (st == EQ_OK)
        st = path ? eq_st_write(path, &f, err) : eq_st_file_bytes(&f, bytes, err);
    for (int i = 0; i < m->n_nodes; i++)
        eq_free(packed[i]);
    eq_free(packed);
    eq_st_clear(&f);
    return st;
}

enum eq_status eq_qmodel_save(const char *path, const struct eq_qmodel *m, struct eq_err *err)
{
    return make_file(m, path, NULL, err);
}

enum eq_status eq_qmodel_file_bytes(const struct eq_qmodel *m, size_t *bytes, struct eq_err *err)
{
    return make_file(m, NULL, bytes, err);
}

/* ---- reading ------------------------------------------------------------- */

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
        st = eq_fail(err, EQ_FORMAT, "metadata \"recipe\" is not a JSON object");
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
    int known = 0;
    while (version && known < VERSIONS && strcmp(version, versions[known]) != 0)
        known++;
    if (!version || known == VERSIONS)
        return eq_fail(err, EQ_FORMAT, "quantized model of version %s: this program reads versions %s to %s",
                       version ? version : "(none)", versions[0], versions[VERSIONS - 1]);
    if (!sampling || strcmp(sampling, EQ_SAMPLING_RULE) != 0)
        return eq_fail(err, EQ_FORMAT, "unknown frame sampling \"%s\"", sampling ? sampling : "");
    EQ_TRY(eq_model_meta_read(f, &m->meta, err));
    EQ_TRY(meta_text(f, "method", m->method, sizeof m->method, err));
    EQ_TRY(meta_text(f, "observer", m->observer, sizeof m->observer, err));
    EQ_TRY(read_recipe(f, m, err));
out:
    return st;
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

static enum eq_status node_from_json(const cJSON *j, struct eq_qnode *n, int number, struct eq_err *err)
{
    enum eq_status st;
    EQ_TRY(node_op(j, n, number, err));
    for (int i = 0; i < NUMBERS; i++) {
        const cJSON *v = cJSON_GetObjectItemCaseSensitive(j, numbers[i].key);
        if (!cJSON_IsNumber(v) || !(fabs(v->valuedouble) <= 1e6) || v->valuedouble != floor(v->valuedouble))
            EQ_TRY(eq_fail(err, EQ_FORMAT, "%s: \"%s\" must be a whole number", n->name, numbers[i].key));
        *(int *)(void *)((char *)n + numbers[i].offset) = (int)v->valuedouble;
    }
    const cJSON *relu = cJSON_GetObjectItemCaseSensitive(j, "relu");
    if (!cJSON_IsBool(relu))
        EQ_TRY(eq_fail(err, EQ_FORMAT, "%s: \"relu\" must be true or false", n->name));
    n->relu = cJSON_IsTrue(relu);
    n->fp32_edge = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(j, "fp32_edge"));
    n->domain = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(j, "winograd"));
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
    if (n < 1 || n > EQ_QMODEL_MAX_NODES)
        EQ_TRY(eq_fail(err, EQ_FORMAT, "the graph must be a list of 1 to %d nodes", EQ_QMODEL_MAX_NODES));
    m->nodes = eq_alloc((size_t)n, sizeof *m->nodes);
    if (!m->nodes)
        EQ_TRY(eq_fail(err, EQ_NOMEM, "out of memory for %d nodes", n));
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

/* The tensor "NODE.kind" of the file, which must have the form of value; at: as for eq_st_find_next. */
static enum eq_status find_tensor(const struct eq_st_file *f, size_t *at, const char *node, const char *kind,
                                  const struct eq_tensor *value, const struct eq_tensor **out, struct eq_err *err)
{
    char name[96];
    snprintf(name, sizeof name, "%s.%s", node, kind);
    const struct eq_st_tensor *t = eq_st_find_next(f, at, name);
    if (!t)
        return eq_fail(err, EQ_FORMAT, "tensor %s is missing", name);
    if (t->value.dtype != value->dtype || !eq_tensor_same_shape(&t->value, value))
        return eq_fail(err, EQ_FORMAT, "tensor %s has a type or shape that disagrees with the graph", name);
    *out = &t->value;
    return EQ_OK;
}

/* Looks for the tensors of a node in the file before memory is taken for them. */
static enum eq_status read_node(const struct eq_st_file *f, size_t *at, struct eq_qnode *n, struct eq_err *err)
{
    struct eq_tensor tensors[MAX_TENSORS];
    const struct eq_tensor *found[MAX_TENSORS];
    const char *kinds[MAX_TENSORS];
    enum eq_status st = EQ_OK;
    uint8_t *packed = NULL;
    for (int k = 0, count = node_tensors(n, NULL, tensors, kinds); k < count; k++)
        EQ_TRY(find_tensor(f, at, n->name, kinds[k], &tensors[k], &found[k], err));
    if (eq_qnode_weights(n))
        EQ_TRY(eq_qnode_alloc(n, err));
    if (is_packed(n) && !(packed = eq_alloc(eq_qnode_rows(n), packed_row(n))))
        EQ_TRY(eq_fail(err, EQ_NOMEM, "%s: out of memory for its weights", n->name));
    for (int k = 0, count = node_tensors(n, packed, tensors, kinds); k < count; k++)
        memcpy(tensors[k].data, found[k]->data, eq_tensor_bytes(found[k]));
    size_t row = packed ? packed_row(n) : 0, per = packed ? eq_qnode_weights(n) / eq_qnode_rows(n) : 0;
    for (size_t c = 0; packed && c < eq_qnode_rows(n); c++)
        eq_unpack_weights(packed + c * row, per, n->weight_bits, n->weights + c * per);
    if (n->op == EQ_QOP_CONV2D && !n->fp32_edge)
        n->dst.qmax = 255;
out:
    eq_free(packed);
    return st;
}

/* The header has the tensors of the graph, in their types and shapes, and no others. */
static enum eq_status check_tensors(const struct eq_st_file *f, const struct eq_qmodel *m, struct eq_err *err)
{
    size_t expected = 0;
    for (int i = 0; i < m->n_nodes; i++) {
        struct eq_tensor tensors[MAX_TENSORS] = {0};
        const char *kinds[MAX_TENSORS] = {0};
        expected += (size_t)node_tensors(&m->nodes[i], NULL, tensors, kinds);
    }
    if (f->n != expected)
        return eq_fail(err, EQ_FORMAT, "%zu tensors where the graph has %zu", f->n, expected);
    size_t at = 0;
    for (int i = 0; i < m->n_nodes; i++) {
        struct eq_tensor tensors[MAX_TENSORS] = {0};
        const char *kinds[MAX_TENSORS] = {0};
        const struct eq_tensor *found;
        for (int k = 0, count = node_tensors(&m->nodes[i], NULL, tensors, kinds); k < count; k++)
            EQ_CHECK(find_tensor(f, &at, m->nodes[i].name, kinds[k], &tensors[k], &found, err));
    }
    return EQ_OK;
}

static enum eq_status read_tensors(const struct eq_st_file *f, struct eq_qmodel *m, struct eq_err *err)
{
    enum eq_status st = EQ_OK;
    size_t at = 0;
    for (int i = 0; i < m->n_nodes; i++)
        EQ_TRY(read_node(f, &at, &m->nodes[i], err));
    eq_qmodel_derive_qparams(m);
out:
    return st;
}

/* Makes the model that the header describes, still without weights. ctx: where to put it. */
static enum eq_status model_of_header(void *ctx, struct eq_st_file *f, struct eq_err *err)
{
    enum eq_status st;
    struct eq_qmodel *m = eq_alloc(1, sizeof *m), **out = ctx;
    if (!m)
        return eq_fail(err, EQ_NOMEM, "out of memory for a quantized model");
    EQ_TRY(read_meta(f, m, err));
    EQ_TRY(read_graph(f, m, err));
    EQ_TRY(eq_qmodel_check_graph(m, err));
    EQ_TRY(check_tensors(f, m, err));
    *out = m;
    m = NULL;
out:
    eq_qmodel_free(m);
    return st;
}

static enum eq_status read_weights(const struct eq_st_file *f, struct eq_qmodel *m, struct eq_err *err)
{
    EQ_CHECK(read_tensors(f, m, err));
    EQ_CHECK(eq_qmodel_check_values(m, err));
    return eq_qmodel_check_form(m, err);
}

enum eq_status eq_qmodel_from_st(struct eq_st_file *f, struct eq_qmodel **out, struct eq_err *err)
{
    enum eq_status st;
    struct eq_qmodel *m = NULL;
    *out = NULL;
    EQ_TRY(model_of_header(&m, f, err));
    EQ_TRY(read_weights(f, m, err));
    *out = m;
    m = NULL;
out:
    eq_qmodel_free(m);
    return st;
}

enum eq_status eq_qmodel_load(const char *path, struct eq_qmodel **out, struct eq_err *err)
{
    struct eq_st_file f = {0};
    struct eq_qmodel *m = NULL;
    enum eq_status st;
    *out = NULL;
    EQ_TRY(eq_st_read_checked(path, model_of_header, &m, &f, err));
    if ((st = read_weights(&f, m, err)) != EQ_OK) {
        eq_err_context(err, "%s", path);
        goto out;
    }
    *out = m;
    m = NULL;
out:
    eq_qmodel_free(m);
    eq_st_clear(&f);
    return st;
}
