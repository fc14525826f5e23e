/* Where buffers lie in the arena: greedy by size, as the planners of TFLite and XNNPACK. */
#include "echoquant/model.h"

#include <stdlib.h>

enum { ALIGN = 64 };

static size_t round_up(size_t n)
{
    return (n + ALIGN - 1) / ALIGN * ALIGN;
}

/* Sorts by size, largest first; equal ones by when they begin, then by index, so that the plan is one and the same. */
struct by_size {
    const struct eq_plan_buffer *buffer;
};

static int larger_first(const void *pa, const void *pb)
{
    const struct eq_plan_buffer *a = ((const struct by_size *)pa)->buffer, *b = ((const struct by_size *)pb)->buffer;
    if (a->bytes != b->bytes)
        return a->bytes > b->bytes ? -1 : 1;
    if (a->first != b->first)
        return a->first < b->first ? -1 : 1;
    return a < b ? -1 : a > b;
}

static bool live_together(const struct eq_plan_buffer *a, const struct eq_plan_buffer *b)
{
    return a->first <= b->last && b->first <= a->last;
}

/* The smallest gap between placed neighbours in time that holds the buffer, or the first byte behind them all. placed[]
 * is in order of offset. */
static size_t find_offset(const struct by_size *placed, int n, const struct eq_plan_buffer *b)
{
    size_t end = 0, best = SIZE_MAX, best_gap = SIZE_MAX, need = round_up(b->bytes);
    for (int i = 0; i < n; i++) {
        const struct eq_plan_buffer *p = placed[i].buffer;
        if (!live_together(p, b))
            continue;
        if (p->offset >= end && p->offset - end >= need && p->offset - end < best_gap) {
            best = end;
            best_gap = p->offset - end;
        }
        size_t p_end = p->offset + round_up(p->bytes);
        end = p_end > end ? p_end : end;
    }
    return best != SIZE_MAX ? best : end;
}

static void insert_by_offset(struct by_size *placed, int n, const struct eq_plan_buffer *b)
{
    int i = n;
    for (; i > 0 && placed[i - 1].buffer->offset > b->offset; i--)
        placed[i] = placed[i - 1];
    placed[i].buffer = b;
}

size_t eq_plan_arena(struct eq_plan_buffer *buffers, int n)
{
    if (n < 1)
        return 0;
    struct by_size *order = malloc(2 * (size_t)n * sizeof(*order)), *placed = order + n;
    if (!order)
        return SIZE_MAX;
    for (int i = 0; i < n; i++)
        order[i].buffer = &buffers[i];
    qsort(order, (size_t)n, sizeof(*order), larger_first);
    size_t total = 0;
    for (int i = 0; i < n; i++) {
        struct eq_plan_buffer *b = &buffers[order[i].buffer - buffers];
        b->offset = find_offset(placed, i, b);
        insert_by_offset(placed, i, b);
        size_t end = b->offset + round_up(b->bytes);
        total = end > total ? end : total;
    }
    free(order);
    return total;
}
