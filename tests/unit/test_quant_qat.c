/* What QAT is made of: learned scales and their optimizer, and the start from PTQ's file. */
#include "echoquant/nn.h"
#include "quant/quant_graph.h"
#include "unit/quant_resnet.h"

#include <float.h>

enum { CLIPS = 2 };
#define LSQ eq_scale_rules[EQ_QAT_LSQ]

/* A graph that trains with learned scales toward the EF that it had before it was quantized. */
struct bench {
    struct noise_clips clips;
    struct eq_graph *g;
    struct eq_exec *exec;
    void *lsq;
    float target[CLIPS];
};

static struct eq_graph *prepared_resnet(struct noise_clips *clips, int bits, float *target)
{
    struct eq_graph *g = settled_resnet(clips, CLIPS);
    if (target)
        predict(g, clips, target);
    assert_ok(eq_fuse(g, e_));
    calibrate(g, bits, clips);
    for (int i = 0; i < g->n_nodes; i++)
        g->nodes[i].bn_frozen = true;
    return g;
}

static void bench_init(struct bench *b, int bits)
{
    b->g = prepared_resnet(&b->clips, bits, b->target);
    assert_ok(LSQ->open(b->g, 0.01, &b->lsq, e_));
    assert_ok(new_exec(b->g, EQ_EXEC_TRAIN, CLIPS, small.frames, small.size, &b->exec, e_));
}

static void bench_clear(struct bench *b)
{
    LSQ->close(b->lsq);
    eq_exec_free(b->exec);
    eq_graph_free(b->g);
    free(b->clips.pixels);
}

/* Gradients of one batch; returns its loss. */
static double bench_backward(struct bench *b)
{
    float ef[CLIPS], diff[CLIPS];
    eq_exec_weights_changed(b->exec);
    assert_ok(eq_exec_forward(b->exec, b->clips.pixels, ef, e_));
    double loss = eq_loss_forward(EQ_LOSS_MSE, ef, b->target, CLIPS, 12, diff);
    eq_exec_zero_grads(b->exec);
    assert_ok(eq_exec_backward(b->exec, diff, e_));
    return loss;
}

static double bench_step(struct bench *b, double lr)
{
    double loss = bench_backward(b);
    assert_ok(LSQ->after_step(b->lsq, b->exec, lr, e_));
    return loss;
}

/* Logarithm and exponential alone would change some in their last bit. */
static void scales_keep_their_bits_until_a_step(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b, 8);
    const struct eq_graph *g = b.g;
    float *before[64];
    assert_true(g->n_fake_quants <= 64);
    for (int i = 0; i < g->n_fake_quants; i++) {
        const size_t bytes = (size_t)g->fake_quants[i].channels * sizeof(float);
        before[i] = eq_alloc(bytes, 1);
        memcpy(before[i], g->fake_quants[i].scale, bytes);
    }
    assert_ok(LSQ->before_forward(b.lsq, b.g, e_));
    for (int i = 0; i < g->n_fake_quants; i++) {
        assert_memory_equal(before[i], g->fake_quants[i].scale, (size_t)g->fake_quants[i].channels * sizeof(float));
        eq_free(before[i]);
    }
    bench_clear(&b);
}

static bool is_weight_fq(const struct eq_graph *g, int fq)
{
    for (int i = 0; i < g->n_nodes; i++)
        if (g->nodes[i].weight_fq == fq)
            return true;
    return false;
}

/* How many scales of weights and of edges differ. */
static void count_moved(const struct eq_graph *a, const struct eq_graph *b, size_t *weights, size_t *edges)
{
    *weights = *edges = 0;
    for (int i = 0; i < a->n_fake_quants; i++)
        for (int c = 0; c < a->fake_quants[i].channels; c++) {
            assert_int_equal(a->fake_quants[i].zero_point[c], b->fake_quants[i].zero_point[c]);
            *(is_weight_fq(a, i) ? weights : edges) += a->fake_quants[i].scale[c] != b->fake_quants[i].scale[c];
        }
}

/* Adds to the logarithm of every scale, through the state: for weights, then for edges, step, log(scale), two
 * moments. */
