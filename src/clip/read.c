/*
 * A clip's sampled frames.
 *
 * Which frames are sampled depends on how many there are, and when they are shown: those that decode, whatever the
 * header says. The header's count is a guess. The frames that it leads to are kept while counting; when it was wrong,
 * or the frames don't come at even intervals, a second pass keeps the right ones.
 *
 * Motion JPEG is counted without decoding: a packet that is one whole picture by its markers (eq_mjpeg_scan) is a
 * frame, and only those that are kept are decoded. The count is exact because a decoder makes a frame of exactly such
 * packets, even when their pixels are damaged. If a packet looks any different, or a kept one gives no frame,
 * everything is decoded, as with other codecs.
 */
#include "clip/clip.h"
#include "clip/dicom.h"

#include <libavutil/pixdesc.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MAX_ERRORS_A_PACKET 64

/* What is wanted of the clip. */
enum aim { SAMPLE, LOOK, LOOK_AT_ALL };

/* A read in progress. */
struct job {
    struct eq_clip_reader reader;
    const struct eq_clip_file *file;
    struct eq_clip_crew *crew; /* NULL: one thread does everything */
    enum aim aim;
    const struct eq_sampling *sampling; /* of SAMPLE */
    uint8_t *dst;
    struct eq_clip_info info;
    struct eq_frame_converter converter;
    struct eq_mjpeg_walker *walker;
    struct eq_clip_times times, packet_times; /* of frames; of packets, in an AVI that is decoded whole */
    int max_frames, repeats;                  /* repeats of the last frame at the end of an AVI */
    bool avi;
    bool started;                /* the reader is no longer at its beginning */
    bool asked;                  /* the crew is to judge the file */
    bool alone;                  /* the crew has met something unusual: one thread reads the clip again */
    char words[96];              /* on the first bad frame */
    char reason[EQ_CLIP_REASON]; /* why the file is not whole; empty: it is */
};

static size_t frame_bytes(const struct job *job)
{
    return (size_t)job->sampling->size * (size_t)job->sampling->size * 3;
}

static int slots(const struct job *job)
{
    return job->aim == SAMPLE ? eq_sampling_slots(job->sampling) : 0;
}

static uint8_t *slot_pixels(const struct job *job, int slot)
{
    return job->dst + (size_t)eq_sampling_place(job->sampling, slot) * frame_bytes(job);
}

/* ---- a pass -------------------------------------------------------------- */

/* One run over the packets: counts frames and keeps those that are sampled. */
struct pass {
    int guess;  /* the frames are those of a clip of this many at even intervals; 0: none is kept */
    bool timed; /* the frames are those of job->times */
    bool lazy;  /* decode only what is kept; every packet must look like a frame */
    bool lost;  /* a lazy pass met a packet that it can't count without decoding all */
    bool huffman;
    bool crewed;     /* the crew makes the pixels */
    int count, slot; /* frames so far; the next to fill */
    int64_t pixels;  /* of these frames */
    bool looked;
};

/* The frame that a slot holds; -1: not known yet. */
static int frame_of(const struct job *job, const struct pass *pass, int slot)
{
    if (pass->timed)
        return eq_clip_times_frame(&job->times, eq_sampling_index(job->sampling, slot, job->times.places));
    return pass->guess ? eq_sampling_index(job->sampling, slot, pass->guess) : -1;
}

static bool is_wanted(const struct job *job, const struct pass *pass)
{
    if (job->aim == SAMPLE)
        return pass->slot < slots(job) && frame_of(job, pass, pass->slot) == pass->count;
    return !pass->looked && pass->count == (pass->lazy && pass->guess ? (pass->guess - 1) / 2 : 0);
}

/* To the first slot after this one that holds another frame. */
static int next_slot(const struct job *job, const struct pass *pass, int slot)
{
    int frame = frame_of(job, pass, slot);
    do
        slot++;
    while (slot < slots(job) && frame_of(job, pass, slot) == frame);
    return slot;
}

