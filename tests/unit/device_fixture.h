/*
 * A device for tests: the one that ECHOQUANT_TEST_DEVICE names ("cuda:0"), or the first of OpenCL, which is PoCL where
 * there is no GPU. PoCL runs every integer path that needs no instruction of its own: plain, both shapes of mma
 * and AMD's sdot4 emulated, and dot where it offers that. Needs no test framework.
 */
#ifndef TESTS_UNIT_DEVICE_FIXTURE_H
#define TESTS_UNIT_DEVICE_FIXTURE_H

#include "device/net.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct device_path {
    const char *path, *defines;
};
/* AMD's instruction, without a blank, as a driver's option. */
#define EMULATED_SDOT4                                                                                                 \
    "-D__builtin_amdgcn_sdot4(a,b,c,d)="                                                                               \
    "((c)+(char)(a)*(char)(b)+(char)((a)>>8)*(char)((b)>>8)+(char)((a)>>16)*(char)((b)>>16)+(char)((a)>>24)*(char)(("  \
    "b)>>24))"
static const struct device_path device_paths[] = {
    {"plain", "-DEQ_PATH_PLAIN"},
    {"mma.m16n8k32", "-DEQ_PATH_MMA16 -DEQ_MMA_EMULATED"},
    {"mma.m8n8k16", "-DEQ_PATH_MMA8 -DEQ_MMA_EMULATED"},
    {"sdot4", "-DEQ_PATH_SDOT4 " EMULATED_SDOT4},
    {"dot", "-DEQ_PATH_DOT"},
};
enum { DEVICE_PATHS = sizeof device_paths / sizeof *device_paths };

/* Opens the device and builds the text for path i of it, without a self-check. NULL: no such path here; *why: the
 * reason, NULL where the device only lacks the path. Close with test_device_close. */
static inline struct eq_device *test_device_open(int i, const char *more_defines, const char **why)
{
    static struct eq_err err;
    static char text[512];
    const char *name = getenv("ECHOQUANT_TEST_DEVICE");
    struct eq_device_list list;
    struct eq_device *d = NULL;
    char defines[512];
    *why = NULL;
    if (name) { /* by its own path alone, self-check included */
        if (i == 0 && eq_device_open(name, &d, &err) != EQ_OK)
            *why = err.msg;
        return d;
    }
    if (eq_devices_list(false, &list, &err) != EQ_OK) {
        *why = err.msg;
        return NULL;
    }
    size_t at = 0;
    while (at < list.n && strncmp(list.devices[at].id, "opencl", 6) != 0)
        at++;
    if (at == list.n) {
        snprintf(text, sizeof text, "no OpenCL device: %s", list.notes.s);
        *why = text;
    } else if (strcmp(device_paths[i].path, "dot") != 0 || strcmp(list.devices[at].integer_path, "dot") == 0) {
        d = calloc(1, sizeof *d);
        *d = (struct eq_device){.api = &eq_device_opencl, .info = list.devices[at]};
        d->info.why = (struct eq_str){0};
        snprintf(d->info.integer_path, sizeof d->info.integer_path, "%s", device_paths[i].path);
        snprintf(defines, sizeof defines, "%s %s", device_paths[i].defines, more_defines);
        if (d->api->open(0, &d->info, &d->ctx, &err) != EQ_OK ||
            d->api->build(d->ctx, defines, NULL, 0, NULL, NULL, &err) != EQ_OK) {
            *why = err.msg;
            free(d);
            d = NULL;
        }
    }
    eq_devices_clear(&list);
    return d;
}

/* Runs the tests in a child process, because the compiler in a driver may abort. 77, which ctest takes for skipped,
 * with the reason, if LLVM's in PoCL does so over valid kernels (docs/RELIABILITY.md); else the status of the tests. To
 * be called before there are threads. */
static inline int test_device_apart(int (*tests)(void))
{
    static const char mark[] = "LLVM ERROR: ";
    char line[512], reason[512] = "";
    int ends[2], state;
    if (pipe(ends) != 0)
        return 1;
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        close(ends[1]);
        exit(tests());
    }
    close(ends[1]);
    FILE *said = fdopen(ends[0], "r");
    while (said && fgets(line, sizeof line, said)) {
        fputs(line, stderr);
        if (strncmp(line, mark, sizeof mark - 1) == 0)
            snprintf(reason, sizeof reason, "%.*s", (int)strcspn(line, "\n"), line);
    }
    if (said)
        fclose(said);
    if (pid < 0 || waitpid(pid, &state, 0) != pid)
        return 1;
    if (WIFEXITED(state))
        return WEXITSTATUS(state);
    printf("%s: the device's compiler ends the process with signal %d: %s\n", reason[0] ? "skipped" : "FAILED",
           WTERMSIG(state), reason);
    return reason[0] && WTERMSIG(state) == SIGABRT ? 77 : 1;
}

static inline void test_device_close(struct eq_device *d)
{
    d->api->close(d->ctx);
    free(d);
}

#endif
