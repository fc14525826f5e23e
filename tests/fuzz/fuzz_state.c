/* A training state with any edits (st_edit.h), of a network of three parameters: it is refused with a reason, or the
 * training goes on at a place that exists, with values that are finite. */
#include "st_edit.h"
#include "train/trainer.h"

#include <math.h>
#include <unistd.h>

enum { EXTRA = 3, EPOCHS = 3 };
static float extra[EXTRA];

static size_t state_size(const void *state)
{
    (void)state;
    return EXTRA;
}

static void get_state(const void *state, float *out)
{
    (void)state;
    memcpy(out, extra, sizeof extra);
}

static void set_state(void *state, const float *from)
{
    (void)state;
    memcpy(extra, from, sizeof extra);
}

static struct eq_graph *new_graph(void)
{
    struct eq_graph *g = calloc(1, sizeof *g);
    require(g && eq_graph_add_param(g, "conv.weight", 4, (size_t[]){2, 1, 2, 2}, true, true) == 0);
    require(eq_graph_add_param(g, "bn.running_mean", 1, (size_t[]){2}, false, false) == 1);
    require(eq_graph_add_param(g, "fc.bias", 1, (size_t[]){1}, true, false) == 2);
    require(eq_graph_add_fake_quant(g, 2, -127, 127) == 0);
    return g;
}

static void new_trainer(struct eq_trainer *t)
{
    static struct eq_scale_rule rule = {.observer = "none"};
    static struct eq_config cfg;
    const struct eq_optim_opts optim = {
        .kind = EQ_OPTIM_ADAMW, .lr = 1e-3, .weight_decay = 0.01, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8};
    struct eq_err err;
    rule.state_size = state_size;
    rule.get_state = get_state;
    rule.set_state = set_state;
    *t = (struct eq_trainer){.job = {.cfg = &cfg,
                                     .name = "qat",
                                     .graph = new_graph(),
                                     .epochs = EPOCHS,
                                     .batch = 2,
                                     .accumulate = 2,
                                     .rule = &rule,
                                     .signature = "train.lr=0.001\nqat.per_channel=true\nisa=avx2\n"},
                             .best_mae = INFINITY,
                             .steps_per_epoch = 5,
                             .total_steps = 5 * EPOCHS,
                             .n_params = 2};
    t->param_index = calloc(2, sizeof *t->param_index);
    t->history = calloc(EPOCHS + 1, sizeof *t->history);
    t->ema = calloc((size_t)t->job.graph->n_params, sizeof *t->ema);
    require(t->param_index && t->history && t->ema);
    t->param_index[1] = 2;
    for (int i = 0; i < t->job.graph->n_params; i++)
        require((t->ema[i] = calloc(eq_param_count(&t->job.graph->params[i]), sizeof(float))) != NULL);
    require(eq_optim_init(&t->optim, &optim, 2, (size_t[]){8, 1}, &err) == EQ_OK);
}

/* The state after the second step of the second epoch. */
static void make_base(struct eq_trainer *t, struct eq_st_file *base)
{
    char dir[] = "/tmp/fuzz_state-XXXXXX";
    struct eq_err err;
    require(mkdtemp(dir) != NULL);
    ((struct eq_config *)t->job.cfg)->run.dir = dir;
    char *state = eq_path_join(dir, "state"), *path = eq_trainer_state_path(t, "state");
    t->epoch = t->best_epoch = 1;
    t->batch_in_epoch = 4;
    t->optim.step = 7;
    t->loss_sum = 1.5;
    t->best_mae = 9.25;
    t->n_history = 2;
    t->history[0] = (struct eq_epoch_row){0, NAN, NAN, 11, 12, 0.5, NAN, NAN, 0};
    t->history[1] = (struct eq_epoch_row){1, 1e-3, 0.75, 9.25, 10, 1.5, 0.5, 2, 0.25};
    require(eq_make_dirs(state, &err) == EQ_OK && eq_trainer_save_state(t, &err) == EQ_OK);
    require(eq_st_read(path, base, &err) == EQ_OK);
    unlink(path);
    rmdir(state);
    rmdir(dir);
    free(state);
    free(path);
}

static bool all_finite(const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!isfinite(x[i]))
            return false;
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct eq_trainer t;
    static struct eq_st_file base;
    static struct st_edit e;
    struct eq_err err = {0};
    if (!base.n) {
        new_trainer(&t);
        make_base(&t, &base);
    }
    enum eq_status st = eq_trainer_take_state(&t, st_edit(&e, &base, data, size), "input", &err);
    if (st == EQ_OK) {
        require(t.epoch >= 0 && t.epoch <= EPOCHS && t.batch_in_epoch <= 10 && t.n_history <= EPOCHS + 1);
        require(t.optim.step <= t.total_steps && t.best_epoch <= t.epoch);
        for (int i = 0; i < t.job.graph->n_params; i++)
            require(all_finite(t.ema[i], eq_param_count(&t.job.graph->params[i])) &&
                    all_finite(eq_param_data(&t.job.graph->params[i]), eq_param_count(&t.job.graph->params[i])));
        require(all_finite(t.optim.m[0], 8) && all_finite(t.optim.v[0], 8) && all_finite(extra, EXTRA));
    } else {
        require(err.status == st && strncmp(err.msg, "input", 5) == 0);
        require(st == EQ_FORMAT || st == EQ_NUMERIC || st == EQ_USAGE);
    }
    st_edit_clear(&e);
    return 0;
}
