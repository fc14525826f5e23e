/* Which files of a folder are clips: by their names, and for DICOM by content. */
#include "clip/dicom.h"

#include <string.h>
#include <strings.h>

const char *const eq_clip_extensions[] = {"avi", "mp4",  "mov", "m4v", "mkv", "webm", "wmv", "asf",
                                          "mpg", "mpeg", "m2v", "vob", "ts",  "m2ts", "dcm", NULL};

static bool has_clip_extension(const char *name)
{
    const char *dot = strrchr(name, '.');
    for (const char *const *e = eq_clip_extensions; dot && *e; e++)
        if (strcasecmp(dot + 1, *e) == 0)
            return true;
    return false;
}

bool eq_is_clip_file(const char *path)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    if (name[0] == '.') /* "._clip.avi" is what macOS writes beside a clip */
        return false;
    /* DICOMDIR is the table of contents of a medium. */
    return has_clip_extension(name) || (strcasecmp(name, "DICOMDIR") != 0 && eq_dicom_is(path));
}
