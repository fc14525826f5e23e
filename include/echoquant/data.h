/*
 * data: EchoNet-Dynamic's folder (FileList.csv + clips), its identity and its check, augmentation, the loader.
 */
#ifndef ECHOQUANT_DATA_H
#define ECHOQUANT_DATA_H

#include "echoquant/clip.h"
#include "echoquant/model.h"

/* ---- digests and CSV ------------------------------------------------------ */

struct cJSON;
enum { EQ_SHA256_TEXT = 65 }; /* 64 hexadecimal digits, as `sha256sum` prints them, and a NUL */
void eq_sha256(const void *data, size_t len, char hex[EQ_SHA256_TEXT]);
/* Of a regular file, read in pieces. EQ_IO, EQ_NOMEM, EQ_INTERRUPTED: a signal came while more than 64 MiB
 * were read; hex is "" then. */
enum eq_status eq_sha256_file(const char *path, char hex[EQ_SHA256_TEXT], struct eq_err *err);

/* A JSON file with a seal: its last member is the SHA-256 of the file with the 64 digits of the seal as zeros. So any
 * byte that changes later breaks it. */
#define EQ_SEAL_KEY "seal"
#define EQ_SEALED_MAX_BYTES ((size_t)16 << 20)
enum eq_seal { EQ_SEAL_NONE, EQ_SEAL_HOLDS, EQ_SEAL_BROKEN };
/* Writes json, an object, with a seal in place of an earlier one, as eq_json_write does. */
enum eq_status eq_sealed_write(const char *path, struct cJSON *json, struct eq_err *err);
/* EQ_SEAL_NONE: the file has no seal, as those of version 0.1.0. EQ_IO, EQ_FORMAT: larger than EQ_SEALED_MAX_BYTES. */
enum eq_status eq_seal_check(const char *path, enum eq_seal *seal, struct eq_err *err);

/* Appends a field of CSV, quoted if needed. */
void eq_csv_add(struct eq_str *out, const char *text);
enum { EQ_CSV_MAX_FIELDS = 8 };
/* Receives the n fields of a row, which are valid during the call. Its errors get file and line put before them. */
typedef enum eq_status (*eq_csv_row_fn)(void *ctx, const char *const *fields, size_t n, struct eq_err *err);
/* Reads text[len], CSV whose first row is the header, here written with commas, or begins with it. path: for messages.
 * EQ_FORMAT: another header, more than EQ_CSV_MAX_FIELDS columns, a NUL; or an error of take. */
enum eq_status eq_csv_read(const char *path, const void *text, size_t len, const char *header, eq_csv_row_fn take,
                           void *ctx, struct eq_err *err);

/* ---- FileList.csv -------------------------------------------------------- */

enum eq_split { EQ_SPLIT_TRAIN, EQ_SPLIT_VAL, EQ_SPLIT_TEST, EQ_SPLIT_COUNT };
const char *eq_split_name(enum eq_split s);                /* "TRAIN", "VAL", "TEST" */
bool eq_split_named(const char *name, enum eq_split *out); /* the inverse; false: no such split */

struct eq_sample {
    char *file_name;             /* as in FileList.csv, without .avi, in UTF-8; no two samples have the same */
    char *path;                  /* the file found for it, in the bytes that the system knows it by */
    uint64_t bytes;              /* of that file when the data set was opened */
    char sha256[EQ_SHA256_TEXT]; /* of that file; "": eq_dataset_hash has not been called */
    double ef;                   /* percent */
    double esv, edv;             /* ml; NaN when absent */
    enum eq_split split;
    uint32_t patient; /* 1, 2, ... in the order of the list; 0: the list does not say */
    size_t line;      /* in FileList.csv, 1-based, for messages */
    double fps;       /* as the list says, like the three below; 0 when absent */
    int frame_width, frame_height, number_of_frames;
    double clip_fps; /* as the clip itself says, like the next one; 0: unknown, or the clip has not been opened */
    int clip_frames;
};
/* What can be found in a data set: identifier, name in JSON. findings.c has the texts. Up to EQ_FINDING_EF_FRACTION
 * they are problems, of which those up to EQ_FINDING_UNREADABLE are of rows and clips that no command can use; the rest
 * are warnings. */
