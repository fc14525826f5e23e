#!/usr/bin/env bash
# What the settings qat.* do: where ranges start, bits, freezing, learned scales, the teacher, the control; and the starts
# that are refused.
. "$(dirname "$0")/lib.sh"

tiny_data d
BASE=("${TINY[@]}" --data d --threads 2)
expect 0 train --run a "${BASE[@]}"
expect 0 ptq --run a

# as DIR ARGUMENTS...: qat behind a's baseline, in a folder of its own.
as() {
    local dir=$1
    shift
    rm -rf "$dir" && mkdir "$dir" && cp -r a/config.json a/fp32.safetensors a/ptq.safetensors a/history "$dir/"
    expect 0 qat --run "$dir" "$@"
}

# tensor FILE NAME...: their values, one line each.
tensor() {
    python3 - "$@" <<'PY'
import json, struct, sys
raw = open(sys.argv[1], "rb").read()
n = struct.unpack("<Q", raw[:8])[0]
header = json.loads(raw[8:8 + n])
for name in sys.argv[2:]:
    begin, end = header[name]["data_offsets"]
    print(name, raw[8 + n + begin:8 + n + end].hex())
PY
}

# From PTQ's file and from a calibration of one's own: the same bits, and the recipe says from which. PTQ by another
# observer, as a search may choose it, is another start with other bits.
as from_ptq
has "$ERR" "activation ranges start from from_ptq/ptq.safetensors"
has <("$BIN" inspect from_ptq/qat.safetensors) 'start = "ptq.safetensors, hash '
as calibrated --set qat.start=calibrate
has "$ERR" "calibrated on 4 clips"
has <("$BIN" inspect calibrated/qat.safetensors) 'start = "calibrated, minmax"'
same <(tensors from_ptq/qat.safetensors) <(tensors calibrated/qat.safetensors)
expect 0 qat --run many "${BASE[@]}" --model a/fp32.safetensors --set ptq.clips=64 # of which there are 6
has "$ERR" "calibrated on 6 clips"
has <("$BIN" inspect many/qat.safetensors) "clips = 6"
cp a/fp32.safetensors many/
expect 0 eval --run many
expect 0 report --run many
has many/report.md "activation ranges at first: calibrated, minmax on 6 clips"
expect 0 ptq --run clipped "${BASE[@]}" --model a/fp32.safetensors --set ptq.observer=hist_mse
cp -r a/config.json a/fp32.safetensors a/history clipped/
expect 0 qat --run clipped
has <("$BIN" inspect clipped/qat.safetensors) 'start = "ptq.safetensors, hash '
hash=$("$BIN" inspect clipped/qat.safetensors | grep -o 'ptq.safetensors, hash [0-9a-f]*')
is "another file, the same hash" "$("$BIN" inspect from_ptq/qat.safetensors | grep -c "$hash")" 0
cmp -s <(tensors clipped/qat.safetensors) <(tensors calibrated/qat.safetensors) &&
    fail "PTQ by another observer makes the start that the settings make" || pass

# What is written beside the model, of the epoch that is kept: the start, the same from either.
python3 - from_ptq/quantization/qat.json calibrated/quantization/qat.json <<'PY' && pass || fail "quantization/qat.json"
import json, sys
r, other = (json.load(open(p)) for p in sys.argv[1:])
assert r == other and r["model"] == "qat" and "layers" not in r and len(r["edges"]) == 20
assert all(p["rms_from_fp32"] > 0 for p in r["parts"].values()) and r["mae_fp32"] > 0
PY

# Files that are no start: missing, of another baseline, equalized.
rm from_ptq/ptq.safetensors
expect_error 1 "ptq.safetensors is missing" qat --run from_ptq --force --set qat.start=ptq
expect 0 train --run other "${BASE[@]}" --seed 2
expect_error 2 "weights are not the baseline's" qat --run a --model other/fp32.safetensors --set qat.start=ptq
expect 0 qat --run a --model other/fp32.safetensors --set qat.start=auto
has "$ERR" "calibrating"
expect 0 ptq --run equal "${BASE[@]}" --model a/fp32.safetensors --set ptq.equalize=true
expect_error 2 "weights are not the baseline's" qat --run equal --model a/fp32.safetensors --set qat.start=ptq

# A baseline of another form.
expect_error 2 "data.frames = 2 and data.size = 32, but the settings are 3 and 32" \
    qat --run form "${BASE[@]}" --model a/fp32.safetensors --set data.frames=3
