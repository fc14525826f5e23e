/* What the tests of the nn and model floors share. */
#ifndef ECHOQUANT_TESTS_MODEL_SUPPORT_H
#define ECHOQUANT_TESTS_MODEL_SUPPORT_H

#include "new_exec.h"
#include "unit/cmocka_all.h"

#include "echoquant/model.h"
#include "echoquant/nn.h"

#include <math.h>
#include <string.h>

/* Runs expr, which names its error err, and fails with the message when it isn't EQ_OK. */
#define assert_ok(expr)                                                                                                \
    do {                                                                                                               \
        struct eq_err err = {0};                                                                                       \
        if ((expr) != EQ_OK)                                                                                           \
            fail_msg("%s: %s", #expr, err.msg);                                                                        \
    } while (0)

/* Runs expr and fails unless it gives the status and a message that holds text. */
#define assert_refused(expr, want, text)                                                                               \
    do {                                                                                                               \
        struct eq_err err = {0};                                                                                       \
        enum eq_status got = (expr);                                                                                   \
        if (got != (want) || !strstr(err.msg, text))                                                                   \
            fail_msg("%s: status %d, message \"%s\" lacks \"%s\"", #expr, got, err.msg, text);                         \
    } while (0)

static inline int start_threads(int threads)
{
    struct eq_err err;
    return eq_parallel_init(threads, &err) == EQ_OK ? 0 : -1;
}
static inline int two_threads(void **state)
{
    (void)state;
    return start_threads(2);
}
static inline int stop_threads(void **state)
{
    (void)state;
    eq_parallel_shutdown();
    return 0;
}

/* A tensor of a file, to be changed. */
static inline struct eq_st_tensor *find_tensor(struct eq_st_file *f, const char *name)
{
    for (size_t i = 0; i < f->n; i++)
        if (strcmp(f->tensors[i].name, name) == 0)
            return &f->tensors[i];
    fail_msg("no tensor %s", name);
    return NULL;
}

/* n bytes, uniform, the same for the same seed. Free with eq_free. */
static inline uint8_t *random_pixels(size_t n, uint32_t seed)
{
    struct eq_rng rng;
    eq_rng_init(&rng, seed, EQ_RNG_TEST, 0, 0);
    uint8_t *p = eq_alloc(n, 1);
    for (size_t i = 0; p && i < n; i++)
        p[i] = (uint8_t)eq_rng_below(&rng, 256);
    return p;
}
static inline void random_floats(float *x, size_t n, double lo, double hi, uint32_t seed)
{
    struct eq_rng rng;
    eq_rng_init(&rng, seed, EQ_RNG_TEST, 1, 0);
    for (size_t i = 0; i < n; i++)
        x[i] = (float)eq_rng_range(&rng, lo, hi);
}

static const struct eq_model_meta test_meta = {
    .frames = 3, .size = 32, .pixel_mean = 120, .pixel_std = 70.0f, .target_mean = 55.0f, .target_std = 12.0f};

/* Root mean square of a - b in units of b's. */
static inline double relative_distance(const float *a, const float *b, size_t n)
{
    double diff = 0, size = 0;
    for (size_t i = 0; i < n; i++) {
        diff += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
        size += (double)b[i] * b[i];
    }
    return sqrt(diff / size);
}

/* A narrow ResNet-18 whose batch norms are not at their neutral values. */
static inline struct eq_graph *test_resnet18(int width, uint64_t seed)
{
    struct eq_graph *g = NULL;
    assert_ok(eq_resnet18_new(&test_meta, width, seed, &g, &err));
    for (int i = 0; i < g->n_nodes; i++) {
        const struct eq_node *n = &g->nodes[i];
        if (n->op != EQ_OP_BATCHNORM)
            continue;
        random_floats(eq_param_data(&g->params[n->gamma]), (size_t)n->cout, 0.5, 1.5, (uint32_t)(4 * i));
        random_floats(eq_param_data(&g->params[n->beta]), (size_t)n->cout, -0.3, 0.3, (uint32_t)(4 * i + 1));
        random_floats(eq_param_data(&g->params[n->running_mean]), (size_t)n->cout, -0.3, 0.3, (uint32_t)(4 * i + 2));
        random_floats(eq_param_data(&g->params[n->running_var]), (size_t)n->cout, 0.5, 2.0, (uint32_t)(4 * i + 3));
    }
    return g;
}

#endif
