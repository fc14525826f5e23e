/*
 * What scripts/check_gpu.sh runs on a machine with a GPU: on each device and each way of multiplying integers, whether
 * INT8 has the bits of the CPU's engine and FP32 its EFs, and how long a call takes. Of devices that are alike, the
 * first is checked. One file that needs libc only, and the drivers. Prints one JSON object; what it does on stderr.
 *   check_gpu [--dry] [--seconds S]
 * --dry: OpenCL on a CPU as well, which is slow, so the largest model is left out. --seconds: for the timing of each
 * model and batch (1). Exit code 1: something differs.
 */
#include "device/api.h"
#include "echoquant/kernels.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SIZE = 112, FRAMES = 16, WIDTH = 64, MOST_CLIPS = 8, MOST_REPEATS = 2000 };

static struct eq_str out;
static bool all_good = true, dry;

static void need(enum eq_status st, const struct eq_err *err, const char *what)
{
    if (st == EQ_OK)
        return;
    fprintf(stderr, "check_gpu: %s: %s\n", what, err->msg);
    exit(1);
}

static void add_text(const char *key, const char *text)
{
    eq_str_add(&out, "\"%s\": \"", key);
    for (; *text; text++)
        if (*text == '"' || *text == '\\')
            eq_str_add(&out, "\\%c", *text);
        else
            eq_str_add(&out, (unsigned char)*text < ' ' ? "\\u%04x" : "%c", *text);
    eq_str_add(&out, "\", ");
}

static void close_object(char bracket)
{
    if (out.len >= 2 && strcmp(out.s + out.len - 2, ", ") == 0)
        out.s[out.len -= 2] = '\0';
    eq_str_add(&out, "%c, ", bracket);
}

/* ---- clips and models ------------------------------------------------------ */

struct clips {
    struct eq_clip_source source;
    uint8_t *pixels;
    int n, given;
};

static enum eq_status next(void *ctx, const uint8_t **pixels, int *n, struct eq_err *err)
{
    struct clips *c = ctx;
    (void)err;
    *n = c->given < c->n;
    *pixels = c->pixels + (size_t)c->given * c->source.frames * c->source.size * c->source.size * 3;
    c->given += *n;
    return EQ_OK;
}

static enum eq_status rewind_clips(void *ctx, struct eq_err *err)
{
    (void)err;
    ((struct clips *)ctx)->given = 0;
    return EQ_OK;
}

