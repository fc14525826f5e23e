/* The graph and its passes: ResNet-18 as torchvision has it, fold, fuse, clone, and what they refuse. */
#include "model_support.h"

static void resnet18_is_torchvisions(void **state)
{
    (void)state;
    struct eq_graph *g = NULL;
    assert_ok(eq_resnet18_new(&test_meta, 64, 7, &g, &err));
    assert_int_equal(g->n_params, 102); /* torchvision's state_dict has 122 entries, 20 of them batch counters */
    assert_int_equal(eq_graph_param_count(g), 11177025); /* 11,689,512 with 1000 classes: less 999 * 513 */
    int p = eq_graph_find_param(g, "layer3.0.downsample.0.weight");
    assert_true(p >= 0 && g->params[p].value.shape[0] == 256 && g->params[p].value.shape[1] == 128 &&
                g->params[p].value.shape[2] == 1);
    assert_true(g->params[p].decay && g->params[p].trainable);
    p = eq_graph_find_param(g, "layer4.1.bn2.running_var");
    assert_true(p >= 0 && eq_param_count(&g->params[p]) == 512 && !g->params[p].trainable &&
                eq_param_data(&g->params[p])[511] == 1);
    p = eq_graph_find_param(g, "fc.bias");
    assert_true(eq_param_data(&g->params[p])[0] == test_meta.target_mean && !g->params[p].decay);
    assert_int_equal(eq_graph_find_param(g, "layer1.0.downsample.0.weight"), -1);
    assert_int_equal(eq_graph_find_node(g, "nothing"), -1);
    int fc = eq_graph_find_node(g, "fc");
    assert_true(fc == g->output && g->nodes[fc].cin == 512);
    eq_graph_free(g);
}

/* Deviation sqrt(2 / (cout k k)); the head within +-1/sqrt(512) times the target's deviation. */
static void initial_weights(void **state)
{
    (void)state;
    struct eq_graph *a = NULL, *b = NULL, *other = NULL;
    assert_ok(eq_resnet18_new(&test_meta, 64, 7, &a, &err));
    assert_ok(eq_resnet18_new(&test_meta, 64, 7, &b, &err));
    assert_ok(eq_resnet18_new(&test_meta, 64, 8, &other, &err));
    const struct eq_param *w = &a->params[eq_graph_find_param(a, "layer2.1.conv1.weight")];
    double sum = 0, squares = 0;
    for (size_t i = 0; i < eq_param_count(w); i++) {
        sum += eq_param_data(w)[i];
        squares += (double)eq_param_data(w)[i] * eq_param_data(w)[i];
    }
    double want = 2.0 / (128 * 9);
    assert_true(fabs(squares / (double)eq_param_count(w) - want) < 0.02 * want);
    assert_true(fabs(sum / (double)eq_param_count(w)) < 4 * sqrt(want / (double)eq_param_count(w)));
    const struct eq_param *fc = &a->params[eq_graph_find_param(a, "fc.weight")];
    double bound = 12.0 / sqrt(512), largest = 0;
    for (size_t i = 0; i < eq_param_count(fc); i++)
        largest = fmax(largest, fabs(eq_param_data(fc)[i]));
    assert_true(largest <= bound && largest > 0.95 * bound);
    int differ = 0;
    for (int i = 0; i < a->n_params; i++) {
        assert_memory_equal(eq_param_data(&a->params[i]), eq_param_data(&b->params[i]),
                            eq_tensor_bytes(&a->params[i].value));
        differ += memcmp(eq_param_data(&a->params[i]), eq_param_data(&other->params[i]),
                         eq_tensor_bytes(&a->params[i].value)) != 0;
    }
    assert_int_equal(differ, 21); /* 20 convolutions and the head */
    eq_graph_free(a);
    eq_graph_free(b);
    eq_graph_free(other);
}

static int count_op(const struct eq_graph *g, enum eq_op op)
{
    int n = 0;
    for (int i = 0; i < g->n_nodes; i++)
        n += g->nodes[i].op == op;
    return n;
}

/* Sources come before their readers, and every index is inside. */
static void assert_ordered(const struct eq_graph *g)
{
    for (int i = 0; i < g->n_nodes; i++) {
        const struct eq_node *n = &g->nodes[i];
        assert_true(n->src[0] < i && n->src[1] < i && n->residual < i);
        assert_true(n->weight < g->n_params && n->bias < g->n_params && n->gamma < g->n_params);
        assert_true(n->folded_bn < g->n_nodes && n->edge_fq < g->n_fake_quants);
    }
    assert_true(g->nodes[g->input].op == EQ_OP_INPUT && g->nodes[g->output].op == EQ_OP_LINEAR);
}

