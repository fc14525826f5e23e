/*
 * Files that appear whole or not at all: written under a temporary name in the same directory, fsynced, renamed over
 * the target, and the directory fsynced. Until the rename, what was there before is untouched.
 */
#include "echoquant/base.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* A name that no other process, thread or earlier killed run uses; O_EXCL decides. */
static int open_temporary(struct eq_writer *w)
{
    static unsigned counter;
    for (int attempt = 0; attempt < 100; attempt++) {
        struct eq_str name = {0};
        unsigned n = __atomic_fetch_add(&counter, 1, __ATOMIC_RELAXED);
        eq_str_add(&name, "%s.tmp-%ld-%u", w->path, (long)getpid(), n);
        int fd = open(name.s, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (fd >= 0) {
            w->tmp_path = name.s;
            return fd;
        }
        eq_str_clear(&name);
        if (errno != EEXIST)
            return -1;
    }
    return -1;
}

/* <name>.tmp-<process>-<number>, as open_temporary makes it. */
static bool is_temporary(const char *name, long *pid)
{
    unsigned number;
    int end = 0;
    for (const char *mark = strstr(name, ".tmp-"); mark; mark = strstr(mark + 1, ".tmp-"))
        if (sscanf(mark, ".tmp-%ld-%u%n", pid, &number, &end) == 2 && mark[end] == '\0' && *pid > 0)
            return true;
    return false;
}

bool eq_is_temporary_name(const char *name)
{
    long pid;
    return is_temporary(name, &pid);
}

enum eq_status eq_remove_temporaries(const char *dir, const char *of, bool alone, struct eq_err *err)
{
    char **names;
    size_t n, len = of ? strlen(of) : 0;
    enum eq_status st = eq_list_dir(dir, &names, &n, err);
    for (size_t i = 0; i < n && st == EQ_OK; i++) {
        long pid;
        if (!is_temporary(names[i], &pid) || (of && strncmp(names[i], of, len) != 0) ||
            !(alone || pid == (long)getpid() || (kill((pid_t)pid, 0) != 0 && errno == ESRCH)))
            continue;
        char *path = eq_path_join(dir, names[i]);
        if (unlink(path) != 0 && errno != ENOENT && errno != EISDIR)
            st = eq_fail_errno(err, "%s: cannot be removed", path);
        free(path);
    }
    eq_names_free(names, n);
    return st;
}

/* A FIFO is opened when somebody reads it, or a signal comes. */
static int open_pipe(const char *path)
{
    int fd;
    while ((fd = open(path, O_WRONLY | O_CLOEXEC | O_NONBLOCK)) < 0 && errno == ENXIO) {
        if (eq_interrupted())
            return errno = EINTR, -1;
        nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
    }
    return fd;
}

static ssize_t pipe_write(void *fd, const char *bytes, size_t n)
{
    return eq_write_all((int)(intptr_t)fd, bytes, n) ? (ssize_t)n : 0; /* fopencookie's sign of an error */
}

static int pipe_close(void *fd)
{
    return close((int)(intptr_t)fd);
}

/* The file that a link names is replaced, not the link. A device or pipe cannot be replaced; it is written directly. */
enum eq_status eq_writer_open(struct eq_writer *w, const char *path, struct eq_err *err)
{
    *w = (struct eq_writer){0};
    char *target = eq_real_path(path);
    w->path = target ? target : eq_strdup(path);
    struct stat info;
    bool exists = stat(w->path, &info) == 0;
    int fd;
    if (!exists && errno != ENOENT && errno != ENOTDIR) { /* it may be a device */
        fd = -1;
    } else if (exists && S_ISDIR(info.st_mode)) {
        errno = EISDIR;
        fd = -1;
    } else if (exists && !S_ISREG(info.st_mode)) {
        fd = open_pipe(w->path);
    } else {
        fd = open_temporary(w);
    }
    const cookie_io_functions_t pipe = {.write = pipe_write, .close = pipe_close};
    while (fd >= 0 && !(w->file = w->tmp_path ? fdopen(fd, "wb") : fopencookie((void *)(intptr_t)fd, "wb", pipe)) &&
           eq_memory_again(BUFSIZ))
        ;
    if (!w->file) {
        enum eq_status st = errno == EINTR
                                ? eq_fail(err, EQ_INTERRUPTED, "interrupted while waiting for a reader of %s", path)
                                : eq_fail_errno(err, "%s: cannot create the file", path);
        if (fd >= 0)
            close(fd);
        eq_writer_abort(w);
        return st;
    }
    return EQ_OK;
}

static enum eq_status write_failed(const struct eq_writer *w, struct eq_err *err)
{
    if (errno == EINTR && !w->tmp_path)
        return eq_fail(err, EQ_INTERRUPTED, "interrupted while writing to %s", w->path);
    return eq_fail_errno(err, "%s: cannot write", w->path);
}

enum eq_status eq_writer_put(struct eq_writer *w, const void *data, size_t len, struct eq_err *err)
{
    if (len && fwrite(data, 1, len, w->file) != len)
        return write_failed(w, err);
    return EQ_OK;
}

enum eq_status eq_writer_printf(struct eq_writer *w, struct eq_err *err, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int n = vfprintf(w->file, fmt, args);
    va_end(args);
    return n < 0 ? write_failed(w, err) : EQ_OK;
}

/* Whether a file system says that it cannot sync at all, rather than that it failed. */
static bool cannot_sync(int error)
{
    return error == EINVAL || error == ENOSYS || error == ENOTSUP || error == EOPNOTSUPP;
}

/* Makes the rename itself survive a power cut. The file is whole and in place, so a folder that cannot be synced (FUSE,
 * network drives, WSL) is no reason to stop. */
static void sync_directory(const char *path)
{
    static bool warned;
    char *dir = eq_strdup(path);
    char *slash = strrchr(dir, '/');
    if (slash)
        slash[slash == dir ? 1 : 0] = '\0';
    int fd = open(slash ? dir : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0 && fsync(fd) != 0 && errno != EINVAL && !__atomic_exchange_n(&warned, true, __ATOMIC_RELAXED))
        eq_warn("%s: this file system cannot sync a folder (%s); files are written, but a power cut may undo the last "
                "ones",
                slash ? dir : ".", strerror(errno));
    if (fd >= 0)
        close(fd);
    free(dir);
}

enum eq_status eq_writer_close(struct eq_writer *w, struct eq_err *err)
{
    FILE *file = w->file;
    if (eq_memory_lost()) /* the contents may lack something */
        return eq_fail(err, EQ_NOMEM, "%s: out of memory, so it is not written", w->path);
    /* The stream's error flag catches a failed put whose status was lost. */
    bool good = fflush(file) == 0 && !ferror(file) &&
                (!w->tmp_path || w->unsynced || fsync(fileno(file)) == 0 || cannot_sync(errno));
    if (!good)
        return write_failed(w, err);
    w->file = NULL;
    return fclose(file) == 0 ? EQ_OK : write_failed(w, err); /* NFS and quotas report here */
}

enum eq_status eq_writer_commit(struct eq_writer *w, struct eq_err *err)
{
    enum eq_status st = EQ_OK;
    if (w->file)
        EQ_TRY(eq_writer_close(w, err));
    if (w->tmp_path) {
        if (rename(w->tmp_path, w->path) != 0)
            EQ_TRY(eq_fail_errno(err, "%s: cannot put the new file in place", w->path));
        free(w->tmp_path);
        w->tmp_path = NULL;
        if (!w->unsynced)
            sync_directory(w->path);
    }
out:
    eq_writer_abort(w);
    return st;
}

void eq_writer_abort(struct eq_writer *w)
{
    if (w->file)
        fclose(w->file); /* discards its contents */
    if (w->tmp_path)
        unlink(w->tmp_path);
    free(w->tmp_path);
    free(w->path);
    *w = (struct eq_writer){0};
}

enum eq_status eq_write_file(const char *path, const void *data, size_t len, struct eq_err *err)
{
    enum eq_status st = EQ_OK;
    struct eq_writer w;
    EQ_TRY(eq_writer_open(&w, path, err));
    EQ_TRY(eq_writer_put(&w, data, len, err));
    EQ_TRY(eq_writer_commit(&w, err));
out:
    eq_writer_abort(&w);
    return st;
}
