/* Display matrices: a clip may be stored lying on its side or mirrored, with a matrix that says how to show it. */
#include "clip/clip.h"

#include <math.h>
#include <string.h>

bool eq_frame_turn_of(const int32_t *matrix, int *turned, bool *mirrored)
{
    /* A point (x, y) is shown at (a x + c y, b x + d y). Mirroring changes the sign of a and b only. */
    double a = matrix[0], b = matrix[1], c = matrix[3], d = matrix[4];
    double across = hypot(a, b), down = hypot(c, d), pi = acos(-1.0);
    *turned = 0;
    *mirrored = false;
    if (!(across > 0) || !(down > 0)) /* no turn: writers leave the matrix empty */
        return true;
    double degrees = atan2(-c, d) * 180 / pi, quarter = round(degrees / 90);
    double slant = (a * c + b * d) / (across * down);
    *turned = ((int)quarter * 90 + 360) % 360;
    *mirrored = a * d - b * c < 0;
    return fabs(degrees - 90 * quarter) < 1 && fabs(slant) < 0.02;
}

void eq_frame_turn(const uint8_t *src, int src_stride, int width, int height, int bytes, int turned, bool mirrored,
                   uint8_t *dst, int dst_stride)
{
    bool side = turned == 90 || turned == 270;
    int across = side ? height : width, down = side ? width : height;
    for (int y = 0; y < down; y++)
        for (int x = 0; x < across; x++) {
            int from_x = turned == 0 ? x : turned == 90 ? y : turned == 180 ? width - 1 - x : width - 1 - y;
            int from_y = turned == 0 ? y : turned == 90 ? height - 1 - x : turned == 180 ? height - 1 - y : x;
            if (mirrored)
                from_x = width - 1 - from_x;
            memcpy(dst + (ptrdiff_t)y * dst_stride + x * bytes, src + (ptrdiff_t)from_y * src_stride + from_x * bytes,
                   (size_t)bytes);
        }
}