static void fuse_a_training_graph(void **state)
{
    (void)state;
    struct eq_graph *g = test_resnet18(4, 1);
    assert_ok(eq_fuse(g, &err));
    assert_ordered(g);
    assert_int_equal(count_op(g, EQ_OP_ADD), 0);
    assert_int_equal(count_op(g, EQ_OP_RELU), 0);
    assert_int_equal(count_op(g, EQ_OP_CONV2D), 20);
    assert_int_equal(count_op(g, EQ_OP_BATCHNORM), 20);
    const struct eq_node *bn2 = &g->nodes[eq_graph_find_node(g, "layer2.0.bn2")];
    assert_true(bn2->relu && bn2->residual == eq_graph_find_node(g, "layer2.0.downsample.1"));
    const struct eq_node *down = &g->nodes[bn2->residual];
    assert_true(!down->relu && down->residual == -1);
    const struct eq_node *plain = &g->nodes[eq_graph_find_node(g, "layer2.1.bn2")];
    assert_true(plain->relu && plain->residual == eq_graph_find_node(g, "layer2.0.bn2"));
    int nodes = g->n_nodes;
    assert_ok(eq_fuse(g, &err)); /* nothing left to do */
    assert_int_equal(g->n_nodes, nodes);
    eq_graph_free(g);
}

/* Fold then fuse, and fuse then fold, come to the same graph. */
static void fold_and_fuse_commute(void **state)
{
    (void)state;
    struct eq_graph *g = test_resnet18(4, 1), *a = NULL, *b = NULL;
    assert_ok(eq_fold_batchnorm(g, &a, &err));
    assert_ordered(a);
    assert_ok(eq_fuse(a, &err));
    assert_ok(eq_fuse(g, &err));
    assert_ok(eq_fold_batchnorm(g, &b, &err));
    assert_ordered(a);
    assert_ordered(b);
    assert_int_equal(a->n_nodes, b->n_nodes);
    assert_int_equal(a->n_nodes, 1 + 20 + 1 + 2 + 1);
    assert_int_equal(count_op(a, EQ_OP_BATCHNORM), 0);
    for (int i = 0; i < a->n_nodes; i++) {
        const struct eq_node *m = &a->nodes[i], *n = &b->nodes[i];
        assert_string_equal(m->name, n->name);
        assert_true(m->op == n->op && m->src[0] == n->src[0] && m->residual == n->residual && m->relu == n->relu);
        if (m->op == EQ_OP_CONV2D)
            assert_memory_equal(eq_param_data(&a->params[m->weight]), eq_param_data(&b->params[n->weight]),
                                eq_tensor_bytes(&a->params[m->weight].value));
    }
    assert_true(eq_graph_find_param(a, "layer1.0.conv1.bias") >= 0);
    assert_int_equal(a->n_params, 2 * 20 + 2);
    eq_graph_free(a);
    eq_graph_free(b);
    eq_graph_free(g);
}

static void folded_values(void **state)
{
    (void)state;
    struct eq_graph *g = test_resnet18(4, 1), *f = NULL;
    assert_ok(eq_fold_batchnorm(g, &f, &err));
    const struct eq_param *w = &g->params[eq_graph_find_param(g, "layer1.1.conv1.weight")];
    const float *gamma = eq_param_data(&g->params[eq_graph_find_param(g, "layer1.1.bn1.weight")]);
    const float *beta = eq_param_data(&g->params[eq_graph_find_param(g, "layer1.1.bn1.bias")]);
    const float *mean = eq_param_data(&g->params[eq_graph_find_param(g, "layer1.1.bn1.running_mean")]);
    const float *var = eq_param_data(&g->params[eq_graph_find_param(g, "layer1.1.bn1.running_var")]);
    const float *fw = eq_param_data(&f->params[eq_graph_find_param(f, "layer1.1.conv1.weight")]);
    const float *fb = eq_param_data(&f->params[eq_graph_find_param(f, "layer1.1.conv1.bias")]);
    for (int c = 0; c < 4; c++) {
        double factor = gamma[c] / sqrt((double)var[c] + 1e-5);
        assert_true(fabs(fb[c] - (beta[c] - mean[c] * factor)) < 1e-6);
        for (size_t i = 0; i < eq_param_count(w) / 4; i++)
            assert_true(fabs(fw[c * (eq_param_count(w) / 4) + i] -
                             eq_param_data(w)[c * (eq_param_count(w) / 4) + i] * factor) < 1e-6);
    }
    eq_graph_free(f);
    eq_graph_free(g);
}

/* A node whose output somebody else reads, too, must not vanish in another. */
static void fuse_leaves_shared_edges(void **state)
{
    (void)state;
    struct eq_graph *g = test_resnet18(4, 1);
    int bn1 = eq_graph_find_node(g, "layer1.0.bn1"), bn2 = eq_graph_find_node(g, "layer1.0.bn2");
    int fq = eq_graph_add_fake_quant(g, 1, 0, 255);
    g->nodes[bn1].edge_fq = fq;                                   /* quantized in front of its ReLU */
    g->nodes[eq_graph_find_node(g, "layer1.0.add")].src[1] = bn2; /* x + x */
    assert_ok(eq_fuse(g, &err));
    assert_ordered(g);
    assert_int_equal(count_op(g, EQ_OP_RELU), 2); /* after the quantized edge, and after x + x */
    assert_int_equal(count_op(g, EQ_OP_ADD), 1);
    assert_int_equal(g->nodes[eq_graph_find_node(g, "layer1.0.bn1")].edge_fq, fq);
    eq_graph_free(g);
}

