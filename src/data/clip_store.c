#include "data/clip_store.h"

#include "data/clip_cache.h"

#include <errno.h>
#include <fcntl.h>
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/mem.h>
#include <libavutil/murmur3.h>
#include <libswscale/swscale.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define SECOND INT64_C(1000000000)
/* A clip that is written twice within one tick of the file system's clock looks the same after it. Clips that are
 * younger than the coarsest clock in use (FAT) are not kept. */
static const int64_t SETTLED = 2 * SECOND, TOUCH_AFTER = 3600 * SECOND, UNUSED_AFTER = 24 * 3600 * SECOND,
                     ABANDONED_AFTER = 3600 * SECOND;
/* Other processes add to the folder as well: it is counted again after so many entries. */
enum { COUNT_AFTER = 256, MAGIC_BYTES = 8, KEY_BYTES = EQ_SHA256_TEXT - 1, HASH_BYTES = 16 };
_Static_assert(MAGIC_BYTES + KEY_BYTES + 6 * 8 + HASH_BYTES == EQ_ENTRY_HEAD, "the head's parts");
#define MAGIC "eqclip-1"
#define SUFFIX ".clip"

struct eq_clip_store {
    char *dir;
    uint64_t max_bytes;
    struct eq_sampling sampling;
    size_t pixels;
    bool off;               /* atomic: writing has failed */
    pthread_mutex_t mutex;  /* of all below */
    uint64_t used_bytes;    /* with what is being written */
    uint64_t writing_bytes; /* by threads of this process */
    size_t asked;           /* since the last count */
    bool counted, full;
};

/* ---- the entry ---- */

static uint8_t *put_u64(uint8_t *at, uint64_t value)
{
    for (int i = 0; i < 8; i++)
        at[i] = (uint8_t)(value >> 8 * i);
    return at + 8;
}

/* Of the head without its hash, and the planes. False: out of memory. */
static bool hash(const uint8_t *head, const uint8_t *planes, size_t len, uint8_t out[HASH_BYTES])
{
    struct AVMurMur3 *murmur = av_murmur3_alloc();
    if (!murmur)
        return false;
    av_murmur3_init(murmur);
    av_murmur3_update(murmur, head, EQ_ENTRY_HEAD - HASH_BYTES);
    /* In pieces: FFmpeg 4 counts them in an int. */
    for (size_t n; len > 0; planes += n, len -= n) {
        n = len < ((size_t)1 << 30) ? len : (size_t)1 << 30;
        av_murmur3_update(murmur, planes, (int)n);
    }
    av_murmur3_final(murmur, out);
    av_free(murmur);
    return true;
}

static void head_without_hash(const struct eq_clip_place *place, size_t pixels, bool gray, uint8_t head[EQ_ENTRY_HEAD])
{
    uint8_t *at = head;
    memcpy(at, MAGIC, MAGIC_BYTES);
    memcpy(at + MAGIC_BYTES, place->key, KEY_BYTES);
    at = put_u64(at + MAGIC_BYTES + KEY_BYTES, place->bytes);
    at = put_u64(at, place->inode);
    at = put_u64(at, (uint64_t)place->modified);
    at = put_u64(at, (uint64_t)place->changed);
    at = put_u64(at, pixels);
    put_u64(at, gray);
}

bool eq_entry_head(const struct eq_clip_place *place, const uint8_t *planes, size_t pixels, bool gray,
                   uint8_t head[EQ_ENTRY_HEAD])
{
    head_without_hash(place, pixels, gray, head);
    return hash(head, planes, gray ? pixels : 3 * pixels, head + EQ_ENTRY_HEAD - HASH_BYTES);
}

bool eq_entry_holds(const struct eq_clip_place *place, const uint8_t head[EQ_ENTRY_HEAD], const uint8_t *planes,
                    size_t len, size_t pixels, bool *gray)
{
    uint8_t wanted[EQ_ENTRY_HEAD];
    *gray = len == pixels;
    if (len != pixels && len != 3 * pixels)
        return false;
    head_without_hash(place, pixels, *gray, wanted);
    return memcmp(head, wanted, EQ_ENTRY_HEAD - HASH_BYTES) == 0 &&
           hash(head, planes, len, wanted + EQ_ENTRY_HEAD - HASH_BYTES) && memcmp(head, wanted, EQ_ENTRY_HEAD) == 0;
}

/* ---- the folder ---- */

struct eq_clip_store *eq_clip_store_new(const char *dir, uint64_t max_bytes, const struct eq_sampling *sampling)
{
    struct eq_clip_store *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->dir = eq_strdup(dir);
    s->max_bytes = max_bytes;
    s->sampling = *sampling;
    s->pixels = eq_sampling_bytes(sampling) / 3;
    pthread_mutex_init(&s->mutex, NULL);
    return s;
}

void eq_clip_store_free(struct eq_clip_store *s)
{
    if (!s)
        return;
    pthread_mutex_destroy(&s->mutex);
    free(s->dir);
    free(s);
}

static int64_t nanoseconds(const struct timespec *t)
{
    return (int64_t)t->tv_sec * SECOND + t->tv_nsec;
}

