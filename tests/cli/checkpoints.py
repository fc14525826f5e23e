#!/usr/bin/env python3
"""checkpoints.py SCRIPT: the choice of a network in a checkpoint, by scripts/torchvision_to_safetensors.py, without torch.
Tensors are stand-ins with a shape and a dtype; the files that need torch are in test_torch.sh."""
import argparse
import importlib.util
import io
import json
import os
import pickle
import struct
import subprocess
import sys
import tempfile

spec = importlib.util.spec_from_file_location("converter", sys.argv[1])
converter = importlib.util.module_from_spec(spec)
spec.loader.exec_module(converter)


def Tensor(*shape, dtype="F32"):
    return converter.Tensor(dtype, shape, None)


def network(prefix="", width=64, blocks=2, dtype="F32"):
    state = {prefix + name: Tensor(width, 3, 7, 7, dtype=dtype) if name == "conv1.weight" else Tensor(width, dtype=dtype)
             for name in converter.wanted_names()}
    for block in range(2, blocks):
        state[f"{prefix}layer3.{block}.conv1.weight"] = Tensor(width)
    state[prefix + "fc.weight"], state[prefix + "fc.bias"] = Tensor(1000, 512), Tensor(1000)
    state[prefix + "bn1.num_batches_tracked"] = Tensor(dtype="Long")
    return state


def convert(checkpoint, key=None, prefix=None):
    path, state, found = converter.choose(checkpoint, key, prefix)
    tensors, left_out = converter.take(state, found)
    return ".".join(path), found, len(tensors), left_out


def refused(checkpoint, text, **options):
    try:
        result = convert(checkpoint, **options)
    except converter.Refused as error:
        assert text in str(error), f"{error!s} lacks {text!r}"
        return
    raise AssertionError(f"taken: {result}; expected {text!r}")


assert len(converter.wanted_names()) == 100
assert convert(network()) == ("", "", 102, [])
assert convert({"state_dict": network("module."), "best_loss": 31.2, "optimizer": {"state": {}}}) == \
    ("state_dict", "module.", 102, [])
for outer in ("net", "ema", "model", "model_state_dict", "anything at all"):
    assert convert({outer: network(), "epoch": 3})[0] == outer
assert convert({"model": {"state_dict": network("backbone.")}}) == ("model.state_dict", "backbone.", 102, [])
assert convert({"args": argparse.Namespace(arch="resnet18"), "state_dict": network()})[2] == 102
assert convert(argparse.Namespace(model=network()))[0] == "model"
assert convert([{"epoch": 1}, network()])[0] == "1"
assert convert({**network("encoder."), "projector.0.weight": Tensor(4, 4)})[3] == ["projector.0.weight"]
assert convert({k: v for k, v in network().items() if not k.startswith("fc.")})[2] == 100
same = network()
assert convert({"model": same, "again": same})[0] == "model"  # one object under two names is one network

both = {"state_dict": network(), "state_dict_ema": network()}
refused(both, "holds 2 networks")
assert convert(both, key="state_dict_ema")[0] == "state_dict_ema"
refused(both, "has no network there", key="ema")
twins = {**network("student."), **network("teacher.")}
refused(twins, '--prefix "student."')
assert convert(twins, prefix="teacher")[1] == "teacher."
assert len(convert(twins, prefix="teacher.")[3]) == 102

refused(network(blocks=6), "another network than ResNet-18")  # ResNet-34
refused({k: v for k, v in network().items() if not k.startswith("layer4")}, "no whole ResNet-18")
refused({**network(), "conv1.weight": Tensor(64, 3, 3, 3)}, "first convolution")
refused({**network(), "bn1.weight": Tensor(64, dtype="quantized Char")}, "floating-point")
refused({"encoder.weight": Tensor(3)}, "encoder.weight")
refused({}, "it has nothing")
refused(Tensor(3), "a single tensor")
refused(converter.shell("mypackage.models", "EchoNet")(), "of class mypackage.models.EchoNet, pickled whole")
refused({"model": converter.shell("m", "Net")()}, "model (of class m.Net)")


def module(tensors):
    """A pickled nn.Module with these tensors."""
    made = converter.shell("torchvision.models.resnet", "ResNet")()
    made.__setstate__({"training": True, "_parameters": {}, "_buffers": {}, "_modules": {}})
    for name, tensor in tensors.items():
        at = made
        *path, last = name.split(".")
        for part in path:
            if part not in at.state["_modules"]:
                at.state["_modules"][part] = module({})
            at = at.state["_modules"][part]
        at.state["_parameters"][last] = tensor
    return made


assert convert(module(network()))[2] == 102
assert convert({"model": module(network("net.")), "epoch": 1})[:3] == ("model", "net.", 102)


# No class of a file is run: the unpickler makes a shell of it.
class Attack:
    def __reduce__(self):
        return os.mkdir, (os.path.join(tempfile.gettempdir(), "echoquant-attack"),)


read = converter.Unpickler(io.BytesIO(pickle.dumps({"args": argparse.Namespace(lr=1), "bad": Attack()})), None).load()
assert isinstance(read["args"], argparse.Namespace) and isinstance(read["bad"], converter.Shell)
assert not os.path.exists(os.path.join(tempfile.gettempdir(), "echoquant-attack"))

# Whole files.
with tempfile.TemporaryDirectory() as folder:
    def run(content, *options):
        source, target = os.path.join(folder, "in"), os.path.join(folder, "out.safetensors")
        if os.path.exists(target):
            os.remove(target)
        with open(source, "wb") as out:
            out.write(content)
        done = subprocess.run([sys.executable, sys.argv[1], source, target, *options], capture_output=True, text=True)
        assert "Traceback" not in done.stderr, done.stderr
        assert os.path.exists(target) == (done.returncode == 0), done
        return done, target

    def stored(names):
        header, at = {}, 0
        for name in names:
            shape = [2, 3, 7, 7] if name.endswith("conv1.weight") and "layer" not in name else [2]
            size = (294 if len(shape) == 4 else 2) * 4
            header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [at, at + size]}
            at += size
        text = json.dumps(header).encode()
        return struct.pack("<Q", len(text)) + text + bytes(at)

    done, target = run(stored([f"student.{n}" for n in converter.wanted_names()] +
                              [f"teacher.{n}" for n in converter.wanted_names()]), "--prefix", "student.")
    assert done.returncode == 0, done
    with open(target, "rb") as file:
        length = struct.unpack("<Q", file.read(8))[0]
        assert "layer4.1.bn2.running_var" in json.loads(file.read(length))
    for content, text in ((b"", "is empty"), (b"\x08\x08\x12\x07pytorch", "an ONNX model"), (b"<html>", "a web page"),
                          (b"\x89HDF\r\n\x1a\n", "Keras"), (stored(["a.weight"]), "no ResNet-18"),
                          (stored(converter.wanted_names())[:-100], "is damaged"),
                          (b"PK\3\4 and no more", "can't be read"), (pickle.dumps({"a": 1}), "no PyTorch checkpoint"),
                          (b"hello", "can't be read"),
                          (struct.pack("<Q", 20) + b"{" + b"x" * 30, "damaged safetensors")):
        done, _ = run(content)
        assert done.returncode != 0 and text in done.stderr and len(done.stderr.splitlines()) == 1, (text, done)
    done = subprocess.run([sys.executable, sys.argv[1], os.path.join(folder, "none"), "x"], capture_output=True, text=True)
    assert done.returncode != 0 and "none: No such file" in done.stderr, done
print("every checkpoint is taken or refused as it should be")
