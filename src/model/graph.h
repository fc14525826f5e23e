/* Shared by the passes of the model floor. */
#ifndef MODEL_GRAPH_H
#define MODEL_GRAPH_H

#include "echoquant/model.h"

/* Appends copies of all fake-quants of from to to, which has none yet: indices stay valid. False: out of memory. */
bool eq_graph_copy_fake_quants(struct eq_graph *to, const struct eq_graph *from);

#endif
