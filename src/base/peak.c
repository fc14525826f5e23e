/* The peak of a process's memory. */
#include "echoquant/base.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

/* VmHWM rather than ru_maxrss: the latter also remembers the size of the process that called exec. */
static size_t peak_from_proc(void)
{
    FILE *f = eq_fopen("/proc/self/status", "re");
    if (!f)
        return 0;
    char line[256];
    size_t kib = 0;
    while (fgets(line, sizeof line, f))
        if (strncmp(line, "VmHWM:", 6) == 0)
            kib = strtoul(line + 6, NULL, 10);
    fclose(f);
    return kib * 1024;
}

size_t eq_peak_rss_bytes(void)
{
    size_t bytes = peak_from_proc();
    struct rusage usage;
    if (bytes == 0 && getrusage(RUSAGE_SELF, &usage) == 0)
        bytes = (size_t)usage.ru_maxrss * 1024;
    return bytes;
}