#define EQ_FINDING_KINDS(X)                                                                                            \
    X(NO_LIST, "no_list")                                                                                              \
    X(ROW, "row")                                                                                                      \
    X(MISSING, "missing")                                                                                              \
    X(EMPTY, "empty")                                                                                                  \
    X(CUT, "cut_off")                                                                                                  \
    X(TEXT, "text")                                                                                                    \
    X(FORMAT, "other_format")                                                                                          \
    X(NO_VIDEO, "no_video")                                                                                            \
    X(TOO_LARGE, "too_large")                                                                                          \
    X(DAMAGED, "damaged")                                                                                              \
    X(UNREADABLE, "unreadable")                                                                                        \
    X(COPY_ACROSS, "copy_across_splits")                                                                               \
    X(EF_FRACTION, "ef_fraction")                                                                                      \
    X(PATIENT_ACROSS, "patient_across_splits")                                                                         \
    X(LIST, "list")                                                                                                    \
    X(COPY, "copy")                                                                                                    \
    X(CONSTANT, "constant_column")                                                                                     \
    X(EF_RANGE, "ef_range")                                                                                            \
    X(VOLUMES, "ef_and_volumes")                                                                                       \
    X(SHORT, "short")                                                                                                  \
    X(FRAME_SIZE, "frame_size")                                                                                        \
    X(FRAME_RATE, "frame_rate")                                                                                        \
    X(FRAME_COUNT, "frame_count")
enum eq_finding_kind {
#define X(id, name) EQ_FINDING_##id,
    EQ_FINDING_KINDS(X)
#undef X
        EQ_FINDING_COUNT
};
/* A sentence about a list as a whole, for warnings. */
struct eq_note {
    enum eq_finding_kind kind;
    char *text;
};
/* A clip with what is wrong with it. status: EQ_IO if its file is missing or unreadable. */
struct eq_skipped {
    char *file_name, *reason;
    enum eq_status status;
};
/* What becomes of a clip that can't be read, and of one that is damaged: the command fails; both are left out; what
 * can't be read is left out, and of a damaged clip the frames that decode are used. */
enum eq_on_error { EQ_ON_ERROR_FAIL, EQ_ON_ERROR_SKIP, EQ_ON_ERROR_USE };
struct eq_dataset {
    char *dir;
    char list_sha256[EQ_SHA256_TEXT]; /* of the bytes of FileList.csv; "": has_list is false */
    struct eq_sample *samples;        /* sorted as in the file */
    size_t n;
    struct eq_skipped *skipped; /* clips left out */
    size_t n_skipped;
    struct eq_skipped *damaged; /* clips that are used although they are damaged */
    size_t n_damaged;
    bool has_list;         /* false: made of files, without ground truth */
    bool split_from_file;  /* false: seeded 70/15/15 by hash of patient or name, independent of row order */
    bool ef_like_fraction; /* all EFs lie within 0..1, though the list should have percent */
    size_t n_patients;     /* 0: the list has no patient column */
    size_t patients_in_two_splits;
    size_t copies_across_splits; /* clips whose bytes are in another split, too; found by the check of the clips */
    struct eq_note *notes;       /* [n_notes] what is odd about the list as a whole */
    size_t n_notes;
};
enum eq_ef_unit { EQ_EF_PERCENT, EQ_EF_FRACTION };
/* Where links in a data folder may lead: to what lies in the folder, wherever that is itself; or anywhere. */
enum eq_links { EQ_LINKS_INSIDE, EQ_LINKS_ANY };
/* How to read a list. {0} reads EchoNet-Dynamic's. */
struct eq_list_opts {
    uint64_t split_seed;
    enum eq_on_error on_error;
    enum eq_ef_unit ef_unit;    /* of the column EF */
    const char *patient_column; /* its name in any letter case; NULL or "auto": PatientID, Subject, MRN and the like;
                                 * "none": no column */
    /* Values of the column Split, separated by commas, that mean VAL and TEST; other whole numbers then mean TRAIN.
     * NULL or "": none. */
    const char *val_folds, *test_folds;
    enum eq_links links;
};
/* Columns by header name in any letter case: FileName and EF are required; Split, ESV, EDV, FPS, FrameHeight,
 * FrameWidth, NumberOfFrames and a patient are optional. Columns are separated by commas, or by semicolons or tabs if
 * the header has no comma. Clips lie in dir or in dir/Videos; src/data/clip_find.h says which file a name stands for.
 * EQ_FORMAT, with file and line: missing columns, an EF that is no number or out of range, two rows with one name or
 * one file, unknown splits, an empty list. EQ_IO: no such folder, list or clip. EQ_USAGE: a fold is named for two
 * splits. EQ_ON_ERROR_SKIP and _USE turn errors of single rows into skipped entries. Without a Split column the
 * patients, or the names of clips without one, are ordered by a seeded hash and cut at 70 and 85 % (from 3 on,
 * validation and test get at least one). eq_dataset_clear frees *out, which is empty on failure. */
