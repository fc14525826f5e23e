/*
 * data: EchoNet-Dynamic's folder (FileList.csv + AVIs), clips through FFmpeg, augmentation, the loader, synthetic clips.
 */
#ifndef ECHOQUANT_DATA_H
#define ECHOQUANT_DATA_H

#include "echoquant/base.h"

/* ---- FileList.csv ------------------------------------------------------------------------------------------------------ */

enum eq_split { EQ_SPLIT_TRAIN, EQ_SPLIT_VAL, EQ_SPLIT_TEST, EQ_SPLIT_COUNT };
const char *eq_split_name(enum eq_split s); /* "TRAIN", "VAL", "TEST" */

struct eq_sample {
    char *file_name; /* as in FileList.csv, without .avi */
    char *path;      /* the AVI found for it */
    double ef;       /* percent */
    double esv, edv; /* ml; NaN when absent */
    enum eq_split split;
    size_t line;     /* in FileList.csv, 1-based, for messages */
};
/* A clip left out under EQ_ON_ERROR_SKIP, with the reason. */
struct eq_skipped {
    char *file_name, *reason;
};
enum eq_on_error { EQ_ON_ERROR_FAIL, EQ_ON_ERROR_SKIP };
struct eq_dataset {
    char *dir;
    struct eq_sample *samples; /* sorted as in the file */
    size_t n;
    struct eq_skipped *skipped;
    size_t n_skipped;
    bool split_from_file;      /* false: seeded 70/15/15 by hash of the name, independent of row order */
};
/* Columns by header name: FileName and EF required, Split, ESV, EDV, FPS, FrameHeight, FrameWidth, NumberOfFrames if there; AVIs
 * flat or under Videos/, names with or without .avi. Refuses (file:line): missing columns, EF that is no number or outside
 * 0..100, duplicate names, unknown splits, missing files, an empty list. EQ_ON_ERROR_SKIP turns the per-row ones into
 * skipped entries. */
enum eq_status eq_dataset_open(const char *dir, uint64_t split_seed, enum eq_on_error on_error, struct eq_dataset *out,
                               struct eq_err *err);
void eq_dataset_clear(struct eq_dataset *ds);
/* Takes sample i out (kept order) and notes it as skipped. */
void eq_dataset_skip(struct eq_dataset *ds, size_t i, const char *reason);
/* Indices of a split, in file order; free with free(). */
size_t eq_dataset_split(const struct eq_dataset *ds, enum eq_split split, uint32_t **indices);

/* ---- clips -------------------------------------------------------------------------------------------------------------- */

struct eq_clip_info {
    int width, height, decoded_frames, header_frames; /* header_frames: what the container claims, 0 unknown */
    double fps;
    bool gray;       /* R = G = B in every sampled pixel */
    char codec[32];
};
/* Frame i of T out of n decoded: round half to even(i (n - 1) / (T - 1)); T = 1: the middle, (n - 1) / 2 rounded the same way. */
int eq_sample_index(int i, int frames, int n);
/* Phase p of phases (p in [0, phases)): the uniform grid's segments shifted by (p + 0.5) / phases of a segment; p < 0: uniform. */
int eq_sample_index_phase(int i, int frames, int n, double phase);
struct eq_sampling {
    int frames, size;
    double phase; /* < 0: uniform; else in [0, 1): the position inside each of `frames` equal segments */
};
/* Decodes the clip, samples, resizes with swscale (bilinear; untouched when it already fits): dst [frames][size][size][3] RGB
 * u8. The true frame count is what decodes. info may be NULL. Errors name the file: no such file, not a video, no video
 * stream, nothing decodes, truncated (fewer than half of the frames that the header claims: EQ_FORMAT). */
enum eq_status eq_clip_read(const char *path, const struct eq_sampling *sampling, uint8_t *dst, struct eq_clip_info *info,
                            struct eq_err *err);

/* ---- loader -------------------------------------------------------------------------------------------------------------- */

struct eq_augment {
    bool flip;      /* left-right with probability 1/2 */
    int max_shift;  /* pixels, each axis, uniform; uncovered pixels are black */
    bool random_phase; /* random temporal phase per clip and epoch instead of the uniform grid */
};
struct eq_loader_opts {
    struct eq_sampling sampling;
    int batch;               /* clips */
    bool shuffle, drop_last;
    struct eq_augment augment;
    uint64_t seed;
    size_t cache_bytes;      /* decoded clips kept in memory up to this; 0: none */
    enum eq_on_error on_error;
};
struct eq_batch {
    const uint8_t *pixels; /* [n][frames][size][size][3], valid until the next eq_loader_next */
    const float *ef;       /* [n] percent */
    const uint32_t *index; /* [n] into the dataset's samples */
    int n;
};
struct eq_loader;
/* One thread of its own decodes ahead; the batches are a pure function of (seed, epoch, position). With EQ_ON_ERROR_SKIP a clip
 * that can't be read is left out and listed by eq_loader_failures. ds must outlive the loader. */
enum eq_status eq_loader_new(const struct eq_dataset *ds, const uint32_t *indices, size_t n,
                             const struct eq_loader_opts *opts, struct eq_loader **out, struct eq_err *err);
void eq_loader_free(struct eq_loader *l);
/* Starts an epoch at batch number first (for resuming). */
enum eq_status eq_loader_start(struct eq_loader *l, uint32_t epoch, size_t first, struct eq_err *err);
/* batch->n = 0 at the end of the epoch. */
enum eq_status eq_loader_next(struct eq_loader *l, struct eq_batch *batch, struct eq_err *err);
size_t eq_loader_batches(const struct eq_loader *l);
/* Clips that could not be read so far: {file_name, reason} pairs owned by the loader. */
size_t eq_loader_failures(const struct eq_loader *l, const struct eq_skipped **out);

/* Mean over all pixels and channels of the split's sampled frames, rounded to a whole pixel value, and the standard deviation
 * around it; mean and deviation of EF. Skips as the loader does. */
struct eq_data_stats {
    int pixel_mean;
    double pixel_std, ef_mean, ef_std, ef_median;
    size_t clips;
};
enum eq_status eq_data_stats(struct eq_loader *l, struct eq_data_stats *out, struct eq_err *err);

#endif
