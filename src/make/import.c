/*
 * DICOM files to a data folder: every file is looked at, then every clip is written, then the list.
 *
 * A clip's name is a hash of its file's bytes: it holds nothing of the tags or of the file's name, stays the same when
 * an interrupted import goes on, and shows copies.
 */
#include "make/import.h"

#include "clip/avi_write.h"
#include "clip/dicom.h"
#include "make/folder.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NOTE "import.json"
#define VERSION 1
#define QUALITY 2              /* of 1 (best) .. 31 */
#define RATE_WHEN_UNKNOWN 30.0 /* frames a second, as EchoNet-Dynamic's conversion has it */

const char *const eq_import_state_names[EQ_IMPORT_STATES] = {"written", "kept", "skipped", "failed"};

static const struct eq_dicom_limits limits = {EQ_CLIP_MAX_PIXELS, EQ_CLIP_MAX_FRAMES};

struct import {
    const struct eq_import_opts *opts;
    struct eq_import_file *files;
    size_t n;
    struct eq_dataset labels;
    struct eq_progress progress;
    pthread_mutex_t lock; /* guards progress, done, st and err */
    size_t done;
    enum eq_status st; /* what ends the whole import */
    struct eq_err err;
};

/* Notes that a file gives no clip; the message begins with its path, which the item has already. */
static void give_up(struct eq_import_file *f, enum eq_import_state state, const char *message)
{
    size_t len = strlen(f->item.source);
    bool repeats = strncmp(message, f->item.source, len) == 0 && strncmp(message + len, ": ", 2) == 0;
    f->item.state = state;
    f->item.reason = eq_strdup(repeats ? message + len + 2 : message);
}

static bool is_clip(const struct eq_import_file *f)
{
    return f->item.state == EQ_IMPORT_WRITTEN || f->item.state == EQ_IMPORT_KEPT;
}

/* ---- looking at a file ------------------------------------------------------- */

/* "DCM" and the first 64 bits of the file's SHA-256. */
static enum eq_status name_by_content(struct eq_import_file *f, struct eq_err *err)
{
    char hex[EQ_SHA256_TEXT];
    EQ_CHECK(eq_sha256_file(f->item.source, hex, err));
    snprintf(f->item.name, sizeof f->item.name, "DCM%.16s", hex);
    return EQ_OK;
}

/* A file that cannot be imported is noted; an error ends the whole import. */
static enum eq_status refuse(struct eq_import_file *f, enum eq_import_state state, const struct eq_err *why)
{
    if (eq_err_is_of_system(why) || why->status == EQ_INTERRUPTED || why->status == EQ_TOO_SLOW)
        return why->status;
    give_up(f, state, why->msg);
    return EQ_OK;
}

static enum eq_status examine(struct eq_import_file *f, struct eq_err *err)
{
    struct eq_dicom *d = NULL;
    bool dicom;
    enum eq_status st = eq_dicom_look(f->item.source, &dicom, err);
    if (st != EQ_OK)
        return refuse(f, EQ_IMPORT_FAILED, err);
    if (!dicom) {
        give_up(f, f->named ? EQ_IMPORT_FAILED : EQ_IMPORT_SKIPPED, "not a DICOM file");
        return EQ_OK;
    }
    eq_clip_watch_begin();
    if (eq_dicom_open(f->item.source, &limits, &d, err) != EQ_OK)
        return refuse(f, EQ_IMPORT_FAILED, err);
    const struct eq_dicom_info *info = eq_dicom_about(d);
    if (eq_dicom_check_clip(f->item.source, info, err) != EQ_OK)
        give_up(f, EQ_IMPORT_SKIPPED, err->msg);
    else if (name_by_content(f, err) != EQ_OK)
        st = refuse(f, EQ_IMPORT_FAILED, err);
    f->item.frames = info->frames;
    f->item.fps = info->fps;
    f->width = info->width;
    f->height = info->height;
    eq_dicom_close(d);
    return st;
}

/* ---- writing a clip ----------------------------------------------------------- */

struct clip {
    struct eq_dicom_reader reader;
    struct eq_dicom_view view;
    uint8_t *rgb;
};

static enum eq_status next_frame(void *ctx, int frame, uint8_t *gray, struct eq_err *err)
{
    struct clip *c = ctx;
    EQ_CHECK(eq_dicom_reader_rgb(&c->reader, eq_dicom_frame_at(c->reader.info, frame), c->rgb, err));
    return eq_dicom_view_apply(&c->view, c->reader.info, c->rgb, gray, err);
}

