/* The few functions of OpenBLAS, pthreadpool and utf8proc (ASCII only) that the library calls, for tests on machines
 * without them. */
#include "cblas.h"
#include "pthreadpool.h"
#include "utf8proc.h"

#include <pthread.h>
#include <stdlib.h>

void openblas_set_num_threads(int threads)
{
    (void)threads;
}

void cblas_sgemm(enum CBLAS_ORDER order, enum CBLAS_TRANSPOSE trans_a, enum CBLAS_TRANSPOSE trans_b, int m, int n,
                 int k, float alpha, const float *a, int lda, const float *b, int ldb, float beta, float *c, int ldc)
{
    (void)order; /* the library knows row-major only */
    for (int i = 0; i < m; i++)
        for (int j = 0; j < n; j++) {
            float sum = 0;
            for (int l = 0; l < k; l++) {
                float x = trans_a == CblasTrans ? a[(size_t)l * lda + i] : a[(size_t)i * lda + l];
                sum += x * (trans_b == CblasTrans ? b[(size_t)j * ldb + l] : b[(size_t)l * ldb + j]);
            }
            float *out = &c[(size_t)i * ldc + j];
            *out = alpha * sum + (beta == 0 ? 0 : beta * *out);
        }
}

utf8proc_ssize_t utf8proc_iterate(const utf8proc_uint8_t *text, utf8proc_ssize_t n, utf8proc_int32_t *code)
{
    (void)n;
    *code = text[0];
    return text[0] < 0x80 ? 1 : -1;
}

utf8proc_ssize_t utf8proc_encode_char(utf8proc_int32_t code, utf8proc_uint8_t *out)
{
    out[0] = code < 0x80 ? (utf8proc_uint8_t)code : '?';
    return 1;
}

utf8proc_ssize_t utf8proc_map(const utf8proc_uint8_t *text, utf8proc_ssize_t n, utf8proc_uint8_t **out, int options)
{
    (void)text, (void)n, (void)options;
    *out = NULL;
    return -1;
}

enum { MAX_THREADS = 64 };

struct pthreadpool {
    size_t threads;
};

pthreadpool_t pthreadpool_create(size_t threads)
{
    pthreadpool_t pool = threads <= MAX_THREADS ? malloc(sizeof *pool) : NULL;
    if (pool)
        pool->threads = threads;
    return pool;
}

void pthreadpool_destroy(pthreadpool_t pool)
{
    free(pool);
}

struct share {
    void (*fn)(void *ctx, size_t item);
    void *ctx;
    size_t first, items, step;
};

static void *run_share(void *arg)
{
    const struct share *s = arg;
    for (size_t item = s->first; item < s->items; item += s->step)
        s->fn(s->ctx, item);
    return NULL;
}

void pthreadpool_parallelize_1d(pthreadpool_t pool, void (*fn)(void *ctx, size_t item), void *ctx, size_t items,
                                uint32_t flags)
{
    pthread_t threads[MAX_THREADS];
    struct share shares[MAX_THREADS];
    (void)flags;
    for (size_t i = 0; i < pool->threads; i++) {
        shares[i] = (struct share){fn, ctx, i, items, pool->threads};
        if (pthread_create(&threads[i], NULL, run_share, &shares[i]) != 0)
            abort();
    }
    for (size_t i = 0; i < pool->threads; i++)
        pthread_join(threads[i], NULL);
}
