/* A training run small enough for a test to do it dozens of times: a data set of 8 + 3 clips, a narrow network, and a
 * trainer whose every step can be watched. */
#ifndef ECHOQUANT_TESTS_TRAINER_FIXTURE_H
#define ECHOQUANT_TESTS_TRAINER_FIXTURE_H

#include "avi_file.h"
#include "model_support.h"
#include "base/log.h"
#include "echoquant/ptq.h"
#include "train/trainer.h"

enum { TRAIN_CLIPS = 8, VAL_CLIPS = 3, TINY_FRAMES = 2, TINY_SIZE = 32, TINY_WIDTH = 8 };

static char *tiny_dir;
static struct eq_dataset tiny_ds;

static inline int tiny_data_make(void **state)
{
    struct eq_str list = {0};
    struct eq_err err = {0};
    (void)state;
    tiny_dir = test_dir_new();
    eq_str_add(&list, "FileName,EF,Split\n");
    for (int i = 0; i < TRAIN_CLIPS + VAL_CLIPS; i++) {
        struct test_avi a = {
            .width = TINY_SIZE, .height = TINY_SIZE, .frames = 4 + i, .texture = true, .first_level = 20 + 15 * i};
        struct eq_str path = {0};
        eq_str_add(&path, "%s/clip%02d.avi", tiny_dir, i);
        test_avi_write(path.s, &a);
        eq_str_add(&list, "clip%02d,%d,%s\n", i, 20 + 6 * i, i < TRAIN_CLIPS ? "TRAIN" : "VAL");
        eq_str_clear(&path);
    }
    char *path = eq_path_join(tiny_dir, "FileList.csv");
    test_write(path, list.s, list.len);
    free(path);
    eq_str_clear(&list);
    return eq_dataset_open(tiny_dir, &(struct eq_list_opts){.split_seed = 1}, &tiny_ds, &err) == EQ_OK ? 0 : -1;
}

static inline int tiny_data_remove(void **state)
{
    (void)state;
    eq_dataset_clear(&tiny_ds);
    test_dir_free(tiny_dir);
    return 0;
}

/* A fresh folder below the data, with what a run directory has; free(). */
static inline char *tiny_run_dir(const char *name)
{
    char *dir = eq_path_join(tiny_dir, name);
    assert_ok(eq_run_make_dirs(dir, &err));
    return dir;
}

struct tiny_run {
    struct eq_trainer t;
    struct eq_graph *graph;
    char *model_path;
};

static const struct eq_optim_opts tiny_adamw = {
    .kind = EQ_OPTIM_ADAMW, .lr = 1e-3, .weight_decay = 0.01, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8};
static const struct eq_optim_opts tiny_sgd = {.kind = EQ_OPTIM_SGD, .lr = 1e-3};

/* Where a test looks on, or gets in the way: a rule that moves no scales. */
struct tiny_watch {
    void (*before_forward)(void *ctx);
    void (*after_step)(void *ctx);
    void *ctx;
};

static enum eq_status tiny_before_forward(void *state, struct eq_graph *g, struct eq_err *err)
{
    const struct tiny_watch *w = state;
    (void)g, (void)err;
    if (w->before_forward)
        w->before_forward(w->ctx);
    return EQ_OK;
}

static enum eq_status tiny_after_step(void *state, struct eq_exec *x, double lr, struct eq_err *err)
{
    const struct tiny_watch *w = state;
    (void)x, (void)lr, (void)err;
    if (w->after_step)
        w->after_step(w->ctx);
    return EQ_OK;
}

static void tiny_freeze(void *state, bool frozen)
{
    (void)state, (void)frozen;
}

static size_t tiny_state_size(const void *state)
{
    (void)state;
    return 0;
}

static const struct eq_scale_rule tiny_rule = {.before_forward = tiny_before_forward,
                                               .after_step = tiny_after_step,
                                               .freeze = tiny_freeze,
                                               .state_size = tiny_state_size};

/* The settings and the job of a run in dir; both must outlive the trainer. */
struct tiny_job {
    struct eq_config cfg;
    struct eq_train_job job;
};

static inline void tiny_job_init(struct tiny_job *t, const char *dir, struct tiny_watch *watch)
{
    *t = (struct tiny_job){.cfg = {.data = {.frames = TINY_FRAMES, .size = TINY_SIZE},
                                   .train = {.shift = 2, .random_phase = true},
                                   .run = {.dir = (char *)(uintptr_t)dir, .seed = 3}}};
    t->job = (struct eq_train_job){.cfg = &t->cfg,
                                   .ds = &tiny_ds,
                                   .name = "fp32",
                                   .epochs = 3,
                                   .batch = 2,
                                   .accumulate = 1,
                                   .optim = tiny_adamw,
                                   .schedule = EQ_SCHEDULE_COSINE,
                                   .loss = EQ_LOSS_HUBER,
                                   .grad_clip = 5,
                                   .rule = watch ? &tiny_rule : NULL,
                                   .scales = watch,
                                   .signature = "a=1\nb=2\n"};
}

static inline struct eq_loader *tiny_loader(const struct tiny_job *t, enum eq_split split, bool training)
{
    struct eq_loader *l = NULL;
    assert_ok(eq_run_loader(&t->cfg, &tiny_ds, split, training, training ? t->job.batch : 1, &l, &err));
    return l;
}

static inline void tiny_run_open(struct tiny_run *r, struct tiny_job *job)
{
    const struct eq_model_meta meta = {.frames = TINY_FRAMES,
                                       .size = TINY_SIZE,
                                       .pixel_mean = 100,
                                       .pixel_std = 60,
                                       .target_mean = 50,
                                       .target_std = 15};
    r->model_path = eq_path_join(job->cfg.run.dir, "fp32.safetensors");
    assert_ok(eq_resnet18_new(&meta, TINY_WIDTH, 7, &r->graph, &err));
    job->job.graph = r->graph;
    assert_ok(eq_trainer_init(&r->t, &job->job, &err));
}

static inline void tiny_run_close(struct tiny_run *r)
{
    eq_trainer_clear(&r->t);
    eq_graph_free(r->graph);
    free(r->model_path);
}

static inline float *tiny_param(struct eq_graph *g, const char *name)
{
    int i = eq_graph_find_param(g, name);
    assert_true(i >= 0);
    return eq_param_data(&g->params[i]);
}

#endif
