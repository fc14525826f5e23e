/*
 * A clip's sampled frames.
 *
 * Which frames are sampled depends on how many there are, and that is what decodes, not what the header says. Two ways:
 *
 * - Motion JPEG whose packets are each one whole picture (eq_mjpeg_scan): a packet is a frame, so counting them is
 * counting what decodes, and only the sampled ones are decoded. A damaged picture still decodes (with spoilt pixels),
 * here as in a decoder that runs through; should a sampled one fail after all, the count was not honest and the other
 * way is taken.
 * - Everything else: all frames are decoded, those at the places that the header's count suggests are kept on the way,
 * and when the count was wrong a second pass picks the right ones.
 */
#include "data/clip.h"

#include <libavutil/pixdesc.h>

#include <stdlib.h>
#include <string.h>

#define MAX_ERRORS_A_PACKET 64
#define KEPT_PACKETS_MAX_BYTES ((size_t)256 << 20)

/* A read in progress. */
struct job {
    struct eq_clip_reader reader;
    const struct eq_clip_source *source;
    const struct eq_sampling *sampling; /* NULL: only look */
    uint8_t *dst;
    struct eq_clip_info info;
    struct eq_frame_converter converter;
    int max_frames;
    AVPacket **packets; /* of the packet way */
    int n_packets, cap_packets;
};

static size_t frame_bytes(const struct job *job)
{
    return (size_t)job->sampling->size * (size_t)job->sampling->size * 3;
}

static int slots(const struct job *job)
{
    return job->sampling ? job->sampling->frames : 0;
}

static int slot_index(const struct job *job, int slot, int n)
{
    return eq_sample_index_phase(slot, job->sampling->frames, n, job->sampling->phase);
}

/* Puts the frame into `slot` and the slots behind it that want the same one; returns by *next the first that doesn't.
 */
static enum eq_status keep_frame(struct job *job, const AVFrame *frame, int slot, int n, int *next, struct eq_err *err)
{
    bool gray = false;
    uint8_t *dst = job->dst + (size_t)slot * frame_bytes(job);
    enum eq_status st = eq_frame_convert(&job->converter, frame, dst, &gray, err);
    if (st != EQ_OK)
        return eq_err_context(err, "%s", job->source->name);
    job->info.gray &= gray;
    int index = slot_index(job, slot, n);
    for (*next = slot + 1; *next < slots(job) && slot_index(job, *next, n) == index; ++*next)
        memcpy(job->dst + (size_t)*next * frame_bytes(job), dst, frame_bytes(job));
    return EQ_OK;
}

/* For a look without pixels: the first frame's colour in its own size would cost a picture; a tiny square tells as
 * much. */
static enum eq_status look_at(struct job *job, const AVFrame *frame, struct eq_err *err)
{
    enum { PROBE_SIZE = 48 };
    uint8_t square[PROBE_SIZE * PROBE_SIZE * 3];
    job->converter.size = PROBE_SIZE;
    enum eq_status st = eq_frame_convert(&job->converter, frame, square, &job->info.gray, err);
    return st == EQ_OK ? EQ_OK : eq_err_context(err, "%s", job->source->name);
}

/* ---- packets that are frames
 * ------------------------------------------------------------------------------------------- */

static void drop_packets(struct job *job)
{
    for (int i = 0; i < job->n_packets; i++)
        av_packet_free(&job->packets[i]);
    free(job->packets);
    job->packets = NULL;
    job->n_packets = job->cap_packets = 0;
}

static enum eq_status push_packet(struct job *job, struct eq_err *err)
{
    if (job->n_packets == job->cap_packets) {
        int cap = job->cap_packets ? 2 * job->cap_packets : 256;
        AVPacket **grown = realloc(job->packets, (size_t)cap * sizeof(AVPacket *));
        if (!grown)
            return eq_fail(err, EQ_NOMEM, "%s: out of memory", job->source->name);
        job->packets = grown;
        job->cap_packets = cap;
    }
    AVPacket *packet = av_packet_alloc();
    if (!packet)
        return eq_fail(err, EQ_NOMEM, "%s: out of memory", job->source->name);
    av_packet_move_ref(packet, job->reader.packet);
    job->packets[job->n_packets++] = packet;
    return EQ_OK;
}