static int64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return nanoseconds(&t);
}

/* A new format of entries, or another way of decoding or sampling, needs another version in MAGIC. */
bool eq_clip_store_look(const struct eq_clip_store *s, const char *path, struct eq_clip_place *place)
{
    struct stat file;
    struct eq_str key = {0};
    const struct eq_sampling *sampling = &s->sampling;
    char *real = eq_real_path(path);
    bool there = real && stat(real, &file) == 0;
    if (there) {
        eq_str_add(&key, "%s %s %u %u %u %d %d %d ", MAGIC, ECHOQUANT_VERSION, avcodec_version(), avformat_version(),
                   swscale_version(), sampling->frames, sampling->size, sampling->phases > 1 ? sampling->phases : 1);
        eq_str_add_real(&key, sampling->phase);
        eq_str_add(&key, " %s", real);
        eq_sha256(key.s, key.len, place->key);
        place->bytes = (uint64_t)file.st_size;
        place->inode = (uint64_t)file.st_ino;
        place->modified = nanoseconds(&file.st_mtim);
        place->changed = nanoseconds(&file.st_ctim);
    }
    eq_str_clear(&key);
    free(real);
    return there;
}

static char *entry_path(const struct eq_clip_store *s, const struct eq_clip_place *place)
{
    return eq_format("%s/%s" SUFFIX, s->dir, place->key);
}

/* Fills buffer from a place in the file; false: the file is shorter, or cannot be read. */
static bool read_part(int file, const char *path, uint64_t at, uint8_t *buffer, size_t n)
{
    size_t got;
    return eq_read_at(file, path, at, buffer, n, &got, NULL) == EQ_OK && got == n;
}

/* The time of an entry's file says when it was last used. */
static void note_use(int file, const struct stat *info)
{
    if (now() - nanoseconds(&info->st_mtim) > TOUCH_AFTER)
        futimens(file, NULL); /* fails for another user's, which then has the age of its making */
}

bool eq_clip_store_get(const struct eq_clip_store *s, const struct eq_clip_place *place, uint8_t *dst, bool *gray)
{
    uint8_t head[EQ_ENTRY_HEAD], *planes = dst;
    struct stat info;
    char *path = entry_path(s, place);
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0) {
        free(path);
        return false;
    }
    bool good = fstat(file, &info) == 0 && S_ISREG(info.st_mode) && info.st_size > EQ_ENTRY_HEAD;
    size_t len = good ? (size_t)info.st_size - EQ_ENTRY_HEAD : 0;
    if (len == s->pixels) /* spread from there over all of dst */
        planes = dst + 2 * s->pixels;
    good = good && len <= 3 * s->pixels && read_part(file, path, 0, head, sizeof head) &&
           read_part(file, path, EQ_ENTRY_HEAD, planes, len) &&
           eq_entry_holds(place, head, planes, len, s->pixels, gray);
    if (good)
        note_use(file, &info);
    close(file);
    free(path);
    if (good && *gray)
        eq_plane_to_rgb(planes, s->pixels, dst);
    return good;
}

/* ---- room ---- */

struct entry {
    char *name;
    uint64_t bytes;
    int64_t used;
};

static int by_age(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    return (x->used > y->used) - (x->used < y->used);
}

/* Nothing but entries is counted or removed, whatever else lies in the folder. *temporary: one that is being written,
 * or was when its process was killed. */
static bool is_entry(const char *name, bool *temporary)
{
    if (strspn(name, "0123456789abcdef") != KEY_BYTES || strncmp(name + KEY_BYTES, SUFFIX, strlen(SUFFIX)) != 0)
        return false;
    const char *rest = name + KEY_BYTES + strlen(SUFFIX);
    *temporary = strncmp(rest, ".tmp-", 5) == 0;
    return *rest == '\0' || *temporary;
}

static void remove_entry(struct eq_clip_store *s, const char *name)
{
    char *path = eq_path_join(s->dir, name);
    unlink(path); /* another process may have been first */
    free(path);
}

/* Lists the entries, oldest first, and removes what killed processes left. */
static size_t list_entries(struct eq_clip_store *s, char **names, size_t n, struct entry *entries)
{
    size_t found = 0;
    for (size_t i = 0; i < n; i++) {
        struct stat info;
        bool temporary;
        char *path = is_entry(names[i], &temporary) ? eq_path_join(s->dir, names[i]) : NULL;
        if (path && lstat(path, &info) == 0) {
            int64_t used = nanoseconds(&info.st_mtim);
            if (temporary && now() - used > ABANDONED_AFTER)
                remove_entry(s, names[i]);
            if (!temporary)
                entries[found++] = (struct entry){names[i], (uint64_t)info.st_size, used};
        }
        free(path);
    }
    if (found)
        qsort(entries, found, sizeof *entries, by_age);
    return found;
}

/* Counts what the folder has. Where that leaves no room for `bytes`, entries that nobody has used for a day go, the
 * oldest first, until a tenth is free. Others stay: a list longer than the room would otherwise push out each clip
 * before its next use. False: the folder cannot be listed. */
