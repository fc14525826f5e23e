/* A model file with any edits (st_edit.h), as an FP32 model and as a pretrained start: it is refused with a reason, or
 * the network is the file's, to the bit. */
#include "model/graph.h"
#include "st_edit.h"

#include <math.h>
#include <unistd.h>

static struct eq_st_file base;
static struct eq_graph *start;

static void make_base(void)
{
    const struct eq_model_meta meta = {.frames = 2,
                                       .size = 32,
                                       .pixel_mean = 90,
                                       .pixel_std = 50,
                                       .target_mean = 55,
                                       .target_std = 12,
                                       .looks = {.clips = 3}};
    char path[] = "/tmp/fuzz_model-XXXXXX";
    struct eq_err err;
    int fd = mkstemp(path);
    require(fd >= 0 && eq_resnet18_new(&meta, 1, 1, &start, &err) == EQ_OK);
    require(eq_model_save(path, start, &err) == EQ_OK && eq_st_read(path, &base, &err) == EQ_OK);
    unlink(path);
    close(fd);
}

static void load(struct eq_st_file *f)
{
    struct eq_graph *g;
    struct eq_err err = {0};
    enum eq_status st = eq_model_from_st(f, &g, &err);
    require(st == EQ_OK ? g != NULL : !g && err.status == st && err.msg[0] && (st == EQ_FORMAT || st == EQ_NUMERIC));
    size_t at = 0;
    for (int i = 0; g && i < g->n_params; i++) {
        const struct eq_st_tensor *t = eq_st_find_next(f, &at, g->params[i].name);
        require(t && memcmp(t->value.data, g->params[i].value.data, eq_tensor_bytes(&t->value)) == 0);
    }
    require(!g || (g->meta.frames > 0 && g->meta.size > 0 && g->meta.pixel_std > 0 && g->meta.target_std > 0));
    eq_graph_free(g);
}

static void begin_from(struct eq_st_file *f)
{
    struct eq_init_report r;
    struct eq_err err = {0};
    float before = eq_param_data(&start->params[0])[0];
    enum eq_status st = eq_model_init_from_st(start, f, &r, &err);
    if (st == EQ_OK) {
        require(r.used + r.missing + r.misshaped + 2 == (size_t)start->n_params); /* the head has two */
        require((r.missing == 0) == (r.missing_names.len == 0) && (r.unused == 0) == (r.unused_names.len == 0));
    } else {
        require(err.status == st && err.msg[0] && (st == EQ_FORMAT || st == EQ_NUMERIC));
        require(eq_param_data(&start->params[0])[0] == before && !r.missing_names.s && !r.prefix.s);
    }
    require(isfinite(eq_param_data(&start->params[0])[0]));
    eq_init_report_clear(&r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct st_edit e;
    if (!start)
        make_base();
    struct eq_st_file *f = st_edit(&e, &base, data, size);
    load(f);
    begin_from(f);
    st_edit_clear(&e);
    return 0;
}
