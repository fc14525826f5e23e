/* FP32 model files and pretrained starts: what comes back, what is refused and by which name. */
#include "model_support.h"

#include <unistd.h>

static char path[64];

static int make_path(void **state)
{
    (void)state;
    snprintf(path, sizeof path, "/tmp/echoquant_model_XXXXXX");
    int fd = mkstemp(path);
    return fd < 0 || close(fd) != 0;
}
static int remove_path(void **state)
{
    (void)state;
    return unlink(path);
}

static void save_and_load(void **state)
{
    (void)state;
    struct eq_graph *g = test_resnet18(6, 1), *back = NULL;
    char kind[32];
    g->meta.pixel_std = 70.123456f;
    assert_ok(eq_model_save(path, g, &err));
    assert_ok(eq_model_load(path, &back, &err));
    assert_memory_equal(&back->meta, &g->meta, sizeof g->meta); /* floats to the bit */
    assert_int_equal(back->n_params, g->n_params);
    assert_int_equal(back->n_nodes, g->n_nodes);
    for (int i = 0; i < g->n_params; i++)
        assert_memory_equal(eq_param_data(&back->params[i]), eq_param_data(&g->params[i]),
                            eq_tensor_bytes(&g->params[i].value));
    assert_ok(eq_model_kind(path, kind, &err));
    assert_string_equal(kind, EQ_FORMAT_FP32);
    assert_ok(eq_fuse(g, &err)); /* a graph in training is saved as well */
    assert_ok(eq_model_save(path, g, &err));
    eq_graph_free(back);
    assert_ok(eq_model_load(path, &back, &err));
    eq_graph_free(back);
    eq_graph_free(g);
}

/* What save must not write: a broken model over a good one. */
static void save_refuses(void **state)
{
    (void)state;
    struct eq_graph *g = test_resnet18(6, 1), *folded = NULL, *back = NULL;
    assert_ok(eq_model_save(path, g, &err));
    assert_ok(eq_fold_batchnorm(g, &folded, &err));
    assert_refused(eq_model_save(path, folded, &err), EQ_USAGE, "folded");
    eq_param_data(&g->params[eq_graph_find_param(g, "layer4.1.conv2.weight")])[77] = NAN;
    assert_refused(eq_model_save(path, g, &err), EQ_NUMERIC, "layer4.1.conv2.weight");
    assert_ok(eq_model_load(path, &back, &err)); /* still the good one */
    assert_refused(eq_model_save("/nowhere/m.safetensors", back, &err), EQ_IO, "/nowhere/m.safetensors");
    eq_graph_free(back);
    eq_graph_free(folded);
    eq_graph_free(g);
}

/* Writes the test model with one thing changed by edit, and expects load to refuse it. */
static void load_refuses(void (*edit)(struct eq_st_file *f), enum eq_status status, const char *text)
{
    struct eq_graph *g = test_resnet18(4, 1), *back = NULL;
    struct eq_st_file f;
    assert_ok(eq_model_save(path, g, &err));
    assert_ok(eq_st_read(path, &f, &err));
    edit(&f);
    assert_ok(eq_st_write(path, &f, &err));
    assert_refused(eq_model_load(path, &back, &err), status, text);
    assert_refused(eq_model_load(path, &back, &err), status, path);
    assert_null(back);
    eq_st_clear(&f);
    eq_graph_free(g);
}

static void rename_to(char **name, const char *to)
{
    free(*name);
    *name = eq_strdup(to);
}
static void set_meta(struct eq_st_file *f, const char *key, const char *value)
{
    for (size_t i = 0; i < f->n_meta; i++)
        if (strcmp(f->meta_keys[i], key) == 0)
            rename_to(&f->meta_values[i], value);
}

