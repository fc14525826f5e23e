/*
 * The transport over MPI. All calls of the library come from one thread of this process, which is its main thread
 * (MPI_THREAD_FUNNELED), so that any MPI will do. It sleeps between looks at what has arrived: libraries wait by
 * spinning, which would take the CPU from those that compute.
 *
 * A process that ends tells all others how (a farewell). Whoever waits for anything meanwhile hears it, and ends in the
 * same way.
 */
#include "dist/dist.h"

#include <mpi.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { TAG_DATA = 1, TAG_FAREWELL, TAG_ALIVE };
enum { NAME_BYTES = 64, IDLE_MS = 100 };

struct farewell {
    int32_t status;
    char msg[1024];
};

/* What the caller's thread asks of the other one. */
struct job {
    enum { OPEN, EXCHANGE, CLOSE, ABORT } what;
    const struct eq_message *out, *in;
    size_t n_out, n_in;
    int code; /* CLOSE: the status; ABORT: the exit code */
    struct eq_err *err;
    enum eq_status st;
};

static struct {
    pthread_t thread;
    bool started;
    pthread_mutex_t mutex;
    pthread_cond_t come, done;
    struct job *job; /* NULL: none */
    bool alone;      /* the others wait for this process */

    /* Of the thread. */
    double timeout; /* ms */
    struct eq_comm comm;
    MPI_Request *requests, *hearing; /* of an exchange: first those in, then those out; of farewells, by rank */
    MPI_Status *statuses; /* of the requests; gcc takes MPICH's MPI_STATUSES_IGNORE for an array of no elements */
    struct farewell *heard, own; /* by rank */
    bool *left;                  /* by rank: heard is there */
    char (*names)[NAME_BYTES];   /* hosts, by rank */
    double *alive;               /* by rank: when it last showed itself, ms */
    double beat;                 /* when this process last did */
} mpi = {.mutex = PTHREAD_MUTEX_INITIALIZER, .come = PTHREAD_COND_INITIALIZER, .done = PTHREAD_COND_INITIALIZER};

static enum eq_status failed(int code, const char *what, struct eq_err *err)
{
    char text[MPI_MAX_ERROR_STRING] = "";
    int len;
    MPI_Error_string(code, text, &len);
    return eq_fail(err, EQ_IO, "MPI cannot %s: %.300s", what, text);
}

/* ---- looking and waiting -------------------------------------------------- */

/* Most messages are on their way already. After that an eighth of the time since `since` passes between two looks, so
 * that waiting neither takes a CPU from those that compute, among them this process's own threads, nor adds much to
 * what it waits for. */
static void pause_for(int looks, double since)
{
    double waited = 1e3 * (eq_now_ms() - since), most = waited < 100e3 ? 200 : 2000, us = waited / 8;
    if (looks < 20)
        sched_yield();
    else
        nanosleep(&(struct timespec){0, 1000 * (long)(us < 20 ? 20 : us < most ? us : most)}, NULL);
}

