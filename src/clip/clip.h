/* clip-internal: a clip as packets and frames, below eq_clip_read. */
#ifndef ECHOQUANT_CLIP_INTERNAL_H
#define ECHOQUANT_CLIP_INTERNAL_H

#include "clip/watch.h"
#include "echoquant/clip.h"

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>

/* The source of the bytes, and limits. */
struct eq_clip_file {
    const char *name;    /* in messages; also the path when data is NULL */
    const uint8_t *data; /* a file in memory (tests, fuzzing) */
    size_t len;
    int64_t max_pixels; /* 0: EQ_CLIP_MAX_PIXELS */
    int max_frames;     /* 0: EQ_CLIP_MAX_FRAMES */
    bool decode_all;    /* count by decoding everything even where the packets suffice */
    int helpers;        /* threads of the pool that help, at most (crew.c) */
};
enum { EQ_CLIP_HEAD = 4096 }; /* first bytes of a file, enough to name it */

/* Sends FFmpeg's messages to our log, and limits its blocks of memory. Call it before FFmpeg. */
void eq_clip_set_up_ffmpeg(void);
/* The status of reading a clip: EQ_NOMEM in place of st if memory was refused. A library may go on without it, and the
 * clip then seems damaged, or has other pixels. */
enum eq_status eq_clip_settle(const char *name, enum eq_status st, struct eq_err *err);

/* ---- the container (whole.c, kind.c) --------------------------------------- */

/* Judges by the container's sizes and indices whether the file is whole. format: libavformat's name of the demuxer.
 * reason is empty if it is, or if the container has nothing to tell. repeats, unless it is NULL, receives the number of
 * empty chunks after the last frame of each stream of an AVI. */
enum { EQ_CLIP_AVI_STREAMS = 100 };
/* EQ_IO: it cannot be read. */
enum eq_status eq_clip_judge_file(const struct eq_clip_file *file, const char *format, char reason[EQ_CLIP_REASON],
                                  int repeats[EQ_CLIP_AVI_STREAMS], struct eq_err *err);
/* EQ_FORMAT with what a file of these first bytes is, and what to do with it. len is at most EQ_CLIP_HEAD. */
enum eq_status eq_clip_fail_kind(const char *name, const uint8_t *head, size_t len, struct eq_err *err);
/* The same as a kind of fault; of missing and unreadable files there are no bytes. */
enum eq_clip_fault eq_clip_fault_in(const uint8_t *head, size_t len);
/* "AVI", "MP4 or MOV", ... for libavformat's name of a demuxer. */
const char *eq_clip_container_name(const char *format);

/* ---- times of frames (times.c) --------------------------------------------- */

/* Times of shown frames in their order, in units of the stream's clock, then, after eq_clip_times_settle, the places
 * that are sampled. Clear with eq_clip_times_clear. */
struct eq_clip_times {
    int64_t *at; /* AV_NOPTS_VALUE: unknown */
    int n, cap;
    int places;
    int64_t interval; /* from place to place; 0: place i is frame i */
};
bool eq_clip_times_add(struct eq_clip_times *t, int64_t at); /* false: out of memory */
/* Decides between numbers and a grid. tick above 0: the clip's clock ticks once a frame, and the grid is the clock's;
 * 0: the grid has the median interval, unless the frames come at even intervals. end: the last time at which a frame
 * is shown, if that is after the last frame's. Times that are unknown, do not ascend, or would make more than
 * max_places places are not used. False: out of memory. */
bool eq_clip_times_settle(struct eq_clip_times *t, int64_t tick, int64_t end, int max_places);
/* The frame shown at a place: each frame is at the place nearest to its time, and is shown until the next one is. */
int eq_clip_times_frame(const struct eq_clip_times *t, int place);
void eq_clip_times_clear(struct eq_clip_times *t);

/* ---- reading packets and frames (reader.c) ---------------------------------- */