static void missing_key(struct eq_st_file *f)
{
    rename_to(&find_tensor(f, "layer2.0.bn2.running_var")->name, "layer2.0.bn2.num_batches_tracked");
}
static void extra_key(struct eq_st_file *f)
{
    static const float one = 1;
    eq_st_add(f, "layer5.0.conv1.weight", eq_tensor_view(EQ_F32, 1, (const size_t[]){1}, &one));
}
static void wrong_shape(struct eq_st_file *f)
{
    struct eq_st_tensor *t = find_tensor(f, "layer2.0.conv1.weight"); /* [8][4][3][3] */
    t->value.shape[0] = 4;
    t->value.shape[1] = 8;
}
static void wrong_dtype(struct eq_st_file *f)
{
    find_tensor(f, "fc.bias")->value.dtype = EQ_S32;
}
static void bad_width(struct eq_st_file *f)
{
    struct eq_st_tensor *t = find_tensor(f, "conv1.weight");
    t->value.shape[0] = eq_tensor_count(&t->value);
    t->value.rank = 1;
}
static void claimed_width(struct eq_st_file *f)
{
    struct eq_st_tensor *t = find_tensor(f, "conv1.weight"); /* 588 values */
    memcpy(t->value.shape, (const size_t[]){196, 3, 1, 1}, 4 * sizeof *t->value.shape);
}
static float poisoned[4];
static void not_a_number(struct eq_st_file *f)
{
    struct eq_st_tensor *t = find_tensor(f, "bn1.weight");
    memcpy(poisoned, t->value.data, sizeof poisoned);
    poisoned[3] = NAN;
    t->value.data = poisoned;
}
static void infinite(struct eq_st_file *f)
{
    not_a_number(f);
    poisoned[3] = -INFINITY;
}
static void other_format(struct eq_st_file *f)
{
    set_meta(f, "format", EQ_FORMAT_INT8);
}
static void no_format(struct eq_st_file *f)
{
    for (size_t i = 0; i < f->n_meta; i++)
        if (strcmp(f->meta_keys[i], "format") == 0)
            rename_to(&f->meta_keys[i], "from");
}
static void other_version(struct eq_st_file *f)
{
    set_meta(f, "version", "2");
}
static void other_network(struct eq_st_file *f)
{
    set_meta(f, "architecture", "resnet50");
}
static void no_frames(struct eq_st_file *f)
{
    set_meta(f, "frames", "0");
}
static void odd_size(struct eq_st_file *f)
{
    set_meta(f, "size", "112px");
}
static void zero_std(struct eq_st_file *f)
{
    set_meta(f, "pixel_std", "0");
}
static void nan_mean(struct eq_st_file *f)
{
    set_meta(f, "target_mean", "nan");
}

static void load_names_what_is_wrong(void **state)
{
    (void)state;
    load_refuses(missing_key, EQ_FORMAT, "\"layer2.0.bn2.running_var\" is missing");
    load_refuses(extra_key, EQ_FORMAT, "\"layer5.0.conv1.weight\" belongs to no layer");
    load_refuses(wrong_shape, EQ_FORMAT,
                 "\"layer2.0.conv1.weight\" has the shape 4 x 8 x 3 x 3: must be 8 x 4 x 3 x 3");
    load_refuses(wrong_dtype, EQ_FORMAT, "\"fc.bias\" is not F32");
    load_refuses(bad_width, EQ_FORMAT, "conv1.weight");
    /* What follows from the width is looked for in the file before memory is taken for it: 410 MiB here. */
    load_refuses(claimed_width, EQ_FORMAT,
                 "layer4.1.conv2.weight\" has the shape 32 x 32 x 3 x 3: must be 1568 x 1568");
    load_refuses(not_a_number, EQ_NUMERIC, "\"bn1.weight\" holds NaN");
    load_refuses(infinite, EQ_NUMERIC, "\"bn1.weight\" holds NaN or infinite");
    load_refuses(other_format, EQ_FORMAT, "not an FP32 model");
    load_refuses(no_format, EQ_FORMAT, "format is missing");
    load_refuses(other_version, EQ_FORMAT, "version");
    load_refuses(other_network, EQ_FORMAT, "resnet50");
    load_refuses(no_frames, EQ_FORMAT, "frames");
    load_refuses(odd_size, EQ_FORMAT, "112px");
    load_refuses(zero_std, EQ_FORMAT, "pixel_std");
    load_refuses(nan_mean, EQ_FORMAT, "target_mean");
    struct eq_graph *g = NULL;
    char kind[32];
    assert_refused(eq_model_load("/nowhere/m", &g, &err), EQ_IO, "/nowhere/m");
    assert_ok(eq_write_file(path, "hello", 5, &err));
    assert_refused(eq_model_load(path, &g, &err), EQ_FORMAT, "not a safetensors file");
    assert_refused(eq_model_kind(path, kind, &err), EQ_FORMAT, path);
}

