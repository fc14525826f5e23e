/*
 * make: data folders that echoquant writes, from DICOM files or as synthetic clips.
 */
#ifndef ECHOQUANT_MAKE_H
#define ECHOQUANT_MAKE_H

#include "echoquant/data.h"

/* ---- from DICOM files ----------------------------------------------------- */

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

/* ---- synthetic clips ------------------------------------------------------ */

struct eq_synth_opts {
    int train, val, test;            /* clips of each split */
    int frames_min, frames_max, fps; /* frames of a clip; frames a second */
    uint64_t seed;
};
#define EQ_SYNTH_DEFAULTS                                                                                              \
    {                                                                                                                  \
        .train = 400, .val = 100, .test = 100, .frames_min = 90, .frames_max = 220, .fps = 50, .seed = 1               \
    }
/* Writes dir/synth.json, which says how the set was made, dir/Videos/<name>.avi (MJPEG, 112 x 112), then
 * dir/FileList.csv in EchoNet's columns and HeartRate (beats a minute). Splits of any size are alike: EF, heart rate,
 * frames and phase are spread evenly over each. A finished set that was made with the same options is kept as it is, an
 * unfinished one is written again. EQ_USAGE: an option is out of range, or any other folder that is not empty. The
 * same options give the same pixels. EQ_INTERRUPTED: a signal came. */
enum eq_status eq_synth_write(const char *dir, const struct eq_synth_opts *opts, struct eq_err *err);

#endif