static bool count(struct eq_clip_store *s, uint64_t bytes)
{
    char **names;
    size_t n;
    if (eq_list_dir(s->dir, &names, &n, NULL) != EQ_OK)
        return false;
    struct entry *entries = calloc(n + 1, sizeof *entries);
    size_t found = entries ? list_entries(s, names, n, entries) : 0;
    s->used_bytes = s->writing_bytes;
    for (size_t i = 0; i < found; i++)
        s->used_bytes += entries[i].bytes;
    bool lacking = s->used_bytes + bytes > s->max_bytes;
    for (size_t i = 0; i < found && lacking && s->used_bytes > s->max_bytes / 10 * 9; i++) {
        if (now() - entries[i].used < UNUSED_AFTER)
            break;
        remove_entry(s, entries[i].name);
        s->used_bytes -= entries[i].bytes;
    }
    free(entries);
    eq_names_free(names, n);
    return entries != NULL;
}

static void say_full(const struct eq_clip_store *s)
{
    static bool said;
    if (!__atomic_exchange_n(&said, true, __ATOMIC_RELAXED))
        eq_info("%s holds as much as data.cache_gb allows; further clips are not kept there", s->dir);
}

static bool take_room(struct eq_clip_store *s, uint64_t bytes)
{
    pthread_mutex_lock(&s->mutex);
    bool due = s->asked++ % COUNT_AFTER == 0;
    if (due)
        s->counted = count(s, bytes);
    else if (s->counted && !s->full && s->used_bytes + bytes > s->max_bytes)
        s->counted = count(s, bytes);
    s->full = s->used_bytes + bytes > s->max_bytes;
    bool room = s->counted && !s->full;
    if (room) {
        s->used_bytes += bytes;
        s->writing_bytes += bytes;
    }
    if (s->full)
        say_full(s);
    pthread_mutex_unlock(&s->mutex);
    return room;
}

static void end_writing(struct eq_clip_store *s, uint64_t bytes)
{
    pthread_mutex_lock(&s->mutex);
    s->writing_bytes -= bytes;
    pthread_mutex_unlock(&s->mutex);
}

/* ---- keeping ---- */

static bool is_same_file(const struct eq_clip_place *a, const struct eq_clip_place *b)
{
    return strcmp(a->key, b->key) == 0 && a->bytes == b->bytes && a->inode == b->inode && a->modified == b->modified &&
           a->changed == b->changed;
}

static bool is_settled(const struct eq_clip_place *place)
{
    int64_t last = place->modified > place->changed ? place->modified : place->changed;
    return now() - last >= SETTLED;
}

static enum eq_status write_entry(const char *path, const uint8_t *head, const uint8_t *planes, size_t len,
                                  struct eq_err *err)
{
    struct eq_writer w = {0};
    enum eq_status st;
    EQ_TRY(eq_writer_open(&w, path, err));
    w.unsynced = true; /* what a power cut takes has no hash that fits */
    EQ_TRY(eq_writer_put(&w, head, EQ_ENTRY_HEAD, err));
    EQ_TRY(eq_writer_put(&w, planes, len, err));
    EQ_TRY(eq_writer_commit(&w, err));
out:
    eq_writer_abort(&w);
    return st;
}

static enum eq_status keep(struct eq_clip_store *s, const struct eq_clip_place *place, const uint8_t *src, bool gray,
                           struct eq_err *err)
{
    uint8_t head[EQ_ENTRY_HEAD];
    size_t len = gray ? s->pixels : 3 * s->pixels;
    enum eq_status st = EQ_OK;
    EQ_CHECK(eq_make_dirs(s->dir, err));
    if (!take_room(s, EQ_ENTRY_HEAD + len))
        return EQ_OK;
    char *path = entry_path(s, place);
    uint8_t *plane = gray ? malloc(len) : NULL;
    if (plane)
        eq_plane_from_rgb(src, s->pixels, plane);
    const uint8_t *planes = gray ? plane : src;
    if (planes && eq_entry_head(place, planes, s->pixels, gray, head))
        st = write_entry(path, head, planes, len, err);
    end_writing(s, EQ_ENTRY_HEAD + len);
    free(plane);
    free(path);
    return st;
}

/* Without the cache a command is slower, no more. */
static void turn_off(struct eq_clip_store *s, const struct eq_err *why)
{
    static bool warned;
    __atomic_store_n(&s->off, true, __ATOMIC_RELAXED);
    if (!__atomic_exchange_n(&warned, true, __ATOMIC_RELAXED))
        eq_warn("data.cache_dir: %s; clips are not kept there", why->msg);
}

void eq_clip_store_put(struct eq_clip_store *s, const char *path, const struct eq_clip_place *place, const uint8_t *src,
                       bool gray)
{
    struct eq_clip_place again;
    struct eq_err err = {0};
    if (__atomic_load_n(&s->off, __ATOMIC_RELAXED) || !is_settled(place) || !eq_clip_store_look(s, path, &again) ||
        !is_same_file(place, &again))
        return;
    if (keep(s, place, src, gray, &err) != EQ_OK)
        turn_off(s, &err);
}