/* ---- pretrained start ---------------------------------------------------- */

/* A file as torchvision's, made from the test model: no metadata of ours, a head of another size, some dtypes changed.
 */
static void write_pretrained(const struct eq_graph *from)
{
    static const float head[1000 * 4];
    static const int64_t counter = 7;
    static uint16_t half[64];
    static double wide[64];
    struct eq_st_file f = {0};
    for (int i = 0; i < from->n_params; i++) {
        const struct eq_param *p = &from->params[i];
        struct eq_tensor value = p->value;
        if (strncmp(p->name, "fc.", 3) == 0 || strcmp(p->name, "layer1.1.bn2.weight") == 0)
            continue;
        if (strcmp(p->name, "bn1.weight") == 0) {
            for (size_t k = 0; k < eq_param_count(p); k++)
                half[k] = 0x3c00 + (uint16_t)k; /* 1 + k / 1024 */
            eq_st_add(&f, p->name, eq_tensor_view(EQ_F16, 1, value.shape, half));
        } else if (strcmp(p->name, "bn1.bias") == 0) {
            for (size_t k = 0; k < eq_param_count(p); k++)
                wide[k] = 0.1 * (double)k;
            eq_st_add(&f, p->name, eq_tensor_view(EQ_F64, 1, value.shape, wide));
        } else if (strcmp(p->name, "layer2.1.bn1.bias") == 0) {
            value.shape[0]--;
            eq_st_add(&f, p->name, value);
        } else {
            eq_st_add(&f, p->name, value);
        }
    }
    eq_st_add(&f, "fc.weight", eq_tensor_view(EQ_F32, 2, (const size_t[]){1000, 4}, head));
    eq_st_add(&f, "bn1.num_batches_tracked", eq_tensor_view(EQ_S64, 0, NULL, &counter));
    eq_st_add(&f, "aux.weight", eq_tensor_view(EQ_F32, 1, (const size_t[]){4}, head));
    assert_ok(eq_st_write(path, &f, &err));
    eq_st_clear(&f);
}

static void starts_from_a_pretrained_file(void **state)
{
    (void)state;
    struct eq_graph *from = test_resnet18(4, 1), *g = NULL;
    struct eq_init_report r;
    assert_ok(eq_resnet18_new(&test_meta, 4, 99, &g, &err));
    float fc = eq_param_data(&g->params[eq_graph_find_param(g, "fc.weight")])[0];
    write_pretrained(from);
    assert_ok(eq_model_init_from(g, path, &r, &err));
    assert_int_equal(r.prefix.len, 0);
    assert_int_equal(r.used, 98);
    assert_int_equal(r.missing, 1);
    assert_int_equal(r.misshaped, 1);
    assert_int_equal(r.unused, 2);
    assert_string_equal(r.missing_names.s, "layer1.1.bn2.weight");
    assert_string_equal(r.misshaped_names.s, "layer2.1.bn1.bias");
    assert_string_equal(r.unused_names.s, "fc.weight, aux.weight");
    int conv = eq_graph_find_param(g, "layer4.0.conv2.weight");
    assert_memory_equal(eq_param_data(&g->params[conv]), eq_param_data(&from->params[conv]),
                        eq_tensor_bytes(&g->params[conv].value));
    int var = eq_graph_find_param(g, "layer3.0.downsample.1.running_var");
    assert_memory_equal(eq_param_data(&g->params[var]), eq_param_data(&from->params[var]),
                        eq_tensor_bytes(&g->params[var].value));
    const float *bn = eq_param_data(&g->params[eq_graph_find_param(g, "bn1.weight")]);
    const float *bias = eq_param_data(&g->params[eq_graph_find_param(g, "bn1.bias")]);
    for (int k = 0; k < 4; k++)
        assert_true(bn[k] == 1 + (float)k / 1024 && bias[k] == (float)(0.1 * k));
    assert_true(eq_param_data(&g->params[eq_graph_find_param(g, "layer1.1.bn2.weight")])[0] == 1);
    assert_true(eq_param_data(&g->params[eq_graph_find_param(g, "fc.weight")])[0] == fc);
    assert_true(eq_param_data(&g->params[eq_graph_find_param(g, "fc.bias")])[0] == test_meta.target_mean);
    eq_init_report_clear(&r);
    eq_graph_free(from);
    eq_graph_free(g);
}

