/* Any bytes as the boxes, chunks and indices of a container, which the first byte chooses: the file is judged within
 * its bytes, twice alike, and a reason is a text. */
#include "clip/clip.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const formats[] = {
        "avi", "mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "asf", "gif", "mpegts", "mpeg", "mjpeg", "h264"};
    enum { FORMATS = sizeof formats / sizeof *formats };
    char reason[EQ_CLIP_REASON], again[EQ_CLIP_REASON];
    int repeats[EQ_CLIP_AVI_STREAMS] = {0};
    struct eq_err err;
    if (size < 2)
        return 0;
    const char *format = formats[data[0] % FORMATS];
    struct eq_clip_file file = {.name = "input", .data = data + 1, .len = size - 1};
    require(eq_clip_judge_file(&file, format, reason, repeats, &err) == EQ_OK);
    require(eq_clip_judge_file(&file, format, again, NULL, &err) == EQ_OK);
    require(memchr(reason, '\0', sizeof reason) && strcmp(reason, again) == 0);
    for (int i = 0; i < EQ_CLIP_AVI_STREAMS; i++)
        require(repeats[i] >= 0 && (size_t)repeats[i] < size);
    return 0;
}