static void look_for_signs(void)
{
    int there;
    MPI_Status s;
    while (MPI_Iprobe(MPI_ANY_SOURCE, TAG_ALIVE, MPI_COMM_WORLD, &there, &s) == MPI_SUCCESS && there) {
        MPI_Recv(NULL, 0, MPI_BYTE, s.MPI_SOURCE, TAG_ALIVE, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
        mpi.alive[s.MPI_SOURCE] = eq_now_ms();
    }
}

static void show_sign(void)
{
    double now = eq_now_ms(), every = mpi.timeout / 10 < 5000 ? mpi.timeout / 10 : 5000;
    if (now - mpi.beat < every)
        return;
    mpi.beat = now;
    for (int rank = 0; rank < mpi.comm.size; rank++) {
        MPI_Request r;
        if (rank != mpi.comm.rank && !mpi.left[rank] &&
            MPI_Isend(NULL, 0, MPI_BYTE, rank, TAG_ALIVE, MPI_COMM_WORLD, &r) == MPI_SUCCESS)
            MPI_Request_free(&r);
    }
}

/* The rank of a process that has ended with a failure; -1: none has. */
static int look_for_farewells(void)
{
    int worst = -1;
    for (int rank = 0; rank < mpi.comm.size; rank++) {
        int there = 0;
        if (rank != mpi.comm.rank && !mpi.left[rank] &&
            MPI_Test(&mpi.hearing[rank], &there, MPI_STATUS_IGNORE) == MPI_SUCCESS && there)
            mpi.left[rank] = true;
        if (mpi.left[rank] && mpi.heard[rank].status != EQ_OK && worst < 0)
            worst = rank;
    }
    return worst;
}

/* Messages that several agreed on name their rank already. */
static enum eq_status adopt(int rank, struct eq_err *err)
{
    const struct farewell *f = &mpi.heard[rank];
    if (strncmp(f->msg, "rank ", 5) == 0)
        return eq_fail(err, (enum eq_status)f->status, "%s", f->msg);
    return eq_fail(err, (enum eq_status)f->status, "rank %d: %s", rank, f->msg);
}

static enum eq_status silent(int rank, struct eq_err *err)
{
    if (mpi.left[rank])
        return eq_fail(err, EQ_IO, "rank %d (%s) has ended, but rank %d waits for it", rank, mpi.names[rank],
                       mpi.comm.rank);
    return eq_fail(err, EQ_IO,
                   "rank %d (%s) has been silent for %g s (dist.timeout): it was killed, hangs, or cannot be reached. "
                   "The last state is kept; run the same command to resume",
                   rank, mpi.names[rank], mpi.timeout / 1e3);
}

/* ---- exchanges ------------------------------------------------------------ */

static enum eq_status post(const struct job *j, struct eq_err *err)
{
    int code = MPI_SUCCESS;
    size_t n = 0;
    for (size_t i = 0; i < j->n_in && code == MPI_SUCCESS; i++)
        code = MPI_Irecv(j->in[i].data, (int)j->in[i].bytes, MPI_BYTE, j->in[i].rank, TAG_DATA, MPI_COMM_WORLD,
                         &mpi.requests[n++]);
    for (size_t i = 0; i < j->n_out && code == MPI_SUCCESS; i++)
        code = MPI_Isend(j->out[i].data, (int)j->out[i].bytes, MPI_BYTE, j->out[i].rank, TAG_DATA, MPI_COMM_WORLD,
                         &mpi.requests[n++]);
    return code == MPI_SUCCESS ? EQ_OK : failed(code, "send", err);
}

/* A process that an unfinished message comes from or goes to and that has not shown itself in time; -1: none. */
static int look_for_silence(const struct job *j, double since)
{
    double now = eq_now_ms();
    for (size_t i = 0; i < j->n_in + j->n_out; i++) {
        int rank = i < j->n_in ? j->in[i].rank : j->out[i - j->n_in].rank;
        double last = mpi.alive[rank] > since ? mpi.alive[rank] : since;
        if (mpi.requests[i] != MPI_REQUEST_NULL && (now - last > mpi.timeout || mpi.left[rank]))
            return rank;
    }
    return -1;
}

/* What will not come any more; a library complains about it at its end. */
static void give_up(const struct job *j)
{
    for (size_t i = 0; i < j->n_in; i++)
        if (mpi.requests[i] != MPI_REQUEST_NULL && MPI_Cancel(&mpi.requests[i]) == MPI_SUCCESS)
            MPI_Request_free(&mpi.requests[i]);
}

static enum eq_status wait_for(const struct job *j, struct eq_err *err)
{
    double since = eq_now_ms();
    for (int looks = 0;; looks++) {
        int done, code = MPI_Testall((int)(j->n_in + j->n_out), mpi.requests, &done, mpi.statuses);
        if (code != MPI_SUCCESS)
            return failed(code, "exchange data", err);
        if (done)
            return EQ_OK;
        if (looks % 64 == 63) {
            look_for_signs();
            int rank = look_for_farewells();
            if (rank >= 0)
                return adopt(rank, err);
            /* What a process sent before it ended arrives first. */
            rank = looks > 640 ? look_for_silence(j, since) : -1;
            if (rank >= 0)
                return silent(rank, err);
        }
        pause_for(looks, since);
    }
}

static enum eq_status exchange(const struct job *j, struct eq_err *err)
{
    EQ_CHECK(post(j, err));
    enum eq_status st = wait_for(j, err);
    if (st != EQ_OK)
        give_up(j);
    return st;
}

/* ---- the beginning and the end --------------------------------------------- */

static bool allocate(int size)
{
    size_t n = (size_t)size;
    mpi.requests = eq_alloc(2 * n * EQ_TREE_PARTS, sizeof *mpi.requests);
    mpi.statuses = eq_alloc(2 * n * EQ_TREE_PARTS, sizeof *mpi.statuses);
    mpi.hearing = eq_alloc(n, sizeof *mpi.hearing);
    mpi.heard = eq_alloc(n, sizeof *mpi.heard);
    mpi.left = eq_alloc(n, sizeof *mpi.left);
    mpi.names = eq_alloc(n, sizeof *mpi.names);
    mpi.alive = eq_alloc(n, sizeof *mpi.alive);
    return mpi.requests && mpi.statuses && mpi.hearing && mpi.heard && mpi.left && mpi.names && mpi.alive;
}

static enum eq_status pass(void *ctx, const struct eq_message *out, size_t n_out, const struct eq_message *in,
                           size_t n_in, struct eq_err *err);

/* Open MPI over TCP lets a message begin when the receiver has said that it is ready. On a single connection this word
 * waits behind what goes the same way, so two processes that send to each other at once take turns: a gradient took 640
 * ms at 1 Gbit/s, with two connections 376 (docs/SCALING.md). --mca btl_tcp_links and the environment come first. */
static void prepare_library(void)
{
    setenv("OMPI_MCA_btl_tcp_links", "2", 0);
}

/* MPICH takes SIGUSR1 for itself, by which a scheduler asks the program to stop. */
static int start_library(int *level)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2, SIGXCPU, SIGXFSZ, SIGPIPE};
    struct sigaction before[sizeof signals / sizeof *signals];
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        sigaction(signals[i], NULL, &before[i]);
    int code = MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, level);
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        sigaction(signals[i], &before[i], NULL);
    return code;
}

