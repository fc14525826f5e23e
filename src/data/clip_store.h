/*
 * data-internal: sampled clips kept on disk, for later runs and for lists larger than memory. One file for each clip:
 * a head and the pixels, one plane if there is no color. Its name is the SHA-256 of everything that the pixels depend
 * on beside the clip's content: real path, sampling, versions of this program and of FFmpeg. The head has what the file
 * system says of the clip, and a hash of the whole entry. So nothing in the folder can change a result: an entry of
 * another content, or a damaged one, is as good as none.
 */
#ifndef ECHOQUANT_DATA_CLIP_STORE_H
#define ECHOQUANT_DATA_CLIP_STORE_H

#include "echoquant/data.h"

/* The place of a clip: the name of its entry, and the clip's file as it is now. */
struct eq_clip_place {
    char key[EQ_SHA256_TEXT];
    uint64_t bytes, inode;
    int64_t modified, changed; /* ns */
};
struct eq_clip_store;
/* Looks at nothing yet. NULL: out of memory. */
struct eq_clip_store *eq_clip_store_new(const char *dir, uint64_t max_bytes, const struct eq_sampling *sampling);
void eq_clip_store_free(struct eq_clip_store *s);
/* Several threads may call the functions below at once. */
/* False: the clip's file cannot be looked at. */
bool eq_clip_store_look(const struct eq_clip_store *s, const char *path, struct eq_clip_place *place);
/* Fills dst ([slots][size][size][3]) from the entry, if there is one of this very file. dst is spoiled otherwise. */
bool eq_clip_store_get(const struct eq_clip_store *s, const struct eq_clip_place *place, uint8_t *dst, bool *gray);
/* Keeps the pixels of a clip that was read after the look, unless the clip has changed meanwhile or not long before,
 * or there is no room. A failure turns the keeping off, with one warning in a process. */
void eq_clip_store_put(struct eq_clip_store *s, const char *path, const struct eq_clip_place *place, const uint8_t *src,
                       bool gray);

/* ---- the entry ---- */
enum { EQ_ENTRY_HEAD = 136 };
/* planes: [pixels] or [pixels][3], as they are kept. False: out of memory. */
bool eq_entry_head(const struct eq_clip_place *place, const uint8_t *planes, size_t pixels, bool gray,
                   uint8_t head[EQ_ENTRY_HEAD]);
/* Whether that is the head of these `len` bytes of planes at this place. */
bool eq_entry_holds(const struct eq_clip_place *place, const uint8_t head[EQ_ENTRY_HEAD], const uint8_t *planes,
                    size_t len, size_t pixels, bool *gray);

#endif
