"""A clip as most Python programs read it: OpenCV decodes all frames, some of them are kept."""
import cv2
import numpy as np


def all_frames(path):
    video = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    frames = []
    while True:
        there, frame = video.read()
        if not there:
            break
        frames.append(frame)
    video.release()
    if not frames:
        raise ValueError(f"OpenCV reads no frame of {path}")
    return frames


def read_clip(path, count, size, threads):
    """u8 [count, 3, size, size], RGB, sampled and sized as echoquant does (docs/ONNX.md)."""
    cv2.setNumThreads(threads)
    frames = all_frames(path)
    last, steps = len(frames) - 1, max(count - 1, 1)
    out = np.empty((count, 3, size, size), np.uint8)
    for i in range(count):
        frame = frames[round(i * last / steps)]
        if frame.shape[:2] != (size, size):
            frame = cv2.resize(frame, (size, size), interpolation=cv2.INTER_LINEAR)
        out[i] = cv2.cvtColor(frame, cv2.COLOR_BGR2RGB).transpose(2, 0, 1)
    return out
