#!/usr/bin/env python3
"""Write quant_observers.json: ranges and qparams as the tools find them whose observers ours are.

minmax, moving_average and hist_mse are PyTorch's, percentile is ONNX Runtime's, entropy is NVIDIA's. The classes of those
packages run here, batch by batch. The inputs are not stored: test_golden_quant.c makes the same float32 values from the
same integers. Made with torch 2.15.0, onnxruntime 1.32.0 and nvidia-modelopt 0.47.0 (which also imports requests and
huggingface_hub), in a few minutes:

    python tests/golden/quant_observers.py > tests/golden/quant_observers.json
"""
import contextlib
import importlib.metadata
import io
import json
import sys
import warnings

import numpy as np
import torch
from torch.ao.quantization import observer as ao

warnings.filterwarnings("ignore")
with contextlib.redirect_stdout(io.StringIO()):
    from modelopt.torch.quantization.calib.histogram import HistogramCalibrator
    from onnxruntime.quantization.calibrate import HistogramCollector
BINS = 2048
PERCENTILES = (99.0, 99.9, 99.99, 99.999)


def values(seed: int, n: int, shape: str, a: float, b: float) -> np.ndarray:
    """n float32 values: the top 24 bits of a 32-bit LCG as u in [-1, 1), then a u + b, a u^3 + b, or max(0, a u^3 + b)."""
    state = np.empty(n, np.uint32)
    s = np.uint64(seed)
    for i in range(n):
        s = (s * np.uint64(1664525) + np.uint64(1013904223)) & np.uint64(0xFFFFFFFF)
        state[i] = s
    f = np.float32
    u = (state >> 8).astype(f) * f(2.0**-23) - f(1)
    x = u if shape == "uniform" else u * u * u
    x = x * f(a) + f(b)
    return np.maximum(x, f(0)) if shape == "relu" else x


def qparams(o) -> dict:
    scale, zp = o.calculate_qparams()
    return {"scale": float(scale[0]), "zero_point": int(zp[0])}


def percentile(batches: list, p: float) -> list:
    """What ONNX Runtime's PercentileCalibrater does with its defaults, each batch collected by a call."""
    c = HistogramCollector("percentile", False, BINS, 128, p, None)
    with contextlib.redirect_stdout(io.StringIO()):
        for x in batches:
            c.collect({"x": x})
        r = c.compute_collection_result()["x"]
    return [float(r[0]), float(r[1])]


def entropy(batches: list) -> float | None:
    """The largest absolute value to keep, by NVIDIA's calibrator with its defaults: 8 bits, so 128 levels. None where it
    keeps next to no value: if none is near 0, its divergences are NaN, which argmin takes for the least, or 0."""
    c = HistogramCalibrator(num_bits=8, axis=None, unsigned=False, num_bins=BINS)
    for x in batches:
        c.collect(torch.from_numpy(x))
    amax = float(c.compute_amax("entropy"))
    return amax if np.mean(np.abs(np.concatenate(batches)) <= amax) > 0.01 else None


def case(seed: int, n: int, shape: str, a: float, b: float, factors: list) -> dict:
    """Batch i is made from seed + i, its values spread by a * factors[i]."""
    x = [values(seed + i, n, shape, a * f, b) for i, f in enumerate(factors)]
    out = {"seed": seed, "n": n, "shape": shape, "a": a, "b": b, "factors": factors}
    for key, o in (
        ("minmax", ao.MinMaxObserver()),
        ("moving_average", ao.MovingAverageMinMaxObserver(averaging_constant=0.01)),
        ("hist_mse", ao.HistogramObserver(bins=BINS)),
    ):
        for batch in x:
            o(torch.from_numpy(batch))
        out[key] = qparams(o)
    out["percentile"] = {str(p): percentile(x, p) for p in PERCENTILES}
    out["entropy"] = entropy(x)
    return out


def weights(seed: int, cout: int, per: int, a: float) -> dict:
    w = values(seed, cout * per, "cubic", a, 0).reshape(cout, per)
    w[0] = 0
    o = ao.PerChannelMinMaxObserver(dtype=torch.qint8, qscheme=torch.per_channel_symmetric, quant_min=-127, quant_max=127)
    o(torch.from_numpy(w))
    return {"seed": seed, "cout": cout, "per": per, "a": a, "scale": [float(s) for s in o.calculate_qparams()[0]]}


def fake_quant(seed: int, n: int, scale: float, zp: int) -> dict:
    a = float(np.float32(300 * scale))
    x = values(seed, n, "uniform", a, 0)
    y = torch.fake_quantize_per_tensor_affine(torch.from_numpy(x), scale, zp, 0, 255).numpy()
    sum_q = int((np.rint(y / np.float32(scale)) + zp).sum())
    return {"seed": seed, "n": n, "a": a, "scale": float(np.float32(scale)), "zero_point": zp, "sum_q": sum_q}


def main() -> None:
    one, up, down, both = [1], [1, 1.25, 1.5], [1, 0.5, 0.25], [1, 0.5, 1.75, 0.125, 2.5, 1, 3]
    cases = [
        case(100, 5000, "uniform", 1.0, 0.0, one),
        case(110, 5000, "uniform", 1.0, 0.0, up),
        case(120, 5000, "uniform", 2.5, 1.0, both),
        case(130, 20000, "cubic", 4.0, 0.0, one),
        case(140, 20000, "cubic", 4.0, 0.0, up),
        case(150, 20000, "cubic", 4.0, 0.0, down),
        case(160, 20000, "cubic", 4.0, 0.5, both),
        case(170, 20000, "relu", 6.0, -0.05, one),
        case(180, 20000, "relu", 6.0, -0.05, up),
        case(190, 20000, "relu", 6.0, -0.05, down),
        case(200, 20000, "relu", 6.0, -0.05, both),
        case(210, 50000, "relu", 40.0, -1.0, [1, 1.0625, 0.9375, 1.125, 1.03125]),
        case(220, 3000, "uniform", 0.5, 3.0, up),
        case(230, 3000, "uniform", 0.5, -3.0, both),
        case(240, 2000, "cubic", 1e-4, 0.0, both),
        case(250, 2000, "uniform", 1e-9, 0.0, up),
        case(260, 100, "cubic", 100.0, 5.0, both),
        case(270, 20000, "relu", 0.25, 0.0, [1, 6]),
    ]
    doc = {
        **{name: importlib.metadata.version(name) for name in ("torch", "onnxruntime", "nvidia-modelopt")},
        "cases": cases,
        "weights": [weights(20, 8, 27, 0.2), weights(21, 5, 64, 3e-6)],
        "fake_quant": [fake_quant(30, 2000, 0.02, 0), fake_quant(31, 2000, 0.37, 117), fake_quant(32, 2000, 1e-3, 255)],
    }
    json.dump(doc, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
