/* Description of a clip. */
#include "cmd/cmd.h"

#include <cjson/cJSON.h>
#include <strings.h>

static const char *turn_text(int degrees)
{
    return degrees == 90    ? "turned by 90 degrees clockwise, "
           : degrees == 180 ? "turned by 180 degrees, "
           : degrees == 270 ? "turned by 90 degrees counterclockwise, "
                            : "";
}

static void print_clip(const char *path, const struct eq_clip_info *info)
{
    struct eq_str line = {0};
    eq_str_add_shown(&line, path);
    eq_str_add(&line, ": clip, %s, ", info->container);
    if (strcasecmp(info->container, info->codec) != 0) /* DICOM and GIF are both */
        eq_str_add(&line, "%s, ", info->codec);
    eq_str_add(&line, "%d x %d, %d frames decode", info->width, info->height, info->decoded_frames);
    if (info->header_frames && info->header_frames != info->decoded_frames)
        eq_str_add(&line, " (its header says %d)", info->header_frames);
    if (info->timed_frames != info->decoded_frames)
        eq_str_add(&line, ", %d frames in time", info->timed_frames);
    eq_str_add(&line, ", %.3g frames a second, %s", info->fps, info->gray ? "gray" : "color");
    eq_print_line(2, "%s", line.s);
    eq_str_clear(&line);
    if (info->turned || info->mirrored)
        eq_print_line(2, "  shown %s%sas its display matrix says", info->mirrored ? "mirrored, " : "",
                      turn_text(info->turned));
    if (info->damaged)
        eq_print_line(2, "  damaged: %s", info->reason);
}

enum eq_status eq_inspect_clip(const char *path, bool json, struct eq_err *err)
{
    struct eq_clip_info info;
    EQ_CHECK(eq_clip_check(path, EQ_CLIP_CHECK_FULL, &info, err));
    if (!json) {
        print_clip(path, &info);
        return EQ_OK;
    }
    struct cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "path", path);
    cJSON_AddStringToObject(o, "container", info.container);
    cJSON_AddStringToObject(o, "codec", info.codec);
    cJSON_AddNumberToObject(o, "width", info.width);
    cJSON_AddNumberToObject(o, "height", info.height);
    cJSON_AddNumberToObject(o, "decoded_frames", info.decoded_frames);
    cJSON_AddNumberToObject(o, "timed_frames", info.timed_frames);
    cJSON_AddNumberToObject(o, "header_frames", info.header_frames);
    cJSON_AddNumberToObject(o, "fps", info.fps);
    cJSON_AddBoolToObject(o, "gray", info.gray);
    cJSON_AddNumberToObject(o, "turned", info.turned);
    cJSON_AddBoolToObject(o, "mirrored", info.mirrored);
    cJSON_AddBoolToObject(o, "damaged", info.damaged);
    if (info.damaged)
        cJSON_AddStringToObject(o, "reason", info.reason);
    enum eq_status st = eq_print_json(o, err);
    cJSON_Delete(o);
    return st;
}
