/*
 * Whether a clip's file was cut off, as its container tells: chunks, boxes and objects that run beyond the end of the
 * file, an index that points there, an index that was never written. Counts of frames in headers have no say: writers
 * that can't go back leave any number there. Sizes of 0 or all ones are those of a writer that can't go back either.
 */
#include "clip/clip.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The file's bytes, and what was found. */
struct whole {
    const uint8_t *data; /* NULL: read from fd */
    int fd;
    uint64_t size;
    int *error;   /* errno of a read that failed */
    char *reason; /* [EQ_CLIP_REASON], empty so far */
    int *repeats; /* [EQ_CLIP_AVI_STREAMS], or NULL: see eq_clip_judge_file */
};

/* Ends a walk when the time for the clip is over: what was found is not used then. */
static bool get(const struct whole *w, uint64_t at, void *to, size_t n)
{
    enum { EACH = 4096 }; /* work of a read */
    if (at > w->size || n > w->size - at || eq_clip_watch_ends(EACH))
        return false;
    if (w->data) {
        memcpy(to, w->data + at, n);
        return true;
    }
    ssize_t got = pread(w->fd, to, n, (off_t)at);
    if (got < 0)
        *w->error = errno;
    return got == (ssize_t)n;
}

static uint32_t le32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static uint64_t le64(const uint8_t *p)
{
    return le32(p) | (uint64_t)le32(p + 4) << 32;
}

static uint64_t big(const uint8_t *p, int bytes)
{
    uint64_t value = 0;
    for (int i = 0; i < bytes; i++)
        value = value << 8 | p[i];
    return value;
}

static void cut_off(const struct whole *w, uint64_t wanted)
{
    if (!w->reason[0])
        snprintf(w->reason, EQ_CLIP_REASON, "the file is cut off: it has %llu bytes and should have at least %llu",
                 (unsigned long long)w->size, (unsigned long long)wanted);
}

/* ---- AVI ----------------------------------------------------------------- */

/* What the chunks of an AVI say. */
struct avi {
    bool has_index, claims_index, super_index;
};

static bool is_open_size(uint32_t size)
{
    return size == 0 || size == UINT32_MAX;
}

/* Chunks inside "movi": frames and sound ("00dc", "01wb"), their indices ("ix00"), padding. */
static bool is_movi_chunk(const uint8_t *id)
{
    bool stream = id[0] >= '0' && id[0] <= '9' && id[1] >= '0' && id[1] <= '9' && id[2] > ' ' && id[3] > ' ';
    return stream || (id[0] == 'i' && id[1] == 'x') || memcmp(id, "JUNK", 4) == 0;
}

static bool is_after_chunk(const uint8_t *id)
{
    return is_movi_chunk(id) || memcmp(id, "LIST", 4) == 0 || memcmp(id, "idx1", 4) == 0 || memcmp(id, "RIFF", 4) == 0;
}

/* Where the next chunk begins. A byte of padding should follow chunks of odd size; some writers leave it out. */
static uint64_t after_chunk(const struct whole *w, uint64_t at, uint32_t size)
{
    uint8_t id[5];
    uint64_t bare = at + 8 + size;
    if (size % 2 == 0)
        return bare;
    if (!get(w, bare, id, sizeof id))
        return get(w, bare, id, 4) && is_after_chunk(id) ? bare : bare + 1;
    return is_after_chunk(id) && !is_after_chunk(id + 1) ? bare : bare + 1;
}

static void note_repeat(const struct whole *w, const uint8_t *id, uint32_t size)
{
    if (!w->repeats || id[0] == 'i' || id[0] == 'J' || memcmp(id + 2, "pc", 2) == 0)
        return;
    int *repeats = &w->repeats[(id[0] - '0') * 10 + id[1] - '0'];
    *repeats = size == 0 ? *repeats + 1 : 0;
}

