/* The run directories of train.seeds, below that of the run. */
#include "echoquant/rundir.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#define PREFIX "seed-"

char *eq_seed_dir(const char *run_dir, int seed)
{
    struct eq_str s = {0};
    eq_str_add(&s, "%s/" PREFIX "%d", run_dir, seed);
    return s.s;
}

size_t eq_seed_dirs(const char *run_dir, char ***names)
{
    DIR *d = opendir(run_dir);
    const struct dirent *entry;
    size_t n = 0;
    *names = NULL;
    while (d && (entry = readdir(d)) != NULL) {
        const char *number = entry->d_name + strlen(PREFIX);
        if (strncmp(entry->d_name, PREFIX, strlen(PREFIX)) != 0 || !*number ||
            strspn(number, "0123456789") != strlen(number))
            continue;
        char **more = realloc(*names, (n + 1) * sizeof *more);
        if (!more)
            break;
        *names = more;
        (*names)[n++] = eq_path_join(run_dir, entry->d_name);
    }
    if (d)
        closedir(d);
    return n;
}

void eq_seed_dirs_free(char **names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(names[i]);
    free(names);
}