static void shift_scales(struct bench *b, float by)
{
    size_t n[2] = {0};
    for (int i = 0; i < b->g->n_fake_quants; i++)
        n[!is_weight_fq(b->g, i)] += (size_t)b->g->fake_quants[i].channels;
    assert_int_equal(LSQ->state_size(b->lsq), 2 + 3 * (n[0] + n[1]));
    float *saved = calloc(2 + 3 * (n[0] + n[1]), sizeof *saved), *part = saved;
    LSQ->get_state(b->lsq, saved);
    for (int kind = 0; kind < 2; part += 1 + 3 * n[kind++])
        for (size_t i = 0; i < n[kind]; i++)
            part[1 + i] += by;
    LSQ->set_state(b->lsq, saved);
    free(saved);
}

static void learned_scales_learn(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b, 4);
    shift_scales(&b, logf(0.4f)); /* most of the large values are clipped */
    double first = bench_step(&b, 0.02), last = 0;
    for (int i = 0; i < 60; i++)
        last = bench_step(&b, 0.02 * (60 - i) / 60);
    print_message("loss %.6f before, %.6f after 60 steps on scales alone\n", first, last);
    assert_true(last < 0.25 * first);
    /* Learned scales are nobody else's to set. */
    float kept = b.g->fake_quants[0].scale[0];
    assert_ok(eq_update_weight_qparams(b.g, e_));
    assert_true(b.g->fake_quants[0].scale[0] == kept);
    shift_scales(&b, -1000); /* e^-1000 is 0 in floats */
    assert_true(b.g->fake_quants[0].scale[0] == FLT_EPSILON);
    bench_clear(&b);
}

/* Adam's first step has the length of the learning rate, against the gradient's sign: here a relative one. */
static void the_first_step_is_relative(void **state)
{
    (void)state;
    struct bench b;
    struct eq_graph *before;
    bench_init(&b, 8);
    bench_backward(&b);
    assert_ok(eq_graph_clone(b.g, &before, e_));
    assert_ok(LSQ->after_step(b.lsq, b.exec, 0.02, e_));
    size_t looked_at = 0;
    for (int i = 0; i < b.g->n_fake_quants; i++)
        for (int c = 0; c < b.g->fake_quants[i].channels; c++) {
            double s = before->fake_quants[i].scale[c], g = (double)eq_exec_scale_grad(b.exec, i)[c] * s;
            double moved = log(b.g->fake_quants[i].scale[c] / s);
            if (g == 0)
                assert_true(fabs(moved) < 1e-6);
            if (fabs(g) < 1e-10) /* Adam's eps shortens the steps of the smallest */
                continue;
            assert_true(fabs(moved + (g > 0 ? 0.02 : -0.02)) < 3e-4);
            looked_at++;
        }
    assert_true(looked_at > 500);
    eq_graph_free(before);
    bench_clear(&b);
}

static void held_edges_stay(void **state)
{
    (void)state;
    struct bench b;
    struct eq_graph *before;
    size_t weights, edges;
    bench_init(&b, 8);
    bench_step(&b, 0.01);
    assert_ok(eq_graph_clone(b.g, &before, e_));
    LSQ->freeze(b.lsq, true);
    bench_step(&b, 0.01);
    count_moved(before, b.g, &weights, &edges);
    assert_true(weights > 500 && edges == 0);
    LSQ->freeze(b.lsq, false);
    bench_step(&b, 0.01);
    count_moved(before, b.g, &weights, &edges);
    assert_true(weights > 500 && edges == 20);
    eq_graph_free(before);
    bench_clear(&b);
}

