/*
 * The CPU quota of a container or batch job. Linux documents the files in Documentation/admin-guide/cgroup-v2.rst
 * (cpu.max) and Documentation/scheduler/sched-bwc.rst (cpu.cfs_quota_us and cpu.cfs_period_us of version 1).
 */
#include "base/cpu.h"

#include <stdio.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { PATH_BYTES = 4096 };

/* The first two words of a file; words that it lacks are empty. false: no such file. */
static bool read_words(const char *path, char first[64], char second[64])
{
    char line[160];
    first[0] = second[0] = '\0';
    FILE *f = eq_fopen(path, "re");
    if (!f)
        return false;
    if (fgets(line, sizeof line, f) && sscanf(line, "%63s %63s", first, second) < 1)
        first[0] = '\0';
    fclose(f);
    return true;
}

/* Lowers *cpus to the quota of one group; "max" and -1 are none. */
static void apply(const char *folder, bool unified, double *cpus)
{
    char path[PATH_BYTES + 32], quota[64], period[64], unused[64];
    int64_t q, p;
    if (unified) {
        snprintf(path, sizeof path, "%s/cpu.max", folder);
        if (!read_words(path, quota, period))
            return;
    } else {
        snprintf(path, sizeof path, "%s/cpu.cfs_quota_us", folder);
        if (!read_words(path, quota, unused))
            return;
        snprintf(path, sizeof path, "%s/cpu.cfs_period_us", folder);
        read_words(path, period, unused);
    }
    if (!eq_parse_int64(quota, &q) || !eq_parse_int64(period, &p) || q <= 0 || p <= 0)
        return;
    double share = (double)q / (double)p;
    if (*cpus == 0 || share < *cpus)
        *cpus = share;
}

/* Takes the least quota of the group and of the groups around it up to the mount point. In a container the path may be
 * one of the host's, of which only the mount point can be seen. */
static void walk(const char *root, const char *mount, const char *group, bool unified, double *cpus)
{
    char folder[PATH_BYTES];
    size_t stem = strlen(root) + strlen(mount);
    bool shown = !strstr(group, ".."); /* "/../x" is outside of what this namespace shows */
    int n = snprintf(folder, sizeof folder, "%s%s%s", root, mount, shown ? group : "");
    if (n < 0 || (size_t)n >= sizeof folder)
        return;
    for (;;) {
        apply(folder, unified, cpus);
        if (strlen(folder) <= stem)
            return;
        char *slash = strrchr(folder + stem, '/');
        *(slash ? slash : folder + stem) = '\0';
    }
}

/* Whether a comma-separated list has a word. */
static bool lists(const char *list, const char *word)
{
    size_t n = strlen(word);
    for (const char *p = list; p; p = strchr(p, ','), p = p ? p + 1 : NULL)
        if (strncmp(p, word, n) == 0 && (p[n] == '\0' || p[n] == ','))
            return true;
    return false;
}

int eq_cgroup_cpus(const char *root)
{
    static const char *const unified[] = {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"};
    static const char *const v1[] = {"/sys/fs/cgroup/cpu", "/sys/fs/cgroup/cpu,cpuacct", "/sys/fs/cgroup/cpuacct,cpu"};
    char own_unified[PATH_BYTES] = "", own_v1[PATH_BYTES] = "", path[PATH_BYTES];
    double cpus = 0;
    snprintf(path, sizeof path, "%s/proc/self/cgroup", root);
    FILE *f = eq_fopen(path, "re");
    char *line = NULL;
    size_t room = 0;
    errno = 0;
    while (f && getline(&line, &room, f) > 0) { /* "hierarchy:controllers:/path" */
        line[strcspn(line, "\n")] = '\0';
        char *controllers = strchr(line, ':'), *group = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!group)
            continue;
        *controllers++ = *group++ = '\0';
        if (strcmp(line, "0") == 0 && !controllers[0])
            snprintf(own_unified, sizeof own_unified, "%s", group);
        else if (lists(controllers, "cpu"))
            snprintf(own_v1, sizeof own_v1, "%s", group);
    }
    eq_memory_ignored();
    free(line);
    if (f)
        fclose(f);
    for (size_t i = 0; i < sizeof unified / sizeof *unified; i++)
        walk(root, unified[i], own_unified, true, &cpus);
    for (size_t i = 0; i < sizeof v1 / sizeof *v1; i++)
        walk(root, v1[i], own_v1, false, &cpus);
    if (cpus == 0)
        return 0;
    return cpus < 1 ? 1 : cpus < 1 << 20 ? (int)cpus : 1 << 20;
}