static void fold_refuses_what_it_would_falsify(void **state)
{
    (void)state;
    struct eq_graph *g = test_resnet18(4, 1), *out = NULL;
    struct eq_node *conv = &g->nodes[eq_graph_find_node(g, "layer1.0.conv1")];
    int fq = eq_graph_add_fake_quant(g, 1, 0, 255), wfq = eq_graph_add_fake_quant(g, 4, -127, 127);
    conv->edge_fq = fq;
    assert_refused(eq_fold_batchnorm(g, &out, &err), EQ_UNSUPPORTED, "layer1.0.conv1");
    conv->edge_fq = -1;
    conv->weight_fq = wfq;
    assert_refused(eq_fold_batchnorm(g, &out, &err), EQ_UNSUPPORTED, "unfolded weights");
    conv->folded_bn = eq_graph_find_node(g, "layer1.0.bn1");
    int relu = eq_graph_find_node(g, "layer1.0.relu1");
    g->nodes[relu].edge_fq = fq;
    assert_ok(eq_fold_batchnorm(g, &out, &err)); /* as QAT has it */
    assert_ok(eq_fuse(out, &err));
    const struct eq_node *n = &out->nodes[eq_graph_find_node(out, "layer1.0.conv1")];
    assert_true(n->weight_fq == wfq && n->edge_fq == fq && n->folded_bn == -1 && n->relu);
    eq_graph_free(out);
    int shortcut = eq_graph_find_node(g, "layer1.0.add");
    g->nodes[shortcut].src[1] = eq_graph_find_node(g, "layer1.0.conv2"); /* a second reader of what would be folded */
    assert_refused(eq_fold_batchnorm(g, &out, &err), EQ_UNSUPPORTED, "layer1.0.bn2");
    assert_null(out);
    eq_graph_free(g);
}

static void clones(void **state)
{
    (void)state;
    struct eq_graph *g = test_resnet18(4, 1), *c = NULL;
    int fq = eq_graph_add_fake_quant(g, 4, -127, 127);
    g->fake_quants[fq].learn_scale = true;
    g->fake_quants[fq].scale[3] = 0.25f;
    g->fake_quants[fq].enabled = true;
    g->nodes[2].weight_fq = fq;
    assert_ok(eq_graph_clone(g, &c, &err));
    assert_int_equal(c->n_nodes, g->n_nodes);
    assert_memory_equal(c->nodes, g->nodes, (size_t)g->n_nodes * sizeof(*g->nodes));
    assert_true(c->fake_quants[fq].enabled && c->fake_quants[fq].scale[3] == 0.25f && c->fake_quants[fq].learn_scale);
    assert_ptr_not_equal(c->fake_quants[fq].scale, g->fake_quants[fq].scale);
    for (int i = 0; i < g->n_params; i++) {
        assert_ptr_not_equal(eq_param_data(&c->params[i]), eq_param_data(&g->params[i]));
        assert_memory_equal(eq_param_data(&c->params[i]), eq_param_data(&g->params[i]),
                            eq_tensor_bytes(&g->params[i].value));
        assert_int_equal(c->params[i].trainable, g->params[i].trainable);
    }
    assert_memory_equal(&c->meta, &g->meta, sizeof g->meta);
    eq_graph_free(g);
    eq_graph_free(c);
    eq_graph_free(NULL);
}

static void bad_requests(void **state)
{
    (void)state;
    struct eq_graph *g = NULL;
    assert_refused(eq_resnet18_new(&test_meta, 0, 1, &g, &err), EQ_USAGE, "width");
    assert_refused(eq_resnet18_new(&test_meta, 100000, 1, &g, &err), EQ_USAGE, "width");
    assert_null(g);
    g = test_resnet18(4, 1);
    int params = g->n_params;
    assert_int_equal(eq_graph_add_param(g, "huge", 4, (size_t[]){1 << 30, 1 << 30, 1 << 30, 8}, true, true), -1);
    assert_int_equal(eq_graph_add_param(g, "empty", 2, (size_t[]){3, 0}, true, true), -1);
    assert_int_equal(eq_graph_add_fake_quant(g, 0, 0, 255), -1);
    assert_int_equal(g->n_params, params);
    eq_graph_free(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(resnet18_is_torchvisions),
        cmocka_unit_test(initial_weights),
        cmocka_unit_test(fuse_a_training_graph),
        cmocka_unit_test(fold_and_fuse_commute),
        cmocka_unit_test(folded_values),
        cmocka_unit_test(fuse_leaves_shared_edges),
        cmocka_unit_test(clones),
        cmocka_unit_test(fold_refuses_what_it_would_falsify),
        cmocka_unit_test(bad_requests),
    };
    return cmocka_run_group_tests(tests, two_threads, stop_threads);
}
