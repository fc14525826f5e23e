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

void eq_plane_from_rgb(const uint8_t *rgb, size_t pixels, uint8_t *plane)
{
    for (size_t k = 0; k < pixels; k++)
        plane[k] = rgb[3 * k];
}

void eq_plane_to_rgb(const uint8_t *plane, size_t pixels, uint8_t *rgb)
{
    for (size_t k = 0; k < pixels; k++, rgb += 3)
        rgb[0] = rgb[1] = rgb[2] = plane[k];
}

bool eq_clip_cache_get(const struct eq_clip_cache *c, size_t i, uint8_t *dst, size_t pixels, bool *gray)
{
    const uint8_t *entry = c->entries[i];
    if (!entry)
        return false;
    *gray = c->gray[i];
    if (*gray)
        eq_plane_to_rgb(entry, pixels, dst);
    else
        memcpy(dst, entry, 3 * pixels);
    return true;
}

/* Takes `bytes` of what may be used, if that much is left. */
static bool take_room(struct eq_clip_cache *c, size_t bytes)
{
    size_t used = __atomic_load_n(&c->used_bytes, __ATOMIC_RELAXED);
    do {
        if (bytes > c->max_bytes - used)
            return false;
    } while (
        !__atomic_compare_exchange_n(&c->used_bytes, &used, used + bytes, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
    return true;
}

void eq_clip_cache_put(struct eq_clip_cache *c, size_t i, const uint8_t *src, size_t pixels, bool gray)
{
    size_t bytes = gray ? pixels : 3 * pixels;
    if (c->entries[i] || !take_room(c, bytes))
        return;
    uint8_t *entry = malloc(bytes);
    if (!entry) /* a cache may do without */
        return;
    if (gray)
        eq_plane_from_rgb(src, pixels, entry);
    else
        memcpy(entry, src, bytes);
    c->entries[i] = entry;
    c->gray[i] = gray;
}
