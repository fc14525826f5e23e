#!/usr/bin/env python3
"""Turn a PyTorch checkpoint of ResNet-18 into the safetensors file that model.init takes.

    python scripts/torchvision_to_safetensors.py resnet18-f37072fd.pth resnet18.safetensors

Needs numpy only, not torch. Takes a state dict by itself or inside other dictionaries ("state_dict", "model", "net", "ema",
nested), whatever is saved beside it (optimizers, numpy numbers, argparse.Namespace), whole models, TorchScript and
safetensors. Drops a prefix of torchvision's names ("module.", "backbone." and the like), names what it leaves out, writes
float32. A checkpoint of another network is refused. If a file has several networks, --key and --prefix choose one.

No code of the file runs, and no class that it names is imported: torch.load can't promise that for what people save beside
their weights, so this script reads the format itself (a zip archive with a pickle and raw storages; before PyTorch 1.6 a
pickle with the storages after it).
"""
import argparse
import collections
import functools
import io
import json
import math
import os
import pickle
import struct
import sys
import zipfile

KNOWN = "layer1.0.bn1.running_mean"  # a name that only a ResNet has
BODY = ("conv1.", "bn1.", "layer1.", "layer2.", "layer3.", "layer4.")


class Refused(Exception):
    """A sentence for the user."""


# ---- the network that is wanted -------------------------------------------------


def wanted_names() -> list:
    """The parameters and running statistics of ResNet-18 without its head, in torchvision's order."""
    bn = ("weight", "bias", "running_mean", "running_var")
    names = ["conv1.weight"] + [f"bn1.{s}" for s in bn]
    for layer in range(1, 5):
        for block in range(2):
            at = f"layer{layer}.{block}."
            for k in (1, 2):
                names += [f"{at}conv{k}.weight"] + [f"{at}bn{k}.{s}" for s in bn]
            if layer > 1 and block == 0:
                names += [f"{at}downsample.0.weight"] + [f"{at}downsample.1.{s}" for s in bn]
    return names


FLOATS = {"F32": "<f4", "F64": "<f8", "F16": "<f2", "BF16": "<u2"}  # safetensors' names, numpy's types


class Tensor:
    """A tensor of a file. read() gives the bytes of its storage, of which it views a part; offset and stride count
    elements."""

    def __init__(self, dtype: str, shape, read, offset=0, stride=None):
        self.dtype, self.shape, self.read, self.offset, self.stride = dtype, tuple(shape), read, offset, stride

    def float32(self) -> bytes:
        """Its values in order, as little-endian float32."""
        import numpy

        storage = numpy.frombuffer(self.read(), FLOATS[self.dtype])
        count = math.prod(self.shape)
        stride = self.stride or [math.prod(self.shape[i + 1:]) for i in range(len(self.shape))]
        last = self.offset + sum((n - 1) * step for n, step in zip(self.shape, stride)) if count else -1
        if len(stride) != len(self.shape) or self.offset < 0 or min(stride, default=0) < 0 or last >= len(storage):
            raise Refused(f"is damaged: a tensor of shape {list(self.shape)} lies outside of its {len(storage)} values")
        view = numpy.lib.stride_tricks.as_strided(storage[self.offset:], self.shape,
                                                  [step * storage.itemsize for step in stride])
        if self.dtype == "BF16":
            view = (view.astype("<u4") << 16).view("<f4")
        values = numpy.ascontiguousarray(view, "<f4")
        if not numpy.isfinite(values).all():
            raise Refused(f"has NaN or infinite values in a tensor of shape {list(self.shape)}")
        return values.tobytes()


class Shell:
    """Stands for an object of a class that is not loaded. It keeps the state that pickle gives it and does nothing."""

    name = "unknown"

    def __new__(cls, *args, **kwargs):
        self = object.__new__(cls)
        self.state = {}
        return self

    def __init__(self, *args, **kwargs):
        pass

    def __setstate__(self, state):
        if isinstance(state, tuple) and len(state) == 2:
            state = {**(state[0] or {}), **(state[1] or {})}
        self.state = state if isinstance(state, dict) else {}

    def __call__(self, *args, **kwargs):
        return Shell()

    def __setitem__(self, key, value):
        self.state[key] = value

    def append(self, value):
        self.state[len(self.state)] = value

    def extend(self, values):
        for value in values:
            self.append(value)

    def add(self, value):
        self.append(value)


def shell(module: str, name: str):
    return type("Shell", (Shell,), {"name": f"{module}.{name}"})


