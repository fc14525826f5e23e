/* The training loop, watched step by step: accumulation, averaged weights, early stopping, and what it says when it
 * diverges. */
#include "unit/trainer_fixture.h"

#include <signal.h>
#include <unistd.h>

/* What is done after step number `step` (from 1), and what was seen. */
struct watch {
    struct tiny_watch seam;
    struct eq_trainer *trainer;
    void (*after)(struct watch *w, struct eq_trainer *t);
    size_t step, at;
    float **ema; /* the test's own average of every parameter */
    float bias[16];
    int validations;
};

static void step_done(void *ctx)
{
    struct watch *w = ctx;
    w->step++;
    if (w->after)
        w->after(w, w->trainer);
}

static struct tiny_watch *watched(struct watch *w, struct eq_trainer *t)
{
    w->trainer = t;
    w->seam = (struct tiny_watch){.after_step = step_done, .ctx = w};
    return &w->seam;
}

/* ---- accumulation -------------------------------------------------------- */

/* The gradient of one micro-batch alone, into grads; the executor's running statistics go to g. */
static void micro_gradient(struct eq_graph *g, const struct eq_batch *b, float **grads)
{
    struct eq_exec *x = NULL;
    float ef[2], diff[2];
    assert_ok(new_exec(g, EQ_EXEC_TRAIN, b->n, TINY_FRAMES, TINY_SIZE, &x, &err));
    assert_ok(eq_exec_forward(x, b->pixels, ef, &err));
    eq_loss_forward(EQ_LOSS_HUBER, ef, b->ef, (size_t)b->n, g->meta.target_std, diff);
    eq_exec_zero_grads(x);
    assert_ok(eq_exec_backward(x, diff, &err));
    for (int i = 0; i < g->n_params; i++)
        if (g->params[i].trainable)
            memcpy(grads[i], eq_exec_grad(x, i), eq_tensor_bytes(&g->params[i].value));
    eq_exec_free(x);
}

static void stop_at_once(struct watch *w, struct eq_trainer *t)
{
    (void)t;
    if (w->step == 1)
        raise(SIGTERM);
}

/* With accumulate = 2, a step of plain SGD is along the mean of two micro-batches' gradients, each with the batch norm
 * of its own clips; so are the running statistics. */
static void a_step_is_the_mean_of_its_micro_batches(void **state)
{
    (void)state;
    char *dir = tiny_run_dir("accumulate");
    struct watch w = {.after = stop_at_once};
    struct tiny_job job;
    struct tiny_run r;
    tiny_job_init(&job, dir, watched(&w, &r.t));
    struct eq_graph *g = NULL;
    job.job.accumulate = 2;
    job.job.optim = tiny_sgd;
    job.job.schedule = EQ_SCHEDULE_CONSTANT;
    job.job.grad_clip = 0;
    tiny_run_open(&r, &job);
    assert_int_equal(r.t.steps_per_epoch, 2);
    assert_ok(eq_graph_clone(r.graph, &g, &err));
    assert_refused(eq_trainer_run(&r.t, r.model_path, &err), EQ_INTERRUPTED, "after step 1");
    eq_interrupt_reset();
    assert_int_equal(w.step, 1); /* finished, though the signal came in the middle of it */

    float *grads[2][128];
    struct eq_loader *l = tiny_loader(&job, EQ_SPLIT_TRAIN, true);
    struct eq_batch b;
    assert_ok(eq_loader_start(l, 0, 0, &err));
    for (int m = 0; m < 2; m++) {
        for (int i = 0; i < g->n_params; i++)
            grads[m][i] = eq_alloc(eq_param_count(&g->params[i]), sizeof(float));
        assert_ok(eq_loader_next(l, &b, &err));
        micro_gradient(g, &b, grads[m]);
    }
    double worst = 0, largest = 0, squares = 0;
    for (int i = 0; i < g->n_params; i++)
        for (size_t k = 0; k < eq_param_count(&g->params[i]); k++) {
            double was = eq_param_data(&g->params[i])[k], is = eq_param_data(&r.graph->params[i])[k];
            double mean = ((double)grads[0][i][k] + grads[1][i][k]) / 2;
            double want = g->params[i].trainable ? was - 1e-3 * mean : was; /* statistics: those of the two forwards */
            worst = fmax(worst, fabs(is - want) - 1e-6 * fabs(want));
            largest = fmax(largest, fabs(is - was));
            squares += g->params[i].trainable ? mean * mean : 0;
        }
    assert_true(fabs(r.t.norm_sum - sqrt(squares)) < 1e-4 * sqrt(squares) && r.t.norm_max == r.t.norm_sum);
    assert_true(largest > 1e-4); /* it has moved */
    assert_true(worst < 1e-6);
    for (int m = 0; m < 2; m++)
        for (int i = 0; i < g->n_params; i++)
            eq_free(grads[m][i]);
    eq_loader_free(l);
    eq_graph_free(g);
    tiny_run_close(&r);
    free(dir);
}

