#!/usr/bin/env python3
"""Writes what tests/golden/test_golden_resnet18.c expects: PyTorch's logits, loss, gradients and ten training steps.

    python generate_torch.py          (needs torch, torchvision, numpy, safetensors; made with torch 2.15)

Everything is computed in float64 from float32 weights, so that the tolerances of the test are our own rounding only.

data/resnet18_w8.safetensors   a model file as echoquant reads it, but written from here: weights with torchvision's keys
data/golden_w8.safetensors     pixels, targets, and for that model: logits in inference and training mode, loss, every
                               gradient, running statistics after one step, loss of ten steps of AdamW with one-cycle and of
                               SGD with cosine, some weights after them
data/golden_qat.safetensors    the same model with fake-quant on weights (batch norm folded into them) and edges: qparams, loss
                               and gradients, scales' included, with batch norm's batch statistics and frozen
data/golden_w64.safetensors    logits of torchvision's own resnet18 whose weights are a formula (weights_by_formula)
"""
from pathlib import Path

import numpy as np
import torch
import torchvision
from safetensors.numpy import save_file
from torch import nn

HERE = Path(__file__).parent
CLIPS, FRAMES, SIZE, WIDTH = 2, 4, 40, 8
PIXEL_MEAN, PIXEL_STD, TARGET_MEAN, TARGET_STD = 33, 47.25, 55.5, 12.25
STEPS, SEED = 10, 20240607


