"""PyTorch with torchvision's ResNet-18 and echoquant's weights. Variants: fp32-eager, fp32-channels_last, fp32-compile
infer one clip; train-eager, train-channels_last, train-compile (channels_last, too) and train-bf16 (channels_last under
autocast) do a training step."""
import contextlib
import os
import shutil

import numpy as np
import torch
import torchvision
from safetensors import safe_open


class EchoNet(torch.nn.Module):
    """ResNet-18 on each frame, mean over the frames of a clip, EF in percent."""

    def __init__(self, path, frames):
        super().__init__()
        self.frames = frames
        self.trunk = torchvision.models.resnet18(num_classes=1)
        with safe_open(path, "pt") as file:
            meta = file.metadata()
            weights = {key: file.get_tensor(key) for key in file.keys()}
        # Ours has no counter of batches, which only a momentum of None would read.
        missing = self.trunk.load_state_dict(weights, strict=False)
        wrong = [key for key in missing.missing_keys if not key.endswith("num_batches_tracked")]
        if wrong or missing.unexpected_keys:
            raise ValueError(f"{path} is not torchvision's ResNet-18: {wrong + missing.unexpected_keys}")
        self.mean, self.std = float(meta["pixel_mean"]), float(meta["pixel_std"])

    def forward(self, pixels):
        """pixels: u8 [clips * frames, 3, size, size] -> EF [clips]"""
        x = (pixels.float() - self.mean) * (1 / self.std)
        return self.trunk(x).view(-1, self.frames).mean(1)


def version():
    return torch.__version__.split("+")[0]


def require_compiler():
    if not any(shutil.which(name) for name in (os.environ.get("CXX", "g++"), "g++", "clang++")):
        raise RuntimeError("torch.compile needs a C++ compiler")


def inference(variant, spec):
    model = EchoNet(spec["fp32_model"], spec["frames"]).eval()
    layout = torch.contiguous_format if variant == "fp32-eager" else torch.channels_last
    model, mode = model.to(memory_format=layout), torch.inference_mode
    if variant == "fp32-compile":
        require_compiler()
        import torch._inductor.config as inductor
        inductor.freezing = True  # constant weights: batch norm is folded, weights are packed
        model, mode = torch.compile(model), torch.no_grad
    fixed = np.load(spec["pixels"])

    def call(pixels=fixed):
        with mode():
            out = model(torch.from_numpy(pixels).contiguous(memory_format=layout))
        return float(out[0])

    return call


def training(variant, spec):
    layout = torch.contiguous_format if variant == "train-eager" else torch.channels_last
    autocast = torch.autocast("cpu", torch.bfloat16) if variant == "train-bf16" else contextlib.nullcontext()
    model = EchoNet(spec["fp32_model"], spec["frames"]).train().to(memory_format=layout)
    if variant == "train-compile":
        require_compiler()
        model = torch.compile(model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5, weight_decay=0.01, fused=True)
    clip = torch.from_numpy(np.load(spec["pixels"]))
    pixels = clip.repeat(spec["batch"], 1, 1, 1).contiguous(memory_format=layout)
    target = torch.linspace(40, 70, spec["batch"])

    def step():
        optimizer.zero_grad(set_to_none=True)
        with autocast:
            out = model(pixels)
        torch.nn.functional.huber_loss(out.float(), target, delta=12.0).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()

    return step


def open_variant(variant, spec):
    torch.set_num_threads(spec["threads"])
    torch.set_flush_denormal(True)
    return training(variant, spec) if variant.startswith("train-") else inference(variant, spec)
