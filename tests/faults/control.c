/* What fails, and the record of it. main is that of the program, which is compiled under another name. */
#include "faults/faults.h"

#include <dlfcn.h>
#include <execinfo.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { FRAMES = 24, SITE_FRAMES = 10, SITES = 1 << 15, OWN_FRAMES = 2 };

static enum faults_class counted;
static long target, calls;
static bool later_ones;
static int log_fd = -1, sites_fd = -1;
static _Thread_local bool inside;

int echoquant_main(int argc, char **argv);

bool faults_count(enum faults_class kind)
{
    return __atomic_load_n(&counted, __ATOMIC_RELAXED) == kind;
}

static void put(int fd, const char *text)
{
    faults_raw(SYS_write, fd, (long)text, (long)strlen(text), 0, 0, 0);
}

/* A distinct call stack: its first call's number; true if it is new. */
static bool is_new(uint64_t hash)
{
    static uint64_t seen[SITES];
    hash += !hash;
    for (size_t i = 0; i < SITES; i++) {
        uint64_t *slot = &seen[(hash + i) % SITES], none = 0;
        if (__atomic_compare_exchange_n(slot, &none, hash, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
            return true;
        if (none == hash)
            return false;
    }
    return false;
}

static void note_site(long n)
{
    void *frames[SITE_FRAMES];
    char line[32];
    uint64_t hash = 14695981039346656037U;
    for (int i = OWN_FRAMES, count = backtrace(frames, SITE_FRAMES); i < count; i++)
        hash = (hash ^ (uint64_t)(uintptr_t)frames[i]) * 1099511628211U;
    if (is_new(hash)) {
        snprintf(line, sizeof line, "%ld\n", n);
        put(sites_fd, line);
    }
}

/* The call stack of whoever called the caller. */
static void note_stack(void)
{
    void *frames[FRAMES];
    char line[512];
    for (int i = OWN_FRAMES, count = backtrace(frames, FRAMES); i < count; i++) {
        Dl_info info;
        if (!dladdr(frames[i], &info))
            continue;
        const char *name = strrchr(info.dli_fname, '/');
        snprintf(line, sizeof line, "%s+0x%lx %s\n", name ? name + 1 : info.dli_fname,
                 (unsigned long)((char *)frames[i] - (char *)info.dli_fbase), info.dli_sname ? info.dli_sname : "");
        put(log_fd, line);
    }
}

/* Where the program crashed, or, by SIGABRT from outside, where it waits. */
static void on_crash(int number)
{
    char line[32];
    faults_trap_pause(true);
    inside = true;
    snprintf(line, sizeof line, "crash %d\n", number);
    put(log_fd, line);
    note_stack();
    signal(number, SIG_DFL);
    raise(number);
}

bool faults_now(void)
{
    if (inside)
        return false;
    inside = true;
    bool paused = faults_trap_pause(true);
    long n = __atomic_add_fetch(&calls, 1, __ATOMIC_RELAXED);
    if (sites_fd >= 0)
        note_site(n);
    if (log_fd >= 0 && n == target) {
        char line[32];
        snprintf(line, sizeof line, "hit %ld\n", n);
        put(log_fd, line);
        note_stack();
    }
    faults_trap_pause(paused);
    inside = false;
    return target > 0 && (n == target || (later_ones && n > target));
}

/* Out of the way of the program's own numbers. */
static int open_record(const char *variable)
{
    const char *path = getenv(variable);
    int fd = path ? open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666) : -1;
    if (fd < 0)
        return -1;
    int high = fcntl(fd, F_DUPFD_CLOEXEC, 900);
    if (high < 0)
        return fd;
    close(fd);
    return high;
}

static void begin(void)
{
    const char *wish = getenv("ECHOQUANT_FAULT");
    char name[16] = "", plus = '\0';
    if (!wish)
        return;
    if (sscanf(wish, "%15[a-z]:%ld%c", name, &target, &plus) < 2) {
        fprintf(stderr, "ECHOQUANT_FAULT=%s: not CLASS:N\n", wish);
        _exit(2);
    }
    later_ones = plus == '+';
    log_fd = open_record("ECHOQUANT_FAULT_LOG");
    sites_fd = open_record("ECHOQUANT_FAULT_SITES");
    void *warm[2]; /* backtrace and dladdr load and allocate when they are first used */
    Dl_info info;
    backtrace(warm, 2);
    dladdr(warm, &info);
    unsetenv("ECHOQUANT_FAULT");
    static const int crashes[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
    for (size_t i = 0; i < sizeof crashes / sizeof *crashes && log_fd >= 0; i++)
        signal(crashes[i], on_crash);
    if (strcmp(name, "alloc") == 0) {
        counted = FAULTS_ALLOC;
    } else if (strcmp(name, "thread") == 0) {
        counted = FAULTS_THREAD;
    } else if (faults_trap(name)) {
        counted = FAULTS_CALLS;
        faults_trap_thread();
    } else {
        fprintf(stderr, "ECHOQUANT_FAULT=%s: no such class\n", wish);
        _exit(2);
    }
}

static void end(void)
{
    char line[32];
    faults_trap_pause(true);
    __atomic_store_n(&counted, FAULTS_NONE, __ATOMIC_RELAXED);
    snprintf(line, sizeof line, "count %ld\n", calls);
    if (log_fd >= 0)
        put(log_fd, line);
}

int main(int argc, char **argv)
{
    begin();
    int code = echoquant_main(argc, argv);
    end();
    return code;
}
