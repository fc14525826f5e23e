#!/usr/bin/env python3
"""Measure echoquant, ONNX Runtime, OpenVINO, PyTorch, OpenCV and ncnn on this machine, alternating in one run, and print
ratios.

Every library works in a process of its own, which is stopped during the turns of the others. Parts: fp32 (inference of one
clip), train (a training step), int8 (inference of the exported QDQ model), file (from a video file to EF), scaling
(echoquant alone: 1 thread and all, INT8 and FP32). Two more are measured on request, and without --parts only these:
--busy (INT8 inference beside busy loops) and --experiment (run-all against the same experiment in PyTorch).

The peers come from --python, or from .venv-peers, which is made when missing (scripts/requirements-peers.txt). A peer
whose packages are missing is named and left out. The models come from --run, or --model-fp32 and --model-int8; without
these the script makes some, with nearly random weights."""
import argparse
import datetime
import json
import os
import platform
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "scripts"))
sys.dont_write_bytecode = True

from peers import models, parts, report  # noqa: E402
from peers.busy import busy  # noqa: E402
from peers.engine import EngineError  # noqa: E402
from peers.experiment import ConfigError, Turns, experiment  # noqa: E402
from peers.ours import Ours, OursError  # noqa: E402

REQUIREMENTS = ROOT / "scripts" / "requirements-peers.txt"
DEFAULT_CONFIG = ROOT / "configs" / "default.json"
EVERY_PEER = ["numpy", "cv2"]
IMPORTS = {"onnxruntime": ["onnxruntime"], "openvino": ["openvino"], "pytorch": ["torch", "torchvision", "safetensors"],
           "opencv": [], "ncnn": ["ncnn"]}
PACKAGES = {"cv2": "opencv-python-headless"}  # where module and package differ in name
FLAGS = ("avx2", "fma", "avx_vnni", "avx512f", "avx512_vnni", "avx512_bf16", "amx_tile", "amx_int8", "amx_bf16",
         "asimd", "asimddp", "i8mm", "bf16", "sve")


class UsageError(Exception):
    pass


def say(text):
    print(text, file=sys.stderr, flush=True)


def whole(low, high):
    def check(text):
        if not text.isdigit() or not low <= int(text) <= high:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number in {low}..{high}")
        return int(text)
    return check


def listed(known, also=()):
    """A list with commas of some known names; "all", or a word that means none of them."""
    def check(text):
        if text == "all" or text in also:
            return list(known) if text == "all" else []
        names = text.split(",")
        for name in names:
            if name not in known:
                raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join([*known, 'all', *also])}")
        return [name for name in known if name in names]
    return check


def counts(text):
    """Whole numbers with commas, in ascending order."""
    return sorted({whole(0, 1024)(word) for word in text.split(",")})


