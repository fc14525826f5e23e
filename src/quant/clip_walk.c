/* One clip a call, so that an error can name it and results do not depend on how many the source gives at once. */
#include "quant/clip_walk.h"

#include <math.h>

enum eq_status eq_clip_walk_exec(struct eq_graph *g, enum eq_exec_mode mode, const struct eq_clip_source *clips,
                                 struct eq_exec **out, struct eq_err *err)
{
    const struct eq_exec_opts opts = {
        .mode = mode, .clips = 1, .frames = clips->frames, .size = clips->size, .watched = true};
    return eq_exec_new(g, &opts, out, err);
}

static enum eq_status look(void *ctx, struct eq_graph *g, int node, const float *data, size_t n, struct eq_err *err)
{
    struct eq_clip_walk *w = ctx;
    (void)g;
    enum eq_status st = w->on_edge(w->ctx, w->clip, node, data, n, err);
    return st == EQ_OK && node == w->stop_at ? EQ_STOP : st;
}

static enum eq_status walk_clip(struct eq_clip_walk *w, const uint8_t *pixels, struct eq_err *err)
{
    float ef;
    if (eq_interrupted())
        return eq_fail(err, EQ_INTERRUPTED, "%s was interrupted after %zu clips", w->purpose, w->clip);
    enum eq_status st = w->on_clip ? w->on_clip(w->ctx, w->clip, pixels, err) : EQ_OK;
    if (st == EQ_OK)
        st = eq_exec_forward(w->exec, pixels, &ef, err);
    if (st == EQ_OK && !isfinite(ef))
        return eq_fail(err, EQ_NUMERIC, "the predicted EF is NaN or infinite");
    return st == EQ_STOP ? EQ_OK : st;
}

/* The number of an own clip among those of all processes. */
static size_t number_of(const struct eq_clip_walk *w, size_t clip)
{
    const struct eq_comm *c = w->clips->comm;
    return c ? clip * (size_t)c->size + (size_t)c->rank : clip;
}

/* Which clip it was; i: its place in what the source gave last. */
static enum eq_status name_clip(const struct eq_clip_walk *w, int i, struct eq_err *err)
{
    const char *name = w->clips->name ? w->clips->name(w->clips->ctx, i) : NULL;
    return eq_err_context(err, "%s, clip %zu%s%s%s", w->purpose, number_of(w, w->clip), name ? " (" : "",
                          name ? name : "", name ? ")" : "");
}

enum eq_status eq_clip_walk_run(struct eq_clip_walk *w, struct eq_err *err)
{
    size_t clip_bytes = (size_t)w->clips->frames * w->clips->size * w->clips->size * 3;
    w->clip = 0;
    eq_exec_set_hook(w->exec, &(struct eq_walk_hook){.on_stored = look, .ctx = w});
    enum eq_status st = w->clips->rewind(w->clips->ctx, err);
    while (st == EQ_OK && w->clip < w->max_clips) {
        const uint8_t *pixels;
        int n;
        st = w->clips->next(w->clips->ctx, &pixels, &n, err);
        if (st != EQ_OK || n == 0)
            break;
        for (int i = 0; i < n && w->clip < w->max_clips && st == EQ_OK; i++) {
            st = walk_clip(w, pixels + (size_t)i * clip_bytes, err);
            if (st == EQ_NUMERIC)
                st = name_clip(w, i, err);
            w->clip += st == EQ_OK;
            size_t done = number_of(w, w->clip);
            if (w->progress)
                eq_progress_step(w->progress, done < w->max_clips ? done : w->max_clips, NULL);
        }
    }
    if (st == EQ_OK && w->clip == 0)
        return eq_fail(err, EQ_USAGE, "no clips for %s: at least one is needed", w->purpose);
    return st;
}
