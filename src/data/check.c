/* The check of a data set: every clip is opened on all threads, unless it was good when it was last checked and is as
 * it was then. */
#include "data/check.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { CACHE_MAX_BYTES = 1 << 30 };

/* One clip for each piece. */
struct job {
    const struct eq_dataset *ds;
    struct eq_data_check *check;
    struct eq_cached_clip *now, *known; /* now: [n], the files as they are; known: those of the cache */
    size_t n_known;
    enum eq_finding_kind *kinds; /* [n], of the faults */
    size_t done, cached;
    enum eq_status st; /* of the first failure of the system */
    struct eq_err err;
    pthread_mutex_t lock; /* guards st and err */
    struct eq_progress progress;
    size_t to_open;
};

static const enum eq_finding_kind finding_of[] = {
    [EQ_CLIP_FAULT_MISSING] = EQ_FINDING_MISSING, [EQ_CLIP_FAULT_EMPTY] = EQ_FINDING_EMPTY,
    [EQ_CLIP_FAULT_CUT] = EQ_FINDING_CUT,         [EQ_CLIP_FAULT_TEXT] = EQ_FINDING_TEXT,
    [EQ_CLIP_FAULT_FORMAT] = EQ_FINDING_FORMAT,   [EQ_CLIP_FAULT_NO_VIDEO] = EQ_FINDING_NO_VIDEO,
    [EQ_CLIP_FAULT_LARGE] = EQ_FINDING_TOO_LARGE, [EQ_CLIP_FAULT_UNREADABLE] = EQ_FINDING_UNREADABLE,
};

/* A path inside the data folder. */
static const char *name_in(const struct eq_dataset *ds, size_t i)
{
    const char *path = ds->samples[i].path;
    size_t len = strlen(ds->dir);
    return strncmp(path, ds->dir, len) == 0 ? path + len : path;
}

/* What the reader's message says of the path: it may go on with "is" or a colon. */
static const char *without_path(const char *message, const char *path)
{
    size_t len = strlen(path);
    if (strncmp(message, path, len) != 0)
        return message;
    message += len;
    message += strspn(message, ": ");
    return strncmp(message, "is ", 3) == 0 ? message + 3 : message;
}

/* Notes a failure that is no fault of a clip. */
static void note_failure(struct job *job, const struct eq_err *why)
{
    pthread_mutex_lock(&job->lock);
    if (job->st == EQ_OK) {
        job->st = why->status;
        job->err = *why;
    }
    pthread_mutex_unlock(&job->lock);
}

static bool stopped(struct job *job)
{
    pthread_mutex_lock(&job->lock);
    bool stopped = job->st != EQ_OK;
    pthread_mutex_unlock(&job->lock);
    return stopped;
}

static void open_clip(void *ctx, size_t i, int worker)
{
    struct job *job = ctx;
    struct eq_checked_clip *c = &job->check->clips[i];
    const char *path = job->ds->samples[i].path;
    struct eq_clip_info info = {0};
    struct eq_err err = {0};
    if (c->frames || eq_interrupted() || stopped(job))
        return;
    enum eq_status st = eq_clip_check(path, EQ_CLIP_CHECK_FULL, &info, &err);
    if (st == EQ_OK) {
        *c = (struct eq_checked_clip){info.width, info.height, info.decoded_frames, info.fps, NULL, NULL};
        if (info.damaged) {
            c->fault = eq_format("%s: the clip is damaged: %s", path, info.reason);
            c->damage = c->fault + strlen(c->fault) - strlen(info.reason);
        }
        bool cut = strncmp(info.reason, "the file is cut off", 19) == 0;
        job->kinds[i] = cut ? EQ_FINDING_CUT : EQ_FINDING_DAMAGED;
    } else if (eq_err_is_of_system(&err)) {
        note_failure(job, &err);
    } else {
        c->fault = eq_strdup(err.msg);
        job->kinds[i] = finding_of[eq_clip_fault_of(path, &err)];
    }
    size_t done = __atomic_add_fetch(&job->done, 1, __ATOMIC_RELAXED);
    if (worker == 0) /* one thread draws */
        eq_progress_step(&job->progress, done, NULL);
}

/* ---- the cache ---- */

/* Takes over what is known of clips that are as they were. *text: what the names of the cache are in; eq_free. */
static void use_cache(struct job *job, const char *file, void **text)
{
    size_t len = 0;
    *text = NULL;
    for (size_t i = 0; i < job->ds->n; i++) {
        struct stat info;
        struct eq_err why;
        const char *path = job->ds->samples[i].path;
        job->now[i].name = name_in(job->ds, i);
        if (stat(path, &info) == 0)
            eq_cached_clip_of(&info, &job->now[i]);
        else if (eq_fail_errno(&why, "%s", path), eq_err_is_of_system(&why))
            note_failure(job, &why);
    }
    if (!file || eq_read_file(file, CACHE_MAX_BYTES, text, &len, NULL) != EQ_OK)
        return;
    if (!eq_check_cache_parse(*text, len, &job->known, &job->n_known))
        eq_debug("%s: of another version, or damaged: every clip is opened", file);
    for (size_t i = 0; i < job->ds->n; i++) {
        const struct eq_cached_clip *was = eq_check_cache_find(job->known, job->n_known, job->now[i].name);
        if (!was || !eq_cached_clip_same_file(was, &job->now[i]) ||
            !eq_clip_within_limits(was->width, was->height, was->frames)) /* the limit may be another now */
            continue;
        job->check->clips[i] = (struct eq_checked_clip){was->width, was->height, was->frames, was->fps, NULL, NULL};
        job->check->cached++;
    }
}

