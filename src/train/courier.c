/* A thread that does tasks in the order in which they were given, beside the one that gives them. */
#include "train/trainer.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

struct task {
    eq_courier_fn fn;
    void *ctx;
    size_t lo, hi;
};

struct eq_courier {
    pthread_t thread;
    bool running;
    pthread_mutex_t mutex;
    pthread_cond_t come, idle;
    struct task *tasks; /* [most] */
    size_t most, given, done;
    bool quit;
    enum eq_status st; /* of the tasks since the last wait: after a failure the others are left out */
    struct eq_err err;
};

static void *work(void *arg)
{
    struct eq_courier *c = arg;
    pthread_mutex_lock(&c->mutex);
    while (!c->quit) {
        if (c->done == c->given) {
            pthread_cond_wait(&c->come, &c->mutex);
            continue;
        }
        const struct task t = c->tasks[c->done];
        enum eq_status st = c->st;
        pthread_mutex_unlock(&c->mutex);
        if (st == EQ_OK)
            st = t.fn(t.ctx, t.lo, t.hi, &c->err);
        pthread_mutex_lock(&c->mutex);
        c->st = st;
        if (++c->done == c->given)
            pthread_cond_signal(&c->idle);
    }
    pthread_mutex_unlock(&c->mutex);
    return NULL;
}

enum eq_status eq_courier_new(size_t most, struct eq_courier **out, struct eq_err *err)
{
    struct eq_courier *c = *out = calloc(1, sizeof *c);
    sigset_t all, before;
    if (!c || !(c->tasks = calloc(most, sizeof *c->tasks)))
        return eq_fail(err, EQ_NOMEM, "out of memory for the exchange of gradients");
    c->most = most;
    pthread_mutex_init(&c->mutex, NULL);
    pthread_cond_init(&c->come, NULL);
    pthread_cond_init(&c->idle, NULL);
    sigfillset(&all); /* signals stay with the main thread */
    pthread_sigmask(SIG_BLOCK, &all, &before);
    int code = pthread_create(&c->thread, NULL, work, c);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    c->running = code == 0;
    return code == 0
               ? EQ_OK
               : eq_fail(err, EQ_NOMEM, "the thread that exchanges gradients cannot be started: %s", strerror(code));
}

void eq_courier_free(struct eq_courier *c)
{
    if (!c)
        return;
    if (c->running) {
        eq_courier_wait(c, NULL);
        pthread_mutex_lock(&c->mutex);
        c->quit = true;
        pthread_cond_signal(&c->come);
        pthread_mutex_unlock(&c->mutex);
        pthread_join(c->thread, NULL);
    }
    if (c->tasks) {
        pthread_mutex_destroy(&c->mutex);
        pthread_cond_destroy(&c->come);
        pthread_cond_destroy(&c->idle);
    }
    free(c->tasks);
    free(c);
}

void eq_courier_give(struct eq_courier *c, eq_courier_fn fn, void *ctx, size_t lo, size_t hi)
{
    pthread_mutex_lock(&c->mutex);
    c->tasks[c->given++] = (struct task){fn, ctx, lo, hi};
    pthread_cond_signal(&c->come);
    pthread_mutex_unlock(&c->mutex);
}

enum eq_status eq_courier_wait(struct eq_courier *c, struct eq_err *err)
{
    pthread_mutex_lock(&c->mutex);
    while (c->done < c->given)
        pthread_cond_wait(&c->idle, &c->mutex);
    enum eq_status st = c->st;
    if (st != EQ_OK && err)
        *err = c->err;
    c->given = c->done = 0;
    c->st = EQ_OK;
    pthread_mutex_unlock(&c->mutex);
    return st;
}
