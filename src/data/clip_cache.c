#include "data/clip_cache.h"

#include "echoquant/base.h"

#include <stdlib.h>
#include <string.h>

bool eq_clip_cache_init(struct eq_clip_cache *c, size_t n, size_t max_bytes)
{
    *c = (struct eq_clip_cache){.n = n, .max_bytes = max_bytes};
    c->entries = calloc(n ? n : 1, sizeof *c->entries);
    c->gray = calloc(n ? n : 1, sizeof *c->gray);
    return c->entries && c->gray;
}

void eq_clip_cache_clear(struct eq_clip_cache *c)
{
    for (size_t i = 0; c->entries && i < c->n; i++)
        free(c->entries[i]);
    free(c->entries);
    free(c->gray);
    *c = (struct eq_clip_cache){0};
}

bool eq_clip_cache_get(const struct eq_clip_cache *c, size_t i, uint8_t *dst, size_t pixels, bool *gray)
{
    const uint8_t *entry = c->entries[i];
    if (!entry)
        return false;
    *gray = c->gray[i];
    if (!*gray) {
        memcpy(dst, entry, 3 * pixels);
        return true;
    }
    for (size_t k = 0; k < pixels; k++, dst += 3)
        dst[0] = dst[1] = dst[2] = entry[k];
    return true;
}

void eq_clip_cache_put(struct eq_clip_cache *c, size_t i, const uint8_t *src, size_t pixels, bool gray)
{
    size_t bytes = gray ? pixels : 3 * pixels;
    if (c->entries[i] || bytes > c->max_bytes - c->used_bytes)
        return;
    uint8_t *entry = malloc(bytes);
    if (!entry)
        return; /* a cache may do without */
    if (gray)
        for (size_t k = 0; k < pixels; k++)
            entry[k] = src[3 * k];
    else
        memcpy(entry, src, bytes);
    c->entries[i] = entry;
    c->gray[i] = gray;
    c->used_bytes += bytes;
}
