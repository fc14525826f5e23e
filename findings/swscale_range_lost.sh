#!/usr/bin/env bash
# libswscale 9.5 (FFmpeg 8, in PyAV 18.1.0): a full-range YUV frame that is shrunk by 64 or more with the bicubic filter,
# or by 127 or more with the bilinear one, is read as if it had limited range, although both ranges are given: levels
# are stretched from 16..235 to 0..255, so that dark gray is a quarter as bright and light gray is white. There is no
# error and no line in the log. Shrunk a little less, or with the area filter, the same frame keeps its level.
# libswscale 6.7 (FFmpeg 5.1, Debian 12) does the same from a factor of about 94 with the bilinear filter and
# SWS_ACCURATE_RND, for conversions to RGB and to gray, also if the range is set before the context is made.
# For us: src/clip/frame_convert.c uses the area filter for strong shrinking (tests/unit/test_data_clip.c).
#
# Output seen ("width, filter: levels 20, 120, 240 as gray", shrunk to a width of 32):
#   2016 BICUBIC: 20 120 240
#   2048 BICUBIC: 5 121 255
#   2048 AREA: 20 120 240
#   4032 BILINEAR: 20 120 240
#   4096 BILINEAR: 5 121 255
# Needs: Python 3.10 to 3.13 with venv and pip, on x86-64. Ends with 0 as long as the behavior is the one above, 77 where
# these versions can't be had.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q av==18.1.0 numpy==2.4.6 >"$work/pip.log" 2>&1 || {
    echo "skipped: these versions can't be installed here"
    exit 77
}
"$work/venv/bin/python" - <<'PY' | tee "$work/seen"
import av
import numpy as np

FULL = {"src_color_range": "JPEG", "dst_color_range": "JPEG"}


def shrunk(width, level, filter_):
    frame = av.VideoFrame(width, 64, "yuv420p")
    for plane, value in zip(frame.planes, (level, 128, 128)):
        plane.update(bytes([value]) * plane.buffer_size)
    return int(np.median(frame.reformat(32, 32, "gray", interpolation=filter_, **FULL).to_ndarray()))


for width, filter_ in [(2016, "BICUBIC"), (2048, "BICUBIC"), (2048, "AREA"), (4032, "BILINEAR"), (4096, "BILINEAR")]:
    print(f"{width} {filter_}:", *(shrunk(width, level, filter_) for level in (20, 120, 240)))
PY
cat >"$work/wanted" <<'END'
2016 BICUBIC: 20 120 240
2048 BICUBIC: 5 121 255
2048 AREA: 20 120 240
4032 BILINEAR: 20 120 240
4096 BILINEAR: 5 121 255
END
diff "$work/wanted" "$work/seen"
