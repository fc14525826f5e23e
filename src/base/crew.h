/* Whether a parallel-for takes all threads or the caller alone; internal. */
#ifndef BASE_CREW_H
#define BASE_CREW_H

#include <stdbool.h>

/*
 * Threads that share their CPUs with other busy processes wait at each join until the scheduler has let the last of
 * them run: two then take several times as long as one. So the pace is measured: the work that gets done in the time
 * that passes, in units of one undisturbed thread. A crew below one such thread is compared with the caller alone for
 * a while, and the faster way stays. A caller that works alone tries the crew again, the more rarely the more often
 * the crew was slower.
 */
struct eq_crew {
    bool alone;      /* the way now */
    bool trial;      /* this way is on trial for one window */
    bool disturbed;  /* the crew was below its pace when it worked last: its workers sleep between jobs */
    double work;     /* of the window so far: ms that one undisturbed thread would have taken */
    double wall;     /* ms that passed */
    double pace[2];  /* [alone]: work / wall when each way was measured last */
    double patience; /* ms until the other way is tried again; 0: not set yet */
};

/* Notes a parallel-for that could have taken more than one thread; from then on alone says how the next one runs. */
void eq_crew_note(struct eq_crew *c, double work, double wall);

/* For tests and benchmarks of the pool itself: all threads take part in every parallel-for, however slow. */
void eq_parallel_fix_crew(bool fixed);

#endif
