/*
 * The whole network in FP32: where the time of an inference or of a training step goes. Steps alternate between the
 * numbers of threads asked for, so that a disturbance meets all of them; the least time of each part counts.
 * usage: bench_f32_net infer|train [--clips B] [--frames T] [--size PX] [--threads N]... [--steps N] [--cpu LEVEL]
 *                      [--nodes 1]
 */
#include "echoquant/model.h"
#include "echoquant/nn.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_COUNTS = 4 };
enum part { FORWARD, BACKWARD, CLIP_NORM, OPTIMIZER, ZERO, PARTS };
static const char *const part_names[PARTS] = {"forward", "backward", "gradient norm", "optimizer", "zero gradients"};

struct options {
    bool train, nodes;
    const char *cpu;
    int clips, frames, size, steps, threads[MAX_COUNTS], counts;
};

static bool option(struct options *o, const char *name, const char *value)
{
    int64_t n = 0;
    if (strcmp(name, "--cpu") == 0) {
        o->cpu = value;
        return true;
    }
    if (!eq_parse_int64(value, &n) || n < 1 || n > 4096)
        return false;
    if (strcmp(name, "--threads") == 0 && o->counts < MAX_COUNTS)
        o->threads[o->counts++] = (int)n;
    else if (strcmp(name, "--clips") == 0)
        o->clips = (int)n;
    else if (strcmp(name, "--frames") == 0)
        o->frames = (int)n;
    else if (strcmp(name, "--size") == 0)
        o->size = (int)n;
    else if (strcmp(name, "--steps") == 0)
        o->steps = (int)n;
    else if (strcmp(name, "--nodes") == 0)
        o->nodes = n == 1;
    else
        return false;
    return true;
}

static bool parse(int argc, char **argv, struct options *o)
{
    if (argc < 2 || argc % 2 != 0 || (strcmp(argv[1], "train") != 0 && strcmp(argv[1], "infer") != 0))
        return false;
    *o = (struct options){.train = argv[1][0] == 't', .cpu = "auto", .frames = 16, .size = 112, .steps = 5};
    o->clips = o->train ? 4 : 1;
    for (int i = 2; i < argc; i += 2)
        if (!option(o, argv[i], argv[i + 1]))
            return false;
    if (o->counts == 0)
        o->threads[o->counts++] = eq_cpu_count();
    return true;
}

/* What all thread counts share: the graph, its parameters as the optimizer sees them, a batch. */
struct net {
    struct eq_graph *g;
    struct eq_optim optim;
    float **params, **grads;
    size_t *sizes, n_params;
    bool *decay;
    int *index; /* of each trainable parameter in the graph */
    uint8_t *pixels;
    float *ef, *diff;
};

/* One thread count: its executor, and the least times so far. */
struct run {
    int threads;
    struct eq_exec *x;
    double least[PARTS], step, *forward_ms, *backward_ms;
};

static enum eq_status batch_init(struct net *n, const struct options *o, struct eq_err *err)
{
    size_t bytes = (size_t)o->clips * o->frames * o->size * o->size * 3;
    struct eq_rng rng;
    eq_rng_init(&rng, 1, EQ_RNG_TEST, 0, 0);
    n->pixels = eq_alloc(bytes, 1);
    n->ef = eq_alloc(2 * (size_t)o->clips, sizeof *n->ef);
    if (!n->pixels || !n->ef)
        return eq_fail(err, EQ_NOMEM, "out of memory for a batch");
    n->diff = n->ef + o->clips;
    for (size_t i = 0; i < bytes; i++)
        n->pixels[i] = (uint8_t)eq_rng_u32(&rng);
    return EQ_OK;
}