/* ---- norms of the gradient ------------------------------------------------ */

struct norms {
    struct watch w; /* first: the watch is where the trainer finds it */
    double before, of[16];
};

static void note_norm(struct watch *w, struct eq_trainer *t)
{
    struct norms *n = (struct norms *)w;
    n->of[w->step - 1] = t->norm_sum - (t->batch_in_epoch == 0 ? 0 : n->before);
    n->before = t->norm_sum;
}

/* A row of the history has the mean and the maximum of the norms over its steps, before clipping. */
static void the_history_has_norms_before_clipping(void **state)
{
    (void)state;
    char *dir = tiny_run_dir("norms");
    struct norms n = {.w = {.after = note_norm}};
    struct tiny_job job;
    struct tiny_run r;
    tiny_job_init(&job, dir, watched(&n.w, &r.t));
    job.job.grad_clip = 1e-3;
    job.job.epochs = 2;
    tiny_run_open(&r, &job);
    assert_ok(eq_trainer_run(&r.t, r.model_path, &err));
    size_t steps = r.t.steps_per_epoch;
    assert_true(steps > 1 && n.w.step == 2 * steps);
    for (size_t e = 0; e < 2; e++) {
        double sum = 0, most = 0;
        for (size_t i = 0; i < steps; i++) {
            double norm = n.of[e * steps + i];
            assert_true(norm > 2 * job.job.grad_clip);
            sum += norm;
            most = fmax(most, norm);
        }
        assert_true(fabs(r.t.history[e].grad_norm - sum / (double)steps) < 1e-9 * sum);
        assert_true(fabs(r.t.history[e].grad_norm_max - most) < 1e-9 * most);
    }
    size_t len;
    void *text;
    char *path = eq_path_join(dir, "history/fp32.csv");
    assert_ok(eq_read_file(path, 1 << 16, &text, &len, &err));
    char *row = eq_format(",%.9g,%.9g,", r.t.history[1].grad_norm, r.t.history[1].grad_norm_max);
    static const char header[] = "epoch,lr,train_loss,val_mae,val_rmse,grad_norm,grad_norm_max,seconds,waited\n1,";
    assert_int_equal(strncmp(text, header, strlen(header)), 0);
    assert_non_null(strstr(strstr(text, "\n2,"), row));
    free(row);
    eq_free(text);
    free(path);
    tiny_run_close(&r);
    free(dir);
}

/* ---- averaged weights ---------------------------------------------------- */

static void average_too(struct watch *w, struct eq_trainer *t)
{
    double n = (double)w->step, keep = fmin(0.7, (1 + n) / (10 + n));
    for (int i = 0; i < t->job.graph->n_params; i++)
        for (size_t k = 0; k < eq_param_count(&t->job.graph->params[i]); k++)
            w->ema[i][k] = (float)(keep * w->ema[i][k] + (1 - keep) * eq_param_data(&t->job.graph->params[i])[k]);
}

/* The model that is kept has the averages, running statistics included; training goes on with the weights themselves.
 */
