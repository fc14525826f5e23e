/* torchvision's ResNet-18 (He et al., CVPR 2016) per frame, mean over frames, one output. */
#include "model/graph.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Builds from the input to the output. The first failure sticks in ok, so that build() reads like the network. */
struct builder {
    struct eq_graph *g;
    bool ok;
};

static int add_node(struct builder *b, struct eq_node n, const char *name)
{
    b->ok = b->ok && strlen(name) < sizeof(n.name);
    if (!b->ok)
        return 0;
    snprintf(n.name, sizeof n.name, "%s", name);
    int at = eq_graph_add_node(b->g, &n);
    b->ok = at >= 0;
    return b->ok ? at : 0;
}

/* A parameter "module.kind", all values the same. */
static int add_param(struct builder *b, const char *module, const char *kind, int rank, const size_t *shape,
                     bool trainable, bool decay, float value)
{
    struct eq_str key = {0};
    eq_str_add(&key, "%s.%s", module, kind);
    int at = b->ok ? eq_graph_add_param(b->g, key.s, rank, shape, trainable, decay) : -1;
    eq_str_clear(&key);
    b->ok = at >= 0;
    if (!b->ok)
        return 0;
    float *data = eq_param_data(&b->g->params[at]);
    for (size_t i = 0, n = eq_param_count(&b->g->params[at]); i < n; i++)
        data[i] = value;
    return at;
}

static int conv(struct builder *b, int src, const char *name, int cin, int cout, int k, int stride, int pad)
{
    struct eq_node n = eq_node_of(EQ_OP_CONV2D, src);
    n.cin = cin;
    n.cout = cout;
    n.k = k;
    n.stride = stride;
    n.pad = pad;
    n.weight = add_param(b, name, "weight", 4, (size_t[]){cout, cin, k, k}, true, true, 0);
    return add_node(b, n, name);
}

static int batchnorm(struct builder *b, int src, const char *name, int c)
{
    struct eq_node n = eq_node_of(EQ_OP_BATCHNORM, src);
    n.cin = n.cout = c;
    n.eps = 1e-5f;
    n.momentum = 0.1f;
    const size_t shape[1] = {c};
    n.gamma = add_param(b, name, "weight", 1, shape, true, false, 1);
    n.beta = add_param(b, name, "bias", 1, shape, true, false, 0);
    n.running_mean = add_param(b, name, "running_mean", 1, shape, false, false, 0);
    n.running_var = add_param(b, name, "running_var", 1, shape, false, false, 1);
    return add_node(b, n, name);
}

/* An operation without parameters on c channels. */
static int simple(struct builder *b, enum eq_op op, int src, const char *name, int c)
{
    struct eq_node n = eq_node_of(op, src);
    n.cin = n.cout = c;
    if (op == EQ_OP_MAXPOOL) {
        n.k = 3;
        n.stride = 2;
        n.pad = 1;
    }
    return add_node(b, n, name);
}

static int add(struct builder *b, int a, int c, const char *name, int channels)
{
    struct eq_node n = eq_node_of(EQ_OP_ADD, a);
    n.src[1] = c;
    n.cin = n.cout = channels;
    return add_node(b, n, name);
}

/* The bias starts at the target's mean: the first predictions are then those of the best constant. */
static int head(struct builder *b, int src, const char *name, int cin)
{
    struct eq_node n = eq_node_of(EQ_OP_LINEAR, src);
    n.cin = cin;
    n.cout = 1;
    n.weight = add_param(b, name, "weight", 2, (size_t[]){1, cin}, true, true, 0);
    n.bias = add_param(b, name, "bias", 1, (size_t[]){1}, true, false, b->g->meta.target_mean);
    return add_node(b, n, name);
}

/* "layer1.0" + ".conv1" */
struct path {
    char s[48];
};
static struct path join(const char *block, const char *leaf)
{
    struct path p;
    snprintf(p.s, sizeof p.s, "%s.%s", block, leaf);
    return p;
}

