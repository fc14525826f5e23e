/*
 * System calls, wherever they come from, also from inside the C library. The kernel's "syscall user dispatch"
 * (Documentation/admin-guide/syscall-user-dispatch.rst, Linux 5.11) sends SIGSYS for each one that does not come from
 * the text between faults_text and faults_text_end. The handler makes the call from there, or lets it fail. Each thread
 * asks for this itself, and programs that are started are free of it, which a seccomp filter could not do.
 */
#include "faults/faults.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#if defined(__x86_64__) && defined(__linux__)

#ifndef PR_SET_SYSCALL_USER_DISPATCH
#define PR_SET_SYSCALL_USER_DISPATCH 59
#define PR_SYS_DISPATCH_ON 1
#define SYSCALL_DISPATCH_FILTER_ALLOW 0
#define SYSCALL_DISPATCH_FILTER_BLOCK 1
#endif

/* The second is what a handler returns to; unwinders know it by its bytes. */
__asm__(".text\n"
        ".globl faults_text\n"
        "faults_text:\n"
        ".globl faults_raw\n"
        ".type faults_raw, @function\n"
        "faults_raw:\n"
        "mov %rdi, %rax\n"
        "mov %rsi, %rdi\n"
        "mov %rdx, %rsi\n"
        "mov %rcx, %rdx\n"
        "mov %r8, %r10\n"
        "mov %r9, %r8\n"
        "mov 8(%rsp), %r9\n"
        "syscall\n"
        "ret\n"
        "nop\n"
        ".globl faults_return\n"
        ".type faults_return, @function\n"
        "faults_return:\n"
        "mov $15, %rax\n"
        "syscall\n"
        "nop\n"
        ".globl faults_text_end\n"
        "faults_text_end:\n"
        "nop\n");
extern char faults_text[], faults_text_end[];
void faults_return(void);

enum { MAX_NUMBERS = 8, NO_CALL = -1 };

static const struct call_class {
    const char *name;
    int code; /* errno */
    int numbers[MAX_NUMBERS];
} classes[] = {
    {"read", EIO, {SYS_read, SYS_pread64, SYS_readv, NO_CALL}},
    {"write", ENOSPC, {SYS_write, SYS_pwrite64, SYS_writev, SYS_ftruncate, NO_CALL}},
    {"fsync", EIO, {SYS_fsync, SYS_fdatasync, NO_CALL}},
    {"rename", EACCES, {SYS_rename, SYS_renameat, SYS_renameat2, NO_CALL}},
    {"open", EMFILE, {SYS_open, SYS_openat, SYS_creat, NO_CALL}},
    {"close", EIO, {SYS_close, NO_CALL}},
    {"mmap", ENOMEM, {SYS_mmap, SYS_mremap, SYS_brk, NO_CALL}},
    {"mkdir", ENOSPC, {SYS_mkdir, SYS_mkdirat, NO_CALL}},
    {"unlink", EIO, {SYS_unlink, SYS_unlinkat, SYS_rmdir, NO_CALL}},
    {"stat", EIO, {SYS_newfstatat, SYS_fstat, SYS_stat, SYS_lstat, SYS_statx, SYS_readlink, NO_CALL}},
    {"seek", EIO, {SYS_lseek, NO_CALL}},
    {"readdir", EIO, {SYS_getdents64, NO_CALL}},
    {"lock", ENOLCK, {SYS_fcntl, NO_CALL}},
};

static const struct call_class *chosen;
static _Thread_local char selector;
static _Thread_local bool trapped;

/* Progress and messages on stderr are not looked at, and of fcntl only locks count. */
static bool counts(long number, long a, long b)
{
    bool listed = false;
    for (const int *n = chosen->numbers; *n != NO_CALL; n++)
        listed |= number == *n;
    if ((number == SYS_write || number == SYS_writev) && a == STDERR_FILENO)
        return false;
    return listed && (number != SYS_fcntl || b == F_SETLK || b == F_SETLKW || b == F_OFD_SETLK);
}

static void on_call(int signal, siginfo_t *info, void *context)
{
    ucontext_t *u = context;
    greg_t *g = u->uc_mcontext.gregs;
    long number = info->si_syscall, a = g[REG_RDI];
    int code = errno;
    (void)signal;
    if (faults_count(FAULTS_CALLS) && counts(number, a, g[REG_RSI]) && faults_now()) {
        if (number == SYS_close) /* it fails, but the number is free */
            faults_raw(number, a, 0, 0, 0, 0, 0);
        g[REG_RAX] = number == SYS_brk ? faults_raw(SYS_brk, 0, 0, 0, 0, 0, 0) : -chosen->code;
    } else {
        g[REG_RAX] = faults_raw(number, a, g[REG_RSI], g[REG_RDX], g[REG_R10], g[REG_R8], g[REG_R9]);
        if (number == SYS_rt_sigprocmask) { /* outlives the handler; SIGSYS stays open */
            faults_raw(SYS_rt_sigprocmask, SIG_SETMASK, 0, (long)&u->uc_sigmask, 8, 0, 0);
            sigdelset(&u->uc_sigmask, SIGSYS);
            faults_raw(SYS_rt_sigprocmask, SIG_SETMASK, (long)&u->uc_sigmask, 0, 8, 0, 0);
        }
    }
    errno = code;
}

/* As the kernel has it; the C library's would return through text of its own. */
struct kernel_action {
    void (*handler)(int, siginfo_t *, void *);
    unsigned long flags;
    void (*restorer)(void);
    uint64_t mask;
};

bool faults_trap(const char *name)
{
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++)
        if (strcmp(classes[i].name, name) == 0)
            chosen = &classes[i];
    struct kernel_action action = {on_call, SA_SIGINFO | SA_NODEFER | 0x04000000, faults_return, 0};
    return chosen && faults_raw(SYS_rt_sigaction, SIGSYS, (long)&action, 0, 8, 0, 0) == 0;
}

void faults_trap_thread(void)
{
    if (faults_raw(SYS_prctl, PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_ON, (long)faults_text,
                   faults_text_end - faults_text, (long)&selector, 0) != 0) {
        fprintf(stderr, "this kernel has no syscall user dispatch\n");
        _exit(FAULTS_SKIP);
    }
    trapped = true;
    selector = SYSCALL_DISPATCH_FILTER_BLOCK;
}

bool faults_trap_pause(bool paused)
{
    bool before = selector == SYSCALL_DISPATCH_FILTER_ALLOW;
    if (trapped)
        selector = paused ? SYSCALL_DISPATCH_FILTER_ALLOW : SYSCALL_DISPATCH_FILTER_BLOCK;
    return before;
}

#else /* without it: the classes alloc and thread alone */

bool faults_trap(const char *name)
{
    (void)name;
    fprintf(stderr, "system calls can be trapped on x86-64 only\n");
    _exit(FAULTS_SKIP);
}

void faults_trap_thread(void)
{
}

bool faults_trap_pause(bool paused)
{
    return paused;
}

long faults_raw(long number, long a, long b, long c, long d, long e, long f)
{
    return syscall(number, a, b, c, d, e, f);
}

#endif