static enum eq_status meet(struct eq_err *err)
{
    prepare_library();
    int rank, size, level, code = start_library(&level);
    if (code != MPI_SUCCESS)
        return failed(code, "start", err);
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    if (level < MPI_THREAD_FUNNELED)
        return eq_fail(err, EQ_UNSUPPORTED, "this MPI library serves only programs with one thread");
    EQ_CHECK(eq_comm_init(&mpi.comm, rank, size, pass, NULL, err));
    if (!allocate(size))
        return eq_fail(err, EQ_NOMEM, "out of memory for %d processes", size);
    char name[NAME_BYTES] = "";
    gethostname(name, sizeof name - 1);
    code = MPI_Allgather(name, NAME_BYTES, MPI_BYTE, mpi.names, NAME_BYTES, MPI_BYTE, MPI_COMM_WORLD);
    for (int i = 0; i < size && code == MPI_SUCCESS; i++) {
        mpi.hearing[i] = MPI_REQUEST_NULL;
        if (i != rank)
            code = MPI_Irecv(&mpi.heard[i], sizeof mpi.heard[i], MPI_BYTE, i, TAG_FAREWELL, MPI_COMM_WORLD,
                             &mpi.hearing[i]);
    }
    return code == MPI_SUCCESS ? EQ_OK : failed(code, "meet the other processes", err);
}

/* Waits for the farewells of all; others may still work, which the first one shows. false: somebody is silent. */
static bool hear_all(enum eq_status st)
{
    double since = eq_now_ms(), patience = st == EQ_OK || mpi.timeout < 30e3 ? mpi.timeout : 30e3;
    for (int looks = 0;; looks++) {
        double last = since;
        int missing = 0;
        look_for_signs();
        look_for_farewells();
        for (int rank = 0; rank < mpi.comm.size; rank++) {
            missing += rank != mpi.comm.rank && !mpi.left[rank];
            last = mpi.alive[rank] > last ? mpi.alive[rank] : last;
        }
        if (missing == 0)
            return true;
        if (eq_now_ms() - last > patience)
            return false;
        pause_for(looks, since);
    }
}

static enum eq_status leave(enum eq_status st, bool *reached, struct eq_err *err)
{
    int size = mpi.comm.size;
    size_t n = 0;
    mpi.own.status = (int32_t)st;
    if (st != EQ_OK)
        memcpy(mpi.own.msg, err->msg, sizeof mpi.own.msg);
    for (int rank = 0; rank < size; rank++)
        if (rank != mpi.comm.rank)
            MPI_Isend(&mpi.own, sizeof mpi.own, MPI_BYTE, rank, TAG_FAREWELL, MPI_COMM_WORLD, &mpi.requests[n++]);
    *reached = hear_all(st);
    int worst = look_for_farewells();
    if (st == EQ_OK && worst >= 0)
        st = adopt(worst, err);
    else if (st == EQ_OK && !*reached)
        st = eq_fail(err, EQ_IO, "some of %d processes have not ended within dist.timeout", size);
    if (!*reached)
        return st;
    MPI_Waitall((int)n, mpi.requests, mpi.statuses);
    MPI_Finalize();
    return st;
}

