#!/usr/bin/env python3
"""The part of check_gpu.sh in Python: PyTorch on the same network and clip, and the two files of the result.

    check_gpu.py measure --out torch.json [--seconds S] [--dry]
    check_gpu.py merge --native native.json --torch torch.json --out DIR [--dry]

measure needs PyTorch; without it, or without a GPU, the file says so. --dry measures eager on the CPU, so that this code
runs on a machine without a GPU; merge then leaves the figures out."""
import argparse
import datetime
import json
import math
import platform
import subprocess
import sys
import time
from pathlib import Path

FRAMES, SIZE = 16, 112
VARIANTS = ("eager", "channels_last", "cuda_graph", "cuda_graph_channels_last", "compiled")
# Aims for one clip: ms by a word in the name of the GPU, and the ratio to PyTorch's fastest variant of that precision.
AIMS = {"H200": {"INT8": 0.3, "FP32": 0.6}, "T4": {"INT8": 0.7, "INT8 by dp4a": 1.0, "FP32": 3.5}}
RATIOS = {"INT8": ("fp16", 0.7), "FP32": ("fp32", 0.9)}


# ---- PyTorch ---------------------------------------------------------------------


def network(torch):
    """ResNet-18 on the frames, the mean of their features, a linear head; batch norm folded, as it is in echoquant."""
    nn = torch.nn

    class Block(nn.Module):
        def __init__(self, cin, cout, stride):
            super().__init__()
            self.conv1 = nn.Conv2d(cin, cout, 3, stride, 1)
            self.conv2 = nn.Conv2d(cout, cout, 3, 1, 1)
            self.down = nn.Conv2d(cin, cout, 1, stride) if stride != 1 or cin != cout else None

        def forward(self, x):
            y = self.conv2(torch.relu(self.conv1(x)))
            return torch.relu(y + (x if self.down is None else self.down(x)))

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            blocks, cin = [], 64
            for i, cout in enumerate((64, 128, 256, 512)):
                blocks += [Block(cin, cout, 1 if i == 0 else 2), Block(cout, cout, 1)]
                cin = cout
            self.stem = nn.Conv2d(3, 64, 7, 2, 3)
            self.pool = nn.MaxPool2d(3, 2, 1)
            self.blocks = nn.Sequential(*blocks)
            self.head = nn.Linear(512, 1)

        def forward(self, pixels):  # [clips, frames, size, size, 3] u8
            dtype = self.head.weight.dtype
            x = pixels.flatten(0, 1).permute(0, 3, 1, 2)  # the bytes are channels_last
            x = (x.to(dtype) - 100) / 50
            x = x.contiguous(memory_format=self.layout)
            x = self.blocks(self.pool(torch.relu(self.stem(x))))
            x = x.mean((2, 3)).unflatten(0, (pixels.shape[0], pixels.shape[1])).mean(1)
            return self.head(x)[:, 0] * 12 + 55

    net = Network().eval().requires_grad_(False)
    net.layout = torch.contiguous_format
    return net