def resnet18(width: int) -> nn.Module:
    """torchvision's network and key names; its channels are divided by 64 / width."""
    net = torchvision.models.resnet18(num_classes=1)
    if width == 64:
        return net
    for name, module in list(net.named_modules()):
        parent = net.get_submodule(name.rpartition(".")[0]) if "." in name else net
        leaf = name.rpartition(".")[2]
        if isinstance(module, nn.Conv2d):
            cin = module.in_channels if module.in_channels == 3 else module.in_channels * width // 64
            setattr(parent, leaf, nn.Conv2d(cin, module.out_channels * width // 64, module.kernel_size, module.stride,
                                            module.padding, bias=False))
        elif isinstance(module, nn.BatchNorm2d):
            setattr(parent, leaf, nn.BatchNorm2d(module.num_features * width // 64))
        elif isinstance(module, nn.Linear):
            setattr(parent, leaf, nn.Linear(module.in_features * width // 64, 1))
    return net


def forward(net: nn.Module, pixels: torch.Tensor) -> torch.Tensor:
    """pixels [b][t][h][w][3] u8 -> EF [b]: the network on each frame, features averaged over the frames of a clip."""
    b, t = pixels.shape[:2]
    x = (pixels.double() - PIXEL_MEAN) / PIXEL_STD
    x = x.flatten(0, 1).permute(0, 3, 1, 2)
    head, net.fc = net.fc, nn.Identity()
    features = net(x)
    net.fc = head
    return head(features.view(b, t, -1).mean(1)).squeeze(1)


def loss_of(pred: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    return (((pred - target) / TARGET_STD) ** 2).mean()


def metadata(frames: int, size: int) -> dict:
    return {"format": "echoquant-fp32", "version": "1", "architecture": "resnet18", "frames": str(frames),
            "size": str(size), "pixel_mean": str(PIXEL_MEAN), "pixel_std": str(PIXEL_STD),
            "target_mean": str(TARGET_MEAN), "target_std": str(TARGET_STD)}


def to_numpy(t: torch.Tensor) -> np.ndarray:
    return t.detach().float().numpy().copy()


def train(net: nn.Module, pixels, target, kind: str) -> list:
    decay = [p for p in net.parameters() if p.ndim > 1]
    rest = [p for p in net.parameters() if p.ndim <= 1]
    if kind == "adamw":
        optimizer = torch.optim.AdamW([{"params": decay, "weight_decay": 0.05}, {"params": rest, "weight_decay": 0.0}],
                                      lr=1e-3)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1e-3, total_steps=STEPS, cycle_momentum=False)
    else:
        optimizer = torch.optim.SGD([{"params": decay, "weight_decay": 1e-4}, {"params": rest, "weight_decay": 0.0}],
                                    lr=0.01, momentum=0.9)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=STEPS)
    losses = []
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss = loss_of(forward(net, pixels), target)
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    return losses


def small_model() -> None:
    torch.manual_seed(SEED)
    net = resnet18(WIDTH)
    with torch.no_grad():
        for name, p in net.named_parameters():
            if p.ndim == 1 and not name.startswith("fc"):  # batch norm: nothing may be at its neutral value
                p.copy_(torch.empty_like(p).uniform_(0.5, 1.5) if name.endswith("weight") else 0.2 * torch.randn_like(p))
        for name, b in net.named_buffers():
            if name.endswith("running_mean"):
                b.copy_(0.3 * torch.randn_like(b))
            elif name.endswith("running_var"):
                b.copy_(torch.empty_like(b).uniform_(0.5, 2.0))
        net.fc.weight.mul_(TARGET_STD)
        net.fc.bias.fill_(TARGET_MEAN)
    state = {k: v.clone() for k, v in net.state_dict().items()}
    weights = {k: v.numpy() for k, v in state.items() if not k.endswith("num_batches_tracked")}
    save_file(weights, HERE / "data/resnet18_w8.safetensors", metadata=metadata(FRAMES, SIZE))

    rng = np.random.default_rng(SEED)
    pixels = rng.integers(0, 256, (CLIPS, FRAMES, SIZE, SIZE, 3), dtype=np.uint8)
    pixels[1] //= 3  # clips that differ, or every gradient would cancel in the batch norms
    target = np.array([62.0, 37.5])
    x, y = torch.from_numpy(pixels), torch.from_numpy(target)
    out = {"pixels": pixels, "target": target.astype(np.float32)}
    net.double()
    out["infer.ef"] = to_numpy(forward(net.eval(), x))

    net.train()
    ef = forward(net, x)
    loss = loss_of(ef, y)
    loss.backward()
    out["train.ef"], out["train.loss"] = to_numpy(ef), np.array([loss.item()])
    for name, p in net.named_parameters():
        out["grad." + name] = to_numpy(p.grad)
    for name, b in net.named_buffers():
        if "running" in name:
            out["after." + name] = to_numpy(b)
    for kind in ("adamw", "sgd"):
        net.load_state_dict(state)
        out[kind + ".loss"] = np.array(train(net, x, y, kind))
        for name in ("conv1.weight", "layer2.0.downsample.0.weight", "layer4.1.bn2.weight", "fc.weight", "fc.bias",
                     "layer1.0.bn1.running_mean", "layer1.0.bn1.running_var"):
            out[f"{kind}.{name}"] = to_numpy(net.state_dict()[name])
    save_file(out, HERE / "data/golden_w8.safetensors")
    qat_model(net, state, x, y)


class FakeQuant(torch.autograd.Function):
    """Straight-through gradient for x, LSQ's (Esser et al., ICLR 2020) for the scales; one scale, or one a row of x."""

    @staticmethod
    def forward(ctx, x, scale, zero_point, qmin, qmax):
        s = scale.view(-1, *[1] * (x.ndim - 1)) if scale.numel() > 1 else scale
        v = x * (1 / s.float()).double()
        q = torch.round(v) + zero_point
        ctx.save_for_backward(v, q, scale)
        ctx.range = zero_point, qmin, qmax
        return (q.clamp(qmin, qmax) - zero_point) * s

    @staticmethod
    def backward(ctx, dy):
        v, q, scale = ctx.saved_tensors
        zero_point, qmin, qmax = ctx.range
        inside = (q >= qmin) & (q <= qmax)
        slope = torch.where(inside, torch.round(v) - v, q.clamp(qmin, qmax) - zero_point)
        slope = slope * dy / np.sqrt(v.numel() / scale.numel() * qmax)
        ds = slope.flatten(1).sum(1) if scale.numel() > 1 else slope.sum().view(1)
        return dy * inside, ds, None, None, None


class Qat:
    """Forward with every convolution's weights scaled by its batch norm's factor and fake-quantized, and fake-quant after
    each batch norm, residual and ReLU included. range(name, edge) is asked for qparams the first time."""

    def __init__(self, net, frozen: bool):
        self.net, self.frozen, self.wscale, self.scale, self.zero_point = net, frozen, {}, {}, {}

    def edge(self, name, y):
        if name not in self.scale:
            low, high = 0.9 * min(y.min().item(), 0), 0.9 * y.max().item()  # a tenth is clamped, so masks matter
            scale = torch.tensor([np.float32((high - low) / 255)], dtype=torch.float64, requires_grad=True)
            self.scale[name], self.zero_point[name] = scale, int(np.clip(np.rint(-low / scale.item()), 0, 255))
        return FakeQuant.apply(y, self.scale[name], self.zero_point[name], 0, 255)

    def weights(self, name, w):
        if name not in self.wscale:
            largest = w.detach().flatten(1).abs().amax(1)
            self.wscale[name] = (0.9 * largest / 127).float().double().requires_grad_()
        return FakeQuant.apply(w, self.wscale[name], 0, -127, 127)

    def conv_bn(self, conv_name, bn_name, x, residual=None, relu=True):
        conv, bn = self.net.get_submodule(conv_name), self.net.get_submodule(bn_name)
        factor = (bn.weight / torch.sqrt(bn.running_var + bn.eps)).detach()
        w = self.weights(conv_name, conv.weight * factor.view(-1, 1, 1, 1))
        x = nn.functional.conv2d(x, w, None, conv.stride, conv.padding) / factor.view(-1, 1, 1)
        x = nn.functional.batch_norm(x, bn.running_mean, bn.running_var, bn.weight, bn.bias, not self.frozen, 0.1, bn.eps)
        x = x if residual is None else x + residual
        return self.edge(bn_name, x.relu() if relu else x)

    def __call__(self, pixels):
        b, t = pixels.shape[:2]
        x = ((pixels.double() - PIXEL_MEAN) / PIXEL_STD).flatten(0, 1).permute(0, 3, 1, 2)
        x = self.net.maxpool(self.conv_bn("conv1", "bn1", x))
        for stage in range(1, 5):
            for block in range(2):
                at = f"layer{stage}.{block}."
                y = self.conv_bn(at + "conv1", at + "bn1", x)
                if stage > 1 and block == 0:
                    x = self.conv_bn(at + "downsample.0", at + "downsample.1", x, relu=False)
                x = self.conv_bn(at + "conv2", at + "bn2", y, residual=x)
        x = x.mean((2, 3)).view(b, t, -1).mean(1)
        return nn.functional.linear(x, self.weights("fc", self.net.fc.weight), self.net.fc.bias).squeeze(1)


def qat_model(net: nn.Module, state: dict, pixels, target) -> None:
    """Two runs, because freezing changes what the gradients go through; qparams are those of the first."""
    out, first = {}, None
    for kind, frozen in (("batch.", False), ("frozen.", True)):
        net.load_state_dict(state)
        net.zero_grad()
        qat = Qat(net, frozen)
        if first:
            qat.wscale, qat.scale, qat.zero_point = first.wscale, first.scale, first.zero_point
        else:
            first = qat
            qat(pixels)  # qparams
            net.load_state_dict(state)
        for scale in (*qat.wscale.values(), *qat.scale.values()):
            scale.grad = None
        ef = qat(pixels)
        loss = loss_of(ef, target)
        loss.backward()
        out[kind + "ef"] = to_numpy(ef)
        for name, p in net.named_parameters():
            if name in ("conv1.weight", "layer2.0.downsample.0.weight", "layer4.1.conv2.weight") or p.ndim == 1:
                out[kind + "grad." + name] = to_numpy(p.grad)
        for name in qat.scale:
            out[kind + "grad_scale." + name] = to_numpy(qat.scale[name].grad)
        for name in qat.wscale:
            out[kind + "grad_scale." + name] = to_numpy(qat.wscale[name].grad)
        out[kind + "after.layer3.0.bn2.running_mean"] = to_numpy(net.layer3[0].bn2.running_mean)
        out[kind + "after.layer3.0.bn2.running_var"] = to_numpy(net.layer3[0].bn2.running_var)
    for name in first.scale:
        out["scale." + name] = to_numpy(first.scale[name])
        out["zero_point." + name] = np.array([first.zero_point[name]], dtype=np.int32)
    for name in first.wscale:
        out["scale." + name] = to_numpy(first.wscale[name])
    save_file(out, HERE / "data/golden_qat.safetensors")


def formula(n: int, seed: int) -> np.ndarray:
    """Value i: a 32-bit integer hash of (seed, i), mapped to [-1, 1). The test has the same lines in C."""
    with np.errstate(over="ignore"):
        h = np.arange(n, dtype=np.uint32) * np.uint32(0x9E3779B1) + np.uint32(seed) * np.uint32(0x85EBCA77)
        h ^= h >> np.uint32(15)
        h *= np.uint32(0x2C1B3C6D)
        h ^= h >> np.uint32(12)
        h *= np.uint32(0x297A2D39)
        h ^= h >> np.uint32(15)
    return (h >> np.uint32(8)).astype(np.float32) * np.float32(2.0**-23) - np.float32(1)


def weights_by_formula(net: nn.Module) -> None:
    """Seeds are positions in the alphabetical order of names; ranges keep activations near 1."""
    state = {k: v for k, v in net.state_dict().items() if not k.endswith("num_batches_tracked")}
    with torch.no_grad():
        for seed, name in enumerate(sorted(state)):
            v = torch.from_numpy(formula(state[name].numel(), seed)).view_as(state[name])
            if v.ndim == 4:
                v *= np.float32(1 / np.sqrt(v.shape[1] * v.shape[2] * v.shape[3]))
            elif name == "fc.bias":
                v = v * 0 + 50
            elif name.endswith("running_var") or (name.endswith("weight") and v.ndim == 1):
                v = 1 + v / 2
            else:
                v = v / 4
            state[name].copy_(v)


def full_model() -> None:
    net = resnet18(64)
    weights_by_formula(net)
    frames, size = 3, 112
    pixels = ((formula(frames * size * size * 3, 999) + 1) * 128).astype(np.uint8).reshape(1, frames, size, size, 3)
    ef = forward(net.double().eval(), torch.from_numpy(pixels))
    save_file({"ef": to_numpy(ef)}, HERE / "data/golden_w64.safetensors")


if __name__ == "__main__":
    (HERE / "data").mkdir(exist_ok=True)
    small_model()
    full_model()
    for path in sorted((HERE / "data").glob("*.safetensors")):
        print(path.name, path.stat().st_size, "bytes")
