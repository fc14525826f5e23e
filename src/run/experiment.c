/* An experiment: the phases in order, without those whose result exists; with train.seeds above 1, one run for each
 * seed. */
#include "echoquant/dist.h"
#include "echoquant/run.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static enum eq_status make_ptq(const struct eq_config *cfg, const struct eq_dataset *ds, struct eq_err *err)
{
    struct eq_ptq_inputs in;
    enum eq_status st = eq_ptq_open(cfg, ds, NULL, &in, err);
    if (st == EQ_OK)
        st = eq_run_ptq(&cfg->ptq, &in, err);
    eq_ptq_close(&in);
    return st;
}

/* Makes the model of a phase from the baseline of the run. Processes share it. */
static enum eq_status make(enum eq_phase phase, const struct eq_config *cfg, const struct eq_dataset *ds,
                           struct eq_err *err)
{
    switch (phase) {
    case EQ_PHASE_TRAIN:
        return eq_run_train(cfg, ds, err);
    case EQ_PHASE_PTQ:
        return make_ptq(cfg, ds, err);
    case EQ_PHASE_QAT:
        return eq_run_qat(cfg, ds, NULL, err);
    default:
        return eq_run_control(cfg, ds, NULL, err);
    }
}

static enum eq_status check_interrupt(struct eq_err *err)
{
    enum eq_status st = EQ_OK;
    if (eq_interrupted())
        st = eq_fail(err, EQ_INTERRUPTED, "interrupted. Run the same command to resume.");
    return eq_comm_agree(eq_comm_world(), st, err);
}

static char *title_of_making(const struct eq_run_model *m)
{
    return eq_format("%s %s", m->phase == EQ_PHASE_PTQ ? "quantize:" : "train", m->row);
}

static char *title_of_evaluation(const struct eq_run_model *m)
{
    return eq_format("evaluate %s", m->row);
}

static const char checking[] = "check the clips", timing[] = "time the models", reporting[] = "report";

/* title: owned by this function. */
static void enter_step(char *title)
{
    eq_steps_next(title);
    free(title);
}

static enum eq_status make_models(const struct eq_config *cfg, const struct eq_dataset *ds, struct eq_err *err)
{
    for (const struct eq_run_model *m = eq_run_models; m->name; m++) {
        if (!m->is_wanted(cfg) || !eq_run_model_is_made(m))
            continue;
        bool there = false;
        enum eq_status st = eq_first_begin() ? eq_run_has_model(cfg->run.dir, m->name, &there, err) : EQ_OK;
        EQ_CHECK(eq_first_end(st, &there, sizeof there, err));
        if (there) {
            eq_info("%s: %s/%s.safetensors exists", m->title, cfg->run.dir, m->file);
            continue;
        }
        EQ_CHECK(check_interrupt(err));
        enter_step(title_of_making(m));
        EQ_CHECK(make(m->phase, cfg, ds, err));
    }
    return EQ_OK;
}

static bool is_to_evaluate(const struct eq_run_model *m, const struct eq_config *cfg)
{
    return m->is_wanted(cfg) && !eq_run_has_timed_result(cfg, m->name);
}

/* What one process does after all evaluations. */
static enum eq_status finish_models(const struct eq_config *cfg, const struct eq_dataset *ds,
                                    const struct eq_run_devices *devices, bool timed, struct eq_err *err)
{
    if (!timed) {
        eq_steps_next(timing);
        EQ_CHECK(eq_run_time(cfg, ds, NULL, NULL, devices, err));
    }
    return eq_run_record_context(cfg, ds, devices, err);
}