/* Networks that were part of another: every name stands after "module.", "backbone." and the like. */
static void names_may_stand_behind_a_prefix(void **state)
{
    (void)state;
    const char *const prefixes[] = {"module.", "model.backbone."};
    for (size_t k = 0; k < 2; k++) {
        struct eq_graph *from = test_resnet18(4, 1), *g = NULL;
        struct eq_init_report r;
        struct eq_st_file f;
        assert_ok(eq_resnet18_new(&test_meta, 4, 99, &g, &err));
        write_pretrained(from);
        assert_ok(eq_st_read(path, &f, &err));
        for (size_t i = 0; i < f.n; i++) {
            struct eq_str name = {0};
            bool inside = strcmp(f.tensors[i].name, "aux.weight") != 0;
            eq_str_add(&name, "%s%s", inside ? prefixes[k] : "", f.tensors[i].name);
            rename_to(&f.tensors[i].name, name.s);
            eq_str_clear(&name);
        }
        assert_ok(eq_st_write(path, &f, &err));
        eq_st_clear(&f);
        assert_ok(eq_model_init_from(g, path, &r, &err));
        assert_string_equal(r.prefix.s, prefixes[k]);
        assert_true(r.used == 98 && r.missing == 1 && r.misshaped == 1 && r.unused == 2);
        assert_string_equal(r.missing_names.s, "layer1.1.bn2.weight");
        assert_non_null(strstr(r.unused_names.s, prefixes[k])); /* the head, by the file's own name */
        int conv = eq_graph_find_param(g, "layer4.0.conv2.weight");
        assert_memory_equal(eq_param_data(&g->params[conv]), eq_param_data(&from->params[conv]),
                            eq_tensor_bytes(&g->params[conv].value));
        eq_init_report_clear(&r);
        eq_graph_free(from);
        eq_graph_free(g);
    }
}

static float few[64];
static int64_t many[4 * 3 * 7 * 7];

static void more_layers(struct eq_st_file *f)
{
    eq_st_add(f, "layer3.2.conv1.weight", eq_tensor_view(EQ_F32, 1, (const size_t[]){64}, few));
}

static void fewer_layers(struct eq_st_file *f)
{
    for (size_t i = 0; i < f->n; i++)
        if (strncmp(f->tensors[i].name, "layer3.", 7) == 0)
            memcpy(f->tensors[i].name, "other..", 7);
}

static void two_networks(struct eq_st_file *f)
{
    eq_st_add(f, "student.layer1.0.bn1.running_mean", eq_tensor_view(EQ_F32, 1, (const size_t[]){4}, few));
    struct eq_st_tensor last = f->tensors[f->n - 1];
    memmove(f->tensors + 1, f->tensors, (f->n - 1) * sizeof last);
    f->tensors[0] = last;
}

