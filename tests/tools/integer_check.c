/*
 * The integer part of the library without a test framework, so that it also runs under an emulator: every kernel of
 * this CPU against ref, and the engine with a network of drawn integers on every ISA level and several numbers of
 * threads. Prints what it did and the network's EF with a hash of all its edges, which must be one and the same on
 * every machine; exits with 1 when something differs. With RUNS above 1 the kernels see that many kinds of data on each
 * shape (32: all).
 */
#include "echoquant/quant.h"
#include "kernels/domain_check.h"
#include "kernels/u8s8_check.h"
#include "quant/qmodel.h"

#include <math.h>
#include <stdio.h>

enum { CLIPS = 2, FRAMES = 3, SIZE = 25, NODES = 12 };

struct builder {
    struct eq_qmodel *m;
    struct eq_rng rng;
};

static void *need(void *p)
{
    if (!p)
        abort();
    return p;
}

/* Scales that spread an output over its range when the source is spread over its own. */
static void fill_node(struct builder *b, struct eq_qnode *n)
{
    size_t per = (size_t)n->cin * n->k * n->k, count = per * n->cout;
    n->weights = need(eq_alloc(count, 1));
    n->weight_scale = need(eq_alloc((size_t)n->cout, sizeof(float)));
    n->bias = need(eq_alloc((size_t)n->cout, sizeof(float)));
    for (size_t i = 0; i < count; i++)
        n->weights[i] = (int8_t)((int)eq_rng_below(&b->rng, 255) - 127);
    for (int c = 0; c < n->cout; c++) {
        n->weight_scale[c] = (float)(eq_rng_range(&b->rng, 0.5, 1.5) / (150.0 * sqrt((double)per)));
        n->bias[c] = (float)eq_rng_range(&b->rng, -0.2, 0.2);
    }
}

static int add(struct builder *b, enum eq_qop op, int src, int cout, int k, int stride, int residual)
{
    int at = b->m->n_nodes++, cin = src < 0 ? cout : b->m->nodes[src].cout;
    struct eq_qnode *n = &b->m->nodes[at];
    *n = (struct eq_qnode){.op = op,
                           .src = src,
                           .residual = residual,
                           .cin = cin,
                           .cout = cout,
                           .k = k,
                           .stride = stride,
                           .pad = k / 2,
                           .relu = at % 2,
                           .weight_bits = 8};
    snprintf(n->name, sizeof n->name, "node%d", at);
    n->dst = (struct eq_qparams){(float)eq_rng_range(&b->rng, 0.01, 0.03), (int)eq_rng_below(&b->rng, 256), 0, 255};
    if (op == EQ_QOP_CONV2D || op == EQ_QOP_HEAD)
        fill_node(b, n);
    return at;
}

/* ResNet-18's kinds of layers: a 7x7 stem, pooling, a block, a block that halves the picture, the head. */
static struct eq_qmodel *network(void)
{
    struct builder b = {.m = need(eq_alloc(1, sizeof(struct eq_qmodel)))};
    eq_rng_init(&b.rng, 21, EQ_RNG_TEST, 0, 0);
    b.m->meta = (struct eq_model_meta){
        .frames = FRAMES, .size = SIZE, .pixel_mean = 33, .pixel_std = 50, .target_mean = 55, .target_std = 12};
    b.m->nodes = need(eq_alloc(NODES, sizeof *b.m->nodes));
    int x = add(&b, EQ_QOP_INPUT, -1, 3, 1, 1, -1);
    x = add(&b, EQ_QOP_CONV2D, x, 64, 7, 2, -1);
    x = add(&b, EQ_QOP_MAXPOOL, x, 64, 3, 2, -1);
    int y = add(&b, EQ_QOP_CONV2D, x, 64, 3, 1, -1);
    x = add(&b, EQ_QOP_CONV2D, y, 64, 3, 1, x);
    int shortcut = add(&b, EQ_QOP_CONV2D, x, 100, 1, 2, -1);
    y = add(&b, EQ_QOP_CONV2D, x, 100, 3, 2, -1);
    x = add(&b, EQ_QOP_CONV2D, y, 100, 3, 1, shortcut);
    add(&b, EQ_QOP_HEAD, x, 1, 1, 1, -1);
    eq_qmodel_derive_qparams(b.m);
    return b.m;
}

struct edges {
    uint64_t hash;
    int least_values; /* different ones in an edge: the hash of a constant would say nothing */
};

static void see_edge(void *ctx, int node, const uint8_t *q, size_t n)
{
    struct edges *e = ctx;
    bool seen[256] = {false};
    int values = 0;
    (void)node;
    for (size_t i = 0; i < n; i++) {
        values += !seen[q[i]];
        seen[q[i]] = true;
    }
    e->hash = e->hash * 0x100000001b3u ^ eq_hash64(q, n);
    e->least_values = values < e->least_values ? values : e->least_values;
}

/* EF of the clips and the hash of all edges as text; false when the engine refused. */
static bool run_engine(const struct eq_qmodel *m, const uint8_t *pixels, char *text, size_t size)
{
    struct eq_qengine *watched = NULL, *e = NULL;
    struct eq_err err;
    float ef[CLIPS], again[CLIPS];
    struct edges edges = {.least_values = 256};
    bool ok = eq_qengine_new(m, CLIPS, FRAMES, SIZE, false, &e, &err) == EQ_OK &&
              eq_qengine_new(m, CLIPS, FRAMES, SIZE, true, &watched, &err) == EQ_OK &&
              eq_qengine_run(e, pixels, again, &err) == EQ_OK;
    if (ok)
        eq_qengine_set_hook(watched, see_edge, &edges);
    ok = ok && eq_qengine_run(watched, pixels, ef, &err) == EQ_OK;
    eq_qengine_free(e);
    eq_qengine_free(watched);
    if (!ok) {
        printf("the engine: %s\n", err.msg);
        return false;
    }
    snprintf(text, size, "EF %a %a, edges %016llx, at least %d values in each", (double)ef[0], (double)ef[1],
             (unsigned long long)edges.hash, edges.least_values);
    return memcmp(ef, again, sizeof ef) == 0 && edges.least_values > 40;
}

