/*
 * Standard output, and writing that hears a signal. Nothing that this program was given reaches a terminal as it is:
 * names, lists and files may hold escape sequences, and marks that show text in another order.
 */
#include "base/log.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <unistd.h>

/* A pipe that is ready takes this much without waiting (PIPE_BUF of Linux). */
enum { PIECE = 4096, KEPT = 65536, LISTEN_MS = 200 };

static struct eq_str waiting; /* for stdout */
static int failure;           /* errno of the first write to it that failed */

bool eq_write_all(int fd, const char *bytes, size_t n)
{
    while (n > 0) {
        struct pollfd ready = {.fd = fd, .events = POLLOUT};
        /* A signal between this question and the poll is heard when the poll ends. */
        if (eq_interrupted() && poll(&ready, 1, 0) == 0)
            return errno = EINTR, false;
        if (poll(&ready, 1, LISTEN_MS) <= 0)
            continue;
        ssize_t written = write(fd, bytes, n < PIECE ? n : PIECE);
        if (written < 0 && errno != EINTR && errno != EAGAIN)
            return false;
        bytes += written > 0 ? written : 0;
        n -= written > 0 ? (size_t)written : 0;
    }
    return true;
}

enum eq_status eq_print_flush(struct eq_err *err)
{
    if (waiting.len && !failure && !eq_write_all(STDOUT_FILENO, waiting.s, waiting.len))
        failure = errno;
    waiting.len = 0;
    if (failure == EINTR)
        return eq_fail(err, EQ_INTERRUPTED, "interrupted while writing the results");
    errno = failure;
    return failure ? eq_fail_errno(err, "stdout: cannot write the results") : EQ_OK;
}

static void put(const char *bytes, size_t n)
{
    eq_str_add_bytes(&waiting, bytes, n);
    if (waiting.len >= KEPT || isatty(STDOUT_FILENO))
        eq_print_flush(NULL);
}

void eq_print_text(const char *text)
{
    struct eq_str shown = {0};
    eq_str_add_lines(&shown, text);
    put(shown.s, shown.len);
    eq_str_clear(&shown);
}

void eq_print_row(const char *fmt, ...)
{
    struct eq_str row = {0}, shown = {0};
    va_list args;
    va_start(args, fmt);
    eq_str_vadd(&row, fmt, args);
    va_end(args);
    eq_str_add_shown(&shown, row.s ? row.s : "");
    eq_str_add(&shown, "\n");
    put(shown.s, shown.len);
    eq_str_clear(&row);
    eq_str_clear(&shown);
}

void eq_print_data(const char *text)
{
    struct eq_str shown = {0};
    if (isatty(STDOUT_FILENO))
        eq_str_add_escaped(&shown, text);
    else
        eq_str_add(&shown, "%s", text);
    put(shown.s ? shown.s : "", shown.len);
    eq_str_clear(&shown);
}
