/* Pretrained weights from a safetensors file that another program wrote. */
#include "model/graph.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* IEEE half precision to float, subnormals included. */
static float from_half(uint16_t h)
{
    int exponent = h >> 10 & 31, fraction = h & 1023;
    float v = exponent == 31  ? (fraction ? NAN : INFINITY)
              : exponent == 0 ? ldexpf((float)fraction, -24)
                              : ldexpf((float)(fraction | 1024), exponent - 25);
    return h & 0x8000 ? -v : v;
}

static float from_bfloat(uint16_t b)
{
    uint32_t bits = (uint32_t)b << 16;
    float v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

/* Value i of a tensor; its data may lie at any address. */
static float value_at(const struct eq_tensor *t, size_t i)
{
    const uint8_t *data = t->data;
    uint16_t half;
    double wide;
    float v;
    switch (t->dtype) {
    case EQ_F32:
        memcpy(&v, data + 4 * i, sizeof v);
        return v;
    case EQ_F64:
        memcpy(&wide, data + 8 * i, sizeof wide);
        return (float)wide;
    case EQ_F16:
        memcpy(&half, data + 2 * i, sizeof half);
        return from_half(half);
    case EQ_BF16:
        memcpy(&half, data + 2 * i, sizeof half);
        return from_bfloat(half);
    default:
        return NAN;
    }
}

/* Adds a name to a list of the report and counts it. */
static void note(size_t *count, struct eq_str *names, const char *name)
{
    eq_str_add(names, "%s%s", names->len ? ", " : "", name);
    ++*count;
}

/* Sets the prefix of torchvision's names where the network was part of another: "module." of DataParallel, "backbone."
 * and the like. It is recognized by a name that only a ResNet has. */
static void find_prefix(const struct eq_st_file *f, struct eq_str *prefix)
{
    static const char suffix[] = "layer1.0.bn1.running_mean";
    for (size_t i = 0; i < f->n; i++) {
        const char *name = f->tensors[i].name;
        size_t n = strlen(name), m = sizeof suffix - 1;
        if (n < m || strcmp(name + n - m, suffix) != 0 || (n > m && name[n - m - 1] != '.'))
            continue;
        if (n > m)
            eq_str_add(prefix, "%.*s", (int)(n - m), name);
        return;
    }
}

static const struct eq_tensor *find_param(const struct eq_st_file *f, const struct eq_init_report *r, const char *name)
{
    struct eq_str key = {0};
    eq_str_add(&key, "%s%s", r->prefix.s ? r->prefix.s : "", name);
    const struct eq_tensor *t = eq_st_find(f, key.s);
    eq_str_clear(&key);
    return t;
}

static bool is_head(const char *name)
{
    return strncmp(name, "fc.", 3) == 0;
}

static void report_unused(const struct eq_st_file *f, const struct eq_graph *g, struct eq_init_report *r)
{
    for (size_t i = 0; i < f->n; i++) {
        const char *name = f->tensors[i].name;
        if (r->prefix.len && strncmp(name, r->prefix.s, r->prefix.len) == 0)
            name += r->prefix.len;
        if (!is_head(name) && (eq_graph_find_param(g, name) >= 0 || eq_is_batch_counter(name)))
            continue;
        note(&r->unused, &r->unused_names, f->tensors[i].name);
    }
}

/* Converts what fits into values[param]; nothing of the graph changes yet. */
static enum eq_status collect(const struct eq_st_file *f, const struct eq_graph *g, float **values,
                              struct eq_init_report *r, struct eq_err *err)
{
    enum eq_status st = EQ_OK;
    find_prefix(f, &r->prefix);
    for (int i = 0; i < g->n_params; i++) {
        const struct eq_param *p = &g->params[i];
        const struct eq_tensor *t = find_param(f, r, p->name);
        if (is_head(p->name))
            continue;
        if (!t) {
            note(&r->missing, &r->missing_names, p->name);
        } else if (!eq_tensor_same_shape(t, &p->value)) {
            note(&r->misshaped, &r->misshaped_names, p->name);
        } else {
            size_t n = eq_param_count(p);
            values[i] = eq_alloc(n, sizeof(float));
            if (!values[i])
                EQ_TRY(eq_fail(err, EQ_NOMEM, "out of memory for its weights"));
            for (size_t k = 0; k < n; k++)
                values[i][k] = value_at(t, k);
            if (!eq_all_finite(values[i], n))
                EQ_TRY(eq_fail(err, EQ_NUMERIC, "tensor \"%s\" holds NaN, infinite or non-float values", p->name));
            r->used++;
        }
    }
    report_unused(f, g, r);
    if (r->used == 0)
        st = eq_fail(err, EQ_FORMAT, "no tensor fits this network (%zu missing, %zu of the wrong shape)", r->missing,
                     r->misshaped);
out:
    return st;
}

enum eq_status eq_model_init_from(struct eq_graph *g, const char *path, struct eq_init_report *report,
                                  struct eq_err *err)
{
    enum eq_status st;
    struct eq_st_file f = {0};
    float **values = NULL;
    *report = (struct eq_init_report){0};
    EQ_TRY(eq_st_read(path, &f, err));
    values = calloc((size_t)g->n_params + 1, sizeof(*values));
    st = values ? collect(&f, g, values, report, err) : eq_fail(err, EQ_NOMEM, "out of memory");
    if (st != EQ_OK)
        EQ_TRY(eq_err_context(err, "%s", path));
    for (int i = 0; i < g->n_params; i++)
        if (values[i])
            memcpy(eq_param_data(&g->params[i]), values[i], eq_tensor_bytes(&g->params[i].value));
out:
    for (int i = 0; values && i < g->n_params; i++)
        eq_free(values[i]);
    free(values);
    eq_st_clear(&f);
    if (st != EQ_OK)
        eq_init_report_clear(report);
    return st;
}

void eq_init_report_clear(struct eq_init_report *report)
{
    eq_str_clear(&report->prefix);
    eq_str_clear(&report->missing_names);
    eq_str_clear(&report->misshaped_names);
    eq_str_clear(&report->unused_names);
    *report = (struct eq_init_report){0};
}
