/*
 * Which clips were good when they were last checked, in one file for each data folder. It lies in the user's cache and
 * not in a run directory: several runs and `inspect`, which has none, share it, and the data folder may be read-only.
 * Only good clips are kept, so that an old cache can never keep a clip out.
 *
 * The file: a line that names format, version and decoder, then for each clip a line of numbers and the name with a NUL
 * after it, then the hash of all before.
 */
#include "data/check.h"

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { HASH_BYTES = 17, MAX_CLIPS = 10000000 };

static void add_first_line(struct eq_str *out)
{
    eq_str_add(out, "echoquant-clips-1 %s %u %u\n", ECHOQUANT_VERSION, avcodec_version(), avformat_version());
}

static void add_hash(const char *text, size_t len, struct eq_str *out)
{
    eq_str_add(out, "%016" PRIx64 "\n", eq_hash64(text, len));
}

static int compare(const void *a, const void *b)
{
    return strcmp(((const struct eq_cached_clip *)a)->name, ((const struct eq_cached_clip *)b)->name);
}

void eq_check_cache_print(struct eq_cached_clip *clips, size_t n, struct eq_str *out)
{
    if (n)
        qsort(clips, n, sizeof *clips, compare);
    add_first_line(out);
    for (size_t i = 0; i < n; i++) {
        const struct eq_cached_clip *c = &clips[i];
        eq_str_add(out, "%" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRId64 " %" PRId64 " %d %d %d %.17g\n", c->bytes,
                   c->device, c->inode, c->modified, c->changed, c->width, c->height, c->frames, c->fps);
        eq_str_add_bytes(out, c->name, strlen(c->name) + 1);
    }
    add_hash(out->s, out->len, out);
}

/* One clip from text up to end; returns what follows it, or NULL. */
static const char *read_clip(const char *text, const char *end, struct eq_cached_clip *c)
{
    char line[256], fps[40];
    int used = 0;
    const char *newline = memchr(text, '\n', (size_t)(end - text));
    const char *nul = newline ? memchr(newline, '\0', (size_t)(end - newline)) : NULL;
    if (!nul || nul == newline + 1 || newline - text >= (ptrdiff_t)sizeof line)
        return NULL;
    memcpy(line, text, (size_t)(newline - text));
    line[newline - text] = '\0';
    if (sscanf(line, "%" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNd64 " %" SCNd64 " %d %d %d %39s%n", &c->bytes,
               &c->device, &c->inode, &c->modified, &c->changed, &c->width, &c->height, &c->frames, fps, &used) != 9 ||
        line[used] || !eq_parse_double(fps, &c->fps) || c->width < 1 || c->height < 1 || c->frames < 1)
        return NULL;
    c->name = newline + 1;
    return nul + 1;
}

bool eq_check_cache_parse(const char *text, size_t len, struct eq_cached_clip **out, size_t *n)
{
    struct eq_str first = {0}, hash = {0};
    bool good = false;
    *out = NULL;
    *n = 0;
    add_first_line(&first);
    if (len < first.len + HASH_BYTES || memcmp(text, first.s, first.len) != 0)
        goto out;
    size_t body = len - HASH_BYTES;
    add_hash(text, body, &hash);
    if (memcmp(text + body, hash.s, HASH_BYTES) != 0)
        goto out;
    const char *at = text + first.len, *end = text + body;
    size_t room = 0;
    for (good = true; good && at < end; ++*n) {
        struct eq_cached_clip clip = {0};
        at = read_clip(at, end, &clip);
        good = at && *n < MAX_CLIPS && (*n == 0 || strcmp((*out)[*n - 1].name, clip.name) < 0);
        if (good && *n == room) {
            room = room ? 2 * room : 256;
            struct eq_cached_clip *grown = realloc(*out, room * sizeof *grown);
            good = grown != NULL;
            *out = good ? grown : *out;
        }
        if (!good)
            break;
        (*out)[*n] = clip;
    }
out:
    if (!good) {
        free(*out);
        *out = NULL;
        *n = 0;
    }
    eq_str_clear(&first);
    eq_str_clear(&hash);
    return good;
}

const struct eq_cached_clip *eq_check_cache_find(const struct eq_cached_clip *clips, size_t n, const char *name)
{
    struct eq_cached_clip key = {.name = name};
    return n ? bsearch(&key, clips, n, sizeof *clips, compare) : NULL;
}

static int64_t nanoseconds(const struct timespec *t)
{
    return (int64_t)t->tv_sec * 1000000000 + t->tv_nsec;
}

void eq_cached_clip_of(const struct stat *file, struct eq_cached_clip *clip)
{
    clip->bytes = (uint64_t)file->st_size;
    clip->device = (uint64_t)file->st_dev;
    clip->inode = (uint64_t)file->st_ino;
    clip->modified = nanoseconds(&file->st_mtim);
    clip->changed = nanoseconds(&file->st_ctim);
}

bool eq_cached_clip_same_file(const struct eq_cached_clip *a, const struct eq_cached_clip *b)
{
    return a->bytes == b->bytes && a->device == b->device && a->inode == b->inode && a->modified == b->modified &&
           a->changed == b->changed;
}

char *eq_check_cache_path(const char *cache_dir, const char *data_dir)
{
    char *real = eq_real_path(data_dir);
    const char *name = real ? real : data_dir;
    char *path = eq_format("%s/clips-%016" PRIx64, cache_dir, eq_hash64(name, strlen(name)));
    free(real);
    return path;
}
