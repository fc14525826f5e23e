/* A quantized model by kernels/ref alone, for the self-check; internal to the room. */
#ifndef DEVICE_REFERENCE_H
#define DEVICE_REFERENCE_H

#include "device/net.h"

/* One call for clips of the model's form. edges: [n_nodes], each the caller's, of the node's values in pixel layout, u8
 * or float; none of the head. net tells how the head sums, and gives what it is made of. The model is one that
 * eq_device_net_make has taken. EQ_NOMEM. */
enum eq_status eq_device_reference(const struct eq_qmodel *m, const struct eq_device_net *net, const uint8_t *pixels,
                                   void *const *edges, float *ef, struct eq_err *err);

#endif