static void integer_weights(struct eq_st_file *f)
{
    for (size_t i = 0; i < f->n; i++)
        if (strcmp(f->tensors[i].name, "conv1.weight") == 0)
            f->tensors[i].value = eq_tensor_view(EQ_S64, 4, (const size_t[]){4, 3, 7, 7}, many);
}

/* Writes the file at path again, edited. */
static void write_edited(void (*edit)(struct eq_st_file *f))
{
    struct eq_st_file f;
    assert_ok(eq_st_read(path, &f, &err));
    edit(&f);
    assert_ok(eq_st_write(path, &f, &err));
    eq_st_clear(&f);
}

static void start_refuses(void **state)
{
    (void)state;
    struct eq_graph *from = test_resnet18(4, 1), *g = NULL, *kept = NULL;
    struct eq_init_report r;
    assert_ok(eq_resnet18_new(&test_meta, 4, 99, &g, &err));
    assert_ok(eq_graph_clone(g, &kept, &err));
    eq_param_data(&from->params[eq_graph_find_param(from, "layer4.1.bn2.bias")])[2] = INFINITY;
    write_pretrained(from);
    assert_refused(eq_model_init_from(g, path, &r, &err), EQ_NUMERIC, "layer4.1.bn2.bias");
    for (int i = 0; i < g->n_params; i++) /* nothing half done */
        assert_memory_equal(eq_param_data(&g->params[i]), eq_param_data(&kept->params[i]),
                            eq_tensor_bytes(&g->params[i].value));
    struct eq_st_file f = {0};
    eq_st_add(&f, "encoder.weight", eq_tensor_view(EQ_F32, 1, (const size_t[]){1}, &g->meta.pixel_std));
    assert_ok(eq_st_write(path, &f, &err));
    eq_st_clear(&f);
    assert_refused(eq_model_init_from(g, path, &r, &err), EQ_FORMAT,
                   "holds no ResNet-18: it has 1 tensors such as encoder.weight");
    struct eq_graph *wide = NULL;
    assert_ok(eq_resnet18_new(&test_meta, 8, 99, &wide, &err));
    eq_param_data(&from->params[eq_graph_find_param(from, "layer4.1.bn2.bias")])[2] = 0;
    write_pretrained(from);
    assert_refused(eq_model_init_from(wide, path, &r, &err), EQ_FORMAT, "set model.width to 4");
    eq_graph_free(wide);
    /* ResNet-34 has every layer of ResNet-18, and more; a file may have two networks; weights may be integers. */
    write_edited(more_layers);
    assert_refused(eq_model_init_from(g, path, &r, &err), EQ_FORMAT, "such as \"layer3.2.conv1.weight\"");
    write_pretrained(from);
    write_edited(fewer_layers);
    assert_refused(eq_model_init_from(g, path, &r, &err), EQ_FORMAT, "26 are missing and 1 have the wrong shape");
    write_pretrained(from);
    write_edited(two_networks);
    assert_refused(eq_model_init_from(g, path, &r, &err), EQ_FORMAT, "\"student.layer1.0.bn1.running_mean\" and \"lay");
    write_pretrained(from);
    write_edited(integer_weights);
    assert_refused(eq_model_init_from(g, path, &r, &err), EQ_FORMAT, "has the dtype I64");
    assert_refused(eq_model_init_from(g, "/nowhere/x", &r, &err), EQ_IO, "/nowhere/x");
    eq_graph_free(from);
    eq_graph_free(kept);
    eq_graph_free(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(save_and_load, make_path, remove_path),
        cmocka_unit_test_setup_teardown(save_refuses, make_path, remove_path),
        cmocka_unit_test_setup_teardown(load_names_what_is_wrong, make_path, remove_path),
        cmocka_unit_test_setup_teardown(starts_from_a_pretrained_file, make_path, remove_path),
        cmocka_unit_test_setup_teardown(names_may_stand_behind_a_prefix, make_path, remove_path),
        cmocka_unit_test_setup_teardown(start_refuses, make_path, remove_path),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
