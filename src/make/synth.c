/* A synthetic data set on disk: the note that says how it is made, then clips in parallel, then the list. */
#include "clip/avi_write.h"
#include "make/folder.h"
#include "make/synth.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>
#include <pthread.h>

#define NOTE "synth.json"
#define GENERATOR_VERSION 2
#define QUALITY 3 /* of 1 (best) .. 31 */

/* ---- one clip ------------------------------------------------------------ */

struct clip {
    struct eq_synth_scene scene;
    int fps;
};

static enum eq_status next_frame(void *ctx, int frame, uint8_t *gray, struct eq_err *err)
{
    (void)err;
    const struct clip *c = ctx;
    double beats = (double)frame / c->fps * c->scene.patient.heart_rate / 60;
    eq_synth_render(&c->scene, c->scene.patient.phase + beats, (uint32_t)frame, gray);
    return EQ_OK;
}

static void clip_name(char name[32], uint64_t seed, uint32_t index)
{
    snprintf(name, 32, "SYN%04llX%05u", (unsigned long long)(seed & 0xffff), index);
}

static enum eq_status write_clip(const char *dir, const struct eq_synth_opts *opts, uint32_t index,
                                 struct eq_avi_encoder *encoder, struct eq_err *err)
{
    struct clip c = {.fps = opts->fps};
    struct eq_synth_patient patient;
    struct eq_str path = {0};
    char name[32];
    clip_name(name, opts->seed, index);
    eq_str_add(&path, "%s/Videos/%s.avi", dir, name);
    eq_synth_draw_patient(&patient, opts, index);
    enum eq_status st = eq_synth_scene_init(&c.scene, &patient, err);
    if (st == EQ_OK)
        st = eq_avi_write(path.s, &(struct eq_avi_opts){EQ_SYNTH_SIZE, {opts->fps, 1}, QUALITY}, encoder,
                          patient.frames, next_frame, &c, err);
    eq_synth_scene_clear(&c.scene);
    eq_str_clear(&path);
    return st;
}

/* ---- all clips ----------------------------------------------------------- */

struct job {
    const char *dir;
    const struct eq_synth_opts *opts;
    struct eq_avi_encoder *encoders; /* of each worker */
    struct eq_progress progress;
    size_t done;
    pthread_mutex_t lock; /* guards progress, done and the first error */
    enum eq_status st;
    struct eq_err err;
};

static void clip_piece(void *ctx, size_t piece, int worker)
{
    struct job *job = ctx;
    struct eq_err err;
    pthread_mutex_lock(&job->lock);
    bool stop = job->st != EQ_OK;
    if (!stop && eq_interrupted()) {
        job->st = eq_fail(&job->err, EQ_INTERRUPTED,
                          "interrupted while writing %s. Run the same command to start again", job->dir);
        stop = true;
    }
    pthread_mutex_unlock(&job->lock);
    if (stop)
        return;
    enum eq_status st = write_clip(job->dir, job->opts, (uint32_t)piece, &job->encoders[worker], &err);
    pthread_mutex_lock(&job->lock);
    if (st != EQ_OK && job->st == EQ_OK) {
        job->st = st;
        job->err = err;
    }
    eq_progress_step(&job->progress, ++job->done, NULL);
    pthread_mutex_unlock(&job->lock);
}

static size_t clip_count(const struct eq_synth_opts *o)
{
    return (size_t)o->train + (size_t)o->val + (size_t)o->test;
}

static enum eq_status write_clips(const char *dir, const struct eq_synth_opts *opts, struct eq_err *err)
{
    const int workers = eq_parallel_threads();
    struct job job = {.dir = dir, .opts = opts, .st = EQ_OK};
    job.encoders = eq_alloc((size_t)workers, sizeof *job.encoders);
    if (!job.encoders)
        return eq_fail(err, EQ_NOMEM, "out of memory for synthetic clips");
    pthread_mutex_init(&job.lock, NULL);
    eq_progress_begin(&job.progress, "synthetic clips", "clips", clip_count(opts));
    eq_parallel_for(clip_count(opts), clip_piece, &job);
    eq_progress_end(&job.progress);
    pthread_mutex_destroy(&job.lock);
    for (int i = 0; i < workers; i++)
        eq_avi_encoder_clear(&job.encoders[i]);
    eq_free(job.encoders);
    return job.st == EQ_OK ? EQ_OK : eq_fail(err, job.st, "%s", job.err.msg);
}