static enum eq_status write_avi(struct clip *c, const char *path, int size, struct eq_err *err)
{
    const struct eq_dicom_info *info = c->reader.info;
    double fps = info->fps > 0 ? info->fps : RATE_WHEN_UNKNOWN;
    struct eq_avi_opts o = {.size = size, .rate = av_d2q(fps, 100000), .quality = QUALITY};
    struct eq_avi_encoder encoder = {0};
    enum eq_status st = eq_avi_write(path, &o, &encoder, info->frames, next_frame, c, err);
    eq_avi_encoder_clear(&encoder);
    return st;
}

static enum eq_status write_clip(const struct eq_import_opts *o, const struct eq_import_file *f, const char *avi,
                                 const char *png, struct eq_err *err)
{
    struct clip c = {0};
    enum eq_status st;
    eq_clip_watch_begin();
    EQ_TRY(eq_dicom_reader_open(&c.reader, f->item.source, &limits, err));
    c.rgb = eq_alloc((size_t)f->width * (size_t)f->height, 3);
    if (!c.rgb || c.reader.info->width != f->width || c.reader.info->height != f->height)
        EQ_TRY(c.rgb ? eq_fail(err, EQ_FORMAT, "%s changed while it was read", f->item.source)
                     : eq_fail(err, EQ_NOMEM, "%s: out of memory", f->item.source));
    EQ_TRY(eq_dicom_view_open(&c.view, &c.reader, o->crop, o->mask, o->size, err));
    if (o->pictures) {
        EQ_TRY(eq_dicom_reader_rgb(&c.reader, c.reader.info->frames / 2, c.rgb, err));
        EQ_TRY(eq_dicom_view_picture(&c.view, c.reader.info, c.rgb, png, err));
    }
    EQ_TRY(write_avi(&c, avi, o->size, err));
out:
    eq_dicom_view_clear(&c.view);
    eq_dicom_reader_close(&c.reader);
    eq_free(c.rgb);
    return st;
}

static enum eq_status make_clip(const struct import *im, struct eq_import_file *f, struct eq_err *err)
{
    struct eq_str avi = {0}, png = {0};
    bool there;
    eq_str_add(&avi, "%s/Videos/%s.avi", im->opts->out, f->item.name);
    eq_str_add(&png, "%s/Pictures/%s.png", im->opts->out, f->item.name);
    enum eq_status st = eq_path_look(avi.s, &there, err);
    if (st == EQ_OK && there)
        f->item.state = EQ_IMPORT_KEPT;
    else if (st == EQ_OK)
        st = write_clip(im->opts, f, avi.s, png.s, err);
    eq_str_clear(&avi);
    eq_str_clear(&png);
    return st;
}

/* ---- all files ---------------------------------------------------------------- */

/* False: the import has ended. */
static bool go_on(struct import *im)
{
    pthread_mutex_lock(&im->lock);
    if (im->st == EQ_OK && eq_interrupted())
        im->st = eq_fail(&im->err, EQ_INTERRUPTED, "interrupted while writing %s. Run the same command to resume",
                         im->opts->out);
    bool on = im->st == EQ_OK;
    pthread_mutex_unlock(&im->lock);
    return on;
}

/* st: not EQ_OK ends the import. */
static void count_done(struct import *im, enum eq_status st, const struct eq_err *err)
{
    pthread_mutex_lock(&im->lock);
    if (st != EQ_OK && im->st == EQ_OK) {
        im->st = st;
        im->err = *err;
    }
    eq_progress_step(&im->progress, ++im->done, NULL);
    pthread_mutex_unlock(&im->lock);
}

static void examine_piece(void *ctx, size_t piece, int worker)
{
    struct import *im = ctx;
    (void)worker;
    struct eq_err err = {0};
    if (go_on(im))
        count_done(im, examine(&im->files[piece], &err), &err);
}

/* A full disk or a lack of memory ends the import; whatever else is wrong is the file's. */
static void clip_piece(void *ctx, size_t piece, int worker)
{
    struct import *im = ctx;
    struct eq_import_file *f = &im->files[piece];
    struct eq_err err = {0};
    (void)worker;
    if (!is_clip(f) || !go_on(im))
        return;
    enum eq_status st = make_clip(im, f, &err);
    if (st != EQ_OK && st != EQ_IO && !eq_err_is_of_system(&err)) {
        give_up(f, EQ_IMPORT_FAILED, err.msg);
        st = EQ_OK;
    }
    count_done(im, st, &err);
}

