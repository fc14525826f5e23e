/* INT8 in Winograd's domain, from calibration to the engine: against plain C that knows the formulas only. */
#include "quant/points.h"
#include "quant/qmodel.h"
#include "quant/quant_graph.h"
#include "unit/quant_fixture.h"

#include <unistd.h>

enum { IN = 6, POINTS = 36 };

static const double bt[IN][IN] = {{4, 0, -5, 0, 1, 0},  {0, -4, -4, 1, 1, 0}, {0, 4, -4, -1, 1, 0},
                                  {0, -2, -1, 2, 1, 0}, {0, 2, -1, -2, 1, 0}, {0, 4, 0, -5, 0, 1}};

/* The tiles of a side: where each begins, and how many outputs it makes. */
static int tiles_of(int n, int *start, int *outputs)
{
    int tiles = (n + 3) / 4, less = 4 * tiles - n, at = 0;
    for (int i = 0; i < tiles; i++) {
        start[i] = at;
        outputs[i] = less <= tiles && i >= tiles - less ? 3 : 4;
        at += outputs[i];
    }
    return tiles;
}

/* Point p of a tile whose source is d[6][6]. */
static double point_of(double d[IN][IN], int p)
{
    double sum = 0;
    for (int y = 0; y < IN; y++)
        for (int x = 0; x < IN; x++)
            sum += bt[p / IN][y] * bt[p % IN][x] * d[y][x];
    return sum;
}

/* ---- points --------------------------------------------------------------- */

