/* What is wrong with a file that cannot be read as a clip, told from its first bytes. */
#include "data/check.h"

#include <errno.h>
#include <string.h>

struct signature {
    size_t at;
    const char *bytes;
    size_t len;
    enum eq_finding_kind kind;
    const char *note;
};
#define SIGNATURE(at, bytes, kind, note)                                                                               \
    {                                                                                                                  \
        at, bytes, sizeof(bytes) - 1, EQ_FINDING_##kind, note                                                          \
    }
static const struct signature signatures[] = {
    SIGNATURE(128, "DICM", FORMAT, "DICOM"),
    SIGNATURE(0, "\x30\x26\xb2\x75\x8e\x66\xcf\x11", FORMAT, "WMV or ASF"),
    SIGNATURE(0, "FLV\1", FORMAT, "Flash video"),
    SIGNATURE(0, "OggS", FORMAT, "Ogg"),
    SIGNATURE(0, "\x06\x0e\x2b\x34", FORMAT, "MXF"),
    SIGNATURE(0, "YUV4MPEG2", FORMAT, "Y4M"),
    SIGNATURE(0, ".RMF", FORMAT, "RealMedia"),
    SIGNATURE(0, "GIF8", FORMAT, "GIF"),
    SIGNATURE(0, "nut/multimedia container", FORMAT, "NUT"),
    SIGNATURE(0, "\x93NUMPY", FORMAT, "a NumPy array"),
    SIGNATURE(0, "\x89HDF", FORMAT, "HDF5"),
    SIGNATURE(0, "\x89PNG", NO_VIDEO, "a PNG picture"),
    SIGNATURE(0, "\xff\xd8\xff", NO_VIDEO, "a JPEG picture"),
    SIGNATURE(0, "PK\3\4", NO_VIDEO, "a ZIP archive"),
    SIGNATURE(0, "\x1f\x8b\x08", NO_VIDEO, "compressed by gzip"),
    SIGNATURE(0, "%PDF", NO_VIDEO, "a PDF"),
    SIGNATURE(0, "ID3", NO_VIDEO, "sound"),
    SIGNATURE(8, "WAVE", NO_VIDEO, "sound"),
};

/* Containers that are read. */
static bool is_clip(const uint8_t *b, size_t len)
{
    return (len >= 12 && memcmp(b, "RIFF", 4) == 0 && memcmp(b + 8, "AVI ", 4) == 0) ||
           (len >= 8 &&
            (memcmp(b + 4, "ftyp", 4) == 0 || memcmp(b + 4, "moov", 4) == 0 || memcmp(b + 4, "mdat", 4) == 0)) ||
           (len >= 4 && (memcmp(b, "\x1a\x45\xdf\xa3", 4) == 0 || memcmp(b, "\0\0\1\xba", 4) == 0 ||
                         memcmp(b, "\0\0\1\xb3", 4) == 0));
}

/* The sizes that an AVI, or an MP4's boxes as far as they are in sight, claim lead beyond the end of the file. */
static bool ends_early(const uint8_t *b, size_t len, uint64_t size)
{
    if (memcmp(b, "RIFF", 4) == 0)
        return 8 + ((uint64_t)b[4] | (uint64_t)b[5] << 8 | (uint64_t)b[6] << 16 | (uint64_t)b[7] << 24) > size;
    if (b[0] == 0x1a || memcmp(b, "\0\0\1", 3) == 0)
        return false;
    uint64_t at = 0;
    while (at + 16 <= len) {
        const uint8_t *p = b + at;
        uint64_t box = (uint64_t)p[0] << 24 | (uint64_t)p[1] << 16 | (uint64_t)p[2] << 8 | p[3];
        if (box == 1)
            for (int i = 8; i < 16; i++)
                box = box << 8 | p[i];
        if (box < 8)
            return false;
        if (box > size - at)
            return true;
        at += box;
    }
    return at == size; /* whole boxes, but nothing decodes: the index is missing */
}

static bool is_text(const uint8_t *b, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if ((b[i] < ' ' && !strchr("\t\n\r\f", b[i])) || b[i] == 127 || b[i] == 0)
            return false;
    return true;
}

enum eq_finding_kind eq_clip_fault_of_bytes(const uint8_t *bytes, size_t len, uint64_t size, const char **note)
{
    *note = NULL;
    if (size == 0)
        return EQ_FINDING_EMPTY;
    if (is_clip(bytes, len))
        return ends_early(bytes, len, size) ? EQ_FINDING_CUT : EQ_FINDING_DAMAGED;
    for (size_t i = 0; i < sizeof signatures / sizeof *signatures; i++) {
        const struct signature *s = &signatures[i];
        if (s->at + s->len <= len && memcmp(bytes + s->at, s->bytes, s->len) == 0) {
            *note = s->note;
            return s->kind;
        }
    }
    return is_text(bytes, len) ? EQ_FINDING_TEXT : EQ_FINDING_NO_VIDEO;
}

enum eq_finding_kind eq_clip_fault_of(const char *path, const struct eq_err *why, const char **note)
{
    uint8_t bytes[4096];
    struct stat info;
    *note = NULL;
    if (stat(path, &info) != 0)
        return errno == ENOENT || errno == ENOTDIR ? EQ_FINDING_MISSING : EQ_FINDING_UNREADABLE;
    FILE *f = S_ISREG(info.st_mode) ? fopen(path, "rb") : NULL;
    if (!f)
        return EQ_FINDING_UNREADABLE;
    size_t len = fread(bytes, 1, sizeof bytes, f);
    bool failed = ferror(f);
    fclose(f);
    if (failed || why->status == EQ_NOMEM)
        return EQ_FINDING_UNREADABLE;
    return eq_clip_fault_of_bytes(bytes, len, (uint64_t)info.st_size, note);
}
