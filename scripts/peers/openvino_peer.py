"""OpenVINO on the exported files. Variants: fp32 and int8 compute what is float in FP32; fp32-default and int8-default
as OpenVINO likes, which is BF16 where the CPU has it. 0 threads: as many as it takes by itself."""
import numpy as np
import openvino as ov


def version():
    return ov.__version__.split("-")[0]


def open_variant(variant, spec):
    core = ov.Core()
    model = core.read_model(spec["fp32_onnx" if variant.startswith("fp32") else "int8_float_onnx"])
    model.reshape([spec["frames"], 3, spec["size"], spec["size"]])
    config = {"PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": "1"}
    if spec["threads"]:
        config["INFERENCE_NUM_THREADS"] = str(spec["threads"])
    if not variant.endswith("-default"):
        config["INFERENCE_PRECISION_HINT"] = "f32"
    request = core.compile_model(model, "CPU", config).create_infer_request()
    fixed = np.load(spec["pixels"])

    def call(pixels=fixed):
        request.set_input_tensor(ov.Tensor(pixels, shared_memory=True))
        request.infer()
        return float(request.get_output_tensor().data[0, 0])

    return call
