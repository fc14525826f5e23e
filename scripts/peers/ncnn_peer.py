"""ncnn in FP32, on a network written from the model file: ncnn reads no ONNX. It knows no batches, so the frames of a
clip run one after the other, each on all threads."""
from pathlib import Path

import ncnn
import numpy as np

from peers.models import read_tensors

FORMAT = "7767517"  # of a .param file
FLOAT32 = np.zeros(1, np.int32).tobytes()  # before the weights of a layer in a .bin file
BN_EPS = 1e-5


class Writer:
    """A ResNet-18 as the text of a .param file and the bytes of a .bin file; batch norm is folded."""

    def __init__(self, tensors):
        self.tensors, self.layers, self.weights, self.blobs = tensors, [], [], 0

    def add(self, kind, name, bottoms, tops=None, **parameters):
        tops = tops or [name]
        self.blobs += len(tops)
        values = [f"{key[1:]}={value}" for key, value in parameters.items()]
        self.layers.append(" ".join([kind, name, str(len(bottoms)), str(len(tops)), *bottoms, *tops, *values]))
        return tops[0]

    def store(self, weight, bias):
        self.weights += [FLOAT32, weight.astype("<f4").tobytes(), bias.astype("<f4").tobytes()]

    def conv(self, src, conv, norm, stride, relu):
        weight = self.tensors[f"{conv}.weight"]
        gamma, beta, mean, var = (self.tensors[f"{norm}.{part}"] for part in
                                  ("weight", "bias", "running_mean", "running_var"))
        scale = gamma / np.sqrt(var + BN_EPS)
        self.store(weight * scale[:, None, None, None], beta - mean * scale)
        channels, side = weight.shape[0], weight.shape[2]
        return self.add("Convolution", conv, [src], _0=channels, _1=side, _3=stride, _4=side // 2, _5=1,
                        _6=weight.size, _9=int(relu))

    def block(self, src, name, stride):
        straight, residual = f"{name}.straight", f"{name}.residual"
        self.add("Split", f"{name}.split", [src], [straight, residual])
        out = self.conv(straight, f"{name}.conv1", f"{name}.bn1", stride, relu=True)
        out = self.conv(out, f"{name}.conv2", f"{name}.bn2", 1, relu=False)
        if f"{name}.downsample.0.weight" in self.tensors:
            residual = self.conv(residual, f"{name}.downsample.0", f"{name}.downsample.1", stride, relu=False)
        self.add("BinaryOp", f"{name}.sum", [out, residual], _0=0)
        return self.add("ReLU", name, [f"{name}.sum"])

    def network(self):
        out = self.add("Input", "pixels", [])
        out = self.conv(out, "conv1", "bn1", 2, relu=True)
        out = self.add("Pooling", "maxpool", [out], _0=0, _1=3, _2=2, _3=1, _5=1)
        for stage in range(1, 5):
            for i in range(2):
                out = self.block(out, f"layer{stage}.{i}", 2 if stage > 1 and i == 0 else 1)
        out = self.add("Pooling", "avgpool", [out], _0=1, _4=1)
        weight = self.tensors["fc.weight"]
        self.store(weight, self.tensors["fc.bias"])
        self.add("InnerProduct", "ef", [out], _0=1, _1=1, _2=weight.size)

    def write(self, stem):
        self.network()
        text = "\n".join([FORMAT, f"{len(self.layers)} {self.blobs}", *self.layers]) + "\n"
        stem.with_suffix(".param").write_text(text)
        stem.with_suffix(".bin").write_bytes(b"".join(self.weights))


def version():
    return ncnn.__version__


def open_variant(_, spec):
    meta, tensors = read_tensors(spec["fp32_model"])
    stem = Path(spec["pixels"]).with_name("fp32_ncnn")
    Writer(tensors).write(stem)
    net = ncnn.Net()
    net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = False
    net.opt.use_bf16_storage = False
    if spec["threads"]:
        net.opt.num_threads = spec["threads"]
    if net.load_param(str(stem.with_suffix(".param"))) or net.load_model(str(stem.with_suffix(".bin"))):
        raise RuntimeError("ncnn does not read the network")
    mean, factor = np.float32(meta["pixel_mean"]), np.float32(1 / float(meta["pixel_std"]))
    fixed = np.load(spec["pixels"])

    def infer(frame):
        extractor = net.create_extractor()
        extractor.input("pixels", ncnn.Mat(frame))
        status, out = extractor.extract("ef")
        if status:
            raise RuntimeError(f"ncnn ends with {status}")
        return float(out[0])

    def call(pixels=fixed):
        return sum(infer(frame) for frame in (pixels.astype(np.float32) - mean) * factor) / len(pixels)

    return call