/* Goes from chunk to chunk. end: where the list ends by its size, 0: not known. Returns where the walk ended. */
static uint64_t walk_movi(const struct whole *w, uint64_t at, uint64_t end)
{
    uint64_t stop = end ? end : UINT64_MAX;
    uint8_t head[8];
    while (at < stop && get(w, at, head, sizeof head)) {
        uint32_t size = le32(head + 4);
        if (memcmp(head, "LIST", 4) == 0) { /* "rec " groups chunks */
            at += 12;
            continue;
        }
        if (memcmp(head, "idx1", 4) == 0 || memcmp(head, "RIFF", 4) == 0)
            return at; /* the list's size is too large */
        if (!is_movi_chunk(head)) {
            if (at + 8 > stop) /* a list that claims a few bytes too many */
                return at;
            snprintf(w->reason, EQ_CLIP_REASON, "the chain of its frames is broken at byte %llu of %llu",
                     (unsigned long long)at, (unsigned long long)w->size);
            return at;
        }
        if (size > w->size - at - 8) {
            cut_off(w, at + 8 + size);
            return w->size;
        }
        note_repeat(w, head, size);
        at = after_chunk(w, at, size);
    }
    if (at < w->size && w->size - at < sizeof head && at < stop)
        cut_off(w, end ? end : at + sizeof head);
    else if (end && at < end && at >= w->size)
        cut_off(w, end);
    return at;
}

/* The super index of OpenDML lists the indices of all parts of a long file. */
static void check_super_index(const struct whole *w, uint64_t at, uint32_t size, struct avi *avi)
{
    uint8_t head[24], entry[16];
    if (size < sizeof head || !get(w, at, head, sizeof head) || head[3] != 0)
        return;
    uint32_t n = le32(head + 4), room = (size - (uint32_t)sizeof head) / (uint32_t)sizeof entry;
    for (uint32_t i = 0; i < n && i < room; i++) {
        if (!get(w, at + sizeof head + (uint64_t)i * sizeof entry, entry, sizeof entry))
            return;
        uint64_t offset = le64(entry), bytes = le32(entry + 8);
        if (offset == 0)
            continue;
        avi->super_index = true;
        if (offset > w->size || bytes > w->size - offset)
            cut_off(w, offset <= UINT64_MAX - bytes ? offset + bytes : offset);
    }
}

/* The children of a RIFF chunk or list, from `at` to `end`. Returns where "movi", if there is one, was found to end;
 * 0: none. */
static uint64_t walk_avi(const struct whole *w, uint64_t at, uint64_t end, int depth, struct avi *avi)
{
    uint8_t head[12];
    uint64_t frames_end = 0;
    while (at < end && !w->reason[0] && get(w, at, head, 8)) {
        uint32_t size = le32(head + 4);
        uint64_t next = at + 8 + (uint64_t)size + size % 2;
        bool list = memcmp(head, "LIST", 4) == 0 && get(w, at, head, sizeof head);
        if (list && memcmp(head + 8, "movi", 4) == 0) {
            frames_end = next = walk_movi(w, at + 12, is_open_size(size) ? 0 : at + 8 + size);
            next += next % 2;
        } else if (list && depth < 2) {
            walk_avi(w, at + 12, next < end ? next : end, depth + 1, avi);
        } else if (memcmp(head, "idx1", 4) == 0) {
            avi->has_index = true;
        } else if (memcmp(head, "indx", 4) == 0) {
            check_super_index(w, at + 8, size, avi);
        } else if (memcmp(head, "RIFF", 4) == 0) {
            break;
        } else if (memcmp(head, "avih", 4) == 0) {
            uint8_t flags[4];
            avi->claims_index = get(w, at + 8 + 12, flags, sizeof flags) && (le32(flags) & 0x10) != 0;
        }
        at = next;
    }
    return frames_end;
}

static void judge_avi(const struct whole *w)
{
    uint8_t head[12];
    struct avi avi = {0};
    bool open = false, first = true;
    for (uint64_t at = 0; get(w, at, head, sizeof head) && memcmp(head, "RIFF", 4) == 0 && !w->reason[0];) {
        uint32_t size = le32(head + 4);
        open |= first && is_open_size(size);
        uint64_t end = is_open_size(size) || at + 8 + size > w->size ? w->size : at + 8 + size;
        uint64_t frames_end = walk_avi(w, at + 12, w->size, 0, &avi);
        if (frames_end == 0 && !w->reason[0] && first) /* the header alone is there */
            cut_off(w, is_open_size(size) ? w->size + 1 : at + 8 + size);
        at = frames_end > end ? frames_end : end;
        at += at % 2;
        first = false;
    }
    if (open && avi.claims_index && !avi.has_index && !avi.super_index && !w->reason[0])
        snprintf(w->reason, EQ_CLIP_REASON,
                 "the recording was never finished: the header promises an index, but the file has none");
}

