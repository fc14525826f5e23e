/* Lack of memory: the emergency reserve, from which small requests are met when the system refuses them, the note that
 * this happened, and the end of a process whose reserve is used up. */
#include "echoquant/base.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Blocks come from malloc, not from mmap: what is given back serves requests of their size and less, in any thread.
 * They are neighbors, so several together serve a larger one. */
enum { BLOCKS = 16, BLOCK = 64 << 10, HEADER = 64 };

static void *reserve[BLOCKS];
static size_t left;     /* blocks of the reserve */
static size_t refusals; /* times that the system refused memory */
static bool lost;       /* one of them was not met */
static const char *process = "echoquant";

void eq_memory_reserve(const char *name)
{
    process = name;
    while (left < BLOCKS && (reserve[left] = malloc(BLOCK)) != NULL)
        left++;
}

/* Gives a block back; false: there is none. */
static bool give_block(void)
{
    size_t n = __atomic_load_n(&left, __ATOMIC_RELAXED);
    while (n > 0)
        if (__atomic_compare_exchange_n(&left, &n, n - 1, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) {
            free(__atomic_exchange_n(&reserve[n - 1], NULL, __ATOMIC_ACQ_REL));
            return true;
        }
    return false;
}

bool eq_memory_refused(size_t bytes)
{
    __atomic_add_fetch(&refusals, 1, __ATOMIC_RELAXED);
    size_t n = bytes > SIZE_MAX - HEADER ? SIZE_MAX : bytes + HEADER;
    bool given = n <= __atomic_load_n(&left, __ATOMIC_RELAXED) * BLOCK && give_block();
    for (size_t all = BLOCK; given && all < n; all += BLOCK)
        given = give_block();
    if (!given)
        __atomic_store_n(&lost, true, __ATOMIC_RELAXED);
    return given;
}

bool eq_memory_again(size_t bytes)
{
    if (errno != ENOMEM)
        return false;
    if (!eq_memory_refused(bytes))
        eq_memory_end(bytes);
    return true;
}

void eq_memory_ignored(void)
{
    if (errno == ENOMEM)
        eq_memory_refused(SIZE_MAX);
}

bool eq_memory_short(void)
{
    return __atomic_load_n(&refusals, __ATOMIC_RELAXED) > 0;
}

bool eq_memory_lost(void)
{
    return __atomic_load_n(&lost, __ATOMIC_RELAXED);
}

void eq_memory_forget(void)
{
    __atomic_store_n(&lost, false, __ATOMIC_RELAXED);
    __atomic_store_n(&refusals, 0, __ATOMIC_RELAXED);
}

void eq_memory_end(size_t bytes)
{
    char text[256];
    int n = snprintf(text, sizeof text, "error: %.80s: out of memory: the system refused %zu bytes\n", process, bytes);
    ssize_t written = write(STDERR_FILENO, text, (size_t)n);
    (void)written; /* the message is all that is lost */
    _exit(eq_exit_code(EQ_NOMEM));
}

void *eq_small(void *old, size_t bytes)
{
    void *p;
    while (!(p = realloc(old, bytes ? bytes : 1)))
        if (!eq_memory_refused(bytes))
            eq_memory_end(bytes);
    return p;
}

void *eq_room(size_t count, size_t size)
{
    void *p;
    size_t bytes = SIZE_MAX;
    eq_mul_size(count, size, &bytes);
    while (!(p = calloc(count ? count : 1, size)) && eq_memory_refused(bytes))
        ;
    return p;
}

enum eq_status eq_memory_settle(enum eq_status st, struct eq_err *err)
{
    if (!eq_memory_short() || st == EQ_NOMEM)
        return st;
    if (st == EQ_OK)
        return eq_fail(err, EQ_NOMEM, "%s: out of memory: the system refused a request. What was written is complete",
                       process);
    return eq_fail(err, EQ_NOMEM, "%s: out of memory: the system refused a request, and the work ended with: %s",
                   process, err ? err->msg : "");
}
