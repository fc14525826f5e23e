#!/usr/bin/env bash
# What the settings of ptq do to a model and its file, and which of them, or of its inputs, are refused.
. "$(dirname "$0")/lib.sh"

tiny_data d
expect 0 train --run base --data d "${TINY[@]}"

# ptq_with NAME ARGUMENTS...: runs/NAME/ptq.safetensors from the one baseline.
ptq_with() {
    local name=$1
    shift
    expect 0 ptq --run "$name" --data d --model base/fp32.safetensors "${TINY[@]}" "$@"
    there "$name/ptq.safetensors"
}

# Each switch changes the model, is noted in the file and in results.json, and two of the same are equal.
ptq_with plain
ptq_with again
same plain/ptq.safetensors again/ptq.safetensors
# What is written beside the model: the error in parts, ranges, and layers in FP32. Nothing but times depends on threads.
ptq_with one_thread --threads 1
python3 - plain/quantization/ptq.json one_thread/quantization/ptq.json <<'PY' && pass || fail "quantization/ptq.json"
import json, sys
TIMES = ("int8_ms", "fp32_ms", "cost_ms")
def steady(r):
    return {k: [steady(x) for x in v] if isinstance(v, list) and isinstance(v[0], dict) else v
            for k, v in r.items() if k not in TIMES and k != "seal"}
r, other = (json.load(open(p)) for p in sys.argv[1:])
assert steady(r) == steady(other)
assert r["format"] == "echoquant-quantization-1" and r["split"] == "VAL" and r["clips"] == 2, r["clips"]
parts = r["parts"]
assert list(parts) == ["weights", "activations", "both"] and all(p["rms_from_fp32"] > 0 for p in parts.values())
assert len(r["edges"]) == 20 and len(r["layers"]) == 21 and r["edges"][0]["edge"] == "conv1"
for e in r["edges"]:
    assert e["low"] <= 0 <= e["high"] and e["min"] <= e["max"] and 0 <= e["clipped"] < 0.1, e
    assert len(e["counts"]) == 64 and e["counts"][0] > 0 and e["counts"][-1] > 0
for l in r["layers"]:
    assert not l["fp32"] and l["int8_ms"] >= 0 and l["fp32_ms"] >= 0 and l["rms_from_fp32"] >= 0, l
    assert l["layer"] == "conv1" or l["layer"] == "fc" or abs(l["cost_ms"] - (l["fp32_ms"] - l["int8_ms"])) < 1e-9, l
assert len({l["rms_from_fp32"] for l in r["layers"]}) > 10 # each is another model
PY

declare -A switches=([mse]=ptq.observer=hist_mse [moving]=ptq.observer=moving_average
    [percentile]=ptq.observer=percentile [entropy]=ptq.observer=entropy [wmse]=ptq.weight_observer=mse
    [layer]=ptq.per_channel=false [bits6]=ptq.weight_bits=6 [bits4]=ptq.weight_bits=4 [equalize]=ptq.equalize=true
    [bias]=ptq.bias_correction=true [adaround]=ptq.adaround=true [bn]=ptq.reestimate_bn=true)
