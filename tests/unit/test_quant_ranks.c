/* A calibration that several processes share, with threads as the processes: any number of them finds the ranges that
 * one does, by every observer. */
#include "unit/exchange.h"
#include "unit/quant_fixture.h"

enum { MOST_CLIPS = 9, NO_CLIP = 99, FRAMES = 2, SIZE = 16, CLIP_BYTES = FRAMES * SIZE * SIZE * 3 };

/* In Winograd's domain, whose hundreds of points the last would look at for seconds, the others only. */
static const struct eq_observer_opts observers[] = {
    {.kind = EQ_OBSERVER_MINMAX},
    {.kind = EQ_OBSERVER_MOVING_AVERAGE, .averaging = 0.25},
    {.kind = EQ_OBSERVER_PERCENTILE, .percentile = 99},
    {.kind = EQ_OBSERVER_HIST_MSE},
    {.kind = EQ_OBSERVER_ENTROPY},
};
enum { OBSERVERS = sizeof observers / sizeof *observers, DOMAIN_OBSERVERS = OBSERVERS - 1 };

static uint8_t pixels[MOST_CLIPS][CLIP_BYTES];

/* Contrast rises, so that ranges widen from clip to clip, and falls again. */
static void make_clips(void)
{
    struct eq_rng rng;
    eq_rng_init(&rng, 5, EQ_RNG_TEST, 0, 1);
    for (int i = 0; i < MOST_CLIPS; i++)
        for (int k = 0; k < CLIP_BYTES; k++) {
            double contrast = i < 6 ? 1 << i : 9, v = 128 + contrast * eq_rng_normal(&rng);
            pixels[i][k] = (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
        }
}

/* What a process does, and finds. */
struct part {
    size_t clips, given, fails_at; /* fails_at: the clip that cannot be read; NO_CLIP: none */
    struct eq_clip_source source;
    struct eq_str found;
    enum eq_status st;
    struct eq_err err;
};

static enum eq_status next(void *ctx, const uint8_t **out, int *n, struct eq_err *err)
{
    struct part *p = ctx;
    const struct eq_comm *c = p->source.comm;
    size_t clip = p->given++ * (size_t)c->size + (size_t)c->rank;
    *n = clip < p->clips;
    *out = pixels[clip < p->clips ? clip : 0];
    return clip == p->fails_at ? eq_fail(err, EQ_IO, "clip %zu is gone", clip) : EQ_OK;
}

static enum eq_status rewind_clips(void *ctx, struct eq_err *err)
{
    (void)err;
    ((struct part *)ctx)->given = 0;
    return EQ_OK;
}

static void note_ranges(const struct eq_graph *g, struct eq_str *out)
{
    for (int i = 0; i < g->n_nodes; i++)
        for (int k = 0; k < 2; k++) {
            int at = k ? g->nodes[i].point_fq : g->nodes[i].edge_fq;
            const struct eq_fake_quant *fq = at < 0 ? NULL : &g->fake_quants[at];
            if (fq) {
                eq_str_add_bytes(out, fq->scale, (size_t)fq->channels * sizeof *fq->scale);
                eq_str_add_bytes(out, fq->zero_point, (size_t)fq->channels * sizeof *fq->zero_point);
            }
        }
}

static void calibrate(struct exchange_rank *rank)
{
    struct part *p = rank->ctx;
    const struct eq_model_meta meta = {
        .frames = FRAMES, .size = SIZE, .pixel_mean = 128, .pixel_std = 40, .target_mean = 50, .target_std = 10};
    struct eq_graph *net = NULL, *g = NULL;
    struct eq_statistics *s = NULL;
    const bool domain = p->clips % 2;
    const int n = domain ? DOMAIN_OBSERVERS : OBSERVERS;
    size_t used;
    p->source = (struct eq_clip_source){.next = next,
                                        .rewind = rewind_clips,
                                        .ctx = p,
                                        .max_clips = 1,
                                        .frames = FRAMES,
                                        .size = SIZE,
                                        .comm = &rank->comm};
    p->st = eq_resnet18_new(&meta, 8, 3, &net, &p->err);
    if (p->st == EQ_OK)
        p->st = eq_fold_batchnorm(net, &g, &p->err);
    if (p->st == EQ_OK)
        p->st = eq_fuse(g, &p->err);
    if (p->st == EQ_OK)
        p->st = eq_prepare_fake_quant_for(g, 8, domain ? EQ_ARITHMETIC_WINOGRAD : EQ_ARITHMETIC_DIRECT, &p->err);
    if (p->st == EQ_OK)
        p->st = eq_statistics_collect(g, &p->source, p->clips, observers, n, NULL, &used, &s, &p->err);
    for (int i = 0; i < n && p->st == EQ_OK; i++) {
        p->st = eq_statistics_apply(s, i, g, &p->err);
        if (p->st == EQ_OK)
            note_ranges(g, &p->found);
    }
    if (p->st == EQ_OK && used != p->clips)
        abort(); /* cmocka fails on its own thread only */
    eq_statistics_free(s);
    eq_graph_free(g);
    eq_graph_free(net);
}

static struct exchange shared = {.late = -1};

static void run(struct part *parts, int size, size_t clips, size_t fails_at)
{
    for (int i = 0; i < size; i++)
        parts[i] = (struct part){.clips = clips, .fails_at = fails_at};
    exchange_run(&shared, size, calibrate, parts, sizeof *parts);
}

/* Also where some have a clip less, or none. */
static void ranges_are_those_of_one_process(void **state)
{
    (void)state;
    static const size_t clips[] = {1, 2, 5, 6, MOST_CLIPS};
    struct part one, parts[MAX_RANKS];
    for (size_t c = 0; c < sizeof clips / sizeof *clips; c++) {
        run(&one, 1, clips[c], NO_CLIP);
        if (one.st != EQ_OK)
            fail_msg("%s", one.err.msg);
        assert_true(one.found.len > DOMAIN_OBSERVERS * 100);
        for (int size = 2; size <= MAX_RANKS; size++) {
            run(parts, size, clips[c], NO_CLIP);
            for (int i = 0; i < size; i++) {
                if (parts[i].st != EQ_OK)
                    fail_msg("%s", parts[i].err.msg);
                assert_int_equal(parts[i].found.len, one.found.len);
                assert_memory_equal(parts[i].found.s, one.found.s, one.found.len);
                eq_str_clear(&parts[i].found);
            }
        }
        eq_str_clear(&one.found);
    }
}

static void a_clip_of_one_ends_all(void **state)
{
    (void)state;
    struct part parts[3];
    for (size_t clip = 0; clip < 7; clip++) {
        char text[64];
        snprintf(text, sizeof text, "rank %zu: clip %zu is gone", clip % 3, clip);
        run(parts, 3, 7, clip);
        for (int i = 0; i < 3; i++) {
            assert_int_equal(parts[i].st, EQ_IO);
            assert_string_equal(parts[i].err.msg, text);
        }
    }
}

static void a_lost_process_ends_the_calibration(void **state)
{
    (void)state;
    struct part parts[2];
    shared.broken = true;
    run(parts, 2, 5, NO_CLIP);
    shared.broken = false;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(parts[i].st, EQ_IO);
        assert_string_equal(parts[i].err.msg, "the link is down");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranges_are_those_of_one_process),
        cmocka_unit_test(a_clip_of_one_ends_all),
        cmocka_unit_test(a_lost_process_ends_the_calibration),
    };
    make_clips();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