static void learned_scales_resume(void **state)
{
    (void)state;
    struct bench a, b;
    size_t weights, edges;
    bench_init(&a, 6);
    bench_init(&b, 6);
    for (int i = 0; i < 2; i++)
        bench_step(&a, 0.01);
    LSQ->freeze(a.lsq, true); /* the two kinds have then made different numbers of steps */
    bench_step(&a, 0.01);
    size_t n = LSQ->state_size(a.lsq);
    float *saved = calloc(n, sizeof *saved);
    LSQ->get_state(a.lsq, saved);
    LSQ->set_state(b.lsq, saved);
    count_moved(a.g, b.g, &weights, &edges);
    assert_true(weights == 0 && edges == 0);
    LSQ->freeze(a.lsq, false);
    for (int i = 0; i < 2; i++) {
        bench_step(&a, 0.01);
        bench_step(&b, 0.01);
    }
    count_moved(a.g, b.g, &weights, &edges);
    assert_true(weights == 0 && edges == 0);
    free(saved);
    bench_clear(&a);
    bench_clear(&b);
}

static void learned_scales_refuse(void **state)
{
    (void)state;
    struct noise_clips clips;
    struct eq_err err;
    struct eq_graph *g = settled_resnet(&clips, CLIPS);
    assert_ok(eq_fuse(g, e_));
    assert_ok(eq_prepare_fake_quant(g, 4, e_));
    void *lsq;
    assert_int_equal(LSQ->open(g, 0.01, &lsq, &err), EQ_UNSUPPORTED); /* not calibrated */
    assert_null(lsq);
    assert_non_null(strstr(err.msg, "conv1"));
    eq_graph_free(g);
    free(clips.pixels);
    struct bench b;
    bench_init(&b, 8);
    bench_backward(&b);
    eq_exec_scale_grad(b.exec, 3)[0] = NAN;
    assert_int_equal(LSQ->after_step(b.lsq, b.exec, 0.01, &err), EQ_NUMERIC);
    bench_clear(&b);
}

/* What was learned is what the integer model has. */
static void lowering_takes_learned_scales(void **state)
{
    (void)state;
    struct bench b;
    struct eq_qmodel *m;
    bench_init(&b, 4);
    for (int i = 0; i < 5; i++)
        bench_step(&b, 0.01);
    assert_ok(eq_lower_int8(b.g, "qat", &m, e_));
    int layers = 0;
    for (int i = 0; i < b.g->n_nodes; i++) {
        const struct eq_node *n = &b.g->nodes[i];
        char name[64];
        eq_layer_name(b.g, i, name);
        for (int k = 0; k < m->n_nodes && n->weight_fq >= 0; k++) {
            if (strcmp(m->nodes[k].name, name) != 0 || !m->nodes[k].weights)
                continue;
            assert_memory_equal(m->nodes[k].weight_scale, b.g->fake_quants[n->weight_fq].scale,
                                (size_t)n->cout * sizeof(float));
            if (n->folded_bn >= 0)
                assert_true(m->nodes[k].dst.scale == b.g->fake_quants[b.g->nodes[n->folded_bn].edge_fq].scale[0]);
            layers++;
        }
    }
    assert_int_equal(layers, 21);
    struct eq_qengine *engine;
    float sim[CLIPS], ef[CLIPS];
    predict(b.g, &b.clips, sim);
    assert_ok(eq_qengine_new(m, CLIPS, small.frames, small.size, false, &engine, e_));
    assert_ok(eq_qengine_run(engine, b.clips.pixels, ef, e_));
    for (int i = 0; i < CLIPS; i++)
        assert_true(fabsf(ef[i] - sim[i]) < 0.05f);
    eq_qengine_free(engine);
    eq_qmodel_free(m);
    bench_clear(&b);
}

/* ---- learned scales beside a batch norm that moves ------------------------ */

static const struct eq_fake_quant *weight_fq(const struct eq_graph *g, const struct eq_node *n)
{
    return &g->fake_quants[n->weight_fq];
}

/* The integers of all folded weights, in the order of the graph; *out: [n], for the caller to free. */
static size_t integers(const struct eq_graph *g, int8_t **out)
{
    size_t n = 0;
    *out = NULL;
    for (int i = 0; i < g->n_nodes; i++) {
        const struct eq_node *node = &g->nodes[i];
        if (node->weight_fq < 0)
            continue;
        const struct eq_fake_quant *fq = weight_fq(g, node);
        size_t per = eq_weights_per_channel(g, node);
        *out = realloc(*out, n + per * (size_t)node->cout);
        for (size_t k = 0; k < per * (size_t)node->cout; k++) {
            int c = (int)(k / per);
            float w = eq_param_data(&g->params[node->weight])[k] * eq_fold_factor(g, node, c);
            (*out)[n++] = (int8_t)eq_quantize_weight(w, 1 / fq->scale[c], fq->qmin, fq->qmax);
        }
    }
    return n;
}

