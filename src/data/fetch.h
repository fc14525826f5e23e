/* data-internal: a clip as a batch has it: from memory, from the disk, or decoded; then augmented. */
#ifndef ECHOQUANT_DATA_FETCH_H
#define ECHOQUANT_DATA_FETCH_H

#include "data/clip_cache.h"
#include "data/clip_store.h"

#include "echoquant/data.h"

struct eq_fetch {
    const struct eq_dataset *ds;
    struct eq_loader_opts opts;
    struct eq_clip_cache memory;
    struct eq_clip_store *store; /* NULL: none */
};
/* For n positions of a list. False: out of memory. eq_fetch_clear in either case. */
bool eq_fetch_init(struct eq_fetch *f, const struct eq_dataset *ds, const struct eq_loader_opts *opts, size_t n);
void eq_fetch_clear(struct eq_fetch *f);
/* Fills dst (eq_sampling_bytes) with the sample at a position of the list. A pure function of the file, the options,
 * epoch and sample, whatever the caches hold. Several threads may call it at once for different positions. */
enum eq_status eq_fetch_clip(struct eq_fetch *f, size_t position, uint32_t sample, uint32_t epoch, uint8_t *dst,
                             bool *gray, struct eq_err *err);

#endif
