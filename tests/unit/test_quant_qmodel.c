/* The file of a quantized model: the round trip, and its malformed twins, each refused with the layer or key named. */
#include "quant/qmodel.h"
#include "unit/quant_fixture.h"

#include <unistd.h>

static char path[] = "/tmp/echoquant_qmodel_XXXXXX";

static struct eq_qmodel *small_model(int bits, enum eq_arithmetic arithmetic)
{
    struct eq_graph *net = random_net(3), *g;
    struct noise_clips clips;
    struct eq_observer_opts opts = {.kind = EQ_OBSERVER_MINMAX};
    struct eq_qmodel *m;
    noise_clips_init(&clips, 3, 2, net->meta.frames, net->meta.size);
    assert_ok(eq_fold_batchnorm(net, &g, e_));
    assert_ok(eq_fuse(g, e_));
    assert_ok(eq_prepare_fake_quant_for(g, bits, arithmetic, e_));
    assert_ok(eq_calibrate(g, &clips.source, 2, &opts, NULL, NULL, e_));
    assert_ok(eq_lower_int8(g, "ptq", &m, e_));
    snprintf(m->observer, sizeof m->observer, "minmax");
    eq_graph_free(g);
    eq_graph_free(net);
    free(clips.pixels);
    return m;
}

static void same_node(const struct eq_qnode *a, const struct eq_qnode *b)
{
    assert_string_equal(a->name, b->name);
    assert_true(a->op == b->op && a->src == b->src && a->residual == b->residual && a->cin == b->cin &&
                a->cout == b->cout && a->k == b->k && a->stride == b->stride && a->pad == b->pad &&
                a->relu == b->relu && a->weight_bits == b->weight_bits && a->domain == b->domain);
    assert_memory_equal(a->point_mul, b->point_mul, sizeof a->point_mul);
    assert_memory_equal(a->point_add, b->point_add, sizeof a->point_add);
    assert_true(a->dst.scale == b->dst.scale && a->dst.zero_point == b->dst.zero_point && a->dst.qmin == b->dst.qmin &&
                a->dst.qmax == b->dst.qmax);
    if (!a->weights)
        return;
    assert_memory_equal(a->weights, b->weights, eq_qnode_weights(a));
    assert_memory_equal(a->weight_scale, b->weight_scale, eq_qnode_rows(a) * sizeof(float));
    assert_memory_equal(a->bias, b->bias, (size_t)a->cout * sizeof(float));
}

static char *version_of_file(void)
{
    struct eq_st_file f;
    assert_ok(eq_st_read(path, &f, e_));
    char *version = eq_strdup(eq_st_meta(&f, "version"));
    eq_st_clear(&f);
    return version;
}

static void files_round_trip(void **state)
{
    (void)state;
    for (int bits = 2; bits <= 8; bits++)
        for (int arithmetic = 0; arithmetic < EQ_ARITHMETIC_COUNT; arithmetic++) {
            struct eq_qmodel *a = small_model(bits, (enum eq_arithmetic)arithmetic), *b;
            size_t bytes;
            uint64_t size;
            assert_ok(eq_qmodel_save(path, a, e_));
            assert_ok(eq_qmodel_load(path, &b, e_));
            assert_memory_equal(&a->meta, &b->meta, sizeof a->meta);
            assert_string_equal(b->method, "ptq");
            assert_string_equal(b->observer, "minmax");
            assert_int_equal(a->n_nodes, b->n_nodes);
            for (int i = 0; i < a->n_nodes; i++)
                same_node(&a->nodes[i], &b->nodes[i]);
            assert_int_equal(eq_qmodel_has_domain(b), arithmetic == EQ_ARITHMETIC_WINOGRAD);
            assert_ok(eq_qmodel_file_bytes(a, &bytes, e_));
            assert_ok(eq_file_size(path, &size, e_));
            assert_int_equal(bytes, size);
            char *version = version_of_file();
            assert_string_equal(version, arithmetic == EQ_ARITHMETIC_WINOGRAD ? "3" : "1");
            free(version);
            eq_qmodel_free(a);
            eq_qmodel_free(b);
        }
}

