/* The QAT methods as rows of one table. */
#include "echoquant/quant.h"

#define NAME(id, name) name,
const char *const eq_qat_method_names[EQ_QAT_METHOD_COUNT + 1] = {EQ_QAT_METHODS(NAME)};

/* The weights moved: their scales follow, unless they are learned. */
static enum eq_status follow_weights(void *state, struct eq_graph *g, struct eq_err *err)
{
    (void)state;
    return eq_update_weight_qparams(g, err);
}

/* ---- straight-through estimator ------------------------------------------ */

static enum eq_status ste_open(struct eq_graph *calibrated, double averaging, void **state, struct eq_err *err)
{
    struct eq_observer_opts opts = {.kind = EQ_OBSERVER_MOVING_AVERAGE, .averaging = averaging};
    struct eq_qat_observers *q = NULL;
    enum eq_status st = eq_qat_observers_new(calibrated, &opts, &q, err);
    *state = q;
    return st;
}

static void ste_close(void *state)
{
    eq_qat_observers_free(state);
}

static struct eq_walk_hook ste_hook(void *state)
{
    return eq_qat_observers_hook(state);
}

static void ste_freeze(void *state, bool frozen)
{
    eq_qat_observers_freeze(state, frozen);
}

static size_t ste_state_size(const void *state)
{
    return eq_qat_observers_state_size(state);
}

static void ste_get_state(const void *state, float *out)
{
    eq_qat_observers_get_state(state, out);
}

static void ste_set_state(void *state, const float *in)
{
    eq_qat_observers_set_state(state, in);
}

/* ---- learned step size quantization -------------------------------------- */

static enum eq_status lsq_open(struct eq_graph *calibrated, double averaging, void **state, struct eq_err *err)
{
    struct eq_lsq *l = NULL;
    (void)averaging;
    enum eq_status st = eq_prepare_lsq(calibrated, err);
    if (st == EQ_OK)
        st = eq_lsq_new(calibrated, &l, err);
    *state = l;
    return st;
}

static void lsq_close(void *state)
{
    eq_lsq_free(state);
}

static enum eq_status lsq_after_step(void *state, struct eq_exec *x, double lr, struct eq_err *err)
{
    return eq_lsq_step(state, x, lr, err);
}

static void lsq_freeze(void *state, bool frozen)
{
    eq_lsq_hold_edges(state, frozen);
}

static size_t lsq_state_size(const void *state)
{
    return eq_lsq_state_size(state);
}

static void lsq_get_state(const void *state, float *out)
{
    eq_lsq_get_state(state, out);
}

static void lsq_set_state(void *state, const float *in)
{
    eq_lsq_set_state(state, in);
}

const struct eq_scale_rule eq_scale_rules[EQ_QAT_METHOD_COUNT] = {
    [EQ_QAT_STE] = {.observer = "moving_average",
                    .open = ste_open,
                    .close = ste_close,
                    .hook = ste_hook,
                    .before_forward = follow_weights,
                    .freeze = ste_freeze,
                    .state_size = ste_state_size,
                    .get_state = ste_get_state,
                    .set_state = ste_set_state},
    [EQ_QAT_LSQ] = {.observer = "lsq",
                    .open = lsq_open,
                    .close = lsq_close,
                    .before_forward = follow_weights,
                    .after_step = lsq_after_step,
                    .freeze = lsq_freeze,
                    .state_size = lsq_state_size,
                    .get_state = lsq_get_state,
                    .set_state = lsq_set_state},
};
