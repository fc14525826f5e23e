/* Which files of a folder are clips, by their names. */
#include "echoquant/clip.h"

#include <string.h>
#include <strings.h>

const char *const eq_clip_extensions[] = {"avi", "mp4",  "mov", "m4v", "mkv", "webm", "wmv", "asf",
                                          "mpg", "mpeg", "m2v", "vob", "ts",  "m2ts", "dcm", NULL};

bool eq_is_clip_name(const char *name)
{
    const char *slash = strrchr(name, '/'), *base = slash ? slash + 1 : name, *dot = strrchr(base, '.');
    if (base[0] == '.' || !dot) /* "._clip.avi" is what macOS writes beside a clip */
        return false;
    for (const char *const *e = eq_clip_extensions; *e; e++)
        if (strcasecmp(dot + 1, *e) == 0)
            return true;
    return false;
}
