/* Locks that other processes respect. The file exists only while it is held, or after a process was killed; only the
 * lock on it counts. */
#include "echoquant/base.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* POSIX record locks tell who holds them and end with the process. */
static bool try_lock(int fd, pid_t *holder)
{
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    *holder = 0;
    if (fcntl(fd, F_SETLK, &whole) == 0)
        return true;
    int error = errno;
    if ((error == EACCES || error == EAGAIN) && fcntl(fd, F_GETLK, &whole) == 0 && whole.l_type != F_UNLCK)
        *holder = whole.l_pid;
    errno = error;
    return false;
}

/* Lustre without its flock option, NFS without a lock daemon, some FUSE file systems. */
static bool has_no_locks(int error)
{
    return error == ENOSYS || error == ENOLCK || error == ENOTSUP || error == EOPNOTSUPP || error == EINVAL;
}

/* The previous holder may have removed the file between our open and our lock. */
static bool is_current(int fd, const char *path)
{
    struct stat ours, named;
    return fstat(fd, &ours) == 0 && stat(path, &named) == 0 && ours.st_dev == named.st_dev &&
           ours.st_ino == named.st_ino;
}

enum eq_status eq_lock_try(struct eq_lock *lock, const char *path, enum eq_lock_answer *answer, struct eq_err *err)
{
    *lock = (struct eq_lock){.fd = -1};
    for (;;) {
        pid_t holder;
        int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
        if (fd < 0)
            return eq_fail_errno(err, "%s: cannot be created", path);
        bool locked = try_lock(fd, &holder);
        int error = errno;
        if (!locked && (error == EACCES || error == EAGAIN)) {
            close(fd);
            lock->holder = (long)holder;
            *answer = EQ_LOCK_BUSY;
            return EQ_OK;
        }
        if (!locked && !has_no_locks(error)) {
            close(fd);
            errno = error;
            return eq_fail_errno(err, "%s: cannot be locked", path);
        }
        if (locked && !is_current(fd, path)) {
            close(fd);
            continue;
        }
        *lock = (struct eq_lock){.fd = fd, .path = eq_strdup(path), .no_locks = locked ? 0 : error};
        *answer = locked ? EQ_LOCK_TAKEN : EQ_LOCK_IMPOSSIBLE;
        return EQ_OK;
    }
}

static void say_that_it_waits(const char *what, long holder)
{
    if (holder > 0)
        eq_info("%s by process %ld: waiting until it ends", what, holder);
    else
        eq_info("%s by another process: waiting until it ends", what);
}

enum eq_status eq_lock_wait(struct eq_lock *lock, const char *path, const char *what, struct eq_err *err)
{
    const struct timespec pause = {.tv_nsec = 100 * 1000 * 1000};
    for (bool told = false;; told = true) {
        enum eq_lock_answer answer;
        EQ_CHECK(eq_lock_try(lock, path, &answer, err));
        if (answer != EQ_LOCK_BUSY)
            return EQ_OK;
        if (!told)
            say_that_it_waits(what, lock->holder);
        if (eq_interrupted())
            return eq_fail(err, EQ_INTERRUPTED, "interrupted while waiting: %s by another process", what);
        nanosleep(&pause, NULL);
    }
}

void eq_lock_release(struct eq_lock *lock)
{
    if (!lock->path)
        return;
    unlink(lock->path);
    close(lock->fd);
    free(lock->path);
    *lock = (struct eq_lock){0};
}
