/* Every kernel that this CPU has for one convolution, called alternately; the least time of each counts. */
#include "bench/bench.h"

#include <cjson/cJSON.h>
#include <string.h>
#include <time.h>

enum { MAX_KERNELS = 32, MIN_CALLS = 3, NOISE = 4099 /* prime: no channel sees the same values again */ };

/* One convolution's tensors; INT8 has bytes where FP32 has floats. */
struct tensors {
    void *src, *dst, *residual;
    float *bias, *scale;          /* [cout]; scale: INT8's */
    float *out_src, *out_weights; /* gradients */
};

/* A kernel with its packed weights and scratch, and the least times so far. */
struct contender {
    const struct eq_conv_kernel *k;
    void *packed, *scratch;
    double ms, pack_ms;
};

/* With one thread its CPU time, so that other work on the machine doesn't count; otherwise wall time. */
static double clock_ms(void)
{
    struct timespec t;
    if (eq_parallel_threads() > 1 || clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t) != 0)
        return eq_now_ms();
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

/* ---- tensors ------------------------------------------------------------- */

static float *noise_floats(size_t n)
{
    float block[NOISE], *x = eq_alloc(n, sizeof *x);
    struct eq_rng rng;
    eq_rng_init(&rng, 1, EQ_RNG_TEST, 0, 1);
    for (int i = 0; i < NOISE; i++)
        block[i] = (float)eq_rng_range(&rng, -1, 1);
    for (size_t i = 0; x && i < n; i++)
        x[i] = block[i % NOISE];
    return x;
}

/* gray: groups of three are equal. */
static uint8_t *noise_bytes(size_t n, bool gray)
{
    uint8_t block[NOISE], *x = eq_alloc(n, 1);
    struct eq_rng rng;
    eq_rng_init(&rng, 1, EQ_RNG_TEST, 0, 2);
    for (int i = 0; i < NOISE; i++)
        block[i] = (uint8_t)eq_rng_u32(&rng);
    for (size_t i = 0; x && i < n; i++)
        x[i] = block[(gray ? i / 3 : i) % NOISE];
    return x;
}

static bool tensors_init(struct tensors *x, const struct eq_exec_layer *l, bool gray)
{
    const struct eq_conv_shape *s = &l->shape;
    size_t images = (size_t)s->b * s->t, src = images * s->h * s->w * s->cin, dst = images * s->oh * s->ow * s->cout;
    bool data = l->pass == EQ_CONV_BACKWARD_DATA, weights = l->pass == EQ_CONV_BACKWARD_WEIGHTS;
    x->bias = noise_floats((size_t)s->cout);
    if (l->int8_weights) {
        x->src = noise_bytes(src, gray && s->cin == 3);
        x->dst = noise_bytes(dst, false);
        x->residual = noise_bytes(dst, false);
        int scales = l->domain ? EQ_DOMAIN_POINTS * s->cout : s->cout;
        x->scale = eq_alloc((size_t)scales, sizeof *x->scale);
        for (int i = 0; x->scale && i < scales; i++)
            x->scale[i] = 1.0f / (float)(s->cin * s->k * s->k * 20);
        return x->src && x->dst && x->residual && x->bias && x->scale;
    }
    x->src = noise_floats(src);
    x->dst = noise_floats(dst);
    x->residual = l->residual ? noise_floats(dst) : NULL;
    x->out_src = data ? noise_floats(src) : NULL;
    x->out_weights = weights ? noise_floats((size_t)s->cout * s->cin * s->k * s->k) : NULL;
    return x->src && x->dst && x->bias && (x->residual || !l->residual) && (x->out_src || !data) &&
           (x->out_weights || !weights);
}

static void tensors_clear(struct tensors *x)
{
    void *const all[] = {x->src, x->dst, x->residual, x->bias, x->scale, x->out_src, x->out_weights};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        eq_free(all[i]);
}

/* ---- calls --------------------------------------------------------------- */

/* Whether the network has the kernel take weights as they are. */
static bool takes_raw(const struct contender *c, const struct eq_exec_layer *l)
{
    return l->once && c->k->once_bytes && c->k->once_bytes(&l->shape, 1) > 0;
}

static void pack(const struct contender *c, const struct eq_exec_layer *l)
{
    if (takes_raw(c, l))
        return;
    if (l->domain)
        c->k->pack_domain(&l->shape, l->int8_weights, l->domain, c->packed);
    else if (l->int8_weights)
        c->k->pack_s8(&l->shape, l->int8_weights, l->src_zp, c->packed);
    else if (l->pass != EQ_CONV_BACKWARD_WEIGHTS)
        c->k->pack(&l->shape, l->weights, c->packed);
}

/* Whether a kernel does the max pooling after its layer in its own pass; the network then lets it. */
static bool pools(const struct eq_conv_kernel *k, const struct eq_exec_layer *l)
{
    return l->pool_k && k->fuses_maxpool && k->fuses_maxpool(&l->shape, l->pool_k, l->pool_stride, l->pool_pad);
}

