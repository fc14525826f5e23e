/*
 * How long a clip takes from file to sampled frames, the file in the page cache:
 *
 *   bench_clip [--frames=16] [--size=112] [--repeats=50] CLIP...
 *
 * One line a clip: frames, codec, and the minimum and median of eq_clip_read, of the same decoding every frame, and of
 * eq_clip_check (quick), in ms.
 */
#include "clip/clip.h"

#include <stdlib.h>
#include <string.h>

struct options {
    int frames, size, repeats;
};
enum way { READ, READ_ALL, PROBE, WAYS };

static int compare_double(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static enum eq_status once(const char *path, enum way way, const struct eq_sampling *sampling, uint8_t *pixels,
                           struct eq_clip_info *info, struct eq_err *err)
{
    struct eq_clip_file file = {.name = path, .decode_all = way == READ_ALL};
    return way == PROBE ? eq_clip_check(path, EQ_CLIP_CHECK_QUICK, info, err)
                        : eq_clip_read_file(&file, sampling, pixels, info, err);
}

static enum eq_status bench(const char *path, const struct options *o, struct eq_err *err)
{
    enum eq_status st = EQ_OK;
    struct eq_sampling sampling = {o->frames, o->size, -1.0, 1};
    struct eq_clip_info info = {0};
    size_t bytes = eq_sampling_bytes(&sampling);
    uint8_t *pixels = eq_alloc(bytes ? bytes : 1, 1);
    double *ms = eq_alloc((size_t)o->repeats, sizeof *ms), least[WAYS], median[WAYS];
    if (!pixels || !ms) {
        st = eq_fail(err, EQ_NOMEM, "out of memory");
        goto out;
    }
    for (int way = 0; way < WAYS; way++) {
        for (int k = 0; k < o->repeats; k++) {
            double start = eq_now_ms();
            EQ_TRY(once(path, (enum way)way, &sampling, pixels, &info, err));
            ms[k] = eq_now_ms() - start;
        }
        qsort(ms, (size_t)o->repeats, sizeof *ms, compare_double);
        least[way] = ms[0];
        median[way] = ms[o->repeats / 2];
    }
    printf("%s: %d frames of %d x %d, %s%s; read %.2f (%.2f), decoding all %.2f (%.2f), probe %.2f (%.2f)\n", path,
           info.decoded_frames, info.width, info.height, info.codec, info.gray ? ", gray" : "", least[READ],
           median[READ], least[READ_ALL], median[READ_ALL], least[PROBE], median[PROBE]);
out:
    eq_free(pixels);
    eq_free(ms);
    return st;
}

static bool option(const char *arg, const char *name, int *value)
{
    int64_t n = 0;
    size_t len = strlen(name);
    if (strncmp(arg, name, len) != 0 || !eq_parse_int64(arg + len, &n) || n < 1 || n > 100000)
        return false;
    *value = (int)n;
    return true;
}

int main(int argc, char **argv)
{
    struct options o = {16, 112, 50};
    struct eq_err err = {0};
    int clips = 0;
    for (int i = 1; i < argc; i++) {
        if (option(argv[i], "--frames=", &o.frames) || option(argv[i], "--size=", &o.size) ||
            option(argv[i], "--repeats=", &o.repeats))
            continue;
        clips++;
        if (bench(argv[i], &o, &err) != EQ_OK) {
            fprintf(stderr, "%s\n", err.msg);
            return eq_exit_code(err.status);
        }
    }
    if (clips == 0)
        fprintf(stderr, "usage: %s [--frames=16] [--size=112] [--repeats=50] CLIP...\n", argv[0]);
    return clips ? 0 : 2;
}