enum eq_status eq_dataset_open(const char *dir, const struct eq_list_opts *opts, struct eq_dataset *out,
                               struct eq_err *err);
/* The path of a folder's FileList.csv, its name in any letter case; NULL: there is none. free() it. EQ_IO: it cannot be
 * looked up. */
enum eq_status eq_dataset_list(const char *dir, char **list, struct eq_err *err);
/* A data set of plain files, as a command line names them: every split is TEST, EF and volumes are NaN. Missing
 * files are treated as by eq_dataset_open; bad ones show when they are read. */
enum eq_status eq_dataset_from_paths(const char *const *paths, size_t n, enum eq_on_error on_error,
                                     struct eq_dataset *out, struct eq_err *err);
/* For a look at a folder: as eq_dataset_open if it has a FileList.csv, otherwise the files in dir and dir/Videos that
 * are named like clips, by name, as eq_dataset_from_paths. EQ_IO: there are none either. */
enum eq_status eq_dataset_open_folder(const char *dir, const struct eq_list_opts *opts, struct eq_dataset *out,
                                      struct eq_err *err);
void eq_dataset_clear(struct eq_dataset *ds);
/* Moves sample i to the skipped ones; the others keep their order. */
void eq_dataset_skip(struct eq_dataset *ds, size_t i, enum eq_status status, const char *reason);
/* Notes that sample i is used although it is damaged. */
void eq_dataset_note_damaged(struct eq_dataset *ds, size_t i, const char *reason);
/* What the digest of a data set covers: the list with the sizes of the clips, or also every byte of them. */
enum eq_digest_of { EQ_DIGEST_LIST, EQ_DIGEST_BYTES };
/* Reads every clip's file, on all threads, and sets sha256 of the samples. EQ_IO; EQ_INTERRUPTED. */
enum eq_status eq_dataset_hash(struct eq_dataset *ds, struct eq_err *err);
/* Appends what identifies a data set: CSV with the header FileName,Split,EF,Bytes, and SHA256 if the samples have it,
 * and a row for each sample in the order of the list. The order counts because shuffling, calibration and augmentation
 * go by it. EFs read back as the same double. The folder, skipped clips and other columns have no part in it. */
void eq_dataset_manifest(const struct eq_dataset *ds, struct eq_str *out);
/* The SHA-256 of that text. */
void eq_dataset_digest(const struct eq_dataset *ds, char digest[EQ_SHA256_TEXT]);
/* Reads such a text into samples without paths; path: for messages. EQ_FORMAT, with file and line. Clear *out with
 * eq_dataset_clear; it is empty after a failure. */
enum eq_status eq_manifest_parse(const char *path, const void *text, size_t len, struct eq_dataset *out,
                                 struct eq_err *err);
/* Appends in words how `is` differs from `was`: numbers of clips, clips removed or added, EFs, splits, sizes and
 * contents that changed, each with its first names; another order. Nothing if the manifests are equal. */
void eq_dataset_changes(const struct eq_dataset *was, const struct eq_dataset *is, struct eq_str *out);
/* Whether models trained on one of the two are models of the other: the clips are the same in the same order, but
 * either may lack clips of TEST, as when a broken one is left out. */
bool eq_dataset_trains_alike(const struct eq_dataset *a, const struct eq_dataset *b);
/* Returns how many samples a split has, and their indices in file order; free(*indices). 0, and NULL, when out of
 * memory. */
size_t eq_dataset_split(const struct eq_dataset *ds, enum eq_split split, uint32_t **indices);
/* Clips with the same bytes under different names, found by size, then by SHA-256. copies: [n], groups one after the
 * other in the order of their first clips, the clips of a group in file order. Files that are empty or can't be read
 * are in no group. Reads only files that share their size with another, in parallel. EQ_INTERRUPTED: a signal came. */
struct eq_copy {
    uint32_t sample, first; /* indices into samples: the clip, and the first clip of its group */
};
struct eq_copies {
    struct eq_copy *copies;
    size_t n, groups;
};
enum eq_status eq_dataset_copies(const struct eq_dataset *ds, struct eq_copies *out, struct eq_err *err);
void eq_copies_clear(struct eq_copies *c);
/* At most cap samples of a split, spread evenly over its order: *n of them; free(*indices). EQ_FORMAT: the split is
 * empty. */