/* From a slot to the following ones that hold the same frame. */
static void repeat_frame(const struct job *job, int slot, int end)
{
    const uint8_t *pixels = slot_pixels(job, slot);
    while (++slot < end)
        memcpy(slot_pixels(job, slot), pixels, frame_bytes(job));
}

/* Puts the frame into the next slot and the following ones that hold the same one. */
static enum eq_status keep_frame(struct job *job, struct pass *pass, const AVFrame *frame, struct eq_err *err)
{
    bool gray = false;
    int slot = pass->slot;
    enum eq_status st = eq_frame_convert(&job->converter, frame, slot_pixels(job, slot), &gray, err);
    if (st != EQ_OK)
        return eq_err_context(err, "%s", job->file->name);
    job->info.gray &= gray;
    pass->slot = next_slot(job, pass, slot);
    repeat_frame(job, slot, pass->slot);
    return EQ_OK;
}

/* Without pixels only the frame's color is of interest; a small square shows it and needs no picture. */
static enum eq_status look_at(struct job *job, struct pass *pass, const AVFrame *frame, struct eq_err *err)
{
    enum { PROBE_SIZE = 48 };
    uint8_t square[PROBE_SIZE * PROBE_SIZE * 3];
    job->converter.size = PROBE_SIZE;
    pass->looked = true;
    enum eq_status st = eq_frame_convert(&job->converter, frame, square, &job->info.gray, err);
    return st == EQ_OK ? EQ_OK : eq_err_context(err, "%s", job->file->name);
}

static enum eq_status count_frame(struct job *job, struct pass *pass, int64_t at, int width, int height,
                                  struct eq_err *err)
{
    if (pass->count == job->max_frames)
        return eq_fail(err, EQ_TOO_LARGE, "%s: more than %d frames", job->file->name, job->max_frames);
    pass->count++;
    pass->pixels += (int64_t)width * height;
    EQ_CHECK(eq_clip_check_pixels(job->file->name, pass->pixels, err));
    if (!pass->timed && !eq_clip_times_add(&job->times, at))
        return eq_fail(err, EQ_NOMEM, "%s: out of memory for the times of %d frames", job->file->name, pass->count);
    return EQ_OK;
}

/* A frame may bring a display matrix of its own, from the codec. */
static enum eq_status obey_matrix(struct job *job, const AVFrame *frame, struct eq_err *err)
{
    const AVFrameSideData *data = av_frame_get_side_data(frame, AV_FRAME_DATA_DISPLAYMATRIX);
    if (job->info.turned || job->info.mirrored || !data || (size_t)data->size < 9 * sizeof(int32_t))
        return EQ_OK;
    if (!eq_frame_turn_of((const int32_t *)(const void *)data->data, &job->info.turned, &job->info.mirrored))
        return eq_fail(err, EQ_FORMAT, "%s: the pictures are turned by an angle that is not a multiple of 90 degrees",
                       job->file->name);
    return EQ_OK;
}

/* Counts the decoded frame, and keeps it when it is wanted. */
static enum eq_status take_frame(struct job *job, struct pass *pass, int64_t at, struct eq_err *err)
{
    const AVFrame *frame = job->reader.frame;
    bool wanted = is_wanted(job, pass);
    if (pass->count == 0) {
        EQ_CHECK(obey_matrix(job, frame, err));
        bool side = job->info.turned == 90 || job->info.turned == 270;
        job->info.width = side ? frame->height : frame->width;
        job->info.height = side ? frame->width : frame->height;
        job->converter.turned = job->info.turned;
        job->converter.mirrored = job->info.mirrored;
    }
    EQ_CHECK(eq_clip_watch(job->file->name, (size_t)frame->width * (size_t)frame->height, err));
    EQ_CHECK(count_frame(job, pass, at, frame->width, frame->height, err));
    if (!wanted)
        return EQ_OK;
    return job->aim == SAMPLE ? keep_frame(job, pass, frame, err) : look_at(job, pass, frame, err);
}

