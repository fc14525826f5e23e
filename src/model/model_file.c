/* FP32 model files: safetensors with torchvision's key names, and the metadata that a prediction needs. */
#include "model/graph.h"

#include <math.h>
#include <string.h>

static const char VERSION[] = "1", ARCHITECTURE[] = "resnet18";
enum { MAX_FRAMES = 4096, MAX_SIZE = 4096 };

/* ---- writing ------------------------------------------------------------- */

enum eq_status eq_model_meta_add(struct eq_st_file *f, const struct eq_model_meta *m, struct eq_err *err)
{
    eq_st_add_meta(f, "use", "%s", EQ_RESEARCH_ONLY);
    eq_st_add_meta(f, "frames", "%d", m->frames);
    eq_st_add_meta(f, "size", "%d", m->size);
    eq_st_add_meta(f, "pixel_mean", "%d", m->pixel_mean);
    eq_st_add_meta(f, "pixel_std", "%.9g", (double)m->pixel_std);
    eq_st_add_meta(f, "target_mean", "%.9g", (double)m->target_mean);
    eq_st_add_meta(f, "target_std", "%.9g", (double)m->target_std);
    return eq_looks_add(f, &m->looks, err);
}

bool eq_all_finite(const float *x, size_t n)
{
    float poison = 0;
    for (size_t i = 0; i < n; i++)
        poison += x[i] * 0.0f; /* NaN as soon as one is NaN or infinite */
    return poison == 0.0f;
}

enum eq_status eq_model_save(const char *path, const struct eq_graph *g, struct eq_err *err)
{
    enum eq_status st = EQ_OK;
    struct eq_st_file f = {0};
    if (eq_graph_find_param(g, "bn1.running_mean") < 0)
        return eq_fail(err, EQ_USAGE, "%s: a model with folded batch norm cannot be saved as a model file", path);
    eq_st_add_meta(&f, "format", "%s", EQ_FORMAT_FP32);
    eq_st_add_meta(&f, "version", "%s", VERSION);
    eq_st_add_meta(&f, "architecture", "%s", ARCHITECTURE);
    EQ_TRY(eq_model_meta_add(&f, &g->meta, err));
    for (int i = 0; i < g->n_params; i++) {
        const struct eq_param *p = &g->params[i];
        if (!eq_all_finite(eq_param_data(p), eq_param_count(p)))
            EQ_TRY(eq_fail(err, EQ_NUMERIC, "%s: not written: \"%s\" holds NaN or infinite values", path, p->name));
        eq_st_add(&f, p->name, p->value);
    }
    EQ_TRY(eq_st_write(path, &f, err));
out:
    eq_st_clear(&f);
    return st;
}

/* ---- reading ------------------------------------------------------------- */

static enum eq_status bad_meta(const char *key, const char *text, const char *must, struct eq_err *err)
{
    if (!text)
        return eq_fail(err, EQ_FORMAT, "metadata \"%s\" is missing", key);
    return eq_fail(err, EQ_FORMAT, "metadata \"%s\" is \"%s\": must be %s", key, text, must);
}

static enum eq_status meta_int(const struct eq_st_file *f, const char *key, int lo, int hi, int *out,
                               struct eq_err *err)
{
    const char *text = eq_st_meta(f, key);
    int64_t v;
    char must[64];
    snprintf(must, sizeof must, "%d to %d", lo, hi);
    if (!text || !eq_parse_int64(text, &v) || v < lo || v > hi)
        return bad_meta(key, text, must, err);
    *out = (int)v;
    return EQ_OK;
}

static enum eq_status meta_float(const struct eq_st_file *f, const char *key, bool positive, float *out,
                                 struct eq_err *err)
{
    const char *text = eq_st_meta(f, key);
    double v;
    if (!text || !eq_parse_double(text, &v) || !isfinite((float)v) || (positive && !((float)v > 0)))
        return bad_meta(key, text, positive ? "a number above 0" : "a finite number", err);
    *out = (float)v;
    return EQ_OK;
}

