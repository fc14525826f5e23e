#!/usr/bin/env bash
# ptq.arithmetic = winograd: one more kind of INT8 model, from calibration to report, and what it does not go with.
. "$(dirname "$0")/lib.sh"

tiny_data d
expect 0 train --run base --data d "${TINY[@]}"
W=(--set ptq.arithmetic=winograd)

# ptq_with NAME ARGUMENTS...: NAME/ptq.safetensors from the one baseline.
ptq_with() {
    local name=$1
    shift
    expect 0 ptq --run "$name" --data d --model base/fp32.safetensors "${TINY[@]}" "$@"
    there "$name/ptq.safetensors"
}

version() { # FILE: the format's version
    python3 -c '
import json, struct, sys
f = open(sys.argv[1], "rb")
print(json.loads(f.read(struct.unpack("<Q", f.read(8))[0]))["__metadata__"]["version"])' "$1"
}

# ---- the model ----
ptq_with w "${W[@]}"
ptq_with again "${W[@]}" --threads 1
same w/ptq.safetensors again/ptq.safetensors
ptq_with direct
ptq_with said --set ptq.arithmetic=direct
same direct/ptq.safetensors said/ptq.safetensors
is "version of a direct model" "$(version direct/ptq.safetensors)" 1
is "version of a model in the domain" "$(version w/ptq.safetensors)" 3
expect 0 inspect w/ptq.safetensors --json
python3 - "$OUT" <<'PY' && pass || fail "inspect of a model in the domain"
import json, sys
m = json.load(open(sys.argv[1]))
assert m["recipe"]["arithmetic"] == "winograd"
layers = {l["name"]: l for l in m["layers"]}
inside = [n for n, l in layers.items() if l.get("winograd")]
assert len(inside) == 13 and all(layers[n]["shape"][0] == 36 for n in inside), inside
for n in ("conv1", "layer2.0.conv1", "layer2.0.downsample.0", "fc"):
    assert n not in inside, n
PY
expect 0 inspect direct/ptq.safetensors --json
python3 - "$OUT" <<'PY' && pass || fail "inspect of a direct model"
import json, sys
m = json.load(open(sys.argv[1]))
assert "arithmetic" not in m["recipe"] and not any("winograd" in l for l in m["layers"])
PY

