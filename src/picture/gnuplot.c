/* Runs gnuplot as a child process. */
#include "picture/picture.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

#define LOG_NAME "gnuplot.log"

/* The first line that gnuplot wrote to stderr; removes its log. */
static void first_complaint(const char *dir, char out[160])
{
    char *path = eq_path_join(dir, LOG_NAME);
    void *text = NULL;
    size_t len;
    out[0] = '\0';
    if (eq_read_file(path, 1 << 20, &text, &len, NULL) == EQ_OK) {
        const char *line = text;
        line += strspn(line, "\n\r \t");
        snprintf(out, 160, "%.*s", (int)strcspn(line, "\r\n"), line);
    }
    unlink(path);
    eq_free(text);
    free(path);
}

static int spawn(const char *dir, const char *const *scripts, size_t n, pid_t *pid)
{
    posix_spawn_file_actions_t actions;
    char **argv = NULL;
    int code = posix_spawn_file_actions_init(&actions);
    if (code != 0)
        return code;
    for (size_t i = 0; i < n + 2; i++) {
        argv = eq_list_grow(argv, i, sizeof *argv);
        argv[i] = i == 0 ? (char *)"gnuplot" : i <= n ? (char *)scripts[i - 1] : NULL;
    }
    if ((code = posix_spawn_file_actions_addchdir_np(&actions, dir)) == 0 &&
        (code = posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)) == 0 &&
        (code = posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0)) == 0 &&
        (code = posix_spawn_file_actions_addopen(&actions, 2, LOG_NAME, O_WRONLY | O_CREAT | O_TRUNC, 0666)) == 0)
        code = posix_spawnp(pid, "gnuplot", &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    free(argv);
    return code;
}

enum eq_status eq_gnuplot(const char *dir, const char *const *scripts, size_t n, struct eq_err *err)
{
    pid_t pid;
    int state;
    char complaint[160];
    int code = spawn(dir, scripts, n, &pid);
    if (code != 0)
        first_complaint(dir, complaint); /* the log is made before the program is looked for */
    if (code == ENOENT)
        return eq_fail(err, EQ_UNSUPPORTED, "gnuplot is not installed (Debian package gnuplot-nox)");
    if (code != 0) {
        errno = code;
        return eq_fail_errno(err, "cannot start gnuplot");
    }
    EQ_CHECK(eq_child_wait(pid, 0, "gnuplot was drawing", &state, err));
    first_complaint(dir, complaint);
    if (WIFEXITED(state) && WEXITSTATUS(state) == 0)
        return EQ_OK;
    return eq_fail(err, EQ_IO, "gnuplot failed on %s/%s%s%s", dir, n == 1 ? scripts[0] : "*.gp",
                   complaint[0] ? ": " : "", complaint);
}
