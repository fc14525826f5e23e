/* Whether a parallel-for takes all threads or the caller alone; internal. */
#ifndef BASE_CREW_H
#define BASE_CREW_H

#include <stdbool.h>

/*
 * Threads that share their CPUs with other busy processes wait at each join until the scheduler has let the last of
 * them run: two then take several times as long as one. So the pace is measured: work done per time, in units of
 * one undisturbed thread. A crew that is slower than one such thread is compared with the caller alone for a while,
 * and the faster way is kept. A caller that works alone tries the crew again, and less often each time the crew was
 * slower.
 */
struct eq_crew {
    bool alone;      /* the current way */
    bool trial;      /* this way is on trial */
    int slow;        /* windows in a row in which the crew was below its pace; if any, its workers sleep between jobs */
    double work;     /* of the window so far: ms that one undisturbed thread would have taken */
    double wall;     /* ms that passed */
    double pace[2];  /* [alone]: work / wall when each way was last measured */
    double patience; /* ms until the other way is tried again; 0: not set yet */
};

/* Records a parallel-for that could have used more than one thread (in ms). `alone` then says how to run the next. */
void eq_crew_note(struct eq_crew *c, double work, double wall);

/* For tests and benchmarks of the pool: with true, all threads take part in every parallel-for, however slow. */
void eq_parallel_fix_crew(bool fixed);

#endif
