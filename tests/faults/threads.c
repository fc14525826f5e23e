/* Starting threads and programs. Neither passes through the trap of system calls: what is cloned would come out of a
 * signal handler. */
#include "faults/faults.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>

struct start {
    void *(*fn)(void *);
    void *arg;
};

static void *begin(void *arg)
{
    struct start s = *(struct start *)arg;
    free(arg);
    if (faults_count(FAULTS_CALLS))
        faults_trap_thread();
    return s.fn(s.arg);
}

static void find(const char *name, void *function, size_t size)
{
    void *next = dlsym(RTLD_NEXT, name);
    memcpy(function, &next, size);
}

void *__libc_malloc(size_t n);

int pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *), void *arg)
{
    static int (*next)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
    if (!next)
        find("pthread_create", &next, sizeof next);
    if (faults_count(FAULTS_THREAD) && faults_now())
        return EAGAIN;
    struct start *s = __libc_malloc(sizeof *s);
    *s = (struct start){fn, arg};
    bool paused = faults_trap_pause(true);
    int code = next(thread, attr, begin, s);
    faults_trap_pause(paused);
    if (code != 0)
        free(s);
    return code;
}

int posix_spawnp(pid_t *pid, const char *file, const posix_spawn_file_actions_t *actions, const posix_spawnattr_t *attr,
                 char *const argv[], char *const envp[])
{
    static int (*next)(pid_t *, const char *, const posix_spawn_file_actions_t *, const posix_spawnattr_t *,
                       char *const[], char *const[]);
    if (!next)
        find("posix_spawnp", &next, sizeof next);
    bool paused = faults_trap_pause(true);
    int code = next(pid, file, actions, attr, argv, envp);
    faults_trap_pause(paused);
    return code;
}