/* Takes all packets in. *ok: each is a frame of the container's size, alone responsible for its pixels. */
static enum eq_status collect_packets(struct job *job, bool *ok, struct eq_err *err)
{
    enum eq_status st = EQ_OK;
    size_t bytes = 0;
    bool huffman = false;
    for (*ok = true; *ok;) {
        bool end = false;
        EQ_TRY(eq_clip_reader_packet(&job->reader, &end, err));
        if (end)
            break;
        const AVPacket *packet = job->reader.packet;
        struct eq_mjpeg_info picture;
        bytes += (size_t)packet->size;
        *ok = job->n_packets < job->max_frames && bytes <= KEPT_PACKETS_MAX_BYTES &&
              eq_mjpeg_scan(packet->data, (size_t)packet->size, &picture) && picture.width == job->info.width &&
              picture.height == job->info.height && (job->n_packets == 0 || picture.has_huffman == huffman);
        huffman = picture.has_huffman;
        if (*ok)
            EQ_TRY(push_packet(job, err));
    }
    *ok &= job->n_packets > 0;
out:
    return st;
}

/* Decodes one packet on its own into the reader's frame; false when no frame comes of it. */
static bool decode_alone(struct eq_clip_reader *r, const AVPacket *packet)
{
    return avcodec_send_packet(r->decoder, packet) == 0 && avcodec_receive_frame(r->decoder, r->frame) == 0;
}

/* *done stays false when this clip needs the other way. */
static enum eq_status read_packets(struct job *job, bool *done, struct eq_err *err)
{
    enum eq_status st = EQ_OK;
    struct eq_clip_reader *r = &job->reader;
    *done = false;
    if (r->decoder->codec_id != AV_CODEC_ID_MJPEG || job->source->decode_all)
        return EQ_OK;
    bool ok = false;
    EQ_TRY(collect_packets(job, &ok, err));
    if (!ok)
        goto out;
    if (!job->sampling) {
        if (!decode_alone(r, job->packets[0]))
            goto out;
        EQ_TRY(look_at(job, r->frame, err));
    }
    for (int slot = 0; slot < slots(job);) {
        if (!decode_alone(r, job->packets[slot_index(job, slot, job->n_packets)]))
            goto out;
        EQ_TRY(keep_frame(job, r->frame, slot, job->n_packets, &slot, err));
    }
    job->info.decoded_frames = job->n_packets;
    *done = true;
out:
    drop_packets(job);
    return st;
}

/* ---- decoding everything
 * ------------------------------------------------------------------------------------------------ */

/* One pass: counts frames, keeps those that a clip of `guess` frames (0: none) would give. */
struct pass {
    int guess, count, slot;
};

static enum eq_status take_frame(struct job *job, struct pass *pass, struct eq_err *err)
{
    const AVFrame *frame = job->reader.frame;
    if (pass->count == job->max_frames)
        return eq_fail(err, EQ_FORMAT, "%s: more than %d frames", job->source->name, job->max_frames);
    if (pass->count == 0) {
        job->info.width = frame->width;
        job->info.height = frame->height;
        if (!job->sampling) {
            enum eq_status st = look_at(job, frame, err);
            if (st != EQ_OK)
                return st;
        }
    }
    int index = pass->count++;
    if (pass->guess && pass->slot < slots(job) && slot_index(job, pass->slot, pass->guess) == index)
        return keep_frame(job, frame, pass->slot, pass->guess, &pass->slot, err);
    return EQ_OK;
}

static enum eq_status take_frames(struct job *job, struct pass *pass, struct eq_err *err)
{
    for (int errors = 0; errors < MAX_ERRORS_A_PACKET;) {
        int code = avcodec_receive_frame(job->reader.decoder, job->reader.frame);
        if (code == AVERROR(EAGAIN) || code == AVERROR_EOF)
            return EQ_OK;
        if (code == AVERROR(ENOMEM))
            return eq_clip_av_fail(err, job->source->name, "can't be decoded", code);
        if (code < 0) { /* beyond repair: not a frame */
            errors++;
            continue;
        }
        enum eq_status st = take_frame(job, pass, err);
        if (st != EQ_OK)
            return st;
    }
    return EQ_OK;
}

