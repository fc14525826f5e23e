#include "base/crew.h"

/* In ms. A trial lasts several slices of a busy machine's scheduler. */
static const double WINDOW = 20, TRIAL = 60, PATIENCE_ALONE = 250, MOST_PATIENCE = 2000;
static const double FULL_PACE = 0.95; /* a crew at this pace is as good as one undisturbed thread: no trial is due */
static const double MARGIN = 1.1; /* by which a crew on trial must be faster: the paces of a busy machine are noisy */
enum { SLOW_WINDOWS = 6 }; /* before a trial: the scheduler may take 90 ms to move a new thread to a CPU of its own */

void eq_crew_note(struct eq_crew *c, double work, double wall)
{
    if (c->patience < WINDOW)
        c->patience = WINDOW;
    c->work += work;
    c->wall += wall;
    if (c->wall < (c->trial ? TRIAL : c->patience))
        return;
    double pace = c->work / c->wall, other = c->pace[!c->alone];
    c->pace[c->alone] = pace;
    c->work = c->wall = 0;
    if (!c->alone)
        c->slow = pace < FULL_PACE ? c->slow + 1 : 0;
    if (!c->trial && !c->alone && c->slow < SLOW_WINDOWS) {
        c->patience = WINDOW;
    } else if (!c->trial) {
        c->trial = true;
        c->alone = !c->alone;
    } else if (pace > (c->alone ? 1 : MARGIN) * other) {
        c->trial = false;
        c->patience = c->alone ? PATIENCE_ALONE : WINDOW;
    } else {
        c->trial = false;
        c->alone = !c->alone;
        c->patience = 2 * c->patience < MOST_PATIENCE ? 2 * c->patience : MOST_PATIENCE;
    }
}