def tensors_of(model: Shell, prefix="", depth=0) -> dict:
    """The state dict of a pickled module: its parameters, buffers and submodules (of TorchScript: its attributes)."""
    state = model.state
    groups = [state[g] for g in ("_parameters", "_buffers", "_modules") if isinstance(state.get(g), dict)] or [state]
    found = {}
    for group in groups if depth < 32 else []:
        for name, item in group.items():
            if isinstance(item, Tensor):
                found[f"{prefix}{name}"] = item
            elif isinstance(item, Shell):
                found.update(tensors_of(item, f"{prefix}{name}.", depth + 1))
    return found


def networks_in(value, path=(), seen=None) -> list:
    """All (path, dictionary, prefix) below value where a dictionary has KNOWN after some prefix."""
    seen = set() if seen is None else seen
    if id(value) in seen or len(path) > 8:
        return []
    seen.add(id(value))
    if isinstance(value, argparse.Namespace):
        value = vars(value)
    if isinstance(value, Shell):
        whole = tensors_of(value)
        if any(name == KNOWN or name.endswith("." + KNOWN) for name in whole):
            value = whole
        else:
            value = value.state
    if isinstance(value, (list, tuple)):
        value = dict(enumerate(value[:100]))
    if not isinstance(value, dict):
        return []
    found = []
    for name, item in value.items():
        if isinstance(name, str) and isinstance(item, Tensor) and (name == KNOWN or name.endswith("." + KNOWN)):
            found.append((path, value, name.removesuffix(KNOWN)))
    for name, item in value.items():
        if not isinstance(item, Tensor):
            found += networks_in(item, path + (str(name),), seen)
    return found


def choose(checkpoint, key, prefix):
    """The one network of a checkpoint, as (where it stands, dictionary, prefix)."""
    found = networks_in(checkpoint)
    everything = found
    if key is not None:
        found = [f for f in found if ".".join(f[0]) == key]
    if prefix is not None:
        found = [f for f in found if f[2] == (prefix if not prefix or prefix.endswith(".") else prefix + ".")]
    if len(found) == 1:
        return found[0]
    listed = "; ".join(f'--key "{".".join(path)}" --prefix "{p}"' for path, _, p in (found or everything)[:6])
    if found:
        raise Refused(f"holds {len(found)} networks; choose one: {listed}")
    if everything:
        raise Refused(f"has no network there; it has: {listed}")
    raise Refused(f"holds no ResNet-18: no tensor is named {KNOWN}, with any prefix; it has {outline(checkpoint)}")


def outline(checkpoint) -> str:
    """What a checkpoint has on top, for a message."""
    if isinstance(checkpoint, Shell):
        return f"an object of class {checkpoint.name}, pickled whole; save the state_dict() of a ResNet-18"
    if isinstance(checkpoint, Tensor):
        return f"a single tensor of shape {list(checkpoint.shape)}"
    if not isinstance(checkpoint, dict):
        return f"a {type(checkpoint).__name__}"
    names = [f"{k} (of class {v.name})" if isinstance(v, Shell) else str(k) for k, v in list(checkpoint.items())[:6]]
    return ", ".join(names) + (" ..." if len(checkpoint) > 6 else "") if names else "nothing"


def take(state: dict, prefix: str):
    """(tensors by torchvision's names, names left out). Refuses another network."""
    wanted = wanted_names()
    tensors, left_out, foreign = {}, [], []
    for name, value in state.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            left_out.append(str(name))
            continue
        short = name.removeprefix(prefix)
        inside = name.startswith(prefix)
        if inside and short in wanted:
            if value.dtype not in FLOATS:
                raise Refused(f"has {name} as {value.dtype}; floating-point weights are needed (dequantize the model)")
            tensors[short] = value
        elif inside and short.startswith("fc."):
            if value.dtype in FLOATS:
                tensors[short] = value
            else:
                left_out.append(name)
        elif not name.endswith("num_batches_tracked"):
            left_out.append(name)
            if inside and short.startswith(BODY):
                foreign.append(name)
    if foreign:
        raise Refused(f"holds another network than ResNet-18: {len(foreign)} tensors have no place, such as {foreign[-1]}")
    missing = [name for name in wanted if name not in tensors]
    if missing:
        raise Refused(f"holds no whole ResNet-18: {len(missing)} of {len(wanted)} tensors are missing, such as {missing[0]}")
    first = list(tensors["conv1.weight"].shape)
    if len(first) != 4 or first[2:] != [7, 7]:
        raise Refused(f"has a first convolution of shape {first}; ResNet-18's is [width, 3, 7, 7]")
    return tensors, left_out