enum eq_status eq_spread_clips(const struct eq_dataset *ds, enum eq_split split, int cap, uint32_t **indices, size_t *n,
                               struct eq_err *err);

/* ---- the check of a data set ----------------------------------------------- */

struct eq_finding {
    enum eq_finding_kind kind;
    char *file_name; /* of the row; "": the whole list */
    char *detail;    /* the reader's message, or the numbers; "": nothing more to say */
    char *other;     /* of copies: the other clip; NULL */
    int split;       /* enum eq_split; -1: unknown */
};
struct eq_checked_clip {
    int width, height, frames; /* frames = 0: it cannot be read */
    double fps;                /* 0: unknown */
    char *fault;               /* why it cannot be read, or that it is damaged, with its path; NULL: it is good */
    const char *damage;        /* the end of fault: how it is damaged although it can be read; NULL: it is not */
};
/* A data set whose clips were all opened. Init with {0}; clear with eq_data_check_clear. */
struct eq_data_check {
    struct eq_checked_clip *clips; /* [n], of the data set's samples */
    size_t n, good, cached;        /* cached: not opened, since they are as they were when they last were good */
    struct eq_finding *findings;   /* in the order of the kinds, then of the list */
    size_t n_findings;
};
struct eq_check_opts {
    int frames; /* data.frames: clips with fewer are found; 0: none are */
    /* A folder for what was found good, so that the next check opens only clips whose path, size, times, device or
     * inode differ. A file of it that is damaged or cannot be written is ignored. NULL: nothing is kept. */
    const char *cache_dir;
};
/* Opens every clip of ds on all threads: container, number of frames, one decoded frame. Skipped rows of ds are
 * findings too. EQ_INTERRUPTED: a signal came; EQ_NOMEM; EQ_TOO_SLOW. Problems of the data are no errors. */
enum eq_status eq_data_check(const struct eq_dataset *ds, const struct eq_check_opts *opts, struct eq_data_check *out,
                             struct eq_err *err);
void eq_data_check_clear(struct eq_data_check *c);
/* A clip or row that cannot be used; a problem that ought to be solved before the data are used. */
bool eq_finding_is_fault(enum eq_finding_kind kind);
bool eq_finding_is_problem(enum eq_finding_kind kind);
size_t eq_data_check_count(const struct eq_data_check *c, enum eq_finding_kind kind);
/* Appends one line without its end: "2 clips are empty: p1, p2". At most `most` clips are named, then "and 12 more". */
void eq_data_check_line(const struct eq_data_check *c, enum eq_finding_kind kind, size_t most, struct eq_str *out);
/* EQ_FORMAT, which says how many rows and clips cannot be used, or names another problem; EQ_OK: there is none. */
enum eq_status eq_data_check_status(const struct eq_data_check *c, const struct eq_dataset *ds, struct eq_err *err);
/* What to do about it, a sentence. */
const char *eq_finding_remedy(enum eq_finding_kind kind);
/* [{"kind", "problem", "count", "remedy", "clips": [{"FileName", "split", "detail"}]}], a new array. */
struct cJSON *eq_data_check_json(const struct eq_data_check *c);

/* Stills of clips, spread over the splits, clips that cannot be used first. */
struct eq_sheet_tile {
    size_t sample; /* of the data set */
    int row, column;
};
struct eq_contact_sheet {
    struct eq_sheet_tile *tiles;
    size_t n;
};
/* Writes a PNG: the middle frame of up to 64 clips, 112 x 112 pixels each, 8 in a row; those with a fault in a red
 * frame, black when nothing of them decodes. EQ_IO: it cannot be written. EQ_UNSUPPORTED: this FFmpeg writes no PNG. */
enum eq_status eq_contact_sheet_write(const char *path, const struct eq_dataset *ds, const struct eq_data_check *check,
                                      struct eq_contact_sheet *out, struct eq_err *err);
void eq_contact_sheet_clear(struct eq_contact_sheet *s);

/* ---- loader -------------------------------------------------------------- */

struct eq_augment {
    bool flip;         /* left-right with probability 1/2 */
    int max_shift;     /* pixels, each axis, uniform in -max_shift..max_shift; uncovered pixels are black */
    bool random_phase; /* random temporal phase per clip and epoch instead of the uniform grid */
};
/* Of every `group` batches in a row, the n from `first` on; the other processes of comm (borrowed) read the rest.
 * group 0: all. */
