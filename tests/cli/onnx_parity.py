"""Holds exported ONNX files to what `echoquant predict` said. Arguments: its JSON Lines, the folder with each clip's
pixels (tests/tools/dump_clip.c), the frames of a clip and their side, the greatest difference of EF allowed, how many
convolutions ONNX Runtime must run in integers, ONNX files of one model."""
import json
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort

FRAMES, SIZE = (int(text) for text in sys.argv[3:5])
PLAIN = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
FAST = ort.GraphOptimizationLevel.ORT_ENABLE_ALL


def session(model, level, optimized=None):
    options = ort.SessionOptions()
    options.graph_optimization_level = level
    options.intra_op_num_threads = 2
    options.log_severity_level = 3
    options.add_session_config_entry("session.x64quantprecision", "1")  # docs/ONNX.md
    if optimized:
        options.optimized_model_filepath = str(optimized)
    return ort.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])


def read_clips(predictions, folder):
    """[(pixels as u8 [frames, 3, size, size], EF of echoquant)]"""
    clips = []
    for row in map(json.loads, open(predictions)):
        raw = np.fromfile(folder / Path(row["path"]).stem, np.uint8)
        clips.append((raw.reshape(-1, SIZE, SIZE, 3).transpose(0, 3, 1, 2), row["ef"]))
    return clips


def ef(run, pixels):
    out = run.run(["ef"], {"pixels": np.ascontiguousarray(pixels)})[0]
    assert out.shape == (1, 1) and out.dtype == np.float32, (out.shape, out.dtype)
    return float(out[0, 0])


def check_ends(model):
    """The input as documented, and metadata that say how to feed it."""
    shape = [d.dim_param or d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim]
    assert shape == ["frames", 3, SIZE, SIZE], shape
    meta = {p.key: p.value for p in model.metadata_props}
    assert (meta["frames"], meta["size"], meta["output_unit"]) == (str(FRAMES), str(SIZE), "EF percent"), meta


def check_integer_kernels(optimized, wanted):
    """A convolution between DequantizeLinear and QuantizeLinear must have become an integer one."""
    ops = [node.op_type for node in onnx.load(optimized).graph.node]
    found = ops.count("QLinearConv")
    counts = {op: ops.count(op) for op in sorted(set(ops))}
    assert found == wanted and found + ops.count("Conv") + ops.count("FusedConv") == 20, (wanted, counts)


def check_ef(run, clips, limit):
    worst = max(abs(ef(run, pixels) - expected) for pixels, expected in clips)
    assert worst <= limit, f"EF differs by {worst:.4g}, more than {limit:g}"
    return worst


def check_file(path, clips, limit, integer):
    """Well-formed, and EF as expected with ONNX Runtime's own kernels."""
    onnx.checker.check_model(str(path), full_check=True)
    check_ends(onnx.load(path))
    optimized = Path("optimized.onnx")
    run = session(path, FAST, optimized)
    check_integer_kernels(optimized, integer)
    # Any number of frames: each one twice has the same mean.
    pixels = clips[0][0]
    assert abs(ef(run, pixels.repeat(2, axis=0)) - ef(run, pixels)) < 1e-3
    return check_ef(run, clips, limit)


def main():
    clips = read_clips(sys.argv[1], Path(sys.argv[2]))
    assert len({round(e, 4) for _, e in clips}) == len(clips), "clips without a difference prove nothing"
    limit, integer, files = float(sys.argv[5]), int(sys.argv[6]), sys.argv[7:]
    for path in files:
        print(f"{path}: EF within {check_file(path, clips, limit, integer):.2g} on {len(clips)} clips")
    # As the operators are defined, none fused.
    print(f"{files[0]}: EF within {check_ef(session(files[0], PLAIN), clips, limit):.2g} unoptimized")


main()
