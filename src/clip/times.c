/*
 * The times of a clip's frames. Frames that come at even intervals are sampled by number. Otherwise a grid is laid over
 * the clip, and a place of it holds the frame that is shown then.
 */
#include "clip/clip.h"

#include <stdlib.h>

/* Times further apart than this are nonsense, and products of times and counts fit 64 bits. */
#define MAX_SPAN ((int64_t)1 << 40)

bool eq_clip_times_add(struct eq_clip_times *t, int64_t at)
{
    if (t->n == t->cap) {
        int cap = t->cap ? 2 * t->cap : 256;
        int64_t *grown = realloc(t->at, (size_t)cap * sizeof *grown);
        if (!grown)
            return false;
        t->at = grown;
        t->cap = cap;
    }
    t->at[t->n++] = at;
    return true;
}

void eq_clip_times_clear(struct eq_clip_times *t)
{
    free(t->at);
    *t = (struct eq_clip_times){0};
}

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* Each after the one before, and no longer a span than is sensible. */
static bool are_times(const struct eq_clip_times *t)
{
    for (int i = 0; i < t->n; i++)
        if (t->at[i] == AV_NOPTS_VALUE || (i && t->at[i] <= t->at[i - 1]))
            return false;
    return t->n > 1 && (uint64_t)t->at[t->n - 1] - (uint64_t)t->at[0] < (uint64_t)MAX_SPAN;
}

/* The median interval; 0 when there is no memory for it. */
static int64_t usual_interval(const struct eq_clip_times *t)
{
    size_t n = (size_t)t->n - 1;
    int64_t *sorted = malloc(n * sizeof *sorted), interval = 0;
    if (!sorted)
        return 0;
    for (size_t i = 0; i < n; i++)
        sorted[i] = t->at[i + 1] - t->at[i];
    qsort(sorted, n, sizeof *sorted, compare);
    interval = sorted[(n - 1) / 2];
    free(sorted);
    return interval;
}

/* No interval is far from the usual one, and no frame is half an interval away from where even intervals would put
 * it. */
static bool are_even(const struct eq_clip_times *t, int64_t usual)
{
    int64_t span = t->at[t->n - 1] - t->at[0], gaps = t->n - 1;
    for (int i = 0; i < t->n; i++) {
        int64_t off = (t->at[i] - t->at[0]) * gaps - span * i;
        if (2 * llabs(off) > span + gaps) /* the clock's rounding is allowed for */
            return false;
        int64_t interval = i ? t->at[i] - t->at[i - 1] : usual;
        if (interval - 1 > usual + usual / 2 || 2 * (interval + 1) < usual)
            return false;
    }
    return true;
}

bool eq_clip_times_settle(struct eq_clip_times *t, int64_t tick, int64_t end, int max_places)
{
    t->interval = 0;
    t->places = t->n;
    if (!are_times(t))
        return true;
    int64_t interval = tick ? tick : usual_interval(t), last = t->at[t->n - 1];
    if (interval == 0)
        return false;
    if (end < last || end - last >= MAX_SPAN)
        end = last;
    int64_t places = (end - t->at[0] + interval / 2) / interval + 1;
    bool even = tick ? places == t->n : are_even(t, interval);
    if (even || places > max_places)
        return true;
    t->interval = interval;
    t->places = (int)places;
    return true;
}

int eq_clip_times_frame(const struct eq_clip_times *t, int place)
{
    if (t->interval == 0)
        return place;
    int64_t at = t->at[0] + place * t->interval + t->interval / 2;
    int low = 0, high = t->n; /* at[low] <= at < at[high] */
    while (high - low > 1) {
        int middle = low + (high - low) / 2;
        *(t->at[middle] <= at ? &low : &high) = middle;
    }
    return low;
}
