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

/* Value i of a tensor that is not F32; its data may lie at any address. */
static float value_at(const struct eq_tensor *t, size_t i)
{
    const uint8_t *data = t->data;
    uint16_t half;
    double wide;
    switch (t->dtype) {
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

static void convert(const struct eq_tensor *t, float *out, size_t n)
{
    if (t->dtype == EQ_F32) {
        memcpy(out, t->data, n * sizeof *out);
        return;
    }
    for (size_t i = 0; i < n; i++)
        out[i] = value_at(t, i);
}

static bool is_floating(enum eq_dtype dtype)
{
    return dtype == EQ_F32 || dtype == EQ_F64 || dtype == EQ_F16 || dtype == EQ_BF16;
}

/* Adds a name to a list of the report and counts it. */
static void note(size_t *count, struct eq_str *names, const char *name)
{
    eq_str_add(names, "%s%s", names->len ? ", " : "", name);
    ++*count;
}

/* Sets the prefix of torchvision's names where the network was part of another: "module." of DataParallel, "backbone."
 * and the like. It is recognized by a name that only a ResNet has. EQ_FORMAT: there are two networks. */
static enum eq_status find_prefix(const struct eq_st_file *f, struct eq_str *prefix, struct eq_err *err)
{
    static const char suffix[] = "layer1.0.bn1.running_mean";
    const char *first = NULL;
    for (size_t i = 0; i < f->n; i++) {
        const char *name = f->tensors[i].name;
        size_t n = strlen(name), m = sizeof suffix - 1;
        if (n < m || strcmp(name + n - m, suffix) != 0 || (n > m && name[n - m - 1] != '.'))
            continue;
        if (first)
            return eq_fail(err, EQ_FORMAT,
                           "has two networks, with the names \"%.120s\" and \"%.120s\": extract one of them with "
                           "scripts/torchvision_to_safetensors.py --prefix",
                           first, name);
        first = name;
        if (n > m)
            eq_str_add(prefix, "%.*s", (int)(n - m), name);
    }
    return EQ_OK;
}

/* at: as for eq_st_find_next. */
static const struct eq_st_tensor *find_param(const struct eq_st_file *f, const struct eq_init_report *r, size_t *at,
                                             const char *name)
{
    if (!r->prefix.len)
        return eq_st_find_next(f, at, name);
    char *key = eq_format("%s%s", r->prefix.s, name);
    const struct eq_st_tensor *found = eq_st_find_next(f, at, key);
    free(key);
    return found;
}

/* The network's parameter of this name, or -1. Names are asked for in the network's order as a rule: *at, 0 at
 * first, is where the search begins. */
static int next_param(const struct eq_graph *g, int *at, const char *name)
{
    for (int i = 0; i < g->n_params; i++) {
        int k = (*at + i) % g->n_params;
        if (strcmp(g->params[k].name, name) == 0) {
            *at = k + 1;
            return k;
        }
    }
    return -1;
}

static bool is_head(const char *name)
{
    return strncmp(name, "fc.", 3) == 0;
}

/* A name from the body of a ResNet. If this network lacks it, the file has another one. */
static bool is_body(const char *name)
{
    static const char *const stems[] = {"conv1.", "bn1.", "layer1.", "layer2.", "layer3.", "layer4."};
    for (size_t i = 0; i < sizeof stems / sizeof *stems; i++)
        if (strncmp(name, stems[i], strlen(stems[i])) == 0)
            return true;
    return false;
}

/* Lists what is left over; *foreign: how many of these are layers of another ResNet, *example one of them. */
static void report_unused(const struct eq_st_file *f, const struct eq_graph *g, struct eq_init_report *r,
                          size_t *foreign, const char **example)
{
    int at = 0;
    *foreign = 0;
    for (size_t i = 0; i < f->n; i++) {
        const char *name = f->tensors[i].name;
        bool inside = strncmp(name, r->prefix.s ? r->prefix.s : "", r->prefix.len) == 0;
        if (inside)
            name += r->prefix.len;
        if (!is_head(name) && (next_param(g, &at, name) >= 0 || eq_is_batch_counter(name)))
            continue;
        note(&r->unused, &r->unused_names, f->tensors[i].name);
        if (inside && is_body(name)) {
            ++*foreign;
            *example = f->tensors[i].name;
        }
    }
}

/* Another depth, another kind of block or another width is no start for this network. */
static enum eq_status check_network(const struct eq_st_file *f, const struct eq_graph *g, struct eq_init_report *r,
                                    struct eq_err *err)
{
    size_t foreign, body = r->used + r->missing + r->misshaped;
    const char *example = NULL;
    report_unused(f, g, r, &foreign, &example);
    if (foreign)
        return eq_fail(err, EQ_FORMAT,
                       "is not a ResNet-18: %zu tensors of its layers have no place in one, such as \"%.120s\"",
                       foreign, example);
    if (10 * r->used >= 9 * body)
        return EQ_OK;
    size_t at = 0;
    const struct eq_st_tensor *first = find_param(f, r, &at, "conv1.weight");
    const struct eq_tensor *ours = &g->params[eq_graph_find_param(g, "conv1.weight")].value;
    if (first && first->value.rank == 4 && first->value.shape[0] != ours->shape[0])
        return eq_fail(err, EQ_FORMAT, "has the width %zu, but this network has %zu: set model.width to %zu",
                       first->value.shape[0], ours->shape[0], first->value.shape[0]);
    if (r->used == 0 && r->misshaped == 0)
        return eq_fail(err, EQ_FORMAT,
                       "holds no ResNet-18: it has %zu tensors%s%.120s, and none is named as a layer of the network",
                       f->n, f->n ? " such as " : "", f->n ? f->tensors[0].name : "");
    const char *names = r->missing ? r->missing_names.s : r->misshaped_names.s;
    return eq_fail(
        err, EQ_FORMAT,
        "holds another network than ResNet-18: of %zu parameters %zu are missing and %zu have the wrong shape, "
        "such as %.*s",
        body, r->missing, r->misshaped, (int)strcspn(names, ","), names);
}

/* Converts what fits into values[param]; nothing of the graph changes yet. */
static enum eq_status collect(const struct eq_st_file *f, const struct eq_graph *g, float **values,
                              struct eq_init_report *r, struct eq_err *err)
{
    enum eq_status st = EQ_OK;
    size_t at = 0;
    for (int i = 0; i < g->n_params; i++) {
        const struct eq_param *p = &g->params[i];
        const struct eq_st_tensor *found = find_param(f, r, &at, p->name);
        const struct eq_tensor *t = found ? &found->value : NULL;
        if (is_head(p->name))
            continue;
        if (found && (found->other_dtype || !is_floating(t->dtype))) {
            EQ_TRY(eq_fail(err, EQ_FORMAT, "tensor \"%s\" has the dtype %s; F32, F64, F16 and BF16 can be used",
                           found->name, found->other_dtype ? found->other_dtype : eq_dtype_name(t->dtype)));
        } else if (!t) {
            note(&r->missing, &r->missing_names, p->name);
        } else if (!eq_tensor_same_shape(t, &p->value)) {
            note(&r->misshaped, &r->misshaped_names, p->name);
        } else {
            size_t n = eq_param_count(p);
            values[i] = eq_alloc(n, sizeof(float));
            if (!values[i])
                EQ_TRY(eq_fail(err, EQ_NOMEM, "out of memory for its weights"));
            convert(t, values[i], n);
            if (!eq_all_finite(values[i], n))
                EQ_TRY(eq_fail(err, EQ_NUMERIC, "tensor \"%s\" holds NaN or infinite values", p->name));
            r->used++;
        }
    }
    st = check_network(f, g, r, err);
out:
    return st;
}

struct start {
    const struct eq_graph *g;
    struct eq_init_report *report;
};

/* Of a file of any size only what fits is read. */
static enum eq_status choose(void *ctx, struct eq_st_file *f, struct eq_err *err)
{
    const struct start *s = ctx;
    int at = 0;
    EQ_CHECK(find_prefix(f, &s->report->prefix, err));
    for (size_t i = 0; i < f->n; i++) {
        struct eq_st_tensor *t = &f->tensors[i];
        size_t n = s->report->prefix.len;
        bool inside = strncmp(t->name, n ? s->report->prefix.s : "", n) == 0;
        int p = inside ? next_param(s->g, &at, t->name + n) : -1;
        t->unwanted = p < 0 || is_head(t->name + n) || !eq_tensor_same_shape(&t->value, &s->g->params[p].value);
    }
    return EQ_OK;
}

/* Takes what was chosen. */
static enum eq_status take(struct eq_graph *g, const struct eq_st_file *f, struct eq_init_report *report,
                           struct eq_err *err)
{
    float **values = calloc((size_t)g->n_params + 1, sizeof(*values));
    enum eq_status st = values ? collect(f, g, values, report, err) : eq_fail(err, EQ_NOMEM, "out of memory");
    for (int i = 0; values && i < g->n_params; i++) {
        if (st == EQ_OK && values[i])
            memcpy(eq_param_data(&g->params[i]), values[i], eq_tensor_bytes(&g->params[i].value));
        eq_free(values[i]);
    }
    free(values);
    return st;
}

enum eq_status eq_model_init_from_st(struct eq_graph *g, struct eq_st_file *f, struct eq_init_report *report,
                                     struct eq_err *err)
{
    *report = (struct eq_init_report){0};
    enum eq_status st = choose(&(struct start){g, report}, f, err);
    if (st == EQ_OK)
        st = take(g, f, report, err);
    if (st != EQ_OK)
        eq_init_report_clear(report);
    return st;
}

enum eq_status eq_model_init_from(struct eq_graph *g, const char *path, struct eq_init_report *report,
                                  struct eq_err *err)
{
    struct eq_st_file f = {0};
    *report = (struct eq_init_report){0};
    enum eq_status st = eq_st_read_checked(path, choose, &(struct start){g, report}, &f, err);
    if (st == EQ_OK && (st = take(g, &f, report, err)) != EQ_OK)
        eq_err_context(err, "%s", path);
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
