/*
 * make-internal: synthetic apical four-chamber clips. A patient is drawn from counters, a heart beats by a volume
 * curve, and a sector scan with speckle shows it.
 *
 * Only motion shows EF: a frame at end-diastole does not depend on it (tested to the byte), and every other draw
 * (heart rate, length, gain, pose, sizes) is independent of it.
 */
#ifndef ECHOQUANT_MAKE_SYNTH_H
#define ECHOQUANT_MAKE_SYNTH_H

#include "echoquant/make.h"

/* Determines a clip. Lengths are in pixels of a 112 x 112 picture. */
struct eq_synth_patient {
    double ef;         /* percent */
    double edv;        /* ml */
    double heart_rate; /* beats a minute */
    double phase;      /* fraction of a cycle at the first frame, 0: end-diastole */
    double systole;    /* fraction of the cycle until end-systole */
    int frames;
    double apex_x, apex_y;                    /* the endocardium's apex */
    double tilt;                              /* of the long axis against the vertical, radians */
    double length, radius;                    /* end-diastolic cavity: apex to mitral plane, largest half-width */
    double wall;                              /* end-diastolic wall thickness / radius */
    double half_angle, reach;                 /* sector: radians, pixels */
    double gain, attenuation, blood, dynamic; /* brightness, loss over depth, blood level, compression */
    uint64_t seed;                            /* speckle: with split and number */
    enum eq_split split;
    uint32_t number; /* of the patient in its split, from 0 */
};

enum {
    EQ_SYNTH_SIZE = 112,
    EQ_SYNTH_DEPTHS = 256,
    EQ_SYNTH_LINES = 128,
    EQ_SYNTH_FIELD = (EQ_SYNTH_DEPTHS + 1) * (EQ_SYNTH_LINES + 1),
    EQ_SYNTH_BLOCK = 64,
    EQ_SYNTH_DISPLAY = 2048,
    EQ_SYNTH_DISPLAY_STEPS = 512
};

/* Where the pixels of a block lie. */
struct eq_synth_region {
    float nearest, farthest; /* from the long axis */
    float top, bottom;       /* along it from the apex */
    float atrium;            /* the smallest of the column of this name */
};

/* The pixels of the sector, column by column, with all that stays the same over a clip. They are in the order of tiles,
 * so that a block of them is a small region; the last one is repeated up to a whole block. */
struct eq_synth_pixels {
    int n;          /* a multiple of EQ_SYNTH_BLOCK */
    float *columns; /* owns the float columns: [n] each */
    float *x, *y;   /* from the probe, pixels */
    float *r, *angle;
    float *gain;          /* with attenuation over depth */
    float *inside;        /* of the sector: above 0, up to 1 */
    float *across, *down; /* from the apex: across and along the long axis */
    float *still;         /* echogenicity of what does not move: surroundings, right heart, pericardium */
    float *muscle;        /* echogenicity of muscle here */
    float *atrium;        /* squared distance across from the left atrium's middle, in its half-widths */
    uint16_t *at;         /* the pixel: y * EQ_SYNTH_SIZE + x */
    struct eq_synth_region regions[EQ_SYNTH_SIZE * EQ_SYNTH_SIZE / EQ_SYNTH_BLOCK];
};

/* One patient under one scanner. Owns its arrays: eq_synth_scene_clear. */
struct eq_synth_scene {
    struct eq_synth_patient patient;
    float *speckle; /* two fields [EQ_SYNTH_DEPTHS + 1][EQ_SYNTH_LINES + 1] of Rayleigh amplitude, mean 1; the last row
                     * and column repeat the first */
    struct eq_synth_pixels pixels;
    float display[EQ_SYNTH_DISPLAY]; /* pixel value of amplitude i / EQ_SYNTH_DISPLAY_STEPS */
};

/* Purposes of the streams of a patient. */
enum eq_synth_stream { EQ_SYNTH_BODY, EQ_SYNTH_SPECKLE, EQ_SYNTH_SHIFT, EQ_SYNTH_STREAMS };
/* The stream of a patient. One split's streams do not depend on the sizes of the others. */
void eq_synth_rng(struct eq_rng *r, enum eq_synth_stream stream, uint64_t seed, enum eq_split split, uint32_t number);
/* The split of clip `index` of the set: training first, then validation, then test. *number: its place there. */
enum eq_split eq_synth_split_of(const struct eq_synth_opts *opts, uint32_t index, uint32_t *number);
/* EF, heart rate, clip length and phase are spread evenly over each split (synth_patient.c). */
void eq_synth_draw_patient(struct eq_synth_patient *p, const struct eq_synth_opts *opts, uint32_t index);
enum eq_status eq_synth_scene_init(struct eq_synth_scene *s, const struct eq_synth_patient *p, struct eq_err *err);
void eq_synth_scene_clear(struct eq_synth_scene *s);
/* How far the cavity has emptied at a fraction of the cycle: 0 at end-diastole (0), 1 at end-systole (p->systole). */
double eq_synth_emptying(const struct eq_synth_patient *p, double cycle);
/* The picture at a fraction of the cycle, gray: [112][112]. frame: its number; a little of the speckle changes with
 * it. */
void eq_synth_render(const struct eq_synth_scene *s, double cycle, uint32_t frame, uint8_t *gray);

#endif