def graph_of(torch, net, static):
    """The call of net on static as a CUDA graph; returns what replays it, and its output."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            net(static)
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        out = net(static)
    return graph.replay, out


def quantiles(ms):
    ms = sorted(ms)
    return {"median": ms[len(ms) // 2], "p95": ms[math.ceil(0.95 * len(ms)) - 1], "min": ms[0], "repeats": len(ms)}


def measure_variant(torch, device, variant, precision, clips, seconds):
    """Times in ms: "whole" from the host's pixels to the host's EF, "compute" on the device alone."""
    gpu = device == "cuda"
    torch.manual_seed(1)
    net = network(torch).to(device, torch.float16 if precision == "fp16" else torch.float32)
    if variant in ("channels_last", "cuda_graph_channels_last", "compiled"):
        net.layout = torch.channels_last
        net = net.to(memory_format=torch.channels_last)
    host = torch.randint(0, 256, (clips, FRAMES, SIZE, SIZE, 3), dtype=torch.uint8)
    host = host.pin_memory() if gpu else host
    static = host.to(device)
    if variant.startswith("cuda_graph"):
        replay, out = graph_of(torch, net, static)
    else:
        call = torch.compile(net, mode="reduce-overhead") if variant == "compiled" else net
        out = None

        def replay():
            return call(static)

    whole, compute = [], []
    first = time.perf_counter()
    with torch.no_grad():
        for _ in range(5 if gpu else 1):
            replay()
        if gpu:
            torch.cuda.synchronize()
        setup = 1000 * (time.perf_counter() - first)
        until = time.perf_counter() + seconds
        while len(whole) < 3 or (time.perf_counter() < until and len(whole) < 2000):
            begin = time.perf_counter()
            static.copy_(host, non_blocking=True)
            if gpu:
                events = [torch.cuda.Event(enable_timing=True) for _ in range(2)]
                events[0].record()
            result = replay()
            if gpu:
                events[1].record()
            (result if out is None else out).cpu()
            whole.append(1000 * (time.perf_counter() - begin))
            compute.append(events[0].elapsed_time(events[1]) if gpu else whole[-1])
    return {"variant": variant, "precision": precision, "clips": clips, "setup_ms": setup, "whole_ms": quantiles(whole),
            "compute_ms": quantiles(compute)}


def save(path, result):
    """Whole or not at all: the time limit may end this process at any moment."""
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_text(json.dumps(result))
    temporary.replace(path)


def measure(args):
    result = {"rows": [], "missing": None}
    try:
        import torch
    except ImportError:
        result["missing"] = "this Python has no PyTorch"
        save(args.out, result)
        return 0
    result["version"] = torch.__version__
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cpu" and not args.dry:
        result["missing"] = "PyTorch finds no GPU"
        save(args.out, result)
        return 0
    result["device"] = torch.cuda.get_device_name(0) if device == "cuda" else platform.machine()
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = True
    torch.set_grad_enabled(False)
    # One clip first, and what takes long to compile last.
    jobs = [(v, p, n) for v in VARIANTS for n in (1, 8) for p in ("fp16", "fp32")]
    jobs.sort(key=lambda job: (job[0] == "compiled", job[2]))
    if device == "cpu":
        jobs = [("eager", "fp32", 1), ("channels_last", "fp32", 1)]
    for variant, precision, clips in jobs:
        try:
            row = measure_variant(torch, device, variant, precision, clips, args.seconds)
        except Exception as e:  # a variant that this PyTorch or GPU lacks does not stop the others
            row = {"variant": variant, "precision": precision, "clips": clips, "error": str(e).splitlines()[0][:200]}
        result["rows"].append(row)
        save(args.out, result)
    return 0


# ---- the result -------------------------------------------------------------------


def number(ms):
    return "-" if ms is None else f"{ms:.3f}"


def exactness_lines(device):
    for path in device.get("paths", []):
        for model in ("INT8", "mixed", "FP32"):
            rows = [r for r in path["exactness"] if r["model"] == model]
            if rows:
                bad = [r for r in rows if not r["good"]]
                most = max(r["most_difference"] for r in rows)
                says = "EF within %.2g points" % most if model == "FP32" else "equal to the bit"
                if bad:
                    says = "; ".join(r.get("error", "width %d differs by %.3g" % (r["width"], r["most_difference"]))
                                     for r in bad)
                yield f"| {device['id']} | {path['path']} | {model} | {len(rows)} | {says} |"


def time_rows(native):
    """Of GPUs: one dictionary for each device, path, model and batch."""
    for device in native["devices"]:
        for path in device.get("paths", []):
            for t in path["times"]:
                yield {"id": device["id"], "name": device["name"], "path": path["path"], "gpu": device["gpu"], **t}


def median(row, key):
    return row[key]["median"] if key in row else None


def ratios(native, rows):
    """Ours over PyTorch's fastest, for one clip, from pixels to EF."""
    for ours in time_rows(native):
        if not ours["gpu"] or ours["clips"] != 1 or "whole_ms" not in ours:
            continue
        precision, aim = RATIOS[ours["model"]]
        peers = [r for r in rows if r["precision"] == precision and r["clips"] == 1 and "whole_ms" in r]
        if not peers:
            continue
        best = min(peers, key=lambda r: r["whole_ms"]["median"])
        yield {"id": ours["id"], "path": ours["path"], "model": ours["model"], "ms": median(ours, "whole_ms"),
               "peer": f"{best['precision']} {best['variant']}", "peer_ms": best["whole_ms"]["median"],
               "ratio": median(ours, "whole_ms") / best["whole_ms"]["median"], "aim": aim}


def aims(native):
    for ours in time_rows(native):
        name = ours["model"] + (" by dp4a" if ours["path"] == "dp4a" else "")
        for word, table in AIMS.items():
            if ours["gpu"] and ours["clips"] == 1 and "whole_ms" in ours and word in ours["name"].split() and name in table:
                yield {"id": ours["id"], "model": name, "ms": median(ours, "whole_ms"), "aim": table[name]}


def nvidia():
    query = ["nvidia-smi", "--query-gpu=name,driver_version,clocks.sm,clocks.max.sm,power.limit", "--format=csv,noheader"]
    try:
        return subprocess.run(query, capture_output=True, text=True, timeout=20).stdout.split("\n")[:-1]
    except (OSError, subprocess.SubprocessError):
        return []


