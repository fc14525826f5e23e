/* What is wrong with a file that cannot be read as a clip. */
#include "clip/clip.h"

#include <errno.h>
#include <sys/stat.h>

enum eq_status eq_clip_settle(const char *name, enum eq_status st, struct eq_err *err)
{
    eq_memory_ignored();
    if (!eq_memory_short() || st == EQ_NOMEM)
        return st;
    return eq_fail(err, EQ_NOMEM, "%s: out of memory while it was read", name);
}

enum eq_clip_fault eq_clip_fault_of(const char *path, const struct eq_err *why)
{
    uint8_t head[EQ_CLIP_HEAD];
    struct stat info;
    if (stat(path, &info) != 0)
        return errno == ENOENT || errno == ENOTDIR ? EQ_CLIP_FAULT_MISSING : EQ_CLIP_FAULT_UNREADABLE;
    bool of_its_bytes = why->status == EQ_FORMAT || why->status == EQ_UNSUPPORTED; /* a build without DICOM */
    FILE *f = S_ISREG(info.st_mode) && of_its_bytes ? eq_fopen(path, "rb") : NULL;
    if (!f)
        return EQ_CLIP_FAULT_UNREADABLE;
    size_t len = fread(head, 1, sizeof head, f);
    bool failed = ferror(f);
    fclose(f);
    return failed ? EQ_CLIP_FAULT_UNREADABLE : eq_clip_fault_in(head, len);
}
