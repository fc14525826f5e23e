#!/usr/bin/env python3
"""Write quant_observers.json: ranges and qparams as PyTorch's and ONNX Runtime's observers find them.

The inputs are not stored: test_golden_quant.c makes the same float32 values from the same integers. Made with torch 2.15.0
and onnxruntime 1.32.0 (needs scipy):

    python tests/golden/quant_observers.py > tests/golden/quant_observers.json
"""
import contextlib
import io
import json
import sys
import warnings

import numpy as np
import torch
from onnxruntime.quantization.calibrate import HistogramCollector
from torch.ao.quantization import observer as ao

warnings.filterwarnings("ignore")
BINS, ENTROPY_LEVELS = 2048, 256


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


def ort(hist, edges, lo, hi, method: str, percentile: float = 0) -> list:
    c = HistogramCollector(method, False, BINS, ENTROPY_LEVELS, percentile, None)
    c.histogram_dict = {"x": (hist, edges, lo, hi)}
    with contextlib.redirect_stdout(io.StringIO()):
        r = c.compute_collection_result()["x"]
    return [float(r[0]), float(r[1])]


def case(seed: int, n: int, shape: str, a: float, b: float, batches: int) -> dict:
    x = [values(seed + i, n, shape, a * (1 + 0.25 * i), b) for i in range(batches)]
    out = {"seed": seed, "n": n, "shape": shape, "a": a, "b": b, "batches": batches}
    for key, o in (
        ("minmax", ao.MinMaxObserver()),
        ("moving_average", ao.MovingAverageMinMaxObserver(averaging_constant=0.01)),
        ("hist_mse", ao.HistogramObserver(bins=BINS)),
    ):
        for batch in x:
            o(torch.from_numpy(batch))
        out[key] = qparams(o)
    o = ao.HistogramObserver(bins=BINS)
    o(torch.from_numpy(x[0]))
    out["hist_mse_one"] = qparams(o)
    lo, hi = x[0].min(), x[0].max()
    hist, edges = np.histogram(x[0], BINS, range=(lo, hi))
    edges = edges.astype(np.float32)
    out["percentile"] = {str(p): ort(hist, edges, lo, hi, "percentile", p) for p in (99.0, 99.9, 99.99, 99.999)}
    t = max(abs(lo), abs(hi))
    hist, edges = np.histogram(x[0], BINS, range=(-t, t))
    out["entropy"] = ort(hist, edges.astype(np.float32), lo, hi, "entropy")
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
    cases = [
        case(1, 5000, "uniform", 1.0, 0.0, 3),
        case(2, 5000, "uniform", 2.5, 1.0, 4),
        case(3, 20000, "cubic", 4.0, 0.0, 3),
        case(4, 20000, "relu", 6.0, -0.05, 3),
        case(5, 3000, "uniform", 0.5, 3.0, 2),
        case(6, 3000, "uniform", 0.5, -3.0, 2),
        case(7, 50000, "relu", 40.0, -1.0, 2),
        case(8, 2000, "cubic", 1e-4, 0.0, 2),
        case(9, 2000, "uniform", 1e-9, 0.0, 2),
        case(10, 100, "cubic", 100.0, 5.0, 5),
    ]
    doc = {
        "torch": torch.__version__,
        "cases": cases,
        "weights": [weights(20, 8, 27, 0.2), weights(21, 5, 64, 3e-6)],
        "fake_quant": [fake_quant(30, 2000, 0.02, 0), fake_quant(31, 2000, 0.37, 117), fake_quant(32, 2000, 1e-3, 255)],
    }
    json.dump(doc, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
