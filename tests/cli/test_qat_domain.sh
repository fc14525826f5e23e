#!/usr/bin/env bash
# QAT with the transforms of Winograd's domain in the loop: its start, resuming, threads, accumulated batches, what the file
# holds, and what is refused.
. "$(dirname "$0")/lib.sh"

tiny_data d
BASE=("${TINY[@]}" --data d --set qat.epochs=2 --set qat.lr=2e-3 --threads 2)
DOMAIN=(--set ptq.arithmetic=winograd --set qat.arithmetic=winograd)
expect 0 train --run a "${BASE[@]}" "${DOMAIN[@]}"
expect 0 ptq --run a

# as DIR ARGUMENTS...: qat behind a's baseline, in a folder of its own.
as() {
    local dir=$1
    shift
    rm -rf "$dir" && mkdir "$dir" && cp -r a/config.json a/fp32.safetensors a/ptq.safetensors a/history "$dir/"
    expect 0 qat --run "$dir" "$@"
}

# tensors FILE [PATTERN]: those whose name has the pattern, each with a hash.
tensors() {
    python3 - "$1" "${2:-}" <<'PY'
import hashlib, json, struct, sys
raw = open(sys.argv[1], "rb").read()
n = struct.unpack("<Q", raw[:8])[0]
header = json.loads(raw[8:8 + n])
for name, t in sorted(header.items()):
    if name != "__metadata__" and sys.argv[2] in name:
        begin, end = t["data_offsets"]
        print(name, t["shape"], hashlib.sha256(raw[8 + n + begin:8 + n + end]).hexdigest())
PY
}

# From PTQ's file and from a calibration of one's own: the same bits. The file says how it computes.
as whole
has "$ERR" "activation ranges start from whole/ptq.safetensors"
has <("$BIN" inspect whole/qat.safetensors) 'arithmetic = "winograd"'
as calibrated --set qat.start=calibrate
same <(tensors whole/qat.safetensors) <(tensors calibrated/qat.safetensors)
expect 0 eval qat --run whole
expect 0 report --run whole

# The start is a candidate: with steps of no size, the file is PTQ's to the bit.
NO_STEPS=(--set qat.lr=1e-12 --set qat.freeze_observer_epoch=1 --set qat.freeze_bn_epoch=1)
as start "${NO_STEPS[@]}"
has <("$BIN" inspect start/qat.safetensors) "kept_epoch = 0"
same <(tensors start/qat.safetensors) <(tensors start/ptq.safetensors)

# Ranges of points move unless they are frozen.
far_data d far
expect 0 ptq --run held "${BASE[@]}" "${DOMAIN[@]}" --data far --model a/fp32.safetensors
cp a/fp32.safetensors held/
cp -r held moving
LONGER=(--set qat.epochs=3 --set qat.freeze_bn_epoch=2)
expect 0 qat --run held "${LONGER[@]}" --set qat.freeze_observer_epoch=1
is "the start is not kept" "$("$BIN" inspect held/qat.safetensors | grep -c "kept_epoch = [1-3]")" 1
same <(tensors held/qat.safetensors .point_) <(tensors a/ptq.safetensors .point_)
expect 0 qat --run moving "${LONGER[@]}" --set qat.freeze_observer_epoch=0
is "13 layers have points" "$(tensors moving/qat.safetensors .point_ | grep -c point_)" 26
cmp -s <(tensors moving/qat.safetensors .point_) <(tensors a/ptq.safetensors .point_) && fail "points did not move" || pass

# One thread, and a training that was stopped after its first epoch: the same bytes.
as one --threads 1
same whole/qat.safetensors one/qat.safetensors
rm -rf stopped && mkdir stopped && cp -r a/config.json a/fp32.safetensors a/ptq.safetensors a/history stopped/
"$BIN" qat --run stopped >"$OUT" 2>"$ERR" </dev/null &
CHILD=$!
while [ ! -e stopped/state/qat.state.safetensors ] && kill -0 "$CHILD" 2>/dev/null; do sleep 0.01; done
kill -s TERM "$CHILD" 2>/dev/null
STATUS=0
wait "$CHILD" || STATUS=$?
is "exit after SIGTERM" "$STATUS" 130
there stopped/state/qat.state.safetensors
expect_error 2 "qat.arithmetic" qat --run stopped --set qat.arithmetic=direct
expect 0 qat --run stopped --threads 1
has "$ERR" "resuming"
same whole/qat.safetensors stopped/qat.safetensors

# Accumulated batches; PTQ's file of the other arithmetic is no start.
as accumulated --set qat.accumulate=3
as accumulated_one --set qat.accumulate=3 --threads 1
same accumulated/qat.safetensors accumulated_one/qat.safetensors
expect 0 ptq --run direct "${BASE[@]}" --model a/fp32.safetensors
expect_error 2 "of another arithmetic" \
    qat --run direct --model a/fp32.safetensors --set qat.arithmetic=winograd --set qat.start=ptq
expect_error 2 "qat.method = lsq and qat.arithmetic = winograd" qat --run a --set qat.method=lsq
not_there a/qat.safetensors

# Direct as ever: the setting itself changes nothing.
as direct_qat --set qat.arithmetic=direct --set qat.start=calibrate
cmp -s <(tensors direct_qat/qat.safetensors conv2.weight) <(tensors whole/qat.safetensors conv2.weight) &&
    fail "direct and winograd have the same weights" || pass
summary
