/* How wide output may be. */
#include "echoquant/base.h"

#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

int eq_columns(int fd)
{
    struct winsize size;
    const char *columns = getenv("COLUMNS");
    int64_t n;
    if (isatty(fd))
        return ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 ? size.ws_col : 80;
    return fd == STDOUT_FILENO && columns && eq_parse_int64(columns, &n) && n > 1 && n < 10000 ? (int)n : 0;
}