/* An open clip: the container and a decoder for its best video stream. */
struct eq_clip_reader {
    const struct eq_clip_file *file;
    AVFormatContext *format;
    AVIOContext *io;
    int fd;         /* of the file; -1: it is in memory */
    int64_t io_pos; /* where the demuxer reads next */
    int64_t io_len;
    int io_error; /* errno of a read that failed: demuxers may take it for the end, or for damage */
    AVCodecContext *decoder;
    AVPacket *packet;
    AVFrame *frame;
    int stream;
    int64_t end;      /* time of the last packet seen, empty ones included */
    int64_t last;     /* time of the last packet that is not empty */
    int messages;     /* of decoder and demuxer about damage, so far */
    char message[96]; /* the first one */
    int loudness;     /* messages up to this level of libav's count */
};
/* On failure nothing is left to close. Errors: EQ_IO no such file or unreadable; EQ_FORMAT no video in it. */
enum eq_status eq_clip_reader_open(struct eq_clip_reader *r, const struct eq_clip_file *file, struct eq_err *err);
void eq_clip_reader_close(struct eq_clip_reader *r);
/* The stream's next whole packet in r->packet; *end at the end of what can be read. Packets that a container hides
 * (before an edit's start) come with AV_PKT_FLAG_DISCARD. */
enum eq_status eq_clip_reader_packet(struct eq_clip_reader *r, bool *end, struct eq_err *err);
/* Another decoder for the packets of a clip, with a frame, in a reader that has no file open. par and time_base are
 * those of the stream. Close it, even after a failure. */
enum eq_status eq_clip_reader_open_decoder(struct eq_clip_reader *r, const AVCodecParameters *par, AVRational time_base,
                                           struct eq_err *err);
/* avcodec_send_packet and avcodec_receive_frame; what the decoder has to say about damage counts in r->messages. */
int eq_clip_reader_send(struct eq_clip_reader *r, const AVPacket *packet);
int eq_clip_reader_receive(struct eq_clip_reader *r);
/* The time of a packet, or of the frame in r->frame: AV_NOPTS_VALUE when it is not known. */
int64_t eq_clip_reader_packet_time(const struct eq_clip_reader *r);
/* Adds to the judgment of eq_clip_judge_file what the stream's index tells. Call it before the first packet, since
 * demuxers add to the index while they read. */
void eq_clip_reader_judge_index(const struct eq_clip_reader *r, char reason[EQ_CLIP_REASON]);
/* Codec, size, frame rate, number of frames, container and display matrix as the container gives them. EQ_FORMAT: the
 * matrix turns by no multiple of 90 degrees. */
enum eq_status eq_clip_reader_info(const struct eq_clip_reader *r, struct eq_clip_info *info, struct eq_err *err);
/* What every decoder of pictures needs before it is opened: limits, and the same bits on every CPU. */
void eq_clip_set_up_decoder(AVCodecContext *decoder, int64_t max_pixels);
/* Fills err from a libav error code. */
enum eq_status eq_clip_av_fail(struct eq_err *err, const char *name, const char *what, int code);

/* ---- Motion JPEG (mjpeg_scan.c, mjpeg_entropy.c) ---------------------------- */

/* The properties of one packet of Motion JPEG. By component from the third line on. */
struct eq_mjpeg_info {
    int width, height;
    bool has_huffman; /* brings its own Huffman tables */
    int components, restart;
    uint8_t across[3], down[3];   /* blocks in a unit of the scan */
    uint8_t dc_step[3];           /* quantization of the mean */
    uint8_t table[3][2];          /* numbers of the Huffman tables for DC and AC */
    const uint8_t *huffman[3][2]; /* in the packet: 16 numbers of codes, then symbols; NULL: the standard's */
    const uint8_t *scan;          /* entropy-coded data, EOI and what follows, in the packet */
    size_t scan_len;
    const uint8_t *words; /* APP0 and COM segments that follow SOI, in the packet: decoders remember what some say */
    size_t words_len;
    bool late_words; /* there are others later on */
};
/* True when the packet is one baseline picture that any JPEG decoder decodes without other packets: SOI, valid
 * quantization (and Huffman) tables for all it uses, one frame header, one scan of all components, EOI. Errors in the
 * entropy-coded data don't show here; they spoil pixels but the picture still decodes. */
bool eq_mjpeg_scan(const uint8_t *data, size_t len, struct eq_mjpeg_info *info);
/* Goes through the entropy-coded data of a packet for which eq_mjpeg_scan returned true. False: they are damaged. A
 * walker keeps tables from call to call. */
struct eq_mjpeg_walker;
struct eq_mjpeg_walker *eq_mjpeg_walker_new(void); /* NULL: out of memory */
bool eq_mjpeg_is_intact(struct eq_mjpeg_walker *w, const struct eq_mjpeg_info *info);
void eq_mjpeg_walker_free(struct eq_mjpeg_walker *w);

