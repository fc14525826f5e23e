#include "base/crew.h"

/* In ms. A trial lasts several slices of a busy machine's scheduler. */
static const double WINDOW = 20, TRIAL = 60, PATIENCE_ALONE = 500, MOST_PATIENCE = 2000;
static const double FULL_PACE = 0.95; /* a crew at this pace is as good as one undisturbed thread: no trial is due */
static const double MARGIN = 1.1; /* by which a crew on trial must be faster: the paces of a busy machine are noisy */

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
    bool again = c->disturbed; /* one slow window may be a cold start */
    if (!c->alone)
        c->disturbed = pace < FULL_PACE;
    if (!c->trial && !c->alone && !(again && c->disturbed)) {
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
