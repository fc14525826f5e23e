/* The simulation (fake-quant in floats) against the integer engine: at least 99.9 % of all activations equal and none
 * more than one step apart given equal inputs, EF within 0.05; for PTQ, QAT, extreme scales and zero-points. */
#include "unit/quant_fixture.h"

struct parity {
    struct eq_qmodel *model;
    uint8_t **engine; /* [n_nodes]: what the engine stored */
    size_t *bytes;
    bool feed; /* every layer sees the engine's values: equal inputs */
    size_t total, differ, far;
};

static void keep_output(void *ctx, int node, const uint8_t *q, size_t n)
{
    struct parity *p = ctx;
    p->engine[node] = realloc(p->engine[node], n);
    assert_non_null(p->engine[node]);
    memcpy(p->engine[node], q, n);
    p->bytes[node] = n;
}

static int find_qnode(const struct eq_qmodel *m, const char *name)
{
    for (int i = 0; i < m->n_nodes; i++)
        if (strcmp(m->nodes[i].name, name) == 0)
            return i;
    return -1;
}

/* Rounds the simulation's value as its fake-quant will, compares, and, when feeding, puts the engine's in its place:
 * fake-quant leaves that as it is. */
static enum eq_status compare_edge(void *ctx, struct eq_graph *g, int node, const float *data, size_t n,
                                   struct eq_err *err)
{
    struct parity *p = ctx;
    (void)err;
    if (g->nodes[node].edge_fq < 0)
        return EQ_OK;
    char name[64];
    eq_layer_name(g, node, name);
    int at = find_qnode(p->model, name);
    assert_true(at >= 0);
    assert_int_equal(p->bytes[at], n);
    const struct eq_qparams *q = &p->model->nodes[at].dst;
    float inv = 1.0f / q->scale;
    for (size_t i = 0; i < n; i++) {
        double r = nearbyintf(data[i] * inv) + (double)q->zero_point;
        int sim = (int)(r < 0 ? 0 : r > 255 ? 255 : r), engine = p->engine[at][i];
        p->total++;
        p->differ += sim != engine;
        p->far += abs(sim - engine) > 1;
        if (p->feed)
            ((float *)(uintptr_t)data)[i] = (float)(engine - q->zero_point) * q->scale;
    }
    return EQ_OK;
}

/* Adds to sum what one clip gives; returns the difference of EF. */
static double check_clip(struct parity *p, struct eq_qengine *engine, struct eq_exec *exec, const uint8_t *pixels)
{
    float ef_engine, ef_sim;
    eq_qengine_set_hook(engine, keep_output, p);
    assert_ok(eq_qengine_run(engine, pixels, &ef_engine, e_));
    eq_exec_set_hook(exec, &(struct eq_walk_hook){.on_edge = compare_edge, .ctx = p});
    assert_ok(eq_exec_forward(exec, pixels, &ef_sim, e_));
    return fabs((double)ef_engine - ef_sim);
}

static double check_parity(struct eq_graph *sim, const struct noise_clips *clips, bool feed, struct parity *sum)
{
    struct parity p = {.feed = feed};
    struct eq_qengine *engine;
    struct eq_exec *exec;
    const struct eq_model_meta *meta = &sim->meta;
    double worst = 0;
    assert_ok(eq_lower_int8(sim, "ptq", &p.model, e_));
    assert_ok(eq_qengine_new(p.model, 1, meta->frames, meta->size, true, &engine, e_));
    assert_ok(new_watched_exec(sim, EQ_EXEC_INFER, 1, meta->frames, meta->size, &exec, e_));
    p.engine = calloc((size_t)p.model->n_nodes, sizeof *p.engine);
    p.bytes = calloc((size_t)p.model->n_nodes, sizeof *p.bytes);
    size_t clip = (size_t)meta->frames * meta->size * meta->size * 3;
    for (int i = 0; i < clips->n; i++)
        worst = fmax(worst, check_clip(&p, engine, exec, clips->pixels + (size_t)i * clip));
    sum->total += p.total;
    sum->differ += p.differ;
    sum->far += p.far;
    for (int i = 0; i < p.model->n_nodes; i++)
        free(p.engine[i]);
    free(p.engine);
    free(p.bytes);
    eq_exec_free(exec);
    eq_qengine_free(engine);
    eq_qmodel_free(p.model);
    return worst;
}

static void expect_parity(const char *what, const struct parity *sum, double worst_ef)
{
    print_message("%s: %zu of %zu activations differ (%.4f %%), %zu by more than 1; EF by at most %.4f\n", what,
                  sum->differ, sum->total, 100.0 * (double)sum->differ / (double)sum->total, sum->far, worst_ef);
    assert_true((double)sum->differ <= 0.001 * (double)sum->total);
    assert_int_equal(sum->far, 0);
    assert_true(worst_ef <= 0.05);
}

