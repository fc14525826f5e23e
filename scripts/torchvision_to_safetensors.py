#!/usr/bin/env python3
"""Turn a PyTorch checkpoint of ResNet-18 into the safetensors file that model.init takes.

    python scripts/torchvision_to_safetensors.py resnet18-f37072fd.pth resnet18.safetensors

Needs torch and numpy only. Takes a state dict, or one inside "state_dict", "model" or "model_state_dict". Drops a prefix
of torchvision's names ("module.", "backbone." and the like) and everything that is not a floating-point tensor. Writes
float32. timm publishes safetensors already: those need no conversion.
"""
import argparse
import json
import os
import struct
import sys


def state_dict_of(checkpoint) -> dict:
    for key in ("state_dict", "model_state_dict", "model"):
        if isinstance(checkpoint, dict) and isinstance(checkpoint.get(key), dict):
            return checkpoint[key]
    if not isinstance(checkpoint, dict):
        sys.exit("the checkpoint holds no state dict: save model.state_dict(), not the model")
    return checkpoint


def prefix_of(names) -> str:
    """The prefix of torchvision's names, found by a name that only a ResNet has."""
    known = "layer1.0.bn1.running_mean"
    return next((n.removesuffix(known) for n in names if n == known or n.endswith("." + known)), "")


def write_safetensors(path: str, tensors: dict) -> None:
    """u64 header length, JSON header padded to 8 bytes, data in the order of the header."""
    header, at = {"__metadata__": {"format": "pt"}}, 0
    for name, array in tensors.items():
        header[name] = {"dtype": "F32", "shape": list(array.shape), "data_offsets": [at, at + array.nbytes]}
        at += array.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    part = path + ".part"
    with open(part, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        for array in tensors.values():
            f.write(array.tobytes())
    os.replace(part, path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", help=".pth or .pt file")
    parser.add_argument("output", help=".safetensors file to write")
    args = parser.parse_args()
    try:
        import torch
    except ImportError:
        sys.exit("torch is not installed: pip install torch numpy")
    state = state_dict_of(torch.load(args.checkpoint, map_location="cpu", weights_only=True))
    prefix = prefix_of(state)
    tensors = {k.removeprefix(prefix): v.detach().float().contiguous().numpy().astype("<f4") for k, v in state.items()
               if torch.is_tensor(v) and v.is_floating_point()}
    if "conv1.weight" not in tensors or "layer4.1.bn2.running_var" not in tensors:
        sys.exit(f"{args.checkpoint} holds no ResNet-18: it has {', '.join(list(tensors)[:5]) or 'no tensors'} ...")
    write_safetensors(args.output, tensors)
    print(f"{args.output}: {len(tensors)} tensors, {os.path.getsize(args.output) / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