struct eq_batch_share {
    size_t group, first, n;
    const struct eq_comm *comm;
};
struct eq_loader_opts {
    struct eq_sampling sampling;
    int batch; /* clips */
    bool shuffle, drop_last;
    struct eq_batch_share share; /* the batches that this loader gives */
    struct eq_augment augment;
    uint64_t seed;
    /* Sampled clips are kept in memory up to this; 0: none. A clip without color takes a third. Clips with a random
     * phase differ from epoch to epoch and are not kept, neither here nor on disk. */
    size_t cache_bytes;
    const char *cache_dir;    /* sampled clips are kept in this folder; NULL or "": they are not. Outlives the loader */
    uint64_t cache_dir_bytes; /* its limit */
    bool use_damaged;         /* false: a damaged clip is an error, as an unreadable one */
    int workers;              /* threads that decode; 0: one. Never changes a batch */
    int prefetch; /* batches decoded ahead; 0: as many as keep the workers busy, at least two. Nor does it */
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
/* Threads of the loader decode ahead; the batches are a pure function of (seed, epoch, position). ds must outlive the
 * loader and must not change meanwhile; indices [n] are copied. Not for several threads at once. EQ_USAGE: an option is
 * out of range. eq_loader_free frees *out. */
enum eq_status eq_loader_new(const struct eq_dataset *ds, const uint32_t *indices, size_t n,
                             const struct eq_loader_opts *opts, struct eq_loader **out, struct eq_err *err);
void eq_loader_free(struct eq_loader *l);
/* Starts an epoch at batch `first`, of all batches (above 0 for resuming; a multiple of the share's group). EQ_NOMEM:
 * no thread can be started; some but not all: they do the work, after a warning. */
enum eq_status eq_loader_start(struct eq_loader *l, uint32_t epoch, size_t first, struct eq_err *err);
/* The next batch; batch->n = 0 at the end of the epoch. The error of a clip (eq_clip_read, eq_clip_refuse_damaged)
 * comes in place of its batch, and again with every call until the next eq_loader_start. */
enum eq_status eq_loader_next(struct eq_loader *l, struct eq_batch *batch, struct eq_err *err);
const struct eq_sampling *eq_loader_sampling(const struct eq_loader *l); /* as its options said; borrowed */
/* Batches of an epoch, with those of other processes. */
size_t eq_loader_batches(const struct eq_loader *l);
size_t eq_loader_clips(const struct eq_loader *l);           /* of these batches */
int eq_loader_batch(const struct eq_loader *l, int *phases); /* clips of a full batch; phases of each, or NULL */
/* As its options said, but where one process reads all, the group is the epoch and comm is eq_comm_self. Borrowed. */
const struct eq_batch_share *eq_loader_share(const struct eq_loader *l);
/* Mean over all pixels and channels of the clips that a loader and those of other processes give, rounded to a whole
 * pixel value, and the standard deviation around it; mean, standard deviation (of the population) and median of EF in
 * percent. Runs epoch 0 of the loader, which neither shuffles nor augments, by batches of one clip if processes share
 * them. EQ_FORMAT: no clips. EQ_NUMERIC: all pixels or all EFs are the same. */
struct eq_data_stats {
    int pixel_mean;
    double pixel_std, ef_mean, ef_std, ef_median;
    size_t clips;
    struct eq_looks looks;
};
enum eq_status eq_data_stats(struct eq_loader *l, struct eq_data_stats *out, struct eq_err *err);

/* ---- how clips look ------------------------------------------------------ */

/* The statistics of one clip, by eq_look_statistic; of the layout, what eq_looks_of and eq_look_check compare. */
struct eq_look {
    double value[EQ_LOOK_COUNT], cells[EQ_LOOK_CELLS];
};
/* pixels: [frames][size][size][3] RGB u8. Does not set the layout's likeness, which has to have others to compare with.
 * The same bits on every CPU. */
void eq_look_of(const uint8_t *pixels, int frames, int size, struct eq_look *out);
/* The ranges over n clips; sets their likeness of layout. False: out of memory. */
bool eq_looks_of(struct eq_look *looks, size_t n, struct eq_looks *out);
/* Whether a clip looks unlike the n training clips of a model: a statistic lies outside their range by more than
 * (0.25 + 10 / n) of its width, and by more than eq_look_kind.margin. Appends to why (NULL: not wanted) the first
 * two of them with both values. False if the model's file has no ranges. */
bool eq_look_check(const struct eq_looks *trained, const uint8_t *pixels, int frames, int size, struct eq_str *why);

#endif