# The same EFs on every instruction set and any number of threads.
clips=(d/Videos/*.avi)
expect 0 predict --json --model w/ptq.safetensors "${clips[@]}"
efs "$OUT" >efs
expect 0 predict --json --model direct/ptq.safetensors "${clips[@]}"
if cmp -s efs <(efs "$OUT"); then fail "the arithmetic changes nothing"; else pass; fi
for cpu in ref avx2 avxvnni avx512 avx512vnni amx neon neondot; do
    run predict --json --model w/ptq.safetensors --cpu "$cpu" "${clips[@]}"
    if [ "$STATUS" != 0 ] && grep -qF "$cpu" "$ERR"; then
        skip "--cpu $cpu: not on this CPU"
        continue
    fi
    is "exit code with --cpu $cpu" "$STATUS" 0
    same efs <(efs "$OUT")
done
for threads in 1 2 3; do
    expect 0 predict --json --model w/ptq.safetensors --threads "$threads" "${clips[@]}"
    same efs <(efs "$OUT")
done

# ---- with other settings ----
declare -A settings=([observer]=ptq.observer=percentile [weights]=ptq.weight_observer=mse [layer]=ptq.per_channel=false
    [bits4]=ptq.weight_bits=4 [equalize]=ptq.equalize=true [bn]=ptq.reestimate_bn=true [bias]=ptq.bias_correction=true
    [kept]=ptq.keep_fp32=layer1.0.conv1,layer3.1.conv2)
for name in "${!settings[@]}"; do
    ptq_with "$name" "${W[@]}" --set "${settings[$name]}"
    if cmp -s <(tensors w/ptq.safetensors) <(tensors "$name/ptq.safetensors"); then
        fail "${settings[$name]} changes nothing"
    else
        pass
    fi
    expect 0 predict --json --model "$name/ptq.safetensors" "${clips[@]}"
done
is "a 4-bit file is less than six tenths of an 8-bit one" \
    "$(($(stat -c %s bits4/ptq.safetensors) * 10 < $(stat -c %s w/ptq.safetensors) * 6))" 1
is "layers in the domain with two in FP32" "$("$BIN" inspect kept/ptq.safetensors --json | python3 -c '
import json, sys
print(sum("winograd" in l for l in json.load(sys.stdin)["layers"]))')" 11
is "version of a mixed model in the domain" "$(version kept/ptq.safetensors)" 3
ptq_with limit "${W[@]}" --set ptq.weight_bits=2 --set ptq.max_mae_loss=0.001
ptq_with found "${W[@]}" --set ptq.search=true
has "$ERR" "search 11"
expect 0 inspect found/ptq.safetensors --json
if grep -q '"adaround *= *true\|tried": "adaround' "$OUT"; then fail "the search tried AdaRound"; else pass; fi

# ---- the run ----
cp base/fp32.safetensors w/
expect 0 eval --run w "${W[@]}"
has "$OUT" "| INT8, Winograd |"
has w/results.json '"arithmetic": "winograd"'
expect 0 report --run w
for file in w/report.md w/report.html; do
    has "$file" "INT8, Winograd"
    has "$file" "3x3 convolutions in Winograd"
done
expect 0 verify w
has "$OUT" " hold, 0 differ"
expect 0 sensitivity --run w "${W[@]}"
python3 - w/sensitivity.json <<'PY' && pass || fail "sensitivity.json"
import json, sys
r = json.load(open(sys.argv[1]))
assert len(r["layers"]) == 21
for l in r["layers"]:
    assert l["weight_sqnr_db"] > 10 and l["output_sqnr_db"] > 5, l
PY
expect 0 bench --model w/ptq.safetensors --layers --set bench.layer_ms=1
has "$OUT" "u8s8_conv_domain"
expect 0 bench --fresh int8 "${W[@]}" --set data.frames=2 --set data.size=32 --set model.width=8 --layers --set bench.layer_ms=1
has "$OUT" "u8s8_conv_domain"

# QAT in the domain starts from PTQ's ranges of the same arithmetic, and calibrates beside another one.
expect 0 qat --run w "${W[@]}" --set qat.arithmetic=winograd
has "$ERR" "activation ranges start from w/ptq.safetensors"
expect 0 inspect w/qat.safetensors
has "$OUT" 'arithmetic = "winograd"'
expect 0 eval --run w "${W[@]}"
is "rows in the domain" "$(grep -c 'INT8, Winograd' "$OUT")" 2
expect 0 verify w
has "$OUT" " hold, 0 differ"
expect 0 qat --run direct --data d --model base/fp32.safetensors "${TINY[@]}" --set qat.arithmetic=winograd
has "$ERR" "is of another arithmetic (direct or winograd)"
expect_error 2 "is of another arithmetic" qat --run said --data d --model base/fp32.safetensors "${TINY[@]}" \
    --set qat.arithmetic=winograd --set qat.start=ptq

# Another arithmetic is another model: the run keeps the one that it has.
expect_error 2 "ptq.arithmetic winograd -> direct" ptq --run w --data d --set ptq.arithmetic=direct

# ---- what is refused ----
expect_error 2 "ptq.adaround and ptq.arithmetic = winograd cannot be combined" \
    ptq --run none --data d --model base/fp32.safetensors "${W[@]}" --set ptq.adaround=true
expect_error 2 "qat.method = lsq and qat.arithmetic = winograd cannot be combined" \
    qat --run none --data d --model base/fp32.safetensors --set qat.method=lsq --set qat.arithmetic=winograd
not_there none
expect_error 2 "ptq.arithmetic = lavin is not allowed: it must be one of direct, winograd" ptq --run none --data d --model base/fp32.safetensors --set ptq.arithmetic=lavin
expect_error 1 "make the model with ptq.arithmetic = direct" export w/ptq.safetensors --onnx w.onnx
not_there w.onnx
run bench --device opencl --model w/ptq.safetensors
if grep -q 'there is no device' "$ERR"; then
    skip "no OpenCL device"
elif why=$(opencl_lacks); then
    skip "PoCL's compiler: $why"
else
    expect_error 1 "use --device cpu, or make the model with ptq.arithmetic = direct" \
        predict --device opencl --model w/ptq.safetensors "${clips[0]}"
fi

summary
