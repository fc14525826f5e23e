/* Clips of a source through an executor, one at a time, with somebody looking at edges; internal. */
#ifndef QUANT_CLIP_WALK_H
#define QUANT_CLIP_WALK_H

#include "echoquant/quant.h"

struct eq_clip_walk {
    struct eq_exec *exec; /* of eq_clip_walk_exec */
    const struct eq_clip_source *clips;
    size_t max_clips;
    const char *purpose; /* "calibration": for messages */
    int stop_at;         /* each walk ends after this node; -1: at the output */
    /* Called before a clip goes through; NULL: nobody. */
    enum eq_status (*on_clip)(void *ctx, size_t clip, const uint8_t *pixels, struct eq_err *err);
    /* Looks at each edge as its readers see it: after fake-quant, where that is enabled. Input: [t][h][w][c], as in
     * eq_walk_hook. EQ_STOP ends this clip's walk. */
    enum eq_status (*on_edge)(void *ctx, size_t clip, int node, const float *data, size_t n, struct eq_err *err);
    void *ctx;
    struct eq_progress *progress; /* NULL: silent */
    size_t clip;                  /* clips done; while one runs its number, from 0 */
};
/* An executor for one clip of the source, made to be watched. mode: EQ_EXEC_INFER or EQ_EXEC_SIMULATE. */
enum eq_status eq_clip_walk_exec(struct eq_graph *g, enum eq_exec_mode mode, const struct eq_clip_source *clips,
                                 struct eq_exec **out, struct eq_err *err);
/* From the first clip of the source on. No clip at all is EQ_USAGE, an infinite EF EQ_NUMERIC, a signal EQ_INTERRUPTED.
 */
enum eq_status eq_clip_walk_run(struct eq_clip_walk *w, struct eq_err *err);

#endif
