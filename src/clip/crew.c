/*
 * Several threads at one clip. The caller's thread opens the file, reads packets, and queues those whose pictures are
 * wanted. Helpers, each with a decoder of its own, make pixels of them; after the last packet, the caller does so, too.
 * At the beginning, when there are no packets yet, a helper judges the file.
 *
 * Only Motion JPEG pictures that need no other packet come here, so it doesn't matter which decoder meets which of
 * them, and pixels are those of a single thread. What else may be said about a clip, and in which order, is not decided
 * here: if anything about a picture is unusual, the pass is given up, and the clip is read again by one thread.
 */
#include "clip/clip.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* Packets that wait, at most. The caller works on one itself where there is no room. */
enum { QUEUE = 64, QUEUE_BYTES = 8 << 20 };
enum { WORDS = 256 }; /* bytes of APP0 and COM segments */

/* A picture on its way to pixels. */
struct task {
    AVPacket *packet; /* owned */
    struct eq_mjpeg_info picture;
    uint8_t *dst;
};

/* What a thread works with. */
struct hand {
    struct eq_clip_reader own, *reader; /* a decoder, a frame; the caller has those of its reader */
    int pass;                           /* for which it was opened */
    struct eq_mjpeg_walker *walker;
    struct eq_frame_converter converter;
};

struct eq_clip_crew {
    const struct eq_clip_file *file;
    struct hand hands[EQ_CLIP_CREW];
    AVCodecParameters *par; /* of the pass */
    AVRational time_base;
    bool upright; /* by the container */
    int pass;
    uint8_t words[WORDS];
    size_t words_len;
    atomic_bool odd;

    pthread_mutex_t lock; /* of all below */
    struct task queue[QUEUE];
    int first, n; /* tasks that wait */
    size_t bytes; /* of their packets */
    int busy;     /* threads with a task */
    bool over, gray;
    enum eq_status st; /* of the process, not of the clip */
    struct eq_err err;
    const char *format; /* of a file that is to be judged; NULL: none */
    int stream;
    bool judged;
    char reason[EQ_CLIP_REASON];
    int repeats[EQ_CLIP_AVI_STREAMS];
    enum eq_status judge_st;
    struct eq_err judge_err;
};

struct eq_clip_crew *eq_clip_crew_new(const struct eq_clip_file *file, int size)
{
    struct eq_clip_crew *c = eq_small(NULL, sizeof *c);
    memset(c, 0, sizeof *c);
    c->file = file;
    pthread_mutex_init(&c->lock, NULL);
    for (int i = 0; i < EQ_CLIP_CREW; i++) {
        c->hands[i].own = (struct eq_clip_reader){.file = file, .fd = -1};
        c->hands[i].reader = &c->hands[i].own;
        c->hands[i].converter.size = size;
    }
    return c;
}

void eq_clip_crew_free(struct eq_clip_crew *c)
{
    if (!c)
        return;
    for (int i = 0; i < EQ_CLIP_CREW; i++) {
        eq_clip_reader_close(&c->hands[i].own);
        eq_mjpeg_walker_free(c->hands[i].walker);
        eq_frame_converter_clear(&c->hands[i].converter);
    }
    avcodec_parameters_free(&c->par);
    pthread_mutex_destroy(&c->lock);
    free(c);
}

/* ---- a thread's tasks ------------------------------------------------------ */

static void judge(struct eq_clip_crew *c)
{
    c->judge_st = eq_clip_judge_file(c->file, c->format, c->reason, c->repeats, &c->judge_err);
    if (c->judge_st == EQ_OK)
        c->judge_st = eq_clip_watch(c->file->name, 0, &c->judge_err);
}

/* The decoder of a helper in this pass. */
static enum eq_status take_tools(struct eq_clip_crew *c, struct hand *h, struct eq_err *err)
{
    if (!h->walker)
        h->walker = eq_mjpeg_walker_new();
    if (h->pass == c->pass)
        return EQ_OK;
    eq_clip_reader_close(&h->own);
    h->pass = c->pass;
    return eq_clip_reader_open_decoder(&h->own, c->par, c->time_base, err);
}