expect_error 2 "the settings are 2 and 40" qat --run form "${BASE[@]}" --model a/fp32.safetensors --set data.size=40
expect_error 2 "model.width = 8, but the setting is 16" \
    qat --run form "${BASE[@]}" --model a/fp32.safetensors --set model.width=16
expect_error 2 "already quantized" qat --run form "${BASE[@]}" --model a/ptq.safetensors
expect_error 2 "model.width" qat --control --run form "${BASE[@]}" --model a/fp32.safetensors --set model.width=16
expect_error 2 "one of ste, lsq" qat --run form "${BASE[@]}" --set qat.method=pact
expect_error 2 "2..8 bits" qat --run form "${BASE[@]}" --set qat.weight_bits=9
expect_error 2 "0..1" qat --run form "${BASE[@]}" --set qat.distill=1.5
not_there form/qat.safetensors

# The start is a candidate. With steps of no size no epoch is better, and the start is the file: PTQ's, with weights by
# min-max (STE) or MSE (LSQ), to the bit; the control's is the baseline. The command says so, and so do file and history.
NO_STEPS=(--set qat.lr=1e-12 --set qat.scale_lr=1e-12 --set qat.freeze_observer_epoch=1 --set qat.freeze_bn_epoch=1)
for method in ste lsq; do
    [ "$method" = ste ] && weights=minmax || weights=mse
    as "start_$method" --set "qat.method=$method" "${NO_STEPS[@]}"
    has "$ERR" "qat start: validation MAE "
    has "$ERR" "no epoch was better than the start"
    has <("$BIN" inspect "start_$method/qat.safetensors") "kept_epoch = 0"
    is "epochs of the history" "$(cut -d, -f1 "start_$method/history/qat.csv" | xargs)" "epoch 0 1"
    expect 0 ptq --run "weights_$weights" "${BASE[@]}" --model a/fp32.safetensors --set "ptq.weight_observer=$weights"
    same <(tensors "start_$method/qat.safetensors") <(tensors "weights_$weights/ptq.safetensors")
done
mkdir start_control && cp -r a/config.json a/fp32.safetensors a/history start_control/
expect 0 qat --control --run start_control "${NO_STEPS[@]}"
has "$ERR" "fp32_plus: no epoch was better than the start"
same a/fp32.safetensors start_control/fp32_plus.safetensors

# An epoch that is better than the start.
far_data d far
expect 0 ptq --run far_start "${BASE[@]}" --data far --model a/fp32.safetensors
cp a/fp32.safetensors far_start/
LONGER=(--set qat.lr=2e-3 --set qat.epochs=3 --set qat.freeze_bn_epoch=2)

# Frozen from the first epoch on, ranges are PTQ's; otherwise they move. Learned scales of edges, too.
edges=(conv1.scale layer1.0.conv1.scale layer4.1.conv2.scale layer2.0.downsample.0.zero_point)
tensor a/ptq.safetensors "${edges[@]}" >ranges
for method in ste lsq; do
    for freeze in 1 0; do
        cp -r far_start "$method$freeze"
        expect 0 qat --run "$method$freeze" "${LONGER[@]}" --set "qat.freeze_observer_epoch=$freeze" --set "qat.method=$method"
        is "the start is not kept" \
            "$("$BIN" inspect "$method$freeze/qat.safetensors" | grep -c "kept_epoch = [1-3]")" 1
    done
    is "frozen ranges with $method" "$(tensor "${method}1/qat.safetensors" "${edges[@]}")" "$(cat ranges)"
    moved=$(tensor "${method}0/qat.safetensors" "${edges[@]}" | diff - ranges | grep -c '^<')
    is "moving ranges with $method" "$((moved >= 3))" 1
done
has <("$BIN" inspect lsq0/qat.safetensors) "activations by lsq"

# Frozen statistics of batch norm stay the baseline's, in the control as well.
stats=(bn1.running_mean layer4.1.bn2.running_var)
cp -r far_start bn
for freeze in 1 0; do
    expect 0 qat --control --run bn "${LONGER[@]}" --set "qat.freeze_bn_epoch=$freeze" --force
    cmp -s <(tensor bn/fp32_plus.safetensors conv1.weight) <(tensor a/fp32.safetensors conv1.weight) &&
        fail "the control keeps the start" || pass
    cmp -s <(tensor bn/fp32_plus.safetensors "${stats[@]}") <(tensor a/fp32.safetensors "${stats[@]}") && kept=1 || kept=0
    is "statistics of batch norm that stay, freeze_bn_epoch $freeze" "$kept" "$freeze"
