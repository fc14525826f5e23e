/* device-internal: the first use of a device, in a child process. */
#ifndef ECHOQUANT_DEVICE_APART_H
#define ECHOQUANT_DEVICE_APART_H

#include "device/api.h"

/* Lets a child build and check the kernels of a device, which leaves the result in the cache. EQ_UNSUPPORTED: the child
 * crashed, hung, or was ended by the driver. EQ_INTERRUPTED. *tried: a child came to its end, whatever it found; false
 * and EQ_OK: none was started. */
enum eq_status eq_device_try_apart(const struct eq_device_info *info, bool *tried, struct eq_err *err);

/* What the child does before and after. */
void eq_device_begin_as_child(void);
void eq_device_end_as_child(void) __attribute__((noreturn));

#endif
