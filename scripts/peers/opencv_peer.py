"""OpenCV's own network runtime on the exported file, FP32."""
import cv2
import numpy as np


def version():
    return cv2.__version__


def open_variant(_, spec):
    if spec["threads"]:
        cv2.setNumThreads(spec["threads"])
    net = cv2.dnn.readNetFromONNX(spec["fp32_onnx"])
    fixed = np.load(spec["pixels"])

    def call(pixels=fixed):
        net.setInput(pixels)
        return float(net.forward()[0, 0])

    return call
