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
    bool split_from_file; /* false: seeded 70/15/15 by hash of the name, independent of row order */
};
/* Columns by header name in any letter case: FileName and EF are required; Split, ESV, EDV, FPS, FrameHeight,
 * FrameWidth and NumberOfFrames are optional. AVIs lie in dir or in dir/Videos, names have .avi or not. EQ_FORMAT,
 * with file and line: missing columns, an EF that is no number or outside 0..100, duplicate names, unknown splits,
 * an empty list. EQ_IO: no such folder, list or clip. EQ_ON_ERROR_SKIP turns errors of single rows into skipped
 * entries. Without a Split column the names are ordered by a seeded hash and cut at 70 and 85 % (from 3 clips on,
 * validation and test get at least one). eq_dataset_clear frees *out, which is empty on failure. */
enum eq_status eq_dataset_open(const char *dir, uint64_t split_seed, enum eq_on_error on_error, struct eq_dataset *out,
                               struct eq_err *err);
/* A data set of plain files, as a command line names them: every split is TEST, EF and volumes are NaN. Missing
 * files are treated as by eq_dataset_open; bad ones show when they are read. */
enum eq_status eq_dataset_from_paths(const char *const *paths, size_t n, enum eq_on_error on_error,
                                     struct eq_dataset *out, struct eq_err *err);
void eq_dataset_clear(struct eq_dataset *ds);
/* Moves sample i to the skipped ones; the others keep their order. */
void eq_dataset_skip(struct eq_dataset *ds, size_t i, const char *reason);
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

struct eq_clip_info {
    int width, height;  /* of the first frame, in pixels */
    int decoded_frames; /* the true count */
    int header_frames;  /* the container's claim; 0: unknown */
    double fps;         /* 0: unknown */
    bool gray;          /* R = G = B in every sampled pixel */
    char codec[32];
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
 * with neutral chroma) is its luma three times. The frame count is the number of frames that decode;
 * src/data/clip_read.c says how it is found. info may be NULL. Errors name the file. EQ_IO: it can't be opened or
 * read. EQ_FORMAT: not a video, no video stream, nothing decodes, too large, or truncated (fewer than half of the
 * frames that the header claims). EQ_USAGE: as eq_sampling_check. Several threads may call it at once. The same bits
 * on every CPU. */
enum eq_status eq_clip_read(const char *path, const struct eq_sampling *sampling, uint8_t *dst,
                            struct eq_clip_info *info, struct eq_err *err);
/* The same without pixels, for `inspect`; info->gray tells about the first frame. */
enum eq_status eq_clip_probe(const char *path, struct eq_clip_info *info, struct eq_err *err);

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
    int prefetch; /* batches decoded ahead; 0: two; never changes a batch */
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
 * EQ_ON_ERROR_SKIP a clip that can't be read is left out of its batch and listed by eq_loader_failures; the batch is
 * then smaller, and passed over when it is empty. ds must outlive the loader and must not change meanwhile; indices
 * [n] are copied. Not for several threads at once. EQ_USAGE: an option is out of range. eq_loader_free frees *out. */
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

/* ---- DICOM --------------------------------------------------------------- */

/* Whether this build reads DICOM (ECHOQUANT_DICOM). */
bool eq_dicom_built(void);
/* What of a picture is kept. CONE: the square around the ultrasound sector; REGION: that of the tags (Sequence of
 * Ultrasound Regions); NONE: the whole picture. What is not square gets black edges. */
enum eq_crop { EQ_CROP_CONE, EQ_CROP_REGION, EQ_CROP_NONE, EQ_CROP_COUNT };
extern const char *const eq_crop_names[EQ_CROP_COUNT + 1]; /* "cone", "region", "none", NULL */

struct eq_import_opts {
    const char *const *paths; /* [n_paths] files and folders, which are searched to the bottom */
    size_t n_paths;
    const char *out;    /* the data folder to write: new, empty, or of an unfinished import with the same options */
    const char *labels; /* a CSV with the columns FileName and EF, as FileList.csv; NULL: none */
    enum eq_crop crop;
    bool mask;     /* with EQ_CROP_CONE: black outside of the sector */
    bool pictures; /* also out/Pictures/<name>.png, which show what was cut */
    int size;      /* pixels of a side of the clips */
};
enum eq_import_state { EQ_IMPORT_WRITTEN, EQ_IMPORT_KEPT, EQ_IMPORT_SKIPPED, EQ_IMPORT_FAILED, EQ_IMPORT_STATES };
extern const char *const eq_import_state_names[EQ_IMPORT_STATES]; /* "written", "kept", "skipped", "failed" */
struct eq_import_item {
    char *source; /* the file's path */
    enum eq_import_state state;
    char *reason;  /* skipped and failed: why; NULL otherwise */
    char name[24]; /* written and kept: of the clip, without .avi */
    int frames;
    double fps; /* 0: the tags don't say; the AVI then has 30 */
    bool has_ef;
};
struct eq_import_result {
    struct eq_import_item *items; /* [n], in the order of the paths and, in folders, of names */
    size_t n, count[EQ_IMPORT_STATES], without_ef;
};
/* Writes the ultrasound clips of DICOM files as a data folder: out/import.json, out/Videos/<name>.avi (MJPEG, gray),
 * then out/FileList.csv. <name> is made of a hash of the file's bytes; nothing else of the file but its pixels, size
 * and frame times is written. Clips without an EF in labels have an empty one in FileList.csv. A file that fails is an
 * item, and the others go on. EQ_USAGE: out is not empty, or of a finished import, or labels are ambiguous; EQ_FORMAT:
 * not one clip; EQ_INTERRUPTED: run it again to go on. Clear *result in any case. */
enum eq_status eq_import_dicom(const struct eq_import_opts *opts, struct eq_import_result *result, struct eq_err *err);
void eq_import_result_clear(struct eq_import_result *result);

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