/* Whether all about a decoded frame is as usual. */
static bool is_plain(const struct eq_clip_crew *c, const AVFrame *f, const struct eq_mjpeg_info *picture)
{
    bool turns = c->upright && av_frame_get_side_data(f, AV_FRAME_DATA_DISPLAYMATRIX);
    return f->width == picture->width && f->height == picture->height && !turns;
}

/* EQ_FORMAT: the picture is odd. */
static enum eq_status make_pixels(struct eq_clip_crew *c, struct hand *h, const struct task *t, bool *gray,
                                  struct eq_err *err)
{
    EQ_CHECK(take_tools(c, h, err));
    struct eq_clip_reader *r = h->reader;
    int messages = r->messages;
    bool plain = eq_mjpeg_is_intact(h->walker, &t->picture) && eq_clip_reader_send(r, t->packet) == 0 &&
                 eq_clip_reader_receive(r) == 0 && r->messages == messages && is_plain(c, r->frame, &t->picture);
    if (!plain)
        return eq_fail(err, EQ_FORMAT, "%s: an unusual picture", c->file->name);
    EQ_CHECK(eq_clip_watch(c->file->name, (size_t)t->picture.width * (size_t)t->picture.height, err));
    if (eq_frame_convert(&h->converter, r->frame, t->dst, gray, err) != EQ_OK)
        return eq_err_context(err, "%s", c->file->name);
    return EQ_OK;
}

static bool ends_all(enum eq_status st)
{
    return st == EQ_NOMEM || st == EQ_INTERRUPTED || st == EQ_TOO_SLOW;
}

/* Takes a task, or the judging of the file, and does it. False: there is none. The lock is held, and given up
 * meanwhile. */
static bool do_one(struct eq_clip_crew *c, int worker)
{
    struct task t = {0};
    struct eq_err err = {0};
    enum eq_status st = EQ_OK;
    bool judging = c->format && !c->judged, gray = true;
    if (judging) {
        c->judged = true;
    } else if (c->n > 0) {
        t = c->queue[c->first];
        c->first = (c->first + 1) % QUEUE;
        c->n--;
        c->bytes -= (size_t)t.packet->size;
    } else {
        return false;
    }
    c->busy++;
    bool wanted = judging || (c->st == EQ_OK && !c->odd);
    pthread_mutex_unlock(&c->lock);
    errno = 0; /* for eq_memory_ignored */
    if (judging)
        judge(c);
    else if (wanted)
        st = make_pixels(c, &c->hands[worker], &t, &gray, &err);
    av_packet_free(&t.packet);
    eq_memory_ignored();
    pthread_mutex_lock(&c->lock);
    c->busy--;
    c->gray &= gray;
    if (ends_all(st) && c->st == EQ_OK) {
        c->st = st;
        c->err = err;
    } else if (st != EQ_OK) {
        c->odd = true;
    }
    eq_parallel_tell();
    return true;
}

void eq_clip_crew_help(struct eq_clip_crew *c, int worker)
{
    eq_clip_watch_begin();
    pthread_mutex_lock(&c->lock);
    while (!c->over) {
        unsigned news = eq_parallel_news();
        if (do_one(c, worker))
            continue;
        pthread_mutex_unlock(&c->lock);
        eq_parallel_wait(news);
        pthread_mutex_lock(&c->lock);
    }
    pthread_mutex_unlock(&c->lock);
}

/* ---- the caller ------------------------------------------------------------ */

void eq_clip_crew_end(struct eq_clip_crew *c)
{
    pthread_mutex_lock(&c->lock);
    c->over = true;
    pthread_mutex_unlock(&c->lock);
    eq_parallel_tell();
}

/* Until no task is left or under way. */
static void do_all(struct eq_clip_crew *c)
{
    pthread_mutex_lock(&c->lock);
    for (;;) {
        unsigned news = eq_parallel_news();
        if (do_one(c, 0))
            continue;
        if (c->busy == 0)
            break;
        pthread_mutex_unlock(&c->lock);
        eq_parallel_wait(news);
        pthread_mutex_lock(&c->lock);
    }
    pthread_mutex_unlock(&c->lock);
}

