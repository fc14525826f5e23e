/* Errors as text that travels up to the command, and the exit codes that follow from them. */
#include "echoquant/base.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

/* Formats before it stores, because the arguments may point into err->msg. */
static void store(struct eq_err *err, enum eq_status status, const char *fmt, va_list args, const char *tail)
{
    char text[sizeof err->msg] = "";
    if (vsnprintf(text, sizeof text, fmt, args) < 0)
        text[0] = '\0';
    size_t len = strlen(text), room = sizeof text - len;
    snprintf(text + len, room, "%.*s", (int)room - 1, tail);
    err->status = status;
    err->code = 0;
    memcpy(err->msg, text, strlen(text) + 1);
}

enum eq_status eq_fail(struct eq_err *err, enum eq_status status, const char *fmt, ...)
{
    if (err) {
        va_list args;
        va_start(args, fmt);
        store(err, status, fmt, args, "");
        va_end(args);
    }
    return status;
}

enum eq_status eq_fail_errno(struct eq_err *err, const char *fmt, ...)
{
    int code = errno;
    enum eq_status st = code == ENOMEM || code == EMFILE || code == ENFILE ? EQ_NOMEM : EQ_IO;
    if (err) {
        char buffer[128], tail[160];
        /* _GNU_SOURCE gives the strerror_r that returns the text. */
        snprintf(tail, sizeof tail, ": %s", strerror_r(code, buffer, sizeof buffer));
        va_list args;
        va_start(args, fmt);
        store(err, st, fmt, args, tail);
        va_end(args);
        err->code = code;
    }
    return st;
}

bool eq_err_is_of_system(const struct eq_err *err)
{
    static const int of_the_file[] = {0,     ENOENT, ENOTDIR, EISDIR, EACCES,    EPERM,
                                      ELOOP, EINVAL, EFBIG,   ENXIO,  EOVERFLOW, ENAMETOOLONG};
    if (err->status == EQ_NOMEM || err->status == EQ_TOO_SLOW || err->status == EQ_INTERRUPTED)
        return true;
    for (size_t i = 0; i < sizeof of_the_file / sizeof *of_the_file; i++)
        if (err->code == of_the_file[i])
            return false;
    return true;
}

enum eq_status eq_err_context(struct eq_err *err, const char *fmt, ...)
{
    if (!err)
        return EQ_OK;
    char tail[sizeof err->msg + 2];
    snprintf(tail, sizeof tail, ": %s", err->msg);
    int code = err->code;
    va_list args;
    va_start(args, fmt);
    store(err, err->status, fmt, args, tail);
    va_end(args);
    err->code = code;
    return err->status;
}

int eq_exit_code(enum eq_status status)
{
    return status == EQ_OK ? 0 : status == EQ_USAGE ? 2 : status == EQ_INTERRUPTED ? 130 : 1;
}
