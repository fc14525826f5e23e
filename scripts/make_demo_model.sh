#!/usr/bin/env bash
# Makes models/demo.safetensors (INT8) from models/demo.json, and writes its figures into the model card,
# models/README.md. It takes about 10 minutes on two cores, and resumes if it was interrupted.
# Arguments go to every command, e.g. --threads 1.
. "$(dirname "$0")/lib.sh"

help_of "$0" "${1:-}"
cd "$ROOT"
BIN=build/echoquant
[ -x $BIN ] || die "build/echoquant is missing: scripts/setup.sh builds it"

# command_of NAME FILE ARGUMENTS...: runs it unless the run has its result already.
command_of() {
    local name=$1 file=$2
    shift 2
    say "$BIN $name --config models/demo.json $*"
    [ -e "runs/demo/$file" ] || $BIN "$name" --config models/demo.json "$@"
}
command_of train fp32.safetensors "$@"
command_of ptq ptq.safetensors "$@"
$BIN eval fp32 ptq --config models/demo.json "$@"
$BIN synth data/synthetic
# The clips of the default experiment: other patients, drawn from the same distribution.
$BIN eval --model runs/demo/ptq.safetensors --name demo --run runs/demo-default --data data/synthetic "$@"
cp runs/demo/ptq.safetensors models/demo.safetensors

python3 - <<'PY'
import hashlib, json, pathlib
def rows_of(run):
    results = json.load(open(f"{run}/results.json"))
    return results, {m["model"]: m for m in results["models"]}
results, own = rows_of("runs/demo")
other = rows_of("runs/demo-default")[1]
path = pathlib.Path("models/demo.safetensors")
digest = hashlib.sha256(path.read_bytes()).hexdigest()
lines = ["## Measured", "",
         f"`demo.safetensors`: {path.stat().st_size / 1000:.0f} kB, SHA-256", "", f"    {digest}", "",
         "Errors are in EF points (percent). The training data has the digest", "",
         f"    {results['data']['digest']}", "",
         "| clips | MAE | MAE of always predicting the training median |", "|:------|----:|----:|",
         f"| its own 200 test clips | {own['PTQ']['mae']:.2f} | {own['Median']['mae']:.2f} |",
         f"| the 100 test clips of the default experiment | {other['demo']['mae']:.2f} | {other['Median']['mae']:.2f} |", "",
         f"In FP32, before quantization, the MAE on its own test clips is {own['FP32']['mae']:.2f}."]
card = pathlib.Path("models/README.md")
card.write_text(card.read_text().split("## Measured")[0] + "\n".join(lines) + "\n")
PY
say "models/demo.safetensors and the figures in models/README.md are new"
