/*
 * clip: one file to pixels. Videos are read through FFmpeg, DICOM files through DCMTK. Gray AVIs, PNGs and JPEGs are
 * written.
 */
#ifndef ECHOQUANT_CLIP_H
#define ECHOQUANT_CLIP_H

#include "echoquant/base.h"

/* ---- videos --------------------------------------------------------------- */

/* Extensions of the containers that are read, in lower case, without the dot, avi first; NULL after the last. */
extern const char *const eq_clip_extensions[];
/* Whether a file of a folder counts as a clip: its name has one of them, in any letter case, or its content is DICOM,
 * since ultrasound machines write that without extension. Hidden files and DICOMDIR are none. */
bool eq_is_clip_file(const char *path);

/* Larger pictures and longer clips are refused (EQ_FORMAT) before anything is allocated for them. */
#define EQ_CLIP_MAX_PIXELS (4096 * 4096)
#define EQ_CLIP_MAX_FRAMES 1000000
/* Limits of the settings, for every clip that this process reads. A clip over the first is EQ_TOO_LARGE; over the
 * second EQ_TOO_SLOW, which must stop a command: whether a clip is used may not depend on the speed of a machine. */
struct eq_clip_limits {
    double megapixels; /* of all frames together */
    double seconds;    /* of CPU time of a thread that reads the clip */
};
/* EchoNet-Dynamic's longest clip has 13 megapixels, a minute of 1024 x 768 at 50 frames a second 2,400. */
#define EQ_CLIP_LIMITS                                                                                                 \
    {                                                                                                                  \
        20000, 600                                                                                                     \
    }
void eq_clip_limit(const struct eq_clip_limits *l); /* before any thread reads clips */
bool eq_clip_within_limits(int width, int height, int frames);
#define EQ_SAMPLING_MAX_FRAMES 4096 /* frames sampled from one clip */
#define EQ_SAMPLING_MAX_SIZE 4096   /* pixels of a side */

/* A clip that can be read may still be damaged: its file was cut off, packets of it are no pictures, or the decoder
 * had to make up parts of its pictures. Then `damaged` is set and `reason` says why, in words that follow "the clip is
 * damaged: ". Whether it is used is for the caller to decide (enum eq_on_error). */
enum { EQ_CLIP_REASON = 256 };
struct eq_clip_info {
    int width, height;  /* of the first frame as it is shown, in pixels */
    int decoded_frames; /* the true count */
    int timed_frames;   /* frames in time: decoded_frames, and one for each time that one is shown again; the n of
                             eq_sample_index */
    int header_frames;  /* the container's claim; 0: unknown */
    double fps;         /* 0: unknown */
    int turned;         /* degrees clockwise by which a display matrix turned the pictures: 0, 90, 180, 270 */
    bool mirrored;      /* ... after it had mirrored them left to right */
    bool gray;          /* R = G = B in every sampled pixel */
    bool damaged;
    int bad_frames;     /* of the frames that were looked at: parts are made up or can't be right */
    int missing_frames; /* packets without a picture */
    char reason[EQ_CLIP_REASON];
    char codec[32];
    char container[32]; /* "AVI", "MP4 or MOV", ... */
};
/* Frame i of T = frames out of n decoded ones: i (n - 1) / (T - 1), rounded half to even. T = 1: the middle, (n - 1)
 * / 2 rounded the same way. */
int eq_sample_index(int i, int frames, int n);
/* Frame floor((i + phase) n / T): the clip is cut into T equal segments and phase in [0, 1) is the place inside each.
 * phase < 0: eq_sample_index. */
int eq_sample_index_phase(int i, int frames, int n, double phase);
struct eq_sampling {
    int frames, size;
    double phase; /* < 0: uniform; else in [0, 1): the position inside each of `frames` equal segments */
    /* Above 1: that many samplings of the clip at once, number k at the phase (k + 0.5) / phases; `phase` must be below
     * 0. 0 counts as 1. */
    int phases;
};
/* Frames of all phases together. */
int eq_sampling_slots(const struct eq_sampling *sampling);
/* The frame out of n that a slot holds. Slots are in the order in which a clip is read: frame i of phase k is slot
 * i * phases + k, the frame floor((i + (k + 0.5) / phases) n / frames) of the clip. */
int eq_sampling_index(const struct eq_sampling *sampling, int slot, int n);
/* The slot's place in the output of eq_clip_read, counted in frames. */
int eq_sampling_place(const struct eq_sampling *sampling, int slot);
/* Bytes that eq_clip_read writes; 0 when a number is out of range: frames of all phases in 1..EQ_SAMPLING_MAX_FRAMES,
 * size in 1..EQ_SAMPLING_MAX_SIZE. */
