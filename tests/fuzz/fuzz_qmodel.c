/* Any bytes as the file of a quantized model: refused with a reason, or a model that is fit to run. */
#include "echoquant/quant.h"
#include "quant/qmodel.h"
#include "fuzz.h"

/* Small enough to run under a fuzzer; the limits of files are far above. */
static bool is_small(const struct eq_qmodel *m)
{
    if (m->meta.frames > 4 || m->meta.size > 32)
        return false;
    for (int i = 0; i < m->n_nodes; i++)
        if (m->nodes[i].cin > 64 || m->nodes[i].cout > 64 || m->nodes[i].pad > 3)
            return false;
    return m->n_nodes <= 32;
}

static void run(const struct eq_qmodel *m)
{
    struct eq_qengine *e;
    float ef;
    if (eq_qengine_new(m, 1, m->meta.frames, m->meta.size, false, &e, NULL) != EQ_OK)
        abort(); /* what loads must run */
    size_t n = (size_t)m->meta.frames * m->meta.size * m->meta.size * 3;
    uint8_t *pixels = malloc(n);
    if (!pixels)
        abort();
    for (size_t i = 0; i < n; i++)
        pixels[i] = (uint8_t)(i * 37);
    (void)eq_qengine_run(e, pixels, &ef, NULL);
    eq_qengine_free(e);
    free(pixels);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool ready;
    if (!ready) {
        eq_kernels_init();
        ready = eq_parallel_init(1, NULL) == EQ_OK;
    }
    struct eq_err err = {0};
    struct eq_st_file f = {0};
    struct eq_qmodel *m;
    if (eq_st_parse(data, size, "input", &f, &err) != EQ_OK)
        return 0;
    enum eq_status st = eq_qmodel_from_st(&f, &m, &err);
    if (st != EQ_OK && (m || !err.msg[0]))
        abort();
    if (st == EQ_OK && is_small(m))
        run(m);
    eq_qmodel_free(m);
    eq_st_clear(&f);
    return 0;
}