static void make_clips(struct clips *c, int n, int frames, int size)
{
    size_t row = (size_t)size * 3, total = (size_t)n * frames * size * row;
    struct eq_rng rng;
    eq_rng_init(&rng, (uint64_t)(size * 100 + frames), EQ_RNG_TEST, 0, 0);
    *c = (struct clips){.n = n, .pixels = eq_alloc(total, 1)};
    if (!c->pixels)
        exit(1);
    c->source = (struct eq_clip_source){
        .next = next, .rewind = rewind_clips, .ctx = c, .max_clips = 1, .frames = frames, .size = size};
    for (size_t i = 0; i < total; i++) {
        double v = 128 + 100 * sin((double)(i % row) / (double)row * 5) + 40 * eq_rng_normal(&rng);
        c->pixels[i] = (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
    }
}

/* A ResNet-18 of drawn weights. In the INT8 one, `kept` convolutions from the first on stay in FP32; extreme: scales of
 * edges a hundred times off, zero-points at the ends. */
struct shape {
    int width, size, frames, clips, bits, kept;
    bool extreme;
};
static const struct shape shapes[] = {{8, 33, 1, 3, 8, 0, false},           {20, 40, 3, 2, 8, 0, true},
                                      {12, 47, 16, 1, 2, 0, false},         {16, 35, 5, 2, 4, 0, true},
                                      {24, 57, 64, 1, 6, 0, false},         {20, 40, 3, 2, 8, 3, false},
                                      {WIDTH, SIZE, FRAMES, 2, 8, 0, false}};

static struct eq_graph *fp32_model(const struct shape *s, const struct clips *clips)
{
    struct eq_err err;
    struct eq_graph *net, *g;
    const struct eq_model_meta meta = {
        .frames = s->frames, .size = s->size, .pixel_mean = 100, .pixel_std = 50, .target_mean = 55, .target_std = 12};
    need(eq_resnet18_new(&meta, s->width, 2, &net, &err), &err, "model");
    need(eq_reestimate_batchnorm(net, &clips->source, 2, 1, &err), &err, "statistics");
    need(eq_fold_batchnorm(net, &g, &err), &err, "folding");
    need(eq_fuse(g, &err), &err, "fusing");
    eq_graph_free(net);
    return g;
}

static struct eq_qmodel *int8_model(const struct shape *s, const struct eq_graph *fp32, const struct clips *clips)
{
    struct eq_err err;
    struct eq_graph *g;
    struct eq_qmodel *m;
    const struct eq_observer_opts opts = {.kind = EQ_OBSERVER_MINMAX};
    need(eq_graph_clone(fp32, &g, &err), &err, "copy");
    need(eq_prepare_fake_quant(g, s->bits, &err), &err, "preparation");
    need(eq_calibrate(g, &clips->source, 2, &opts, NULL, NULL, &err), &err, "calibration");
    for (int i = 0; s->extreme && i < g->n_nodes; i++)
        if (g->nodes[i].edge_fq >= 0) {
            struct eq_fake_quant *fq = &g->fake_quants[g->nodes[i].edge_fq];
            fq->scale[0] *= i % 3 == 0 ? 100 : i % 3 == 1 ? 0.01F : 1;
            fq->zero_point[0] = i % 4 == 0 ? 0 : i % 4 == 1 ? 255 : 117;
        }
    if (s->kept) {
        bool *keep = eq_room((size_t)g->n_nodes, sizeof *keep);
        for (int i = 0, kept = 0; keep && i < g->n_nodes && kept < s->kept; i++)
            if (g->nodes[i].op == EQ_OP_CONV2D)
                keep[i] = ++kept > 0;
        need(eq_keep_fp32(g, keep, &err), &err, "keeping layers");
        free(keep);
    }
    need(eq_lower_int8(g, "ptq", &m, &err), &err, "lowering");
    eq_graph_free(g);
    return m;
}

/* ---- exactness -------------------------------------------------------------- */

/* What the CPU says of all shapes, made once. */
struct expected {
    struct clips clips;
    struct eq_graph *fp32;
    struct eq_qmodel *int8;
    float fp32_ef[MOST_CLIPS], int8_ef[MOST_CLIPS];
};
enum { SHAPES = sizeof shapes / sizeof *shapes };
static struct expected expected[SHAPES];

/* The last shape is that of the experiment, and what is timed. */
static int n_shapes(void)
{
    return dry ? 2 : SHAPES;
}

static void ask_cpu(const struct shape *s, struct expected *e)
{
    struct eq_err err;
    struct eq_exec *x;
    struct eq_qengine *q;
    make_clips(&e->clips, MOST_CLIPS, s->frames, s->size);
    e->fp32 = fp32_model(s, &e->clips);
    e->int8 = int8_model(s, e->fp32, &e->clips);
    const struct eq_exec_opts opts = {.mode = EQ_EXEC_INFER, .clips = s->clips, .frames = s->frames, .size = s->size};
    need(eq_exec_new(e->fp32, &opts, &x, &err), &err, "FP32 on the CPU");
    need(eq_exec_forward(x, e->clips.pixels, e->fp32_ef, &err), &err, "FP32 on the CPU");
    eq_exec_free(x);
    need(eq_qengine_new(e->int8, s->clips, s->frames, s->size, false, &q, &err), &err, "INT8 on the CPU");
    need(eq_qengine_run(q, e->clips.pixels, e->int8_ef, &err), &err, "INT8 on the CPU");
    eq_qengine_free(q);
}

/* Appends one row; what could not run is a row with the reason. */
static void check_exactness(struct eq_device *d, int i, bool floats)
{
    const struct shape *s = &shapes[i];
    struct expected *e = &expected[i];
    const float *want = floats ? e->fp32_ef : e->int8_ef;
    float got[MOST_CLIPS] = {0}, again[MOST_CLIPS] = {0};
    double most = 0;
    struct eq_err err = {0};
    struct eq_device_net *n = NULL;
    enum eq_status st = floats ? eq_device_net_of_graph(d, e->fp32, s->clips, &n, &err)
                               : eq_device_net_of_qmodel(d, e->int8, s->clips, &n, &err);
    if (st == EQ_OK)
        st = eq_device_net_run(n, e->clips.pixels, got, &err);
    if (st == EQ_OK)
        st = eq_device_net_run(n, e->clips.pixels, again, &err);
    eq_device_net_free(n);
    bool numbers = true;
    for (int k = 0; k < s->clips; k++) {
        double off = fabs((double)got[k] - (double)want[k]);
        numbers = numbers && !isnan(off);
        most = off > most ? off : most;
    }
    size_t bytes = (size_t)s->clips * sizeof *got;
    bool same = memcmp(got, again, bytes) == 0;
    bool good = st == EQ_OK && same && (floats ? numbers && most <= 1e-3 : memcmp(got, want, bytes) == 0);
    eq_str_add(&out, "{");
    add_text("model", floats ? "FP32" : s->kept ? "mixed" : "INT8");
    eq_str_add(&out,
               "\"width\": %d, \"size\": %d, \"frames\": %d, \"clips\": %d, \"weight_bits\": %d, \"extreme\": %s, ",
               s->width, s->size, s->frames, s->clips, floats ? 32 : s->bits, !floats && s->extreme ? "true" : "false");
    eq_str_add(&out, "\"most_difference\": %.9g, \"repeats\": %s, \"good\": %s, ", most, same ? "true" : "false",
               good ? "true" : "false");
    if (st != EQ_OK)
        add_text("error", err.msg);
    close_object('}');
    if (!good)
        fprintf(stderr, "check_gpu: %s by %s, %s of width %d: %s\n", d->info.id, d->info.integer_path,
                floats ? "FP32" : "INT8", s->width, st != EQ_OK ? err.msg : "differs from the CPU");
    all_good = all_good && good;
}

/* ---- times -------------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static void add_times(const char *name, double *ms, int n)
{
    qsort(ms, (size_t)n, sizeof *ms, compare);
    eq_str_add(&out, "\"%s\": {\"median\": %.6g, \"p95\": %.6g, \"min\": %.6g}, ", name, ms[n / 2],
               ms[(int)ceil(0.95 * n) - 1], ms[0]);
}

static void time_model(struct eq_device *d, bool floats, int clips, double seconds)
{
    static double whole[MOST_REPEATS], parts[3][MOST_REPEATS];
    struct expected *e = &expected[n_shapes() - 1];
    float ef[MOST_CLIPS];
    struct eq_err err = {0};
    struct eq_device_net *net;
    int n = 0;
    double begin = eq_now_ms();
    enum eq_status st = floats ? eq_device_net_of_graph(d, e->fp32, clips, &net, &err)
                               : eq_device_net_of_qmodel(d, e->int8, clips, &net, &err);
    double made = eq_now_ms();
    for (int i = 0; st == EQ_OK && i < 3; i++) /* warm */
        st = eq_device_net_run(net, e->clips.pixels, ef, &err);
    double until = eq_now_ms() + 1000 * seconds;
    for (; st == EQ_OK && n < MOST_REPEATS && (n < 5 || eq_now_ms() < until); n++) {
        double from = eq_now_ms();
        st = eq_device_net_run(net, e->clips.pixels, ef, &err);
        whole[n] = eq_now_ms() - from;
        struct eq_device_times t = eq_device_net_times(net);
        parts[0][n] = t.upload;
        parts[1][n] = t.compute;
        parts[2][n] = t.download;
    }
    eq_str_add(&out, "{");
    add_text("model", floats ? "FP32" : "INT8");
    eq_str_add(&out, "\"clips\": %d, \"repeats\": %d, \"setup_ms\": %.6g, ", clips, n, made - begin);
    if (st == EQ_OK) {
        eq_str_add(&out, "\"bytes\": %zu, ", eq_device_net_bytes(net));
        add_times("whole_ms", whole, n);
        add_times("upload_ms", parts[0], n);
        add_times("compute_ms", parts[1], n);
        add_times("download_ms", parts[2], n);
    } else {
        add_text("error", err.msg);
        all_good = false;
    }
    close_object('}');
    eq_device_net_free(net);
}

