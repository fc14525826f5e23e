#!/usr/bin/env bash
# report.html as its readers open it: in Chromium, narrow and wide, light and dark, and in print; one run, three seeds,
# and 2,000 test clips, whose page stays below 3 MB.
. "$(dirname "$0")/lib.sh"

if ! command -v gnuplot >/dev/null; then
    skip "the page: gnuplot is not installed"
    summary
    exit
fi

python3 - <<'PYTHON'
import json, math, os, random

LAYERS = ["conv1"] + [f"layer{a}.{b}.conv{c}" for a in (1, 2, 3, 4) for b in (0, 1) for c in (1, 2)] + ["fc"]
SEARCH = {"fit_clips": 8, "judge_clips": 8, "tries": [{"tried": "minmax", "mse": 0.04, "sqnr_db": 31, "kept": True}]}
MIXED = {"mae_fp32": 6.1, "mae_quantized": 6.3, "clips": 30, "max_mae_loss": 0.05,
         "steps": [{"layer": "conv1", "to": "FP32", "mae": 6.12}]}


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as f:
        f.write(text)


def make(run, seed, clips):
    draw = random.Random(seed)
    ef = [min(80, max(15, random.Random(i).gauss(52, 14))) for i in range(clips)]
    fp32 = [40 + 0.6 * (e - 40) + draw.gauss(3, 5) for e in ef]
    plus = [p + draw.gauss(0.2, 1) for p in fp32]
    rows = []
    for name, row, precision, size, ms, ef_of in (
            ("fp32", "FP32", "FP32", 44.76, 11.2, fp32), ("ptq", "PTQ", "INT8", 11.2, 4.9, [p + draw.gauss(0.1, 0.4) for p in fp32]),
            ("qat", "QAT", "INT8", 11.2, 4.8, [p + draw.gauss(0.1, 0.5) for p in plus]),
            ("fp32_plus", "FP32+", "FP32", 44.76, 11.1, plus)):
        write(f"{run}/predictions/{name}.csv", "FileName,Split,EF,Prediction\n" + "".join(
            f"0X{i:016X},TEST,{e:.9g},{p:.9g}\n" for i, (e, p) in enumerate(zip(ef, ef_of))))
        errors = [p - e for p, e in zip(ef_of, ef)]
        times = sorted(draw.lognormvariate(math.log(ms), 0.05) for _ in range(100))
        rows.append({
            "model": row, "precision": precision, "size_mb": size, "mae": sum(map(abs, errors)) / clips,
            "rmse": math.sqrt(sum(e * e for e in errors) / clips), "r2": 0.6, "bias": sum(errors) / clips, "clips": clips,
            "val_mae": 6 + draw.random() / 5, "val_bias": 0.1, "val_clips": 30, "threads": 2,
            "latency_ms": {"min": times[0], "median": times[49], "p90": times[89], "p95": times[94], "p99": times[98],
                           "repeats": 100, "low": times[39], "high": times[59], "waited": 0.001, "samples": times}})
    rows[1]["recipe"] = {"observer": "minmax", "clips": 16, "weight_bits": 8, "per_channel": True, "weight_observer": "mse",
                         "search": SEARCH, "mixed_precision": MIXED}
    median = sorted(ef)[clips // 2]
    rows.append({"model": "Median", "precision": "-", "mae": sum(abs(median - e) for e in ef) / clips, "rmse": 14, "r2": 0,
                 "clips": clips, "prediction": median})
    write(f"{run}/results.json", json.dumps({
        "format": "echoquant-results-1", "models": rows,
        "data": {"dir": "d", "synthetic": True, "train": 100, "val": 30, "test": clips, "skipped": 0},
        "environment": {"version": "0.1.0", "cpu": "a CPU", "isa": "avx2", "threads": 2}}))
    for name, first in (("fp32", 1), ("qat", 0)):
        write(f"{run}/history/{name}.csv", "epoch,lr,train_loss,val_mae,val_rmse,grad_norm,grad_norm_max,seconds\n" + "".join(
            f"{e},{0.001 / (1 + e):g},{1 / (1 + e):g},{14 / (1 + e):g},{16 / (1 + e):g},{2 / (1 + e):g},{4 / (1 + e):g},3\n"
            for e in range(first, 9)))
    write(f"{run}/sensitivity.json", json.dumps({
        "format": "echoquant-sensitivity-1", "clips": 8, "split": "VAL", "mae_fp32": 6.1, "mae_quantized": 6.2, "ef_change": 0.4,
        "recipe": {"observer": "minmax", "clips": 16, "weight_bits": 8, "per_channel": True, "weight_observer": "mse"},
        "layers": [{"layer": name, "weight_sqnr_db": 40 + 5 * draw.random(), "output_sqnr_db": 35 + 8 * draw.random(),
                    "accumulated_sqnr_db": 28 + 4 * draw.random(), "mae_change_only": 0.01, "mae_change_all_but": 0.02,
                    "ef_change_only": draw.random() / 5, "ef_change_all_but": 0.3, "levels_used": 250, "range_use": 0.9,
                    "clipped": 0.001, "dead_channels": 0} for name in LAYERS]}))


make("one", 1, 120)
make("many", 1, 2000)
for seed in (5, 6, 7):
    make(f"seeds/seed-{seed}", seed, 80)
write("seeds/config.json", json.dumps({"run": {"seed": 5}, "train": {"seeds": 3}}))
PYTHON

for run in one many seeds; do
    expect 0 report "$run" --quiet
    is "missing pictures of $run" "$(grep -c 'The report has no picture' "$run/report.md")" 0
done
if [ "$(stat -c %s many/report.html)" -ge 3000000 ]; then
    fail "the page of 2,000 clips has $(stat -c %s many/report.html) bytes"
fi
has one/report.html "<title>0X0000000000000000: true "
has seeds/report.html "MAE of each seed"

python3 "$SOURCE/scripts/check_report.py" one/report.html seeds/report.html >page.txt
case $? in
0) pass ;;
77) skip "$(cat page.txt)" ;;
*) fail "the page in Chromium: $(head -40 page.txt)" ;;
esac
summary
