/* The error in parts: against networks whose fake-quants are set by hand, and histograms against the values. */
#include "new_exec.h"
#include "unit/quant_resnet.h"
#include "unit/quant_tape.h"

#include <stdlib.h>

enum { CLIPS = 3, NODES = 64 };

static const struct eq_observer_opts hist_mse = {.kind = EQ_OBSERVER_HIST_MSE};

struct pair {
    struct eq_graph *fp32, *quantized;
    struct noise_clips clips;
};

static void pair_init(struct pair *p, int bits)
{
    struct eq_graph *net = settled_resnet(&p->clips, CLIPS);
    p->fp32 = fold_and_fuse(net);
    assert_ok(eq_graph_clone(p->fp32, &p->quantized, e_));
    assert_ok(eq_prepare_fake_quant(p->quantized, bits, e_));
    assert_ok(eq_calibrate(p->quantized, &p->clips.source, CLIPS, &hist_mse, NULL, NULL, e_));
    eq_graph_free(net);
}

static void pair_free(struct pair *p)
{
    eq_graph_free(p->fp32);
    eq_graph_free(p->quantized);
    free(p->clips.pixels);
}

/* EFs with the fake-quants of the wanted kinds only. */
static void by_hand(const struct pair *p, bool weights, bool edges, float *ef)
{
    struct eq_graph *g;
    assert_ok(eq_graph_clone(p->quantized, &g, e_));
    for (int i = 0; i < g->n_nodes; i++) {
        if (g->nodes[i].weight_fq >= 0)
            g->fake_quants[g->nodes[i].weight_fq].enabled = weights;
        if (g->nodes[i].edge_fq >= 0)
            g->fake_quants[g->nodes[i].edge_fq].enabled = edges;
    }
    free(tape_of(g, -1, &p->clips, ef).x);
    eq_graph_free(g);
}

static void parts_are_networks_with_some_fake_quants(void **state)
{
    (void)state;
    struct pair p;
    float ef[EQ_PARTS][CLIPS], expected[CLIPS];
    struct eq_edge_range ranges[NODES];
    int n;
    size_t used;
    pair_init(&p, 4);
    assert_ok(eq_parts_measure(p.fp32, p.quantized, &p.clips.source, CLIPS, ef[0], ranges, &n, &used, NULL, e_));
    assert_int_equal(used, CLIPS);
    for (int part = 0; part < EQ_PARTS; part++) {
        by_hand(&p, part == EQ_PART_WEIGHTS || part == EQ_PART_BOTH, part >= EQ_PART_ACTIVATIONS, expected);
        assert_memory_equal(ef[part], expected, sizeof expected);
        for (int other = 0; other < part; other++)
            assert_true(memcmp(ef[part], ef[other], sizeof expected) != 0);
    }
    pair_free(&p);
}

/* Parts leave layers that stay in FP32 as they are; with all of them in FP32 there is neither error nor range. */
static void layers_in_fp32_stay_so(void **state)
{
    (void)state;
    for (int all = 0; all < 2; all++) {
        struct pair p;
        float ef[EQ_PARTS][CLIPS], expected[CLIPS];
        struct eq_edge_range ranges[NODES];
        bool keep[NODES] = {false};
        int n, layer = 0, kept_edges = 0, edges = 0;
        size_t used;
        pair_init(&p, 4);
        for (int i = 0; i < p.fp32->n_nodes; i++)
            keep[i] = p.quantized->nodes[i].weight_fq >= 0 && (all || layer++ % 3 == 0);
        assert_ok(eq_keep_fp32(p.quantized, keep, e_));
        for (int i = 0; i < p.fp32->n_nodes; i++)
            if (p.quantized->nodes[i].edge_fq >= 0) {
                edges++;
                kept_edges += p.quantized->fake_quants[p.quantized->nodes[i].edge_fq].bypass;
            }
        assert_ok(eq_parts_measure(p.fp32, p.quantized, &p.clips.source, CLIPS, ef[0], ranges, &n, &used, NULL, e_));
        free(tape_of(p.quantized, -1, &p.clips, expected).x);
        assert_memory_equal(ef[EQ_PART_BOTH], expected, sizeof expected);
        assert_int_equal(n, edges - kept_edges);
        for (int part = 1; all && part < EQ_PARTS; part++)
            assert_memory_equal(ef[part], ef[EQ_PART_NONE], sizeof expected);
        assert_true(all ? n == 0 : n > 10);
        pair_free(&p);
    }
}

