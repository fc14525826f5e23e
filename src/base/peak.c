/* The peak of a process's memory. */
#include "echoquant/base.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

/* A line of /proc/self/status in bytes; 0: there is none. */
static size_t status_bytes(const char *key)
{
    FILE *f = eq_fopen("/proc/self/status", "re");
    if (!f)
        return 0;
    char line[256];
    size_t kib = 0, len = strlen(key);
    while (fgets(line, sizeof line, f))
        if (strncmp(line, key, len) == 0)
            kib = strtoul(line + len, NULL, 10);
    fclose(f);
    return kib * 1024;
}

/* VmHWM rather than ru_maxrss: the latter also remembers the size of the process that called exec. */
size_t eq_peak_rss_bytes(void)
{
    size_t bytes = status_bytes("VmHWM:");
    struct rusage usage;
    if (bytes == 0 && getrusage(RUSAGE_SELF, &usage) == 0)
        bytes = (size_t)usage.ru_maxrss * 1024;
    return bytes;
}

/* proc(5): 5 written to clear_refs resets the peak. Without malloc_trim, freed memory that the allocator keeps would
 * hide as much of what is allocated next. */
size_t eq_peak_rss_restart(void)
{
#ifdef __GLIBC__
    malloc_trim(0);
#endif
    FILE *f = eq_fopen("/proc/self/clear_refs", "we");
    bool reset = f && fputs("5", f) >= 0;
    reset = f && fclose(f) == 0 && reset;
    return reset ? status_bytes("VmRSS:") : 0;
}
