/* Links that lead out of the data folder: a foreign data set must not make this program read other files. */
#include "data/links.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static bool is_below(const char *folder, const char *path)
{
    size_t len = strlen(folder);
    return len == 1 || (strncmp(path, folder, len) == 0 && (path[len] == '/' || path[len] == '\0'));
}

enum eq_status eq_links_root(const char *dir, enum eq_links links, char **real, struct eq_err *err)
{
    *real = links == EQ_LINKS_INSIDE ? eq_real_path(dir) : NULL;
    return *real || links == EQ_LINKS_ANY || errno == ENOENT ? EQ_OK
                                                             : eq_fail_errno(err, "%s: cannot be looked up", dir);
}

enum eq_status eq_links_check(const char *real_dir, const char *path, bool folders, struct eq_err *err)
{
    struct stat info;
    if (!real_dir || (!folders && lstat(path, &info) == 0 && !S_ISLNK(info.st_mode)))
        return EQ_OK;
    char *real = eq_real_path(path);
    enum eq_status st = EQ_OK;
    if (!real && errno != ENOENT) /* what does not exist is not read either */
        st = eq_fail_errno(err, "%.300s", path);
    else if (real && !is_below(real_dir, real))
        st = eq_fail(err, EQ_FORMAT,
                     "%.300s is a link out of the data folder, to %.300s. If that is meant, allow it with --set "
                     "data.links=any",
                     path, real);
    free(real);
    return st;
}