/* A convolution's integers are those of its own weights, whatever batch norm makes of them: its statistics and gamma
 * scale the folded weights and the learned scale alike. */
static void learned_scales_follow_the_batch_norm(void **state)
{
    (void)state;
    struct bench b;
    int8_t *before, *after;
    bench_init(&b, 2);
    size_t n = integers(b.g, &before), differ = 0;
    for (int i = 0; i < b.g->n_nodes; i++) {
        const struct eq_node *bn = &b.g->nodes[i];
        for (int c = 0; bn->op == EQ_OP_BATCHNORM && c < bn->cout; c++) {
            eq_param_data(&b.g->params[bn->running_var])[c] *= c % 2 ? 0.04f : 30;
            eq_param_data(&b.g->params[bn->gamma])[c] *= c % 3 ? 1 : -1.7f;
        }
    }
    assert_ok(LSQ->before_forward(b.lsq, b.g, e_));
    assert_int_equal(integers(b.g, &after), n);
    for (size_t i = 0; i < n; i++)
        differ += before[i] != after[i] && before[i] != -after[i]; /* a negative gamma turns the sign */
    assert_true(differ <= n / 10000);                              /* ties */
    free(before);
    free(after);
    bench_clear(&b);
}

/* The largest |log2| by which a channel's scale left the largest folded weight that it starts from. */
static double drift(const struct eq_graph *g, float *start)
{
    double most = 0;
    size_t at = 0;
    for (int i = 0; i < g->n_nodes; i++) {
        const struct eq_node *n = &g->nodes[i];
        if (n->folded_bn < 0)
            continue;
        size_t per = eq_weights_per_channel(g, n);
        for (int c = 0; c < n->cout; c++, at++) {
            float absmax = 0;
            for (size_t k = 0; k < per; k++)
                absmax = fmaxf(absmax, fabsf(eq_param_data(&g->params[n->weight])[(size_t)c * per + k]));
            float ratio = weight_fq(g, n)->scale[c] / (absmax * fabsf(eq_fold_factor(g, n, c)));
            if (start[at] == 0)
                start[at] = ratio;
            most = fmax(most, fabs(log2(ratio / start[at])));
        }
    }
    return most;
}

/* Training at 2 bits with batch norm's statistics in motion. They must not feed back on the scales: those stay near the
 * weights, and the loss falls. */
static void two_bits_train_with_moving_statistics(void **state)
{
    (void)state;
    enum { STEPS = 60 };
    struct bench b;
    bench_init(&b, 2);
    for (int i = 0; i < b.g->n_nodes; i++)
        b.g->nodes[i].bn_frozen = false;
    struct eq_optim optim;
    const struct eq_optim_opts opts = {.kind = EQ_OPTIM_ADAMW, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8};
    float **params = calloc((size_t)b.g->n_params, sizeof *params),
          **grads = calloc((size_t)b.g->n_params, sizeof *grads);
    size_t *counts = calloc((size_t)b.g->n_params, sizeof *counts), n = 0;
    bool *decay = calloc((size_t)b.g->n_params, sizeof *decay);
    float *start = calloc((size_t)b.g->n_params * 64, sizeof *start);
    for (int i = 0; i < b.g->n_params; i++)
        if (eq_exec_grad(b.exec, i)) {
            params[n] = eq_param_data(&b.g->params[i]);
            grads[n] = eq_exec_grad(b.exec, i);
            counts[n++] = eq_param_count(&b.g->params[i]);
        }
    assert_ok(eq_optim_init(&optim, &opts, n, counts, e_));
    drift(b.g, start);
    double first = 0, last = 0, lr = 1e-3;
    for (int i = 0; i < STEPS; i++) {
        assert_ok(LSQ->before_forward(b.lsq, b.g, e_));
        double loss = bench_backward(&b);
        eq_optim_step(&optim, params, grads, decay, lr);
        assert_ok(LSQ->after_step(b.lsq, b.exec, 0.002, e_));
        *(i < 5 ? &first : &last) += i < 5 || i >= STEPS - 5 ? loss / 5 : 0;
    }
    double most = drift(b.g, start);
    print_message("loss %.4f at first, %.4f at last; a scale left its weights by a factor of at most %.2f\n", first,
                  last, exp2(most));
    assert_true(last < 0.5 * first);
    assert_true(most < 1);
    eq_optim_clear(&optim);
    free(params);
    free(grads);
    free(counts);
    free(decay);
    free(start);
    bench_clear(&b);
}

