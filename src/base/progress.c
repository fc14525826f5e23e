/* Progress of a long job: a bar on a terminal, a plain line every few seconds in a log file, nothing with --quiet. */
#include "base/log.h"
#include "base/steps.h"

#include <unistd.h>

enum { BAR_CELLS = 24, MIN_BAR_CELLS = 8, BAR_EVERY_MS = 100, LINE_EVERY_MS = 5000 };

static void add_bar(struct eq_str *out, const struct eq_progress *p, size_t cells)
{
    size_t filled = p->total ? (size_t)((double)p->done / (double)p->total * (double)cells) : 0;
    eq_str_add(out, " [");
    for (size_t i = 0; i < cells; i++)
        eq_str_add(out, "%c", i < filled ? '#' : '.');
    eq_str_add(out, "]");
}

/* "  12/80 clips  3.1/s  ETA 0:22, all 4:31  loss 0.41" */
static void describe(struct eq_str *out, const struct eq_progress *p, double now, bool with_rate, bool finished)
{
    double seconds = (now - p->start_ms) * 1e-3;
    double rate = seconds > 0 ? (double)(p->done - p->first) / seconds : 0;
    eq_str_add(out, "  %zu", p->done);
    if (p->total)
        eq_str_add(out, "/%zu", p->total);
    eq_str_add(out, " %s", p->unit);
    if (rate > 0 && with_rate)
        eq_str_add(out, "  %.3g/s", rate);
    if (finished) {
        eq_str_add(out, "  in ");
        eq_add_duration(out, seconds);
    } else if (rate > 0 && p->total) {
        double here = (double)(p->total - p->done) / rate, all = eq_steps_seconds_left();
        eq_str_add(out, "  ETA ");
        eq_add_duration(out, here);
        if (all >= 0) {
            eq_str_add(out, ", all ");
            eq_add_duration(out, all > here ? all
                                            : here); /* the pace of a whole step may be another than that of its part */
        }
    }
    if (p->note[0])
        eq_str_add(out, "  %s", p->note);
}

/* "3/9 train [####....]  12/80 clips ...". On a terminal it fits the line, since a wrapped bar could not be erased: the
 * bar gives way first, then the rate. */
static void add_line(struct eq_str *line, const struct eq_progress *p, double now, bool finished)
{
    bool bar = eq_log_is_terminal();
    struct eq_str text = {0};
    eq_steps_add_place(line);
    eq_str_add(line, "%s", p->label);
    describe(&text, p, now, true, finished);
    if (bar) {
        size_t columns = (size_t)eq_columns(STDERR_FILENO) - 1, used = line->len + text.len + 3, room = 0;
        if (used + MIN_BAR_CELLS <= columns) {
            room = columns - used;
            add_bar(line, p, room < BAR_CELLS ? room : BAR_CELLS);
        } else if (line->len + text.len > columns) {
            eq_str_clear(&text);
            describe(&text, p, now, false, finished);
        }
    }
    eq_str_add(line, "%s", text.s);
    eq_str_clear(&text);
}

static void draw(const struct eq_progress *p, double now, bool finished)
{
    struct eq_str line = {0}, text = {0};
    bool bar = eq_log_is_terminal();
    add_line(&text, p, now, finished);
    eq_str_add_shown(&line, text.s);
    eq_str_clear(&text);
    size_t columns = (size_t)eq_columns(STDERR_FILENO);
    if (bar && line.len >= columns) { /* a wrapped bar could not be erased */
        line.len = columns - 1;
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

void eq_progress_resume(struct eq_progress *p, size_t first)
{
    p->first = p->done = first;
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