static int by_value(const void *a, const void *b)
{
    const float *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* All values of a point, one tile, frame and channel after the other; returns how many. */
static size_t expected_values(const struct eq_conv_shape *s, const float *src, int p, float *out)
{
    int ys[16], yn[16], xs[16], xn[16], ny = tiles_of(s->oh, ys, yn), nx = tiles_of(s->ow, xs, xn);
    size_t n = 0, pixel = (size_t)s->t * s->cin;
    for (int b = 0; b < s->b; b++)
        for (int i = 0; i < ny * nx; i++)
            for (size_t c = 0; c < pixel; c++) {
                double d[IN][IN] = {{0}};
                for (int k = 0; k < POINTS; k++) {
                    int y = ys[i / nx] - 1 + k / IN, x = xs[i % nx] - 1 + k % IN;
                    if (y >= 0 && y < s->h && x >= 0 && x < s->w)
                        d[k / IN][k % IN] = (double)src[(((size_t)b * s->h + y) * s->w + x) * pixel + c];
                }
                if ((p / IN < 5 || yn[i / nx] == 4) && (p % IN < 5 || xn[i % nx] == 4))
                    out[n++] = (float)point_of(d, p);
            }
    return n;
}

static void points_are_those_of_the_formula(void **state)
{
    (void)state;
    for (int h = 1; h <= 14; h++) {
        struct eq_conv_shape s;
        struct eq_rng rng;
        eq_conv_shape_init(&s, 1 + h % 2, 1 + h % 3, h, 15 - h, 1 + 5 * h % 7, 1, 3, 1, 1, EQ_LAYOUT_PIXEL);
        size_t n = (size_t)s.b * s.h * s.w * s.t * s.cin, total = 0;
        float *src = malloc(n * sizeof *src), *all, *one = malloc((n + 64) * 16 * sizeof *one);
        eq_rng_init(&rng, 9, EQ_RNG_TEST, 0, (uint32_t)h);
        for (size_t i = 0; i < n; i++)
            src[i] = (float)((int)eq_rng_below(&rng, 512) - 256); /* whole: every order of summation is exact */
        for (int p = 0; p < POINTS; p++)
            total += eq_point_values(&s, p);
        all = malloc(total * sizeof *all);
        eq_points_transform(&s, src, all);
        const float *at = all;
        for (int p = 0; p < POINTS; p++) {
            size_t count = expected_values(&s, src, p, one), got = eq_point_values(&s, p);
            assert_int_equal(got, count);
            float *found = malloc((count + 1) * sizeof *found);
            memcpy(found, at, count * sizeof *found);
            qsort(found, count, sizeof *found, by_value);
            qsort(one, count, sizeof *one, by_value);
            assert_memory_equal(found, one, count * sizeof *found);
            free(found);
            at += count;
        }
        free(src);
        free(all);
        free(one);
    }
}

/* ---- calibration ---------------------------------------------------------- */

struct seen {
    const struct eq_graph *g;
    struct eq_exec *x;
    float low[64][POINTS], high[64][POINTS];
};

static enum eq_status look(void *ctx, struct eq_graph *g, int node, const float *data, size_t n, struct eq_err *err)
{
    struct seen *s = ctx;
    (void)n, (void)err;
    for (int i = 0; i < g->n_nodes; i++) {
        struct eq_exec_layer l;
        if (s->g->nodes[i].point_fq < 0 || g->nodes[i].src[0] != node || !eq_exec_layer(s->x, i, EQ_CONV_FORWARD, &l))
            continue;
        float *values = malloc((size_t)l.shape.b * l.shape.t * l.shape.cin * 36 * sizeof *values);
        for (int p = 0; p < POINTS; p++) {
            size_t count = expected_values(&l.shape, data, p, values);
            for (size_t k = 0; k < count; k++) {
                s->low[i][p] = fminf(s->low[i][p], values[k]);
                s->high[i][p] = fmaxf(s->high[i][p], values[k]);
            }
        }
        free(values);
    }
    return EQ_OK;
}

/* Min-max: scales fit the least and greatest value of each point, and are those that whole multipliers give. */
static void ranges_hold_what_clips_have(void **state)
{
    (void)state;
    for (uint64_t seed = 30; seed < 42; seed++) {
        struct noise_clips clips;
        struct eq_graph *net = random_net(seed), *plain;
        noise_clips_init(&clips, seed, 3, net->meta.frames, net->meta.size);
        struct eq_graph *g = calibrated_net_for(net, false, EQ_OBSERVER_MINMAX, EQ_ARITHMETIC_WINOGRAD, &clips);
        assert_ok(eq_graph_clone(g, &plain, e_));
        for (int i = 0; i < plain->n_nodes; i++)
            plain->nodes[i].weight_fq = plain->nodes[i].edge_fq = plain->nodes[i].point_fq = -1;
        struct seen s = {.g = g};
        const struct eq_exec_opts opts = {.clips = 1, .frames = g->meta.frames, .size = g->meta.size, .watched = true};
        assert_ok(eq_exec_new(plain, &opts, &s.x, e_));
        eq_exec_set_hook(s.x, &(struct eq_walk_hook){.on_stored = look, .ctx = &s});
        for (int i = 0; i < clips.n; i++) {
            float ef;
            size_t clip = (size_t)g->meta.frames * g->meta.size * g->meta.size * 3;
            assert_ok(eq_exec_forward(s.x, clips.pixels + (size_t)i * clip, &ef, e_));
        }
        for (int i = 0; i < g->n_nodes; i++) {
            if (g->nodes[i].point_fq < 0)
                continue;
            const struct eq_fake_quant *fq = &g->fake_quants[g->nodes[i].point_fq];
            float src = eq_source_scale(g, g->nodes[i].src[0]);
            assert_true(fq->enabled && src > 0);
            for (int p = 0; p < POINTS; p++) {
                double step = fq->scale[p], range = s.high[i][p] - s.low[i][p], mul = 32768.0 * (double)src / step;
                assert_true(fq->scale[p] == eq_domain_scale(src, eq_domain_mul(src, fq->scale[p])));
                assert_true(fq->zero_point[p] >= 0 && fq->zero_point[p] <= 255);
                if (mul > 32766) /* a finer step than the source's own is of no use */
                    assert_true(range / 255 <= step * 1.0001);
                else /* to the rounding of the multiplier */
                    assert_true(fabs(range / 255 / step - 1) <= 0.51 / mul + 1e-5);
                assert_true(s.low[i][p] >= (float)(-fq->zero_point[p] - 2) * fq->scale[p]);
                assert_true(s.high[i][p] <= (float)(255 - fq->zero_point[p] + 2) * fq->scale[p]);
            }
        }
        eq_exec_free(s.x);
        eq_graph_free(plain);
        eq_graph_free(g);
        free(clips.pixels);
    }
}

static void every_observer_finds_ranges(void **state)
{
    (void)state;
    for (int kind = 0; kind < EQ_OBSERVER_COUNT; kind++) {
        struct noise_clips clips;
        struct eq_graph *net = random_net(33);
        struct eq_qmodel *m;
        noise_clips_init(&clips, 33, 3, net->meta.frames, net->meta.size);
        struct eq_graph *g =
            calibrated_net_for(net, false, (enum eq_observer_kind)kind, EQ_ARITHMETIC_WINOGRAD, &clips);
        assert_ok(eq_lower_int8(g, "ptq", &m, e_));
        assert_true(eq_qmodel_has_domain(m));
        eq_qmodel_free(m);
        eq_graph_free(g);
        free(clips.pixels);
    }
}

/* A side of 3 has one tile, of 3: no value is ever at infinity. */
static void a_point_without_values_has_a_scale(void **state)
{
    (void)state;
    struct net_builder b = {.g = calloc(1, sizeof(struct eq_graph))};
    struct noise_clips clips;
    struct eq_qmodel *m;
    struct eq_qengine *e;
    float ef;
    eq_rng_init(&b.rng, 1, EQ_RNG_TEST, 0, 90);
    b.g->meta = (struct eq_model_meta){
        .frames = 2, .size = 3, .pixel_mean = 100, .pixel_std = 40, .target_mean = 55, .target_std = 12};
    int x = b.g->input = net_simple(&b, EQ_OP_INPUT, -1, "input", 3);
    x = net_conv(&b, x, "stem", 3, 5, 3, 1, true); /* reads pixels: stays direct */
    x = net_conv(&b, x, "conv", 5, 7, 3, 1, true);
    net_head(&b, x, 7);
    noise_clips_init(&clips, 3, 2, 2, 3);
    for (int kind = 0; kind < EQ_OBSERVER_COUNT; kind++) {
        struct eq_graph *copy;
        assert_ok(eq_graph_clone(b.g, &copy, e_));
        struct eq_graph *g =
            calibrated_net_for(copy, false, (enum eq_observer_kind)kind, EQ_ARITHMETIC_WINOGRAD, &clips);
        assert_int_equal(g->nodes[eq_graph_find_node(g, "stem")].point_fq, -1);
        assert_true(g->nodes[eq_graph_find_node(g, "conv")].point_fq >= 0);
        assert_ok(eq_lower_int8(g, "ptq", &m, e_));
        assert_ok(eq_qengine_new(m, 1, 2, 3, false, &e, e_));
        assert_ok(eq_qengine_run(e, clips.pixels, &ef, e_));
        assert_true(isfinite(ef));
        eq_qengine_free(e);
        eq_qmodel_free(m);
        eq_graph_free(g);
    }
    eq_graph_free(b.g);
    free(clips.pixels);
}

/* ---- weights -------------------------------------------------------------- */

static void weight_scales_fit_transformed_weights(void **state)
{
    (void)state;
    for (int keep_bn = 0; keep_bn < 2; keep_bn++) {
        struct noise_clips clips;
        struct eq_graph *net = random_net(35);
        noise_clips_init(&clips, 35, 2, net->meta.frames, net->meta.size);
        struct eq_graph *g = calibrated_net_for(net, keep_bn, EQ_OBSERVER_MINMAX, EQ_ARITHMETIC_WINOGRAD, &clips);
        int layers = 0;
        for (int i = 0; i < g->n_nodes; i++) {
            const struct eq_node *n = &g->nodes[i];
            if (n->point_fq < 0)
                continue;
            const float *w = eq_param_data(&g->params[n->weight]);
            const struct eq_fake_quant *fq = &g->fake_quants[n->weight_fq];
            float *largest = calloc((size_t)POINTS * n->cout, sizeof *largest), *u;
            assert_ok(eq_transform_weights(g, i, &u, e_));
            for (int oc = 0; oc < n->cout; oc++)
                for (int ci = 0; ci < n->cin; ci++) {
                    float folded[9];
                    double points[POINTS];
                    for (int k = 0; k < 9; k++)
                        folded[k] = w[((size_t)oc * n->cin + ci) * 9 + k] * eq_fold_factor(g, n, oc);
                    eq_domain_weights(folded, points);
                    for (int p = 0; p < POINTS; p++) {
                        int row = p * n->cout + oc;
                        assert_true(u[(size_t)row * n->cin + ci] == (float)points[p]);
                        largest[row] = fmaxf(largest[row], fabsf((float)points[p]));
                    }
                }
            for (int row = 0; row < POINTS * n->cout; row++)
                assert_true(fq->scale[row] == largest[row] / 127);
            free(largest);
            eq_free(u);
            layers++;
        }
        assert_true(layers > 0);
        assert_ok(eq_set_weight_qparams(g, &(struct eq_weight_opts){.per_tensor = true}, e_));
        for (int i = 0; i < g->n_nodes; i++) {
            const struct eq_node *n = &g->nodes[i];
            for (int row = 0; n->point_fq >= 0 && row < POINTS * n->cout; row++)
                assert_true(g->fake_quants[n->weight_fq].scale[row] ==
                            g->fake_quants[n->weight_fq].scale[row / n->cout * n->cout]);
        }
        eq_graph_free(g);
        free(clips.pixels);
    }
}

/* ---- the engine ----------------------------------------------------------- */

struct edges {
    uint8_t *bytes[64];
    size_t n[64];
};

static void keep_edge(void *ctx, int node, const uint8_t *q, size_t n)
{
    struct edges *e = ctx;
    e->bytes[node] = realloc(e->bytes[node], n);
    memcpy(e->bytes[node], q, n);
    e->n[node] = n;
}

/* A^T along an axis; the order of operations is the specification's. */
static void outputs_of(const float *m, int step, int outputs, float *y)
{
    float s12 = m[step] + m[2 * step], d12 = m[step] - m[2 * step];
    float s34 = m[3 * step] + m[4 * step], d34 = m[3 * step] - m[4 * step];
    y[0] = (m[0] + s12) + s34;
    y[1] = fmaf(d34, 2, d12);
    y[2] = fmaf(s34, 4, s12);
    if (outputs == 4)
        y[3] = fmaf(d34, 8, d12) + m[5 * step];
}

/* The whole layer of one clip, in real scales: frame f, output channel oc. */
static void expect_channel(const struct eq_qmodel *m, int node, const struct edges *edges, int side, int f, int oc)
{
    const struct eq_qnode *n = &m->nodes[node], *src = &m->nodes[n->src];
    const uint8_t *in = edges->bytes[n->src], *residual = n->residual >= 0 ? edges->bytes[n->residual] : NULL;
    const int t = m->meta.frames;
    const float inv = 1.0f / n->dst.scale;
    float b = n->bias[oc] * inv + (float)n->dst.zero_point, m_res = 0;
    int start[16], outputs[16], tiles = tiles_of(side, start, outputs);
    if (residual) {
        m_res = m->nodes[n->residual].dst.scale * inv;
        b -= (float)m->nodes[n->residual].dst.zero_point * m_res;
    }
    for (int i = 0; i < tiles * tiles; i++) {
        const int ty = i / tiles, tx = i % tiles;
        float sums[POINTS], y[4][IN] = {{0}};
        for (int p = 0; p < POINTS; p++) {
            int32_t sum = 0;
            for (int ci = 0; ci < n->cin; ci++) {
                double d[IN][IN];
                for (int k = 0; k < POINTS; k++) {
                    int yy = start[ty] - 1 + k / IN, xx = start[tx] - 1 + k % IN;
                    bool inside = yy >= 0 && yy < side && xx >= 0 && xx < side;
                    d[k / IN][k % IN] =
                        (inside ? in[(((size_t)yy * side + xx) * t + f) * n->cin + ci] : src->dst.zero_point) -
                        src->dst.zero_point; /* the constant that only the point (1, 1) would see */
                }
                double v = point_of(d, p);
                int byte = (int)floor((v * n->point_mul[p] + 16384) / 32768) + n->point_add[p];
                byte = byte < 0 ? 0 : byte > 255 ? 255 : byte;
                sum += (byte - n->point_add[p]) * n->weights[((size_t)p * n->cout + oc) * n->cin + ci];
            }
            float s_v = src->dst.scale * 32768 / (float)n->point_mul[p];
            float k = s_v * n->weight_scale[(size_t)p * n->cout + oc] * inv;
            sums[p] = fmaf((float)sum, k, p == 7 ? b : 0);
        }
        for (int x = 0; x < outputs[tx] + 2; x++) {
            float column[4];
            outputs_of(sums + x, IN, outputs[ty], column);
            for (int k = 0; k < outputs[ty]; k++)
                y[k][x] = column[k];
        }
        for (int oy = 0; oy < outputs[ty] && start[ty] + oy < side; oy++) {
            float row[4];
            outputs_of(y[oy], 1, outputs[tx], row);
            for (int ox = 0; ox < outputs[tx] && start[tx] + ox < side; ox++) {
                size_t at = (((size_t)(start[ty] + oy) * side + start[tx] + ox) * t + f) * n->cout + oc;
                float r = residual ? fmaf((float)residual[at], m_res, row[ox]) : row[ox];
                float least = n->relu ? (float)n->dst.zero_point : 0;
                r = r < least ? least : r > 255 ? 255 : r;
                assert_int_equal(edges->bytes[node][at], (int)nearbyintf(r));
            }
        }
    }
}

static void engine_computes_the_specification(void **state)
{
    (void)state;
    int layers = 0, residuals = 0;
    for (uint64_t seed = 60; seed < 72; seed++) {
        struct noise_clips clips;
        struct eq_graph *net = random_net(seed);
        struct eq_qmodel *m;
        struct eq_qengine *e;
        struct edges edges = {.n = {0}};
        float ef;
        noise_clips_init(&clips, seed, 2, net->meta.frames, net->meta.size);
        struct eq_graph *g = calibrated_net_for(net, seed % 2, EQ_OBSERVER_MINMAX, EQ_ARITHMETIC_WINOGRAD, &clips);
        if (seed % 3 == 0)
            extreme_qparams(g, seed);
        assert_ok(eq_lower_int8(g, "ptq", &m, e_));
        assert_ok(eq_qengine_new(m, 1, m->meta.frames, m->meta.size, true, &e, e_));
        eq_qengine_set_hook(e, keep_edge, &edges);
        assert_ok(eq_qengine_run(e, clips.pixels, &ef, e_));
        for (int i = 0; i < m->n_nodes; i++) {
            const struct eq_qnode *n = &m->nodes[i];
            if (!n->domain)
                continue;
            struct eq_exec_layer l;
            assert_true(eq_qengine_layer(e, i, &l) && l.domain);
            assert_non_null(strstr(l.kernel, "u8s8_conv_domain"));
            for (int f = 0; f < m->meta.frames; f++)
                for (int oc = 0; oc < n->cout; oc++)
                    expect_channel(m, i, &edges, l.shape.oh, f, oc);
            layers++;
            residuals += n->residual >= 0;
        }
        for (int i = 0; i < 64; i++)
            free(edges.bytes[i]);
        eq_qengine_free(e);
        eq_qmodel_free(m);
        eq_graph_free(g);
        free(clips.pixels);
    }
    assert_true(layers > 12 && residuals > 5);
}

/* ---- QAT's start ---------------------------------------------------------- */

static void same_fake_quant(const struct eq_graph *a, int x, const struct eq_graph *b, int y)
{
    assert_int_equal(x < 0, y < 0);
    if (x < 0)
        return;
    const struct eq_fake_quant *p = &a->fake_quants[x], *q = &b->fake_quants[y];
    assert_true(p->enabled && q->enabled && p->channels == q->channels);
    assert_memory_equal(p->scale, q->scale, (size_t)p->channels * sizeof(float));
    assert_memory_equal(p->zero_point, q->zero_point, (size_t)p->channels * sizeof(int));
}

static void a_file_starts_training_as_calibration_does(void **state)
{
    (void)state;
    for (uint64_t seed = 80; seed < 86; seed++) {
        struct noise_clips clips;
        struct eq_graph *net = random_net(seed), *fresh, *direct, *folded;
        struct eq_qmodel *m;
        struct eq_err err;
        noise_clips_init(&clips, seed, 2, net->meta.frames, net->meta.size);
        assert_ok(eq_graph_clone(net, &fresh, e_));
        assert_ok(eq_fuse(fresh, e_));
        assert_ok(eq_graph_clone(fresh, &direct, e_));
        assert_ok(eq_graph_clone(net, &folded, e_));
        struct eq_graph *made = calibrated_net_for(folded, false, EQ_OBSERVER_MINMAX, EQ_ARITHMETIC_WINOGRAD, &clips);
        assert_ok(eq_lower_int8(made, "ptq", &m, e_));
        assert_ok(eq_prepare_fake_quant_for(fresh, 8, EQ_ARITHMETIC_WINOGRAD, e_));
        assert_ok(eq_start_from_qmodel(fresh, m, e_));
        assert_int_equal(fresh->n_fake_quants, made->n_fake_quants);
        for (int i = 0; i < fresh->n_nodes; i++) {
            const struct eq_node *n = &fresh->nodes[i];
            char name[64];
            int same;
            if (!eq_is_weighted(n))
                continue;
            eq_layer_name(fresh, i, name);
            assert_ok(eq_find_layer(made, name, &same, e_));
            same_fake_quant(fresh, n->weight_fq, made, made->nodes[same].weight_fq);
            same_fake_quant(fresh, n->point_fq, made, made->nodes[same].point_fq);
            same_fake_quant(fresh, fresh->nodes[eq_stored_edge(fresh, i)].edge_fq, made, made->nodes[same].edge_fq);
        }
        assert_ok(eq_prepare_fake_quant(direct, 8, e_));
        assert_int_equal(eq_start_from_qmodel(direct, m, &err), EQ_USAGE);
        assert_non_null(strstr(err.msg, "arithmetic"));
        eq_qmodel_free(m);
        eq_graph_free(made);
        eq_graph_free(fresh);
        eq_graph_free(direct);
        eq_graph_free(net);
        free(clips.pixels);
    }
}

/* ---- what it does not combine with ----------------------------------------- */

static void refusals_name_layer_and_remedy(void **state)
{
    (void)state;
    struct noise_clips clips;
    struct eq_graph *net = random_net(35);
    struct eq_qmodel *m;
    struct eq_err err;
    char path[] = "/tmp/echoquant_domain_XXXXXX";
    close(mkstemp(path));
    noise_clips_init(&clips, 35, 2, net->meta.frames, net->meta.size);
    struct eq_graph *g = calibrated_net_for(net, false, EQ_OBSERVER_MINMAX, EQ_ARITHMETIC_WINOGRAD, &clips);
    const struct eq_adaround_opts opts = {.samples = 64, .lr = 0.01, .lambda = 0.01, .seed = 1};
    assert_int_equal(eq_adaround(g, &clips.source, 2, 10, &opts, NULL, &err), EQ_UNSUPPORTED);
    assert_non_null(strstr(err.msg, "Winograd"));
    assert_ok(eq_lower_int8(g, "ptq", &m, e_));
    assert_int_equal(eq_qmodel_export_onnx(path, m, 13, EQ_ONNX_RESIDUAL_FLOAT, &err), EQ_UNSUPPORTED);
    assert_non_null(strstr(err.msg, "ptq.arithmetic = direct"));
    unlink(path);
    eq_qmodel_free(m);
    eq_graph_free(g);
    free(clips.pixels);
}

int main(void)
{
    eq_kernels_init();
    if (eq_parallel_init(2, NULL) != EQ_OK)
        return 1;
    const struct CMUnitTest tests[] = {cmocka_unit_test(points_are_those_of_the_formula),
                                       cmocka_unit_test(ranges_hold_what_clips_have),
                                       cmocka_unit_test(every_observer_finds_ranges),
                                       cmocka_unit_test(a_point_without_values_has_a_scale),
                                       cmocka_unit_test(weight_scales_fit_transformed_weights),
                                       cmocka_unit_test(engine_computes_the_specification),
                                       cmocka_unit_test(a_file_starts_training_as_calibration_does),
                                       cmocka_unit_test(refusals_name_layer_and_remedy)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