enum eq_status eq_model_meta_read(const struct eq_st_file *f, struct eq_model_meta *m, struct eq_err *err)
{
    enum eq_status st;
    EQ_TRY(meta_int(f, "frames", 1, MAX_FRAMES, &m->frames, err));
    EQ_TRY(meta_int(f, "size", 1, MAX_SIZE, &m->size, err));
    EQ_TRY(meta_int(f, "pixel_mean", 0, 255, &m->pixel_mean, err));
    EQ_TRY(meta_float(f, "pixel_std", true, &m->pixel_std, err));
    EQ_TRY(meta_float(f, "target_mean", false, &m->target_mean, err));
    EQ_TRY(meta_float(f, "target_std", true, &m->target_std, err));
    EQ_TRY(eq_looks_read(f, &m->looks, err));
out:
    return st;
}

static enum eq_status read_meta(const struct eq_st_file *f, struct eq_model_meta *m, struct eq_err *err)
{
    const char *format = eq_st_meta(f, "format"), *version = eq_st_meta(f, "version");
    const char *architecture = eq_st_meta(f, "architecture");
    if (!format || strcmp(format, EQ_FORMAT_FP32) != 0)
        return eq_fail(err, EQ_FORMAT, "not an FP32 model: its format is %s, not %s", format ? format : "missing",
                       EQ_FORMAT_FP32);
    if (!version || strcmp(version, VERSION) != 0)
        return bad_meta("version", version, VERSION, err);
    if (!architecture || strcmp(architecture, ARCHITECTURE) != 0)
        return bad_meta("architecture", architecture, ARCHITECTURE, err);
    return eq_model_meta_read(f, m, err);
}

/* The width is the number of output channels of the first convolution. */
static enum eq_status read_width(const struct eq_st_file *f, int *width, struct eq_err *err)
{
    const struct eq_tensor *t = eq_st_find(f, "conv1.weight");
    if (!t)
        return eq_fail(err, EQ_FORMAT, "tensor \"conv1.weight\" is missing");
    if (t->rank != 4 || t->shape[0] < 1 || t->shape[0] > EQ_RESNET18_MAX_WIDTH)
        return eq_fail(err, EQ_FORMAT, "tensor \"conv1.weight\" has an impossible shape");
    *width = (int)t->shape[0];
    return EQ_OK;
}

/* Finds the tensor of this name in the file: F32, in the shape of like. at: as for eq_st_find_next. */
static enum eq_status find_tensor(const struct eq_st_file *f, size_t *at, const char *name,
                                  const struct eq_tensor *like, const struct eq_tensor **out, struct eq_err *err)
{
    const struct eq_st_tensor *found = eq_st_find_next(f, at, name);
    if (!found)
        return eq_fail(err, EQ_FORMAT, "tensor \"%s\" is missing", name);
    if (found->value.dtype != EQ_F32)
        return eq_fail(err, EQ_FORMAT, "tensor \"%s\" is not F32", name);
    if (!eq_tensor_same_shape(&found->value, like)) {
        char is[128], must[128];
        eq_tensor_shape_text(&found->value, is, sizeof is);
        eq_tensor_shape_text(like, must, sizeof must);
        return eq_fail(err, EQ_FORMAT, "tensor \"%s\" has the shape %s: must be %s", name, is, must);
    }
    *out = &found->value;
    return EQ_OK;
}

/* A file of a few bytes that claims a wide network must not make us take memory for it: its largest tensor has to be
 * there, which is a fifth of all. */
static enum eq_status check_width(const struct eq_st_file *f, int width, struct eq_err *err)
{
    const size_t c = 8 * (size_t)width, shape[4] = {c, c, 3, 3};
    const struct eq_tensor largest = eq_tensor_view(EQ_F32, 4, shape, NULL), *found;
    size_t at = 0;
    return find_tensor(f, &at, "layer4.1.conv2.weight", &largest, &found, err);
}