/* ---- devices ------------------------------------------------------------------- */

/* A device by one of its ways of multiplying integers; floats: FP32 too, which does not depend on it. */
static void check_path(struct eq_device *d, const char *path, bool floats, double seconds)
{
    snprintf(d->info.integer_path, sizeof d->info.integer_path, "%s", path);
    fprintf(stderr, "check_gpu: %s (%s) by %s\n", d->info.id, d->info.name, path);
    eq_str_add(&out, "{");
    add_text("path", path);
    eq_str_add(&out, "\"exactness\": [");
    for (int i = 0; i < n_shapes(); i++) {
        check_exactness(d, i, false);
        if (floats)
            check_exactness(d, i, true);
    }
    close_object(']');
    eq_str_add(&out, "\"times\": [");
    for (int clips = 1; clips <= MOST_CLIPS; clips *= MOST_CLIPS) {
        time_model(d, false, clips, seconds);
        if (floats)
            time_model(d, true, clips, seconds);
    }
    close_object(']');
    close_object('}');
}

/* The first device of the list that is like device i: machines with many GPUs have many alike. */
static const struct eq_device_info *alike(const struct eq_device_list *list, size_t i)
{
    const struct eq_device_info *d = list->devices, *this = &list->devices[i];
    while (strncmp(d->id, this->id, strcspn(this->id, ":")) != 0 || strcmp(d->name, this->name) != 0 ||
           strcmp(d->driver, this->driver) != 0 || d->memory != this->memory)
        d++;
    return d;
}