static enum eq_status for_all(struct import *im, const char *label, size_t total, eq_piece_fn fn, struct eq_err *err)
{
    im->done = 0;
    eq_progress_begin(&im->progress, label, "files", total);
    eq_parallel_for(im->n, fn, im);
    eq_progress_end(&im->progress);
    return im->st == EQ_OK ? EQ_OK : eq_fail(err, im->st, "%s", im->err.msg);
}

static int by_clip(const void *a, const void *b)
{
    const struct eq_import_file *const *x = a, *const *y = b;
    int order = strcmp((*x)->item.name, (*y)->item.name);
    return order ? order : (*x < *y ? -1 : 1);
}

/* Of files with the same bytes the first is kept. *clips: files left. */
static enum eq_status skip_copies(struct import *im, size_t *clips, struct eq_err *err)
{
    struct eq_import_file **sorted = eq_alloc(im->n + 1, sizeof *sorted);
    *clips = 0;
    if (!sorted)
        return eq_fail(err, EQ_NOMEM, "out of memory for a list of %zu files", im->n);
    for (size_t i = 0; i < im->n; i++)
        if (is_clip(&im->files[i]))
            sorted[(*clips)++] = &im->files[i];
    qsort(sorted, *clips, sizeof *sorted, by_clip);
    size_t all = *clips;
    for (size_t i = 1, first = 0; i < all; i++) {
        if (strcmp(sorted[i]->item.name, sorted[first]->item.name) != 0) {
            first = i;
            continue;
        }
        char *why = eq_format("a copy of %s", sorted[first]->item.source);
        give_up(sorted[i], EQ_IMPORT_SKIPPED, why);
        free(why);
        --*clips;
    }
    eq_free(sorted);
    return EQ_OK;
}

/* ---- the folder --------------------------------------------------------------- */

static struct cJSON *describe(const struct eq_import_opts *o)
{
    struct cJSON *j = cJSON_CreateObject();
    cJSON_AddStringToObject(j, "made_by", "echoquant import");
    cJSON_AddNumberToObject(j, "version", VERSION);
    cJSON_AddStringToObject(j, "crop", eq_crop_names[o->crop]);
    cJSON_AddBoolToObject(j, "mask", o->mask);
    cJSON_AddNumberToObject(j, "size", o->size);
    return j;
}

/* EQ_USAGE unless the folder is new, empty, or of an unfinished import with these options. */
static enum eq_status look_at_folder(const char *dir, const struct cJSON *wanted, struct eq_err *err)
{
    struct eq_folder_look look;
    EQ_CHECK(eq_folder_look(dir, NOTE, wanted, &look, err));
    if (!look.empty && !look.noted)
        return eq_fail(err, EQ_USAGE, "%s is not empty and has no unfinished import: name another folder with --out",
                       dir);
    if (look.finished)
        return eq_fail(err, EQ_USAGE, "%s has a finished import: name another folder with --out", dir);
    if (look.noted && !look.same)
        return eq_fail(err, EQ_USAGE,
                       "%s has an unfinished import with other options (see %s/" NOTE "): use the same options, remove "
                       "the folder, or name another one with --out",
                       dir, dir);
    return EQ_OK;
}

static enum eq_status make_folders(const struct eq_import_opts *o, const struct cJSON *note, struct eq_err *err)
{
    enum eq_status st;
    char *videos = eq_path_join(o->out, "Videos"), *pictures = eq_path_join(o->out, "Pictures");
    char *note_path = eq_path_join(o->out, NOTE);
    EQ_TRY(eq_make_dirs(o->out, err));
    EQ_TRY(eq_json_write(note_path, note, err));
    EQ_TRY(eq_make_dirs(videos, err));
    if (o->pictures)
        EQ_TRY(eq_make_dirs(pictures, err));
out:
    free(videos);
    free(pictures);
    free(note_path);
    return st;
}

/* "," and the number; NaN: only the comma. */
static void add_number(struct eq_str *row, double value)
{
    eq_str_add(row, ",");
    if (!isnan(value))
        eq_str_add_real(row, value);
}