/* Changes a good model, saves it, and expects that loading names `named`. */
static void refuses(void (*spoil)(struct eq_qmodel *m), const char *named)
{
    struct eq_qmodel *m = small_model(8, EQ_ARITHMETIC_WINOGRAD), *loaded;
    struct eq_err err = {0};
    spoil(m);
    assert_ok(eq_qmodel_save(path, m, e_));
    enum eq_status st = eq_qmodel_load(path, &loaded, &err);
    assert_true(st == EQ_FORMAT || st == EQ_NUMERIC);
    assert_null(loaded);
    if (!strstr(err.msg, named))
        fail_msg("\"%s\" does not name %s", err.msg, named);
    eq_qmodel_free(m);
}

static void scale_zero(struct eq_qmodel *m)
{
    m->nodes[1].dst.scale = 0;
}
static void scale_nan(struct eq_qmodel *m)
{
    m->nodes[1].dst.scale = NAN;
}
static void scale_inf(struct eq_qmodel *m)
{
    m->nodes[1].dst.scale = INFINITY;
}
static void scale_negative(struct eq_qmodel *m)
{
    m->nodes[1].dst.scale = -1;
}
static void zero_point_300(struct eq_qmodel *m)
{
    m->nodes[1].dst.zero_point = 300;
}
static void zero_point_negative(struct eq_qmodel *m)
{
    m->nodes[1].dst.zero_point = -1;
}
static void weight_scale_zero(struct eq_qmodel *m)
{
    m->nodes[1].weight_scale[0] = 0;
}
static void weight_scale_nan(struct eq_qmodel *m)
{
    m->nodes[1].weight_scale[0] = NAN;
}
static void bias_infinite(struct eq_qmodel *m)
{
    m->nodes[1].bias[0] = -INFINITY;
}
static void weight_minus_128(struct eq_qmodel *m)
{
    m->nodes[1].weights[0] = -128;
}
static void reads_itself(struct eq_qmodel *m)
{
    m->nodes[1].src = 1;
}
static void residual_of_another_shape(struct eq_qmodel *m)
{
    for (int i = 1; i < m->n_nodes; i++)
        if (m->nodes[i].residual >= 0) {
            m->nodes[i].residual = 1;
            m->nodes[i].stride = 3;
            return;
        }
}
static void picture_too_small(struct eq_qmodel *m)
{
    m->meta.size = 1;
    m->nodes[1].pad = 0;
}
static void std_zero(struct eq_qmodel *m)
{
    m->meta.pixel_std = 0;
}
static void std_subnormal(struct eq_qmodel *m)
{
    m->meta.pixel_std = 1e-40f; /* its reciprocal is infinite */
}
static void too_many_frames(struct eq_qmodel *m)
{
    m->meta.frames = 100000;
}

static struct eq_qnode *domain_node(struct eq_qmodel *m)
{
    int i = 0;
    while (!m->nodes[i].domain)
        i++;
    return &m->nodes[i];
}
static void multiplier_zero(struct eq_qmodel *m)
{
    domain_node(m)->point_mul[35] = 0;
}
static void multiplier_too_large(struct eq_qmodel *m)
{
    domain_node(m)->point_mul[0] = 32768;
}
static void point_zero_point_256(struct eq_qmodel *m)
{
    domain_node(m)->point_add[7] = 256;
}
static void point_zero_point_negative(struct eq_qmodel *m)
{
    domain_node(m)->point_add[7] = -1;
}
static void last_point_scale_nan(struct eq_qmodel *m)
{
    struct eq_qnode *n = domain_node(m);
    n->weight_scale[36 * n->cout - 1] = NAN;
}
static void last_point_weight_minus_128(struct eq_qmodel *m)
{
    struct eq_qnode *n = domain_node(m);
    n->weights[(size_t)36 * n->cout * n->cin - 1] = -128;
}
static void domain_with_stride(struct eq_qmodel *m)
{
    domain_node(m)->stride = 2;
}
static void domain_without_padding(struct eq_qmodel *m)
{
    domain_node(m)->pad = 0;
}
static void input_in_the_domain(struct eq_qmodel *m)
{
    m->nodes[0].domain = true;
}

