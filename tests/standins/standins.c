/* The few functions of OpenBLAS and utf8proc (ASCII only) that the library calls, for tests on machines
 * without them. */
#include "cblas.h"
#include "utf8proc.h"

#include <stddef.h>

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