static int basic_block(struct builder *b, int src, const char *block, int cin, int cout, int stride)
{
    int x = conv(b, src, join(block, "conv1").s, cin, cout, 3, stride, 1);
    x = batchnorm(b, x, join(block, "bn1").s, cout);
    x = simple(b, EQ_OP_RELU, x, join(block, "relu1").s, cout);
    x = conv(b, x, join(block, "conv2").s, cout, cout, 3, 1, 1);
    x = batchnorm(b, x, join(block, "bn2").s, cout);
    int shortcut = src;
    if (stride != 1 || cin != cout) {
        shortcut = conv(b, src, join(block, "downsample.0").s, cin, cout, 1, stride, 0);
        shortcut = batchnorm(b, shortcut, join(block, "downsample.1").s, cout);
    }
    x = add(b, x, shortcut, join(block, "add").s, cout);
    return simple(b, EQ_OP_RELU, x, join(block, "relu2").s, cout);
}

static void build(struct builder *b, int width)
{
    int x = simple(b, EQ_OP_INPUT, -1, "input", 3);
    b->g->input = x;
    x = conv(b, x, "conv1", 3, width, 7, 2, 3);
    x = batchnorm(b, x, "bn1", width);
    x = simple(b, EQ_OP_RELU, x, "relu", width);
    x = simple(b, EQ_OP_MAXPOOL, x, "maxpool", width);
    int c = width;
    for (int stage = 0; stage < 4; stage++)
        for (int block = 0; block < 2; block++) {
            char name[32];
            snprintf(name, sizeof name, "layer%d.%d", stage + 1, block);
            int cout = width << stage;
            x = basic_block(b, x, name, c, cout, stage > 0 && block == 0 ? 2 : 1);
            c = cout;
        }
    x = simple(b, EQ_OP_GLOBAL_AVG, x, "avgpool", c);
    x = simple(b, EQ_OP_TEMPORAL_MEAN, x, "temporal_mean", c);
    b->g->output = head(b, x, "fc", c);
}

enum eq_status eq_resnet18_skeleton(const struct eq_model_meta *meta, int width, struct eq_graph **out,
                                    struct eq_err *err)
{
    *out = NULL;
    if (width < 1 || width > EQ_RESNET18_MAX_WIDTH)
        return eq_fail(err, EQ_USAGE, "ResNet-18 of width %d: the width must be 1 to %d", width, EQ_RESNET18_MAX_WIDTH);
    struct builder b = {calloc(1, sizeof(*b.g)), true};
    if (b.g) {
        b.g->meta = *meta;
        build(&b, width);
    }
    if (!b.g || !b.ok) {
        eq_graph_free(b.g);
        return eq_fail(err, EQ_NOMEM, "out of memory for the model");
    }
    *out = b.g;
    return EQ_OK;
}

/* The stream depends on the parameter's name: a change elsewhere in the network leaves its initial values as they were.
 */
static struct eq_rng init_stream(const struct eq_param *p, uint64_t seed)
{
    struct eq_rng rng;
    eq_rng_init(&rng, seed, EQ_RNG_INIT, 0, (uint32_t)eq_hash64(p->name, strlen(p->name)));
    return rng;
}

/* He et al. 2015, fan-out: deviation sqrt(2 / (cout k k)). */
static void init_conv(struct eq_param *p, uint64_t seed)
{
    struct eq_rng rng = init_stream(p, seed);
    const size_t *shape = p->value.shape;
    double deviation = sqrt(2.0 / (double)(shape[0] * shape[2] * shape[3]));
    for (size_t i = 0, n = eq_param_count(p); i < n; i++)
        eq_param_data(p)[i] = (float)(deviation * eq_rng_normal(&rng));
}

/* Uniform +-1/sqrt(cin) as PyTorch's, in units of the target's deviation. */
static void init_linear(struct eq_param *p, uint64_t seed, float target_std)
{
    struct eq_rng rng = init_stream(p, seed);
    double bound = target_std / sqrt((double)p->value.shape[1]);
    for (size_t i = 0, n = eq_param_count(p); i < n; i++)
        eq_param_data(p)[i] = (float)eq_rng_range(&rng, -bound, bound);
}

enum eq_status eq_resnet18_new(const struct eq_model_meta *meta, int width, uint64_t seed, struct eq_graph **out,
                               struct eq_err *err)
{
    enum eq_status st = eq_resnet18_skeleton(meta, width, out, err);
    for (int i = 0; st == EQ_OK && i < (*out)->n_params; i++) {
        struct eq_param *p = &(*out)->params[i];
        if (p->value.rank == 4)
            init_conv(p, seed);
        else if (p->value.rank == 2)
            init_linear(p, seed, meta->target_std);
    }
    return st;
}