/* Version 0.1.0 kept log(scale) of the folded weights. */
static void older_states_are_understood(void **state)
{
    (void)state;
    struct bench a, b;
    size_t n = 0;
    bench_init(&a, 4);
    bench_init(&b, 4);
    bench_step(&a, 0.01);
    float *saved = calloc(LSQ->state_size(a.lsq), sizeof *saved);
    LSQ->get_state(a.lsq, saved);
    saved[0] = 1; /* the number of steps */
    for (int i = 0; i < a.g->n_fake_quants; i++)
        for (int c = 0; is_weight_fq(a.g, i) && c < a.g->fake_quants[i].channels; c++)
            saved[1 + n++] = logf(a.g->fake_quants[i].scale[c]);
    LSQ->set_state(b.lsq, saved);
    for (int i = 0; i < a.g->n_fake_quants; i++)
        for (int c = 0; c < a.g->fake_quants[i].channels; c++)
            assert_true(fabsf(a.g->fake_quants[i].scale[c] / b.g->fake_quants[i].scale[c] - 1) < 1e-5f);
    free(saved);
    bench_clear(&a);
    bench_clear(&b);
}

/* ---- straight-through ---------------------------------------------------- */

/* A start that is not trained is PTQ's to the bit, and so it is after its state was saved and restored: ranges give
 * back the qparams that they come from. */
static void ranges_keep_their_qparams(void **state)
{
    (void)state;
    const struct eq_scale_rule *ste = eq_scale_rules[EQ_QAT_STE];
    struct noise_clips clips;
    struct eq_graph *g = prepared_resnet(&clips, 8, NULL), *before;
    struct eq_rng rng;
    eq_rng_init(&rng, 7, EQ_RNG_TEST, 0, 0);
    for (int trial = 0; trial < 200; trial++) {
        void *rule;
        size_t weights, edges;
        for (int i = 0; i < g->n_fake_quants; i++) {
            struct eq_qparams q;
            double width = pow(2, eq_rng_range(&rng, -20, 20)), low = trial % 3 ? eq_rng_range(&rng, -1, 0) : 0;
            float min = (float)(low * width), max = trial % 7 == 1 ? 0 : (float)((1 + low) * width);
            if (is_weight_fq(g, i))
                continue;
            assert_ok(eq_qparams_affine(min, max, &q, e_));
            g->fake_quants[i].scale[0] = q.scale;
            g->fake_quants[i].zero_point[0] = q.zero_point;
        }
        assert_ok(eq_graph_clone(g, &before, e_));
        assert_ok(ste->open(g, 0.01, &rule, e_));
        count_moved(before, g, &weights, &edges);
        assert_int_equal(edges, 0);
        float *saved = calloc(ste->state_size(rule), sizeof *saved);
        ste->get_state(rule, saved);
        ste->set_state(rule, saved);
        count_moved(before, g, &weights, &edges);
        assert_int_equal(edges, 0);
        free(saved);
        ste->close(rule);
        eq_graph_free(before);
    }
    eq_graph_free(g);
    free(clips.pixels);
}

/* ---- the start from PTQ's file ------------------------------------------- */