def markdown(result):
    native, torch, dry = result["native"], result["torch"], result["dry"]
    gpus = [d for d in native["devices"] if d["gpu"]]
    lines = ["# echoquant on the GPUs of a machine", "",
             f"{result['date']}, echoquant {native['version']}, CPU: {native['cpu']}. "
             f"One clip is {FRAMES} frames of {SIZE} x {SIZE}.", ""]
    if dry:
        lines += ["**Dry run: not measured on a GPU.** OpenCL on a CPU stood in for one; its times are left out.", ""]
    elif not gpus:
        lines += ["**No GPU was found: not measured on a GPU.**", ""]
    lines += ["    " + line for line in native["notes"].splitlines()] + [""]
    lines += ["## Devices", "", "| device | name | driver | INT8 | first use, ms | later, ms | why not |",
              "|---|---|---|---|---:|---:|---|"]
    for d in native["devices"]:
        first, later = ((f"{d[k]:.0f}" if k in d else "-") for k in ("first_open_ms", "later_open_ms"))
        lines.append(f"| {d['id']} | {d['name']} | {d['driver']} | {d['integer_path']} | {first} | {later} | "
                     f"{d.get('why_not', '')} |")
    lines += ["", "## Exactness, against the CPU", "", "| device | path | model | networks | result |", "|---|---|---|---:|---|"]
    for d in native["devices"]:
        lines += exactness_lines(d)
    lines += ["", "## Latency, ms", "",
              "Medians. Whole: from the host's pixels to the host's EF. The others by the device's clock.", ""]
    rows = [r for r in time_rows(native) if r["gpu"]]
    peers = [] if dry else torch["rows"]
    if rows or peers:
        lines += ["| device | model | clips | whole | p95 | upload | compute | download |", "|---|---|---:|---:|---:|---:|---:|---:|"]
        for r in rows:
            p95 = r["whole_ms"]["p95"] if "whole_ms" in r else None
            figures = [median(r, "whole_ms"), p95] + [median(r, k) for k in ("upload_ms", "compute_ms", "download_ms")]
            lines.append(f"| {r['id']} by {r['path']} | {r['model']} | {r['clips']} | "
                         f"{' | '.join(number(f) for f in figures)} |{' ' + r['error'] if 'error' in r else ''}")
        for r in peers:
            if "error" in r:
                lines.append(f"| PyTorch {r['variant']} | {r['precision']} | {r['clips']} | {r['error']} |")
            else:
                lines.append(f"| PyTorch {r['variant']} | {r['precision']} | {r['clips']} | {number(median(r, 'whole_ms'))} | "
                             f"{number(r['whole_ms']['p95'])} | - | {number(median(r, 'compute_ms'))} | - |")
    else:
        lines.append("Not measured on a GPU.")
    if torch["missing"]:
        lines += ["", f"PyTorch was not measured: {torch['missing']}."]
    if result["ratios"]:
        lines += ["", "## One clip against PyTorch's fastest variant", "", "| device | model | ms | PyTorch | ms | ratio | aim |",
                  "|---|---|---:|---|---:|---:|---|"]
        lines += [f"| {r['id']} by {r['path']} | {r['model']} | {number(r['ms'])} | {r['peer']} | {number(r['peer_ms'])} | "
                  f"{r['ratio']:.2f} | {r['aim']}: {'met' if r['ratio'] <= r['aim'] else 'missed'} |" for r in result["ratios"]]
    if result["aims"]:
        lines += ["", "| device | model | ms | aim |", "|---|---|---:|---|"]
        lines += [f"| {r['id']} | {r['model']} | {number(r['ms'])} | {r['aim']}: {'met' if r['ms'] <= r['aim'] else 'missed'} |"
                  for r in result["aims"]]
    return "\n".join(lines) + "\n"


def merge(args):
    native = json.loads(args.native.read_text())
    torch = {"rows": [], "missing": "its part was stopped before the first result"}
    if args.torch.exists():
        torch = json.loads(args.torch.read_text())
    peers = [] if args.dry else torch["rows"]
    result = {"date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"), "dry": args.dry,
              "nvidia_smi": nvidia(), "native": native, "torch": torch, "ratios": list(ratios(native, peers)),
              "aims": [] if args.dry else list(aims(native))}
    (args.out / "check_gpu.json").write_text(json.dumps(result, indent=2) + "\n")
    (args.out / "check_gpu.md").write_text(markdown(result))
    return 0


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("part", choices=("measure", "merge"))
    p.add_argument("--out", type=Path, required=True)
    p.add_argument("--native", type=Path)
    p.add_argument("--torch", type=Path)
    p.add_argument("--seconds", type=float, default=1)
    p.add_argument("--dry", action="store_true")
    args = p.parse_args()
    return measure(args) if args.part == "measure" else merge(args)


if __name__ == "__main__":
    sys.exit(main())