def options():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--parts", type=listed(parts.PARTS), metavar="LIST",
                   help=f"some of {','.join(parts.PARTS)} (all; with --busy or --experiment none)")
    p.add_argument("--busy", type=counts, nargs="?", const=[2, 4, 8], default=[], metavar="LIST",
                   help="INT8 inference beside so many busy loops, each engine with its own choice of threads (2,4,8)")
    p.add_argument("--experiment", type=Path, nargs="?", const=DEFAULT_CONFIG, metavar="FILE",
                   help="run-all with this configuration against PyTorch, torch.ao and OpenCV (configs/default.json)")
    p.add_argument("--experiment-peer", type=Path, metavar="FILE",
                   help="configuration that PyTorch follows, if another: the same clips, say, but more epochs")
    p.add_argument("--experiment-rounds", type=whole(1, 100), default=1, metavar="N",
                   help="rounds of the whole experiment (1)")
    p.add_argument("--peers", type=listed(list(parts.PEERS), ("none",)), default=list(parts.PEERS), metavar="LIST",
                   help=f"some of {','.join(parts.PEERS)}; all, none (all)")
    p.add_argument("--frames", type=whole(1, 64), default=16, metavar="N", help="frames of a clip (16)")
    p.add_argument("--size", type=whole(32, 512), default=112, metavar="N", help="their side in pixels (112)")
    p.add_argument("--batch", type=whole(1, 64), default=4, metavar="N", help="clips of a training step (4)")
    p.add_argument("--threads", type=whole(1, 1024), default=len(os.sched_getaffinity(0)), metavar="N",
                   help="threads of every engine (all CPUs of this process)")
    p.add_argument("--rounds", type=whole(1, 10000), default=10, metavar="N", help="rounds of inference (10)")
    p.add_argument("--train-rounds", type=whole(1, 10000), default=5, metavar="N",
                   help="rounds of training steps, and of scaling (5)")
    p.add_argument("--calls", type=whole(1, 10000), default=5, metavar="N", help="measured calls of a turn (5)")
    p.add_argument("--warmup", type=whole(0, 10000), default=2, metavar="N", help="calls before them (2)")
    p.add_argument("--run", type=Path, metavar="DIR", help="run directory with fp32.safetensors and ptq.safetensors")
    p.add_argument("--model-fp32", type=Path, metavar="FILE", help="FP32 model file")
    p.add_argument("--model-int8", type=Path, metavar="FILE", help="INT8 model file")
    p.add_argument("--data", type=Path, metavar="DIR", help="data folder with a test split (a few synthetic clips)")
    p.add_argument("--cpu", default="auto", metavar="LEVEL", help="highest instruction set that echoquant uses (auto)")
    p.add_argument("--binary", type=Path, default=ROOT / "build" / "echoquant", metavar="FILE",
                   help="the program (build/echoquant)")
    p.add_argument("--python", metavar="FILE", help="interpreter that has the peers (one in .venv-peers)")
    p.add_argument("--work", type=Path, default=ROOT / "build" / "peers", metavar="DIR",
                   help="folder for models, clips, logs (build/peers)")
    p.add_argument("--json", type=Path, metavar="FILE", help="write everything as JSON, too")
    p.add_argument("--markdown", type=Path, metavar="FILE", help="write the printed tables, too")
    o = p.parse_args()
    if o.parts is None:
        o.parts = [] if o.busy or o.experiment else list(parts.PARTS)
    return o


def check_options(o):
    if not os.access(o.binary, os.X_OK) or o.binary.is_dir():
        raise UsageError(f"{o.binary} is missing: scripts/setup.sh builds it")
    if (o.model_fp32 is None) != (o.model_int8 is None):
        raise UsageError("--model-fp32 and --model-int8 go together")
    if o.run and o.model_fp32:
        raise UsageError("--run and --model-fp32 exclude each other")
    if o.run:
        o.model_fp32, o.model_int8 = o.run / "fp32.safetensors", o.run / "ptq.safetensors"
    for path in (o.model_fp32, o.model_int8):
        if path and not path.is_file():
            raise UsageError(f"there is no model file {path}")
    if o.experiment_peer and not (o.experiment and "pytorch" in o.peers):
        raise UsageError("--experiment-peer is for --experiment with PyTorch")
    if o.data and not (o.data / "FileList.csv").is_file():
        raise UsageError(f"{o.data} holds no FileList.csv")
    for path in (o.json, o.markdown):
        if path and not path.absolute().parent.is_dir():
            raise UsageError(f"there is no folder for {path}")


def missing_modules(python, wanted):
    code = "import importlib.util, sys\nprint(*[m for m in sys.argv[1:] if importlib.util.find_spec(m) is None])"
    try:
        return subprocess.run([python, "-c", code, *wanted], capture_output=True, text=True, check=True).stdout.split()
    except (OSError, subprocess.CalledProcessError) as error:
        raise UsageError(f"{python} is not a Python that runs: {error}") from None


def requirements(modules):
    """The lines of requirements-peers.txt for these modules."""
    lines = [line.strip() for line in REQUIREMENTS.read_text().splitlines()]
    names = [PACKAGES.get(module, module) for module in modules]
    return [line for line in lines if re.split("[<>=]", line)[0] in names]


def peers_python(o):
    """An interpreter, and by peer why it can't run there."""
    wanted = {peer: EVERY_PEER + IMPORTS[peer] for peer in o.peers}
    python = o.python or str(ROOT / ".venv-peers" / "bin" / "python")
    if not o.python and not Path(python).exists():
        say(f"making {ROOT / '.venv-peers'}")
        subprocess.run([sys.executable, "-m", "venv", str(ROOT / ".venv-peers")], check=True, stdout=sys.stderr)
    missing = {}
    for peer, modules in wanted.items():
        lacking = missing_modules(python, modules)
        if lacking and not o.python:
            say(f"installing {', '.join(requirements(lacking))} into .venv-peers; this takes a while")
            subprocess.run([python, "-m", "pip", "install", "-q", "--disable-pip-version-check",
                            *requirements(lacking)], stdout=sys.stderr)
            lacking = missing_modules(python, lacking)
        if lacking:
            packages = ", ".join(PACKAGES.get(module, module) for module in lacking)
            missing[peer] = f"not installed: {packages} ({python} -m pip install -r {REQUIREMENTS})"
            say(f"{parts.PEERS[peer]} is left out: {missing[peer]}")
    if missing and len(missing) == len(wanted):
        raise UsageError(f"none of the peers is installed; --peers none measures echoquant alone. {missing[o.peers[0]]}")
    return python, missing


