/* What is wrong with a file that cannot be read as a clip. */
#include "clip/clip.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

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
    if (why->status == EQ_TOO_LARGE)
        return EQ_CLIP_FAULT_LARGE;
    if (stat(path, &info) != 0)
        return errno == ENOENT || errno == ENOTDIR ? EQ_CLIP_FAULT_MISSING : EQ_CLIP_FAULT_UNREADABLE;
    bool of_its_bytes = why->status == EQ_FORMAT || why->status == EQ_UNSUPPORTED; /* a build without DICOM */
    size_t len = 0;
    int fd;
    if (!of_its_bytes || eq_open_file(path, &fd, NULL, NULL) != EQ_OK)
        return EQ_CLIP_FAULT_UNREADABLE;
    enum eq_status st = eq_read_at(fd, path, 0, head, sizeof head, &len, NULL);
    close(fd);
    return st == EQ_OK ? eq_clip_fault_in(head, len) : EQ_CLIP_FAULT_UNREADABLE;
}
