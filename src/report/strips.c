/* Film strips: the sampled frames of a few test clips as one JPEG each, plots/strip_<key>.jpg. The key is a hash of the
 * clip and its sampling, so that a strip that was made while the data folder was there can be told to be the right one
 * when it is not. */
#include "report/report.h"

#include "clip/still.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ACROSS = 8, GAP = 2, MAX_PIXELS = 16 * 112 * 112, KEY = 12 };
static const char prefix[] = "strip_", suffix[] = ".jpg";

/* ---- which clips ----------------------------------------------------------- */

struct ranked {
    double by;
    size_t clip;
};

/* Descending; equal ones in the order of the clips. */
static int by_size(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;
    if (x->by != y->by)
        return x->by > y->by ? -1 : 1;
    return (x->clip > y->clip) - (x->clip < y->clip);
}

/* Adds why the clip is shown, and the clip if it is not there yet. */
static struct eq_strip *pick(struct eq_report *report, size_t clip)
{
    struct eq_strips *s = &report->strips;
    for (size_t i = 0; i < s->n; i++)
        if (s->list[i].clip == clip) {
            eq_str_add(&s->list[i].title, "; ");
            return &s->list[i];
        }
    s->list = eq_list_grow(s->list, s->n, sizeof *s->list);
    s->list[s->n].clip = clip;
    return &s->list[s->n++];
}

static void pick_moved(struct eq_report *report, const struct eq_run_verdict *v, const struct eq_verdict_pair *p,
                       struct ranked *ranked, size_t n, size_t most)
{
    const struct eq_verdict_model *a = &v->models[p->a], *b = &v->models[p->b];
    for (size_t i = 0; i < n; i++)
        ranked[i] = (struct ranked){fabs(a->prediction[i] - b->prediction[i]), i};
    qsort(ranked, n, sizeof *ranked, by_size);
    for (size_t i = 0; i < n && i < most && ranked[i].by > 0; i++) {
        struct eq_strip *s = pick(report, ranked[i].clip);
        eq_str_add(&s->title, "%s moves it by %.2f points from %s (no. %zu)", a->row, ranked[i].by, b->row, i + 1);
    }
}

static void pick_errors(struct eq_report *report, const struct eq_verdict_model *m, struct ranked *ranked, size_t n)
{
    static const char *const names[] = {"largest", "median", "smallest"};
    for (size_t i = 0; i < n; i++)
        ranked[i] = (struct ranked){fabs(m->prediction[i] - m->clips->ef[i]), i};
    qsort(ranked, n, sizeof *ranked, by_size);
    const size_t places[] = {0, (n - 1) / 2, n - 1};
    for (size_t i = 0; i < 3; i++) {
        struct eq_strip *s = pick(report, ranked[places[i]].clip);
        eq_str_add(&s->title, "%s error of %s (%.2f points)", names[i], m->row, ranked[places[i]].by);
    }
}

/* Clips of the models that were tested on the same ones as the first. */
static enum eq_status choose(struct eq_report *report, const struct eq_run_verdict *v, size_t most, struct eq_err *err)
{
    const struct eq_verdict_clips *clips = v->clips[0];
    size_t n = clips->of.n, baseline = 0;
    const char *row = eq_phase_model(EQ_PHASE_TRAIN)->row;
    struct ranked *ranked = eq_alloc(n + 1, sizeof *ranked);
    if (!ranked)
        return eq_fail(err, EQ_NOMEM, "out of memory: film strips of %zu clips", n);
    for (size_t i = 0; i < v->n_pairs; i++)
        if (v->pairs[i].is_quantized && v->models[v->pairs[i].a].clips == clips)
            pick_moved(report, v, &v->pairs[i], ranked, n, most);
    for (size_t i = 0; i < v->n_models; i++)
        if (v->models[i].clips == clips && strcmp(v->models[i].row, row) == 0)
            baseline = i;
    if (n > 0)
        pick_errors(report, &v->models[baseline], ranked, n);
    eq_free(ranked);
    return EQ_OK;
}

/* ---- pictures -------------------------------------------------------------- */

/* What the model sees of a clip, in smaller frames if there are many or large ones. Of several phases, one in the
 * middle. */
static struct eq_sampling sampling_of(const struct eq_config *cfg)
{
    struct eq_sampling s = {.frames = cfg->data.frames, .size = cfg->data.size, .phase = -1};
    int phases = cfg->eval.phases, fits = (int)sqrt(MAX_PIXELS / (double)s.frames);
    s.size = s.size < fits ? s.size : fits;
    if (phases > 1)
        s.phase = (phases / 2 + 0.5) / phases;
    return s;
}