static void the_average_is_what_is_kept(void **state)
{
    (void)state;
    char *dir = tiny_run_dir("ema");
    struct watch w = {.after = average_too};
    struct tiny_job job;
    struct tiny_run r;
    tiny_job_init(&job, dir, watched(&w, &r.t));
    float *averages[128];
    struct eq_graph *kept = NULL;
    job.job.ema = 0.7;
    job.job.epochs = 1;
    tiny_run_open(&r, &job);
    w.ema = averages;
    for (int i = 0; i < r.graph->n_params; i++) {
        averages[i] = eq_alloc(eq_param_count(&r.graph->params[i]), sizeof(float));
        memcpy(averages[i], eq_param_data(&r.graph->params[i]), eq_tensor_bytes(&r.graph->params[i].value));
    }
    assert_ok(eq_trainer_run(&r.t, r.model_path, &err));
    assert_ok(eq_model_load(r.model_path, &kept, &err));
    double apart = 0;
    for (int i = 0; i < kept->n_params; i++)
        for (size_t k = 0; k < eq_param_count(&kept->params[i]); k++) {
            float mean = averages[i][k], is = eq_param_data(&kept->params[i])[k];
            if (!(fabsf(is - mean) <= 2e-6f * fmaxf(1, fabsf(mean))))
                fail_msg("%s[%zu] is %g, the average is %g", kept->params[i].name, k, (double)is, (double)mean);
            apart = fmax(apart, fabs((double)is - eq_param_data(&r.graph->params[i])[k]));
        }
    assert_true(apart > 1e-3); /* the weights themselves are elsewhere */
    for (int i = 0; i < r.graph->n_params; i++)
        eq_free(averages[i]);
    eq_graph_free(kept);
    tiny_run_close(&r);
    free(dir);
}

/* ---- early stopping ------------------------------------------------------ */

/* At the end of epoch e the network is made to answer what leaves the MAE of bias[e]. */
static void set_answer(struct watch *w, struct eq_trainer *t)
{
    if (w->step % t->steps_per_epoch != 0)
        return;
    memset(tiny_param(t->job.graph, "fc.weight"), 0, (size_t)(8 * TINY_WIDTH) * sizeof(float));
    tiny_param(t->job.graph, "fc.bias")[0] = w->bias[w->step / t->steps_per_epoch - 1];
}

static void it_stops_when_nothing_gets_better(void **state)
{
    (void)state;
    /* The validation EFs are 68, 74 and 80. */
    static const struct {
        float bias[8];
        int epochs, best;
    } cases[] = {
        {{60, 70, 60, 74, 50, 74, 50, 74}, 6, 4}, /* the same again is not better */
        {{74, 60, 60, 74, 74, 74, 74, 74}, 3, 1},
        {{40, 45, 50, 55, 60, 65, 70, 73}, 8, 8},
    };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        struct eq_str name = {0};
        eq_str_add(&name, "patience%zu", c);
        char *dir = tiny_run_dir(name.s);
        struct watch w = {.after = set_answer};
        struct tiny_job job;
        struct tiny_run r;
        tiny_job_init(&job, dir, watched(&w, &r.t));
        struct eq_graph *kept = NULL;
        memcpy(w.bias, cases[c].bias, sizeof cases[c].bias);
        job.job.patience = 2;
        job.job.epochs = 8;
        tiny_run_open(&r, &job);
        assert_ok(eq_trainer_run(&r.t, r.model_path, &err));
        assert_int_equal(r.t.epoch, cases[c].epochs);
        assert_int_equal(r.t.best_epoch, cases[c].best);
        assert_int_equal(r.t.n_history, cases[c].epochs);
        assert_ok(eq_model_load(r.model_path, &kept, &err));
        assert_true(tiny_param(kept, "fc.bias")[0] == cases[c].bias[cases[c].best - 1]);
        assert_true(fabs(r.t.best_mae - (fabs(68 - (double)cases[c].bias[cases[c].best - 1]) +
                                         fabs(74 - (double)cases[c].bias[cases[c].best - 1]) +
                                         fabs(80 - (double)cases[c].bias[cases[c].best - 1])) /
                                            3) < 1e-4);
        eq_graph_free(kept);
        tiny_run_close(&r);
        eq_str_clear(&name);
        free(dir);
    }
}