static struct eq_qmodel *ptq_of(const struct eq_graph *net, const struct noise_clips *clips, int bits, bool equalize)
{
    struct eq_graph *g = fold_and_fuse(net);
    struct eq_qmodel *m;
    if (equalize)
        assert_ok(eq_cross_layer_equalize(g, NULL, e_));
    calibrate(g, bits, clips);
    assert_ok(eq_set_weight_qparams(g, &(struct eq_weight_opts){.kind = EQ_WEIGHT_MSE}, e_));
    assert_ok(eq_lower_int8(g, "ptq", &m, e_));
    eq_graph_free(g);
    return m;
}

static struct eq_graph *uncalibrated(const struct eq_graph *net)
{
    struct eq_graph *g;
    assert_ok(eq_graph_clone(net, &g, e_));
    assert_ok(eq_fuse(g, e_));
    assert_ok(eq_prepare_fake_quant(g, 8, e_));
    return g;
}

static void ranges_start_from_ptq(void **state)
{
    (void)state;
    struct noise_clips clips;
    struct eq_graph *net = settled_resnet(&clips, CLIPS);
    for (int bits = 4; bits <= 8; bits += 2) {
        struct eq_qmodel *m = ptq_of(net, &clips, bits, false);
        struct eq_graph *g = uncalibrated(net);
        assert_ok(eq_start_from_qmodel(g, m, e_));
        int edges = 0;
        for (int i = 0; i < g->n_nodes; i++) {
            char name[64];
            if (g->nodes[i].edge_fq < 0)
                continue;
            eq_layer_name(g, i, name);
            const struct eq_fake_quant *fq = &g->fake_quants[g->nodes[i].edge_fq];
            for (int k = 0; k < m->n_nodes; k++)
                if (m->nodes[k].op == EQ_QOP_CONV2D && strcmp(m->nodes[k].name, name) == 0) {
                    assert_true(fq->enabled && fq->scale[0] == m->nodes[k].dst.scale);
                    assert_int_equal(fq->zero_point[0], m->nodes[k].dst.zero_point);
                    edges++;
                }
        }
        assert_int_equal(edges, 20);
        eq_qmodel_free(m);
        eq_graph_free(g);
    }
    eq_graph_free(net);
    free(clips.pixels);
}

static void refused(const struct eq_graph *net, struct eq_qmodel *m, const char *why)
{
    struct eq_err err = {0};
    struct eq_graph *g = uncalibrated(net);
    assert_int_equal(eq_start_from_qmodel(g, m, &err), EQ_USAGE);
    if (!strstr(err.msg, why))
        fail_msg("\"%s\" lacks \"%s\"", err.msg, why);
    for (int i = 0; i < g->n_fake_quants; i++)
        assert_false(g->fake_quants[i].enabled);
    eq_graph_free(g);
    eq_qmodel_free(m);
}

static void other_files_are_no_start(void **state)
{
    (void)state;
    struct noise_clips clips;
    struct eq_graph *net = settled_resnet(&clips, CLIPS), *wide, *trained;
    assert_ok(eq_resnet18_new(&small, 16, 2, &wide, e_));
    assert_ok(eq_graph_clone(net, &trained, e_));
    struct eq_param *last = &trained->params[eq_graph_find_param(trained, "layer4.1.conv2.weight")];
    eq_param_data(last)[7] += 5 * fabsf(eq_param_data(last)[7]) + 0.1f;
    refused(net, ptq_of(net, &clips, 8, true), "weights are not the baseline's");
    refused(net, ptq_of(trained, &clips, 8, false), "layer4.1.conv2: the quantized model's weights are not");
    refused(wide, ptq_of(net, &clips, 8, false), "conv1: the quantized model has a layer of another shape");
    struct eq_qmodel *renamed = ptq_of(net, &clips, 8, false);
    for (int i = 0; i < renamed->n_nodes; i++)
        if (strcmp(renamed->nodes[i].name, "layer3.0.conv1") == 0)
            snprintf(renamed->nodes[i].name, sizeof renamed->nodes[i].name, "other");
    refused(net, renamed, "layer3.0.conv1: the quantized model has no such layer");
    eq_graph_free(trained);
    eq_graph_free(wide);
    eq_graph_free(net);
    free(clips.pixels);
}

