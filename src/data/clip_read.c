/*
 * A clip's sampled frames.
 *
 * Which frames are sampled depends on how many there are: those that decode, whatever the header says. The header's
 * count is a guess. The frames that it leads to are kept while counting; when it was wrong, a second pass keeps the
 * right ones.
 *
 * Motion JPEG is counted without decoding: a packet that is one whole picture by its markers (eq_mjpeg_scan) is a
 * frame, and only those that are kept are decoded. The count is exact because a decoder makes a frame of exactly such
 * packets, even when their pixels are damaged. If a packet looks any different, or a kept one gives no frame,
 * everything is decoded, as with other codecs.
 */
#include "data/clip.h"
#include "data/dicom.h"

#include <libavutil/pixdesc.h>

#include <stdlib.h>
#include <string.h>

#define MAX_ERRORS_A_PACKET 64

/* A read in progress. */
struct job {
    struct eq_clip_reader reader;
    const struct eq_clip_file *file;
    const struct eq_sampling *sampling; /* NULL: only look */
    uint8_t *dst;
    struct eq_clip_info info;
    struct eq_frame_converter converter;
    int max_frames;
    bool started; /* the reader is no longer at its beginning */
};

static size_t frame_bytes(const struct job *job)
{
    return (size_t)job->sampling->size * (size_t)job->sampling->size * 3;
}

static int slots(const struct job *job)
{
    return job->sampling ? eq_sampling_slots(job->sampling) : 0;
}

static uint8_t *slot_pixels(const struct job *job, int slot)
{
    return job->dst + (size_t)eq_sampling_place(job->sampling, slot) * frame_bytes(job);
}

/* Puts the frame into `slot` and the following slots that hold the same one; *next is the first that doesn't. */
static enum eq_status keep_frame(struct job *job, const AVFrame *frame, int slot, int n, int *next, struct eq_err *err)
{
    bool gray = false;
    uint8_t *dst = slot_pixels(job, slot);
    enum eq_status st = eq_frame_convert(&job->converter, frame, dst, &gray, err);
    if (st != EQ_OK)
        return eq_err_context(err, "%s", job->file->name);
    job->info.gray &= gray;
    int index = eq_sampling_index(job->sampling, slot, n);
    for (*next = slot + 1; *next < slots(job) && eq_sampling_index(job->sampling, *next, n) == index; ++*next)
        memcpy(slot_pixels(job, *next), dst, frame_bytes(job));
    return EQ_OK;
}

/* Without pixels only the first frame's color is of interest; a small square shows it and needs no picture. */
static enum eq_status look_at(struct job *job, const AVFrame *frame, struct eq_err *err)
{
    enum { PROBE_SIZE = 48 };
    uint8_t square[PROBE_SIZE * PROBE_SIZE * 3];
    job->converter.size = PROBE_SIZE;
    enum eq_status st = eq_frame_convert(&job->converter, frame, square, &job->info.gray, err);
    return st == EQ_OK ? EQ_OK : eq_err_context(err, "%s", job->file->name);
}

/* ---- a pass -------------------------------------------------------------- */

/* One run over the packets: counts frames and keeps those that are sampled from a clip of `guess` frames (0: none). */
struct pass {
    int guess, count, slot;
    bool lazy; /* decode only what is kept; every packet must look like a frame */
    bool lost; /* a lazy pass met a packet that it can't count without decoding all */
    bool huffman;
};

static bool is_wanted(const struct job *job, const struct pass *pass)
{
    if (!job->sampling)
        return pass->count == 0;
    return pass->guess && pass->slot < slots(job) &&
           eq_sampling_index(job->sampling, pass->slot, pass->guess) == pass->count;
}

static enum eq_status count_frame(struct job *job, struct pass *pass, struct eq_err *err)
{
    if (pass->count == job->max_frames)
        return eq_fail(err, EQ_FORMAT, "%s: more than %d frames", job->file->name, job->max_frames);
    pass->count++;
    return EQ_OK;
}

/* Counts the decoded frame, and keeps it when it is wanted. */
static enum eq_status take_frame(struct job *job, struct pass *pass, struct eq_err *err)
{
    const AVFrame *frame = job->reader.frame;
    bool wanted = is_wanted(job, pass);
    if (pass->count == 0) {
        job->info.width = frame->width;
        job->info.height = frame->height;
    }
    enum eq_status st = count_frame(job, pass, err);
    if (st != EQ_OK || !wanted)
        return st;
    return job->sampling ? keep_frame(job, frame, pass->slot, pass->guess, &pass->slot, err) : look_at(job, frame, err);
}

/* The packet is a picture of the container's size that needs no other packet. */
static bool stands_alone(const struct job *job, struct pass *pass, const AVPacket *packet)
{
    struct eq_mjpeg_info picture;
    if (!eq_mjpeg_scan(packet->data, (size_t)packet->size, &picture) || picture.width != job->info.width ||
        picture.height != job->info.height)
        return false;
    bool same_kind = pass->count == 0 || picture.has_huffman == pass->huffman;
    pass->huffman = picture.has_huffman;
    return same_kind; /* standard Huffman tables may not follow a picture's own: the decoder would keep those */
}

