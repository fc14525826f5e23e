/* An encoder that has written other files before gives the same bytes as a new one. */
#include "unit/cmocka_all.h"
#include "clip/avi_write.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SMALL = 48, LARGE = 64, FRAMES = 5 };

struct source {
    int size, seed, fail_at;
};

static enum eq_status next_frame(void *ctx, int frame, uint8_t *gray, struct eq_err *err)
{
    const struct source *s = ctx;
    if (frame == s->fail_at)
        return eq_fail(err, EQ_IO, "no frame");
    for (int i = 0; i < s->size * s->size; i++)
        gray[i] = (uint8_t)(i * (s->seed + 3) / 7 + frame * s->seed);
    return EQ_OK;
}

static char path[64];

static enum eq_status write_avi(struct eq_avi_encoder *encoder, struct source s)
{
    struct eq_err err;
    struct eq_avi_opts opts = {s.size, {50, 1}, 3};
    return eq_avi_write(path, &opts, encoder, FRAMES, next_frame, &s, &err);
}

static void assert_writes_as_a_new_one(struct eq_avi_encoder *encoder, struct source s)
{
    struct eq_avi_encoder fresh = {0};
    void *a, *b;
    size_t na, nb;
    struct eq_err err;
    assert_int_equal(write_avi(&fresh, s), EQ_OK);
    eq_avi_encoder_clear(&fresh);
    assert_int_equal(eq_read_file(path, 1 << 20, &a, &na, &err), EQ_OK);
    assert_int_equal(write_avi(encoder, s), EQ_OK);
    assert_int_equal(eq_read_file(path, 1 << 20, &b, &nb, &err), EQ_OK);
    assert_int_equal(na, nb);
    assert_memory_equal(a, b, na);
    eq_free(a);
    eq_free(b);
}

static void an_encoder_may_have_written_before(void **state)
{
    (void)state;
    struct eq_avi_encoder encoder = {0};
    for (int seed = 1; seed < 4; seed++)
        assert_writes_as_a_new_one(&encoder, (struct source){SMALL, seed, -1});
    assert_int_equal(encoder.frames, 3 * FRAMES);
    assert_writes_as_a_new_one(&encoder, (struct source){LARGE, 4, -1}); /* other settings */
    assert_int_equal(encoder.frames, FRAMES);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(write_avi(&encoder, (struct source){LARGE, 5, 2}), EQ_IO);
    assert_int_not_equal(access(path, F_OK), 0);
    assert_writes_as_a_new_one(&encoder, (struct source){LARGE, 6, -1});
    eq_avi_encoder_clear(&encoder);
    assert_int_equal(unlink(path), 0);
}

int main(void)
{
    snprintf(path, sizeof path, "/tmp/echoquant_avi_%d.avi", (int)getpid());
    const struct CMUnitTest tests[] = {cmocka_unit_test(an_encoder_may_have_written_before)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