static void name_strip(struct eq_strip *strip, const char *file_name, uint64_t bytes, const struct eq_sampling *s)
{
    char *text = eq_format("%s\n%llu %d %d %.17g", file_name, (unsigned long long)bytes, s->frames, s->size, s->phase);
    char hex[EQ_SHA256_TEXT];
    eq_sha256(text, strlen(text), hex);
    eq_str_add(&strip->file, "%s%.*s%s", prefix, KEY, hex, suffix);
    free(text);
}

/* Rows of frames, from left to right. */
struct layout {
    size_t size, frames, across, width, height;
};

static struct layout layout_of(const struct eq_sampling *s)
{
    struct layout l = {.size = (size_t)s->size, .frames = (size_t)s->frames};
    size_t rows = (l.frames + ACROSS - 1) / ACROSS;
    l.across = (l.frames + rows - 1) / rows;
    l.width = l.across * (l.size + GAP) - GAP;
    l.height = rows * (l.size + GAP) - GAP;
    return l;
}

/* picture: [height][width][3] */
static enum eq_status read_frames(const char *path, const struct eq_sampling *sampling, bool use_damaged,
                                  uint8_t *picture, struct eq_err *err)
{
    struct eq_clip_info info;
    const uint8_t ground = 24;
    struct layout l = layout_of(sampling);
    uint8_t *clip = eq_alloc(eq_sampling_bytes(sampling), 1);
    enum eq_status st = clip ? EQ_OK : eq_fail(err, EQ_NOMEM, "out of memory for the frames of a clip");
    if (st == EQ_OK)
        st = eq_clip_read(path, sampling, clip, &info, err);
    if (st == EQ_OK && !use_damaged)
        st = eq_clip_refuse_damaged(path, &info, err);
    memset(picture, ground, l.width * l.height * 3);
    for (size_t i = 0; st == EQ_OK && i < l.frames * l.size; i++) { /* rows of pixels */
        size_t frame = i / l.size, y = frame / l.across * (l.size + GAP) + i % l.size;
        size_t x = frame % l.across * (l.size + GAP);
        memcpy(picture + (y * l.width + x) * 3, clip + i * l.size * 3, l.size * 3);
    }
    eq_free(clip);
    return st;
}

/* ---- the data folder ------------------------------------------------------- */

static const struct eq_sample *find(const struct eq_dataset *ds, const char *file_name)
{
    for (size_t i = 0; i < ds->n; i++)
        if (strcmp(ds->samples[i].file_name, file_name) == 0)
            return &ds->samples[i];
    return NULL;
}

struct source {
    struct eq_dataset now, was; /* the folder; the manifest of the run, empty if it has none */
    struct eq_err why;          /* why the folder cannot be read */
    bool there;
};

static enum eq_status open_source(const struct eq_config *cfg, const char *dir, const char *digest, struct source *s,
                                  struct eq_err *err)
{
    struct eq_list_opts opts = eq_run_list_opts(cfg);
    opts.on_error = EQ_ON_ERROR_SKIP; /* a clip that is gone concerns its own strip only */
    enum eq_status st = eq_run_read_manifest(dir, digest, &s->was, &s->why);
    if (st == EQ_OK || !eq_err_is_of_system(&s->why))
        st = eq_dataset_open(cfg->data.dir, &opts, &s->now, &s->why);
    s->there = st == EQ_OK;
    if (st != EQ_OK && eq_err_is_of_system(&s->why)) /* the same report could be made a moment later */
        return eq_fail(err, st, "%s", s->why.msg);
    return EQ_OK;
}

/* The clip of a prediction, or NULL with the reason: it must be the file that the model was tested on. */
static const struct eq_sample *find_clip(const struct source *s, const struct eq_prediction *row, struct eq_str *why)
{
    const struct eq_sample *now = find(&s->now, row->file_name), *was = find(&s->was, row->file_name);
    if (!now) {
        eq_str_add(why, "%s has no such clip", s->now.dir);
        for (size_t i = 0; i < s->now.n_skipped; i++)
            if (strcmp(s->now.skipped[i].file_name, row->file_name) == 0) {
                eq_str_clear(why);
                eq_str_add(why, "%s", s->now.skipped[i].reason);
            }
        return NULL;
    }
    if ((was && was->bytes != now->bytes) || fabs(now->ef - row->ef) > 1e-4) {
        eq_str_add(why, "%s is not the clip that was evaluated", now->path);
        return NULL;
    }
    return now;
}