/* The range that STE makes of a calibrated scale gives that scale again, to the bit, whatever its zero point. */
static void calibrated_scales_stay(void **state)
{
    (void)state;
    struct noise_clips clips;
    struct eq_graph *g = prepared_resnet(&clips, 8, NULL);
    struct eq_rng r;
    eq_rng_init(&r, 7, EQ_RNG_TEST, 0, 0);
    for (int round = 0; round < 100; round++) {
        struct eq_qparams p[64];
        void *ste;
        assert_true(g->n_fake_quants <= 64);
        for (int i = 0; i < g->n_nodes; i++) {
            if (g->nodes[i].edge_fq < 0)
                continue;
            int k = g->nodes[i].edge_fq;
            assert_ok(eq_qparams_affine((float)eq_rng_range(&r, -9, 0), (float)eq_rng_range(&r, 0, 9), &p[k], e_));
            g->fake_quants[k].scale[0] = p[k].scale;
            g->fake_quants[k].zero_point[0] = p[k].zero_point;
        }
        assert_ok(eq_scale_rules[EQ_QAT_STE]->open(g, 0.01, &ste, e_));
        for (int i = 0; i < g->n_nodes; i++) {
            if (g->nodes[i].edge_fq < 0)
                continue;
            int k = g->nodes[i].edge_fq;
            assert_true(g->fake_quants[k].scale[0] == p[k].scale);
            assert_int_equal(g->fake_quants[k].zero_point[0], p[k].zero_point);
        }
        eq_scale_rules[EQ_QAT_STE]->close(ste);
    }
    eq_graph_free(g);
    free(clips.pixels);
}

/* ---- Winograd's domain --------------------------------------------------- */

static struct eq_graph *domain_resnet(struct noise_clips *clips)
{
    const struct eq_observer_opts opts = {.kind = EQ_OBSERVER_MINMAX};
    struct eq_graph *g = settled_resnet(clips, CLIPS);
    assert_ok(eq_fuse(g, e_));
    assert_ok(eq_prepare_fake_quant_for(g, 8, EQ_ARITHMETIC_WINOGRAD, e_));
    assert_ok(eq_calibrate(g, &clips->source, CLIPS, &opts, NULL, NULL, e_));
    return g;
}

/* A step of plain gradient descent toward an EF; returns the loss. */
static double descend(struct eq_graph *g, struct eq_exec *x, void *ste, const struct noise_clips *clips)
{
    float ef[CLIPS], diff[CLIPS], target[CLIPS] = {40, 70};
    assert_ok(eq_scale_rules[EQ_QAT_STE]->before_forward(ste, g, e_));
    eq_exec_weights_changed(x);
    assert_ok(eq_exec_forward(x, clips->pixels, ef, e_));
    double loss = eq_loss_forward(EQ_LOSS_MSE, ef, target, CLIPS, 12, diff);
    eq_exec_zero_grads(x);
    assert_ok(eq_exec_backward(x, diff, e_));
    for (int i = 0; i < g->n_params; i++)
        for (size_t k = 0; eq_exec_grad(x, i) && k < eq_param_count(&g->params[i]); k++)
            eq_param_data(&g->params[i])[k] -= 2e-3f * eq_exec_grad(x, i)[k];
    return loss;
}

/* Ranges of points move with what they see, the loss falls, and the engine computes what the simulation says of the
 * trained graph. */
