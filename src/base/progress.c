/* Progress of a long job: a bar on a terminal, a plain line every few seconds in a log file, nothing with --quiet. */
#include "base/log.h"

#include <sys/ioctl.h>
#include <unistd.h>

enum { BAR_CELLS = 24, BAR_EVERY_MS = 100, LINE_EVERY_MS = 5000 };

static void add_duration(struct eq_str *out, double seconds)
{
    long s = (long)(seconds + 0.5);
    if (s >= 3600)
        eq_str_add(out, "%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
    else
        eq_str_add(out, "%ld:%02ld", s / 60, s % 60);
}

static void add_bar(struct eq_str *out, const struct eq_progress *p)
{
    size_t filled = p->total ? (size_t)((double)p->done / (double)p->total * BAR_CELLS) : 0;
    eq_str_add(out, " [");
    for (size_t i = 0; i < BAR_CELLS; i++)
        eq_str_add(out, "%c", i < filled ? '#' : '.');
    eq_str_add(out, "]");
}

/* "train  [####....]  12/80 clip  3.1 clip/s  ETA 0:22  loss 0.41" */
static void describe(struct eq_str *out, const struct eq_progress *p, double now, bool bar, bool finished)
{
    double seconds = (now - p->start_ms) * 1e-3;
    double rate = seconds > 0 ? (double)p->done / seconds : 0;
    eq_str_add(out, "%s", p->label);
    if (bar)
        add_bar(out, p);
    eq_str_add(out, "  %zu", p->done);
    if (p->total)
        eq_str_add(out, "/%zu", p->total);
    eq_str_add(out, " %s", p->unit);
    if (rate > 0)
        eq_str_add(out, "  %.3g %s/s", rate, p->unit);
    if (finished) {
        eq_str_add(out, "  in ");
        add_duration(out, seconds);
    } else if (rate > 0 && p->total) {
        eq_str_add(out, "  ETA ");
        add_duration(out, (double)(p->total - p->done) / rate);
    }
    if (p->note[0])
        eq_str_add(out, "  %s", p->note);
}

static size_t terminal_columns(void)
{
    struct winsize size;
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1)
        return size.ws_col;
    return 80;
}

static void draw(const struct eq_progress *p, double now, bool finished)
{
    struct eq_str line = {0};
    bool bar = eq_log_is_terminal();
    describe(&line, p, now, bar, finished);
    if (bar && line.len >= terminal_columns()) { /* a wrapped bar could not be erased */
        line.len = terminal_columns() - 1;
        line.s[line.len] = '\0';
    }
    bool stays = bar && !finished;
    if (!stays)
        eq_str_add(&line, "\n");
    eq_log_emit(line.s, stays);
    eq_str_clear(&line);
}

void eq_progress_begin(struct eq_progress *p, const char *label, const char *unit, size_t total)
{
    *p = (struct eq_progress){.total = total, .active = eq_log_current_level() >= EQ_LOG_INFO};
    snprintf(p->label, sizeof p->label, "%s", label);
    snprintf(p->unit, sizeof p->unit, "%s", unit);
    p->start_ms = p->last_ms = eq_now_ms();
}

void eq_progress_step(struct eq_progress *p, size_t done, const char *note)
{
    p->done = p->total && done > p->total ? p->total : done;
    if (note)
        snprintf(p->note, sizeof p->note, "%s", note);
    if (!p->active)
        return;
    double now = eq_now_ms();
    if (now - p->last_ms < (eq_log_is_terminal() ? BAR_EVERY_MS : LINE_EVERY_MS))
        return;
    p->last_ms = now;
    draw(p, now, false);
}

/* A job too short for a line or bar prints no final one either. */
void eq_progress_end(struct eq_progress *p)
{
    if (p->active && p->last_ms > p->start_ms)
        draw(p, eq_now_ms(), true);
    p->active = false;
}
