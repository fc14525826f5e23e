/* A small ResNet-18 as after training, for the tests of what is done to one. */
#ifndef ECHOQUANT_TESTS_QUANT_RESNET_H
#define ECHOQUANT_TESTS_QUANT_RESNET_H

#include "unit/quant_fixture.h"

static const struct eq_model_meta small = {
    .frames = 3, .size = 40, .pixel_mean = 90, .pixel_std = 50, .target_mean = 55, .target_std = 12};

/* A network as after training: its running statistics fit the clips. */
static inline struct eq_graph *settled_resnet(struct noise_clips *clips, int n)
{
    struct eq_graph *net;
    assert_ok(eq_resnet18_new(&small, 8, 2, &net, e_));
    noise_clips_init(clips, 5, n, small.frames, small.size);
    assert_ok(eq_reestimate_batchnorm(net, &clips->source, (size_t)n, 2, e_));
    return net;
}

static inline struct eq_graph *fold_and_fuse(const struct eq_graph *net)
{
    struct eq_graph *g;
    assert_ok(eq_fold_batchnorm(net, &g, e_));
    assert_ok(eq_fuse(g, e_));
    return g;
}

static inline void predict(struct eq_graph *g, const struct noise_clips *clips, float *ef)
{
    struct eq_exec *x;
    size_t clip = (size_t)small.frames * small.size * small.size * 3;
    assert_ok(new_exec(g, EQ_EXEC_INFER, 1, small.frames, small.size, &x, e_));
    for (int i = 0; i < clips->n; i++)
        assert_ok(eq_exec_forward(x, clips->pixels + (size_t)i * clip, &ef[i], e_));
    eq_exec_free(x);
}

static inline void calibrate_for(struct eq_graph *g, int bits, enum eq_arithmetic arithmetic,
                                 const struct noise_clips *clips)
{
    struct eq_observer_opts opts = {.kind = EQ_OBSERVER_MINMAX};
    assert_ok(eq_prepare_fake_quant_for(g, bits, arithmetic, e_));
    assert_ok(eq_calibrate(g, &clips->source, (size_t)clips->n, &opts, NULL, NULL, e_));
}

static inline void calibrate(struct eq_graph *g, int bits, const struct noise_clips *clips)
{
    calibrate_for(g, bits, EQ_ARITHMETIC_DIRECT, clips);
}

#endif
