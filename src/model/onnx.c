/* Messages of onnx.proto, filled and serialized by protobuf-c. */
#include "model/onnx.h"

#include "onnx/onnx.pb-c.h"

#include <stdlib.h>
#include <string.h>

#define OUTPUT "ef"

/* One piece of memory; all are freed together. */
struct piece {
    struct piece *next;
    size_t unused; /* keeps data aligned to 16 bytes */
    unsigned char data[];
};

struct eq_onnx {
    Onnx__ModelProto model;
    Onnx__GraphProto graph;
    struct piece *pieces;
    int opset;
    bool failed; /* out of memory at some time */
};

/* ---- memory -------------------------------------------------------------- */

void *eq_onnx_room(struct eq_onnx *o, size_t count, size_t size)
{
    size_t bytes;
    struct piece *p = NULL;
    if (eq_mul_size(count, size, &bytes) && eq_add_size(bytes, sizeof *p, &bytes))
        p = calloc(1, bytes);
    if (!p) {
        o->failed = true;
        return NULL;
    }
    p->next = o->pieces;
    o->pieces = p;
    return p->data;
}

/* A copy of what init points at. */
static void *keep(struct eq_onnx *o, const void *init, size_t size)
{
    void *p = eq_onnx_room(o, 1, size);
    return p ? memcpy(p, init, size) : NULL;
}

static char *keep_text(struct eq_onnx *o, const char *text)
{
    static char none[] = "";
    char *copy = keep(o, text, strlen(text) + 1);
    return copy ? copy : none;
}

const char *eq_onnx_name(struct eq_onnx *o, const char *base, const char *suffix)
{
    struct eq_str name = {0};
    eq_str_add(&name, "%s%s", base, suffix);
    const char *kept = keep_text(o, name.s);
    eq_str_clear(&name);
    return kept;
}

/* The list with item added after its n entries. It doubles; outgrown memory is freed with the rest. */
static void *append(struct eq_onnx *o, void *list, size_t *n, void *item)
{
    bool full = (*n & (*n - 1)) == 0; /* 0 or a power of two */
    void **grown = full ? eq_onnx_room(o, *n ? 2 * *n : 1, sizeof *grown) : list;
    if (!grown || !item)
        return list;
    if (full && *n)
        memcpy(grown, list, *n * sizeof *grown);
    grown[(*n)++] = item;
    return grown;
}

/* ---- the model around the graph ------------------------------------------ */

/* The IR version that came with an opset (ONNX, docs/Versioning.md). */
static int ir_version(int opset)
{
    return opset <= 18 ? 8 : opset <= 20 ? 9 : 10;
}

void eq_onnx_add_meta(struct eq_onnx *o, const char *key, const char *value)
{
    Onnx__StringStringEntryProto entry = ONNX__STRING_STRING_ENTRY_PROTO__INIT;
    entry.key = keep_text(o, key);
    entry.value = keep_text(o, value);
    o->model.metadata_props =
        append(o, o->model.metadata_props, &o->model.n_metadata_props, keep(o, &entry, sizeof entry));
}

static void add_number(struct eq_onnx *o, const char *key, double value)
{
    char text[32];
    snprintf(text, sizeof text, "%.9g", value);
    eq_onnx_add_meta(o, key, text);
}

static void describe(struct eq_onnx *o, const struct eq_model_meta *meta, const char *precision)
{
    Onnx__OperatorSetIdProto opset = ONNX__OPERATOR_SET_ID_PROTO__INIT;
    opset.domain = keep_text(o, "");
    opset.has_version = true;
    opset.version = o->opset;
    o->model.opset_import = append(o, NULL, &o->model.n_opset_import, keep(o, &opset, sizeof opset));
    o->model.has_ir_version = o->model.has_model_version = true;
    o->model.ir_version = ir_version(o->opset);
    o->model.model_version = 1;
    o->model.producer_name = keep_text(o, "echoquant");
    o->model.producer_version = keep_text(o, ECHOQUANT_VERSION);
    o->model.doc_string = keep_text(o, "Ejection fraction of one clip. pixels: its sampled frames, u8 RGB [frames, 3, "
                                       "size, size]; the graph normalizes them. ef: percent.");
    o->graph.name = keep_text(o, "ejection-fraction");
    o->model.graph = &o->graph;
    eq_onnx_add_meta(o, "format", "echoquant-onnx");
    eq_onnx_add_meta(o, "precision", precision);
    eq_onnx_add_meta(o, "output_unit", "EF percent");
    eq_onnx_add_meta(o, "color", "RGB");
    eq_onnx_add_meta(o, "sampling", EQ_SAMPLING_RULE);
    add_number(o, "frames", meta->frames);
    add_number(o, "size", meta->size);
    add_number(o, "pixel_mean", meta->pixel_mean);
    add_number(o, "pixel_std", (double)meta->pixel_std);
    add_number(o, "target_mean", (double)meta->target_mean);
    add_number(o, "target_std", (double)meta->target_std);
}

