/* What is no convolution: the layout of the input, max pooling, the head, and what the host asks of a device. */

enum { ITEMS = 128, HEAD_ITEMS = 256 }; /* of a group */

/* Pixels [clip][frame][height][width][3] to words [clip][height][width][frame], the zero-point as fourth channel. */
KERNEL(input_words, 128)(EQ_ARGUMENTS)
{
    const struct eq_device_step s = steps[step];
    const size_t i = (size_t)GROUP_X * ITEMS + LOCAL_ID, all = (size_t)s.clips * s.frames * s.height * s.width;
    if (i >= all)
        return;
    const size_t pixel = i / s.frames, frame = i % s.frames, picture = (size_t)s.height * s.width;
    const size_t clip = pixel / picture, from = ((clip * s.frames + frame) * picture + pixel % picture) * 3;
    global const uchar *p = arena + s.source + from;
    ((global uint *)(arena + s.target))[i] = p[0] | (uint)p[1] << 8 | (uint)p[2] << 16 | (uint)s.source_zero << 24;
}

/* ---- max pooling --------------------------------------------------------------- */

/* The window of output word i of the pooled edge: taps y0..y1-1, x0..x1-1 of the source, and the word within a pixel. */
struct window {
    int clip, y0, y1, x0, x1, word;
};

INLINE struct window window_at(const struct eq_device_step *s, int i)
{
    const int pixel_words = s->frames * s->words, pixel = i / pixel_words;
    const int y = pixel / s->out_width % s->out_height * s->stride - s->pad;
    const int x = pixel % s->out_width * s->stride - s->pad;
    struct window w;
    w.word = i % pixel_words;
    w.clip = pixel / s->out_width / s->out_height;
    w.y0 = y > 0 ? y : 0;
    w.x0 = x > 0 ? x : 0;
    w.y1 = y + s->window < s->height ? y + s->window : s->height;
    w.x1 = x + s->window < s->width ? x + s->window : s->width;
    return w;
}

INLINE uint source_word(const struct eq_device_step *s, global const uchar *arena, const struct window *w, int y, int x)
{
    const int at = ((w->clip * s->height + y) * s->width + x) * s->frames * s->words + w->word;
    return ((global const uint *)(arena + s->source))[at];
}

INLINE uint greater_bytes(uint a, uint b)
{
    uint out = 0;
#pragma unroll
    for (int i = 0; i < 32; i += 8) {
        const uint x = a >> i & 255, y = b >> i & 255;
        out |= (x > y ? x : y) << i;
    }
    return out;
}

/* Padding never wins: a window holds at least one pixel, and 0 is the least value. */
KERNEL(max_pool_u8, 128)(EQ_ARGUMENTS)
{
    const struct eq_device_step s = steps[step];
    const int i = GROUP_X * ITEMS + LOCAL_ID;
    if (i >= s.clips * s.out_height * s.out_width * s.frames * s.words)
        return;
    const struct window w = window_at(&s, i);
    uint most = 0;
    for (int y = w.y0; y < w.y1; y++)
        for (int x = w.x0; x < w.x1; x++)
            most = greater_bytes(most, source_word(&s, arena, &w, y, x));
    ((global uint *)(arena + s.target))[i] = most;
}

/* The first of the greatest, or a NaN where there is one. */
KERNEL(max_pool_f32, 128)(EQ_ARGUMENTS)
{
    const struct eq_device_step s = steps[step];
    const int i = GROUP_X * ITEMS + LOCAL_ID;
    if (i >= s.clips * s.out_height * s.out_width * s.frames * s.words)
        return;
    const struct window w = window_at(&s, i);
    float most = as_float(source_word(&s, arena, &w, w.y0, w.x0));
    for (int y = w.y0; y < w.y1; y++)
        for (int x = w.x0; x < w.x1; x++) {
            const float v = as_float(source_word(&s, arena, &w, y, x));
            most = v > most || v != v ? v : most;
        }
    ((global float *)(arena + s.target))[i] = most;
}

/* ---- the head ------------------------------------------------------------------ */

/* A piece of a clip's rows: words first..end-1 of the edge, all channels of a row. */
struct piece {
    int first, end;
};

INLINE struct piece piece_at(const struct eq_device_step *s)
{
    const int rows = s->height * s->width * s->frames, each = (rows + s->pieces - 1) / s->pieces;
    const int from = GROUP_X * each < rows ? GROUP_X * each : rows, to = from + each < rows ? from + each : rows;
    struct piece p;
    p.first = (GROUP_Y * rows + from) * s->words;
    p.end = (GROUP_Y * rows + to) * s->words;
    return p;
}

