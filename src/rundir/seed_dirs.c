/* The run directories of train.seeds, inside that of the run. */
#include "echoquant/rundir.h"

#include <stdlib.h>
#include <string.h>

#define PREFIX "seed-"

char *eq_seed_dir(const char *run_dir, int seed)
{
    return eq_format("%s/" PREFIX "%d", run_dir, seed);
}

enum eq_status eq_seed_dirs(const char *run_dir, char ***names, size_t *n, struct eq_err *err)
{
    size_t all, kept = 0;
    enum eq_status st = eq_list_dir(run_dir, names, &all, err);
    for (size_t i = 0; i < all; i++) {
        char *name = (*names)[i];
        size_t digits = strncmp(name, PREFIX, strlen(PREFIX)) ? 0 : strspn(name + strlen(PREFIX), "0123456789");
        if (digits && !name[strlen(PREFIX) + digits])
            (*names)[kept++] = eq_path_join(run_dir, name);
        free(name);
    }
    *n = kept;
    return st;
}
