"""For test_torch.sh: our model file in PyTorch, and a checkpoint of PyTorch's for us.

    torch_parity.py check MODEL PIXELS...   EF of each file of dumped pixels, by torchvision's network with our weights
    torch_parity.py variants                whole.pth, script.pth, legacy.pth, half.pth, nested.pth: other ways to save one
    torch_parity.py equal CHECKPOINT FILE   whether the safetensors file has the values of such a variant
    torch_parity.py write CHECKPOINT        a state dict as torch.save and DataParallel leave it: names after "module."
"""
import argparse
import sys
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open

sys.path.insert(0, str(Path(__file__).parent.parent / "golden"))
import generate_torch as golden  # noqa: E402


def check(model: str, files: list) -> None:
    with safe_open(model, framework="pt") as f:
        meta = f.metadata()
        state = {k: f.get_tensor(k) for k in f.keys()}
    golden.PIXEL_MEAN, golden.PIXEL_STD = int(meta["pixel_mean"]), float(meta["pixel_std"])
    net = golden.resnet18(state["conv1.weight"].shape[0])
    missing, unexpected = net.load_state_dict(state, strict=False)
    assert not unexpected and all(k.endswith("num_batches_tracked") for k in missing), (missing, unexpected)
    net = net.double().eval()
    size, frames = int(meta["size"]), int(meta["frames"])
    for path in files:
        pixels = np.fromfile(path, dtype=np.uint8).reshape(1, frames, size, size, 3)
        with torch.no_grad():
            print(f"{golden.forward(net, torch.from_numpy(pixels)).item():.9g}")


def write(path: str) -> None:
    torch.manual_seed(5)
    net = golden.resnet18(8)
    torch.save({"epoch": 3, "state_dict": {"module." + k: v for k, v in net.state_dict().items()}}, path)


def variant_network():
    torch.manual_seed(6)
    net = golden.resnet18(8)
    net.conv1.weight.data = net.conv1.weight.data.to(memory_format=torch.channels_last)  # strided in the file
    return net.eval()


def variants() -> None:
    net = variant_network()
    state = net.state_dict()
    torch.save(net, "whole.pth")
    torch.jit.trace(net, torch.zeros(1, 3, 32, 32)).save("script.pth")
    torch.save(state, "legacy.pth", _use_new_zipfile_serialization=False)
    torch.save({k: v.half() if v.is_floating_point() else v for k, v in state.items()}, "half.pth")
    torch.save({"model": {"state_dict": state}, "r2": np.float64(0.8), "args": argparse.Namespace(arch="resnet18"),
                "optimizer": torch.optim.Adam(net.parameters()).state_dict()}, "nested.pth")


def equal(checkpoint: str, path: str) -> None:
    want = {k: v.half().float() if checkpoint == "half.pth" else v for k, v in variant_network().state_dict().items()}
    with safe_open(path, framework="pt") as f:
        assert set(f.keys()) == {k for k in want if not k.endswith("num_batches_tracked")}
        assert all(torch.equal(f.get_tensor(k), want[k]) for k in f.keys())


if __name__ == "__main__":
    command, *rest = sys.argv[1:]
    {"check": lambda model, *files: check(model, list(files)), "write": write, "variants": variants,
     "equal": equal}[command](*rest)