done

# Bits: packed in the file, noted in it, kept by inspect; each width another model.
last=
for bits in 8 6 4; do
    as "bits$bits" --set "qat.weight_bits=$bits" --set qat.method=lsq
    size=$(stat -c %s "bits$bits/qat.safetensors")
    [ -z "$last" ] || is "$bits bits are smaller" "$((size < last))" 1
    last=$size
    has <("$BIN" inspect "bits$bits/qat.safetensors") "weight_bits = $bits"
    expect 0 eval qat --run "bits$bits"
done

# A quantized file stands alone: predict has nothing but it and the clip, and says what eval wrote.
name=$(sed -n 2p bits4/predictions/qat.csv | cut -d, -f1)
mkdir alone && cp bits4/qat.safetensors alone/m.safetensors && cp "d/Videos/$name.avi" alone/clip.avi
(cd alone && env -i "$BIN" predict --json --model m.safetensors clip.avi) >"$OUT" 2>"$ERR"
is "predict by a file that stands alone" "$(efs "$OUT")" "$(sed -n 2p bits4/predictions/qat.csv | cut -d, -f4)"
is "what predict leaves" "$(ls alone | xargs)" "clip.avi m.safetensors"

# What inspect says of each layer is what the file holds.
for bits in 8 6 4; do
    expect 0 inspect "bits$bits/qat.safetensors" --json
    python3 - "$OUT" "bits$bits/qat.safetensors" "$bits" <<'PY' && pass || fail "inspect of $bits bits"
import json, math, struct, sys
said = json.load(open(sys.argv[1]))
raw = open(sys.argv[2], "rb").read()
n = struct.unpack("<Q", raw[:8])[0]
header = json.loads(raw[8:8 + n])
def values(name, kind):
    begin, end = header[name]["data_offsets"]
    return struct.unpack(f"<{(end - begin) // 4}{kind}", raw[8 + n + begin:8 + n + end])
def size(name):
    begin, end = header[name]["data_offsets"]
    return end - begin
layers = {layer["name"]: layer for layer in said["layers"]}
named = {key[:-len(".weight")] for key in header if key.endswith(".weight")}
assert len(named) == 21 and named <= set(layers)
for name in named:
    layer = layers[name]
    scales = values(name + ".weight_scale", "f")
    assert layer["shape"][0] == len(scales) and layer["weight_bits"] == int(sys.argv[3])
    assert all(math.isclose(a, b, rel_tol=1e-6) for a, b in zip(layer["weight_scale"], (min(scales), max(scales))))
    assert layer["bytes"] == sum(size(name + part) for part in (".weight", ".weight_scale", ".bias"))
    per_channel = math.prod(layer["shape"][1:])
    assert size(name + ".weight") == len(scales) * ((per_channel * int(sys.argv[3]) + 7) // 8)
    if name != "fc":
        assert math.isclose(layer["scale"], values(name + ".scale", "f")[0], rel_tol=1e-6)
        assert layer["zero_point"] == values(name + ".zero_point", "i")[0]
PY
done

# A version that is not known yet.
python3 - alone/m.safetensors <<'PY'
import re, sys
raw = open(sys.argv[1], "rb").read()
changed, n = re.subn(rb'("version" *: *)"\d"', rb'\1"9"', raw, count=1)
assert n == 1 and len(changed) == len(raw)
open(sys.argv[1], "wb").write(changed)
PY
for command in predict inspect bench; do
    case $command in
    predict) arguments=(--model alone/m.safetensors alone/clip.avi) ;;
    inspect) arguments=(alone/m.safetensors) ;;
    bench) arguments=(--model alone/m.safetensors) ;;
    esac
    expect_error 1 "version 9" "$command" "${arguments[@]}"
done

# The teacher: no share, no difference; a whole share, and the targets don't matter.
as taught --set qat.distill=0.5
cmp -s taught/qat.safetensors from_ptq/qat.safetensors && fail "the teacher changes nothing" || pass
as wholly --set qat.distill=1
loss=$(sed -n 3p wholly/history/qat.csv | cut -d, -f3) plain=$(sed -n 3p calibrated/history/qat.csv | cut -d, -f3)
is "the loss to the teacher ($loss) is far below that to the targets ($plain)" \
    "$(awk -v a="$loss" -v b="$plain" 'BEGIN {print (a < b / 4)}')" 1
summary
