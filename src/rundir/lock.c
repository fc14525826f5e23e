/* <run>/lock: one process at a time works in a run directory. The file exists only while it is held, or after a
 * process was killed; only the lock on it counts. */
#include "rundir/rundir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* POSIX record locks tell who holds them and end with the process. */
static bool try_lock(int fd, pid_t *holder)
{
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    *holder = 0;
    if (fcntl(fd, F_SETLK, &whole) == 0)
        return true;
    if ((errno == EACCES || errno == EAGAIN) && fcntl(fd, F_GETLK, &whole) == 0 && whole.l_type != F_UNLCK)
        *holder = whole.l_pid;
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

static enum eq_status in_use(const char *run_dir, pid_t holder, struct eq_err *err)
{
    char who[32] = "another process";
    if (holder > 0)
        snprintf(who, sizeof who, "process %ld", (long)holder);
    return eq_fail(err, EQ_IO, "%s is in use by %s: wait until it ends, or name another folder with --run", run_dir,
                   who);
}

enum eq_status eq_run_lock(struct eq_run_lock *lock, const char *run_dir, struct eq_err *err)
{
    bool there;
    EQ_CHECK(eq_path_look(run_dir, &there, err));
    EQ_CHECK(eq_make_dirs(run_dir, err));
    enum eq_status st = EQ_OK;
    char *path = eq_path_join(run_dir, "lock");
    int fd;
    pid_t holder = 0;
    bool alone = true, ours;
    for (;;) {
        fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
        if (fd < 0) {
            st = eq_fail_errno(err, "%s: cannot be created", path);
            break;
        }
        bool locked = try_lock(fd, &holder);
        if (!locked && has_no_locks(errno)) {
            eq_warn("%s: this file system cannot lock files (%s). Do not start a second command on this run "
                    "at the same time",
                    run_dir, strerror(errno));
            alone = false;
            break;
        }
        if (!locked)
            st = errno == EACCES || errno == EAGAIN ? in_use(run_dir, holder, err)
                                                    : eq_fail_errno(err, "%s: cannot be locked", path);
        else if (is_current(fd, path))
            break;
        close(fd);
        if (st != EQ_OK)
            break;
    }
    if (st != EQ_OK) {
        free(path);
        return st;
    }
    *lock = (struct eq_run_lock){.fd = fd, .path = path, .made_dir = !there};
    EQ_TRY(eq_run_is_ours(run_dir, &ours, err));
    if (ours)
        EQ_TRY(eq_run_remove_temporaries(run_dir, alone, err));
out:
    if (st != EQ_OK)
        eq_run_unlock(lock);
    return st;
}

void eq_run_unlock(struct eq_run_lock *lock)
{
    if (!lock->path)
        return;
    unlink(lock->path);
    char *slash = strrchr(lock->path, '/');
    *slash = '\0';
    if (lock->made_dir)
        rmdir(lock->path); /* succeeds only if it is empty */
    close(lock->fd);
    free(lock->path);
    *lock = (struct eq_run_lock){0};
}