static enum eq_status load_param(const struct eq_st_file *f, size_t *at, struct eq_param *p, struct eq_err *err)
{
    const struct eq_tensor *t;
    EQ_CHECK(find_tensor(f, at, p->name, &p->value, &t, err));
    memcpy(p->value.data, t->data, eq_tensor_bytes(t));
    if (!eq_all_finite(p->value.data, eq_param_count(p)))
        return eq_fail(err, EQ_NUMERIC, "tensor \"%s\" holds NaN or infinite values", p->name);
    return EQ_OK;
}

bool eq_is_batch_counter(const char *name)
{
    static const char suffix[] = ".num_batches_tracked";
    size_t n = strlen(name), m = sizeof suffix - 1;
    return n > m && strcmp(name + n - m, suffix) == 0;
}

/* A key that the network doesn't have means that the file holds another network. All that it has are known to be there.
 */
static enum eq_status refuse_extra(const struct eq_st_file *f, const struct eq_graph *g, struct eq_err *err)
{
    for (size_t i = 0; i < f->n && f->n > (size_t)g->n_params; i++) {
        const char *name = f->tensors[i].name;
        if (eq_graph_find_param(g, name) < 0 && !eq_is_batch_counter(name))
            return eq_fail(err, EQ_FORMAT, "tensor \"%s\" belongs to no layer of this network", name);
    }
    return EQ_OK;
}

/* Makes the graph that the header describes, its parameters still without values. ctx: where to put it. */
static enum eq_status graph_of_header(void *ctx, struct eq_st_file *f, struct eq_err *err)
{
    enum eq_status st;
    struct eq_graph *g = NULL, **out = ctx;
    struct eq_model_meta meta = {0};
    int width = 0;
    size_t at = 0;
    EQ_TRY(read_meta(f, &meta, err));
    EQ_TRY(read_width(f, &width, err));
    EQ_TRY(check_width(f, width, err));
    EQ_TRY(eq_resnet18_skeleton(&meta, width, &g, err));
    for (int i = 0; i < g->n_params; i++)
        EQ_TRY(find_tensor(f, &at, g->params[i].name, &g->params[i].value, &(const struct eq_tensor *){NULL}, err));
    EQ_TRY(refuse_extra(f, g, err));
    *out = g;
    g = NULL;
out:
    eq_graph_free(g);
    return st;
}

static enum eq_status load_params(const struct eq_st_file *f, struct eq_graph *g, struct eq_err *err)
{
    size_t at = 0;
    for (int i = 0; i < g->n_params; i++)
        EQ_CHECK(load_param(f, &at, &g->params[i], err));
    return EQ_OK;
}

enum eq_status eq_model_from_st(struct eq_st_file *f, struct eq_graph **out, struct eq_err *err)
{
    struct eq_graph *g = NULL;
    *out = NULL;
    enum eq_status st = graph_of_header(&g, f, err);
    if (st == EQ_OK && (st = load_params(f, g, err)) == EQ_OK)
        *out = g;
    else
        eq_graph_free(g);
    return st;
}

enum eq_status eq_model_load(const char *path, struct eq_graph **out, struct eq_err *err)
{
    struct eq_st_file f = {0};
    struct eq_graph *g = NULL;
    enum eq_status st;
    *out = NULL;
    EQ_TRY(eq_st_read_checked(path, graph_of_header, &g, &f, err));
    if ((st = load_params(&f, g, err)) != EQ_OK) {
        eq_err_context(err, "%s", path);
        goto out;
    }
    *out = g;
    g = NULL;
out:
    eq_graph_free(g);
    eq_st_clear(&f);
    return st;
}

enum eq_status eq_model_kind(const char *path, char kind[32], struct eq_err *err)
{
    struct eq_st_file f;
    enum eq_status st = eq_st_read_header(path, &f, err);
    if (st != EQ_OK)
        return st;
    const char *format = eq_st_meta(&f, "format");
    if (format)
        snprintf(kind, 32, "%s", format);
    else
        st = eq_fail(err, EQ_FORMAT, "%s: no model of this program: its metadata has no \"format\"", path);
    eq_st_clear(&f);
    return st;
}
