/* Element-wise work cut into spans of a fixed length, so that the cut depends on n alone. */
#ifndef KERNELS_SPANS_H
#define KERNELS_SPANS_H

#include "echoquant/base.h"

enum { EQ_SPAN = 16384 }; /* values; 64 KiB of floats a stream */

/* Does values lo..hi-1 of what ctx describes. */
typedef void (*eq_span_fn)(const void *ctx, size_t lo, size_t hi);

struct eq_span_job {
    eq_span_fn fn;
    const void *ctx;
    size_t n;
};

static inline void eq_span_piece(void *job_of, size_t piece, int worker)
{
    (void)worker;
    const struct eq_span_job *job = job_of;
    size_t lo = piece * EQ_SPAN, hi = lo + EQ_SPAN;
    job->fn(job->ctx, lo, hi < job->n ? hi : job->n);
}

static inline void eq_for_spans(size_t n, eq_span_fn fn, const void *ctx)
{
    struct eq_span_job job = {fn, ctx, n};
    eq_parallel_for((n + EQ_SPAN - 1) / EQ_SPAN, eq_span_piece, &job);
}

#endif