/* The start is a candidate: where no epoch is better, the file is the graph before the first step, to the bit; the same
 * MAE again is not better. */
static void the_start_may_be_the_best(void **state)
{
    (void)state;
    static const struct {
        float start, bias[3];
        int best;
    } cases[] = {{74, {60, 73, 50}, 0}, {74, {60, 74, 74}, 0}, {60, {50, 73, 60}, 2}, {60, {61, 50, 50}, 1}};
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        char *name = eq_format("start%zu", c), *dir = tiny_run_dir(name);
        struct watch w = {.after = set_answer};
        struct tiny_job job;
        struct tiny_run r;
        tiny_job_init(&job, dir, watched(&w, &r.t));
        struct eq_graph *kept = NULL, *start = NULL;
        memcpy(w.bias, cases[c].bias, sizeof cases[c].bias);
        job.job.weigh_start = true;
        tiny_run_open(&r, &job);
        memset(tiny_param(r.graph, "fc.weight"), 0, (size_t)(8 * TINY_WIDTH) * sizeof(float));
        tiny_param(r.graph, "fc.bias")[0] = cases[c].start;
        assert_ok(eq_graph_clone(r.graph, &start, &err));
        assert_ok(eq_trainer_run(&r.t, r.model_path, &err));
        assert_int_equal(r.t.best_epoch, cases[c].best);
        assert_int_equal(r.t.n_history, 4);
        assert_int_equal(r.t.history[0].epoch, 0);
        assert_true(isnan(r.t.history[0].train_loss) && isnan(r.t.history[0].lr));
        assert_true(fabs(r.t.history[0].val_mae - (cases[c].start > 73 ? 4 : 14)) < 1e-4);
        assert_ok(eq_model_load(r.model_path, &kept, &err));
        assert_true(tiny_param(kept, "fc.bias")[0] ==
                    (cases[c].best ? cases[c].bias[cases[c].best - 1] : cases[c].start));
        for (int i = 0; cases[c].best == 0 && i < kept->n_params; i++)
            assert_memory_equal(eq_param_data(&kept->params[i]), eq_param_data(&start->params[i]),
                                eq_tensor_bytes(&kept->params[i].value));
        eq_graph_free(kept);
        eq_graph_free(start);
        tiny_run_close(&r);
        free(dir);
        free(name);
    }
}

/* A start whose EF is no number is told before any step. */
static void a_start_that_is_no_number(void **state)
{
    (void)state;
    char *dir = tiny_run_dir("start_nan");
    struct tiny_job job;
    struct tiny_run r;
    struct eq_err said = {0};
    tiny_job_init(&job, dir, NULL);
    job.job.weigh_start = true;
    tiny_run_open(&r, &job);
    tiny_param(r.graph, "fc.bias")[0] = NAN;
    assert_int_equal(eq_trainer_run(&r.t, r.model_path, &said), EQ_NUMERIC);
    assert_non_null(strstr(said.msg, "the start, before any step"));
    assert_int_equal(r.t.optim.step, 0);
    tiny_run_close(&r);
    free(dir);
}

/* ---- divergence ---------------------------------------------------------- */

static void poison(struct watch *w, struct eq_trainer *t)
{
    if (w->step == w->at)
        tiny_param(t->job.graph, "fc.bias")[0] = w->bias[0];
}

/* Runs one whose weights break after step `at`; the message has to hold each text. */
static void diverges(const char *name, size_t at, float value, const char *const texts[], bool has_best)
{
    char *dir = tiny_run_dir(name);
    struct watch w = {.after = poison, .at = at, .bias = {value}};
    struct tiny_job job;
    struct tiny_run r;
    tiny_job_init(&job, dir, watched(&w, &r.t));
    struct eq_err said = {0};
    job.job.schedule = EQ_SCHEDULE_CONSTANT;
    tiny_run_open(&r, &job);
    assert_int_equal(eq_trainer_run(&r.t, r.model_path, &said), EQ_NUMERIC);
    for (int i = 0; texts[i]; i++)
        if (!strstr(said.msg, texts[i]))
            fail_msg("\"%s\" lacks \"%s\"", said.msg, texts[i]);
    assert_true(strstr(said.msg, "learning rate 0.001") != NULL);
    char *best = eq_trainer_state_path(&r.t, "best");
    assert_int_equal(strstr(said.msg, best) != NULL, has_best);
    struct eq_graph *kept = NULL;
    if (has_best)
        assert_ok(eq_model_load(best, &kept, &err)); /* it is there, and good */
    assert_false(eq_path_may_exist(r.model_path));
    eq_graph_free(kept);
    free(best);
    tiny_run_close(&r);
    free(dir);
}