def cpu_info():
    """Model name and those of its flags that matter here."""
    fields = {}
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        key, _, value = line.partition(":")
        fields.setdefault(key.strip(), value.strip())
    has = set(fields.get("flags", fields.get("Features", "")).split())
    return fields.get("model name", platform.machine()), [flag for flag in FLAGS if flag in has]


def prepare(o, ours, python, missing):
    """Models, clips and files; what the parts need."""
    form = models.Form(o.frames, o.size)
    data = o.data or models.make_data(ours, o.work, say)
    if o.model_fp32:
        pair = [models.in_form(path, form, o.work) for path in (o.model_fp32, o.model_int8)]
    else:
        pair = models.make_models(ours, o.work, form, data, say)
    spec = {"threads": o.threads, "frames": o.frames, "size": o.size, "batch": o.batch, "fp32_model": str(pair[0]),
            "pixels": str(o.work / "pixels.npy"), **models.export(ours, *pair, o.work)}
    models.write_pixels(spec["pixels"], form)
    return parts.Bench(ours=ours, python=python, peers=o.peers, missing=missing, spec=spec, fp32=pair[0],
                       int8=pair[1], data=data, clips=models.test_clips(data), form=form, isa=set(cpu_info()[1]),
                       rounds=o.rounds, train_rounds=o.train_rounds, calls=o.calls, warmup=o.warmup, log_dir=o.work,
                       say=say, versions={})


def measure_parts(o, ours, python, missing):
    """Results by part, versions of the peers, models."""
    if not o.parts and not o.busy:
        return {}, {}, {}
    bench = prepare(o, ours, python, missing)
    results = {part: parts.RUN[part](bench) for part in o.parts}
    return {**results, **busy(bench, o.busy)}, bench.versions, {"fp32": str(bench.fp32), "int8": str(bench.int8)}


def measure(o):
    ours, load = Ours(o.binary, o.cpu), os.getloadavg()[0]
    turns = None
    if o.experiment:
        turns = Turns(ours, o.experiment, o.experiment_peer, o.threads, o.work, "pytorch" in o.peers)
    python, missing = peers_python(o) if o.peers else ("", {})
    o.work.mkdir(parents=True, exist_ok=True)
    results, versions, files = measure_parts(o, ours, python, missing)
    if turns:
        turns.choose_data(o.data, say)
        results["experiment"] = experiment(turns, python if "pytorch" in o.peers else None, missing.get("pytorch"),
                                           o.experiment_rounds, say)
        versions.update(turns.versions)
    cpu, flags = cpu_info()
    return {"machine": {"cpu": cpu, "cpus": len(os.sched_getaffinity(0)), "flags": flags, "isa": ours.isa(),
                        "load": [load, os.getloadavg()[0]]},
            "date": datetime.date.today().isoformat(),
            "versions": {"echoquant": ours.run("--version").split()[1], **versions,
                         "Python": platform.python_version()},
            "models": files,
            "settings": {"form": f"{models.Form(o.frames, o.size)}", "frames": o.frames, "size": o.size,
                         "batch": o.batch, "threads": o.threads, "rounds": o.rounds, "train_rounds": o.train_rounds,
                         "experiment_rounds": o.experiment_rounds, "calls": o.calls, "warmup": o.warmup},
            "parts": results}


def main():
    o = options()
    try:
        check_options(o)
        document = measure(o)
        text = report.markdown(document)
        print(text, end="")
        if o.json:
            o.json.write_text(json.dumps(document, indent=2) + "\n")
        if o.markdown:
            o.markdown.write_text(text)
    except (UsageError, ConfigError) as error:
        say(f"error: {error}")
        return 2
    except (EngineError, OursError, models.ModelError, OSError, subprocess.CalledProcessError) as error:
        say(f"error: {error}")
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


sys.exit(main())