for name in "${!switches[@]}"; do
    set -- --set "${switches[$name]}"
    if [ "$name" = percentile ]; then set -- "$@" --set ptq.percentile=99; fi
    if [ "$name" = adaround ]; then set -- "$@" --set ptq.adaround_steps=30; fi
    ptq_with "$name" "$@"
    if cmp -s <(tensors plain/ptq.safetensors) <(tensors "$name/ptq.safetensors"); then
        fail "${switches[$name]} changes nothing"
    else
        pass
    fi
    key=${switches[$name]#ptq.}
    expect 0 inspect "$name/ptq.safetensors"
    has <(tr -d '"' <"$OUT") "${key%%=*} = ${key#*=}"
done
is "a 4-bit file is less than six tenths of an 8-bit one" \
    "$(($(stat -c %s bits4/ptq.safetensors) * 10 < $(stat -c %s plain/ptq.safetensors) * 6))" 1
cp base/fp32.safetensors bits4/
expect 0 eval --run bits4
has bits4/results.json '"weight_bits": 4'
expect 0 report --run bits4
has bits4/report.md "weights: 4 bits per channel, minmax."

# Layers that stay in FP32 cost and gain nothing more.
ptq_with two_in_fp32 --set ptq.keep_fp32=conv1,layer2.0.conv1
python3 - two_in_fp32/quantization/ptq.json <<'PY' && pass || fail "quantization/ptq.json with layers in FP32"
import json, sys
r = json.load(open(sys.argv[1]))
rows = {l["layer"]: l for l in r["layers"]}
for name in ("conv1", "layer2.0.conv1"):
    assert rows[name]["fp32"] and "cost_ms" not in rows[name] and "int8_ms" not in rows[name] and rows[name]["fp32_ms"] > 0
assert sum(l["fp32"] for l in r["layers"]) == 2 and len(r["edges"]) >= 18
PY

# More clips than there are: file, results and report state those that calibrated, the 6 of the training split.
ptq_with many --set ptq.clips=64
has "$ERR" "calibrated on 6 clips"
has <("$BIN" inspect many/ptq.safetensors) "clips = 6"
has many/config.json '"clips": 64'
cp base/fp32.safetensors many/
expect 0 eval --run many
is "clips in results.json" "$(python3 -c '
import json
print([m["recipe"]["clips"] for m in json.load(open("many/results.json"))["models"] if m["model"] == "PTQ"])')" "[6]"
expect 0 report --run many
has many/report.md " on 6 clips; weights"
has many/report.html " on 6 clips; weights"

# The search: deterministic, each try in the file, the best of them kept, as PTQ alone makes it with these settings.
ptq_with found --set ptq.search=true --set ptq.adaround_steps=30
has "$ERR" "search 12"
ptq_with refound --set ptq.search=true --set ptq.adaround_steps=30 --threads 1
same found/ptq.safetensors refound/ptq.safetensors
expect 0 inspect found/ptq.safetensors --json
python3 - "$OUT" >chosen <<'PY' && pass || fail "what the search says of itself"
import json, sys
recipe = json.load(open(sys.argv[1]))["recipe"]
search = recipe.pop("search")
tries = search["tries"]
assert search["fit_clips"] == 2 and search["judge_clips"] == 2 and len(tries) == 12
best = float("inf")
for t in tries:
    assert t["kept"] == (t["mse"] < best), t
    best = min(best, t["mse"])
    name, value = t["tried"].split(" = ")
    if name != "observer" and t["kept"]:
        assert str(recipe[name]).lower() == value, t
observers = [t for t in tries if t["tried"].startswith("observer = ")]
assert len(observers) == 7
assert [t["tried"] for t in observers if t["kept"]][-1].split()[2] == recipe["observer"]
for key, value in recipe.items():
    print("--set", f"ptq.{key}={str(value).lower()}")
PY
# shellcheck disable=SC2046
ptq_with by_hand $(cat chosen)
same <(tensors by_hand/ptq.safetensors) <(tensors found/ptq.safetensors)
expect_error 2 "ptq.search needs at least 2 calibration clips" ptq --run no --data d --model base/fp32.safetensors "${TINY[@]}" \
    --set ptq.search=true --set ptq.clips=1
rm -rf no
cp base/fp32.safetensors found/
expect 0 eval --run found
expect 0 report --run found
has found/report.md "settings found by ptq.search"
is "tries in the report" "$(grep -cE '^\| (observer|weight_observer|reestimate_bn|equalize|bias_correction|adaround) = ' \
    found/report.md)" 12
has found/report.html "search fitted each try on 2 calibration clips"

# An observer of the user's own, which is none of the list, is tried first; the list still is tried whole.
ptq_with own --set ptq.search=true --set ptq.adaround_steps=30 --set ptq.observer=percentile --set ptq.percentile=99.5
"$BIN" inspect own/ptq.safetensors --json >own.json
python3 - own.json <<'PY' && pass || fail "a search from an observer of one's own"
import json, sys
tries = [t["tried"] for t in json.load(open(sys.argv[1]))["recipe"]["search"]["tries"]]
observers = [t.split(" = ")[1] for t in tries if t.startswith("observer = ")]
assert len(tries) == 13 and observers == ["percentile 99.5", "minmax", "moving_average", "percentile 99.9",
                                          "percentile 99.99", "percentile 99.999", "hist_mse", "entropy"], tries
PY

# Mixed precision: what stays in FP32 is noted, a file of all of them predicts as FP32 does.
printf '{"ptq": {"keep_fp32": ["conv1", "layer2.0.downsample.0"]}}' >keep.json
ptq_with kept --config keep.json
expect 0 inspect kept/ptq.safetensors
is "layers in FP32" "$(grep -c ' FP32 ' "$OUT")" 2
has "$OUT" 'keep_fp32 = "conv1,layer2.0.downsample.0"'
has kept/config.json '"keep_fp32": ["conv1", "layer2.0.downsample.0"]'
all=$("$BIN" inspect plain/ptq.safetensors --json | python3 -c '
import json, sys
print(",".join(l["name"] for l in json.load(sys.stdin)["layers"] if "weight_bits" in l))')
ptq_with whole --set ptq.keep_fp32="$all"
clips=(d/Videos/*.avi)
expect 0 predict --json --model base/fp32.safetensors "${clips[@]}"
efs "$OUT" >fp32
expect 0 predict --json --model whole/ptq.safetensors "${clips[@]}"
paste fp32 <(efs "$OUT") | awk '$1 - $2 > 1e-3 || $2 - $1 > 1e-3 { exit 1 }' && pass ||
    fail "all layers in FP32 predict otherwise than FP32"
expect_error 2 "ptq.keep_fp32: there is no layer \"layer2.0.cnv1\"; did you mean layer2.0.conv1?" ptq --run no \
    --data d --model base/fp32.safetensors "${TINY[@]}" --set ptq.keep_fp32=conv1,layer2.0.cnv1
expect_error 2 "an array of strings" ptq --run no --config <(printf '{"ptq": {"keep_fp32": [1]}}')
rm -rf no

# Refused, before anything is written.
expect_error 2 "cannot be combined" ptq --run no --data d --model base/fp32.safetensors "${TINY[@]}" \
    --set ptq.bias_correction=true --set ptq.adaround=true
cp -r d untrained
sed -i 's/,TRAIN/,VAL/' untrained/FileList.csv
expect_error 1 "the TRAIN split has no clips to calibrate on" ptq --run no --data untrained \
    --model base/fp32.safetensors "${TINY[@]}"
rm -rf no
for percentile in 50 100.5 nan; do
    expect_error 2 "ptq.percentile = $percentile" ptq --run no --set ptq.percentile="$percentile"
done
expect_error 2 "ptq.weight_bits = 1" ptq --run no --set ptq.weight_bits=1
expect_error 2 "already quantized" ptq --run no --data d --model plain/ptq.safetensors "${TINY[@]}"
not_there no

# set_tensor FILE NAME BYTES: overwrites all of a tensor with a repeated byte.
set_tensor() {
    python3 - "$@" <<'PY'
import json, struct, sys
path, name, value = sys.argv[1:]
data = bytearray(open(path, "rb").read())
n = struct.unpack("<Q", data[:8])[0]
begin, end = json.loads(data[8 : 8 + n])[name]["data_offsets"]
data[8 + n + begin : 8 + n + end] = bytes.fromhex(value) * ((end - begin) * 2 // len(value))
open(path, "wb").write(data)
PY
}

# A layer whose output is always 0 has no scale; infinite activations are named with layer and clip; channels without
# weights are refused unless they are allowed.
cp base/fp32.safetensors dead.safetensors
for name in layer1.0.bn1.weight layer1.0.bn1.bias; do set_tensor dead.safetensors "$name" 00000000; done
expect_error 1 "layer1.0.conv1: all weights of 8 of 8 channels are 0" \
    ptq --run zero --data d --model dead.safetensors "${TINY[@]}"
expect_error 1 "layer1.0.conv1: its output was 0 throughout calibration" \
    ptq --run zero --data d --model dead.safetensors "${TINY[@]}" --set ptq.zero_channels=allow
cp base/fp32.safetensors silent.safetensors
set_tensor silent.safetensors layer1.0.bn1.weight 00000000
set_tensor silent.safetensors layer1.0.bn1.bias 0000803f
expect_error 1 "ptq.zero_channels = allow" ptq --run silent --data d --model silent.safetensors "${TINY[@]}"
expect 0 ptq --run silent --data d --model silent.safetensors "${TINY[@]}" --set ptq.zero_channels=allow
has "$ERR" "layer1.0.conv1: all weights of 8 of 8 channels are 0"
cp base/fp32.safetensors huge.safetensors
set_tensor huge.safetensors layer1.0.bn1.weight ffff7f7f
expect_error 1 "calibration, clip 0 (" ptq --run huge --data d --model huge.safetensors "${TINY[@]}"
has "$ERR" "layer1.0.conv1: "
summary
