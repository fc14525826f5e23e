/* Model files on a device: their network there, and the pixels of a batch that is not full. */
#include "infer/predictor.h"

#include <string.h>

/* Clips that a device gets at once, if they take no more memory than this on the host. */
enum { BATCH = 16, BATCH_BYTES = 64 << 20 };

struct on_device {
    struct eq_device_net *net;
    uint8_t *whole; /* [clips] of the predictor: clips of a batch that is not full, then zeros */
    float *ef;      /* [clips] */
    int n;          /* clips that were started */
};

static size_t clip_bytes(const struct eq_model_meta *meta)
{
    return (size_t)meta->frames * (size_t)meta->size * (size_t)meta->size * 3;
}

static void close_device(struct on_device *d)
{
    if (!d)
        return;
    eq_device_net_free(d->net);
    eq_free(d->whole);
    eq_free(d->ef);
    eq_free(d);
}

/* Either of graph and m. */
static enum eq_status make_for(struct eq_device *device, const struct eq_graph *graph, const struct eq_qmodel *m,
                               int clips, struct on_device **out, struct eq_err *err)
{
    enum eq_status st;
    struct on_device *d = eq_alloc(1, sizeof *d);
    *out = NULL;
    if (!d)
        return eq_fail(err, EQ_NOMEM, "out of memory for a network on a device");
    *d = (struct on_device){.whole = eq_alloc((size_t)clips, clip_bytes(graph ? &graph->meta : &m->meta)),
                            .ef = eq_alloc((size_t)clips, sizeof *d->ef)};
    if (!d->whole || !d->ef)
        EQ_TRY(eq_fail(err, EQ_NOMEM, "out of memory for %d clips", clips));
    EQ_TRY(graph ? eq_device_net_of_graph(device, graph, clips, &d->net, err)
                 : eq_device_net_of_qmodel(device, m, clips, &d->net, err));
    *out = d;
    d = NULL;
out:
    close_device(d);
    return st;
}

/* *clips: how many a run has. Where that is free, batches become smaller until they fit the memory. */
static enum eq_status make(const struct eq_predictor_opts *opts, const struct eq_graph *graph,
                           const struct eq_qmodel *m, int *clips, struct on_device **out, struct eq_err *err)
{
    size_t most = BATCH_BYTES / clip_bytes(graph ? &graph->meta : &m->meta);
    int phases = opts->phases > 1 ? opts->phases : 1;
    *clips = opts->clips ? opts->clips : eq_predictor_samples(most < BATCH ? most : BATCH, phases);
    enum eq_status st = make_for(opts->device, graph, m, *clips, out, err);
    while (st == EQ_NOMEM && !opts->clips && *clips > phases) {
        *clips = eq_predictor_samples((size_t)*clips / 2, phases);
        eq_debug("%s: batches of %d clips, for want of memory", eq_device_info(opts->device)->id, *clips);
        st = make_for(opts->device, graph, m, *clips, out, err);
    }
    return st;
}

static enum eq_status start(struct eq_predictor *p, const uint8_t *pixels, int n, struct eq_err *err)
{
    struct on_device *d = p->executor;
    size_t bytes = clip_bytes(&p->meta);
    d->n = n;
    if (n < p->clips) {
        memcpy(d->whole, pixels, (size_t)n * bytes);
        memset(d->whole + (size_t)n * bytes, 0, (size_t)(p->clips - n) * bytes);
        pixels = d->whole;
    }
    return eq_device_net_start(d->net, pixels, err);
}

static enum eq_status finish(struct eq_predictor *p, float *ef, struct eq_err *err)
{
    struct on_device *d = p->executor;
    enum eq_status st = eq_device_net_finish(d->net, d->ef, err);
    if (st == EQ_OK)
        memcpy(ef, d->ef, (size_t)d->n * sizeof *ef);
    return st;
}

static enum eq_status run(struct eq_predictor *p, const uint8_t *pixels, float *ef, struct eq_err *err)
{
    return eq_device_net_run(((struct on_device *)p->executor)->net, pixels, ef, err);
}

static struct eq_device_times times(const struct eq_predictor *p)
{
    return eq_device_net_times(((const struct on_device *)p->executor)->net);
}

/* ---- FP32 ---------------------------------------------------------------- */

static enum eq_status float_open(struct eq_predictor *p, const char *path, const struct eq_predictor_opts *opts,
                                 struct eq_err *err)
{
    struct eq_graph *graph;
    enum eq_status st = eq_model_load(path, &graph, err);
    if (st == EQ_OK)
        st = eq_predictor_from_graph_on(p, graph, opts, err);
    eq_graph_free(graph);
    return st;
}

static void float_close(struct eq_predictor *p)
{
    close_device(p->executor);
}

const struct eq_predictor_ops eq_device_float_ops = {.format = EQ_FORMAT_FP32,
                                                     .on_device = true,
                                                     .open = float_open,
                                                     .run = run,
                                                     .start = start,
                                                     .finish = finish,
                                                     .times = times,
                                                     .close = float_close};

enum eq_status eq_predictor_from_graph_on(struct eq_predictor *p, const struct eq_graph *g,
                                          const struct eq_predictor_opts *opts, struct eq_err *err)
{
    enum eq_status st;
    struct eq_graph *own = NULL;
    struct on_device *d;
    int clips;
    memset(p, 0, sizeof *p);
    EQ_TRY(eq_fold_batchnorm(g, &own, err));
    EQ_TRY(eq_fuse(own, err));
    EQ_TRY(make(opts, own, NULL, &clips, &d, err));
    *p = (struct eq_predictor){.ops = &eq_device_float_ops,
                               .executor = d,
                               .meta = own->meta,
                               .precision = "FP32",
                               .device = eq_device_info(opts->device),
                               .clips = clips,
                               .n_nodes = own->n_nodes,
                               .device_bytes = eq_device_net_bytes(d->net)};
out:
    eq_graph_free(own);
    return st;
}

/* ---- INT8 ---------------------------------------------------------------- */

static enum eq_status int8_open(struct eq_predictor *p, const char *path, const struct eq_predictor_opts *opts,
                                struct eq_err *err)
{
    struct eq_qmodel *m;
    enum eq_status st = eq_qmodel_load(path, &m, err);
    return st == EQ_OK ? eq_predictor_from_qmodel_on(p, m, opts, err) : st;
}

static void int8_close(struct eq_predictor *p)
{
    close_device(p->executor);
    eq_qmodel_free(p->model);
}

const struct eq_predictor_ops eq_device_int8_ops = {.format = EQ_FORMAT_INT8,
                                                    .on_device = true,
                                                    .open = int8_open,
                                                    .run = run,
                                                    .start = start,
                                                    .finish = finish,
                                                    .times = times,
                                                    .close = int8_close};

enum eq_status eq_predictor_from_qmodel_on(struct eq_predictor *p, struct eq_qmodel *m,
                                           const struct eq_predictor_opts *opts, struct eq_err *err)
{
    struct on_device *d;
    int clips;
    memset(p, 0, sizeof *p);
    enum eq_status st = make(opts, NULL, m, &clips, &d, err);
    if (st != EQ_OK) {
        eq_qmodel_free(m);
        return st;
    }
    *p = (struct eq_predictor){.ops = &eq_device_int8_ops,
                               .model = m,
                               .executor = d,
                               .meta = m->meta,
                               .precision = "INT8",
                               .device = eq_device_info(opts->device),
                               .clips = clips,
                               .n_nodes = m->n_nodes,
                               .device_bytes = eq_device_net_bytes(d->net)};
    return EQ_OK;
}
