#!/usr/bin/env python3
"""Quantize the baselines of several runs with every observer and show how far each one's EF is from FP32's.

For each RUN, a run directory with fp32.safetensors, PTQ runs once for every observer and number of weight bits, in a
scratch folder; then `echoquant eval ptq` measures rms_from_fp32 on the test split. The table has the rms of each run, the
quadratic mean over the runs, and the worst ratio to the best observer of the same run and bits. --csv keeps the rows.

    scripts/compare_observers.py runs/seeds/seed-*
"""
import argparse
import csv
import json
import math
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
QUICK = ["bench.warmup=0", "bench.repeats=1"]  # no latency is asked for
OBSERVERS = {name: [f"ptq.observer={name}"] for name in ("minmax", "moving_average", "hist_mse", "entropy")}
OBSERVERS |= {f"percentile {p}": ["ptq.observer=percentile", f"ptq.percentile={p}"] for p in ("99.9", "99.99", "99.999")}


def echoquant(binary: Path, *args: str) -> None:
    done = subprocess.run([binary, *args], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, errors="replace", check=False)
    if done.returncode:
        sys.exit(f"echoquant {' '.join(args)} ended with {done.returncode}:\n{done.stdout[-2000:]}")


def measure(o: argparse.Namespace, run: Path, start: Path, bits: int, settings: list) -> float:
    """rms of the INT8 model's EF from FP32's on the test clips. start has the predictions of FP32."""
    with tempfile.TemporaryDirectory(prefix="observers-", dir=o.scratch) as folder:
        scratch = Path(folder) / "run"
        sets = [x for s in [*settings, f"ptq.weight_bits={bits}", *QUICK, *o.set] for x in ("--set", s)]
        echoquant(o.binary, "ptq", "--config", str(run / "config.json"), "--model", str(run / "fp32.safetensors"), "--run",
                  str(scratch), *sets)
        shutil.copytree(start / "predictions", scratch / "predictions", dirs_exist_ok=True)
        echoquant(o.binary, "eval", "ptq", "--run", str(scratch))
        models = json.loads((scratch / "results.json").read_text())["models"]
        return next(m for m in models if m["model"] == "PTQ")["rms_from_fp32"]


def fp32_predictions(o: argparse.Namespace, run: Path, folder: Path) -> None:
    """A run of its own with FP32's predictions, so that RUN stays as it is."""
    folder.mkdir()
    for name in ("config.json", "fp32.safetensors"):
        shutil.copy(run / name, folder)
    echoquant(o.binary, "eval", "fp32", "--run", str(folder), *[x for s in [*QUICK, *o.set] for x in ("--set", s)])


def show(rows: list, runs: list) -> None:
    best = {}
    for r in rows:
        key = r["run"], r["bits"]
        best[key] = min(best.get(key, math.inf), r["rms"])
    print("| bits | observer | " + " | ".join(Path(r).name for r in runs) + " | mean | worst |")
    print("|---|---|" + "---:|" * (len(runs) + 2))
    for bits in sorted({r["bits"] for r in rows}, reverse=True):
        for name in OBSERVERS:
            mine = [r for r in rows if r["bits"] == bits and r["observer"] == name]
            if len(mine) == len(runs):
                mean = math.sqrt(sum(r["rms"] ** 2 for r in mine) / len(mine))
                worst = max(r["rms"] / best[r["run"], bits] for r in mine)
                print(f"| {bits} | `{name}` | " + " | ".join(f"{r['rms']:.3f}" for r in mine) + f" | {mean:.3f} | {worst:.1f} x |")


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("runs", type=Path, nargs="+", metavar="RUN")
    p.add_argument("--binary", type=lambda s: Path(s).resolve(), default=ROOT / "build" / "echoquant", metavar="FILE")
    p.add_argument("--bits", type=lambda s: [int(b) for b in s.split(",")], default=[8, 4], metavar="LIST",
                   help="weight bits (8,4)")
    p.add_argument("--observers", type=lambda s: s.split(","), default=list(OBSERVERS), metavar="LIST",
                   help=f"some of {','.join(OBSERVERS)} (all)")
    p.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting for all commands")
    p.add_argument("--csv", type=Path, metavar="FILE", help="also write the rows")
    p.add_argument("--scratch", type=Path, metavar="DIR", help="folder for temporary runs")
    o = p.parse_args()
    if unknown := set(o.observers) - set(OBSERVERS):
        p.error(f"no observer: {', '.join(sorted(unknown))}")
    rows = []
    for run in o.runs:
        with tempfile.TemporaryDirectory(prefix="observers-", dir=o.scratch) as folder:
            start = Path(folder) / "fp32"
            fp32_predictions(o, run, start)
            for bits in o.bits:
                for name in o.observers:
                    rms = measure(o, run, start, bits, OBSERVERS[name])
                    print(f"{run}, {bits} bits, {name}: {rms:.4f}", file=sys.stderr, flush=True)
                    rows.append({"run": str(run), "bits": bits, "observer": name, "rms": rms})
        if o.csv:
            with o.csv.open("w", newline="") as f:
                writer = csv.DictWriter(f, rows[0])
                writer.writeheader()
                writer.writerows(rows)
    show(rows, [str(r) for r in o.runs])


if __name__ == "__main__":
    main()
