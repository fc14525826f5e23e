/* Stands in for pthreadpool where a test builds the library for a machine that has none: threads that live for one
 * call, see standins.c. */
#ifndef TESTS_STANDINS_PTHREADPOOL_H
#define TESTS_STANDINS_PTHREADPOOL_H

#include <stddef.h>
#include <stdint.h>

typedef struct pthreadpool *pthreadpool_t;
#define PTHREADPOOL_FLAG_DISABLE_DENORMALS 1u
#define PTHREADPOOL_FLAG_YIELD_WORKERS 2u

pthreadpool_t pthreadpool_create(size_t threads);
void pthreadpool_destroy(pthreadpool_t pool);
void pthreadpool_parallelize_1d(pthreadpool_t pool, void (*fn)(void *ctx, size_t item), void *ctx, size_t items,
                                uint32_t flags);

#endif
