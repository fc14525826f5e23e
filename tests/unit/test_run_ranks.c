/* A training that several processes share, with threads as the processes: any number of them gives the bits of one. */
#include "unit/trainer_fixture.h"
#include "unit/exchange.h"

enum { STEPS_A_RUN = 3, MOST_PARAMS = 128 };

/* How a process trains, and what it ended with. */
struct part {
    int accumulate, qat; /* qat: a method of eq_scale_rules; -1: FP32 */
    const char *dir;
    struct eq_str end; /* parameters, averages, ranges, the sum of losses */
    enum eq_status st;
    struct eq_err err;
};

/* Fake-quant on a fresh network, with a range for each edge. */
static void quantize(struct tiny_run *r, struct tiny_job *job, int method)
{
    assert_ok(eq_fuse(r->graph, &err));
    assert_ok(eq_prepare_fake_quant(r->graph, 8, &err));
    for (int i = 0; i < r->graph->n_nodes; i++) {
        if (r->graph->nodes[i].edge_fq < 0)
            continue;
        struct eq_fake_quant *fq = &r->graph->fake_quants[r->graph->nodes[i].edge_fq];
        fq->scale[0] = 0.02f;
        fq->zero_point[0] = 100;
        fq->enabled = true;
    }
    job->job.rule = eq_scale_rules[method];
    assert_ok(job->job.rule->open(r->graph, 0.1, &job->job.scales, &err));
    job->job.scale_lr = 0.01;
}

static void open_run(struct tiny_run *r, struct tiny_job *job, const struct part *p)
{
    const struct eq_model_meta meta = {.frames = TINY_FRAMES,
                                       .size = TINY_SIZE,
                                       .pixel_mean = 100,
                                       .pixel_std = 60,
                                       .target_mean = 50,
                                       .target_std = 15};
    tiny_job_init(job, p->dir, NULL);
    job->job.batch = 1;
    job->job.accumulate = p->accumulate;
    job->job.accumulate_key = "train.accumulate";
    job->job.ema = 0.7;
    assert_ok(eq_resnet18_new(&meta, TINY_WIDTH, 7, &r->graph, &err));
    if (p->qat >= 0)
        quantize(r, job, p->qat);
    job->job.graph = r->graph;
    r->model_path = NULL;
}

static void note_end(const struct eq_trainer *t, struct eq_str *out)
{
    const struct eq_graph *g = t->job.graph;
    for (int i = 0; i < g->n_params; i++) {
        eq_str_add_bytes(out, eq_param_data(&g->params[i]), eq_tensor_bytes(&g->params[i].value));
        eq_str_add_bytes(out, t->ema[i], eq_tensor_bytes(&g->params[i].value));
    }
    for (int i = 0; i < g->n_fake_quants; i++)
        eq_str_add_bytes(out, g->fake_quants[i].scale, (size_t)g->fake_quants[i].channels * sizeof(float));
    eq_str_add_bytes(out, &t->loss_sum, sizeof t->loss_sum);
    eq_str_add_bytes(out, &t->norm_sum, sizeof t->norm_sum);
}

static void train(struct exchange_rank *rank)
{
    struct part *p = rank->ctx;
    struct tiny_run r;
    struct tiny_job job;
    open_run(&r, &job, p);
    p->st = eq_trainer_init(&r.t, &job.job, &p->err);
    size_t steps = 0;
    for (; steps < STEPS_A_RUN && p->st == EQ_OK; r.t.epoch++) {
        r.t.batch_in_epoch = 0;
        p->st = eq_loader_start(r.t.train, (uint32_t)r.t.epoch, 0, &p->err);
        for (size_t s = 0; s < r.t.steps_per_epoch && steps < STEPS_A_RUN && p->st == EQ_OK; s++, steps++)
            for (size_t i = 0; i < r.t.micro.n && p->st == EQ_OK; i++) {
                struct eq_batch batch;
                p->st = eq_loader_next(r.t.train, &batch, &p->err);
                if (p->st == EQ_OK)
                    p->st = eq_trainer_step(&r.t, &batch, &p->err);
            }
    }
    if (p->st == EQ_OK)
        note_end(&r.t, &p->end);
    if (job.job.rule)
        job.job.rule->close(job.job.scales);
    tiny_run_close(&r);
}

static struct exchange shared = {.late = -1};

static void run(struct part *parts, int size, int accumulate, int qat, const char *dir)
{
    for (int i = 0; i < size; i++)
        parts[i] = (struct part){.accumulate = accumulate, .qat = qat, .dir = dir};
    exchange_run(&shared, size, train, parts, sizeof *parts);
}

static void clear(struct part *parts, int size)
{
    for (int i = 0; i < size; i++)
        eq_str_clear(&parts[i].end);
}