static void call_u8s8(const struct contender *c, const struct eq_exec_layer *l, const struct tensors *x)
{
    struct eq_u8s8_epilogue epi = {
        .m = x->scale, .b = x->bias, .residual = l->residual ? x->residual : NULL, .residual_m = 0.5f, .dst_max = 255};
    if (pools(c->k, l)) {
        epi.pool_k = l->pool_k;
        epi.pool_stride = l->pool_stride;
        epi.pool_pad = l->pool_pad;
    }
    c->k->run.u8s8(&l->shape, x->src, l->src_zp, c->packed, &epi, x->dst, c->scratch);
}

static void call_domain(const struct contender *c, const struct eq_exec_layer *l, const struct tensors *x)
{
    const struct eq_domain_epilogue epi = {
        .k = x->scale, .b = x->bias, .residual = l->residual ? x->residual : NULL, .residual_m = 0.5f};
    c->k->run.u8s8_domain(&l->shape, x->src, l->src_zp, c->packed, l->domain, &epi, x->dst, c->scratch);
}

static void call_f32(const struct contender *c, const struct eq_exec_layer *l, const struct tensors *x)
{
    struct eq_f32_epilogue epi = {.bias = l->bias ? x->bias : NULL, .residual = x->residual, .relu = l->relu};
    if (pools(c->k, l)) {
        epi.pool_k = l->pool_k;
        epi.pool_stride = l->pool_stride;
        epi.pool_pad = l->pool_pad;
    }
    bool raw = takes_raw(c, l);
    (raw ? &c->k->run_once : &c->k->run)
        ->forward(&l->shape, x->src, raw ? l->weights : c->packed, &epi, x->dst, c->scratch);
}

static void call_backward_data(const struct contender *c, const struct eq_exec_layer *l, const struct tensors *x)
{
    bool raw = takes_raw(c, l);
    (raw ? &c->k->run_once : &c->k->run)
        ->backward_data(&l->shape, x->dst, raw ? l->weights : c->packed, x->out_src, false, c->scratch);
}

static void call(const struct contender *c, const struct eq_exec_layer *l, const struct tensors *x)
{
    if (l->domain)
        call_domain(c, l, x);
    else if (l->int8_weights)
        call_u8s8(c, l, x);
    else if (l->pass == EQ_CONV_FORWARD)
        call_f32(c, l, x);
    else if (l->pass == EQ_CONV_BACKWARD_DATA)
        call_backward_data(c, l, x);
    else
        c->k->run.backward_weights(&l->shape, x->src, x->dst, x->out_weights, c->scratch);
}

static void run_once(struct contender *c, const struct eq_exec_layer *l, const struct tensors *x, bool packs)
{
    double start = clock_ms();
    if (packs)
        pack(c, l);
    double packed = clock_ms();
    call(c, l, x);
    double ms = clock_ms() - packed;
    c->ms = ms < c->ms ? ms : c->ms;
    if (packs && packed - start < c->pack_ms)
        c->pack_ms = packed - start;
}

/* ---- contenders ---------------------------------------------------------- */

static bool contender_init(struct contender *c, const struct eq_exec_layer *l)
{
    const struct eq_conv_shape *s = &l->shape;
    int threads = eq_parallel_threads();
    bool raw = takes_raw(c, l);
    size_t packed = raw ? 0 : c->k->packed_bytes(s);
    size_t scratch = (raw ? c->k->once_bytes : c->k->scratch_bytes)(s, threads);
    c->packed = eq_alloc(packed ? packed : 1, 1);
    c->scratch = eq_alloc(scratch ? scratch : 1, 1);
    c->ms = c->pack_ms = 1e30;
    return c->packed && c->scratch;
}

/* Plain C is the specification and not meant to be fast: it takes part only where the network uses it. */
static bool takes_part(const struct eq_exec_layer *l, const struct eq_conv_kernel *k, const char *wanted)
{
    bool plain = k->isa == EQ_ISA_REF && !strstr(k->name, "blas");
    return (!plain || strcmp(k->name, l->kernel) == 0) && strstr(k->name, wanted) &&
           (!k->accepts || k->accepts(&l->shape, l->int8_weights, l->src_zp));
}

static size_t list_kernels(const struct eq_exec_layer *l, const char *wanted, struct contender *out)
{
    const struct eq_conv_kernel *all[MAX_KERNELS];
    size_t found = l->domain                           ? eq_u8s8_domain_candidates(&l->shape, all, MAX_KERNELS)
                   : l->int8_weights                   ? eq_u8s8_conv_candidates(&l->shape, all, MAX_KERNELS)
                   : l->precision == EQ_PRECISION_BF16 ? eq_bf16_conv_candidates(l->pass, &l->shape, all, MAX_KERNELS)
                                                       : eq_f32_conv_candidates(l->pass, &l->shape, all, MAX_KERNELS);
    size_t n = 0;
    for (size_t i = 0; i < found; i++)
        if (takes_part(l, all[i], wanted))
            out[n++] = (struct contender){.k = all[i]};
    /* Float layers of an INT8 model keep an order of sums, for which there is only plain C below AVX2. */
    const struct eq_conv_kernel *ordered = eq_f32_conv_select_ordered(&l->shape);
    if (ordered->isa == EQ_ISA_REF && strcmp(ordered->name, l->kernel) == 0 && takes_part(l, ordered, wanted))
        out[n++] = (struct contender){.k = ordered};
    return n;
}

