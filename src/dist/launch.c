/* What the environment of a process says about the launcher that started it. */
#include "dist/dist.h"

#include <stdlib.h>
#include <string.h>

static bool number_of(const char *variable, int *out)
{
    const char *text = getenv(variable);
    int64_t value;
    if (!text || !eq_parse_int64(text, &value) || value < 0 || value > 1 << 20)
        return false;
    *out = (int)value;
    return true;
}

/* Open MPI's mpirun sets OMPI_*, MPICH's PMI_*, PMIx of any launcher PMIX_RANK. Slurm sets its own, also where its srun
 * does not speak the language of the library. */
struct eq_launch eq_launch_look(void)
{
    static const char *const sizes[] = {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS", "SLURM_NTASKS"};
    static const char *const signs[] = {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "PMI_RANK", "PMIX_RANK", "PMI_FD"};
    struct eq_launch l = {.size = 1};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes && !l.variable; i++)
        if (number_of(sizes[i], &l.size))
            l.variable = sizes[i];
    for (size_t i = 0; i < sizeof signs / sizeof *signs; i++)
        l.library = l.library || getenv(signs[i]);
    return l;
}

enum eq_status eq_launch_refuse_alone(const struct eq_launch *l, const char *command, struct eq_err *err)
{
    bool slurm = strncmp(l->variable, "SLURM", 5) == 0;
    return eq_fail(err, EQ_USAGE,
                   "the launcher says that there are %d processes (%s), but this one is alone. %d of them would write "
                   "the same run. Start them with `%s -n %d echoquant %s`%s, or one without them with `env -u %s "
                   "echoquant %s`",
                   l->size, l->variable, l->size, slurm ? "srun --mpi=pmix" : "mpirun", l->size, command,
                   slurm ? " (`srun --mpi=list` shows whether it has pmix; if not, use mpirun)" : "", l->variable,
                   command);
}