/* Draws the strip, or leaves one that an earlier report made. strip->why: why it is not drawn. */
static enum eq_status make(const char *path, const struct eq_sample *sample, const struct eq_sampling *sampling,
                           bool use_damaged, struct eq_strip *strip, struct eq_err *err)
{
    struct layout l = layout_of(sampling);
    struct eq_err own = {0};
    uint8_t *picture = eq_alloc(l.width * l.height, 3);
    enum eq_status st = EQ_OK;
    if (!picture)
        EQ_TRY(eq_fail(err, EQ_NOMEM, "out of memory for a film strip"));
    enum eq_status drawn = read_frames(sample->path, sampling, use_damaged, picture, &own);
    if (drawn == EQ_OK) {
        drawn = eq_jpeg_write(path, picture, (int)l.width, (int)l.height, &own);
        if (drawn != EQ_OK && drawn != EQ_UNSUPPORTED)
            EQ_TRY(eq_fail(err, drawn, "%s", own.msg));
    }
    if (drawn != EQ_OK && eq_err_is_of_system(&own))
        EQ_TRY(eq_fail(err, drawn, "%s", own.msg));
    if (drawn != EQ_OK)
        eq_str_add(&strip->why, "%s", own.msg);
out:
    eq_free(picture);
    return st;
}

/* ---- texts ----------------------------------------------------------------- */

static void describe(struct eq_strip *strip, const struct eq_run_verdict *v, const struct eq_sampling *sampling,
                     const struct eq_config *cfg)
{
    const struct eq_verdict_clips *clips = v->clips[0];
    double ef = clips->ef[strip->clip];
    struct eq_str efs = {0};
    eq_str_add(&strip->name, "%s", clips->of.rows[strip->clip].file_name);
    eq_str_add(&efs, "True EF %.1f %%; predicted", ef);
    for (size_t i = 0, shown = 0; i < v->n_models; i++)
        if (v->models[i].clips == clips)
            eq_str_add(&efs, "%s %s %.1f (%+.1f)", shown++ ? "," : "", v->models[i].row,
                       v->models[i].prediction[strip->clip], v->models[i].prediction[strip->clip] - ef);
    eq_str_add(&strip->alt, "%d frames of the clip, in rows from left to right. %s.", sampling->frames, efs.s);
    eq_str_add(&strip->caption, "%s. The %d sampled frames", efs.s, sampling->frames);
    if (cfg->eval.phases > 1)
        eq_str_add(&strip->caption, " of one of %d phases", cfg->eval.phases);
    if (sampling->size != cfg->data.size)
        eq_str_add(&strip->caption, ", %d pixels wide for the model's %d", sampling->size, cfg->data.size);
    eq_str_add(&strip->caption, ", in rows from left to right.");
    eq_str_clear(&efs);
}

/* A report that says it has no pixels of a clip must not leave them beside it. */
static enum eq_status discard(const char *path, struct eq_err *err)
{
    return unlink(path) == 0 || errno == ENOENT ? EQ_OK : eq_fail_errno(err, "cannot remove %s", path);
}

/* plots/strips.csv: what the pictures show. */
static enum eq_status write_table(const char *dir, const struct eq_strips *s, const struct eq_run_verdict *v,
                                  struct eq_err *err)
{
    struct eq_str data = {0};
    char *path = eq_path_join(dir, "strips.csv");
    enum eq_status st = EQ_OK;
    eq_str_add(&data, "FileName,Picture,Shown,EF");
    for (size_t i = 0; i < v->n_models; i++)
        eq_csv_text(&data, v->models[i].row);
    eq_csv_end(&data);
    for (size_t i = 0; i < s->n; i++) {
        const struct eq_strip *strip = &s->list[i];
        eq_csv_text(&data, strip->name.s);
        eq_csv_text(&data, strip->file.len ? strip->file.s : "");
        eq_csv_text(&data, strip->title.s);
        eq_csv_real(&data, v->clips[0]->ef[strip->clip]);
        for (size_t m = 0; m < v->n_models; m++)
            eq_csv_real(&data, v->models[m].clips == v->clips[0] ? v->models[m].prediction[strip->clip] : NAN);
        eq_csv_end(&data);
    }
    if (s->n > 0)
        st = eq_write_file(path, data.s, data.len, err);
    else
        st = discard(path, err);
    eq_str_clear(&data);
    free(path);
    return st;
}

