/* Stands in for OpenBLAS where a test builds the library for a machine that has no OpenBLAS: plain C, see standins.c.
 */
#ifndef TESTS_STANDINS_CBLAS_H
#define TESTS_STANDINS_CBLAS_H

enum CBLAS_ORDER { CblasRowMajor = 101 };
enum CBLAS_TRANSPOSE { CblasNoTrans = 111, CblasTrans = 112 };

void openblas_set_num_threads(int threads);
void cblas_sgemm(enum CBLAS_ORDER order, enum CBLAS_TRANSPOSE trans_a, enum CBLAS_TRANSPOSE trans_b, int m, int n,
                 int k, float alpha, const float *a, int lda, const float *b, int ldb, float beta, float *c, int ldc);

#endif