/* ---- pixels (frame_convert.c, frame_turn.c) --------------------------------- */
/* The conversion that a swscale context was made for. */
struct eq_conversion {
    int width, height, dst_width, dst_height, matrix;
    enum AVPixelFormat src_format, dst_format;
    bool full_range;
};
/* Turns frames into RGB squares. Init with {.size = n}. */
struct SwsContext;
struct eq_frame_converter {
    int size;
    int turned; /* as in struct eq_clip_info */
    bool mirrored;
    struct SwsContext *sws;
    struct eq_conversion made_for;
    uint8_t *scratch; /* a square with padded rows */
    int scratch_stride;
    struct SwsContext *flat; /* to RGB or gray without resizing, for frames that are turned */
    struct eq_conversion flat_made_for;
    AVFrame *level, *upright;
    uint8_t *neutral; /* a plane of chroma */
    size_t neutral_bytes;
};
/* dst: [size][size][3]. *gray: R = G = B in all of it. */
enum eq_status eq_frame_convert(struct eq_frame_converter *c, const AVFrame *frame, uint8_t *dst, bool *gray,
                                struct eq_err *err);
void eq_frame_converter_clear(struct eq_frame_converter *c);

/* The turn of a display matrix (9 numbers, 16.16 fixed point): false when it is no multiple of 90 degrees. */
bool eq_frame_turn_of(const int32_t *matrix, int *turned, bool *mirrored);
/* Copies a picture of `bytes` bytes a pixel: mirrored left to right, then turned clockwise. dst is width x height, or
 * height x width for 90 and 270 degrees. Strides in bytes. */
void eq_frame_turn(const uint8_t *src, int src_stride, int width, int height, int bytes, int turned, bool mirrored,
                   uint8_t *dst, int dst_stride);

/* ---- several threads at one clip (crew.c) -------------------------------------- */

/* The caller's thread opens the clip and reads its packets. Meanwhile the helpers of the pool judge the file, and make
 * pixels of Motion JPEG packets that stand alone; the caller joins in after the last packet. */
struct eq_clip_crew;
enum { EQ_CLIP_CREW = 8 }; /* threads at most */
struct eq_clip_crew *eq_clip_crew_new(const struct eq_clip_file *file, int size);
void eq_clip_crew_free(struct eq_clip_crew *c);
/* The work of a helper; returns after eq_clip_crew_end. */
void eq_clip_crew_help(struct eq_clip_crew *c, int worker);
void eq_clip_crew_end(struct eq_clip_crew *c);
/* Has eq_clip_judge_file called by someone, and waits for it: *repeats is that of the stream. */
void eq_clip_crew_judge(struct eq_clip_crew *c, const char *format, int stream);
enum eq_status eq_clip_crew_judged(struct eq_clip_crew *c, char reason[EQ_CLIP_REASON], int *repeats,
                                   struct eq_err *err);
/* A pass over the packets of r, whose decoder the caller's thread uses. Frames are turned as info says. */
enum eq_status eq_clip_crew_begin(struct eq_clip_crew *c, struct eq_clip_reader *r, const struct eq_clip_info *info,
                                  struct eq_err *err);
/* Takes r->packet: the picture is one that eq_mjpeg_scan found in it. Its pixels go to dst, [size][size][3], before
 * eq_clip_crew_finish returns. */
enum eq_status eq_clip_crew_add(struct eq_clip_crew *c, const struct eq_mjpeg_info *picture, uint8_t *dst,
                                struct eq_err *err);
/* Waits for all that was added. *gray: R = G = B in all of it. *odd: something about a frame is unusual (its data are
 * damaged, the decoder says something or gives no frame, or it may depend on other frames), so the pass doesn't count,
 * and one thread has to read the clip. */
enum eq_status eq_clip_crew_finish(struct eq_clip_crew *c, bool *gray, bool *odd, struct eq_err *err);
bool eq_clip_crew_is_odd(struct eq_clip_crew *c); /* so far */

/* ---- the whole --------------------------------------------------------------- */

/* eq_clip_read and eq_clip_check of any such file. */
enum eq_status eq_clip_read_file(const struct eq_clip_file *file, const struct eq_sampling *sampling, uint8_t *dst,
                                 struct eq_clip_info *info, struct eq_err *err);
enum eq_status eq_clip_check_file(const struct eq_clip_file *file, enum eq_clip_level level, struct eq_clip_info *info,
                                  struct eq_err *err);

#endif