/* A failure costs the next check time and nothing else. */
static void keep(struct job *job, const char *dir, const char *file)
{
    struct eq_err err = {0};
    struct eq_str text = {0};
    size_t n = 0;
    for (size_t i = 0; i < job->ds->n; i++) {
        const struct eq_checked_clip *c = &job->check->clips[i];
        if (c->fault)
            continue;
        struct eq_cached_clip *clip = &job->now[n++];
        *clip = job->now[i];
        clip->width = c->width;
        clip->height = c->height;
        clip->frames = c->frames;
        clip->fps = c->fps;
    }
    eq_check_cache_print(job->now, n, &text);
    if (eq_cache_write(dir, "clips-", file, text.s, text.len, &err) != EQ_OK)
        eq_debug("the check of the clips is not kept: %s", err.msg);
    eq_str_clear(&text);
}

/* ---- the whole ---- */

static int by_kind(const void *a, const void *b)
{
    const struct eq_finding *x = *(const struct eq_finding *const *)a, *y = *(const struct eq_finding *const *)b;
    if (x->kind != y->kind)
        return x->kind < y->kind ? -1 : 1;
    return x < y ? -1 : x > y; /* in the order in which they were found */
}

static enum eq_status sort_findings(struct eq_data_check *c, struct eq_err *err)
{
    size_t n = c->n_findings;
    struct eq_finding *sorted = calloc(n + 1, sizeof *sorted);
    const struct eq_finding **order = calloc(n + 1, sizeof *order);
    bool done = sorted && order;
    if (done) {
        for (size_t i = 0; i < n; i++)
            order[i] = &c->findings[i];
        qsort(order, n, sizeof *order, by_kind);
        for (size_t i = 0; i < n; i++)
            sorted[i] = *order[i];
        free(c->findings);
        c->findings = sorted;
        sorted = NULL;
    }
    free(order);
    free(sorted);
    return done ? EQ_OK : eq_fail(err, EQ_NOMEM, "out of memory for what the check found");
}

static void add_faults(const struct job *job)
{
    struct eq_data_check *c = job->check;
    const struct eq_dataset *ds = job->ds;
    if (!ds->has_list)
        eq_data_check_add(c, EQ_FINDING_NO_LIST, "", -1, "there is no FileList.csv");
    for (size_t i = 0; i < ds->n_notes; i++)
        eq_data_check_add(c, ds->notes[i].kind, "", -1, ds->notes[i].text);
    for (size_t i = 0; i < ds->n_skipped; i++)
        eq_data_check_add(c, ds->skipped[i].status == EQ_IO ? EQ_FINDING_MISSING : EQ_FINDING_ROW,
                          ds->skipped[i].file_name, -1, ds->skipped[i].reason);
    for (size_t i = 0; i < ds->n; i++)
        if (c->clips[i].fault)
            eq_data_check_add(c, job->kinds[i], ds->samples[i].file_name, (int)ds->samples[i].split,
                              c->clips[i].damage ? c->clips[i].damage
                                                 : without_path(c->clips[i].fault, ds->samples[i].path));
        else
            c->good++;
}

enum eq_status eq_data_check(const struct eq_dataset *ds, const struct eq_check_opts *opts, struct eq_data_check *out,
                             struct eq_err *err)
{
    enum eq_status st = EQ_OK;
    size_t n = ds->n;
    struct job job = {.ds = ds, .check = out, .lock = PTHREAD_MUTEX_INITIALIZER};
    void *text = NULL;
    char *file = opts->cache_dir ? eq_check_cache_path(opts->cache_dir, ds->dir) : NULL;
    *out = (struct eq_data_check){.n = n};
    out->clips = eq_alloc(n + 1, sizeof *out->clips);
    job.now = calloc(n + 1, sizeof *job.now);
    job.kinds = calloc(n + 1, sizeof *job.kinds);
    if (!out->clips || !job.now || !job.kinds)
        EQ_TRY(eq_fail(err, EQ_NOMEM, "out of memory for checking the clips"));
    use_cache(&job, file, &text);
    if (out->cached)
        eq_debug("%zu clips are unchanged since their last check", out->cached);
    eq_progress_begin(&job.progress, "check", "clips", n - out->cached);
    eq_parallel_for(out->cached < n ? n : 0, open_clip, &job);
    eq_progress_step(&job.progress, job.done, NULL);
    eq_progress_end(&job.progress);
    if (eq_interrupted())
        EQ_TRY(eq_fail(err, EQ_INTERRUPTED, "interrupted while checking the clips of %s", ds->dir));
    if (job.st == EQ_TOO_SLOW)
        EQ_TRY(eq_fail(err, job.st, "%s", job.err.msg));
    if (job.st != EQ_OK)
        EQ_TRY(eq_fail(err, job.st, "%s. This is no fault of the clip, so nothing is left out for it", job.err.msg));
    add_faults(&job);
    eq_check_rows(out, ds, opts->frames);
    EQ_TRY(eq_check_copies(out, ds, job.now, err));
    EQ_TRY(sort_findings(out, err));
    if (file && out->cached < n)
        keep(&job, opts->cache_dir, file);
out:
    free(job.now);
    free(job.known);
    free(job.kinds);
    eq_free(text);
    free(file);
    pthread_mutex_destroy(&job.lock);
    if (st != EQ_OK)
        eq_data_check_clear(out);
    return st;
}
