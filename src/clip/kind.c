/* The names of containers, and of files that are no clips: a refusal says what a file is and what to do with it. */
#include "clip/clip.h"

#include <string.h>

#define CONVERT "convert it: ffmpeg -i IN -c:v mjpeg -q:v 2 OUT.avi"

/* Files by their first bytes. */
static const struct kind {
    size_t at;
    const char *bytes;
    size_t len;
    const char *kind, *remedy;
} kinds[] = {
#define BYTES(text) text, sizeof(text) - 1
    {0, BYTES("version https://git-lfs.github.com"), "a Git LFS pointer, not the clip", "run `git lfs pull`"},
    {128, BYTES("DICM"), "a DICOM file", CONVERT},
    {0, BYTES("\x89PNG\r\n\x1a\n"), "a PNG picture", "a clip is needed"},
    {0, BYTES("BM"), "a BMP picture", "a clip is needed"},
    {0, BYTES("II*\0"), "a TIFF picture", "a clip is needed"},
    {0, BYTES("MM\0*"), "a TIFF picture", "a clip is needed"},
    {0, BYTES("\xFF\xD8\xFF"), "a JPEG picture", "a clip is needed"},
    {344, BYTES("n+1\0"), "a NIfTI file", "write its frames as an AVI"},
    {344, BYTES("ni1\0"), "a NIfTI file", "write its frames as an AVI"},
    {0, BYTES("\x93NUMPY"), "a NumPy array", "write its frames as an AVI"},
    {0, BYTES("\x89HDF\r\n\x1a\n"), "an HDF5 file", "write its frames as an AVI"},
    {0, BYTES("PK\x03\x04"), "a zip archive", "unpack it"},
    {0, BYTES("\x1f\x8b"), "a gzip file", "unpack it"},
    {0, BYTES("7z\xBC\xAF\x27\x1C"), "a 7z archive", "unpack it"},
    {0, BYTES("Rar!"), "a RAR archive", "unpack it"},
    {257, BYTES("ustar"), "a tar archive", "unpack it"},
    {0, BYTES("%PDF"), "a PDF document", "a clip is needed"},
    {0, BYTES("#EXTM3U"), "a playlist", "name the clips themselves"},
    {0, BYTES("ffconcat"), "a list of files for FFmpeg", "name the clips themselves"},
    {0, BYTES("<?xml"), "an XML document", "a clip is needed"},
    {0, BYTES("FLV"), "a Flash video", CONVERT},
    {0, BYTES("OggS"), "an Ogg file", CONVERT},
    {0, BYTES(".RMF"), "a RealMedia file", CONVERT},
    {0, BYTES("DKIF"), "an IVF video", CONVERT},
    {0, BYTES("YUV4MPEG2"), "a YUV4MPEG video", CONVERT},
    {8, BYTES("WEBP"), "a WebP picture", CONVERT},
    {8, BYTES("WAVE"), "a WAV file", "a clip is needed"},
    /* Containers that are read when they are whole. */
    {8, BYTES("AVI "), "an AVI without a readable header", "it is cut off or damaged"},
    {0, BYTES("\x30\x26\xB2\x75\x8E\x66\xCF\x11"), "a Windows Media file without a readable header",
     "it is cut off or damaged"},
    {0, BYTES("\x1A\x45\xDF\xA3"), "a Matroska file without a readable header", "it is cut off or damaged"},
    {4, BYTES("ftyp"), "an MP4 without a readable index", "it is cut off, or its recording was never finished"},
    {4, BYTES("moov"), "a MOV without a readable index", "it is cut off or damaged"},
    {4, BYTES("mdat"), "a MOV without a readable index", "it is cut off, or its recording was never finished"},
    {0, BYTES("GIF8"), "a GIF without a readable header", "it is cut off or damaged"},
};

static bool has_word(const uint8_t *head, size_t len, const char *word)
{
    size_t n = strlen(word);
    for (size_t at = 0; at + n <= len && at < 256; at++) {
        size_t i = 0;
        while (i < n && (head[at + i] | 0x20) == word[i])
            i++;
        if (i == n)
            return true;
    }
    return false;
}

