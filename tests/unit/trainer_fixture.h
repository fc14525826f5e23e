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
    return eq_dataset_open(tiny_dir, 1, EQ_ON_ERROR_FAIL, &tiny_ds, &err) == EQ_OK ? 0 : -1;
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

static inline struct eq_trainer_opts tiny_opts(const char *dir)
{
    return (struct eq_trainer_opts){.name = "fp32",
                                    .dir = dir,
                                    .epochs = 3,
                                    .batch = 2,
                                    .accumulate = 1,
                                    .optim = tiny_adamw,
                                    .schedule = EQ_SCHEDULE_COSINE,
                                    .loss = EQ_LOSS_HUBER,
                                    .grad_clip = 5,
                                    .signature = (char *)"a=1\nb=2\n"};
}

static inline struct eq_trainer_ops tiny_ops(void *ctx)
{
    return (struct eq_trainer_ops){.open_predictor = eq_fp32_predictor, .save = eq_fp32_save, .ctx = ctx};
}

static inline struct eq_loader *tiny_loader(enum eq_split split, int batch, bool training)
{
    uint32_t *indices;
    size_t n = eq_dataset_split(&tiny_ds, split, &indices);
    struct eq_loader *l = NULL;
    struct eq_loader_opts o = {.sampling = {TINY_FRAMES, TINY_SIZE, -1.0, 1},
                               .batch = batch,
                               .shuffle = training,
                               .drop_last = training,
                               .augment = {.max_shift = training ? 2 : 0, .random_phase = training},
                               .seed = 3};
    assert_ok(eq_loader_new(&tiny_ds, indices, n, &o, &l, &err));
    free(indices);
    return l;
}

static inline void tiny_run_open(struct tiny_run *r, const struct eq_trainer_opts *opts,
                                 const struct eq_trainer_ops *ops)
{
    const struct eq_model_meta meta = {.frames = TINY_FRAMES,
                                       .size = TINY_SIZE,
                                       .pixel_mean = 100,
                                       .pixel_std = 60,
                                       .target_mean = 50,
                                       .target_std = 15};
    r->model_path = eq_path_join(opts->dir, "fp32.safetensors");
    assert_ok(eq_resnet18_new(&meta, TINY_WIDTH, 7, &r->graph, &err));
    assert_ok(eq_trainer_init(&r->t, opts, ops, r->graph, &tiny_ds, tiny_loader(EQ_SPLIT_TRAIN, opts->batch, true),
                              tiny_loader(EQ_SPLIT_VAL, 1, false), &err));
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