static void it_stops_where_it_diverges(void **state)
{
    (void)state;
    diverges("nan1", 1, NAN, (const char *const[]){"the loss", "step 2 of 12", "no good checkpoint yet", NULL}, false);
    diverges("inf", 2, INFINITY, (const char *const[]){"the loss", "step 3 of 12", NULL}, false);
    diverges("nan6", 6, NAN, (const char *const[]){"the loss", "step 7 of 12", "last good checkpoint: ", NULL}, true);
    /* After the last step of an epoch it is the validation that sees it. */
    diverges("nan4", 4, NAN, (const char *const[]){"validation", "step 4 of 12", "no good checkpoint yet", NULL},
             false);
    diverges("nan8", 8, NAN, (const char *const[]){"validation", "step 8 of 12", "last good checkpoint: ", NULL}, true);
}

/* A state that can't be looked up is not one that isn't there: the training would begin anew. */
static void a_state_that_cannot_be_looked_up_is_said(void **state)
{
    (void)state;
    char *dir = tiny_run_dir("loop"), *folder = eq_path_join(dir, "state");
    struct tiny_job job;
    tiny_job_init(&job, dir, NULL);
    struct tiny_run r;
    struct eq_err said = {0};
    bool resumed;
    tiny_run_open(&r, &job);
    assert_ok(eq_make_dirs(folder, &err));
    char *path = eq_trainer_state_path(&r.t, "state");
    assert_int_equal(symlink("fp32.state.safetensors", path), 0);
    assert_int_equal(eq_trainer_load_state(&r.t, &resumed, &said), EQ_IO);
    assert_non_null(strstr(said.msg, path));
    assert_non_null(strstr(said.msg, "symbolic links"));
    tiny_run_close(&r);
    free(path);
    free(folder);
    free(dir);
}

/* The loss, in double, is about the square of these; so is the gradient of the features, in float. */
static void explode(struct watch *w, struct eq_trainer *t)
{
    float *fc = tiny_param(t->job.graph, "fc.weight");
    for (int i = 0; w->step == w->at && i < 8 * TINY_WIDTH; i++)
        fc[i] = 1e25f;
}

/* A loss that is finite may still have a gradient that isn't. */
static void a_gradient_that_overflows(void **state)
{
    (void)state;
    char *dir = tiny_run_dir("gradient");
    struct watch w = {.after = explode, .at = 5};
    struct tiny_job job;
    struct tiny_run r;
    tiny_job_init(&job, dir, watched(&w, &r.t));
    job.job.loss = EQ_LOSS_MSE;
    tiny_run_open(&r, &job);
    assert_refused(eq_trainer_run(&r.t, r.model_path, &err), EQ_NUMERIC,
                   "the gradient is not a finite number at step 6 of 12");
    tiny_run_close(&r);
    free(dir);
}

static int set_up(void **state)
{
    eq_signals_install();
    return tiny_data_make(state) || two_threads(state);
}

static int tear_down(void **state)
{
    return stop_threads(state) || tiny_data_remove(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_step_is_the_mean_of_its_micro_batches),
        cmocka_unit_test(the_history_has_norms_before_clipping),
        cmocka_unit_test(the_average_is_what_is_kept),
        cmocka_unit_test(it_stops_when_nothing_gets_better),
        cmocka_unit_test(the_start_may_be_the_best),
        cmocka_unit_test(a_start_that_is_no_number),
        cmocka_unit_test(it_stops_where_it_diverges),
        cmocka_unit_test(a_gradient_that_overflows),
        cmocka_unit_test(a_state_that_cannot_be_looked_up_is_said),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