static enum eq_status look_at_packet(struct job *job, struct pass *pass, struct eq_err *err)
{
    struct eq_clip_reader *r = &job->reader;
    pass->lost = !stands_alone(job, pass, r->packet);
    if (pass->lost || !is_wanted(job, pass))
        return pass->lost ? EQ_OK : count_frame(job, pass, err);
    pass->lost = avcodec_send_packet(r->decoder, r->packet) != 0 || avcodec_receive_frame(r->decoder, r->frame) != 0;
    return pass->lost ? EQ_OK : take_frame(job, pass, err);
}

/* Takes all frames that the packet (NULL: the end) completes. */
static enum eq_status decode_packet(struct job *job, struct pass *pass, const AVPacket *packet, struct eq_err *err)
{
    struct eq_clip_reader *r = &job->reader;
    int code = avcodec_send_packet(r->decoder, packet); /* a refused packet is no frame */
    for (int errors = 0; errors < MAX_ERRORS_A_PACKET && code != AVERROR(ENOMEM);) {
        code = avcodec_receive_frame(r->decoder, r->frame);
        if (code == AVERROR(EAGAIN) || code == AVERROR_EOF)
            return EQ_OK;
        if (code < 0) {
            errors++;
            continue;
        }
        enum eq_status st = take_frame(job, pass, err);
        if (st != EQ_OK)
            return st;
    }
    return code == AVERROR(ENOMEM) ? eq_clip_av_fail(err, job->file->name, "can't be decoded", code) : EQ_OK;
}

static enum eq_status run_pass(struct job *job, struct pass *pass, struct eq_err *err)
{
    enum eq_status st = EQ_OK;
    struct eq_clip_reader *r = &job->reader;
    if (job->started) {
        eq_clip_reader_close(r);
        EQ_TRY(eq_clip_reader_open(r, job->file, err));
    }
    job->started = true;
    eq_clip_reader_info(r, &job->info);
    job->info.gray = true;
    for (bool end = false; !end && !pass->lost;) {
        EQ_TRY(eq_clip_reader_packet(r, &end, err));
        if (!pass->lazy)
            EQ_TRY(decode_packet(job, pass, end ? NULL : r->packet, err));
        else if (!end)
            EQ_TRY(look_at_packet(job, pass, err));
    }
out:
    return st;
}

/* ---- the whole ----------------------------------------------------------- */

static enum eq_status check_count(const struct eq_clip_info *info, const char *name, struct eq_err *err)
{
    if (info->decoded_frames == 0)
        return eq_fail(err, EQ_FORMAT, "%s: not one frame can be decoded (codec %s)", name, info->codec);
    if (2 * (int64_t)info->decoded_frames < info->header_frames)
        return eq_fail(err, EQ_FORMAT, "%s: truncated: %d of the %d frames that its header claims can be decoded", name,
                       info->decoded_frames, info->header_frames);
    return EQ_OK;
}

/* Passes until one has kept the frames of its own count. Four are enough: lazy with the header's count and with the
 * true one, and, when a lazy pass was lost, the same decoding all. */
static enum eq_status read_frames(struct job *job, bool lazy, struct eq_err *err)
{
    int header = job->info.header_frames;
    struct pass pass = {.guess = header <= job->max_frames ? header : 0, .lazy = lazy};
    for (int passes = 0; passes < 4; passes++) {
        enum eq_status st = run_pass(job, &pass, err);
        if (st != EQ_OK)
            return st;
        if (!pass.lost && (pass.count == pass.guess || pass.count == 0 || !job->sampling)) {
            job->info.decoded_frames = pass.count;
            return EQ_OK;
        }
        pass = (struct pass){.guess = pass.lost ? pass.guess : pass.count, .lazy = pass.lazy && !pass.lost};
    }
    return eq_fail(err, EQ_IO, "%s changed while it was read", job->file->name);
}

enum eq_status eq_clip_read_file(const struct eq_clip_file *file, const struct eq_sampling *sampling, uint8_t *dst,
                                 struct eq_clip_info *info, struct eq_err *err)
{
    if (!file->data && eq_dicom_is(file->name))
        return eq_dicom_clip_read(file, sampling, dst, info, err);
    enum eq_status st = EQ_OK;
    struct job job = {.file = file, .sampling = sampling, .dst = dst};
    job.max_frames = file->max_frames ? file->max_frames : EQ_CLIP_MAX_FRAMES;
    if (sampling)
        EQ_TRY(eq_sampling_check(sampling, err));
    job.converter.size = sampling ? sampling->size : 0;
    EQ_TRY(eq_clip_reader_open(&job.reader, file, err));
    eq_clip_reader_info(&job.reader, &job.info);
    bool lazy = job.reader.decoder->codec_id == AV_CODEC_ID_MJPEG && !file->decode_all;
    EQ_TRY(read_frames(&job, lazy, err));
    EQ_TRY(check_count(&job.info, file->name, err));
    if (info)
        *info = job.info;
out:
    eq_frame_converter_clear(&job.converter);
    eq_clip_reader_close(&job.reader);
    return st;
}

enum eq_status eq_clip_read(const char *path, const struct eq_sampling *sampling, uint8_t *dst,
                            struct eq_clip_info *info, struct eq_err *err)
{
    struct eq_clip_file file = {.name = path};
    return eq_clip_read_file(&file, sampling, dst, info, err);
}

enum eq_status eq_clip_probe(const char *path, struct eq_clip_info *info, struct eq_err *err)
{
    struct eq_clip_file file = {.name = path};
    return eq_clip_read_file(&file, NULL, NULL, info, err);
}