static enum eq_status write_list(struct import *im, struct eq_err *err)
{
    bool split = im->opts->labels && im->labels.split_from_file;
    char *path = eq_path_join(im->opts->out, "FileList.csv");
    struct eq_str text = {0};
    eq_str_add(&text, "FileName,EF,ESV,EDV,FrameHeight,FrameWidth,FPS,NumberOfFrames%s\n", split ? ",Split" : "");
    for (size_t i = 0; i < im->n; i++) {
        struct eq_import_file *f = &im->files[i];
        if (!is_clip(f))
            continue;
        f->item.has_ef = f->label != NULL;
        eq_str_add(&text, "%s", f->item.name);
        add_number(&text, f->label ? f->label->ef : NAN);
        add_number(&text, f->label ? f->label->esv : NAN);
        add_number(&text, f->label ? f->label->edv : NAN);
        eq_str_add(&text, ",%d,%d", im->opts->size, im->opts->size);
        add_number(&text, f->item.fps > 0 ? f->item.fps : NAN);
        eq_str_add(&text, ",%d%s%s\n", f->item.frames, split ? "," : "",
                   split && f->label ? eq_split_name(f->label->split) : "");
    }
    enum eq_status st = eq_write_file(path, text.s, text.len, err);
    eq_str_clear(&text);
    free(path);
    return st;
}

/* ---- the whole ----------------------------------------------------------------- */

static enum eq_status check_opts(const struct eq_import_opts *o, struct eq_err *err)
{
    if (!eq_dicom_built())
        return eq_fail(err, EQ_UNSUPPORTED, EQ_DICOM_NOT_BUILT);
    if (o->size < 1 || o->size > EQ_SAMPLING_MAX_SIZE)
        return eq_fail(err, EQ_USAGE, "--size %d: must be 1 to %d pixels", o->size, EQ_SAMPLING_MAX_SIZE);
    return EQ_OK;
}

/* Hands the items over, and counts them. */
static void conclude(struct import *im, struct eq_import_result *result)
{
    result->items = calloc(im->n ? im->n : 1, sizeof *result->items);
    for (size_t i = 0; i < im->n; i++) {
        struct eq_import_item *item = &im->files[i].item;
        if (result->items) {
            result->items[result->n++] = *item;
            result->count[item->state]++;
            result->without_ef += is_clip(&im->files[i]) && !item->has_ef;
        } else {
            free(item->source);
            free(item->reason);
        }
    }
    free(im->files);
}

static enum eq_status write_all(struct import *im, size_t clips, const struct cJSON *note, struct eq_err *err)
{
    EQ_CHECK(make_folders(im->opts, note, err));
    EQ_CHECK(for_all(im, "import", clips, clip_piece, err));
    const struct eq_import_item *failed = NULL;
    for (size_t i = 0; i < im->n; i++) {
        if (is_clip(&im->files[i]))
            return write_list(im, err);
        if (!failed && im->files[i].item.state == EQ_IMPORT_FAILED)
            failed = &im->files[i].item;
    }
    return eq_fail(err, EQ_FORMAT, "no clip could be imported; the first failure: %s: %s",
                   failed ? failed->source : "?", failed ? failed->reason : "?");
}

enum eq_status eq_import_dicom(const struct eq_import_opts *opts, struct eq_import_result *result, struct eq_err *err)
{
    enum eq_status st;
    struct import im = {.opts = opts, .st = EQ_OK, .lock = PTHREAD_MUTEX_INITIALIZER};
    struct cJSON *note = describe(opts);
    size_t clips = 0;
    struct eq_folder folder = {0};
    *result = (struct eq_import_result){0};
    EQ_TRY(check_opts(opts, err));
    EQ_TRY(look_at_folder(opts->out, note, err));
    EQ_TRY(eq_folder_enter(&folder, opts->out, err));
    EQ_TRY(look_at_folder(opts->out, note, err)); /* another process may have been here */
    EQ_TRY(eq_import_find(opts->paths, opts->n_paths, &im.files, &im.n, err));
    if (opts->labels)
        EQ_TRY(eq_import_read_labels(opts->labels, &im.labels, err));
    EQ_TRY(for_all(&im, "looking at files", im.n, examine_piece, err));
    EQ_TRY(skip_copies(&im, &clips, err));
    if (opts->labels)
        EQ_TRY(eq_import_match_labels(&im.labels, im.files, im.n, err));
    EQ_TRY(clips ? write_all(&im, clips, note, err)
                 : eq_fail(err, EQ_FORMAT, "no ultrasound clip among %zu files", im.n));
out:
    eq_folder_leave(&folder);
    conclude(&im, result);
    eq_dataset_clear(&im.labels);
    cJSON_Delete(note);
    pthread_mutex_destroy(&im.lock);
    return st;
}

void eq_import_result_clear(struct eq_import_result *result)
{
    for (size_t i = 0; i < result->n; i++) {
        free(result->items[i].source);
        free(result->items[i].reason);
    }
    free(result->items);
    *result = (struct eq_import_result){0};
}