/* Notes a frame whose data are damaged, or a packet that gives none, in the decoder's words or in ours. */
static void note_bad(struct job *job, bool gave_frame, const char *words)
{
    if (!job->words[0])
        snprintf(job->words, sizeof job->words, "%s", words);
    if (gave_frame)
        job->info.bad_frames++;
    else
        job->info.missing_frames++;
}

/* The packet's data end where its last block does. */
static bool is_intact(struct job *job, const struct eq_mjpeg_info *picture)
{
    if (!job->walker)
        job->walker = eq_mjpeg_walker_new();
    return eq_mjpeg_is_intact(job->walker, picture);
}

#define ENTROPY_WORDS "its compressed data make no whole picture"

/* ---- without decoding all ------------------------------------------------- */

/* The packet is a picture of the container's size that needs no other packet. */
static bool stands_alone(const struct job *job, struct pass *pass, const AVPacket *packet,
                         struct eq_mjpeg_info *picture)
{
    const AVCodecParameters *par = job->reader.format->streams[job->reader.stream]->codecpar;
    if (!eq_mjpeg_scan(packet->data, (size_t)packet->size, picture) || picture->width != par->width ||
        picture->height != par->height)
        return false;
    bool same_kind = pass->count == 0 || picture->has_huffman == pass->huffman;
    pass->huffman = picture->has_huffman;
    return same_kind; /* standard Huffman tables may not follow a picture's own: the decoder would keep those */
}

/* Counts a frame that is not decoded here. */
static enum eq_status count_picture(struct job *job, struct pass *pass, int64_t at, const struct eq_mjpeg_info *picture,
                                    struct eq_err *err)
{
    if (pass->count == 0) {
        bool side = job->info.turned == 90 || job->info.turned == 270;
        job->info.width = side ? picture->height : picture->width;
        job->info.height = side ? picture->width : picture->height;
    }
    return count_frame(job, pass, at, picture->width, picture->height, err);
}

static enum eq_status look_at_packet(struct job *job, struct pass *pass, struct eq_err *err)
{
    struct eq_clip_reader *r = &job->reader;
    struct eq_mjpeg_info picture;
    if (r->packet->flags & AV_PKT_FLAG_DISCARD) /* hidden by an edit */
        return EQ_OK;
    pass->lost = !stands_alone(job, pass, r->packet, &picture);
    if (pass->lost)
        return EQ_OK;
    bool wanted = is_wanted(job, pass);
    int64_t at = eq_clip_reader_packet_time(r);
    if (pass->crewed) {
        int slot = pass->slot;
        if (wanted)
            pass->slot = next_slot(job, pass, slot);
        EQ_CHECK(count_picture(job, pass, at, &picture, err));
        return wanted ? eq_clip_crew_add(job->crew, &picture, slot_pixels(job, slot), err) : EQ_OK;
    }
    if ((wanted || job->aim == LOOK_AT_ALL) && !is_intact(job, &picture))
        note_bad(job, true, ENTROPY_WORDS);
    if (!wanted)
        return count_picture(job, pass, at, &picture, err);
    job->converter.turned = job->info.turned;
    job->converter.mirrored = job->info.mirrored;
    pass->lost = eq_clip_reader_send(r, r->packet) != 0 || eq_clip_reader_receive(r) != 0;
    if (pass->lost)
        return EQ_OK;
    return take_frame(job, pass, at, err);
}

/* ---- decoding all ---------------------------------------------------------- */

