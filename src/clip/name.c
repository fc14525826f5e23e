/* Which files of a folder are clips: by their names, and for DICOM by content. */
#include "clip/dicom.h"

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

bool eq_is_clip_file(const char *path)
{
    const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
    /* DICOMDIR is the table of contents of a medium. */
    return eq_is_clip_name(base) || (base[0] != '.' && strcasecmp(base, "DICOMDIR") != 0 && eq_dicom_is(path));
}
