/* The folder of the user's cache: what is in it can be made again. */
#include "echoquant/base.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

enum { DAYS = 90 };

char *eq_cache_dir(void)
{
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    if (cache && cache[0] == '/') /* the specification ignores relative ones */
        return eq_format("%s/echoquant", cache);
    return home && home[0] ? eq_format("%s/.cache/echoquant", home) : NULL;
}

static void remove_old_files(const char *dir, const char *prefix)
{
    char **names;
    size_t n;
    if (eq_list_dir(dir, &names, &n, NULL) != EQ_OK)
        return;
    for (size_t i = 0; i < n; i++) {
        struct stat info;
        char *path = eq_path_join(dir, names[i]);
        if (strncmp(names[i], prefix, strlen(prefix)) == 0 && stat(path, &info) == 0 &&
            time(NULL) - info.st_mtime > (time_t)DAYS * 24 * 3600)
            remove(path);
        free(path);
    }
    eq_names_free(names, n);
}

enum eq_status eq_cache_write(const char *dir, const char *prefix, const char *path, const void *data, size_t len,
                              struct eq_err *err)
{
    EQ_CHECK(eq_make_dirs(dir, err));
    remove_old_files(dir, prefix);
    return eq_write_file(path, data, len, err);
}
