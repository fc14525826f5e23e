/*
 * OpenBLAS, one thread: the parallel-for is ours, and its pieces call this.
 *
 * Where the address space is limited (ulimit -v), OpenBLAS asks again and again for a buffer that it cannot have. So
 * its buffers are asked for in advance, where it can be said that they are missing. From 0.3.29 on (Debian 13) it takes
 * one as soon as it is loaded, before main; there the room is looked for earlier still.
 */
#include "kernels/conv.h"

#include <cblas.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

/* OpenBLAS's own functions (driver/others/memory.c), which its library exports; NULL where a build lacks them. */
extern __attribute__((weak)) void *blas_memory_alloc(int position);
extern __attribute__((weak)) void blas_memory_free(void *buffer);

enum { MAX_BUFFERS = 1024, PLACE = 1 };
static const size_t USUAL_BYTES = (size_t)128 << 20; /* BUFFER_SIZE of builds for x86-64 and ARM */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int n_ready; /* buffers that OpenBLAS has, one a thread that multiplies */

static void one_thread(void)
{
    openblas_set_num_threads(1);
}

static bool is_room_for(size_t bytes)
{
    void *room = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return room != MAP_FAILED && munmap(room, bytes) == 0;
}

/* The size of the address space; 0: unknown. */
static size_t space_used(void)
{
    unsigned long pages = 0;
    FILE *f = eq_fopen("/proc/self/statm", "re");
    if (f && fscanf(f, "%lu", &pages) != 1)
        pages = 0;
    if (f)
        fclose(f);
    return (size_t)pages * (size_t)sysconf(_SC_PAGESIZE);
}

static enum eq_status no_room(size_t bytes, int threads, struct eq_err *err)
{
    return eq_fail(err, EQ_NOMEM,
                   "OpenBLAS needs %zu MiB of address space for each thread (%d), and there is no room (ulimit -v): "
                   "raise the limit, or use fewer threads (--threads)",
                   bytes >> 20, threads);
}

/* Buffers that were given back stay with OpenBLAS; its multiplications take those first. */
static enum eq_status take_buffers(int threads, struct eq_err *err)
{
    enum eq_status st = EQ_OK;
    void *held[MAX_BUFFERS];
    size_t bytes = USUAL_BYTES;
    int n = 0;
    for (; n < threads && st == EQ_OK; n++) {
        bool fresh = n >= n_ready;
        if (fresh && !is_room_for(bytes + (bytes >> 4))) {
            st = no_room(bytes, threads, err);
            break;
        }
        size_t before = fresh ? space_used() : 0;
        held[n] = blas_memory_alloc(PLACE);
        size_t after = before ? space_used() : 0;
        if (after > before && after - before > bytes)
            bytes = after - before;
    }
    n_ready = n > n_ready ? n : n_ready;
    while (n-- > 0)
        if (held[n])
            blas_memory_free(held[n]);
    return st;
}

/* A sanitizer is not ready that early, and none works within a limited address space. */
#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
#define IS_SANITIZED 1
#elif defined __has_feature
#define IS_SANITIZED                                                                                                   \
    (__has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(coverage_sanitizer))
#else
#define IS_SANITIZED 0
#endif
#if defined __ELF__ && !IS_SANITIZED
/* What the constructors of other libraries take before OpenBLAS's turn: 81 MiB in Debian sid. */
enum { OTHERS_BYTES = 96 << 20 };

/* Called by the loader before all constructors of libraries. */
static void need_room_to_load(void)
{
    static const char text[] =
        "error: OpenBLAS and other libraries need 224 MiB of address space to start, and there is no room (ulimit "
        "-v): raise the limit\n";
    struct rlimit limit;
    if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
        return;
    if (!is_room_for(USUAL_BYTES + OTHERS_BYTES)) {
        (void)!write(STDERR_FILENO, text, sizeof text - 1);
        _exit(1);
    }
}

__attribute__((section(".preinit_array"), used)) static void (*const before_libraries)(void) = need_room_to_load;
#endif

bool eq_conv_needs_sgemm(const struct eq_conv_kernel *kernel)
{
    static const char suffix[] = "__blas";
    size_t len = strlen(kernel->name), n = sizeof suffix - 1;
    return len > n && strcmp(kernel->name + len - n, suffix) == 0;
}

enum eq_status eq_sgemm_prepare(struct eq_err *err)
{
    enum eq_status st = EQ_OK;
    int threads = eq_parallel_threads();
    pthread_mutex_lock(&lock);
    if (n_ready < threads && threads <= MAX_BUFFERS) {
        if (blas_memory_alloc && blas_memory_free) {
            st = take_buffers(threads, err);
        } else if (!is_room_for((size_t)(threads - n_ready) * USUAL_BYTES)) {
            st = no_room(USUAL_BYTES, threads, err);
        } else {
            n_ready = threads;
        }
    }
    pthread_mutex_unlock(&lock);
    return st;
}

void eq_sgemm(bool trans_a, bool trans_b, int m, int n, int k, float alpha, const float *a, int lda, const float *b,
              int ldb, float beta, float *c, int ldc)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, one_thread);
    cblas_sgemm(CblasRowMajor, trans_a ? CblasTrans : CblasNoTrans, trans_b ? CblasTrans : CblasNoTrans, m, n, k, alpha,
                a, lda, b, ldb, beta, c, ldc);
}