static enum eq_status optim_init(struct net *n, struct eq_err *err)
{
    const struct eq_optim_opts opts = {EQ_OPTIM_ADAMW, 1e-4, 1e-4, 0.9, 0.9, 0.999, 1e-8};
    size_t all = (size_t)n->g->n_params;
    n->params = calloc(all, sizeof *n->params);
    n->grads = calloc(all, sizeof *n->grads);
    n->sizes = calloc(all, sizeof *n->sizes);
    n->decay = calloc(all, sizeof *n->decay);
    n->index = calloc(all, sizeof *n->index);
    if (!n->params || !n->grads || !n->sizes || !n->decay || !n->index)
        return eq_fail(err, EQ_NOMEM, "out of memory for the parameters");
    for (int i = 0; i < n->g->n_params; i++) {
        const struct eq_param *p = &n->g->params[i];
        if (!p->trainable)
            continue;
        n->params[n->n_params] = p->data;
        n->sizes[n->n_params] = p->n;
        n->decay[n->n_params] = p->decay;
        n->index[n->n_params++] = i;
    }
    return eq_optim_init(&n->optim, &opts, n->n_params, n->sizes, err);
}

static enum eq_status net_init(struct net *n, const struct options *o, struct eq_err *err)
{
    enum eq_status st;
    struct eq_graph *raw = NULL;
    const struct eq_model_meta meta = {o->frames, o->size, 128, 60.0f, 55.0f, 12.0f};
    EQ_TRY(eq_resnet18_new(&meta, 64, 1, &raw, err));
    if (o->train) {
        n->g = raw;
        raw = NULL;
    } else {
        EQ_TRY(eq_fold_batchnorm(raw, &n->g, err));
    }
    EQ_TRY(eq_fuse(n->g, err));
    EQ_TRY(batch_init(n, o, err));
    if (o->train)
        EQ_TRY(optim_init(n, err));
out:
    eq_graph_free(raw);
    return st;
}

static void net_clear(struct net *n)
{
    eq_optim_clear(&n->optim);
    free(n->params);
    free(n->grads);
    free(n->sizes);
    free(n->decay);
    free(n->index);
    eq_free(n->pixels);
    eq_free(n->ef);
    eq_graph_free(n->g);
}

static enum eq_status run_init(struct run *r, struct net *n, const struct options *o, int threads, struct eq_err *err)
{
    enum eq_status st;
    r->threads = threads;
    EQ_TRY(eq_parallel_init(threads, err));
    EQ_TRY(eq_exec_new(n->g, o->train ? EQ_EXEC_TRAIN : EQ_EXEC_INFER, o->clips, o->frames, o->size, &r->x, err));
    eq_exec_set_timing(r->x, o->nodes);
    r->forward_ms = calloc(2 * (size_t)n->g->n_nodes, sizeof *r->forward_ms);
    if (!r->forward_ms) {
        st = eq_fail(err, EQ_NOMEM, "out of memory for times");
        goto out;
    }
    r->backward_ms = r->forward_ms + n->g->n_nodes;
    r->step = 1e30;
    for (int i = 0; i < PARTS; i++)
        r->least[i] = 1e30;
    for (int i = 0; i < 2 * n->g->n_nodes; i++)
        r->forward_ms[i] = 1e30;
out:
    return st;
}

static double lap(double *since)
{
    double now = eq_now_ms(), ms = now - *since;
    *since = now;
    return ms;
}

static void least(double *of, double ms)
{
    *of = ms < *of ? ms : *of;
}

static enum eq_status step(struct run *r, struct net *n, const struct options *o, struct eq_err *err)
{
    enum eq_status st;
    double start = eq_now_ms(), since = start;
    EQ_TRY(eq_exec_forward(r->x, n->pixels, n->ef, err));
    least(&r->least[FORWARD], lap(&since));
    if (o->train) {
        for (int i = 0; i < o->clips; i++)
            n->diff[i] = (n->ef[i] - 50.0f) / 100.0f / (float)o->clips;
        EQ_TRY(eq_exec_backward(r->x, n->diff, err));
        least(&r->least[BACKWARD], lap(&since));
        for (size_t i = 0; i < n->n_params; i++)
            n->grads[i] = eq_exec_grad(r->x, n->index[i]);
        eq_clip_grad_norm(n->grads, n->sizes, n->n_params, 1.0);
        least(&r->least[CLIP_NORM], lap(&since));
        eq_optim_step(&n->optim, n->params, n->grads, n->decay, 1e-5);
        least(&r->least[OPTIMIZER], lap(&since));
        eq_exec_weights_changed(r->x);
        eq_exec_zero_grads(r->x);
        least(&r->least[ZERO], lap(&since));
    }
    least(&r->step, since - start);
    for (int i = 0; o->nodes && i < n->g->n_nodes; i++) {
        least(&r->forward_ms[i], eq_exec_node_ms(r->x)[i]);
        least(&r->backward_ms[i], eq_exec_node_backward_ms(r->x, i));
    }
out:
    return st;
}