static void domain_trains_for_the_engine(void **state)
{
    (void)state;
    const struct eq_scale_rule *rule = eq_scale_rules[EQ_QAT_STE];
    struct noise_clips clips;
    struct eq_graph *g = domain_resnet(&clips), *before, *folded;
    struct eq_exec *x, *simulation;
    struct eq_qmodel *m;
    struct eq_qengine *engine;
    void *ste;
    float simulated[CLIPS], computed[CLIPS];
    double first = 0, last = 0;
    size_t points = 0, moved = 0;
    assert_ok(eq_graph_clone(g, &before, e_));
    assert_ok(rule->open(g, 0.1, &ste, e_));
    assert_int_equal(rule->state_size(ste), 2 * (20 + 13 * EQ_DOMAIN_POINTS));
    assert_ok(new_watched_exec(g, EQ_EXEC_TRAIN, CLIPS, small.frames, small.size, &x, e_));
    const struct eq_walk_hook hook = rule->hook(ste);
    eq_exec_set_hook(x, &hook);
    for (int i = 0; i < 12; i++) {
        last = descend(g, x, ste, &clips);
        first = i ? first : last;
    }
    print_message("loss %.4f, after 12 steps %.4f\n", first, last);
    assert_true(last < 0.5 * first);
    for (int i = 0; i < g->n_nodes; i++)
        for (int p = 0; g->nodes[i].point_fq >= 0 && p < EQ_DOMAIN_POINTS; p++, points++)
            moved +=
                g->fake_quants[g->nodes[i].point_fq].scale[p] != before->fake_quants[g->nodes[i].point_fq].scale[p];
    assert_int_equal(points, 13 * EQ_DOMAIN_POINTS);
    assert_true(moved > points / 2 && moved < points); /* maps of 2 x 2 have no point at infinity that matters */
    assert_ok(eq_update_weight_qparams(g, e_));
    assert_ok(eq_lower_int8(g, "qat", &m, e_));
    assert_ok(eq_fold_batchnorm(g, &folded, e_));
    assert_ok(new_exec(folded, EQ_EXEC_SIMULATE, CLIPS, small.frames, small.size, &simulation, e_));
    assert_ok(eq_exec_forward(simulation, clips.pixels, simulated, e_));
    assert_ok(eq_qengine_new(m, CLIPS, small.frames, small.size, false, &engine, e_));
    assert_ok(eq_qengine_run(engine, clips.pixels, computed, e_));
    assert_memory_equal(simulated, computed, sizeof computed);
    eq_qengine_free(engine);
    eq_qmodel_free(m);
    eq_exec_free(simulation);
    eq_exec_free(x);
    rule->close(ste);
    eq_graph_free(folded);
    eq_graph_free(before);
    eq_graph_free(g);
    free(clips.pixels);
}

static void scales_of_the_domain_are_not_learned(void **state)
{
    (void)state;
    struct noise_clips clips;
    struct eq_graph *g = domain_resnet(&clips);
    struct eq_err err = {0};
    struct eq_exec *x;
    void *lsq;
    assert_int_equal(LSQ->open(g, 0.01, &lsq, &err), EQ_UNSUPPORTED);
    assert_non_null(strstr(err.msg, "layer1.0.conv1"));
    assert_non_null(strstr(err.msg, "qat.method = ste or qat.arithmetic = direct"));
    assert_null(lsq);
    g->fake_quants[g->nodes[eq_graph_find_node(g, "layer1.0.conv1")].weight_fq].learn_scale = true;
    assert_int_equal(new_exec(g, EQ_EXEC_TRAIN, CLIPS, small.frames, small.size, &x, &err), EQ_UNSUPPORTED);
    eq_graph_free(g);
    free(clips.pixels);
}

int main(void)
{
    eq_kernels_init();
    if (eq_parallel_init(2, NULL) != EQ_OK)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scales_keep_their_bits_until_a_step),
        cmocka_unit_test(learned_scales_learn),
        cmocka_unit_test(the_first_step_is_relative),
        cmocka_unit_test(held_edges_stay),
        cmocka_unit_test(learned_scales_resume),
        cmocka_unit_test(learned_scales_refuse),
        cmocka_unit_test(lowering_takes_learned_scales),
        cmocka_unit_test(learned_scales_follow_the_batch_norm),
        cmocka_unit_test(two_bits_train_with_moving_statistics),
        cmocka_unit_test(older_states_are_understood),
        cmocka_unit_test(ranges_keep_their_qparams),
        cmocka_unit_test(ranges_start_from_ptq),
        cmocka_unit_test(other_files_are_no_start),
        cmocka_unit_test(calibrated_scales_stay),
        cmocka_unit_test(domain_trains_for_the_engine),
        cmocka_unit_test(scales_of_the_domain_are_not_learned),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
