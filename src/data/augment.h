/* data-internal: what is drawn for a clip and done to its pixels. */
#ifndef ECHOQUANT_DATA_AUGMENT_H
#define ECHOQUANT_DATA_AUGMENT_H

#include "echoquant/data.h"

/* One clip's draw: the same for all of its frames. */
struct eq_augment_draw {
    bool flip;
    int dx, dy;   /* the picture moves right and down by this */
    double phase; /* of the sampling; what the options say when phases aren't random */
};
/* A pure function of its arguments; sample is the index into the data set. */
struct eq_augment_draw eq_augment_draw(const struct eq_augment *augment, const struct eq_sampling *sampling,
                                       uint64_t seed, uint32_t epoch, uint32_t sample);
/* In place on [frames][size][size][3]: flip, then move; uncovered pixels become 0. */
void eq_augment_apply(const struct eq_augment_draw *draw, uint8_t *pixels, int frames, int size);

#endif
