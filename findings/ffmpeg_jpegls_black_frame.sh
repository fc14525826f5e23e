#!/usr/bin/env bash
# FFmpeg 8 (libavcodec 62.28 in PyAV 18.1.0): its JPEG-LS decoder does not implement sample-interleaved pictures
# (interleave mode 2 of ITU-T T.87), which CharLS, and with it DICOM software, writes for RGB. It does not fail: the
# call returns a frame of the right size and format, all black, not marked as corrupt. A line in the log is the only
# sign. JPEG-LS is lossless, so a caller that checks the status only takes black for the exact picture. Gray pictures,
# and the same RGB picture decoded by CharLS, are exact.
# For us: DICOM files in JPEG-LS are decoded by DCMTK (CharLS), not by FFmpeg; tests/golden/dicom has RGB ones.
#
# Output seen ("picture, interleave mode: CharLS, FFmpeg"):
#   gray, 0: exact, exact, corrupt flag False
#   rgb, 2: exact, all zero, corrupt flag False
#   log: Sample interleaved images is not implemented.
# Needs: Python 3.10 to 3.13 with venv and pip, on x86-64. Ends with 0 as long as the behavior is the one above, 77 where
# these versions can't be had.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q av==18.1.0 imagecodecs==2026.3.6 numpy==2.4.6 >"$work/pip.log" 2>&1 || {
    echo "skipped: these versions can't be installed here"
    exit 77
}
"$work/venv/bin/python" - <<'PY' | tee "$work/seen"
import av
import av.logging
import imagecodecs
import numpy as np

y, x = np.mgrid[0:64, 0:64]
pictures = {"gray": (4 * x).astype("u1"), "rgb": np.stack([4 * x, 4 * y, 2 * (x + y)], -1).astype("u1")}
av.logging.set_level(av.logging.VERBOSE)
for name, picture in pictures.items():
    data = imagecodecs.jpegls_encode(picture)
    scan = data.find(b"\xff\xda")
    mode = data[scan + 6 + 2 * data[scan + 4]]
    charls = "exact" if (imagecodecs.jpegls_decode(data) == picture).all() else "differs"
    with av.logging.Capture() as log:
        frame = av.CodecContext.create("jpegls", "r").decode(av.Packet(data))[0]
    pixels = frame.to_ndarray()
    ffmpeg = "exact" if (pixels == picture).all() else "all zero" if not pixels.any() else "differs"
    print(f"{name}, {mode}: {charls}, {ffmpeg}, corrupt flag {frame.is_corrupt}")
    if log:
        print("log:", "".join(text for _, _, text in log).split(" Update")[0])
PY
cat >"$work/wanted" <<'END'
gray, 0: exact, exact, corrupt flag False
rgb, 2: exact, all zero, corrupt flag False
log: Sample interleaved images is not implemented.
END
diff "$work/wanted" "$work/seen"