static const int32_t type_codes[EQ_DTYPE_COUNT] = {
    [EQ_F32] = ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT,     [EQ_F16] = ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT16,
    [EQ_BF16] = ONNX__TENSOR_PROTO__DATA_TYPE__BFLOAT16, [EQ_F64] = ONNX__TENSOR_PROTO__DATA_TYPE__DOUBLE,
    [EQ_S64] = ONNX__TENSOR_PROTO__DATA_TYPE__INT64,     [EQ_S32] = ONNX__TENSOR_PROTO__DATA_TYPE__INT32,
    [EQ_S8] = ONNX__TENSOR_PROTO__DATA_TYPE__INT8,       [EQ_U8] = ONNX__TENSOR_PROTO__DATA_TYPE__UINT8,
};

enum { ANY = -1 }; /* a size that the file leaves open: the number of frames */

/* An input or output of n axes. */
static Onnx__ValueInfoProto *value_info(struct eq_onnx *o, const char *name, int32_t elem_type, int n,
                                        const int64_t *sizes)
{
    Onnx__TensorShapeProto shape = ONNX__TENSOR_SHAPE_PROTO__INIT;
    Onnx__TypeProto__Tensor tensor = ONNX__TYPE_PROTO__TENSOR__INIT;
    Onnx__TypeProto type = ONNX__TYPE_PROTO__INIT;
    Onnx__ValueInfoProto info = ONNX__VALUE_INFO_PROTO__INIT;
    for (int i = 0; i < n; i++) {
        Onnx__TensorShapeProto__Dimension dim = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__INIT;
        dim.value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
        dim.dim_value = sizes[i];
        if (sizes[i] == ANY) {
            dim.value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM;
            dim.dim_param = keep_text(o, "frames");
        }
        shape.dim = append(o, shape.dim, &shape.n_dim, keep(o, &dim, sizeof dim));
    }
    tensor.has_elem_type = true;
    tensor.elem_type = elem_type;
    tensor.shape = keep(o, &shape, sizeof shape);
    type.value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
    type.tensor_type = keep(o, &tensor, sizeof tensor);
    info.name = keep_text(o, name);
    info.type = keep(o, &type, sizeof type);
    return keep(o, &info, sizeof info);
}

static void add_ends(struct eq_onnx *o, int size)
{
    Onnx__GraphProto *g = &o->graph;
    g->input = append(o, NULL, &g->n_input,
                      value_info(o, EQ_ONNX_INPUT, type_codes[EQ_U8], 4, (int64_t[]){ANY, 3, size, size}));
    g->output = append(o, NULL, &g->n_output, value_info(o, OUTPUT, type_codes[EQ_F32], 2, (int64_t[]){1, 1}));
}

enum eq_status eq_onnx_new(const struct eq_model_meta *meta, const char *precision, int opset, struct eq_onnx **out,
                           struct eq_err *err)
{
    static const Onnx__ModelProto model = ONNX__MODEL_PROTO__INIT;
    static const Onnx__GraphProto graph = ONNX__GRAPH_PROTO__INIT;
    *out = NULL;
    if (opset < EQ_ONNX_MIN_OPSET || opset > EQ_ONNX_MAX_OPSET)
        return eq_fail(err, EQ_USAGE, "ONNX opset %d: must be %d to %d", opset, EQ_ONNX_MIN_OPSET, EQ_ONNX_MAX_OPSET);
    struct eq_onnx *o = calloc(1, sizeof *o);
    if (!o)
        return eq_fail(err, EQ_NOMEM, "out of memory for an ONNX model");
    o->model = model;
    o->graph = graph;
    o->opset = opset;
    describe(o, meta, precision);
    add_ends(o, meta->size);
    *out = o;
    return EQ_OK;
}

void eq_onnx_free(struct eq_onnx *o)
{
    while (o && o->pieces) {
        struct piece *next = o->pieces->next;
        free(o->pieces);
        o->pieces = next;
    }
    free(o);
}

/* ---- constants and nodes ------------------------------------------------- */