static enum eq_status write_list(const char *dir, const struct eq_synth_opts *opts, struct eq_err *err)
{
    struct eq_writer w;
    char *path = eq_path_join(dir, "FileList.csv");
    enum eq_status st = eq_writer_open(&w, path, err);
    free(path);
    if (st != EQ_OK)
        return st;
    EQ_TRY(
        eq_writer_printf(&w, err, "FileName,EF,ESV,EDV,FrameHeight,FrameWidth,FPS,NumberOfFrames,HeartRate,Split\n"));
    for (uint32_t i = 0; i < clip_count(opts); i++) {
        struct eq_synth_patient p;
        char name[32];
        clip_name(name, opts->seed, i);
        eq_synth_draw_patient(&p, opts, i);
        EQ_TRY(eq_writer_printf(&w, err, "%s,%.6f,%.6f,%.6f,%d,%d,%d,%d,%.4f,%s\n", name, p.ef,
                                p.edv * (1 - p.ef / 100), p.edv, EQ_SYNTH_SIZE, EQ_SYNTH_SIZE, opts->fps, p.frames,
                                p.heart_rate, eq_split_name(p.split)));
    }
    EQ_TRY(eq_writer_commit(&w, err));
out:
    eq_writer_abort(&w);
    return st;
}

/* ---- how the set was made ------------------------------------------------ */

static struct cJSON *describe(const struct eq_synth_opts *o)
{
    struct cJSON *j = cJSON_CreateObject();
    cJSON_AddStringToObject(j, "made_by", "echoquant synth");
    cJSON_AddNumberToObject(j, "generator", GENERATOR_VERSION);
    cJSON_AddNumberToObject(j, "train", o->train);
    cJSON_AddNumberToObject(j, "val", o->val);
    cJSON_AddNumberToObject(j, "test", o->test);
    cJSON_AddNumberToObject(j, "frames_min", o->frames_min);
    cJSON_AddNumberToObject(j, "frames_max", o->frames_max);
    cJSON_AddNumberToObject(j, "fps", o->fps);
    cJSON_AddNumberToObject(j, "seed", (double)o->seed);
    return j;
}

/* made: the folder holds exactly this set, finished. An unfinished set of the same options is made again; anything
 * else is refused. */
static enum eq_status look_at_folder(const char *dir, const struct cJSON *wanted, bool *made, struct eq_err *err)
{
    struct eq_folder_look look;
    EQ_CHECK(eq_folder_look(dir, NOTE, wanted, &look, err));
    *made = look.same && look.finished;
    if (!look.empty && !look.noted)
        return eq_fail(err, EQ_USAGE, "%s is not empty and was not made by synth (no " NOTE "): name another folder",
                       dir);
    if (look.noted && !look.same)
        return eq_fail(err, EQ_USAGE,
                       "%s has a synthetic set of other settings (see %s/" NOTE "): remove it, or name another folder",
                       dir, dir);
    return EQ_OK;
}

static enum eq_status check_opts(const struct eq_synth_opts *o, struct eq_err *err)
{
    if (o->train < 0 || o->val < 0 || o->test < 0 || clip_count(o) == 0 || clip_count(o) > 99999)
        return eq_fail(err, EQ_USAGE, "a synthetic set has 1 to 99999 clips");
    if (o->frames_min < 2 || o->frames_max < o->frames_min || o->frames_max > 4000)
        return eq_fail(err, EQ_USAGE,
                       "a synthetic clip has 2 to 4000 frames, and the minimum must not exceed the maximum");
    if (o->fps < 1 || o->fps > 1000)
        return eq_fail(err, EQ_USAGE, "frames a second must lie in 1..1000");
    return EQ_OK;
}

enum eq_status eq_synth_write(const char *dir, const struct eq_synth_opts *opts, struct eq_err *err)
{
    enum eq_status st;
    bool made;
    struct eq_folder folder = {0};
    struct cJSON *note = describe(opts);
    char *videos = eq_path_join(dir, "Videos"), *note_path = eq_path_join(dir, NOTE);
    EQ_TRY(check_opts(opts, err));
    EQ_TRY(look_at_folder(dir, note, &made, err));
    if (made)
        goto out;
    EQ_TRY(eq_folder_enter(&folder, dir, err));
    EQ_TRY(look_at_folder(dir, note, &made, err)); /* another process may have been here */
    if (made)
        goto out;
    eq_info("writing %zu synthetic clips into %s", clip_count(opts), dir);
    EQ_TRY(eq_json_write(note_path, note, err));
    EQ_TRY(eq_make_dirs(videos, err));
    EQ_TRY(write_clips(dir, opts, err));
    EQ_TRY(write_list(dir, opts, err));
out:
    eq_folder_leave(&folder);
    cJSON_Delete(note);
    free(videos);
    free(note_path);
    return st;
}