static enum eq_status run_pass(struct job *job, struct pass *pass, struct eq_err *err)
{
    enum eq_status st = EQ_OK;
    struct eq_clip_reader *r = &job->reader;
    eq_clip_reader_close(r);
    EQ_TRY(eq_clip_reader_open(r, job->source, err));
    job->info.gray = true;
    for (bool end = false; !end;) {
        EQ_TRY(eq_clip_reader_packet(r, &end, err));
        int code = avcodec_send_packet(r->decoder, end ? NULL : r->packet);
        if (code == AVERROR(ENOMEM))
            EQ_TRY(eq_clip_av_fail(err, job->source->name, "can't be decoded", code));
        EQ_TRY(take_frames(job, pass, err)); /* after a refused packet too: it leaves nothing behind */
    }
out:
    return st;
}

static enum eq_status read_all(struct job *job, struct eq_err *err)
{
    enum eq_status st = EQ_OK;
    struct pass pass = {.guess = job->info.header_frames};
    EQ_TRY(run_pass(job, &pass, err));
    job->info.decoded_frames = pass.count;
    if (pass.count > 0 && slots(job) && pass.count != pass.guess) {
        struct pass second = {.guess = pass.count};
        EQ_TRY(run_pass(job, &second, err));
        if (second.count != pass.count)
            st = eq_fail(err, EQ_IO, "%s changed while it was read", job->source->name);
    }
out:
    return st;
}

/* ---- the whole
 * ------------------------------------------------------------------------------------------------------------ */

static enum eq_status check_count(const struct eq_clip_info *info, const char *name, struct eq_err *err)
{
    if (info->decoded_frames == 0)
        return eq_fail(err, EQ_FORMAT, "%s: not one frame can be decoded (codec %s)", name, info->codec);
    if (2 * (int64_t)info->decoded_frames < info->header_frames)
        return eq_fail(err, EQ_FORMAT, "%s: truncated: %d of the %d frames that its header claims can be decoded", name,
                       info->decoded_frames, info->header_frames);
    return EQ_OK;
}

enum eq_status eq_clip_read_source(const struct eq_clip_source *source, const struct eq_sampling *sampling,
                                   uint8_t *dst, struct eq_clip_info *info, struct eq_err *err)
{
    enum eq_status st = EQ_OK;
    struct job job = {.source = source, .sampling = sampling, .dst = dst};
    job.max_frames = source->max_frames ? source->max_frames : EQ_CLIP_MAX_FRAMES;
    if (sampling && (eq_sampling_bytes(sampling) == 0 || !(sampling->phase < 1.0)))
        return eq_fail(err, EQ_USAGE, "can't sample %d frames of %d pixels at phase %g", sampling->frames,
                       sampling->size, sampling->phase);
    job.converter.size = sampling ? sampling->size : 0;
    EQ_TRY(eq_clip_reader_open(&job.reader, source, err));
    eq_clip_reader_info(&job.reader, &job.info);
    job.info.gray = true;
    bool done = false;
    EQ_TRY(read_packets(&job, &done, err));
    if (!done)
        EQ_TRY(read_all(&job, err));
    EQ_TRY(check_count(&job.info, source->name, err));
    if (info)
        *info = job.info;
out:
    drop_packets(&job);
    eq_frame_converter_clear(&job.converter);
    eq_clip_reader_close(&job.reader);
    return st;
}

enum eq_status eq_clip_read(const char *path, const struct eq_sampling *sampling, uint8_t *dst,
                            struct eq_clip_info *info, struct eq_err *err)
{
    struct eq_clip_source source = {.name = path};
    return eq_clip_read_source(&source, sampling, dst, info, err);
}

enum eq_status eq_clip_probe(const char *path, struct eq_clip_info *info, struct eq_err *err)
{
    struct eq_clip_source source = {.name = path};
    return eq_clip_read_source(&source, NULL, NULL, info, err);
}
