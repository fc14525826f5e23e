/* A network on a device after it was made: its calls, what the host does of the head, its end. */
#include "device/net.h"

#include <stdlib.h>
#include <string.h>

void eq_device_net_free(struct eq_device_net *n)
{
    if (!n)
        return;
    const struct eq_device *d = n->device;
    if (d) {
        d->api->forget(d->ctx, n->sequence);
        d->api->release(d->ctx, n->steps);
        d->api->release(d->ctx, n->arena);
    }
    eq_free(n->edges);
    eq_free(n->sums);
    eq_free(n->weights);
    free(n);
}

/* ---- calls --------------------------------------------------------------------- */

enum eq_status eq_device_net_start(struct eq_device_net *n, const uint8_t *pixels, struct eq_err *err)
{
    if (n->running)
        return eq_fail(err, EQ_USAGE, "a call on %s has been started and not finished", n->device->info.id);
    EQ_CHECK(n->device->api->start(n->device->ctx, n->sequence, pixels, err));
    n->running = true;
    return EQ_OK;
}

enum eq_status eq_device_net_finish(struct eq_device_net *n, float *ef, struct eq_err *err)
{
    if (!n->running)
        return eq_fail(err, EQ_USAGE, "no call on %s has been started", n->device->info.id);
    n->running = false;
    EQ_CHECK(n->device->api->finish(n->device->ctx, n->sequence, n->sums, &n->times, err));
    eq_device_head_ef(n, ef);
    return EQ_OK;
}

enum eq_status eq_device_net_run(struct eq_device_net *n, const uint8_t *pixels, float *ef, struct eq_err *err)
{
    EQ_CHECK(eq_device_net_start(n, pixels, err));
    return eq_device_net_finish(n, ef, err);
}

struct eq_device_times eq_device_net_times(const struct eq_device_net *n)
{
    return n->times;
}

size_t eq_device_net_bytes(const struct eq_device_net *n)
{
    return n->bytes;
}

/* ---- the head -------------------------------------------------------------------- */

/* The last operations, in double, as quant/qengine_run.c and quant/qengine_f32.c have them: no device needs doubles
 * for them. */
void eq_device_head_ef(const struct eq_device_net *n, float *ef)
{
    const int64_t *products = n->sums;
    const float *products_f32 = n->sums;
    const int32_t *whole = n->sums;
    const double *floats = n->sums;
    for (int clip = 0; clip < n->clips; clip++) {
        int64_t exact = -n->zero;
        double dot = 0;
        switch (n->head) {
        case EQ_DEVICE_HEAD_U8:
            for (int i = 0; i < n->pieces; i++)
                exact += products[clip * n->pieces + i];
            dot = (double)exact * n->scale;
            break;
        case EQ_DEVICE_HEAD_F32:
            for (int i = 0; i < n->pieces; i++)
                dot += (double)products_f32[clip * n->pieces + i];
            dot /= n->count;
            break;
        case EQ_DEVICE_HEAD_SUMS_U8:
            for (int c = 0; c < n->channels; c++)
                dot += whole[clip * n->sum_channels + c] * n->scale / n->count * (double)n->weights[c];
            break;
        case EQ_DEVICE_HEAD_SUMS_F32:
            for (int c = 0; c < n->channels; c++)
                dot += floats[clip * n->sum_channels + c] / n->count * (double)n->weights[c];
            break;
        }
        ef[clip] = (float)(dot + n->bias);
    }
}

/* ---- edges ------------------------------------------------------------------------ */

enum eq_status eq_device_net_edge(struct eq_device_net *n, int node, void *out, size_t bytes, struct eq_err *err)
{
    const struct eq_device *d = n->device;
    if (n->running || node < 0 || node >= n->n_nodes || !n->edges[node].kept)
        return eq_fail(err, EQ_USAGE, "the output of node %d is not kept", node);
    const struct eq_device_edge *e = &n->edges[node];
    const size_t row = (size_t)e->words * 4, wanted = (size_t)e->channels * (e->bytes ? 1 : 4);
    if (bytes != e->rows * wanted)
        return eq_fail(err, EQ_USAGE, "the output of node %d has %zu bytes, not %zu", node, e->rows * wanted, bytes);
    uint8_t *padded = eq_alloc(e->rows, row);
    if (!padded)
        return eq_fail(err, EQ_NOMEM, "out of memory for the output of node %d", node);
    enum eq_status st = d->api->read(d->ctx, n->arena, e->offset, padded, e->rows * row, err);
    for (size_t r = 0; st == EQ_OK && r < e->rows; r++)
        memcpy((uint8_t *)out + r * wanted, padded + r * row, wanted);
    eq_free(padded);
    return st;
}

/* ---- answers ------------------------------------------------------------------------ */

enum eq_status eq_device_ask(struct eq_device *d, struct eq_device_answers *out, struct eq_err *err)
{
    enum eq_status st;
    eq_device_buffer arena = 0, steps = 0;
    void *sequence = NULL;
    struct eq_device_times times;
    const struct eq_device_step step = {.layout = EQ_STEP_LAYOUT};
    const struct eq_launch launch = {"answers", 0, {1, 1, 1}, {1, 1, 1}};
    EQ_TRY(d->api->alloc(d->ctx, sizeof *out, &arena, err));
    EQ_TRY(d->api->alloc(d->ctx, sizeof step, &steps, err));
    EQ_TRY(d->api->write(d->ctx, steps, 0, &step, sizeof step, err));
    const struct eq_sequence_plan plan = {
        .launches = &launch, .n = 1, .arena = arena, .steps = steps, .out_bytes = sizeof *out};
    EQ_TRY(d->api->record(d->ctx, &plan, &sequence, err));
    EQ_TRY(d->api->start(d->ctx, sequence, NULL, err));
    EQ_TRY(d->api->finish(d->ctx, sequence, out, &times, err));
out:
    d->api->forget(d->ctx, sequence);
    d->api->release(d->ctx, steps);
    d->api->release(d->ctx, arena);
    return st;
}
