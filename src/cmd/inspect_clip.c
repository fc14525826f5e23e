/* Description of a clip. */
#include "cmd/cmd.h"

#include <cjson/cJSON.h>

static const char *turn_text(int degrees)
{
    return degrees == 90    ? "turned by 90 degrees clockwise, "
           : degrees == 180 ? "turned by 180 degrees, "
           : degrees == 270 ? "turned by 90 degrees counterclockwise, "
                            : "";
}

enum eq_status eq_inspect_clip(const char *path, bool json, struct eq_err *err)
{
    struct eq_clip_info info;
    EQ_CHECK(eq_clip_check(path, EQ_CLIP_CHECK_FULL, &info, err));
    if (!json) {
        struct eq_str name = {0};
        eq_str_add_shown(&name, path);
        printf("%s: clip, %s, %s, %d x %d, %d frames decode", name.s, info.container, info.codec, info.width,
               info.height, info.decoded_frames);
        eq_str_clear(&name);
        if (info.header_frames && info.header_frames != info.decoded_frames)
            printf(" (its header says %d)", info.header_frames);
        if (info.timed_frames != info.decoded_frames)
            printf(", %d frames in time", info.timed_frames);
        printf(", %.3g frames a second, %s\n", info.fps, info.gray ? "gray" : "color");
        if (info.turned || info.mirrored)
            printf("  shown %s%sas its display matrix says\n", info.mirrored ? "mirrored, " : "",
                   turn_text(info.turned));
        if (info.damaged)
            printf("  damaged: %s\n", info.reason);
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