static void run_random_nets(const char *what, bool keep_bn, void (*disturb)(struct eq_graph *, uint64_t), bool feed)
{
    struct parity sum = {0};
    double worst = 0;
    for (uint64_t seed = 0; seed < 40; seed++) {
        struct eq_graph *net = random_net(seed);
        struct noise_clips clips;
        noise_clips_init(&clips, seed, 3, net->meta.frames, net->meta.size);
        struct eq_graph *sim = calibrated_net(net, keep_bn, (enum eq_observer_kind)(seed % EQ_OBSERVER_COUNT), &clips);
        if (disturb)
            disturb(sim, seed);
        worst = fmax(worst, check_parity(sim, &clips, feed, &sum));
        eq_graph_free(sim);
        free(clips.pixels);
    }
    expect_parity(what, &sum, worst);
}

static void ptq_given_equal_inputs(void **state)
{
    (void)state;
    run_random_nets("PTQ, equal inputs", false, NULL, true);
}

static void qat_given_equal_inputs(void **state)
{
    (void)state;
    run_random_nets("QAT, equal inputs", true, NULL, true);
}

static void extreme_qparams_given_equal_inputs(void **state)
{
    (void)state;
    run_random_nets("extreme qparams, equal inputs", false, extreme_qparams, true);
}

/* Differences of one step pass on to the next layers here; what must hold is EF. */
static void ef_agrees_end_to_end(void **state)
{
    (void)state;
    for (int keep_bn = 0; keep_bn < 2; keep_bn++) {
        struct parity sum = {0};
        double worst = 0;
        for (uint64_t seed = 100; seed < 120; seed++) {
            struct eq_graph *net = random_net(seed);
            struct noise_clips clips;
            noise_clips_init(&clips, seed, 3, net->meta.frames, net->meta.size);
            struct eq_graph *sim = calibrated_net(net, keep_bn, EQ_OBSERVER_MINMAX, &clips);
            worst = fmax(worst, check_parity(sim, &clips, false, &sum));
            eq_graph_free(sim);
            free(clips.pixels);
        }
        print_message("end to end: %.4f %% of activations differ, EF by at most %.4f\n",
                      100.0 * (double)sum.differ / (double)sum.total, worst);
        assert_true(worst <= 0.05);
    }
}

/* Running statistics that fit, as after training: those of the clips. */
static void settle_batchnorm(struct eq_graph *net, const struct noise_clips *clips)
{
    struct eq_exec *x;
    float ef[2];
    for (int i = 0; i < net->n_nodes; i++)
        net->nodes[i].momentum = 1;
    assert_ok(new_exec(net, EQ_EXEC_TRAIN, 2, net->meta.frames, net->meta.size, &x, e_));
    assert_ok(eq_exec_forward(x, clips->pixels, ef, e_));
    eq_exec_free(x);
}

static void resnet18(void **state)
{
    (void)state;
    for (int keep_bn = 0; keep_bn < 2; keep_bn++) {
        struct eq_model_meta meta = {
            .frames = 16, .size = 112, .pixel_mean = 33, .pixel_std = 50, .target_mean = 55, .target_std = 12};
        struct eq_graph *net;
        assert_ok(eq_resnet18_new(&meta, 16, 5, &net, e_));
        struct noise_clips clips;
        noise_clips_init(&clips, 9, 2, meta.frames, meta.size);
        settle_batchnorm(net, &clips);
        struct eq_graph *sim = calibrated_net(net, keep_bn, EQ_OBSERVER_HIST_MSE, &clips);
        struct parity fed = {0}, free_run = {0};
        double worst = check_parity(sim, &clips, true, &fed);
        expect_parity(keep_bn ? "ResNet-18 QAT" : "ResNet-18 PTQ", &fed, worst);
        worst = check_parity(sim, &clips, false, &free_run);
        print_message("end to end: %.4f %% differ, EF by %.4f\n",
                      100.0 * (double)free_run.differ / (double)free_run.total, worst);
        assert_true(worst <= 0.05);
        eq_graph_free(sim);
        free(clips.pixels);
    }
}

int main(void)
{
    eq_kernels_init();
    if (eq_parallel_init(2, NULL) != EQ_OK)
        return 1;
    const struct CMUnitTest tests[] = {cmocka_unit_test(ptq_given_equal_inputs),
                                       cmocka_unit_test(qat_given_equal_inputs),
                                       cmocka_unit_test(extreme_qparams_given_equal_inputs),
                                       cmocka_unit_test(ef_agrees_end_to_end), cmocka_unit_test(resnet18)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
