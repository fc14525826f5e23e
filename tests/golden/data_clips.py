#!/usr/bin/env python3
"""Write two small AVIs and the frames that OpenCV and PyAV read from them, for test_golden_clips.c.

Needs numpy, opencv-python and av; run as `python3 tests/golden/data_clips.py tests/golden/clips`. The pictures are arithmetic
(no random numbers). gray.avi comes from OpenCV's own Motion JPEG writer, as EchoNet-Dynamic's files did; color.avi from
FFmpeg's encoder. Indices are numpy's rint of linspace: an implementation of "half to even" that is not ours.
"""
import sys
from pathlib import Path

import av
import cv2
import numpy as np

SIZE, FRAMES = 48, 12
SAMPLED = 5


def picture(t: int) -> np.ndarray:
    """A bright ring that breathes on speckle-like texture, u8 [SIZE, SIZE]."""
    y, x = np.mgrid[:SIZE, :SIZE]
    radius = np.hypot(y - SIZE / 2, x - SIZE / 2)
    ring = 150 * np.exp(-((radius - 12 - 5 * np.cos(2 * np.pi * t / FRAMES)) ** 2) / 8)
    texture = (x * 7 + y * 13 + x * y) % 31
    return np.clip(ring + texture + 20, 0, 255).astype(np.uint8)


def write_gray(path: Path) -> None:
    fourcc = cv2.VideoWriter_fourcc(*"MJPG")
    writer = cv2.VideoWriter(str(path), cv2.CAP_OPENCV_MJPEG, fourcc, 50.0, (SIZE, SIZE), True)
    assert writer.isOpened()
    for t in range(FRAMES):
        writer.write(cv2.cvtColor(picture(t), cv2.COLOR_GRAY2BGR))
    writer.release()


def write_color(path: Path) -> None:
    with av.open(str(path), "w", format="avi") as out:
        stream = out.add_stream("mjpeg", rate=50)
        stream.width = stream.height = SIZE
        stream.pix_fmt = "yuvj420p"
        stream.options = {"flags": "+bitexact", "qmin": "2", "qmax": "2"}
        for t in range(FRAMES):
            luma = picture(t)
            y, x = np.mgrid[:SIZE, :SIZE]
            tint = np.stack([x - 24, 12 - y // 2, 20 - x // 2 + y // 3], axis=-1)  # smooth: chroma is subsampled
            rgb = np.clip(luma[..., None] * 0.7 + 35 + tint, 0, 255).astype(np.uint8)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24")))
        out.mux(stream.encode())


def decode_pyav(path: Path) -> list[av.VideoFrame]:
    with av.open(str(path)) as container:
        return list(container.decode(video=0))


def decode_opencv(path: Path) -> list[np.ndarray]:
    capture, frames = cv2.VideoCapture(str(path)), []
    while True:
        ok, bgr = capture.read()
        if not ok:
            return frames
        frames.append(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB))


def luma_of(frame: av.VideoFrame) -> np.ndarray:
    plane = frame.planes[0]
    return np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)[:, : plane.width]


def main() -> None:
    out = Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    index = np.rint(np.linspace(0, FRAMES - 1, SAMPLED)).astype(int)
    write_gray(out / "gray.avi")
    frames = decode_pyav(out / "gray.avi")
    assert len(frames) == FRAMES and frames[0].format.name.startswith("yuvj4")
    for frame in frames:
        for chroma in frame.planes[1:]:
            visible = np.frombuffer(chroma, np.uint8).reshape(chroma.height, -1)[:, : chroma.width]
            assert (visible == 128).all()
    np.stack([luma_of(frames[i]) for i in index]).tofile(out / "gray_luma_pyav.u8")
    write_color(out / "color.avi")
    frames = decode_opencv(out / "color.avi")
    assert len(frames) == FRAMES
    np.stack([frames[i] for i in index]).tofile(out / "color_rgb_opencv.u8")
    print("indices", index, {p.name: p.stat().st_size for p in sorted(out.iterdir())})


if __name__ == "__main__":
    main()