static void add_candidate(struct cJSON *array, const struct contender *c, const struct eq_exec_layer *l)
{
    const struct eq_conv_shape *s = &l->shape;
    double macs = eq_conv_macs(s), products = c->k->products ? c->k->products(s) : macs;
    struct cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "kernel", c->k->name);
    cJSON_AddStringToObject(o, "isa", eq_isa_name(c->k->isa));
    cJSON_AddBoolToObject(o, "chosen", strcmp(c->k->name, l->kernel) == 0);
    cJSON_AddNumberToObject(o, "ms", c->ms);
    cJSON_AddNumberToObject(o, "pack_ms", c->pack_ms < 1e30 ? c->pack_ms : 0);
    cJSON_AddNumberToObject(o, "gmacs", macs / c->ms * 1e-6);
    cJSON_AddNumberToObject(o, "products_per_mac", products / macs);
    if (c->k->instruction)
        cJSON_AddStringToObject(o, "instruction", c->k->instruction);
    eq_json_add(array, NULL, o);
}

static void take_turns(struct contender *c, size_t n, const struct eq_exec_layer *l, const struct tensors *x,
                       double budget)
{
    double start = eq_now_ms();
    for (int calls = 0; calls < MIN_CALLS || eq_now_ms() - start < budget * (double)n; calls++) {
        for (size_t i = 0; i < n; i++)
            run_once(&c[i], l, x, calls < MIN_CALLS);
        bool slow = n == 1 && c[0].ms > budget * 10;
        if (slow || eq_interrupted())
            break;
    }
}

enum eq_status eq_bench_candidates(const struct eq_exec_layer *l, bool gray, double layer_ms, const char *kernel,
                                   struct cJSON *object, struct eq_bench_chosen *chosen, struct eq_err *err)
{
    enum eq_status st = EQ_OK;
    struct contender all[MAX_KERNELS];
    struct tensors x = {0};
    size_t n = list_kernels(l, kernel, all);
    bool ok = tensors_init(&x, l, gray);
    for (size_t i = 0; i < n; i++)
        ok = contender_init(&all[i], l) && ok;
    if (!ok)
        EQ_TRY(eq_fail(err, EQ_NOMEM, "%s: out of memory for its kernels", l->name));
    if (n)
        take_turns(all, n, l, &x, layer_ms);
    struct cJSON *array = cJSON_AddArrayToObject(object, "candidates");
    *chosen = (struct eq_bench_chosen){-1, 0, n};
    for (size_t i = 0; i < n; i++) {
        add_candidate(array, &all[i], l);
        if (strcmp(all[i].k->name, l->kernel) == 0)
            *chosen = (struct eq_bench_chosen){all[i].ms, all[i].pack_ms < 1e30 ? all[i].pack_ms : 0, n};
    }
out:
    for (size_t i = 0; i < n; i++) {
        eq_free(all[i].packed);
        eq_free(all[i].scratch);
    }
    tensors_clear(&x);
    return st;
}

/* ---- shares of the peak -------------------------------------------------- */

static double peak_of(const struct eq_bench_peaks *peaks, const char *instruction)
{
    for (size_t i = 0; i < peaks->n; i++)
        if (strcmp(peaks->peaks[i]->instruction, instruction) == 0)
            return peaks->gmacs[i];
    return 0;
}

void eq_bench_add_shares(struct cJSON *layers, const struct eq_bench_peaks *peaks)
{
    struct cJSON *layer, *c;
    cJSON_ArrayForEach(layer, layers) cJSON_ArrayForEach(c, cJSON_GetObjectItemCaseSensitive(layer, "candidates"))
    {
        const struct cJSON *instruction = cJSON_GetObjectItemCaseSensitive(c, "instruction");
        double peak = instruction ? peak_of(peaks, instruction->valuestring) : 0;
        if (peak <= 0)
            continue;
        double share = cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(c, "gmacs")) / peak;
        double products = cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(c, "products_per_mac"));
        cJSON_AddNumberToObject(c, "share", share);
        cJSON_AddNumberToObject(c, "products_share", share * products);
    }
}

void eq_bench_measure_peaks(struct eq_bench_peaks *p, int rounds, double round_ms)
{
    p->n = eq_peaks(p->peaks, EQ_BENCH_PEAKS);
    for (int round = 0; round < rounds; round++)
        for (size_t i = 0; i < p->n; i++) {
            double gmacs = eq_peak_gmacs(p->peaks[i], round_ms);
            p->gmacs[i] = gmacs > p->gmacs[i] ? gmacs : p->gmacs[i];
        }
}
