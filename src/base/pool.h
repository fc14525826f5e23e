/* Threads that help the caller with one job after the other; internal. */
#ifndef BASE_POOL_H
#define BASE_POOL_H

#include <stdbool.h>
#include <stddef.h>

struct eq_pool;
typedef void (*eq_pool_fn)(void *ctx, int worker);

/* A pool of the caller, worker 0, and helpers, workers 1 to `threads` - 1; threads > 1. crowded: there are more threads
 * than CPUs. NULL: a thread or memory cannot be had. Free with eq_pool_free. */
struct eq_pool *eq_pool_new(int threads, bool crowded);
void eq_pool_free(struct eq_pool *p);

/*
 * Calls fn(ctx, 0) here and fn(ctx, w) in the helpers 1 to `workers` - 1; returns when every call has returned. A
 * helper that has not arrived when fn(ctx, 0) is done is not waited for, and its call is left out; one that is early
 * may call twice, one after the other. So fn(ctx, 0) must be able to do all of the work, and every call must return
 * once no work is left. One job at a time.
 *
 * While other processes keep the CPUs busy, the scheduler may take milliseconds to run a helper. Nobody waits for
 * that, only for helpers that have begun.
 */
void eq_pool_run(struct eq_pool *p, int workers, eq_pool_fn fn, void *ctx);

/* There are more threads than CPUs, or one of them has just waited for its CPU. */
bool eq_pool_is_disturbed(const struct eq_pool *p);

/* For threads inside a job: see eq_parallel_wait. */
unsigned eq_pool_news(const struct eq_pool *p);
void eq_pool_tell(struct eq_pool *p);
void eq_pool_wait(struct eq_pool *p, unsigned news);

#endif