const char *eq_onnx_tensor(struct eq_onnx *o, const char *name, struct eq_tensor value)
{
    Onnx__TensorProto t = ONNX__TENSOR_PROTO__INIT;
    t.name = keep_text(o, name);
    t.has_data_type = t.has_raw_data = true;
    t.data_type = type_codes[value.dtype];
    t.n_dims = (size_t)value.rank;
    t.dims = value.rank ? eq_onnx_room(o, t.n_dims, sizeof *t.dims) : NULL;
    for (size_t i = 0; t.dims && i < t.n_dims; i++)
        t.dims[i] = (int64_t)value.shape[i];
    t.raw_data.len = eq_tensor_bytes(&value);
    t.raw_data.data = value.data; /* the serializer only reads */
    if (!value.data || (value.rank && !t.dims)) {
        o->failed = true; /* out of memory before */
        return t.name;
    }
    o->graph.initializer = append(o, o->graph.initializer, &o->graph.n_initializer, keep(o, &t, sizeof t));
    return t.name;
}

const char *eq_onnx_scalar(struct eq_onnx *o, const char *name, enum eq_dtype dtype, const void *value)
{
    return eq_onnx_tensor(o, name, eq_tensor_view(dtype, 0, NULL, keep(o, value, eq_dtype_size(dtype))));
}

static char **keep_texts(struct eq_onnx *o, int n, const char *const *texts)
{
    char **list = eq_onnx_room(o, (size_t)n, sizeof *list);
    for (int i = 0; list && i < n; i++)
        list[i] = keep_text(o, texts[i]);
    return list;
}

static const char *add_node(struct eq_onnx *o, const char *op, const char *name, int n_src, const char *const *src,
                            const char *dst)
{
    Onnx__NodeProto node = ONNX__NODE_PROTO__INIT;
    node.op_type = keep_text(o, op);
    node.name = keep_text(o, name);
    node.n_input = (size_t)n_src;
    node.input = keep_texts(o, n_src, src);
    node.n_output = 1;
    node.output = keep_texts(o, 1, &dst);
    if (!node.input || !node.output)
        return node.name;
    o->graph.node = append(o, o->graph.node, &o->graph.n_node, keep(o, &node, sizeof node));
    return node.name;
}

const char *eq_onnx_node(struct eq_onnx *o, const char *op, const char *name, int n_src, const char *const *src)
{
    return add_node(o, op, name, n_src, src, name);
}

static void add_attribute(struct eq_onnx *o, Onnx__AttributeProto *a, const char *key,
                          Onnx__AttributeProto__AttributeType type)
{
    if (o->failed)
        return; /* the last node may not be there */
    Onnx__NodeProto *node = o->graph.node[o->graph.n_node - 1];
    a->name = keep_text(o, key);
    a->has_type = true;
    a->type = type;
    node->attribute = append(o, node->attribute, &node->n_attribute, keep(o, a, sizeof *a));
}

void eq_onnx_attr_int(struct eq_onnx *o, const char *key, int64_t value)
{
    Onnx__AttributeProto a = ONNX__ATTRIBUTE_PROTO__INIT;
    a.has_i = true;
    a.i = value;
    add_attribute(o, &a, key, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT);
}

void eq_onnx_attr_ints(struct eq_onnx *o, const char *key, int n, const int64_t *values)
{
    Onnx__AttributeProto a = ONNX__ATTRIBUTE_PROTO__INIT;
    a.n_ints = (size_t)n;
    a.ints = keep(o, values, (size_t)n * sizeof *values);
    add_attribute(o, &a, key, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS);
}

/* ---- layers -------------------------------------------------------------- */

const char *eq_onnx_affine(struct eq_onnx *o, const char *name, const char *q, const char *zero, const char *scale)
{
    const char *real = eq_onnx_node(o, "Cast", eq_onnx_name(o, name, "/cast"), 1, &q);
    eq_onnx_attr_int(o, "to", ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT);
    real = eq_onnx_node(o, "Sub", eq_onnx_name(o, name, "/center"), 2, (const char *[]){real, zero});
    return eq_onnx_node(o, "Mul", name, 2, (const char *[]){real, scale});
}

static void add_window(struct eq_onnx *o, int k, int stride, int pad)
{
    eq_onnx_attr_ints(o, "kernel_shape", 2, (int64_t[]){k, k});
    eq_onnx_attr_ints(o, "strides", 2, (int64_t[]){stride, stride});
    eq_onnx_attr_ints(o, "pads", 4, (int64_t[]){pad, pad, pad, pad});
}