/* Takes all frames that the packet (NULL: the end) completes. */
static enum eq_status decode_packet(struct job *job, struct pass *pass, const AVPacket *packet, struct eq_err *err)
{
    struct eq_clip_reader *r = &job->reader;
    struct eq_mjpeg_info picture;
    int before = pass->count, messages = r->messages, failed = 0;
    bool concealed = false, wanted = false, mjpeg = r->decoder->codec_id == AV_CODEC_ID_MJPEG;
    int code = eq_clip_reader_send(r, packet); /* a refused packet is no frame */
    failed = code < 0;
    for (int errors = 0; errors < MAX_ERRORS_A_PACKET && code != AVERROR(ENOMEM);) {
        code = eq_clip_reader_receive(r);
        if (code == AVERROR(EAGAIN) || code == AVERROR_EOF)
            break;
        if (code < 0) {
            errors++;
            failed++;
            continue;
        }
        if (packet && mjpeg && (packet->flags & AV_PKT_FLAG_DISCARD)) /* hidden by an edit */
            continue;
        concealed |= r->frame->decode_error_flags != 0 || (r->frame->flags & AV_FRAME_FLAG_CORRUPT) != 0;
        wanted |= is_wanted(job, pass) || job->aim == LOOK_AT_ALL;
        EQ_CHECK(take_frame(job, pass,
                            packet && mjpeg ? eq_clip_reader_packet_time(r) : r->frame->best_effort_timestamp, err));
    }
    if (code == AVERROR(ENOMEM))
        return eq_clip_av_fail(err, job->file->name, "cannot be decoded", code);
    if (packet && mjpeg && wanted && r->messages == messages &&
        eq_mjpeg_scan(packet->data, (size_t)packet->size, &picture) && !is_intact(job, &picture))
        note_bad(job, true, ENTROPY_WORDS);
    else if (failed || concealed || r->messages > messages)
        note_bad(job, pass->count > before,
                 r->messages > messages && r->message[0] ? r->message : "the decoder refuses a packet");
    return EQ_OK;
}

/* ---- passes ---------------------------------------------------------------- */

static enum eq_status start_pass(struct job *job, const struct pass *pass, struct eq_err *err)
{
    struct eq_clip_reader *r = &job->reader;
    if (job->started) {
        eq_clip_reader_close(r);
        EQ_CHECK(eq_clip_reader_open(r, job->file, err));
    }
    job->started = true;
    job->words[0] = '\0';
    if (!pass->timed)
        job->times.n = 0;
    job->packet_times.n = 0;
    EQ_CHECK(eq_clip_reader_info(r, &job->info, err));
    job->info.gray = true;
    return pass->crewed ? eq_clip_crew_begin(job->crew, r, &job->info, err) : EQ_OK;
}

/* A look is over when a frame was seen: from then on a packet counts as a frame. */
static enum eq_status count_packets(struct job *job, struct pass *pass, struct eq_err *err)
{
    struct eq_clip_times *packets = &job->packet_times;
    while (pass->count < packets->n)
        EQ_CHECK(count_frame(job, pass, AV_NOPTS_VALUE, job->info.width, job->info.height, err));
    return EQ_OK;
}

/* The pixels of the frames that were given to the crew. st: of the pass, with *err. */
static enum eq_status finish_crew(struct job *job, const struct pass *pass, enum eq_status st, struct eq_err *err)
{
    bool gray;
    struct eq_err of_crew;
    enum eq_status crew_st = eq_clip_crew_finish(job->crew, &gray, &job->alone, &of_crew);
    job->info.gray &= gray;
    if (crew_st != EQ_OK && err)
        *err = of_crew;
    EQ_CHECK(crew_st);
    if (job->alone && st != EQ_NOMEM && st != EQ_INTERRUPTED && st != EQ_TOO_SLOW)
        return EQ_OK; /* what else there is to say is found again */
    EQ_CHECK(st);
    for (int slot = 0, end; slot < pass->slot; slot = end) {
        end = next_slot(job, pass, slot);
        repeat_frame(job, slot, end);
    }
    return EQ_OK;
}

