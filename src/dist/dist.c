/* The processes of a command: meeting, ending together, and what the first one does for all. */
#include "dist/dist.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct {
    const struct eq_comm *comm; /* NULL: this process is alone */
    bool open, unreached;
    bool told; /* the first process knows of the failure that this one ends with */
} dist;

/* Results are printed by one process. */
static enum eq_status close_output(struct eq_err *err)
{
    int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    bool done = fd >= 0 && dup2(fd, STDOUT_FILENO) >= 0;
    enum eq_status st = done ? EQ_OK : eq_fail_errno(err, "/dev/null");
    if (fd >= 0)
        close(fd);
    return st;
}

enum eq_status eq_dist_open(const struct eq_dist_opts *opts, struct eq_err *err)
{
    struct eq_launch l = eq_launch_look();
    dist.comm = NULL;
    dist.open = false;
    if (l.size > 1 && !opts->shared && l.library)
        return eq_fail(err, EQ_USAGE,
                       "%d processes were started (%s), but this command is not shared between processes: start it "
                       "without mpirun",
                       l.size, l.variable);
    if (!opts->shared || (l.size == 1 && !l.library))
        return EQ_OK;
    if (!l.library)
        return eq_launch_refuse_alone(&l, opts->command, err);
    EQ_CHECK(eq_transport_open(opts->timeout, &dist.comm, err));
    dist.open = true;
    if (!dist.comm)
        return l.size > 1 ? eq_launch_refuse_alone(&l, opts->command, err) : EQ_OK;
    eq_comm_join(dist.comm);
    if (dist.comm->rank == 0)
        return EQ_OK;
    eq_log_configure(EQ_LOG_ERROR);
    return close_output(err);
}

enum eq_status eq_dist_say_cpus(int threads, struct eq_err *err)
{
    const struct eq_comm *c = eq_comm_world();
    if (c->size == 1)
        return EQ_OK;
    int *cpus = eq_alloc((size_t)c->size, sizeof *cpus), least = 0;
    if (!cpus)
        return eq_fail(err, EQ_NOMEM, "out of memory for %d processes", c->size);
    cpus[c->rank] = eq_cpu_count();
    enum eq_status st = eq_comm_fill(c, cpus, (size_t)c->size, sizeof *cpus, err);
    for (int i = 1; i < c->size; i++)
        least = cpus[i] < cpus[least] ? i : least;
    int wanted = threads ? threads : (int)sysconf(_SC_NPROCESSORS_ONLN) / c->size;
    if (st == EQ_OK)
        eq_info("%d processes share this command", c->size);
    if (st == EQ_OK && cpus[least] < wanted)
        eq_warn("rank %d may run on %d CPU%s only, fewer than %s%d: the launcher bound it. Add `--bind-to none` to "
                "mpirun, or `--cpu-bind=none` to srun",
                least, cpus[least], eq_plural(cpus[least]), threads ? "run.threads = " : "its share of the machine, ",
                wanted);
    eq_free(cpus);
    return st;
}

enum eq_status eq_dist_close(enum eq_status st, struct eq_err *err)
{
    bool reached = true;
    eq_comm_join(NULL);
    if (dist.open)
        st = eq_transport_close(st, &reached, err);
    dist.open = false;
    dist.unreached = !reached;
    dist.told = reached && st != EQ_OK && dist.comm && dist.comm->rank > 0;
    return st;
}

bool eq_dist_speaks(void)
{
    return dist.unreached || !dist.comm || dist.comm->rank == 0;
}

int eq_dist_exit(int code)
{
    if (dist.unreached)
        eq_transport_abort(code);
    return dist.told ? 0 : code;
}

/* The processes that wait for this thread's process, or that it waits with; NULL: none. One section may lie in
 * another. / */
static _Thread_local const struct eq_comm *waiting;
static _Thread_local int sections;

bool eq_first_begin(void)
{
    const struct eq_comm *c = eq_comm_world();
    if (sections++ > 0 || c->size == 1)
        return true;
    waiting = c;
    if (c->rank > 0)
        return false;
    eq_comm_join(NULL);
    if (dist.open)
        eq_transport_alone(true);
    return true;
}

/* Rank 0's bytes to all. */
static enum eq_status spread(const struct eq_comm *c, void *data, size_t bytes, struct eq_err *err)
{
    struct eq_message *m = c->messages;
    for (int i = 0; i < c->size; i++)
        m[i] = (struct eq_message){c->rank == 0 ? i + 1 : 0, data, bytes};
    return c->rank == 0 ? c->exchange(c->ctx, m, (size_t)c->size - 1, NULL, 0, err)
                        : c->exchange(c->ctx, NULL, 0, m, 1, err);
}

enum eq_status eq_first_end(enum eq_status st, void *result, size_t bytes, struct eq_err *err)
{
    const struct eq_comm *c = waiting;
    if (--sections > 0 || !c)
        return st;
    waiting = NULL;
    if (c->rank == 0 && dist.open)
        eq_transport_alone(false);
    eq_comm_join(c);
    EQ_CHECK(eq_comm_agree(c, c->rank == 0 ? st : EQ_OK, err));
    return result ? spread(c, result, bytes, err) : EQ_OK;
}

void eq_apart_begin(void)
{
    waiting = eq_comm_world();
    eq_comm_join(NULL);
    sections++;
    if (dist.open)
        eq_transport_alone(true);
}

enum eq_status eq_apart_end(enum eq_status st, struct eq_err *err)
{
    const struct eq_comm *c = waiting;
    waiting = NULL;
    sections--;
    eq_comm_join(c);
    st = eq_comm_agree(c, st, err); /* while others still work, this process is alive */
    if (dist.open)
        eq_transport_alone(false);
    return st;
}

/* The first line of text that `other` lacks. */
static const char *new_line(const char *text, const char *other, int *len)
{
    for (; *text; text += *len, text += *text != '\0') {
        bool found = false;
        *len = (int)strcspn(text, "\n");
        for (const char *o = other; *o && !found; o += strcspn(o, "\n"), o += *o != '\0')
            found = (int)strcspn(o, "\n") == *len && strncmp(o, text, (size_t)*len) == 0;
        if (!found)
            return text;
    }
    *len = 0;
    return text;
}

enum eq_status eq_dist_same(const char *what, const char *text, struct eq_err *err)
{
    const struct eq_comm *c = eq_comm_world();
    if (c->size == 1)
        return EQ_OK;
    uint64_t bytes = strlen(text) + 1;
    EQ_CHECK(spread(c, &bytes, sizeof bytes, err));
    char *first = eq_alloc(bytes, 1);
    if (!first)
        return eq_fail(err, EQ_NOMEM, "out of memory to compare %s", what);
    if (c->rank == 0)
        memcpy(first, text, bytes);
    enum eq_status st = spread(c, first, bytes, err);
    if (st == EQ_OK && strcmp(first, text) != 0) {
        int is, was;
        const char *own = new_line(text, first, &is), *other = new_line(first, text, &was);
        st = eq_fail(err, EQ_USAGE, "this process has other %s than rank 0: %.*s, not %.*s", what, is, own, was, other);
    }
    eq_free(first);
    return eq_comm_agree(c, st, err);
}
