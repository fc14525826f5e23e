/*
 * The steps of a long command: which one is at work, how long all of them will take, and where the time went.
 *
 * A step states its work in a unit of the caller's. The pace is the work of this process over its time, so a step that
 * resumes in its middle does not count the work of an earlier process.
 */
#include "base/steps.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { TITLE = 48, SUMMARY_LINES = 8 };
/* An estimate from less than this would jump about. */
static const double MIN_SECONDS = 2;

struct step {
    char title[TITLE];
    double work;
    double worked, seconds; /* by this process, once the step is over */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct step *steps;
static size_t n_steps, current; /* current: 1-based, 0 before the first */
static double begun_ms;         /* of the current step */
static double resumed_at, part; /* of the current step: done when this process came to it, and done now, 0..1 */
static bool part_known;

void eq_add_duration(struct eq_str *out, double seconds)
{
    long s = (long)(seconds + 0.5);
    if (s >= 3600)
        eq_str_add(out, "%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
    else
        eq_str_add(out, "%ld:%02ld", s / 60, s % 60);
}

static double seconds_left(void)
{
    double seconds = 0, worked = 0, left = 0;
    for (size_t i = 0; i + 1 < current; i++) {
        seconds += steps[i].work > 0 ? steps[i].seconds : 0;
        worked += steps[i].worked;
    }
    for (size_t i = current; i < n_steps; i++)
        left += steps[i].work;
    if (isnan(left))
        return -1;
    double here = current ? (eq_now_ms() - begun_ms) / 1e3 : 0, done = part - resumed_at;
    if (current && done > 0 && here >= MIN_SECONDS) {
        /* The rest of this step by its own pace, the others by that of all work. */
        double work = steps[current - 1].work;
        seconds += work > 0 ? here : 0;
        worked += work * done;
        double rest = (1 - part) * here / done;
        if (left <= 0)
            return rest;
        return worked > 0 ? rest + left * seconds / worked : -1;
    }
    if (seconds < MIN_SECONDS || worked <= 0)
        return -1;
    double work = current ? steps[current - 1].work : 0, ahead = work * seconds / worked - here;
    return left * seconds / worked + (ahead > 0 ? ahead : 0);
}

static void finish_current(void)
{
    if (!current)
        return;
    struct step *s = &steps[current - 1];
    s->seconds = (eq_now_ms() - begun_ms) / 1e3;
    s->worked = s->work * (1 - resumed_at);
}

/* Under lock: the first `kept` steps, then the list. Without memory nothing changes. */
static void set_steps(size_t kept, const struct eq_step *list, size_t n)
{
    struct step *grown = realloc(steps, (kept + n + 1) * sizeof *steps);
    if (!grown)
        return;
    steps = grown;
    for (size_t i = 0; i < n; i++) {
        struct step *s = &steps[kept + i];
        *s = (struct step){.work = list[i].work};
        snprintf(s->title, TITLE, "%s", list[i].title);
    }
    n_steps = kept + n;
}

bool eq_steps_begin(const struct eq_step *list, size_t n)
{
    pthread_mutex_lock(&lock);
    bool first = !steps;
    if (first)
        set_steps(0, list, n);
    pthread_mutex_unlock(&lock);
    return first;
}

void eq_steps_replan(const struct eq_step *list, size_t n)
{
    pthread_mutex_lock(&lock);
    if (steps)
        set_steps(current, list, n);
    pthread_mutex_unlock(&lock);
}

void eq_steps_next(const char *title)
{
    struct eq_str line = {0};
    pthread_mutex_lock(&lock);
    size_t next = current;
    while (title && next < n_steps && strncmp(steps[next].title, title, TITLE - 1) != 0)
        next++;
    if (steps && next < n_steps) {
        finish_current();
        current = next + 1;
        begun_ms = eq_now_ms();
        resumed_at = part = 0;
        part_known = false;
        double left = n_steps > 1 ? seconds_left() : -1;
        if (n_steps > 1)
            eq_str_add(&line, "step %zu of %zu: %s", current, n_steps, steps[current - 1].title);
        if (left >= 0) {
            eq_str_add(&line, "; about ");
            eq_add_duration(&line, left);
            eq_str_add(&line, " left in all");
        }
    }
    pthread_mutex_unlock(&lock);
    if (line.len)
        eq_info("%s", line.s);
    eq_str_clear(&line);
}

void eq_steps_part(double done)
{
    pthread_mutex_lock(&lock);
    part = done < 0 ? 0 : done > 1 ? 1 : done;
    if (!part_known)
        resumed_at = part;
    part_known = true;
    pthread_mutex_unlock(&lock);
}

/* The steps that took longest first. */
static int by_seconds(const void *a, const void *b)
{
    double x = ((const struct step *)a)->seconds, y = ((const struct step *)b)->seconds;
    return (x < y) - (x > y);
}

static void say_share(double seconds, double total, const char *title)
{
    struct eq_str line = {0};
    eq_str_add(&line, "  %5.1f %%  ", 100 * seconds / total);
    eq_add_duration(&line, seconds);
    eq_info("%s  %s", line.s, title);
    eq_str_clear(&line);
}

/* list is no longer shared. */
static void say_where_time_went(struct step *list, size_t n)
{
    struct eq_str line = {0};
    double total = 0, rest = 0;
    for (size_t i = 0; i < n; i++)
        total += list[i].seconds;
    if (total < 1)
        return;
    qsort(list, n, sizeof *list, by_seconds);
    eq_str_add(&line, "time: ");
    eq_add_duration(&line, total);
    eq_info("%s", line.s);
    eq_str_clear(&line);
    for (size_t i = 0; i < n; i++) {
        if (i < SUMMARY_LINES && list[i].seconds >= 0.005 * total)
            say_share(list[i].seconds, total, list[i].title);
        else
            rest += list[i].seconds;
    }
    if (rest >= 0.005 * total)
        say_share(rest, total, "other steps");
}

void eq_steps_end(bool done)
{
    pthread_mutex_lock(&lock);
    finish_current();
    struct step *list = steps;
    size_t n = n_steps > 1 ? current : 0;
    steps = NULL;
    n_steps = current = 0;
    pthread_mutex_unlock(&lock);
    if (done && n)
        say_where_time_went(list, n);
    free(list);
}

void eq_steps_add_place(struct eq_str *out)
{
    pthread_mutex_lock(&lock);
    if (current && n_steps > 1)
        eq_str_add(out, "%zu/%zu ", current, n_steps);
    pthread_mutex_unlock(&lock);
}

void eq_steps_backdate(double ms)
{
    begun_ms -= ms;
}

double eq_steps_seconds_left(void)
{
    pthread_mutex_lock(&lock);
    double left = steps ? seconds_left() : -1;
    pthread_mutex_unlock(&lock);
    return left;
}