size_t eq_sampling_bytes(const struct eq_sampling *sampling);
/* EQ_USAGE: a number is out of range, or both phase and phases are set. */
enum eq_status eq_sampling_check(const struct eq_sampling *sampling, struct eq_err *err);
/* Decodes the clip, samples frames and resizes them with swscale (bilinear, stretched to the square; untouched when
 * they have that size): dst [phases][frames][size][size][3] RGB u8. A frame without color (gray, or full-range YUV
 * with chroma planes of one value within 1 of 128) is its luma three times. A display matrix is obeyed. Frames are
 * counted as they decode and sampled evenly in time; docs/DATA.md has the rules. info may be NULL; info->damaged tells
 * about the container and the sampled frames, where the codec makes these independent of the others. Errors name the
 * file. EQ_IO: it can't be opened or read, or is no plain file. EQ_FORMAT: not a video that we read (the message says
 * which kind of file it is), no video stream, nothing decodes, too large, or a display matrix of another angle.
 * EQ_USAGE: as eq_sampling_check. EQ_TOO_LARGE, EQ_TOO_SLOW: struct
 * eq_clip_limits. EQ_INTERRUPTED: a signal came, and the clip has
 * taken half a second of CPU time. Several threads may call it at once. The same bits on every CPU. */
enum eq_status eq_clip_read(const char *path, const struct eq_sampling *sampling, uint8_t *dst,
                            struct eq_clip_info *info, struct eq_err *err);
/* The same with the help of the pool's threads, for a single clip: sampled frames of Motion JPEG are decoded side by
 * side. data.clip_seconds holds for each of the threads. Inside a parallel-for it is eq_clip_read. */
enum eq_status eq_clip_read_by_pool(const char *path, const struct eq_sampling *sampling, uint8_t *dst,
                                    struct eq_clip_info *info, struct eq_err *err);
/* A look at a clip without its pixels. Both levels read the headers and every packet and judge whether the file is
 * whole. EQ_CLIP_CHECK_QUICK decodes one frame (the middle one of Motion JPEG, the first one of other codecs) and
 * counts packets where a packet is a frame: about a millisecond for a megabyte. EQ_CLIP_CHECK_FULL goes through the
 * data of every frame. Status and messages as eq_clip_read; EQ_OK with info->damaged for a damaged clip. info->gray is
 * about the frame that was decoded. */
enum eq_clip_level { EQ_CLIP_CHECK_QUICK, EQ_CLIP_CHECK_FULL };
enum eq_status eq_clip_check(const char *path, enum eq_clip_level level, struct eq_clip_info *info, struct eq_err *err);
/* EQ_FORMAT with a sentence for a clip that may not be used because it is damaged; EQ_OK if it is not. */
enum eq_status eq_clip_refuse_damaged(const char *path, const struct eq_clip_info *info, struct eq_err *err);

/* What is wrong with a file that cannot be read as a clip. */
enum eq_clip_fault {
    EQ_CLIP_FAULT_MISSING,
    EQ_CLIP_FAULT_EMPTY,
    EQ_CLIP_FAULT_CUT,    /* its header or index is not there */
    EQ_CLIP_FAULT_TEXT,   /* a text file */
    EQ_CLIP_FAULT_FORMAT, /* a film in a format that is not read */
    EQ_CLIP_FAULT_NO_VIDEO,
    EQ_CLIP_FAULT_LARGE, /* over a limit */
    EQ_CLIP_FAULT_UNREADABLE
};
/* By the error that eq_clip_read or eq_clip_check gave for it, and its first bytes. */
enum eq_clip_fault eq_clip_fault_of(const char *path, const struct eq_err *why);

/* ---- DICOM ---------------------------------------------------------------- */

/* Whether this build reads DICOM (ECHOQUANT_DICOM). */
bool eq_dicom_built(void);
const char *eq_dicom_version(void); /* of DCMTK; NULL for a build without it */
/* What of a picture is kept. CONE: the square around the ultrasound sector; REGION: that of the tags (Sequence of
 * Ultrasound Regions); NONE: the whole picture. What is not square gets black edges. */
enum eq_crop { EQ_CROP_CONE, EQ_CROP_REGION, EQ_CROP_NONE, EQ_CROP_COUNT };
extern const char *const eq_crop_names[EQ_CROP_COUNT + 1]; /* "cone", "region", "none", NULL */

#endif
