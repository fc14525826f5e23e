/*
 * data: EchoNet-Dynamic's folder (FileList.csv + AVIs), clips through FFmpeg, augmentation, the loader, synthetic
 * clips.
 */
#ifndef ECHOQUANT_DATA_H
#define ECHOQUANT_DATA_H

#include "echoquant/base.h"

/* ---- FileList.csv -------------------------------------------------------- */

enum eq_split { EQ_SPLIT_TRAIN, EQ_SPLIT_VAL, EQ_SPLIT_TEST, EQ_SPLIT_COUNT };
const char *eq_split_name(enum eq_split s); /* "TRAIN", "VAL", "TEST" */

struct eq_sample {
    char *file_name; /* as in FileList.csv, without .avi */
    char *path;      /* the AVI found for it */
    uint64_t bytes;  /* of that file when the data set was opened */
    double ef;       /* percent */
    double esv, edv; /* ml; NaN when absent */
    enum eq_split split;
    size_t line; /* in FileList.csv, 1-based, for messages */
    double fps;  /* as the list says, like the three below; 0 when absent */
    int frame_width, frame_height, number_of_frames;
};
/* A clip with what is wrong with it. */
struct eq_skipped {
    char *file_name, *reason;
};
/* What becomes of a clip that can't be read, and of one that is damaged: the command fails; both are left out; what
 * can't be read is left out, and of a damaged clip the frames that decode are used. */
enum eq_on_error { EQ_ON_ERROR_FAIL, EQ_ON_ERROR_SKIP, EQ_ON_ERROR_USE };
struct eq_dataset {
    char *dir;
    struct eq_sample *samples; /* sorted as in the file */
    size_t n;
    struct eq_skipped *skipped; /* clips left out */
    size_t n_skipped;
    struct eq_skipped *damaged; /* clips that are used although they are damaged */
    size_t n_damaged;
    bool split_from_file; /* false: seeded 70/15/15 by hash of the name, independent of row order */
};
/* Columns by header name in any letter case: FileName and EF are required; Split, ESV, EDV, FPS, FrameHeight,
 * FrameWidth and NumberOfFrames are optional. AVIs lie in dir or in dir/Videos, names have .avi or not. EQ_FORMAT,
 * with file and line: missing columns, an EF that is no number or outside 0..100, duplicate names, unknown splits,
 * an empty list. EQ_IO: no such folder, list or clip. EQ_ON_ERROR_SKIP and _USE turn errors of single rows into
 * skipped entries. Without a Split column the names are ordered by a seeded hash and cut at 70 and 85 % (from 3
 * clips on, validation and test get at least one). eq_dataset_clear frees *out, which is empty on failure. */
enum eq_status eq_dataset_open(const char *dir, uint64_t split_seed, enum eq_on_error on_error, struct eq_dataset *out,
                               struct eq_err *err);
/* A data set of plain files, as a command line names them: every split is TEST, EF and volumes are NaN. Missing
 * files are treated as by eq_dataset_open; bad ones show when they are read. */
enum eq_status eq_dataset_from_paths(const char *const *paths, size_t n, enum eq_on_error on_error,
                                     struct eq_dataset *out, struct eq_err *err);
void eq_dataset_clear(struct eq_dataset *ds);
/* Moves sample i to the skipped ones; the others keep their order. */
void eq_dataset_skip(struct eq_dataset *ds, size_t i, const char *reason);
/* Notes that sample i is used although it is damaged. */
void eq_dataset_note_damaged(struct eq_dataset *ds, size_t i, const char *reason);
/* "fnv1a-" and 16 hexadecimal digits that identify the data set: FNV-1a over the file name, split, EF (to the last bit)
 * and file size of its samples, in file order. Skipped clips and the folder's name are left out. */
enum { EQ_DIGEST_TEXT = 24 };
void eq_dataset_digest(const struct eq_dataset *ds, char digest[EQ_DIGEST_TEXT]);
/* Returns how many samples a split has, and their indices in file order; free(*indices). 0, and NULL, when out of
 * memory. */
size_t eq_dataset_split(const struct eq_dataset *ds, enum eq_split split, uint32_t **indices);
/* At most cap samples of a split, spread evenly over its order: *n of them; free(*indices). EQ_FORMAT: the split is
 * empty. */
enum eq_status eq_spread_clips(const struct eq_dataset *ds, enum eq_split split, int cap, uint32_t **indices, size_t *n,
                               struct eq_err *err);

/* ---- clips --------------------------------------------------------------- */

/* Larger pictures and longer clips are refused (EQ_FORMAT) before anything is allocated for them. */
#define EQ_CLIP_MAX_PIXELS (4096 * 4096)
#define EQ_CLIP_MAX_FRAMES 1000000
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
 * EQ_USAGE: as eq_sampling_check. Several threads may call it at once. The same bits on every CPU. */