# ---- reading ----------------------------------------------------------------------

STORAGES = {"FloatStorage": "F32", "DoubleStorage": "F64", "HalfStorage": "F16", "BFloat16Storage": "BF16",
            "UntypedStorage": "bytes", "_UntypedStorage": "bytes"}
DTYPES = {"float32": "F32", "float64": "F64", "float16": "F16", "bfloat16": "BF16"}


class Storage:
    """A storage's element type and the function that reads its bytes."""

    def __init__(self, dtype: str, read):
        self.dtype, self.read = dtype, read


def rebuild_tensor(storage, offset, shape, stride, *rest):
    """torch._utils._rebuild_tensor, _v2 and _v3; the last one also has the element type."""
    dtype = next((r for r in rest if isinstance(r, str) and r in FLOATS), storage.dtype)
    return Tensor(dtype, shape, storage.read, offset, stride)


def rebuild_parameter(data, *rest):
    return data


def rebuild_quantized(storage, offset, shape, stride, *rest):
    return Tensor(f"quantized {storage.dtype}", shape, storage.read, offset, stride)


def number(*args):
    """numpy's scalars, which stand beside the weights; their values are not needed."""
    return 0.0


def first_argument(*args):
    return args[0] if args else None


REAL = {
    ("torch._utils", "_rebuild_tensor"): rebuild_tensor,
    ("torch._utils", "_rebuild_tensor_v2"): rebuild_tensor,
    ("torch._utils", "_rebuild_tensor_v3"): rebuild_tensor,
    ("torch._utils", "_rebuild_parameter"): rebuild_parameter,
    ("torch._utils", "_rebuild_parameter_with_state"): rebuild_parameter,
    ("torch._utils", "_rebuild_qtensor"): rebuild_quantized,
    ("torch.nn.parameter", "Parameter"): first_argument,
    ("torch", "Size"): tuple,
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("collections", "defaultdict"): lambda *args: {},
    ("argparse", "Namespace"): argparse.Namespace,
}


class Unpickler(pickle.Unpickler):
    """Makes tensors, dictionaries and namespaces; every other class of the file becomes a shell."""

    def __init__(self, file, storage_of):
        super().__init__(file, encoding="utf-8", errors="replace")
        self.storage_of = storage_of

    def find_class(self, module, name):
        if (module, name) in REAL:
            return REAL[module, name]
        if module.split(".")[0] == "torch" and name.endswith("Storage"):
            return STORAGES.get(name, name.removesuffix("Storage"))
        if module == "torch" and name in DTYPES:
            return DTYPES[name]
        if module.startswith("numpy") and name == "scalar":
            return number
        return shell(module, name)

    def persistent_load(self, pid):
        if isinstance(pid, tuple) and len(pid) >= 5 and pid[0] == "storage":
            return self.storage_of(*pid[1:])
        if isinstance(pid, tuple) and len(pid) >= 2 and pid[0] == "module":
            return pid[1]
        raise Refused("is no checkpoint of a kind that is known")


def read_zip(path: str):
    """torch.save since 1.6, and TorchScript: NAME/data.pkl, and a file for each storage in NAME/data/."""
    archive = zipfile.ZipFile(path)
    names = set(archive.namelist())
    pickles = [name for name in names if name.count("/") == 1 and name.endswith("/data.pkl")]
    if len(pickles) != 1:
        raise Refused("is a zip archive, but no PyTorch checkpoint (it has no data.pkl)")
    folder = pickles[0].removesuffix("data.pkl")
    if folder + "byteorder" in names and archive.read(folder + "byteorder").strip() != b"little":
        raise Refused("was written on a big-endian machine; save it anew on a little-endian one")

    def storage_of(dtype, key, location, count, *rest):
        return Storage(dtype, functools.lru_cache(1)(lambda: archive.read(f"{folder}data/{key}")))

    return Unpickler(io.BytesIO(archive.read(pickles[0])), storage_of).load()


LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
WIDTH = {"F32": 4, "F64": 8, "F16": 2, "BF16": 2, "Long": 8, "Int": 4, "Short": 2, "Char": 1, "Byte": 1, "Bool": 1}