/* sums[0] becomes the sum of all, in the order of a tree. */
#define ADD_UP(sums, id)                              \
    LOCAL_BARRIER();                                  \
    for (int n = HEAD_ITEMS / 2; n > 0; n /= 2) {     \
        if (id < n)                                   \
            sums[id] += sums[id + n];                 \
        LOCAL_BARRIER();                              \
    }

/* target[clip][piece] = sum of q * weight over the piece, exact: the host takes the zero-point off and adds the
 * pieces. */
KERNEL(head_u8, 256)(EQ_ARGUMENTS)
{
    local long sums[HEAD_ITEMS];
    const struct eq_device_step s = steps[step];
    const struct piece p = piece_at(&s);
    global const uint *q = (global const uint *)(arena + s.source), *w = (global const uint *)(arena + s.weights);
    const int id = LOCAL_ID, onward = HEAD_ITEMS % s.words;
    long sum = 0;
    int word = id % s.words;
    for (int i = p.first + id; i < p.end; i += HEAD_ITEMS) {
        sum += plain_dot4(q[i], w[word], 0);
        word += onward;
        word -= word >= s.words ? s.words : 0;
    }
    sums[id] = sum;
    ADD_UP(sums, id)
    if (id == 0)
        ((global long *)(arena + s.target))[GROUP_Y * s.pieces + GROUP_X] = sums[0];
}

/* The same for floats, in an order that shapes alone decide. */
KERNEL(head_f32, 256)(EQ_ARGUMENTS)
{
    local float sums[HEAD_ITEMS];
    const struct eq_device_step s = steps[step];
    const struct piece p = piece_at(&s);
    global const float *x = (global const float *)(arena + s.source), *w = (global const float *)(arena + s.weights);
    const int id = LOCAL_ID, onward = HEAD_ITEMS % s.words;
    float sum = 0;
    int word = id % s.words;
    for (int i = p.first + id; i < p.end; i += HEAD_ITEMS) {
        sum = fma(x[i], w[word], sum);
        word += onward;
        word -= word >= s.words ? s.words : 0;
    }
    sums[id] = sum;
    ADD_UP(sums, id)
    if (id == 0)
        ((global float *)(arena + s.target))[GROUP_Y * s.pieces + GROUP_X] = sums[0];
}

/* Mixed precision, whose head is the host's: target[clip][channel] = sum over the clip's rows, of bytes in int32 with
 * the zero-point taken off (the channels of whole words), */
KERNEL(head_sums_u8, 128)(EQ_ARGUMENTS)
{
    const struct eq_device_step s = steps[step];
    const int word = GROUP_X * ITEMS + LOCAL_ID, rows = s.height * s.width * s.frames;
    if (word >= s.words)
        return;
    global const uint *q = (global const uint *)(arena + s.source) + (size_t)GROUP_Y * rows * s.words + word;
    int4 sum = (int4)(0, 0, 0, 0);
    for (int row = 0; row < rows; row++, q += s.words)
        sum += (int4)(byte_of(*q, 0), byte_of(*q, 1), byte_of(*q, 2), byte_of(*q, 3));
    const int zero = rows * s.source_zero;
    ((global int4 *)(arena + s.target))[GROUP_Y * s.words + word] = sum - (int4)(zero, zero, zero, zero);
}

/* and of floats in doubles, row by row as on the CPU. */
#ifdef EQ_FP64
KERNEL(head_sums_f32, 128)(EQ_ARGUMENTS)
{
    const struct eq_device_step s = steps[step];
    const int channel = GROUP_X * ITEMS + LOCAL_ID, rows = s.height * s.width * s.frames;
    if (channel >= s.words)
        return;
    global const float *x = (global const float *)(arena + s.source) + (size_t)GROUP_Y * rows * s.words + channel;
    double sum = 0;
    for (int row = 0; row < rows; row++, x += s.words)
        sum += (double)*x;
    ((global double *)(arena + s.target))[GROUP_Y * s.words + channel] = sum;
}
#endif

/* ---- the host's questions --------------------------------------------------------- */

/* struct eq_device_answers of net.h: size and layout of struct eq_device_step, and whether there are doubles. */
KERNEL(answers, 1)(EQ_ARGUMENTS)
{
    global const struct eq_device_step *s = steps + step;
    global int *out = (global int *)(arena + s->target);
    out[0] = (int)sizeof(struct eq_device_step);
    out[1] = s->layout;
#ifdef EQ_FP64
    out[2] = 1;
#else
    out[2] = 0;
#endif
}
