"""The material to measure on: an FP32 and an INT8 model of the same weights, their ONNX files, a few clips, random pixels."""
import csv
import json
import random
import struct
from dataclasses import dataclass
from pathlib import Path

CLIPS_COMPARED = 20


@dataclass
class Form:
    frames: int
    size: int

    def __str__(self):
        return f"{self.frames} x {self.size} x {self.size}"


class ModelError(Exception):
    pass


def read_header(path):
    """The header of a safetensors file and where its tensors begin."""
    try:
        with open(path, "rb") as file:
            length = struct.unpack("<Q", file.read(8))[0]
            return json.loads(file.read(length)), 8 + length
    except (OSError, struct.error, ValueError, MemoryError, OverflowError) as error:
        raise ModelError(f"{path} can't be read as a safetensors file: {error}") from None


def read_tensors(path):
    """Metadata and the FP32 tensors of a model file, by name."""
    import numpy as np  # only the peers' interpreter needs it
    header, begin = read_header(path)
    content, tensors = Path(path).read_bytes(), {}
    meta = header.pop("__metadata__", {})
    for name, entry in header.items():
        first, end = entry["data_offsets"]
        if entry["dtype"] == "F32":
            tensors[name] = np.frombuffer(content[begin + first:begin + end], "<f4").reshape(entry["shape"])
    return meta, tensors


def in_form(path, form, folder):
    """The model itself, or a copy of it that takes clips of another form: weights know neither frames nor size."""
    header, begin = read_header(path)
    meta = header.get("__metadata__", {})
    wanted = {"frames": str(form.frames), "size": str(form.size)}
    if all(meta.get(key) == value for key, value in wanted.items()):
        return Path(path)
    header["__metadata__"] = {**meta, **wanted}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    copy = folder / f"{Path(path).stem}-{form.frames}x{form.size}.safetensors"
    with open(copy, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + Path(path).read_bytes()[begin:])
    return copy


def make_data(ours, folder, say):
    data = folder / "clips"
    if not (data / "FileList.csv").exists():
        say(f"writing a few synthetic clips into {data}")
    ours.run("synth", data, "--quiet", "--set", "synth.train=4", "--set", "synth.val=1", "--set", "synth.test=8")
    return data


def make_models(ours, folder, form, data, say):
    """One epoch on four clips: as good as random weights, and no less work."""
    run = folder / f"model-{form.frames}x{form.size}"
    models = run / "fp32.safetensors", run / "ptq.safetensors"
    if not all(path.exists() for path in models):
        say(f"making a model of {form} in {run}")
        ours.run("train", "--quiet", "--force", "--run", run, "--data", data, "--set", f"data.frames={form.frames}",
                 "--set", f"data.size={form.size}", "--set", "train.epochs=1", "--set", "train.batch=2",
                 "--set", "train.shift=0")
        ours.run("ptq", "--quiet", "--run", run, "--set", "ptq.clips=4")
    return models


def test_clips(data):
    """Test clips of an EchoNet folder, at most CLIPS_COMPARED; none if its splits aren't written down."""
    try:
        with open(data / "FileList.csv", newline="") as file:
            names = [row["FileName"] for row in csv.DictReader(file) if row.get("Split", "").strip().upper() == "TEST"]
    except (OSError, KeyError) as error:
        raise ModelError(f"{data / 'FileList.csv'}: {error}") from None
    files = []
    for name in names[:CLIPS_COMPARED]:
        name = name if name.lower().endswith(".avi") else name + ".avi"
        files += [path for path in (data / "Videos" / name, data / name) if path.exists()][:1]
    return [str(path) for path in files]


def write_pixels(path, form):
    """u8 [frames, 3, size, size] as a .npy file: random pixels, as `echoquant bench` takes them."""
    shape = (form.frames, 3, form.size, form.size)
    head = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}"
    head = head.ljust(-(len(head) + 11) % 64 + len(head)) + "\n"
    count = form.frames * 3 * form.size * form.size
    with open(path, "wb") as file:
        file.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head.encode())
        file.write(random.Random(1).randbytes(count))


def export(ours, fp32, int8, folder):
    """The ONNX files of the two, as the workers look for them; docs/ONNX.md says why there are two for INT8."""
    files = {"fp32_onnx": (fp32, ()), "int8_float_onnx": (int8, ("--residual", "float")),
             "int8_u8_onnx": (int8, ("--residual", "u8"))}
    for key, (model, options) in files.items():
        ours.run("export", "--quiet", "--model", model, "--onnx", folder / f"{key[:-5]}.onnx", *options)
    return {key: str(folder / f"{key[:-5]}.onnx") for key in files}
