#!/usr/bin/env bash
# scripts/check_gpu.sh on a machine without a GPU: the dry run over PoCL, the files, the exit codes; and what it makes of
# results that a GPU could have given.
. "$(dirname "$0")/lib.sh"
# PoCL keeps memory of devices that are unloaded before leaks are looked for, so that no suppression can name them.
export ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0
SCRIPT=$SOURCE/scripts/check_gpu.sh

# check STATUS ARGUMENTS...
check() {
    local wanted=$1
    shift
    STATUS=0
    bash "$SCRIPT" "$@" >"$OUT" 2>"$ERR" || STATUS=$?
    is "status of check_gpu.sh $*" "$STATUS" "$wanted"
    [ "$STATUS" = "$wanted" ] || show
}

check 0 --help
has "$OUT" "Check and measure echoquant on the GPUs of this machine"
check 2 --no-such-option
has "$ERR" "error: unknown argument: --no-such-option"
check 2 --out
has "$ERR" "error: --out needs a value"
check 2 --program "$TEST_TOOLS/check_gpu" --python no-such-python
has "$ERR" "error: no-such-python was not found"

mkdir vendors
OCL_ICD_VENDORS=$TMP/vendors check 77 --program "$TEST_TOOLS/check_gpu" --out none
has none/check_gpu.md "**No GPU was found: not measured on a GPU.**"
if [ -e /etc/OpenCL/vendors/pocl.icd ] && "$TEST_TOOLS/check_gpu" --dry --seconds 0 2>&1 >/dev/null | grep "^LLVM ERROR: " >"$ERR"; then
    skip "PoCL's compiler aborts: $(cat "$ERR")"
elif why=$(opencl_lacks); then
    skip "PoCL's compiler: $why"
elif [ -e /etc/OpenCL/vendors/pocl.icd ] && "$TEST_TOOLS/check_gpu" 2>/dev/null | grep -q '"id": "opencl:'; then
    check 0 --dry --program "$TEST_TOOLS/check_gpu" --out dry
    has dry/check_gpu.md "**Dry run: not measured on a GPU.**"
    has dry/check_gpu.md "| opencl:0 | plain | INT8 | 2 | equal to the bit |"
    has dry/check_gpu.md "| opencl:0 | plain | FP32 | 2 | EF within"
    is "figures of a dry run" "$(sed -n '/^## Latency/,$p' dry/check_gpu.md | grep -c '^|')" 0
    is "dry run as JSON" "$(python3 -c '
import json
d = json.load(open("dry/check_gpu.json"))
times = d["native"]["devices"][0]["paths"][0]["times"]
print(d["dry"], d["native"]["good"], d["ratios"], d["aims"], [(t["model"], t["clips"]) for t in times])')" \
        "True True [] [] [('INT8', 1), ('FP32', 1), ('INT8', 8), ('FP32', 8)]"
    # Of many devices that are alike, the first.
    POCL_DEVICES="pthread pthread" "$TEST_TOOLS/check_gpu" --dry --seconds 0 >two.json 2>"$ERR"
    is "two devices" "$(python3 -c '
import json
print([(d["id"], "paths" in d, d.get("why_not")) for d in json.load(open("two.json"))["devices"]])')" \
        "[('opencl:0', True, None), ('opencl:1', False, 'not checked: like opencl:0')]"
else
    skip "PoCL (pocl-opencl-icd) is not installed, or not for this program"
fi

# A program that fails without a result, and one whose results differ.
printf '#!/bin/sh\nexit 3\n' >fails
printf '#!/bin/sh\ncat "%s/differs.json"\nexit 1\n' "$TMP" >differs
chmod +x fails differs
check 1 --program "$TMP/fails"
has "$ERR" "fails ended with 3 and without a result"
python3 - >differs.json <<'PYTHON'
import json

def times(model, clips, ms):
    quantiles = {"median": ms, "p95": 2 * ms, "min": ms / 2}
    return {"model": model, "clips": clips, "repeats": 9, "setup_ms": 1, "bytes": 1, "whole_ms": quantiles,
            "upload_ms": quantiles, "compute_ms": quantiles, "download_ms": quantiles}

def row(model, good):
    return {"model": model, "width": 8, "size": 33, "frames": 1, "clips": 3, "weight_bits": 8, "extreme": False,
            "most_difference": 0 if good else 0.25, "repeats": True, "good": good}

device = {"id": "cuda:0", "name": "Tesla T4", "driver": "d", "integer_path": "mma.m8n8k16", "gpu": True, "bytes": 1,
          "units": 40, "first_open_ms": 900, "later_open_ms": 9, "paths": [
              {"path": "mma.m8n8k16", "exactness": [row("INT8", True), row("INT8", False), row("FP32", True)],
               "times": [times("INT8", 1, 0.5), times("FP32", 1, 4), times("INT8", 8, 3)]},
              {"path": "dp4a", "exactness": [row("INT8", True)], "times": [times("INT8", 1, 0.75)]}]}
print(json.dumps({"version": "v", "cpu": "c", "notes": "n\n", "devices": [device], "good": False}))
PYTHON
check 1 --program "$TMP/differs" --out gpu
has gpu/check_gpu.md "| cuda:0 | mma.m8n8k16 | INT8 | 2 | width 8 differs by 0.25 |"
has gpu/check_gpu.md "| cuda:0 by mma.m8n8k16 | INT8 | 1 | 0.500 | 1.000 | 0.500 | 0.500 | 0.500 |"
has gpu/check_gpu.md "| cuda:0 | INT8 | 0.500 | 0.7: met |"
has gpu/check_gpu.md "| cuda:0 | INT8 by dp4a | 0.750 | 1.0: met |"
has gpu/check_gpu.md "| cuda:0 | FP32 | 4.000 | 3.5: missed |"

# The ratio is to the fastest variant of the precision.
python3 - >torch.json <<'PYTHON'
import json
rows = [{"variant": v, "precision": p, "clips": 1, "setup_ms": 1, "whole_ms": {"median": ms, "p95": ms, "min": ms},
         "compute_ms": {"median": ms, "p95": ms, "min": ms}}
        for v, p, ms in (("eager", "fp16", 2), ("cuda_graph", "fp16", 1), ("eager", "fp32", 5), ("compiled", "fp32", 4))]
rows.append({"variant": "compiled", "precision": "fp16", "clips": 1, "error": "no compiler"})
print(json.dumps({"rows": rows, "missing": None}))
PYTHON
mkdir merged
python3 "$SOURCE/scripts/check_gpu.py" merge --native differs.json --torch torch.json --out merged || fail "merge"
has merged/check_gpu.md "| cuda:0 by mma.m8n8k16 | INT8 | 0.500 | fp16 cuda_graph | 1.000 | 0.50 | 0.7: met |"
has merged/check_gpu.md "| cuda:0 by dp4a | INT8 | 0.750 | fp16 cuda_graph | 1.000 | 0.75 | 0.7: missed |"
has merged/check_gpu.md "| cuda:0 by mma.m8n8k16 | FP32 | 4.000 | fp32 compiled | 4.000 | 1.00 | 0.9: missed |"
has merged/check_gpu.md "| PyTorch compiled | fp16 | 1 | no compiler |"
summary