static void histograms_are_of_fp32s_values(void **state)
{
    (void)state;
    struct pair p;
    float ef[EQ_PARTS][CLIPS], seen[CLIPS];
    struct eq_edge_range ranges[NODES];
    int n;
    size_t used;
    pair_init(&p, 8);
    /* One edge clips for certain. */
    int narrow = -1;
    for (int i = 0; i < p.quantized->n_nodes && narrow < 0; i++)
        narrow = p.quantized->nodes[i].edge_fq;
    p.quantized->fake_quants[narrow].scale[0] /= 2;
    assert_ok(eq_parts_measure(p.fp32, p.quantized, &p.clips.source, CLIPS, ef[0], ranges, &n, &used, NULL, e_));
    assert_int_equal(n, 20);
    for (int k = 0; k < n; k++) {
        const struct eq_edge_range *r = &ranges[k];
        const struct eq_fake_quant *fq = &p.quantized->fake_quants[p.quantized->nodes[r->node].edge_fq];
        struct tape t = tape_of(p.fp32, r->node, &p.clips, seen);
        float min = INFINITY, max = -INFINITY;
        double counted = 0, off = 0, bins[EQ_RANGE_BINS] = {0};
        size_t outside = 0;
        for (size_t i = 0; i < t.n; i++) {
            double q = (double)t.x[i] / (double)fq->scale[0] + fq->zero_point[0];
            min = fminf(min, t.x[i]);
            max = fmaxf(max, t.x[i]);
            outside += q < fq->qmin - 0.5 || q > fq->qmax + 0.5;
        }
        for (size_t i = 0; i < t.n; i++) {
            int b = (int)(EQ_RANGE_BINS * ((double)t.x[i] - (double)min) / ((double)max - (double)min));
            bins[b < EQ_RANGE_BINS ? b : EQ_RANGE_BINS - 1]++;
        }
        for (int b = 0; b < r->bins; b++) {
            counted += r->count[b];
            off += fabs(r->count[b] - bins[b]) / 2;
            assert_true(r->count[b] == round(r->count[b]));
        }
        assert_true(r->min == min && r->max == max && r->bins == EQ_RANGE_BINS);
        /* Values of clips before a wider one are spread within their bins. */
        assert_true(fabs(counted - (double)t.n) <= EQ_RANGE_BINS / 2 && off < 0.02 * (double)t.n);
        assert_true(r->count[0] > 0 && r->count[EQ_RANGE_BINS - 1] > 0);
        assert_true(fabs(r->clipped * (double)t.n - (double)outside) < 1.5);
        assert_true(fabs((double)r->low - (fq->qmin - fq->zero_point[0]) * (double)fq->scale[0]) < 1e-6);
        assert_true(fabs((double)r->high - (fq->qmax - fq->zero_point[0]) * (double)fq->scale[0]) < 1e-5);
        if (fq == &p.quantized->fake_quants[narrow])
            assert_true(r->clipped > 0 && (r->max > r->high || r->min < r->low));
        free(t.x);
    }
    pair_free(&p);
}

static void what_is_not_calibrated_is_refused(void **state)
{
    (void)state;
    struct pair p;
    float ef[EQ_PARTS][CLIPS];
    struct eq_edge_range ranges[NODES];
    int n;
    size_t used;
    pair_init(&p, 8);
    assert_int_equal(eq_parts_measure(p.fp32, p.fp32, &p.clips.source, CLIPS, ef[0], ranges, &n, &used, NULL, NULL),
                     EQ_UNSUPPORTED);
    pair_free(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_are_networks_with_some_fake_quants),
        cmocka_unit_test(layers_in_fp32_stay_so),
        cmocka_unit_test(histograms_are_of_fp32s_values),
        cmocka_unit_test(what_is_not_calibrated_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