const char *eq_onnx_conv(struct eq_onnx *o, const char *name, const char *src, const char *weight, const char *bias,
                         int k, int stride, int pad)
{
    const char *made = eq_onnx_node(o, "Conv", name, bias ? 3 : 2, (const char *[]){src, weight, bias});
    add_window(o, k, stride, pad);
    return made;
}

const char *eq_onnx_maxpool(struct eq_onnx *o, const char *name, const char *src, int k, int stride, int pad)
{
    const char *made = eq_onnx_node(o, "MaxPool", name, 1, &src);
    add_window(o, k, stride, pad);
    return made;
}

const char *eq_onnx_pixel_mean(struct eq_onnx *o, const char *name, const char *src)
{
    const char *mean = eq_onnx_node(o, "GlobalAveragePool", name, 1, &src);
    return eq_onnx_node(o, "Flatten", eq_onnx_name(o, name, "/flatten"), 1, &mean);
}

/* The axes became an input in opset 18. */
const char *eq_onnx_frame_mean(struct eq_onnx *o, const char *name, const char *src)
{
    const int64_t axis = 0;
    const char *args[2] = {src, NULL}, *made;
    if (o->opset >= 18) {
        args[1] = eq_onnx_tensor(o, eq_onnx_name(o, name, "/axes"),
                                 eq_tensor_view(EQ_S64, 1, (size_t[]){1}, keep(o, &axis, sizeof axis)));
        made = eq_onnx_node(o, "ReduceMean", name, 2, args);
    } else {
        made = eq_onnx_node(o, "ReduceMean", name, 1, args);
        eq_onnx_attr_ints(o, "axes", 1, &axis);
    }
    eq_onnx_attr_int(o, "keepdims", 1);
    return made;
}

void eq_onnx_linear(struct eq_onnx *o, const char *name, const char *src, const char *weight, const char *bias)
{
    add_node(o, "Gemm", name, 3, (const char *[]){src, weight, bias}, OUTPUT);
    eq_onnx_attr_int(o, "transB", 1);
}

/* ---- checks -------------------------------------------------------------- */

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Layer names come from files, and ONNX identifies a tensor by its name alone. */
static enum eq_status check_names(const struct eq_onnx *o, struct eq_err *err)
{
    const Onnx__GraphProto *g = &o->graph;
    size_t n = 0, cap = 1 + g->n_node + g->n_initializer;
    const char **names = eq_alloc(cap, sizeof *names);
    enum eq_status st = EQ_OK;
    if (!names)
        return eq_fail(err, EQ_NOMEM, "out of memory for the names of %zu tensors", cap);
    names[n++] = EQ_ONNX_INPUT;
    for (size_t i = 0; i < g->n_node; i++)
        names[n++] = g->node[i]->output[0];
    for (size_t i = 0; i < g->n_initializer; i++)
        names[n++] = g->initializer[i]->name;
    qsort(names, n, sizeof *names, by_text);
    for (size_t i = 1; i < n && st == EQ_OK; i++)
        if (strcmp(names[i - 1], names[i]) == 0)
            st =
                eq_fail(err, EQ_FORMAT, "two tensors would be called \"%s\": layers need names of their own", names[i]);
    eq_free(names);
    return st;
}

/* ---- serializing --------------------------------------------------------- */

/* protobuf-c hands over bytes as it goes: weights are written from where they lie. */
struct sink {
    ProtobufCBuffer base;
    struct eq_writer writer;
    enum eq_status st;
    struct eq_err *err;
};

static void sink_append(ProtobufCBuffer *buffer, size_t len, const uint8_t *data)
{
    struct sink *s = (struct sink *)buffer;
    if (s->st == EQ_OK)
        s->st = eq_writer_put(&s->writer, data, len, s->err);
}

enum eq_status eq_onnx_write(struct eq_onnx *o, const char *path, struct eq_err *err)
{
    struct sink sink = {.base = {.append = sink_append}, .err = err};
    enum eq_status st;
    if (o->failed)
        return eq_fail(err, EQ_NOMEM, "%s: out of memory for the ONNX model", path);
    EQ_TRY(check_names(o, err));
    EQ_TRY(eq_writer_open(&sink.writer, path, err));
    onnx__model_proto__pack_to_buffer(&o->model, &sink.base);
    EQ_TRY(sink.st);
    EQ_TRY(eq_writer_commit(&sink.writer, err));
out:
    eq_writer_abort(&sink.writer);
    return st;
}