/* Only the first process has devices: several predict on their CPUs. */
static enum eq_status evaluate_models(const struct eq_config *cfg, const struct eq_dataset *ds, struct eq_err *err)
{
    struct eq_run_devices devices = {0};
    enum eq_status st;
    bool timed = true;
    st = eq_first_begin() ? eq_run_devices_open(cfg, &devices, err) : EQ_OK;
    EQ_TRY(eq_first_end(st, NULL, 0, err));
    for (const struct eq_run_model *m = eq_run_models; m->name; m++) {
        bool wanted = eq_first_begin() && is_to_evaluate(m, cfg);
        EQ_TRY(eq_first_end(EQ_OK, &wanted, sizeof wanted, err));
        if (!wanted)
            continue;
        EQ_TRY(check_interrupt(err));
        enter_step(title_of_evaluation(m));
        EQ_TRY(eq_run_eval(cfg, ds, m->name, NULL, &devices, err));
        timed = false;
    }
    EQ_TRY(check_interrupt(err));
    st = eq_first_begin() ? finish_models(cfg, ds, &devices, timed, err) : EQ_OK;
    st = eq_first_end(st, NULL, 0, err);
out:
    eq_run_devices_close(&devices);
    return st;
}

/* The devices of the evaluation, which comes after hours of training. */
static enum eq_status check_devices(const struct eq_config *cfg, struct eq_err *err)
{
    struct eq_run_devices devices;
    enum eq_status st = eq_run_devices_open(cfg, &devices, err);
    eq_run_devices_close(&devices);
    return st;
}

/* Checks the precisions of the phases that remain. */
static enum eq_status check_precisions(const struct eq_config *cfg, bool force, struct eq_err *err)
{
    bool there;
    EQ_CHECK(eq_run_has_model(cfg->run.dir, eq_phase_model(EQ_PHASE_TRAIN)->name, &there, err));
    if (force || !there)
        EQ_CHECK(eq_precision_check(cfg->train.precision, err));
    for (const struct eq_run_model *m = eq_run_models; m->name; m++)
        if (m->is_wanted(cfg) && (force || !eq_run_has_result(cfg, m->name))) {
            EQ_CHECK(eq_precision_check(m->precision, err));
            EQ_CHECK(eq_predictor_check_precision(cfg->run.device, m->precision, err));
        }
    return EQ_OK;
}

/* A split without clips would end the run only when its turn comes, after hours of training. */
static enum eq_status check_splits(const struct eq_dataset *ds, struct eq_err *err)
{
    for (int s = 0; s < EQ_SPLIT_COUNT; s++) {
        uint32_t *indices;
        size_t n = eq_dataset_split(ds, (enum eq_split)s, &indices);
        free(indices);
        if (n == 0)
            return eq_fail(
                err, EQ_FORMAT,
                "%s: the %s split holds no clips, and run-all needs some in each. Correct the column Split of "
                "FileList.csv; without the column clips are split here",
                ds->dir, eq_split_name((enum eq_split)s));
    }
    return EQ_OK;
}

/* A finished run belongs to its data: another list, or other clips, are another run. Data that no longer exist cannot
 * differ, and are not made again. */
static enum eq_status check_finished(const struct eq_config *cfg, struct eq_dataset *ds, struct eq_err *err)
{
    char *list = eq_path_join(cfg->data.dir, "FileList.csv");
    enum eq_status st = EQ_OK;
    bool there = false;
    if (!ds->dir)
        EQ_TRY(eq_path_look(list, &there, err));
    if (there)
        EQ_TRY(eq_run_open_data(cfg, ds, err));
    if (ds->dir)
        EQ_TRY(eq_run_check_data(cfg->run.dir, ds, err));
    eq_info("%s is finished with these settings: nothing to do", cfg->run.dir);
out:
    free(list);
    return st;
}

/* ---- the steps, for progress ---------------------------------------------- */

struct steps {
    struct eq_step *list;
    size_t n, cap;
};

static enum eq_status add_step(struct steps *s, char *title, double work, struct eq_err *err)
{
    if (s->n == s->cap) {
        size_t cap = s->cap ? 2 * s->cap : 16;
        struct eq_step *more = realloc(s->list, cap * sizeof *more);
        if (!more) {
            free(title);
            return eq_fail(err, EQ_NOMEM, "out of memory for a list of %zu steps", cap);
        }
        s->list = more;
        s->cap = cap;
    }
    s->list[s->n++] = (struct eq_step){.title = title, .work = work};
    return EQ_OK;
}

static void clear_steps(struct steps *s)
{
    for (size_t i = 0; i < s->n; i++)
        free((char *)s->list[i].title);
    free(s->list);
}

/* Work in passes of one clip through the FP32 network. The factors were measured once (Zen 5, 2 threads, the default
 * configuration); on other machines they are near enough for an ETA, which the pace of each step corrects. */