static void check_device(const struct eq_device_list *list, size_t i, double seconds)
{
    const struct eq_device_info *info = &list->devices[i], *first = alike(list, i);
    struct eq_err err = {0};
    struct eq_device *d = NULL;
    eq_str_add(&out, "{");
    add_text("id", info->id);
    add_text("name", info->name);
    add_text("driver", info->driver);
    add_text("integer_path", info->integer_path);
    eq_str_add(&out, "\"gpu\": %s, \"bytes\": %zu, \"units\": %d, ", info->is_gpu ? "true" : "false", info->memory,
               info->units);
    bool is_kind = info->is_gpu || dry, wanted = is_kind && first == info;
    double begin = eq_now_ms();
    enum eq_status st = wanted ? eq_device_open(info->id, &d, &err) : EQ_OK;
    double opened = eq_now_ms();
    if (!is_kind)
        add_text("why_not", "no GPU");
    else if (!wanted) {
        char text[64];
        snprintf(text, sizeof text, "not checked: like %s", first->id);
        add_text("why_not", text);
    }
    if (st != EQ_OK) {
        add_text("why_not", err.msg);
        fprintf(stderr, "check_gpu: %s\n", err.msg);
        all_good = false;
    }
    if (d) {
        eq_device_close(d);
        double again = eq_now_ms();
        need(eq_device_open(info->id, &d, &err), &err, info->id);
        eq_str_add(&out, "\"first_open_ms\": %.6g, \"later_open_ms\": %.6g, \"paths\": [", opened - begin,
                   eq_now_ms() - again);
        check_path(d, info->integer_path, true, seconds);
        if (strncmp(info->integer_path, "mma", 3) == 0)
            check_path(d, "dp4a", false, seconds);
        close_object(']');
        eq_device_close(d);
    }
    close_object('}');
}

enum { MOST_SECONDS = 80 }; /* for a driver's first build; check_gpu.sh ends all after 100 */

int main(int argc, char **argv)
{
    struct eq_device_list list;
    struct eq_err err = {0};
    bool usage = false;
    double seconds = 1;
    if (argc == 3 && strcmp(argv[1], EQ_DEVICE_TRY) == 0)
        eq_device_try(argv[2]);
    eq_device_allow_apart(MOST_SECONDS);
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--dry") == 0)
            dry = true;
        else if (strcmp(argv[i], "--seconds") == 0 && i + 1 < argc)
            usage = !eq_parse_double(argv[++i], &seconds) || !(seconds >= 0);
        else
            usage = true;
    }
    if (usage) {
        fprintf(stderr, "usage: check_gpu [--dry] [--seconds S]\n");
        return 2;
    }
    eq_log_configure(EQ_LOG_WARN);
    eq_kernels_init();
    need(eq_parallel_init(0, &err), &err, "threads");
    need(eq_devices_list(false, &list, &err), &err, "list");
    eq_str_add(&out, "{");
    add_text("version", ECHOQUANT_VERSION);
    add_text("cpu", eq_cpu_model_name());
    add_text("notes", list.notes.s);
    bool any = false;
    for (size_t i = 0; i < list.n; i++)
        any = any || list.devices[i].is_gpu || dry;
    for (int i = 0; any && i < n_shapes(); i++)
        ask_cpu(&shapes[i], &expected[i]);
    eq_str_add(&out, "\"devices\": [");
    for (size_t i = 0; i < list.n; i++)
        check_device(&list, i, seconds);
    close_object(']');
    eq_str_add(&out, "\"good\": %s", all_good ? "true" : "false");
    eq_str_add(&out, "}\n");
    fputs(out.s, stdout);
    eq_devices_clear(&list);
    return all_good ? 0 : 1;
}
