#include "data/augment.h"

#include <string.h>

struct eq_augment_draw eq_augment_draw(const struct eq_augment *augment, const struct eq_sampling *sampling,
                                       uint64_t seed, uint32_t epoch, uint32_t sample)
{
    struct eq_rng rng;
    eq_rng_init(&rng, seed, EQ_RNG_AUGMENT, epoch, sample);
    /* Always four draws in one order, so that switching one kind off leaves the others as they were. */
    bool flip = eq_rng_u32(&rng) & 1;
    double u = eq_rng_uniform(&rng), v = eq_rng_uniform(&rng), phase = eq_rng_uniform(&rng);
    int shift = augment->max_shift, choices = 2 * shift + 1;
    return (struct eq_augment_draw){
        .flip = augment->flip && flip,
        .dx = shift > 0 ? (int)(u * choices) - shift : 0,
        .dy = shift > 0 ? (int)(v * choices) - shift : 0,
        .phase = augment->random_phase ? phase : sampling->phase,
    };
}

static void flip_row(uint8_t *row, int size)
{
    for (int l = 0, r = size - 1; l < r; l++, r--) {
        uint8_t pixel[3];
        memcpy(pixel, row + 3 * l, 3);
        memcpy(row + 3 * l, row + 3 * r, 3);
        memcpy(row + 3 * r, pixel, 3);
    }
}

/* Moves a row of pixels right by dx (left when negative). */
static void shift_row(uint8_t *dst, const uint8_t *src, int dx, int size)
{
    size_t gap = 3 * (size_t)(dx < 0 ? -dx : dx), len = 3 * (size_t)size - gap;
    memmove(dx > 0 ? dst + gap : dst, dx < 0 ? src + gap : src, len);
    memset(dx > 0 ? dst : dst + len, 0, gap);
}

static void shift_frame(uint8_t *frame, int dx, int dy, int size)
{
    size_t stride = 3 * (size_t)size;
    for (int k = 0; k < size; k++) {
        int y =
            dy > 0 ? size - 1 - k : k; /* from the side that the picture moves toward: no row is overwritten unread */
        uint8_t *row = frame + (size_t)y * stride;
        if (y - dy < 0 || y - dy >= size)
            memset(row, 0, stride);
        else
            shift_row(row, frame + (size_t)(y - dy) * stride, dx, size);
    }
}

void eq_augment_apply(const struct eq_augment_draw *draw, uint8_t *pixels, int frames, int size)
{
    size_t stride = 3 * (size_t)size;
    int dx = draw->dx < -size ? -size : draw->dx > size ? size : draw->dx;
    for (int t = 0; t < frames; t++) {
        uint8_t *frame = pixels + (size_t)t * (size_t)size * stride;
        for (int y = 0; draw->flip && y < size; y++)
            flip_row(frame + (size_t)y * stride, size);
        if (dx || draw->dy)
            shift_frame(frame, dx, draw->dy, size);
    }
}
