/* <run>/lock: one process at a time works in a run directory. */
#include "rundir/rundir.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static enum eq_status in_use(const char *run_dir, long holder, struct eq_err *err)
{
    char who[32] = "another process";
    if (holder > 0)
        snprintf(who, sizeof who, "process %ld", holder);
    return eq_fail(err, EQ_IO, "%s is in use by %s: wait until it ends, or name another folder with --run", run_dir,
                   who);
}

enum eq_status eq_run_lock(struct eq_run_lock *lock, const char *run_dir, struct eq_err *err)
{
    bool there;
    EQ_CHECK(eq_path_look(run_dir, &there, err));
    EQ_CHECK(eq_make_dirs(run_dir, err));
    enum eq_lock_answer answer;
    char *path = eq_path_join(run_dir, "lock");
    enum eq_status st = eq_lock_try(&lock->lock, path, &answer, err);
    free(path);
    if (st != EQ_OK)
        return st;
    if (answer == EQ_LOCK_BUSY)
        return in_use(run_dir, lock->lock.holder, err);
    if (answer == EQ_LOCK_IMPOSSIBLE)
        eq_warn("%s: this file system cannot lock files (%s). Do not start a second command on this run at the same "
                "time",
                run_dir, strerror(lock->lock.no_locks));
    lock->made_dir = !there;
    bool ours;
    EQ_TRY(eq_run_is_ours(run_dir, &ours, err));
    /* config.json makes a folder ours; the first command may have been killed while it wrote that. */
    st = ours ? eq_run_remove_temporaries(run_dir, answer == EQ_LOCK_TAKEN, err)
              : eq_remove_temporaries(run_dir, "config.json.tmp-", answer == EQ_LOCK_TAKEN, err);
out:
    if (st != EQ_OK)
        eq_run_unlock(lock);
    return st;
}

void eq_run_unlock(struct eq_run_lock *lock)
{
    if (!lock->lock.path)
        return;
    char *dir = eq_strdup(lock->lock.path);
    *strrchr(dir, '/') = '\0';
    eq_lock_release(&lock->lock);
    if (lock->made_dir)
        rmdir(dir); /* succeeds only if it is empty */
    free(dir);
    *lock = (struct eq_run_lock){0};
}
