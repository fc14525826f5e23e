/* A scanner's screen as a DICOM file: a synthetic sector that moves, letters that stand still, a clock, two ECGs. */
#ifndef ECHOQUANT_TESTS_DICOM_SCREEN_H
#define ECHOQUANT_TESTS_DICOM_SCREEN_H

#include "make/synth.h"
#include "dicom_file.h"

#include <stdlib.h>

enum { WIDTH = 320, HEIGHT = 260, FRAMES = 30, LEFT = 60, TOP = 24, SCALE = 2, SIDE = SCALE * EQ_SYNTH_SIZE };

struct screen {
    uint8_t *rgb;                     /* [FRAMES][HEIGHT][WIDTH][3] */
    uint8_t in_sector[HEIGHT][WIDTH]; /* not black in some frame of the synthetic sector */
};

static inline void paint(struct screen *s, int frame, int x, int y, int r, int g, int b)
{
    uint8_t *p = s->rgb + (((size_t)frame * HEIGHT + (size_t)y) * WIDTH + (size_t)x) * 3;
    p[0] = (uint8_t)r;
    p[1] = (uint8_t)g;
    p[2] = (uint8_t)b;
}

/* White letters that stand still (a name), a clock that changes, an ECG in green and one in white. */
static inline void paint_overlays(struct screen *s, int frame, struct eq_rng *rng)
{
    for (int y = 4; y < 14; y++) {
        for (int x = 4; x < 120; x++)
            if ((x * 7 + y * 13) % 5 < 2)
                paint(s, frame, x, y, 255, 255, 255);
        for (int x = 270; x < 312; x++)
            if (x % 7 > 1 && eq_rng_below(rng, 2))
                paint(s, frame, x, y, 255, 255, 255);
    }
    for (int x = 40; x < 300; x++) {
        int beat = (x + 11 * frame) % 60 < 4 ? 12 : 0;
        for (int k = 0; k <= beat; k++) {
            paint(s, frame, x, 253 - k, 0, 255, 0);
            if (beat == 0)
                paint(s, frame, x, 256 + (x + 3 * frame) % 3, 255, 255, 255);
        }
    }
}

static inline void screen_make(struct screen *s, uint32_t patient_number)
{
    struct eq_synth_opts opts = EQ_SYNTH_DEFAULTS;
    struct eq_synth_patient patient;
    struct eq_synth_scene scene;
    struct eq_rng rng;
    static uint8_t gray[EQ_SYNTH_SIZE * EQ_SYNTH_SIZE];
    *s = (struct screen){.rgb = eq_alloc((size_t)FRAMES * HEIGHT * WIDTH, 3)};
    eq_rng_init(&rng, 1, EQ_RNG_TEST, 0, 0);
    eq_synth_draw_patient(&patient, &opts, patient_number);
    if (!s->rgb || eq_synth_scene_init(&scene, &patient, NULL) != EQ_OK)
        abort();
    for (int i = 0; i < FRAMES; i++) {
        eq_synth_render(&scene, i / 25.0, (uint32_t)i, gray);
        paint_overlays(s, i, &rng);
        for (int y = 0; y < SIDE; y++) {
            for (int x = 0; x < SIDE; x++) {
                int v = gray[y / SCALE * EQ_SYNTH_SIZE + x / SCALE];
                if (v == 0)
                    continue;
                paint(s, i, LEFT + x, TOP + y, v, v, v);
                s->in_sector[TOP + y][LEFT + x] = v > 8 || s->in_sector[TOP + y][LEFT + x];
            }
        }
    }
    eq_synth_scene_clear(&scene);
}

static inline struct test_dicom screen_file(const struct screen *s)
{
    return (struct test_dicom){.width = WIDTH,
                               .height = HEIGHT,
                               .frames = FRAMES,
                               .frame_time = "20",
                               .pixels = s->rgb,
                               .bytes = (size_t)FRAMES * HEIGHT * WIDTH * 3};
}

static inline void screen_clear(struct screen *s)
{
    eq_free(s->rgb);
}

#endif