static void bad_values_are_refused(void **state)
{
    (void)state;
    refuses(scale_zero, "stem");
    refuses(scale_nan, "stem");
    refuses(scale_inf, "stem");
    refuses(scale_negative, "stem");
    refuses(zero_point_300, "stem");
    refuses(zero_point_negative, "stem");
    refuses(weight_scale_zero, "stem");
    refuses(weight_scale_nan, "stem");
    refuses(bias_infinite, "stem");
    refuses(weight_minus_128, "stem");
    refuses(reads_itself, "stem");
    refuses(residual_of_another_shape, "conv2");
    refuses(picture_too_small, "stem");
    refuses(std_zero, "pixel_std");
    refuses(std_subnormal, "standard deviation");
    refuses(too_many_frames, "frames");
    struct eq_qmodel *good = small_model(8, EQ_ARITHMETIC_WINOGRAD);
    char name[64];
    memcpy(name, domain_node(good)->name, sizeof name);
    eq_qmodel_free(good);
    refuses(multiplier_zero, name);
    refuses(multiplier_too_large, "point 0 has the multiplier 32768");
    refuses(point_zero_point_256, name);
    refuses(point_zero_point_negative, name);
    refuses(last_point_scale_nan, name);
    refuses(last_point_weight_minus_128, name);
    refuses(domain_with_stride, "Winograd");
    refuses(domain_without_padding, "Winograd");
    refuses(input_in_the_domain, "Winograd");
}

/* 255 * 127 * n passes 2^31 from n = 66312 on: a layer that long, all weights at the limit. */
static void overflowing_accumulator_is_refused(void **state)
{
    (void)state;
    for (int cin = 7368; cin <= 7369; cin++) { /* times 9 taps: 66312 and 66321 */
        struct eq_qnode nodes[4] = {
            {.op = EQ_QOP_INPUT, .name = "input", .src = -1, .residual = -1, .cin = 3, .cout = 3},
            {.op = EQ_QOP_CONV2D, .name = "wide", .residual = -1, .cin = 3, .cout = cin, .k = 1, .stride = 1},
            {.op = EQ_QOP_CONV2D,
             .name = "deep",
             .src = 1,
             .residual = -1,
             .cin = cin,
             .cout = 1,
             .k = 3,
             .stride = 1,
             .pad = 1},
            {.op = EQ_QOP_HEAD, .name = "fc", .src = 2, .residual = -1, .cin = 1, .cout = 1, .k = 1, .stride = 1}};
        struct eq_model_meta meta = {.frames = 1, .size = 8, .pixel_std = 1, .target_mean = 55, .target_std = 12};
        struct eq_qmodel m = {.nodes = nodes, .n_nodes = 4, .meta = meta}, *loaded;
        for (int i = 1; i < 4; i++) {
            size_t n = (size_t)nodes[i].cin * nodes[i].cout * nodes[i].k * nodes[i].k;
            nodes[i].weight_bits = 8;
            nodes[i].dst = (struct eq_qparams){1, 0, 0, 255};
            nodes[i].weights = eq_alloc(n, 1);
            memset(nodes[i].weights, i == 2 ? -127 : 0, n);
            nodes[i].weight_scale = eq_alloc((size_t)nodes[i].cout, sizeof(float));
            nodes[i].bias = eq_alloc((size_t)nodes[i].cout, sizeof(float));
            for (int c = 0; c < nodes[i].cout; c++)
                nodes[i].weight_scale[c] = 1;
        }
        nodes[0].dst = (struct eq_qparams){1, 0, 0, 255};
        if (cin == 7368) /* one weight less at the limit: just fits */
            nodes[2].weights[0] = 0;
        struct eq_err err;
        assert_ok(eq_qmodel_save(path, &m, e_));
        assert_int_equal(eq_qmodel_load(path, &loaded, &err), cin == 7368 ? EQ_OK : EQ_NUMERIC);
        if (cin == 7369)
            assert_non_null(strstr(err.msg, "deep"));
        eq_qmodel_free(loaded);
        for (int i = 1; i < 4; i++) {
            eq_free(nodes[i].weights);
            eq_free(nodes[i].weight_scale);
            eq_free(nodes[i].bias);
        }
    }
}

