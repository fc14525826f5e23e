/* The ISA levels of this machine, the ceiling set by --cpu, and the number of CPUs this process may run on. */
#include "base/cpu.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[EQ_ISA_COUNT] = {
    [EQ_ISA_REF] = "ref",
    [EQ_ISA_AVX2] = "avx2",
    [EQ_ISA_AVXVNNI] = "avxvnni",
    [EQ_ISA_AVX512] = "avx512",
    [EQ_ISA_AVX512VNNI] = "avx512vnni",
    [EQ_ISA_AVX512BF16] = "avx512bf16",
    [EQ_ISA_AMX] = "amx",
    [EQ_ISA_NEON] = "neon",
    [EQ_ISA_NEONDOT] = "neondot",
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool granted[EQ_ISA_COUNT];
static char model_name[128] = "unknown";
static int ceiling = EQ_ISA_COUNT - 1;

const char *eq_isa_name(enum eq_isa isa)
{
    return (unsigned)isa < EQ_ISA_COUNT ? names[isa] : "unknown";
}

bool eq_isa_parse(const char *name, enum eq_isa *isa)
{
    for (int i = 0; i < EQ_ISA_COUNT; i++) {
        if (strcmp(name, names[i]) == 0) {
            *isa = (enum eq_isa)i;
            return true;
        }
    }
    return false;
}

/* /proc/cpuinfo's "model name", or the board's name where the CPU has none (many ARM systems). */
static void name_from_system(void)
{
    char line[256];
    FILE *f = eq_fopen("/proc/cpuinfo", "re");
    while (f && fgets(line, sizeof line, f)) {
        char *colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) != 0 || !colon)
            continue;
        line[strcspn(line, "\n")] = '\0';
        snprintf(model_name, sizeof model_name, "%.120s", colon + 1 + strspn(colon + 1, " "));
        fclose(f);
        return;
    }
    if (f)
        fclose(f);
    f = eq_fopen("/proc/device-tree/model", "re");
    if (!f)
        return;
    if (fgets(line, sizeof line, f))
        snprintf(model_name, sizeof model_name, "%.120s", line);
    fclose(f);
}

static void detect(void)
{
    granted[EQ_ISA_REF] = true;
    eq_cpu_detect(granted);
    if (!eq_cpu_brand(model_name, sizeof model_name))
        name_from_system();
}

bool eq_cpu_has(enum eq_isa isa)
{
    pthread_once(&once, detect);
    return (unsigned)isa < EQ_ISA_COUNT && granted[isa];
}

bool eq_cpu_use(enum eq_isa isa)
{
    return eq_cpu_has(isa) && (int)isa <= __atomic_load_n(&ceiling, __ATOMIC_RELAXED);
}

static enum eq_status refuse(const char *name, bool known, struct eq_err *err)
{
    struct eq_str have = {0};
    for (int i = 0; i < EQ_ISA_COUNT; i++)
        if (eq_cpu_has((enum eq_isa)i))
            eq_str_add(&have, " %s", names[i]);
    enum eq_status st;
    if (known)
        st = eq_fail(err, EQ_UNSUPPORTED, "this machine has no %s; it has: auto%s", name, have.s);
    else
        st = eq_fail(err, EQ_USAGE, "\"%s\" is not an ISA level; this machine has: auto%s", name, have.s);
    eq_str_clear(&have);
    return st;
}

enum eq_status eq_cpu_set_ceiling(const char *name, struct eq_err *err)
{
    enum eq_isa isa = EQ_ISA_COUNT - 1;
    if (strcmp(name, "auto") != 0) {
        if (!eq_isa_parse(name, &isa))
            return refuse(name, false, err);
        if (!eq_cpu_has(isa))
            return refuse(name, true, err);
    }
    __atomic_store_n(&ceiling, (int)isa, __ATOMIC_RELAXED);
    return EQ_OK;
}

const char *eq_cpu_isa_in_use(void)
{
    for (int i = EQ_ISA_COUNT - 1; i > 0; i--)
        if (eq_cpu_use((enum eq_isa)i))
            return names[i];
    return names[EQ_ISA_REF];
}

const char *eq_cpu_model_name(void)
{
    pthread_once(&once, detect);
    return model_name;
}

/* CPUs in the affinity mask. The set grows until the mask of the kernel fits (more than 1024 CPUs). */
static int count_affinity(void)
{
    for (int cpus = 1024; cpus <= 1 << 20; cpus *= 2) {
        cpu_set_t *set = CPU_ALLOC((size_t)cpus);
        if (!set)
            return 1;
        size_t size = CPU_ALLOC_SIZE((size_t)cpus);
        int count = sched_getaffinity(0, size, set) == 0 ? CPU_COUNT_S(size, set) : 0;
        bool too_small = count == 0 && errno == EINVAL;
        CPU_FREE(set);
        if (!too_small)
            return count > 0 ? count : 1;
    }
    return 1;
}

int eq_cpu_count(void)
{
    int affinity = count_affinity(), quota = eq_cgroup_cpus("");
    return quota > 0 && quota < affinity ? quota : affinity;
}
