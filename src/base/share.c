/* Files that are installed with the program: configurations, models. */
#include "echoquant/base.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* <folder of the binary>/<ECHOQUANT_SHARE>, so that an installed tree can be moved; NULL if the system cannot say where
 * the binary is. */
static char *share_dir(void)
{
    char exe[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", exe, sizeof exe);
    if (n <= 0 || n == (ssize_t)sizeof exe)
        return NULL;
    while (n > 0 && exe[n - 1] != '/')
        n--;
    return eq_format("%.*s%s", (int)n, exe, ECHOQUANT_SHARE);
}

static bool ends_with(const char *text, const char *end)
{
    size_t len = strlen(text), n = strlen(end);
    return len >= n && strcmp(text + len - n, end) == 0;
}

char *eq_installed_file(const char *name)
{
    char *dir = share_dir(), *path = dir ? eq_format("%s/%s", dir, name) : NULL;
    char *real = path ? eq_real_path(path) : NULL;
    free(path);
    free(dir);
    return real;
}

char *eq_shared_file(const char *path, const char *kind, const char *suffix)
{
    bool there;
    size_t len = strlen(kind);
    const char *name = path;
    if (strncmp(name, "./", 2) == 0)
        name += 2;
    if (strncmp(name, kind, len) == 0 && name[len] == '/')
        name += len + 1;
    /* What the system cannot tell stays what it is, for the reader's message. */
    if (eq_path_look(path, &there, NULL) != EQ_OK || there || !name[0] || strchr(name, '/'))
        return eq_strdup(path);
    char *installed = eq_format("%s/%s%s", kind, name, ends_with(name, suffix) ? "" : suffix);
    char *real = eq_installed_file(installed);
    free(installed);
    if (!real)
        return eq_strdup(path);
    eq_info("%s: no such file here; using the installed %s", path, real);
    return real;
}