static bool is_text(const uint8_t *head, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (head[i] < 9 || (head[i] > 13 && head[i] < 32 && head[i] != 27))
            return false;
    return len > 0;
}

static bool is_zero(const uint8_t *head, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (head[i])
            return false;
    return len > 0;
}

/* The format that FFmpeg takes it for; NULL: none with any certainty. */
static const char *ffmpeg_calls_it(const uint8_t *head, size_t len)
{
    uint8_t padded[EQ_CLIP_HEAD + AVPROBE_PADDING_SIZE] = {0};
    memcpy(padded, head, len);
    AVProbeData probe = {.filename = "", .buf = padded, .buf_size = (int)len};
    int score = AVPROBE_SCORE_EXTENSION;
    const AVInputFormat *format = av_probe_input_format2(&probe, 1, &score);
    return format ? format->long_name : NULL;
}

/* A row of kinds; NULL: none. */
static const struct kind *kind_of(const uint8_t *head, size_t len)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (len >= kinds[i].at + kinds[i].len && memcmp(head + kinds[i].at, kinds[i].bytes, kinds[i].len) == 0 &&
            !(kinds[i].at == 0 && kinds[i].len == 2 && is_text(head, len)))
            return &kinds[i];
    return NULL;
}

/* The remedy tells: what can be converted is a film in another format. */
enum eq_clip_fault eq_clip_fault_in(const uint8_t *head, size_t len)
{
    const struct kind *k = kind_of(head, len);
    if (len == 0)
        return EQ_CLIP_FAULT_EMPTY;
    if (k && (strncmp(k->remedy, "convert", 7) == 0 || strncmp(k->remedy, "write", 5) == 0))
        return EQ_CLIP_FAULT_FORMAT;
    if (k && strncmp(k->remedy, "it is cut off", 13) == 0)
        return EQ_CLIP_FAULT_CUT;
    if (is_text(head, len))
        return EQ_CLIP_FAULT_TEXT;
    return !k && ffmpeg_calls_it(head, len) ? EQ_CLIP_FAULT_FORMAT : EQ_CLIP_FAULT_NO_VIDEO;
}

enum eq_status eq_clip_fail_kind(const char *name, const uint8_t *head, size_t len, struct eq_err *err)
{
    const struct kind *k = kind_of(head, len);
    if (k)
        return eq_fail(err, EQ_FORMAT, "%s is %s: %s", name, k->kind, k->remedy);
    if (is_text(head, len) && has_word(head, len, "<html"))
        return eq_fail(err, EQ_FORMAT, "%s is a web page, not a clip: download the clip again", name);
    if (is_text(head, len))
        return eq_fail(err, EQ_FORMAT, "%s is a text file, not a clip", name);
    if (is_zero(head, len))
        return eq_fail(err, EQ_FORMAT, "%s is not a video file: it starts with zeros only. Copy it again", name);
    const char *known = ffmpeg_calls_it(head, len);
    if (known)
        return eq_fail(err, EQ_FORMAT, "%s has an unsupported format (%s): " CONVERT, name, known);
    return eq_fail(err, EQ_FORMAT, "%s is not a video file, or is damaged in its header", name);
}

const char *eq_clip_container_name(const char *format)
{
    static const char *const names[][2] = {{"avi", "AVI"},
                                           {"mov,", "MP4 or MOV"},
                                           {"matroska,", "Matroska or WebM"},
                                           {"mpegts", "MPEG transport stream"},
                                           {"mpegvideo", "MPEG video stream"},
                                           {"mpeg", "MPEG program stream"},
                                           {"asf", "Windows Media"},
                                           {"gif", "GIF"},
                                           {"mjpeg", "Motion JPEG stream"},
                                           {"h264", "H.264 stream"},
                                           {"m4v", "MPEG-4 video stream"}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strncmp(format, names[i][0], strlen(names[i][0])) == 0)
            return names[i][1];
    return format;
}