/* Also where their number does not divide that of the micro-batches, and with learned and followed ranges. */
static void the_bits_are_those_of_one_process(void **state)
{
    (void)state;
    static const struct {
        int accumulate, qat;
    } cases[] = {{1, -1}, {2, -1}, {3, -1}, {4, -1}, {5, -1}, {8, -1}, {3, EQ_QAT_STE}, {4, EQ_QAT_LSQ}};
    char *dir = tiny_run_dir("ranks");
    struct part one, parts[MAX_RANKS];
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        run(&one, 1, cases[c].accumulate, cases[c].qat, dir);
        assert_int_equal(one.st, EQ_OK);
        assert_true(one.end.len > 10000);
        for (int size = 2; size <= MAX_RANKS && size <= cases[c].accumulate; size++) {
            run(parts, size, cases[c].accumulate, cases[c].qat, dir);
            for (int i = 0; i < size; i++) {
                assert_int_equal(parts[i].st, EQ_OK);
                assert_int_equal(parts[i].end.len, one.end.len);
                assert_memory_equal(parts[i].end.s, one.end.s, one.end.len);
            }
            clear(parts, size);
        }
        clear(&one, 1);
    }
    free(dir);
}

static void a_step_needs_a_micro_batch_for_everybody(void **state)
{
    (void)state;
    char *dir = tiny_run_dir("few");
    struct part parts[3];
    run(parts, 3, 2, -1, dir);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(parts[i].st, EQ_USAGE);
        assert_non_null(strstr(parts[i].err.msg, "set train.accumulate to a multiple of 3"));
    }
    clear(parts, 3);
    free(dir);
}

static void a_lost_process_ends_the_step(void **state)
{
    (void)state;
    char *dir = tiny_run_dir("lost");
    struct part parts[2];
    shared.broken = true;
    run(parts, 2, 2, -1, dir);
    shared.broken = false;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(parts[i].st, EQ_IO);
        assert_string_equal(parts[i].err.msg, "the link is down");
    }
    clear(parts, 2);
    free(dir);
}

/* ---- predictions --------------------------------------------------------- */

struct predicting {
    const char *dir;
    double ef[VAL_CLIPS];
    size_t n;
    enum eq_status st;
    struct eq_data_stats stats;
};

/* Validation clips, and the statistics of the training clips. */
static void predict(struct exchange_rank *rank)
{
    struct predicting *p = rank->ctx;
    const struct part like = {.accumulate = 4, .qat = -1, .dir = p->dir};
    struct tiny_run r = {0};
    struct tiny_job job;
    struct eq_predictor predictor = {0};
    struct eq_evaluation e = {0};
    struct eq_loader *val = NULL, *plain = NULL;
    open_run(&r, &job, &like);
    p->st = eq_run_loader(&job.cfg, &tiny_ds, EQ_SPLIT_VAL, 0, 1, &val, NULL);
    if (p->st == EQ_OK)
        p->st = eq_run_loader(&job.cfg, &tiny_ds, EQ_SPLIT_TRAIN, 0, 1, &plain, NULL);
    if (p->st == EQ_OK)
        p->st = eq_predictor_from_graph(&predictor, r.graph, EQ_PRECISION_FP32, 1, NULL);
    if (p->st == EQ_OK)
        p->st = eq_evaluate_loader(&predictor, &tiny_ds, val, NULL, &e, NULL);
    if (p->st == EQ_OK)
        p->st = eq_data_stats(plain, &p->stats, NULL);
    p->n = e.n;
    for (size_t i = 0; i < e.n; i++)
        p->ef[i] = e.rows[i].prediction;
    eq_evaluation_clear(&e);
    eq_predictor_close(&predictor);
    eq_loader_free(val);
    eq_loader_free(plain);
    eq_graph_free(r.graph);
}

/* More processes than clips: some have none. */
static void predictions_are_shared(void **state)
{
    (void)state;
    char *dir = tiny_run_dir("predict");
    struct predicting one = {.dir = dir}, parts[MAX_RANKS];
    exchange_run(&shared, 1, predict, &one, 0);
    assert_int_equal(one.st, EQ_OK);
    assert_int_equal(one.n, VAL_CLIPS);
    assert_int_equal(one.stats.clips, TRAIN_CLIPS);
    for (int size = 2; size <= MAX_RANKS; size++) {
        for (int i = 0; i < size; i++)
            parts[i] = (struct predicting){.dir = dir};
        exchange_run(&shared, size, predict, parts, sizeof *parts);
        for (int i = 0; i < size; i++) {
            assert_int_equal(parts[i].st, EQ_OK);
            assert_int_equal(parts[i].n, VAL_CLIPS);
            assert_memory_equal(parts[i].ef, one.ef, sizeof one.ef);
            assert_memory_equal(&parts[i].stats, &one.stats, sizeof one.stats);
        }
    }
    free(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_bits_are_those_of_one_process),
        cmocka_unit_test(a_step_needs_a_micro_batch_for_everybody),
        cmocka_unit_test(a_lost_process_ends_the_step),
        cmocka_unit_test(predictions_are_shared),
    };
    return cmocka_run_group_tests(tests, tiny_data_make, tiny_data_remove);
}