/* ---- MP4 and MOV --------------------------------------------------------- */

static bool is_mp4_box(const uint8_t *type)
{
    static const char known[] =
        "ftyp moov mdat moof free skip wide udta meta uuid sidx ssix styp mfra emsg prft pdin pnot "
        "PICT junk";
    for (size_t i = 0; i < sizeof known; i += 5)
        if (memcmp(type, known + i, 4) == 0)
            return true;
    return false;
}

/* With an index (and no fragments, which come without one) all frames are accounted for; what follows the last box may
 * then be anything. */
static void judge_mp4(const struct whole *w)
{
    uint8_t head[16];
    bool indexed = false, fragments = false;
    for (uint64_t at = 0; at < w->size && !w->reason[0];) {
        if (!get(w, at, head, 8)) {
            if (at > 0 && w->size - at < 8 && (!indexed || fragments))
                cut_off(w, at + 8);
            return;
        }
        uint64_t size = big(head, 4);
        indexed |= memcmp(head + 4, "moov", 4) == 0;
        fragments |= memcmp(head + 4, "moof", 4) == 0;
        if (size == 0 || head[4] < ' ') /* to the end; padding */
            return;
        if (size == 1) {
            if (!get(w, at, head, sizeof head)) {
                cut_off(w, at + sizeof head);
                return;
            }
            size = big(head + 8, 8);
        }
        if (size < 8)
            return;
        if (size > w->size - at && (!indexed || is_mp4_box(head + 4)))
            cut_off(w, size < UINT64_MAX - at ? at + size : UINT64_MAX);
        at += size < w->size - at ? size : w->size - at;
    }
}

/* ---- other containers ---------------------------------------------------- */

/* A number of EBML with its length in the leading zeros; returns its bytes, 0: none there. *open: all ones. */
static int ebml_size(const struct whole *w, uint64_t at, uint64_t *value, bool *open)
{
    uint8_t p[8];
    int bytes = 1;
    if (!get(w, at, p, 1) || p[0] == 0)
        return 0;
    while (!(p[0] >> (8 - bytes) & 1))
        bytes++;
    if (!get(w, at, p, (size_t)bytes))
        return 0;
    uint64_t ones = (UINT64_C(1) << 7 * bytes) - 1;
    *value = big(p, bytes) & ones;
    *open = *value == ones;
    return bytes;
}

/* The EBML header, then the segment, whose parts are cues, clusters and so on. */
static void judge_matroska(const struct whole *w)
{
    uint64_t size = 0, at = 4;
    bool open = false;
    uint8_t id[4];
    int bytes = ebml_size(w, at, &size, &open);
    if (!bytes || open)
        return;
    at += (uint64_t)bytes + size;
    if (!get(w, at, id, 4) || big(id, 4) != 0x18538067 || !(bytes = ebml_size(w, at + 4, &size, &open)))
        return;
    at += 4 + (uint64_t)bytes;
    if (!open) {
        if (size > w->size - at)
            cut_off(w, at + size);
        return;
    }
    /* Written to a pipe: from cluster to cluster. */
    while (get(w, at, id, 1)) {
        int id_bytes = 1;
        while (id_bytes < 4 && id[0] && !(id[0] >> (8 - id_bytes) & 1))
            id_bytes++;
        if (!get(w, at, id, (size_t)id_bytes) || !(bytes = ebml_size(w, at + (uint64_t)id_bytes, &size, &open))) {
            if (w->size - at < 12)
                cut_off(w, w->size + 1);
            return;
        }
        at += (uint64_t)id_bytes + (uint64_t)bytes;
        if (open) /* a cluster of unknown size: its parts follow */
            continue;
        if (size > w->size - at) {
            cut_off(w, at + size);
            return;
        }
        at += size;
    }
}

