/* The pixels that a model gets of a clip, for tests in other languages: reads CLIP as prediction does and writes
 * [frames][size][size][3] bytes to OUT. Not part of the program. */
#include "echoquant/data.h"

#include <stdio.h>

static enum eq_status dump(const char *clip, const struct eq_sampling *sampling, const char *out, struct eq_err *err)
{
    size_t bytes = eq_sampling_bytes(sampling);
    uint8_t *pixels = eq_alloc(bytes, 1);
    enum eq_status st = EQ_OK;
    if (!bytes || !pixels)
        EQ_TRY(eq_fail(err, EQ_USAGE, "frames or size out of range"));
    EQ_TRY(eq_clip_read(clip, sampling, pixels, NULL, err));
    EQ_TRY(eq_write_file(out, pixels, bytes, err));
out:
    eq_free(pixels);
    return st;
}

int main(int argc, char **argv)
{
    struct eq_err err = {0};
    if (argc != 5) {
        fprintf(stderr, "usage: dump_clip CLIP FRAMES SIZE OUT\n");
        return 2;
    }
    int64_t frames = 0, size = 0;
    if (!eq_parse_int64(argv[2], &frames) || !eq_parse_int64(argv[3], &size))
        return 2;
    struct eq_sampling sampling = {.frames = (int)frames, .size = (int)size, .phase = -1};
    enum eq_status st = dump(argv[1], &sampling, argv[4], &err);
    if (st != EQ_OK)
        fprintf(stderr, "error: %s\n", err.msg);
    return eq_exit_code(st);
}
