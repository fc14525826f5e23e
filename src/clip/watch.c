/*
 * The limits on a clip. A small file can hold hours of work: frames of 16 megapixels in a few bytes each, or an index
 * that names the same bytes again and again. The pixels of all frames are the same on every machine, so a clip with too
 * many is a clip that cannot be read. The time is that of the thread, whatever else the machine does, but a slower
 * machine still needs more of it: a clip that takes too long is an error of the command, and never left out.
 */
#include "clip/clip.h"

#include <time.h>

/* Work between two looks at the clock; and, after a signal, the time in which any usual clip is read to its end, so
 * that the step of a training that waits for it is finished and saved. */
enum { LOOK_AFTER = 1 << 22, FINISH_MS = 500 };

static struct eq_clip_limits limits = EQ_CLIP_LIMITS;

/* The clip that this thread reads. */
static _Thread_local struct {
    double began; /* ms of the thread's CPU time */
    size_t work;  /* since the last look at the clock */
    bool late, long_enough;
} watch;

void eq_clip_limit(const struct eq_clip_limits *l)
{
    limits = *l;
}

static double thread_ms(void)
{
    struct timespec t;
    return clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t) == 0 ? (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6 : 0;
}

void eq_clip_watch_begin(void)
{
    watch.began = thread_ms();
    watch.work = 0;
    watch.late = watch.long_enough = false;
}

bool eq_clip_watch_ends(size_t work)
{
    watch.work += work;
    if (watch.work >= LOOK_AFTER) {
        watch.work = 0;
        double ms = thread_ms() - watch.began;
        watch.late |= ms > limits.seconds * 1e3;
        watch.long_enough = ms > FINISH_MS;
    }
    return watch.late || (watch.long_enough && eq_interrupted());
}

enum eq_status eq_clip_watch(const char *name, size_t work, struct eq_err *err)
{
    if (!eq_clip_watch_ends(work))
        return EQ_OK;
    if (!watch.late)
        return eq_fail(err, EQ_INTERRUPTED, "interrupted while reading %s", name);
    return eq_fail(err, EQ_TOO_SLOW,
                   "%s: decoding takes more than %g s of CPU time (data.clip_seconds). Remove or convert the clip, or "
                   "allow more time",
                   name, limits.seconds);
}

enum eq_status eq_clip_check_pixels(const char *name, int64_t pixels, struct eq_err *err)
{
    if ((double)pixels <= limits.megapixels * 1e6)
        return EQ_OK;
    return eq_fail(
        err, EQ_TOO_LARGE,
        "%s: more than %g megapixels in all its frames together (data.max_clip_pixels). Shorten the clip, or "
        "allow more",
        name, limits.megapixels);
}

bool eq_clip_within_limits(int width, int height, int frames)
{
    return (double)width * height * frames <= limits.megapixels * 1e6;
}