/* ---- the whole ------------------------------------------------------------- */

static bool is_strip(const char *name)
{
    size_t len = strlen(name), end = strlen(suffix);
    return strncmp(name, prefix, strlen(prefix)) == 0 && len > end && strcmp(name + len - end, suffix) == 0;
}

/* Removes the pictures of clips that are shown no more. */
static enum eq_status remove_others(const char *dir, const struct eq_strips *s, struct eq_err *err)
{
    char **names;
    size_t n;
    enum eq_status st = EQ_OK;
    EQ_CHECK(eq_list_dir(dir, &names, &n, err));
    for (size_t i = 0; i < n; i++) {
        bool used = !is_strip(names[i]);
        for (size_t k = 0; k < s->n && !used; k++)
            used = s->list[k].file.len && strcmp(s->list[k].file.s, names[i]) == 0;
        char *path = used || st != EQ_OK ? NULL : eq_path_join(dir, names[i]);
        if (path)
            st = discard(path, err);
        free(path);
    }
    eq_names_free(names, n);
    return st;
}

static enum eq_status make_all(struct eq_report *report, const struct eq_config *cfg, const struct eq_run_verdict *v,
                               const char *run_dir, const char *dir, struct eq_err *err)
{
    struct eq_strips *s = &report->strips;
    struct eq_sampling sampling = sampling_of(cfg);
    struct source source = {0};
    enum eq_status st;
    EQ_TRY(choose(report, v, (size_t)cfg->report.strips, err));
    EQ_TRY(open_source(cfg, run_dir, report->results.data.digest, &source, err));
    if (!source.there)
        eq_str_add(&s->away, "%s", source.why.msg);
    for (size_t i = 0; i < s->n; i++) {
        struct eq_strip *strip = &s->list[i];
        const struct eq_prediction *row = &v->clips[0]->of.rows[strip->clip];
        const struct eq_sample *was = find(&source.was, row->file_name);
        const struct eq_sample *now = source.there ? find_clip(&source, row, &strip->why) : NULL;
        describe(strip, v, &sampling, cfg);
        name_strip(strip, row->file_name, was ? was->bytes : now ? now->bytes : 0, &sampling);
        strip->width = (int)layout_of(&sampling).width;
        strip->height = (int)layout_of(&sampling).height;
        char *path = eq_path_join(dir, strip->file.s);
        st = now ? make(path, now, &sampling, cfg->data.on_error == EQ_ON_ERROR_USE, strip, err) : EQ_OK;
        bool there = access(path, R_OK) == 0;
        free(path);
        if (st != EQ_OK)
            goto out;
        strip->is_earlier = there && (s->away.len || strip->why.len);
        if (!there)
            eq_str_clear(&strip->file);
    }
    EQ_TRY(write_table(dir, s, v, err));
out:
    eq_dataset_clear(&source.now);
    eq_dataset_clear(&source.was);
    return st;
}

enum eq_status eq_strips_make(struct eq_report *report, const struct eq_config *cfg, struct eq_err *err)
{
    bool seeds = report->verdict.n_seeds > 0;
    const struct eq_run_verdict *v = seeds ? &report->verdict.of_seed[0] : &report->verdict;
    char *dir = eq_path_join(report->out_dir ? report->out_dir : report->run_dir, "plots");
    char *run_dir = seeds ? eq_seed_dir(report->run_dir, report->verdict.seeds[0]) : eq_strdup(report->run_dir);
    enum eq_status st = EQ_OK;
    report->strips.seed = seeds ? report->verdict.seeds[0] : -1;
    if (cfg->report.strips > 0 && v->n_models > 0)
        EQ_TRY(make_all(report, cfg, v, run_dir, dir, err));
    else
        EQ_TRY(write_table(dir, &report->strips, v, err));
    EQ_TRY(remove_others(dir, &report->strips, err));
out:
    free(dir);
    free(run_dir);
    return st;
}

void eq_strips_clear(struct eq_strips *s)
{
    for (size_t i = 0; i < s->n; i++) {
        struct eq_strip *strip = &s->list[i];
        eq_str_clear(&strip->file);
        eq_str_clear(&strip->name);
        eq_str_clear(&strip->title);
        eq_str_clear(&strip->caption);
        eq_str_clear(&strip->alt);
        eq_str_clear(&strip->why);
    }
    free(s->list);
    eq_str_clear(&s->away);
}