static void print_nodes(const struct run *runs, const struct net *n, const struct options *o)
{
    printf("%-24s", "node: ms forward, backward");
    for (int k = 0; k < o->counts; k++)
        printf("  %12d threads", runs[k].threads);
    printf("\n");
    for (int i = 0; i < n->g->n_nodes; i++) {
        printf("%-26s", n->g->nodes[i].name);
        for (int k = 0; k < o->counts; k++)
            printf("  %9.3f %9.3f", runs[k].forward_ms[i], runs[k].backward_ms[i]);
        if (o->counts == 2)
            printf("   x%.2f x%.2f", runs[0].forward_ms[i] / runs[1].forward_ms[i],
                   runs[0].backward_ms[i] / runs[1].backward_ms[i]);
        printf("\n");
    }
}

static void print_parts(const struct run *runs, const struct options *o)
{
    for (int part = 0; part < PARTS && (o->train || part == FORWARD); part++) {
        printf("%-26s", part_names[part]);
        for (int k = 0; k < o->counts; k++)
            printf("  %9.2f ms", runs[k].least[part]);
        printf("\n");
    }
    for (int k = 0; k < o->counts; k++)
        printf("%s of %d clips, %d threads: %.2f ms, %.2f a clip; arena %.0f MiB\n", o->train ? "step" : "inference",
               o->clips, runs[k].threads, runs[k].step, runs[k].step / o->clips,
               (double)eq_exec_arena_bytes(runs[k].x) / (1 << 20));
    if (o->counts == 2)
        printf("scaling: %.2f\n", runs[0].step / runs[1].step);
}

static enum eq_status bench(const struct options *o, struct eq_err *err)
{
    enum eq_status st;
    struct net n = {0};
    struct run runs[MAX_COUNTS] = {0};
    EQ_TRY(net_init(&n, o, err));
    for (int k = 0; k < o->counts; k++)
        EQ_TRY(run_init(&runs[k], &n, o, o->threads[k], err));
    for (int i = 0; i < o->steps; i++)
        for (int k = 0; k < o->counts; k++) {
            if (o->counts > 1)
                EQ_TRY(eq_parallel_init(o->threads[k], err));
            EQ_TRY(step(&runs[k], &n, o, err));
        }
    if (o->nodes)
        print_nodes(runs, &n, o);
    print_parts(runs, o);
out:
    for (int k = 0; k < o->counts; k++) {
        eq_exec_free(runs[k].x);
        free(runs[k].forward_ms);
    }
    net_clear(&n);
    return st;
}

int main(int argc, char **argv)
{
    struct options o;
    struct eq_err err = {0};
    if (!parse(argc, argv, &o)) {
        fprintf(stderr, "usage: bench_f32_net infer|train [--clips B] [--frames T] [--size PX] [--threads N]...\n"
                        "                     [--steps N] [--cpu LEVEL] [--nodes 1]\n");
        return 2;
    }
    enum eq_status st = eq_cpu_set_ceiling(o.cpu, &err);
    if (st == EQ_OK) {
        eq_kernels_init();
        printf("%s, %s, %d clips of %d frames at %d pixels\n", eq_cpu_model_name(), eq_cpu_isa_in_use(), o.clips,
               o.frames, o.size);
        st = bench(&o, &err);
    }
    eq_parallel_shutdown();
    if (st != EQ_OK)
        fprintf(stderr, "%s\n", err.msg);
    return eq_exit_code(st);
}