/* Rewrites the file with one metadata value or tensor changed. */
static void refuses_file(const char *key, const char *value, const char *tensor, const char *named)
{
    struct eq_qmodel *m = small_model(8, EQ_ARITHMETIC_DIRECT), *loaded;
    struct eq_st_file f, changed = {0};
    struct eq_err err = {0};
    assert_ok(eq_qmodel_save(path, m, e_));
    assert_ok(eq_st_read(path, &f, e_));
    for (size_t i = 0; i < f.n_meta; i++)
        if (!key || strcmp(f.meta_keys[i], key) != 0)
            eq_st_add_meta(&changed, f.meta_keys[i], "%s", f.meta_values[i]);
        else if (value)
            eq_st_add_meta(&changed, key, "%s", value);
    for (size_t i = 0; i < f.n; i++) {
        const struct eq_st_tensor *t = &f.tensors[i];
        bool flat = tensor && strcmp(t->name, tensor) == 0;
        if (flat && value)
            continue; /* left out */
        size_t count = eq_tensor_count(&t->value);
        eq_st_add(&changed, t->name, flat ? eq_tensor_view(t->value.dtype, 1, &count, t->value.data) : t->value);
    }
    assert_ok(eq_st_write(path, &changed, e_));
    assert_int_equal(eq_qmodel_load(path, &loaded, &err), EQ_FORMAT);
    assert_null(loaded);
    if (!strstr(err.msg, named) || !strstr(err.msg, path))
        fail_msg("\"%s\" does not name %s", err.msg, named);
    eq_st_clear(&changed);
    eq_st_clear(&f);
    eq_qmodel_free(m);
}

static void bad_files_are_refused(void **state)
{
    (void)state;
    refuses_file("version", "4", NULL, "version 4");
    refuses_file("version", NULL, NULL, "version");
    refuses_file("format", "echoquant-fp32", NULL, "echoquant-fp32");
    refuses_file("sampling", "first", NULL, "sampling");
    refuses_file("frames", "0", NULL, "frames");
    refuses_file("pixel_mean", "256", NULL, "pixel_mean");
    refuses_file("pixel_std", "nan", NULL, "pixel_std");
    refuses_file("graph", "[]", NULL, "graph");
    refuses_file("graph", "{", NULL, "graph");
    refuses_file("graph", NULL, NULL, "graph");
    refuses_file(NULL, NULL, "stem.weight", "stem.weight"); /* another rank */
    refuses_file(NULL, "drop", "fc.bias", "tensors");       /* missing */
    refuses_file(NULL, "drop", "stem.scale", "tensors");
}

static void cut_short_is_refused(void **state)
{
    (void)state;
    struct eq_qmodel *m = small_model(8, EQ_ARITHMETIC_DIRECT), *loaded;
    void *data;
    size_t len;
    struct eq_err err;
    assert_ok(eq_qmodel_save(path, m, e_));
    assert_ok(eq_read_file(path, 1 << 24, &data, &len, e_));
    for (size_t cut = 0; cut < len; cut += 1 + len / 97) {
        assert_ok(eq_write_file(path, data, cut, e_));
        assert_int_not_equal(eq_qmodel_load(path, &loaded, &err), EQ_OK);
        assert_null(loaded);
    }
    eq_free(data);
    eq_qmodel_free(m);
}

static int make_path(void **state)
{
    (void)state;
    int fd = mkstemp(path);
    return fd < 0 ? -1 : close(fd);
}

static int remove_path(void **state)
{
    (void)state;
    return unlink(path);
}

int main(void)
{
    eq_kernels_init();
    if (eq_parallel_init(2, NULL) != EQ_OK)
        return 1;
    const struct CMUnitTest tests[] = {cmocka_unit_test(files_round_trip), cmocka_unit_test(bad_values_are_refused),
                                       cmocka_unit_test(overflowing_accumulator_is_refused),
                                       cmocka_unit_test(bad_files_are_refused), cmocka_unit_test(cut_short_is_refused)};
    return cmocka_run_group_tests(tests, make_path, remove_path);
}