def read_legacy(path: str):
    """torch.save before 1.6: three small pickles, the object, the keys of the storages, the storages."""
    with open(path, "rb") as file:
        found, data = {}, {}

        def storage_of(dtype, key, location, count, *view):
            if view and view[0] is not None:
                raise Refused("has storages that are views of others; save it anew with a newer PyTorch")
            found[key] = dtype
            return Storage(dtype, lambda: data[key])

        def load():
            return Unpickler(file, storage_of).load()

        if load() != LEGACY_MAGIC:
            raise Refused("is a Python pickle, but no PyTorch checkpoint")
        load()
        load()
        checkpoint = load()
        for key in load():
            size = struct.unpack("<q", file.read(8))[0]
            dtype = found.get(key)
            if dtype not in WIDTH:
                raise Refused(f"has a storage of type {dtype}, which this script can't skip; save the weights alone")
            data[key] = file.read(size * WIDTH[dtype])
        return checkpoint


KINDS = ((b"\x89HDF", "an HDF5 file, as Keras writes it"), (b"GGUF", "a GGUF file"), (b"\x93NUMPY", "a NumPy array"),
         (b"\x1f\x8b", "a gzip archive; unpack it first"), (b"version https:/", "a Git LFS pointer; run `git lfs pull`"),
         (b"<!DOCTYPE", "a web page"), (b"<!doctype", "a web page"), (b"<html", "a web page"), (b"RIFF", "a video"))


def read_torch(path: str):
    with open(path, "rb") as file:
        head = file.read(64)
    if not head:
        raise Refused("is empty")
    for mark, what in KINDS:
        if head.startswith(mark):
            raise Refused(f"is no PyTorch checkpoint: it is {what}")
    if head[0] == 0x08 and head[2:3] in (b"\x12", b"\x3a"):
        raise Refused("is an ONNX model; give the checkpoint that it was made from")
    try:
        return read_zip(path) if head.startswith(b"PK") else read_legacy(path)
    except (Refused, OSError):
        raise
    except Exception as error:  # whatever a damaged file brings about in pickle and zipfile
        raise Refused(f"can't be read as a PyTorch checkpoint ({first_line(error)})") from None


def first_line(error: Exception) -> str:
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0][:120]}" if text else type(error).__name__


def read_safetensors(path: str):
    """The tensors of a safetensors file, or None if it is none."""
    size = os.path.getsize(path)
    with open(path, "rb") as file:
        start = file.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
        if not 2 <= length <= min(size - 8, 100 << 20):
            return None
        text = file.read(length)
        if text[:1] != b"{":
            return None

    def read(begin, end):
        with open(path, "rb") as file:
            file.seek(8 + length + begin)
            return file.read(end - begin)

    try:
        return {name: Tensor(t["dtype"], t["shape"], functools.partial(read, *t["data_offsets"]))
                for name, t in json.loads(text).items() if name != "__metadata__"}
    except (ValueError, KeyError, TypeError) as error:
        raise Refused(f"is a damaged safetensors file ({first_line(error)})") from None


# ---- writing -------------------------------------------------------------------------


def write_safetensors(path: str, tensors: dict) -> None:
    """u64 header length, JSON header padded to 8 bytes, data in the order of the header."""
    header, at = {"__metadata__": {"format": "pt"}}, 0
    for name, (shape, data) in tensors.items():
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [at, at + len(data)]}
        at += len(data)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    part = path + ".part"
    with open(part, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        for _, data in tensors.values():
            f.write(data)
    os.replace(part, path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", help=".pth, .pt, .ckpt or .safetensors file")
    parser.add_argument("output", help=".safetensors file to write")
    parser.add_argument("--key", help='where the network stands in the checkpoint, such as "model" or "ema.state_dict"')
    parser.add_argument("--prefix", help='what stands before torchvision\'s names, such as "student."')
    args = parser.parse_args()
    try:
        checkpoint = read_safetensors(args.checkpoint)
        if checkpoint is None:
            checkpoint = read_torch(args.checkpoint)
        path, state, prefix = choose(checkpoint, args.key, args.prefix)
        tensors, left_out = take(state, prefix)
        converted = {name: (list(value.shape), value.float32()) for name, value in tensors.items()}
        write_safetensors(args.output, converted)
    except ImportError:
        sys.exit("numpy is not installed: pip install numpy")
    except Refused as error:
        sys.exit(f"{args.checkpoint} {error}")
    except OSError as error:
        sys.exit(f"{error.filename or args.checkpoint}: {error.strerror}")
    where = f' from "{".".join(path)}"' if path else ""
    where += f' after the prefix "{prefix}"' if prefix else ""
    print(f"{args.output}: {len(tensors)} tensors{where}, {os.path.getsize(args.output) / 1e6:.1f} MB")
    if left_out:
        shown = ", ".join(left_out[:8]) + (f" and {len(left_out) - 8} more" if len(left_out) > 8 else "")
        print(f"left out: {shown}")


if __name__ == "__main__":
    main()
