/* Preloaded by tests/cli/test_machines.sh: a file system that cannot lock (LOCK_ERRNO: what fcntl(F_SETLK) fails with)
 * or cannot sync (DIR_ERRNO, FILE_ERRNO: what fsync of a folder or of a file fails with). With TAKE_SIGHUP it takes
 * this signal for itself when it is loaded, as UCX does. */

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>

static int fails(const char *name)
{
    const char *text = getenv(name);
    if (text)
        errno = (int)strtol(text, NULL, 10);
    return text != NULL;
}

static void take(int number)
{
    (void)number;
}

__attribute__((constructor)) static void start(void)
{
    if (getenv("TAKE_SIGHUP"))
        signal(SIGHUP, take);
}

static int control(const char *name, int fd, int command, void *argument)
{
    int (*real)(int, int, ...) = (int (*)(int, int, ...))dlsym(RTLD_NEXT, name);
    return command == F_SETLK && fails("LOCK_ERRNO") ? -1 : real(fd, command, argument);
}

int fcntl(int fd, int command, ...)
{
    va_list args;
    va_start(args, command);
    void *argument = va_arg(args, void *);
    va_end(args);
    return control("fcntl", fd, command, argument);
}

int fcntl64(int fd, int command, ...)
{
    va_list args;
    va_start(args, command);
    void *argument = va_arg(args, void *);
    va_end(args);
    return control("fcntl64", fd, command, argument);
}

int fsync(int fd)
{
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
    struct stat info;
    if (fstat(fd, &info) == 0 && fails(S_ISDIR(info.st_mode) ? "DIR_ERRNO" : "FILE_ERRNO"))
        return -1;
    return real(fd);
}
