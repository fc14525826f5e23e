"""For test_torch.sh: our model file in PyTorch, and a checkpoint of PyTorch's for us.

    torch_parity.py check MODEL PIXELS...   EF of each file of dumped pixels, by torchvision's network with our weights
    torch_parity.py write CHECKPOINT        a state dict as torch.save and DataParallel leave it: names after "module."
"""
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


if __name__ == "__main__":
    check(sys.argv[2], sys.argv[3:]) if sys.argv[1] == "check" else write(sys.argv[2])
