/* data-internal: sampled clips kept in memory, by position in a loader's list, and how their pixels are kept. */
#ifndef ECHOQUANT_DATA_CLIP_CACHE_H
#define ECHOQUANT_DATA_CLIP_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Entries stay until the cache is cleared: an epoch needs every clip once, so replacing one by another gains nothing. A
 * clip without color is kept as one plane. */
struct eq_clip_cache {
    uint8_t **entries; /* [n], NULL: not kept */
    bool *gray;
    size_t n, used_bytes, max_bytes;
};
bool eq_clip_cache_init(struct eq_clip_cache *c, size_t n, size_t max_bytes);
void eq_clip_cache_clear(struct eq_clip_cache *c);
/* Copies entry i ([pixels][3]) to dst. False when it is not kept. Several threads may get and put different entries. */
bool eq_clip_cache_get(const struct eq_clip_cache *c, size_t i, uint8_t *dst, size_t pixels, bool *gray);
/* Keeps a copy when there is room. */
void eq_clip_cache_put(struct eq_clip_cache *c, size_t i, const uint8_t *src, size_t pixels, bool gray);

/* One plane of RGB triples of equal values, and back. The plane may lie in the last third of rgb. */
void eq_plane_from_rgb(const uint8_t *rgb, size_t pixels, uint8_t *plane);
void eq_plane_to_rgb(const uint8_t *plane, size_t pixels, uint8_t *rgb);

#endif
