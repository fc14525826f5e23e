/* Executors in FP32, for tests. */
#ifndef ECHOQUANT_TESTS_NEW_EXEC_H
#define ECHOQUANT_TESTS_NEW_EXEC_H

#include "echoquant/model.h"

static inline enum eq_status new_exec(struct eq_graph *g, enum eq_exec_mode mode, int clips, int frames, int size,
                                      struct eq_exec **out, struct eq_err *err)
{
    return eq_exec_new(g, &(struct eq_exec_opts){.mode = mode, .clips = clips, .frames = frames, .size = size}, out,
                       err);
}

/* One that takes a hook. */
static inline enum eq_status new_watched_exec(struct eq_graph *g, enum eq_exec_mode mode, int clips, int frames,
                                              int size, struct eq_exec **out, struct eq_err *err)
{
    const struct eq_exec_opts opts = {.mode = mode, .clips = clips, .frames = frames, .size = size, .watched = true};
    return eq_exec_new(g, &opts, out, err);
}

#endif