static enum eq_status walk_packets(struct job *job, struct pass *pass, struct eq_err *err)
{
    struct eq_clip_reader *r = &job->reader;
    for (bool end = false; !end && !pass->lost && !(pass->crewed && eq_clip_crew_is_odd(job->crew));) {
        EQ_CHECK(eq_clip_reader_packet(r, &end, err));
        if (pass->lazy) {
            if (!end)
                EQ_CHECK(look_at_packet(job, pass, err));
            continue;
        }
        if (!end && !pass->timed && !(r->packet->flags & AV_PKT_FLAG_DISCARD) &&
            !eq_clip_times_add(&job->packet_times, eq_clip_reader_packet_time(r)))
            return eq_fail(err, EQ_NOMEM, "%s: out of memory for the times of packets", job->file->name);
        if (job->aim == LOOK && pass->looked)
            continue;
        EQ_CHECK(decode_packet(job, pass, end ? NULL : r->packet, err));
    }
    return EQ_OK;
}

static enum eq_status run_pass(struct job *job, struct pass *pass, struct eq_err *err)
{
    pass->crewed = job->crew && !job->alone && pass->lazy && job->aim == SAMPLE;
    EQ_CHECK(start_pass(job, pass, err));
    enum eq_status st = walk_packets(job, pass, err);
    if (pass->crewed)
        return finish_crew(job, pass, st, err);
    EQ_CHECK(st);
    return job->aim == LOOK && pass->looked && !pass->lazy ? count_packets(job, pass, err) : EQ_OK;
}