void eq_clip_crew_judge(struct eq_clip_crew *c, const char *format, int stream)
{
    pthread_mutex_lock(&c->lock);
    c->format = format;
    c->stream = stream;
    pthread_mutex_unlock(&c->lock);
    eq_parallel_tell();
}

enum eq_status eq_clip_crew_judged(struct eq_clip_crew *c, char reason[EQ_CLIP_REASON], int *repeats,
                                   struct eq_err *err)
{
    do_all(c);
    memcpy(reason, c->reason, EQ_CLIP_REASON);
    *repeats = c->stream < EQ_CLIP_AVI_STREAMS ? c->repeats[c->stream] : 0;
    if (c->judge_st != EQ_OK && err)
        *err = c->judge_err;
    return c->judge_st;
}

enum eq_status eq_clip_crew_begin(struct eq_clip_crew *c, struct eq_clip_reader *r, const struct eq_clip_info *info,
                                  struct eq_err *err)
{
    const AVStream *stream = r->format->streams[r->stream];
    if (!c->par)
        c->par = avcodec_parameters_alloc();
    if (!c->par || avcodec_parameters_copy(c->par, stream->codecpar) < 0)
        return eq_fail(err, EQ_NOMEM, "%s: out of memory", c->file->name);
    c->time_base = stream->time_base;
    c->pass++;
    c->upright = !info->turned && !info->mirrored;
    c->words_len = SIZE_MAX;
    pthread_mutex_lock(&c->lock);
    c->gray = true;
    pthread_mutex_unlock(&c->lock);
    c->hands[0].reader = r;
    c->hands[0].pass = c->pass;
    for (int i = 0; i < EQ_CLIP_CREW; i++) {
        c->hands[i].converter.turned = info->turned;
        c->hands[i].converter.mirrored = info->mirrored;
    }
    return EQ_OK;
}

/* A decoder may remember what APP0 and COM segments say (that pictures are upside down, or have other colors). Where
 * all pictures begin with the same ones, each decoder knows the same. */
static bool has_words_of_others(struct eq_clip_crew *c, const struct eq_mjpeg_info *picture)
{
    if (picture->late_words || picture->words_len > WORDS)
        return false;
    if (c->words_len == SIZE_MAX) {
        memcpy(c->words, picture->words, picture->words_len);
        c->words_len = picture->words_len;
    }
    return c->words_len == picture->words_len && memcmp(c->words, picture->words, c->words_len) == 0;
}

enum eq_status eq_clip_crew_add(struct eq_clip_crew *c, const struct eq_mjpeg_info *picture, uint8_t *dst,
                                struct eq_err *err)
{
    struct eq_clip_reader *r = c->hands[0].reader;
    if (!has_words_of_others(c, picture)) {
        c->odd = true;
        return EQ_OK;
    }
    struct task t = {av_packet_alloc(), *picture, dst};
    if (!t.packet)
        return eq_fail(err, EQ_NOMEM, "%s: out of memory", c->file->name);
    av_packet_move_ref(t.packet, r->packet);
    pthread_mutex_lock(&c->lock);
    while (c->n == QUEUE || (c->n > 0 && c->bytes + (size_t)t.packet->size > QUEUE_BYTES))
        do_one(c, 0);
    c->queue[(c->first + c->n) % QUEUE] = t;
    c->n++;
    c->bytes += (size_t)t.packet->size;
    pthread_mutex_unlock(&c->lock);
    eq_parallel_tell();
    return EQ_OK;
}

enum eq_status eq_clip_crew_finish(struct eq_clip_crew *c, bool *gray, bool *odd, struct eq_err *err)
{
    do_all(c);
    *gray = c->gray;
    *odd = c->odd;
    if (c->st != EQ_OK && err)
        *err = c->err;
    return c->st;
}

bool eq_clip_crew_is_odd(struct eq_clip_crew *c)
{
    return c->odd;
}
