/* Reads an exported file back through the schema and looks at it. */
#ifndef ECHOQUANT_TESTS_ONNX_SUPPORT_H
#define ECHOQUANT_TESTS_ONNX_SUPPORT_H

#include "unit/cmocka_all.h"

#include "echoquant/base.h"
#include "onnx/onnx.pb-c.h"

#include <string.h>

static inline const Onnx__NodeProto *onnx_maker(const Onnx__GraphProto *g, const char *tensor)
{
    for (size_t i = 0; i < g->n_node; i++)
        if (strcmp(g->node[i]->output[0], tensor) == 0)
            return g->node[i];
    return NULL;
}

static inline const Onnx__TensorProto *onnx_constant(const Onnx__GraphProto *g, const char *name)
{
    for (size_t i = 0; i < g->n_initializer; i++)
        if (strcmp(g->initializer[i]->name, name) == 0)
            return g->initializer[i];
    return NULL;
}

static inline size_t onnx_count(const Onnx__GraphProto *g, const char *op)
{
    size_t n = 0;
    for (size_t i = 0; i < g->n_node; i++)
        n += strcmp(g->node[i]->op_type, op) == 0;
    return n;
}

static inline const Onnx__AttributeProto *onnx_attribute(const Onnx__NodeProto *n, const char *name)
{
    for (size_t i = 0; i < n->n_attribute; i++)
        if (strcmp(n->attribute[i]->name, name) == 0)
            return n->attribute[i];
    fail_msg("%s has no attribute %s", n->name, name);
    return NULL;
}

static inline const char *onnx_meta(const Onnx__ModelProto *m, const char *key)
{
    for (size_t i = 0; i < m->n_metadata_props; i++)
        if (strcmp(m->metadata_props[i]->key, key) == 0)
            return m->metadata_props[i]->value;
    fail_msg("no metadata %s", key);
    return NULL;
}

static inline void onnx_is_list(const Onnx__AttributeProto *a, size_t n, const int64_t *values)
{
    assert_int_equal(a->type, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS);
    assert_int_equal(a->n_ints, n);
    assert_memory_equal(a->ints, values, n * sizeof *values);
}

/* A constant's type, shape and bytes. */
static inline void onnx_is_tensor(const Onnx__TensorProto *t, int32_t type, size_t rank, const int64_t *dims,
                                  const void *data, size_t bytes)
{
    assert_non_null(t);
    assert_int_equal(t->data_type, type);
    assert_int_equal(t->n_dims, rank);
    for (size_t i = 0; i < rank; i++)
        assert_int_equal(t->dims[i], dims[i]);
    assert_int_equal(t->raw_data.len, bytes);
    assert_memory_equal(t->raw_data.data, data, bytes);
}

/* Every node reads the input, a constant, or what a node before it made; every tensor is made once. */
static inline void onnx_is_ordered(const Onnx__GraphProto *g)
{
    for (size_t i = 0; i < g->n_node; i++) {
        const Onnx__NodeProto *n = g->node[i];
        assert_int_equal(n->n_output, 1);
        assert_ptr_equal(onnx_maker(g, n->output[0]), n);
        assert_null(onnx_constant(g, n->output[0]));
        for (size_t k = 0; k < n->n_input; k++) {
            bool known = strcmp(n->input[k], g->input[0]->name) == 0 || onnx_constant(g, n->input[k]);
            for (size_t j = 0; j < i && !known; j++)
                known = strcmp(g->node[j]->output[0], n->input[k]) == 0;
            if (!known)
                fail_msg("%s reads %s before it is made", n->name, n->input[k]);
        }
    }
}

static inline void onnx_has_ends(const Onnx__GraphProto *g, int size)
{
    const Onnx__TypeProto__Tensor *in = g->input[0]->type->tensor_type, *out = g->output[0]->type->tensor_type;
    assert_true(g->n_input == 1 && g->n_output == 1);
    assert_string_equal(g->input[0]->name, "pixels");
    assert_int_equal(in->elem_type, ONNX__TENSOR_PROTO__DATA_TYPE__UINT8);
    assert_int_equal(in->shape->n_dim, 4);
    assert_string_equal(in->shape->dim[0]->dim_param, "frames");
    const int64_t dims[] = {3, size, size};
    for (int i = 0; i < 3; i++)
        assert_int_equal(in->shape->dim[i + 1]->dim_value, dims[i]);
    assert_string_equal(g->output[0]->name, "ef");
    assert_non_null(onnx_maker(g, "ef"));
    assert_int_equal(out->elem_type, ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT);
    assert_int_equal(out->shape->n_dim, 2);
}

/* Whole, in order, with the ends that every export has. Free with onnx__model_proto__free_unpacked(m, NULL). */
static inline Onnx__ModelProto *onnx_read(const char *path, int size)
{
    void *data;
    size_t len;
    struct eq_err err = {0};
    if (eq_read_file(path, (size_t)1 << 30, &data, &len, &err) != EQ_OK)
        fail_msg("%s", err.msg);
    Onnx__ModelProto *m = onnx__model_proto__unpack(NULL, len, data);
    eq_free(data);
    assert_non_null(m);
    assert_string_equal(m->producer_name, "echoquant");
    assert_int_equal(m->n_opset_import, 1);
    assert_string_equal(m->opset_import[0]->domain, "");
    onnx_is_ordered(m->graph);
    onnx_has_ends(m->graph, size);
    return m;
}

#endif