/* ---- the thread ------------------------------------------------------------ */

static enum eq_status work_on(struct job *j)
{
    bool reached;
    switch (j->what) {
    case OPEN:
        return meet(j->err);
    case EXCHANGE:
        return exchange(j, j->err);
    case CLOSE:
        j->st = leave((enum eq_status)j->code, &reached, j->err);
        j->code = reached;
        return j->st;
    default:
        MPI_Abort(MPI_COMM_WORLD, j->code);
        return EQ_OK;
    }
}

static void *serve(void *arg)
{
    (void)arg;
    bool open = false, over = false;
    pthread_mutex_lock(&mpi.mutex);
    while (!over) {
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += IDLE_MS * 1000000L;
        until.tv_sec += until.tv_nsec / 1000000000L;
        until.tv_nsec %= 1000000000L;
        if (!mpi.job && mpi.alone)
            pthread_cond_timedwait(&mpi.come, &mpi.mutex, &until);
        else if (!mpi.job)
            pthread_cond_wait(&mpi.come, &mpi.mutex);
        struct job *j = mpi.job;
        bool sign = !j && open && mpi.alone;
        pthread_mutex_unlock(&mpi.mutex);
        if (sign)
            show_sign();
        if (j) {
            j->st = work_on(j);
            open = open || j->what == OPEN;
            over = j->what == ABORT || (j->what == CLOSE && j->code) || (j->what == OPEN && j->st != EQ_OK);
        }
        pthread_mutex_lock(&mpi.mutex);
        if (j) {
            mpi.job = NULL;
            pthread_cond_signal(&mpi.done);
        }
    }
    pthread_mutex_unlock(&mpi.mutex);
    return NULL;
}

static enum eq_status ask(struct job *j)
{
    pthread_mutex_lock(&mpi.mutex);
    mpi.job = j;
    pthread_cond_signal(&mpi.come);
    while (mpi.job == j)
        pthread_cond_wait(&mpi.done, &mpi.mutex);
    pthread_mutex_unlock(&mpi.mutex);
    return j->st;
}

static enum eq_status pass(void *ctx, const struct eq_message *out, size_t n_out, const struct eq_message *in,
                           size_t n_in, struct eq_err *err)
{
    struct job j = {.what = EXCHANGE, .out = out, .in = in, .n_out = n_out, .n_in = n_in, .err = err};
    (void)ctx;
    return ask(&j);
}

/* ---- for this room --------------------------------------------------------- */

/* Signals stay with the main thread. */
static enum eq_status start(struct eq_err *err)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    int code = pthread_create(&mpi.thread, NULL, serve, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    mpi.started = code == 0;
    return code == 0 ? EQ_OK : eq_fail(err, EQ_NOMEM, "the thread for MPI cannot be started: %s", strerror(code));
}

static void end(void)
{
    pthread_join(mpi.thread, NULL);
    mpi.started = false;
    eq_comm_clear(&mpi.comm);
    eq_free(mpi.requests);
    eq_free(mpi.statuses);
    eq_free(mpi.hearing);
    eq_free(mpi.heard);
    eq_free(mpi.left);
    eq_free(mpi.names);
    eq_free(mpi.alive);
}

enum eq_status eq_transport_open(double timeout, const struct eq_comm **comm, struct eq_err *err)
{
    struct job j = {.what = OPEN, .err = err};
    *comm = NULL;
    mpi.timeout = 1e3 * timeout;
    EQ_CHECK(start(err));
    EQ_CHECK(ask(&j));
    if (mpi.comm.size > 1)
        *comm = &mpi.comm;
    return EQ_OK;
}

void eq_transport_alone(bool alone)
{
    pthread_mutex_lock(&mpi.mutex);
    mpi.alone = alone;
    pthread_cond_signal(&mpi.come);
    pthread_mutex_unlock(&mpi.mutex);
}

enum eq_status eq_transport_close(enum eq_status st, bool *reached, struct eq_err *err)
{
    struct job j = {.what = CLOSE, .code = (int)st, .err = err};
    st = ask(&j);
    *reached = j.code;
    if (*reached)
        end();
    return st;
}

void eq_transport_abort(int code)
{
    struct job j = {.what = ABORT, .code = code};
    ask(&j);
    end();
}
