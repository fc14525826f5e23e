#!/usr/bin/env bash
# ptq.max_mae_loss: layers go back to FP32 until the loss on the validation split holds, and what comes of it.
. "$(dirname "$0")/lib.sh"

tiny_data d
expect 0 train --run base --data d "${TINY[@]}"

# The same clips, with what FP32 predicts as their EF: it has no error there, so whatever quantization changes is a loss.
mkdir e && cp -r d/Videos e/
clips=(d/Videos/*.avi)
expect 0 predict --json --model base/fp32.safetensors "${clips[@]}"
python3 - "$OUT" <<'EOF' || fail "no list of predicted EFs"
import csv, json, os, sys

ef = {os.path.splitext(os.path.basename(r["path"]))[0]: r["ef"] for r in map(json.loads, open(sys.argv[1]))}
rows = list(csv.DictReader(open("d/FileList.csv")))
with open("e/FileList.csv", "w", newline="") as f:
    out = csv.DictWriter(f, rows[0].keys())
    out.writeheader()
    for row in rows:
        row["EF"] = ef[os.path.splitext(row["FileName"])[0]]
        out.writerow(row)
EOF

# ptq_with NAME ARGUMENTS...: NAME/ptq.safetensors with weights of 2 bits.
ptq_with() {
    local name=$1
    shift
    expect 0 ptq --run "$name" --data e --model base/fp32.safetensors "${TINY[@]}" --set ptq.weight_bits=2 "$@"
    there "$name/ptq.safetensors"
}

weights() { # FILE: its bytes without the header, which notes the settings
    local n
    n=$(od -An -t u8 -N 8 "$1" | tr -d ' ')
    tail -c +"$((n + 9))" "$1"
}

recipe() { # FILE EXPRESSION: of r, the file's recipe, and m, its part on mixed precision
    "$BIN" inspect "$1" --json | python3 -c '
import json, sys
r = json.load(sys.stdin)["recipe"]
m = r.get("mixed_precision")
print(eval(sys.argv[1]))' "$2"
}

# A limit that nothing exceeds: no layer goes back, the model is the plain one.
ptq_with plain
ptq_with wide --set ptq.max_mae_loss=100
is "layers back under a wide limit" "$(recipe wide/ptq.safetensors 'len(m["steps"])')" 0
same <(weights plain/ptq.safetensors) <(weights wide/ptq.safetensors)
is "FP32 is off by nothing" "$(recipe wide/ptq.safetensors 'm["mae_fp32"] < 1e-4')" True
is "2 bits lose something" "$(recipe wide/ptq.safetensors 'm["mae_quantized"] > 0.01')" True
is "clips" "$(recipe wide/ptq.safetensors 'm["clips"]')" 2

# tries NAME: the steps are among the tries, in order, and the one chosen is the model of $kept, to the byte in size.
tries() {
    "$BIN" inspect "$1/ptq.safetensors" --json >"$1.json"
    python3 - "$1" "$kept" <<'EOF'
import json, os, sys

name, kept = sys.argv[1:]
steps = json.load(open(name + ".json"))["recipe"]["mixed_precision"]
t = json.load(open(name + "/quantization/ptq.json"))["tries"]
assert t["clips"] == 2 and t["threads"] >= 1 and t["calls"] > 2 and t["cpu"]
tries = t["list"]
near = lambda a, b: abs(a - b) <= 1e-12 * max(1, abs(b))  # digits that the recipe has
same = lambda a, b: (a["layer"], a["to"]) == (b["layer"], b["to"]) and near(a["mae"], b["mae"])
assert same(tries[0], {"layer": "all", "to": "INT8", "mae": steps["mae_quantized"]}) and tries[0]["keep_fp32"] == ""
walk = iter(tries)
assert all(any(same(one, step) for one in walk) for step in steps["steps"])
assert len(tries) > len(steps["steps"]) and all(one["latency_ms"] > 0 for one in tries)
sizes = [one["size_mb"] for one in tries if one["to"] == "FP32"]
assert sizes == sorted(set(sizes)) and tries[0]["size_mb"] < sizes[0]
chosen, = [one for one in tries if one["chosen"]]
assert chosen["keep_fp32"] == kept and near(chosen["mae"], steps["mae"])
assert round(chosen["size_mb"] * 1e6) == os.path.getsize(name + "-by-hand/ptq.safetensors")
EOF
}

# A share of that loss: some layers go back, perhaps some of them return, and the file is the one of ptq.keep_fp32.
within() { # NAME SHARE MOST: of 21 layers
    local name=$1 kept
    limit=$(recipe wide/ptq.safetensors "m['mae_quantized'] * $2")
    ptq_with "$name" --set ptq.max_mae_loss="$limit"
    has "$ERR" "back to FP32: "
    is "$name: layers back" "$(recipe "$name/ptq.safetensors" "1 <= len(r['keep_fp32'].split(',')) <= $3")" True
    is "$name: the loss holds" "$(recipe "$name/ptq.safetensors" 'm["mae"] - m["mae_fp32"] <= m["max_mae_loss"]')" True
    is "$name: it held with the last layer that went back, not before" "$(recipe "$name/ptq.safetensors" \
        '([s["mae"] - m["mae_fp32"] <= m["max_mae_loss"] for s in m["steps"] if s["to"] == "FP32"].index(True) + 1
         == len([s for s in m["steps"] if s["to"] == "FP32"]))')" True
    is "$name: it held with each layer that returned" "$(recipe "$name/ptq.safetensors" \
        'all(s["mae"] - m["mae_fp32"] <= m["max_mae_loss"] for s in m["steps"] if s["to"] == "INT8")')" True
    is "$name: the layers noted" "$(recipe "$name/ptq.safetensors" \
        'r["keep_fp32"] == ",".join(s["layer"] for s in m["steps"] if s["to"] == "FP32"
         and s["layer"] not in [t["layer"] for t in m["steps"] if t["to"] == "INT8"])')" True
    kept=$(recipe "$name/ptq.safetensors" 'r["keep_fp32"]')
    ptq_with "$name-by-hand" --set ptq.keep_fp32="$kept"
    tries "$name" && pass || fail "$name: the tries in quantization/ptq.json are not those of the steps"
    same <(weights "$name/ptq.safetensors") <(weights "$name-by-hand/ptq.safetensors")
    expect 0 inspect "$name/ptq.safetensors"
    is "$name: layers in FP32" "$(grep -c ' FP32 ' "$OUT")" \
        "$(recipe "$name/ptq.safetensors" 'len(r["keep_fp32"].split(","))')"
}
# How many layers the tight limit needs depends on the model's bits, which differ between CPUs.
within tenth 0.1 21
within half 0.5 20
kept=$(recipe half/ptq.safetensors 'r["keep_fp32"]')

# Threads change nothing, and the test split is not looked at.
ptq_with one --set ptq.max_mae_loss="$limit" --threads 1
same half/ptq.safetensors one/ptq.safetensors
mkdir untested && cp -r e/Videos untested/ && grep -v TEST e/FileList.csv >untested/FileList.csv
expect 0 ptq --run without --data untested --model base/fp32.safetensors "${TINY[@]}" --set ptq.weight_bits=2 \
    --set ptq.max_mae_loss="$limit"
same half/ptq.safetensors without/ptq.safetensors

# Layers that are kept from the start stay; AdaRound is gone where a layer goes back.
ptq_with start --set ptq.max_mae_loss="$limit" --set ptq.keep_fp32=fc --set ptq.adaround=true --set ptq.adaround_steps=20
is "what was kept stays" "$(recipe start/ptq.safetensors 'r["keep_fp32"].split(",")[0]')" fc
is "and is not chosen again" "$(recipe start/ptq.safetensors '"fc" in [s["layer"] for s in m["steps"]]')" False

# A limit that only FP32 holds: all layers go back, and the file predicts as FP32 does.
ptq_with whole --set ptq.max_mae_loss=1e-12
is "all layers" "$(recipe whole/ptq.safetensors 'len(m["steps"])')" 21
is "no loss to speak of" "$(recipe whole/ptq.safetensors 'm["steps"][-1]["mae"] < 1e-3')" True

# The path is in results.json and in the report.
cp base/fp32.safetensors half/
expect 0 eval --run half --data e
has half/results.json '"mixed_precision"'
expect 0 report --run half
has half/report.md "| (all) "
has half/report.md "| ${kept##*,} "
has half/report.html "Mixed precision"

# The pictures of error against latency and size show every try but the chosen one, which is PTQ's own mark.
python3 - <<'EOF' && pass || fail "the fronts are not of the models and the tries"
import csv, json

models = {m["model"]: m for m in json.load(open("half/results.json"))["models"]}
tries = json.load(open("half/quantization/ptq.json"))["tries"]["list"]
chosen, = [t for t in tries if t["chosen"]]
near = lambda a, b: abs(a - b) <= 1e-5 * abs(b)
assert near(chosen["mae"], models["PTQ"]["val_mae"]), "the errors are on one axis"
for picture, column in ("size", "size_mb"), ("latency", "latency_ms"):
    rows = list(csv.DictReader(open(f"half/plots/front_{picture}.csv")))
    want = [(t[column], t["mae"], f'{t["layer"]} to {t["to"]}', t["keep_fp32"] or "-") for t in tries if not t["chosen"]]
    got = [(float(r[column]), float(r["mae"]), r["step"], r["keep_fp32"]) for r in rows if r["model"] == "(try)"]
    assert len(got) == len(want) > 0, (got, want)
    assert all(near(g[0], w[0]) and near(g[1], w[1]) and g[2:] == w[2:] for g, w in zip(got, want)), (got, want)
    assert "ptq" in [r["model"] for r in rows]
    at = lambda r: (float(r[column]), float(r["mae"]))
    for r in rows:
        beaten = any(at(o) != at(r) and all(a <= b for a, b in zip(at(o), at(r))) for o in rows)
        assert float(r["on_front"]) == (not beaten), r
EOF

for value in -1 nan 101 x; do
    expect_error 2 "ptq.max_mae_loss = $value" ptq --run no --set ptq.max_mae_loss="$value"
done
mkdir unjudged && cp -r e/Videos unjudged/ && grep -v VAL e/FileList.csv >unjudged/FileList.csv
expect_error 1 "the VAL split has no clips" ptq --run no2 --data unjudged --model base/fp32.safetensors "${TINY[@]}" \
    --set ptq.max_mae_loss=1
not_there no no2/ptq.safetensors
summary