static double work_of_making(enum eq_phase phase, const struct eq_config *cfg, const double clips[EQ_SPLIT_COUNT])
{
    const double training = 4, fake_quant = 1.4, calibration = 4, parts = 8, layers = 10;
    double train = clips[EQ_SPLIT_TRAIN], val = clips[EQ_SPLIT_VAL],
           few = fmin(EQ_PARTS_CLIPS, cfg->sensitivity.clips); /* eq_parts_open */
    switch (phase) {
    case EQ_PHASE_TRAIN:
        return cfg->train.epochs * (training * train + val);
    case EQ_PHASE_PTQ:
        return calibration * cfg->ptq.clips + (parts + layers) * few;
    case EQ_PHASE_QAT:
        return cfg->qat.epochs * (training * fake_quant * train + val) + parts * few;
    default:
        return cfg->qat.epochs * (training * train + val);
    }
}

/* What make_models, evaluate_models and the report will do, in their order. force: whatever exists is made again. */
static enum eq_status add_run(const struct eq_config *cfg, const double clips[EQ_SPLIT_COUNT], bool force,
                              struct steps *out, struct eq_err *err)
{
    int n = 0;
    for (const struct eq_run_model *m = eq_run_models; m->name; m++) {
        bool there;
        if (!m->is_wanted(cfg) || !eq_run_model_is_made(m))
            continue;
        EQ_CHECK(eq_run_has_model(cfg->run.dir, m->name, &there, err));
        if (force || !there)
            EQ_CHECK(add_step(out, title_of_making(m), work_of_making(m->phase, cfg, clips), err));
    }
    for (const struct eq_run_model *m = eq_run_models; m->name; m++)
        if (force ? m->is_wanted(cfg) : is_to_evaluate(m, cfg)) {
            EQ_CHECK(add_step(out, title_of_evaluation(m),
                              clips[EQ_SPLIT_TEST] * cfg->eval.phases + clips[EQ_SPLIT_VAL], err));
            n++;
        }
    /* A clip alone, and one from file to EF, take about two passes of a batch. */
    return n ? add_step(out, eq_strdup(timing), 4.0 * n * (cfg->bench.warmup + cfg->bench.repeats), err) : EQ_OK;
}

static enum eq_status add_steps(const struct eq_settings *s, const double clips[EQ_SPLIT_COUNT], bool force,
                                struct steps *out, struct eq_err *err)
{
    const double report = 20;
    const struct eq_config *cfg = &s->config;
    if (cfg->train.seeds == 1)
        EQ_CHECK(add_run(cfg, clips, force, out, err));
    for (int i = 0; cfg->train.seeds > 1 && i < cfg->train.seeds; i++) {
        struct eq_settings one;
        EQ_CHECK(eq_settings_of_seed(&one, s, i, err));
        bool finished = !force && eq_run_is_finished(&one.config);
        enum eq_status st = finished ? EQ_OK : add_steps(&one, clips, force, out, err);
        eq_settings_clear(&one);
        EQ_CHECK(st);
    }
    return add_step(out, eq_strdup(reporting), report, err);
}

/* Enters the first step, the check of the clips. */
static enum eq_status begin_steps(const struct eq_settings *s, bool force, struct eq_err *err)
{
    static const double unknown[EQ_SPLIT_COUNT] = {NAN, NAN, NAN};
    struct steps steps = {0};
    enum eq_status st = add_step(&steps, eq_strdup(checking), 0, err);
    if (st == EQ_OK)
        st = add_steps(s, unknown, force, &steps, err);
    if (st == EQ_OK && eq_steps_begin(steps.list, steps.n))
        eq_steps_next(checking);
    clear_steps(&steps);
    return st;
}

/* The steps after the check, whose work follows from the number of clips. */
static enum eq_status plan_steps(const struct eq_settings *s, const struct eq_dataset *ds, struct eq_err *err)
{
    struct steps steps = {0};
    double clips[EQ_SPLIT_COUNT] = {0};
    for (size_t i = 0; i < ds->n; i++)
        clips[ds->samples[i].split]++;
    enum eq_status st = add_steps(s, clips, false, &steps, err);
    if (st == EQ_OK)
        eq_steps_replan(steps.list, steps.n);
    clear_steps(&steps);
    return st;
}