enum eq_status eq_clip_read(const char *path, const struct eq_sampling *sampling, uint8_t *dst,
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

/* ---- loader -------------------------------------------------------------- */

struct eq_augment {
    bool flip;         /* left-right with probability 1/2 */
    int max_shift;     /* pixels, each axis, uniform in -max_shift..max_shift; uncovered pixels are black */
    bool random_phase; /* random temporal phase per clip and epoch instead of the uniform grid */
};
struct eq_loader_opts {
    struct eq_sampling sampling;
    int batch; /* clips */
    bool shuffle, drop_last;
    struct eq_augment augment;
    uint64_t seed;
    /* Sampled clips are kept in memory up to this; 0: none. A clip without color takes a third. Clips with a random
     * phase differ from epoch to epoch and are not kept. */
    size_t cache_bytes;
    enum eq_on_error on_error;
    bool use_damaged; /* as EQ_ON_ERROR_USE does with damaged clips, whatever becomes of unreadable ones */
    int prefetch;     /* batches decoded ahead; 0: two; never changes a batch */
};
struct eq_batch {
    const uint8_t *pixels; /* [n][phases][frames][size][size][3], valid until the next eq_loader_next, _start, _free */
    const float *ef;       /* [n] percent */
    const uint32_t *index; /* [n] into the dataset's samples */
    int n;
    bool gray;         /* R = G = B in every pixel of the batch */
    size_t clip_bytes; /* eq_sampling_bytes: phases * frames * size * size * 3 */
    int phases;        /* of the loader's sampling, at least 1 */
};
struct eq_loader;
/* A thread of the loader decodes ahead; the batches are a pure function of (seed, epoch, position). With
 * EQ_ON_ERROR_SKIP and _USE a clip that can't be read is left out of its batch and listed by eq_loader_failures; the
 * batch is then smaller, and passed over when it is empty. A damaged clip counts as one that can't be read, except
 * with EQ_ON_ERROR_USE or use_damaged: then it is used and listed by eq_loader_damaged. ds must outlive the loader
 * and must not change meanwhile; indices [n] are copied. Not for several threads at once. EQ_USAGE: an option is out
 * of range. eq_loader_free frees *out. */
enum eq_status eq_loader_new(const struct eq_dataset *ds, const uint32_t *indices, size_t n,
                             const struct eq_loader_opts *opts, struct eq_loader **out, struct eq_err *err);
void eq_loader_free(struct eq_loader *l);
/* Starts an epoch at batch `first` (above 0 for resuming). EQ_NOMEM: no thread can be started. */
enum eq_status eq_loader_start(struct eq_loader *l, uint32_t epoch, size_t first, struct eq_err *err);
/* The next batch; batch->n = 0 at the end of the epoch. With EQ_ON_ERROR_FAIL a clip's error (eq_clip_read) comes in
 * place of its batch, and again with every call until the next eq_loader_start. */
enum eq_status eq_loader_next(struct eq_loader *l, struct eq_batch *batch, struct eq_err *err);
/* Batches of an epoch when every clip can be read. */
size_t eq_loader_batches(const struct eq_loader *l);
/* Returns how many clips could not be read in the batches handed out so far, and lists each once; the list is the
 * loader's and valid until its next call. */
size_t eq_loader_failures(const struct eq_loader *l, const struct eq_skipped **out);
/* The same for clips that were used although they are damaged. */
size_t eq_loader_damaged(const struct eq_loader *l, const struct eq_skipped **out);

/* Mean over all pixels and channels of a loader's clips, rounded to a whole pixel value, and the standard deviation
 * around it; mean, standard deviation (of the population) and median of EF in percent. Runs epoch 0 of the loader,
 * which should neither shuffle nor augment; skips as the loader does. EQ_FORMAT: no clips. EQ_NUMERIC: all pixels or
 * all EFs are the same. */
struct eq_data_stats {
    int pixel_mean;
    double pixel_std, ef_mean, ef_std, ef_median;
    size_t clips;
};
enum eq_status eq_data_stats(struct eq_loader *l, struct eq_data_stats *out, struct eq_err *err);

/* ---- synthetic clips ----------------------------------------------------- */

struct eq_synth_opts {
    int train, val, test;            /* clips of each split */
    int frames_min, frames_max, fps; /* frames of a clip; frames a second */
    uint64_t seed;
};
#define EQ_SYNTH_DEFAULTS                                                                                              \
    {                                                                                                                  \
        .train = 400, .val = 50, .test = 100, .frames_min = 90, .frames_max = 220, .fps = 50, .seed = 1                \
    }
/* Writes dir/synth.json, which says how the set was made, dir/Videos/<name>.avi (MJPEG, 112 x 112), then
 * dir/FileList.csv in EchoNet's columns. A finished set that was made with the same options is kept as it is, an
 * unfinished one is written again. EQ_USAGE: an option is out of range, or any other folder that is not empty. The
 * same options give the same pixels. EQ_INTERRUPTED: a signal came. */
enum eq_status eq_synth_write(const char *dir, const struct eq_synth_opts *opts, struct eq_err *err);

#endif