static int compare_times(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* The places to sample. An AVI has times of packets in decoding order only, and a look has no others: where each packet
 * is a frame, the frames have the same times in ascending order. */
static enum eq_status settle_times(struct job *job, const struct pass *pass, struct eq_err *err)
{
    struct eq_clip_times *t = &job->times;
    if ((job->avi || job->aim == LOOK) && !pass->lazy && job->packet_times.n == t->n && t->n > 0) {
        memcpy(t->at, job->packet_times.at, (size_t)t->n * sizeof *t->at);
        qsort(t->at, (size_t)t->n, sizeof *t->at, compare_times);
    }
    int64_t end = AV_NOPTS_VALUE;
    if (job->avi) {
        int64_t last = job->reader.last;
        end = job->reader.end;
        if (job->repeats && last != AV_NOPTS_VALUE && last <= INT64_MAX - job->repeats && end < last + job->repeats)
            end = last + job->repeats;
    }
    bool known = eq_clip_times_settle(t, job->avi ? 1 : 0, end, EQ_CLIP_MAX_FRAMES);
    return known ? EQ_OK : eq_fail(err, EQ_NOMEM, "%s: out of memory for the times of frames", job->file->name);
}

/* What the crew has found about the file. st: of the reading meanwhile, with *err. The file comes first. */
static enum eq_status hear_judgment(struct job *job, enum eq_status st, struct eq_err *err)
{
    char reason[EQ_CLIP_REASON];
    if (!job->asked)
        return st;
    job->asked = false;
    EQ_CHECK(eq_clip_crew_judged(job->crew, reason, &job->repeats, err));
    if (reason[0])
        memcpy(job->reason, reason, sizeof reason);
    return st;
}

/* Passes until one has kept the frames of its own count. Four are enough: lazy with the header's count and with the
 * true one, and, when a lazy pass was lost, the same decoding all. */
static enum eq_status read_frames(struct job *job, bool lazy, struct eq_err *err)
{
    int header = job->info.header_frames;
    struct pass pass = {.guess = header <= job->max_frames ? header : 0, .lazy = lazy};
    for (int passes = 0; passes < 4; passes++) {
        const struct pass again = pass;
        enum eq_status st = run_pass(job, &pass, err);
        EQ_CHECK(hear_judgment(job, st, err));
        if (pass.crewed && job->alone) {
            pass = again;
            EQ_CHECK(run_pass(job, &pass, err));
        }
        if (pass.lost) {
            pass = (struct pass){.guess = pass.timed ? 0 : pass.guess};
            continue;
        }
        if (!pass.timed)
            EQ_CHECK(settle_times(job, &pass, err));
        job->info.decoded_frames = pass.count;
        job->info.timed_frames = job->times.places;
        bool kept = pass.timed ? pass.count == job->times.n : job->times.interval == 0 && pass.count == pass.guess;
        if (pass.count == 0 || (job->aim == SAMPLE ? kept : pass.looked))
            return EQ_OK;
        pass = (struct pass){.guess = pass.count, .timed = job->aim == SAMPLE, .lazy = pass.lazy};
    }
    return eq_fail(err, EQ_IO, "%s changed while it was read", job->file->name);
}

/* ---- the whole ----------------------------------------------------------- */

/* Sums up what was found. */
static void conclude(struct job *job)
{
    struct eq_clip_info *info = &job->info;
    struct eq_str text = {0};
    eq_str_add(&text, "%s", job->reason);
    if (info->bad_frames)
        eq_str_add(&text, "%s%d frame%s with damaged data", text.len ? "; " : "", info->bad_frames,
                   info->bad_frames == 1 ? "" : "s");
    if (info->missing_frames)
        eq_str_add(&text, "%s%d packet%s without a picture", text.len ? "; " : "", info->missing_frames,
                   info->missing_frames == 1 ? "" : "s");
    if (job->words[0])
        eq_str_add(&text, " (%s)", job->words);
    else if (!text.len && job->reader.messages)
        eq_str_add(&text, "%s", job->reader.message);
    info->damaged = text.len > 0;
    snprintf(info->reason, sizeof info->reason, "%s", text.len ? text.s : "");
    eq_str_clear(&text);
}

/* Whether the file is whole, in job->reason. A crew is asked here and answers in hear_judgment. */
static enum eq_status judge(struct job *job, struct eq_err *err)
{
    const struct eq_clip_reader *r = &job->reader;
    int repeats[EQ_CLIP_AVI_STREAMS] = {0};
    if (job->crew) {
        eq_clip_crew_judge(job->crew, r->format->iformat->name, r->stream);
        job->asked = true;
    } else {
        EQ_CHECK(eq_clip_judge_file(job->file, r->format->iformat->name, job->reason, repeats, err));
        job->repeats = r->stream < EQ_CLIP_AVI_STREAMS ? repeats[r->stream] : 0;
    }
    if (!job->reason[0])
        eq_clip_reader_judge_index(r, job->reason);
    return eq_clip_watch(job->file->name, 0, err);
}

static enum eq_status run_job(struct job *job, struct eq_clip_info *info, struct eq_err *err)
{
    enum eq_status st = EQ_OK;
    const struct eq_clip_file *file = job->file;
    errno = 0; /* for eq_memory_ignored */
    job->max_frames = file->max_frames ? file->max_frames : EQ_CLIP_MAX_FRAMES;
    EQ_TRY(eq_clip_reader_open(&job->reader, file, err));
    job->avi = strcmp(job->reader.format->iformat->name, "avi") == 0;
    EQ_TRY(judge(job, err));
    EQ_TRY(eq_clip_reader_info(&job->reader, &job->info, err));
    bool lazy = job->reader.decoder->codec_id == AV_CODEC_ID_MJPEG && !file->decode_all;
    EQ_TRY(read_frames(job, lazy, err));
    if (job->info.decoded_frames == 0)
        EQ_TRY(eq_fail(err, EQ_FORMAT, "%s: not one frame can be decoded (codec %s)%s%s", file->name, job->info.codec,
                       job->reason[0] ? ": " : "", job->reason));
    conclude(job);
    if (info)
        *info = job->info;
out:
    st = hear_judgment(job, st, err);
    eq_frame_converter_clear(&job->converter);
    eq_clip_reader_close(&job->reader);
    eq_mjpeg_walker_free(job->walker);
    eq_clip_times_clear(&job->times);
    eq_clip_times_clear(&job->packet_times);
    return st;
}

/* Two frames make it worth while to wake a thread. */
static int count_helpers(const struct job *job)
{
    int most = EQ_CLIP_CREW - 1, useful = slots(job) / 2;
    most = most < useful ? most : useful;
    return most < job->file->helpers ? most : job->file->helpers;
}

/* A read by several threads. */
struct shared_read {
    struct job *job;
    struct eq_clip_info *info;
    enum eq_status st;
    struct eq_err *err;
};

static void read_here(void *ctx, int worker)
{
    struct shared_read *s = ctx;
    (void)worker;
    s->st = run_job(s->job, s->info, s->err);
    eq_clip_crew_end(s->job->crew);
}

static void help(void *ctx, int worker)
{
    eq_clip_crew_help(((struct shared_read *)ctx)->job->crew, worker);
}

static enum eq_status run_with_helpers(struct job *job, int helpers, struct eq_clip_info *info, struct eq_err *err)
{
    struct shared_read s = {.job = job, .info = info, .err = err};
    job->crew = eq_clip_crew_new(job->file, job->sampling->size);
    eq_parallel_beside(helpers, read_here, help, &s);
    eq_clip_crew_free(job->crew);
    return s.st;
}

enum eq_status eq_clip_read_file(const struct eq_clip_file *file, const struct eq_sampling *sampling, uint8_t *dst,
                                 struct eq_clip_info *info, struct eq_err *err)
{
    bool dicom = false;
    eq_clip_watch_begin();
    EQ_CHECK(eq_sampling_check(sampling, err));
    if (!file->data)
        EQ_CHECK(eq_dicom_look(file->name, &dicom, err));
    if (dicom)
        return eq_clip_settle(file->name, eq_dicom_clip_read(file, sampling, dst, info, err), err);
    struct job job = {.file = file, .aim = SAMPLE, .sampling = sampling, .dst = dst};
    job.converter.size = sampling->size;
    int helpers = count_helpers(&job);
    enum eq_status st = helpers ? run_with_helpers(&job, helpers, info, err) : run_job(&job, info, err);
    return eq_clip_settle(file->name, st, err);
}

enum eq_status eq_clip_check_file(const struct eq_clip_file *file, enum eq_clip_level level, struct eq_clip_info *info,
                                  struct eq_err *err)
{
    bool dicom = false;
    eq_clip_watch_begin();
    if (!file->data)
        EQ_CHECK(eq_dicom_look(file->name, &dicom, err));
    if (dicom)
        return eq_clip_settle(file->name, eq_dicom_clip_read(file, NULL, NULL, info, err), err);
    struct job job = {.file = file, .aim = level == EQ_CLIP_CHECK_FULL ? LOOK_AT_ALL : LOOK};
    return eq_clip_settle(file->name, run_job(&job, info, err), err);
}

enum eq_status eq_clip_read(const char *path, const struct eq_sampling *sampling, uint8_t *dst,
                            struct eq_clip_info *info, struct eq_err *err)
{
    struct eq_clip_file file = {.name = path};
    return eq_clip_read_file(&file, sampling, dst, info, err);
}

enum eq_status eq_clip_read_by_pool(const char *path, const struct eq_sampling *sampling, uint8_t *dst,
                                    struct eq_clip_info *info, struct eq_err *err)
{
    struct eq_clip_file file = {.name = path, .helpers = eq_parallel_helpers()};
    return eq_clip_read_file(&file, sampling, dst, info, err);
}

enum eq_status eq_clip_check(const char *path, enum eq_clip_level level, struct eq_clip_info *info, struct eq_err *err)
{
    struct eq_clip_file file = {.name = path};
    return eq_clip_check_file(&file, level, info, err);
}

enum eq_status eq_clip_refuse_damaged(const char *path, const struct eq_clip_info *info, struct eq_err *err)
{
    if (!info->damaged)
        return EQ_OK;
    return eq_fail(err, EQ_FORMAT,
                   "%s: the clip is damaged: %s. Replace it, or use --set data.on_error=skip to leave it "
                   "out, or data.on_error=use to use it as far as it can be read",
                   path, info->reason);
}
