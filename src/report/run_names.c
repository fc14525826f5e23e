/* Short names for several run directories. */
#include "report/compare.h"

#include <stdlib.h>
#include <string.h>

/* The last `parts` components of a path, without slashes at its end. */
static char *end_of(const char *path, int parts)
{
    size_t len = strlen(path), at;
    while (len > 1 && path[len - 1] == '/')
        len--;
    for (at = len; at > 0; at--)
        if (path[at - 1] == '/' && at < len && --parts == 0)
            break;
    return eq_format("%.*s", (int)(len - at), path + at);
}

/* "." and ".." name no run; the folder that they lead to does. */
static char *full_path(const char *dir)
{
    char *last = end_of(dir, 1), *real = NULL;
    if (strcmp(last, ".") == 0 || strcmp(last, "..") == 0)
        real = eq_real_path(dir);
    free(last);
    return real ? real : eq_strdup(dir);
}

char **eq_runs_names(const char *const *dirs, size_t n)
{
    char **paths = NULL, **names = NULL;
    for (size_t i = 0; i < n; i++) {
        paths = eq_list_grow(paths, i, sizeof *paths);
        names = eq_list_grow(names, i, sizeof *names);
        paths[i] = full_path(dirs[i]);
    }
    for (size_t i = 0; i < n; i++) {
        bool unique = false;
        for (int parts = 1; !unique; parts++) {
            free(names[i]);
            names[i] = end_of(paths[i], parts);
            unique = true;
            for (size_t k = 0; k < n; k++) {
                char *other = end_of(paths[k], parts);
                unique &= k == i || strcmp(names[i], other) != 0;
                free(other);
            }
            unique |= strlen(names[i]) + 1 >= strlen(paths[i]); /* all of it, and the end of another */
        }
    }
    eq_names_free(paths, n);
    return names;
}

enum eq_status eq_runs_check(const char *const *dirs, size_t n, struct eq_err *err)
{
    enum eq_status st = EQ_OK;
    for (size_t i = 0; i < n && st == EQ_OK; i++)
        for (size_t k = 0; k < i && st == EQ_OK; k++) {
            char *a = eq_real_path(dirs[i]), *b = eq_real_path(dirs[k]);
            if (strcmp(dirs[i], dirs[k]) == 0 || (a && b && strcmp(a, b) == 0))
                st = eq_fail(err, EQ_USAGE, "%s and %s are the same run: name each run once", dirs[k], dirs[i]);
            free(a);
            free(b);
        }
    return st;
}
