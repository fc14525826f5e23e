/* OpenBLAS, one thread: the parallel-for is ours, and its pieces call this. */
#include "kernels/conv.h"

#include <cblas.h>
#include <pthread.h>

static void one_thread(void)
{
    openblas_set_num_threads(1);
}

void eq_sgemm(bool trans_a, bool trans_b, int m, int n, int k, float alpha, const float *a, int lda, const float *b,
              int ldb, float beta, float *c, int ldc)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, one_thread);
    cblas_sgemm(CblasRowMajor, trans_a ? CblasTrans : CblasNoTrans, trans_b ? CblasTrans : CblasNoTrans, m, n, k, alpha,
                a, lda, b, ldb, beta, c, ldc);
}
