"""ONNX Runtime on the exported files. Variants: fp32, int8, and int8-exact: without the instructions that saturate on
CPUs that have no VNNI. 0 threads: as many as it takes by itself."""
import numpy as np
import onnxruntime as ort

FILES = {"fp32": "fp32_onnx", "int8": "int8_u8_onnx", "int8-exact": "int8_u8_onnx"}


def version():
    return ort.__version__


def open_variant(variant, spec):
    options = ort.SessionOptions()
    options.intra_op_num_threads = spec["threads"]
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.add_free_dimension_override_by_name("frames", spec["frames"])
    if variant == "int8-exact":
        options.add_session_config_entry("session.x64quantprecision", "1")
    session = ort.InferenceSession(spec[FILES[variant]], options, providers=["CPUExecutionProvider"])
    fixed = np.load(spec["pixels"])
    return lambda pixels=fixed: float(session.run(["ef"], {"pixels": pixels})[0][0, 0])
