/* Processes of a run as threads: a transport over shared memory. */
#ifndef ECHOQUANT_TESTS_EXCHANGE_H
#define ECHOQUANT_TESTS_EXCHANGE_H

#include "unit/cmocka_all.h"
#include "echoquant/base.h"

#include <pthread.h>
#include <string.h>
#include <unistd.h>

enum { MAX_RANKS = 4 };

struct exchange {
    pthread_barrier_t barrier;
    int size, late; /* late: the rank that comes last to each exchange; -1: none */
    bool broken;
    size_t passed; /* bytes that rank 0 received */
    struct exchange_rank {
        struct exchange *shared;
        struct eq_comm comm;
        pthread_t thread;
        const struct eq_message *out;
        size_t n_out;
        void (*run)(struct exchange_rank *r);
        void *ctx;
    } ranks[MAX_RANKS];
};

/* The k-th message of `from` that goes to rank `to`. */
static inline const struct eq_message *exchange_find(const struct exchange_rank *from, int to, size_t k)
{
    for (size_t i = 0; i < from->n_out; i++)
        if (from->out[i].rank == to && k-- == 0)
            return &from->out[i];
    return NULL;
}

static inline enum eq_status exchange_pass(void *ctx, const struct eq_message *out, size_t n_out,
                                           const struct eq_message *in, size_t n_in, struct eq_err *e)
{
    struct exchange_rank *r = ctx;
    struct exchange *x = r->shared;
    size_t taken[MAX_RANKS] = {0};
    if (x->late == r->comm.rank)
        usleep(2000);
    r->out = out;
    r->n_out = n_out;
    pthread_barrier_wait(&x->barrier);
    for (size_t i = 0; i < n_in; i++) {
        const struct eq_message *m = exchange_find(&x->ranks[in[i].rank], r->comm.rank, taken[in[i].rank]++);
        if (!m || m->bytes != in[i].bytes)
            abort(); /* cmocka fails on its own thread only */
        memcpy(in[i].data, m->data, m->bytes);
        if (r->comm.rank == 0)
            x->passed += m->bytes;
    }
    pthread_barrier_wait(&x->barrier);
    return x->broken ? eq_fail(e, EQ_IO, "the link is down") : EQ_OK;
}

static inline void *exchange_thread(void *arg)
{
    struct exchange_rank *r = arg;
    eq_comm_join(&r->comm);
    r->run(r);
    eq_comm_join(NULL);
    return NULL;
}

/* Calls run for every rank, each in a thread of its own, with ctx + rank * bytes. */
static inline void exchange_run(struct exchange *x, int size, void (*run)(struct exchange_rank *r), void *ctx,
                                size_t bytes)
{
    x->size = size;
    x->passed = 0;
    assert_int_equal(pthread_barrier_init(&x->barrier, NULL, (unsigned)size), 0);
    for (int i = 0; i < size; i++) {
        struct exchange_rank *r = &x->ranks[i];
        *r = (struct exchange_rank){.shared = x, .run = run, .ctx = (char *)ctx + (size_t)i * bytes};
        assert_int_equal(eq_comm_init(&r->comm, i, size, exchange_pass, r, NULL), EQ_OK);
    }
    for (int i = 0; i < size; i++)
        assert_int_equal(pthread_create(&x->ranks[i].thread, NULL, exchange_thread, &x->ranks[i]), 0);
    for (int i = 0; i < size; i++) {
        assert_int_equal(pthread_join(x->ranks[i].thread, NULL), 0);
        eq_comm_clear(&x->ranks[i].comm);
    }
    pthread_barrier_destroy(&x->barrier);
}

#endif
