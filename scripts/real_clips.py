#!/usr/bin/env python3
"""Write a small data folder of real echocardiogram clips, cut from one recording.

The recording is color3d_jpeg_baseline.dcm of the package pydicom-data (PyPI): an apical four-chamber view, 120 frames at
30 frames a second, SonoSite. One heart has one EF, so the number to predict is another: how far a clip is zoomed in, from 1
to 1.7, written as an "EF" of 25 to 75. The errors of such a model say nothing about EF; its activations are those of real
ultrasound. Training clips come from the first 72 frames, the others from the last 48; each is 32 frames long, with a random
start, place and gain. Needs pydicom, numpy, pillow and av.

    pip install pydicom numpy pillow av && pip download --no-deps pydicom-data==1.0.0 && unzip pydicom_data-*.whl
    scripts/real_clips.py data_store/data/color3d_jpeg_baseline.dcm data/real
"""
import csv
import sys
from pathlib import Path

import av
import numpy as np
import pydicom
from PIL import Image

FRAMES, SIZE, SIDE = 32, 112, 340  # of a clip; SIDE: pixels of the recording that a clip of zoom 1 shows
CENTER = (330, 220)  # x, y: the middle of the sector
CLIPS = {"TRAIN": (200, 0, 72), "VAL": (30, 72, 120), "TEST": (60, 72, 120)}  # how many, from which frames


def write_clip(path: Path, frames: np.ndarray) -> None:
    with av.open(str(path), "w") as out:
        stream = out.add_stream("mjpeg", rate=30)
        stream.width, stream.height, stream.pix_fmt = SIZE, SIZE, "yuvj420p"
        stream.options = {"qscale": "2"}
        for frame in frames:
            for packet in stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")):
                out.mux(packet)
        for packet in stream.encode():
            out.mux(packet)


def cut(recording: np.ndarray, first: int, end: int, rng: np.random.Generator) -> tuple[np.ndarray, float]:
    zoom, gain = rng.uniform(1, 1.7), rng.uniform(0.85, 1.15)
    start, half = int(rng.integers(first, end - FRAMES + 1)), SIDE / zoom / 2
    x, y = (c + rng.uniform(-15, 15) for c in CENTER)
    frames = [np.asarray(Image.fromarray(f).resize((SIZE, SIZE), Image.Resampling.BILINEAR,
                                                   box=(x - half, y - half, x + half, y + half)))
              for f in recording[start : start + FRAMES]]
    return np.clip(np.stack(frames) * gain, 0, 255).astype(np.uint8), 25 + 50 * (zoom - 1) / 0.7


def main() -> None:
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    recording, folder = pydicom.dcmread(sys.argv[1]).pixel_array, Path(sys.argv[2])
    (folder / "Videos").mkdir(parents=True)
    rng, rows = np.random.default_rng(1), []
    for split, (n, first, end) in CLIPS.items():
        for i in range(n):
            frames, ef = cut(recording, first, end, rng)
            name = f"{split.lower()}_{i:03}"
            write_clip(folder / "Videos" / f"{name}.avi", frames)
            rows.append([name, f"{ef:.4f}", SIZE, SIZE, 30, FRAMES, split])
    with (folder / "FileList.csv").open("w", newline="") as f:
        csv.writer(f).writerows([["FileName", "EF", "FrameHeight", "FrameWidth", "FPS", "NumberOfFrames", "Split"], *rows])


if __name__ == "__main__":
    main()