static bool check_engine(void)
{
    static uint8_t pixels[CLIPS * FRAMES * SIZE * SIZE * 3];
    char expected[128] = "", text[128];
    bool ok = true;
    struct eq_rng rng;
    eq_rng_init(&rng, 22, EQ_RNG_TEST, 0, 0);
    for (size_t i = 0; i < sizeof pixels; i++)
        pixels[i] = (uint8_t)eq_rng_u32(&rng);
    struct eq_qmodel *m = network();
    for (int isa = 0; isa < EQ_ISA_COUNT; isa++)
        for (int threads = 1; threads <= 3; threads += 2) {
            const char *level = eq_isa_name((enum eq_isa)isa);
            if (eq_cpu_set_ceiling(level, NULL) != EQ_OK || eq_parallel_init(threads, NULL) != EQ_OK)
                continue;
            eq_kernels_init();
            ok = run_engine(m, pixels, text, sizeof text) && ok;
            if (!*expected)
                snprintf(expected, sizeof expected, "%s", text);
            if (strcmp(text, expected) != 0) {
                printf("%s, %d threads: %s\n", level, threads, text);
                ok = false;
            } else if (threads > 1) {
                printf("engine on %s: equal on 1 and 3 threads\n", level);
            }
        }
    printf("%s\n", expected);
    eq_qmodel_free(m);
    return ok && eq_cpu_set_ceiling("auto", NULL) == EQ_OK;
}

static size_t domain_comparisons(void)
{
    size_t n = 0;
    for (int i = 0; i < n_tallies; i++)
        n += kernel_is_of(tallies[i].name, "u8s8_conv_domain") ? tallies[i].checks : 0;
    return n;
}

/* Winograd's domain: a kind of data for each row, which varies with the salt. */
static bool check_domain(unsigned salt)
{
    bool ok = true;
    for (unsigned i = 0; i < DOMAIN_ROWS; i++) {
        unsigned pick = (i + salt) * 7 % (DOMAIN_VALUES * DOMAIN_EPILOGUES);
        ok = domain_check_row((int)i, (enum domain_values)(pick % DOMAIN_VALUES),
                              (enum domain_epilogue)(pick / DOMAIN_VALUES)) &&
             ok;
    }
    return ok;
}

/* Pooling and sums of the highest level in use; odd sizes, windows over every side, bytes above and below 128. */
static bool check_table(void)
{
    static uint8_t x[2 * 7 * 5 * 67], y[2][2 * 4 * 3 * 67];
    int32_t sum[2][2 * 67];
    struct eq_rng rng;
    eq_rng_init(&rng, 23, EQ_RNG_TEST, 0, 0);
    for (size_t i = 0; i < sizeof x; i++)
        x[i] = (uint8_t)eq_rng_u32(&rng);
    const struct eq_u8s8_table ref = u8s8_ref(), *tables[2] = {&ref, eq_u8s8_kernels()};
    const struct eq_pool_shape pool = {2, 7, 5, 67, 3, 2, 1, 4, 3};
    for (int i = 0; i < 2; i++) {
        tables[i]->maxpool(&pool, x, y[i]);
        tables[i]->sum_pixels_frames(x, 2, 7, 5, 67, 255, sum[i]);
    }
    return memcmp(y[0], y[1], sizeof y[0]) == 0 && memcmp(sum[0], sum[1], sizeof sum[0]) == 0;
}

/* A loop that measures what the level's kernels are made of must exist and count products. */
static bool check_peaks(void)
{
    const struct eq_peak *all[32];
    size_t n = eq_peaks(all, 32);
    bool ok = true;
    for (size_t i = 0; i < n; i++)
        ok = all[i]->macs(2) > 0 && all[i]->macs(2) == 2 * all[i]->macs(1) && ok;
    printf("peaks: %zu instructions\n", n);
    return ok;
}

int main(int argc, char **argv)
{
    int64_t runs = 1;
    if (argc > 2 || (argc == 2 && (!eq_parse_int64(argv[1], &runs) || runs < 1 || runs > 32))) {
        fprintf(stderr, "usage: integer_check [RUNS]\n");
        return 2;
    }
    bool ok = true;
    size_t checked = 0;
    eq_kernels_init();
    printf("levels:");
    for (int isa = 0; isa < EQ_ISA_COUNT; isa++)
        if (eq_cpu_has((enum eq_isa)isa))
            printf(" %s", eq_isa_name((enum eq_isa)isa));
    printf("\n");
    for (unsigned salt = 0; salt < (unsigned)runs; salt++)
        ok = eq_parallel_init(1 + (int)salt % 3, NULL) == EQ_OK && u8s8_check_all(NULL, false, salt, &checked) &&
             check_domain(salt) && ok;
    printf("kernels: %zu comparisons with ref, in Winograd's domain %zu%s\n", checked, domain_comparisons(),
           ok ? "" : ", some of which failed");
    bool table = check_table();
    printf("pooling and sums: %s\n", table ? "equal to ref" : "differ from ref");
    bool engine = check_engine(), peaks = check_peaks();
    if (!engine)
        printf("the engine's bits differ\n");
    eq_parallel_shutdown();
    return ok && table && peaks && engine && checked > 0 && domain_comparisons() > 0 ? 0 : 1;
}