/* The object "file properties" in the header of a Windows Media file has the file's size, unless it was sent live. */
static void judge_asf(const struct whole *w)
{
    static const uint8_t properties[16] = {0xA1, 0xDC, 0xAB, 0x8C, 0x47, 0xA9, 0xCF, 0x11,
                                           0x8E, 0xE4, 0x00, 0xC0, 0x0C, 0x20, 0x53, 0x65};
    uint8_t head[24], size[8], flags[4];
    if (!get(w, 0, head, sizeof head))
        return;
    uint64_t end = le64(head + 16), at = 30;
    while (at < end && get(w, at, head, sizeof head) && le64(head + 16) >= 24) {
        if (memcmp(head, properties, sizeof properties) == 0 && get(w, at + 40, size, sizeof size) &&
            get(w, at + 88, flags, sizeof flags)) {
            if (!(flags[0] & 1) && le64(size) > w->size)
                cut_off(w, le64(size));
            return;
        }
        uint64_t bytes = le64(head + 16);
        if (bytes > w->size - at)
            return;
        at += bytes;
    }
}

/* Packets of one length, each with the sync byte 0x47. */
static void judge_mpegts(const struct whole *w)
{
    static const int lengths[] = {188, 192, 204};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        uint64_t offset = lengths[i] == 192 ? 4 : 0, length = (uint64_t)lengths[i];
        uint8_t sync[3];
        bool fits = true;
        for (uint64_t k = 0; k < 3 && fits; k++)
            fits = !get(w, offset + k * length, &sync[k], 1) || sync[k] == 0x47;
        if (!fits)
            continue;
        if (w->size % length)
            cut_off(w, w->size - w->size % length + length);
        return;
    }
}

/* Packs and packets of a program stream; the walk ends at anything else. */
static void judge_mpegps(const struct whole *w)
{
    uint8_t head[14];
    for (uint64_t at = 0; get(w, at, head, 6) && big(head, 3) == 1;) {
        uint64_t bytes = 0;
        if (head[3] == 0xB9) /* the end code */
            return;
        if (head[3] == 0xBA)
            bytes = (head[4] & 0xC0) != 0x40 ? 12 : get(w, at, head, 14) ? 14u + (head[13] & 7) : 14;
        else if (head[3] >= 0xBB)
            bytes = 6 + big(head + 4, 2);
        else
            return;
        if (bytes > w->size - at)
            cut_off(w, at + bytes);
        if (w->reason[0])
            return;
        at += bytes;
    }
}

/* The last byte that is not zero. */
static uint8_t last_byte(const struct whole *w)
{
    uint8_t last = 0;
    for (uint64_t at = w->size; at > 0 && get(w, at - 1, &last, 1) && last == 0; at--)
        ;
    return last;
}

static void judge_gif(const struct whole *w)
{
    if (last_byte(w) != 0x3B)
        cut_off(w, w->size + 1);
}

/* Pictures one after another, each with an end marker. */
static void judge_mjpeg(const struct whole *w)
{
    if (last_byte(w) != 0xD9)
        cut_off(w, w->size + 1);
}

/* ---- the whole ----------------------------------------------------------- */

enum eq_status eq_clip_judge_file(const struct eq_clip_file *file, const char *format, char reason[EQ_CLIP_REASON],
                                  int repeats[EQ_CLIP_AVI_STREAMS], struct eq_err *err)
{
    static const struct {
        const char *format;
        void (*judge)(const struct whole *);
    } judges[] = {{"avi", judge_avi}, {"mov", judge_mp4},       {"matroska", judge_matroska}, {"asf", judge_asf},
                  {"gif", judge_gif}, {"mpegts", judge_mpegts}, {"mpeg", judge_mpegps},       {"mjpeg", judge_mjpeg}};
    int error = 0;
    struct whole w = {
        .data = file->data, .fd = -1, .size = file->len, .error = &error, .reason = reason, .repeats = repeats};
    struct stat info = {0};
    reason[0] = '\0';
    if (!file->data) {
        w.fd = open(file->name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        if (w.fd < 0 || fstat(w.fd, &info) != 0)
            error = errno;
        w.size = (uint64_t)info.st_size;
    }
    for (size_t i = 0; i < sizeof judges / sizeof *judges; i++)
        if (strncmp(format, judges[i].format, strcspn(format, ",")) == 0 &&
            strlen(judges[i].format) == strcspn(format, ",") && !error)
            judges[i].judge(&w);
    if (w.fd >= 0)
        close(w.fd);
    errno = error;
    return error ? eq_fail_errno(err, "%s: cannot be read", file->name) : EQ_OK;
}