static enum eq_status run(const struct eq_settings *s, struct eq_dataset *ds, bool force, struct eq_err *err);

/* Runs each seed in its own run directory, those of one process: seed `first`, and every `step`-th after it. */
static enum eq_status run_every(const struct eq_settings *s, struct eq_dataset *ds, int first, int step,
                                struct eq_err *err)
{
    for (int i = first; i < s->config.train.seeds; i += step) {
        struct eq_settings one;
        EQ_CHECK(eq_settings_of_seed(&one, s, i, err));
        eq_info("seed %d: %s", one.config.run.seed, one.config.run.dir);
        enum eq_status st = run(&one, ds, false, err);
        eq_settings_clear(&one);
        EQ_CHECK(st);
    }
    return EQ_OK;
}

/* The common directory gets the report over all seeds. */
static enum eq_status run_seeds(const struct eq_settings *s, struct eq_dataset *ds, struct eq_err *err)
{
    const struct eq_comm *c = eq_comm_world();
    if (s->config.dist.seeds == EQ_DIST_SEEDS_SHARED || c->size == 1)
        return run_every(s, ds, 0, 1, err);
    eq_apart_begin();
    return eq_apart_end(run_every(s, ds, c->rank, c->size, err), err);
}

/* Enters the run directory. ds: the data; opened here unless it is open. */
static enum eq_status enter(const struct eq_settings *s, struct eq_dataset *ds, bool force, struct eq_run_lock *lock,
                            bool *finished, struct eq_err *err)
{
    const struct eq_config *cfg = &s->config;
    bool first = !ds->dir;
    EQ_CHECK(eq_run_admit(s, EQ_PHASE_ALL, force, err));
    *finished = !force && eq_run_is_finished(cfg);
    if (*finished)
        return check_finished(cfg, ds, err);
    EQ_CHECK(check_precisions(cfg, force, err));
    if (first)
        EQ_CHECK(check_devices(cfg, err));
    EQ_CHECK(eq_run_lock(lock, cfg->run.dir, err));
    if (first) {
        EQ_CHECK(begin_steps(s, force, err));
        EQ_CHECK(eq_run_open_data(cfg, ds, err));
    }
    EQ_CHECK(check_splits(ds, err));
    EQ_CHECK(eq_run_enter(s, ds, EQ_PHASE_ALL, force, err));
    return first ? plan_steps(s, ds, err) : EQ_OK;
}

static enum eq_status run(const struct eq_settings *s, struct eq_dataset *ds, bool force, struct eq_err *err)
{
    const struct eq_config *cfg = &s->config;
    struct eq_run_lock lock = {0};
    bool finished = false;
    enum eq_status st;
    EQ_TRY(check_interrupt(err));
    st = eq_first_begin() ? enter(s, ds, force, &lock, &finished, err) : EQ_OK;
    EQ_TRY(eq_first_end(st, &finished, sizeof finished, err));
    if (finished)
        goto out;
    EQ_TRY(eq_run_open_data_of_first(cfg, ds, err));
    if (cfg->train.seeds > 1) {
        EQ_TRY(run_seeds(s, ds, err));
    } else {
        EQ_TRY(make_models(cfg, ds, err));
        EQ_TRY(evaluate_models(cfg, ds, err));
    }
    eq_steps_next(reporting);
    st = eq_first_begin() ? eq_run_report(cfg->run.dir, err) : EQ_OK;
    EQ_TRY(eq_first_end(st, NULL, 0, err));
out:
    eq_run_unlock(&lock);
    return st;
}

enum eq_status eq_run_experiment(const struct eq_settings *s, bool force, struct eq_err *err)
{
    struct eq_dataset ds = {0};
    enum eq_status st = run(s, &ds, force, err);
    if (st == EQ_INTERRUPTED && err && !strstr(err->msg, "same command"))
        st = eq_fail(err, st, "%s. Run the same command to resume", err->msg);
    eq_steps_end(st == EQ_OK);
    eq_dataset_clear(&ds);
    return st;
}
