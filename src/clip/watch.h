/* clip-internal: the limits on the clip that a thread reads. */
#ifndef ECHOQUANT_CLIP_WATCH_H
#define ECHOQUANT_CLIP_WATCH_H

#include "echoquant/base.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The clock starts for the clip that this thread reads from now on. */
void eq_clip_watch_begin(void);
/* EQ_INTERRUPTED when a signal came and the clip has taken half a second, EQ_TOO_SLOW when the time is over. work:
 * roughly what was done since the last call, in bytes or pixels; the clock is looked at after some millions. */
enum eq_status eq_clip_watch(const char *name, size_t work, struct eq_err *err);
/* Whether eq_clip_watch would fail; for callbacks. */
bool eq_clip_watch_ends(size_t work);
/* EQ_TOO_LARGE: pixels, of all frames so far, are more than allowed. */
enum eq_status eq_clip_check_pixels(const char *name, int64_t pixels, struct eq_err *err);

#ifdef __cplusplus
}
#endif
#endif
