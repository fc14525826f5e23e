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

static int is_seed(const struct dirent *entry)
{
    const char *name = entry->d_name, *number = name + strlen(PREFIX);
    return strncmp(name, PREFIX, strlen(PREFIX)) == 0 && *number && strspn(number, "0123456789") == strlen(number);
}

size_t eq_seed_dirs(const char *run_dir, char ***names)
{
    struct dirent **entries = NULL;
    int n = scandir(run_dir, &entries, is_seed, alphasort);
    *names = n > 0 ? malloc((size_t)n * sizeof **names) : NULL;
    for (int i = 0; i < n; i++) {
        if (*names)
            (*names)[i] = eq_path_join(run_dir, entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
    return *names ? (size_t)n : 0;
}

void eq_seed_dirs_free(char **names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(names[i]);
    free(names);
}
