#!/usr/bin/env bash
# Exported models in ONNX Runtime against our own engines, on every test clip of the smoke data and on the very pixels that
# prediction sees. Twice the smoke configuration's frames and larger pictures: with few values behind a mean, single
# roundings weigh more than they would in a real model.
. "$(dirname "$0")/lib.sh"

# .venv is what scripts/test.sh makes; tests/requirements-onnx.txt is in it.
PYTHON=$(python_with 'import numpy, onnx, onnxruntime')
if [ -z "$PYTHON" ]; then
    echo "skipped: no Python here has the packages of tests/requirements-onnx.txt (scripts/test.sh puts them into .venv)"
    exit 77
fi

FRAMES=8 SIDE=80 WIDTH=32
emulated && FRAMES=6 SIDE=64 WIDTH=16 # hours otherwise
SMOKE=(--config "$SOURCE/configs/smoke.json" --set data.frames=$FRAMES --set data.size=$SIDE --set model.width=$WIDTH
    --set train.epochs=1)
expect 0 train --run a "${SMOKE[@]}"
expect 0 ptq --run a
expect 0 ptq --run b --model a/fp32.safetensors "${SMOKE[@]}" --set ptq.observer=percentile
expect 0 ptq --run c --model a/fp32.safetensors "${SMOKE[@]}" --set ptq.weight_bits=6 \
    --set ptq.keep_fp32=conv1,layer2.0.conv1,layer4.1.conv2,fc
mkdir pixels
clips=()
while IFS=, read -r name _; do
    clips+=("data/synthetic-smoke/Videos/$name.avi")
    "$TEST_TOOLS/dump_clip" "${clips[-1]}" $FRAMES $SIDE "pixels/$name" || fail "dump_clip $name"
done < <(grep -i ',test$' data/synthetic-smoke/FileList.csv)
is "test clips" "${#clips[@]}" 6

# name, model file, how far EFs may lie apart, convolutions that ONNX Runtime runs in integers, options of export
while read -r name model limit integer options; do
    expect 0 predict --json --model "$model" "${clips[@]}"
    cp "$OUT" "$name.jsonl"
    for opset in 17 18 19 20 21; do
        # shellcheck disable=SC2086
        expect 0 export --model "$model" --onnx "$name-$opset.onnx" --opset $opset $options
        [ "$name" = ptq ] || [ "$name" = fp32 ] || break
    done
    "$PYTHON" "$SOURCE/tests/cli/onnx_parity.py" "$name.jsonl" pixels $FRAMES $SIDE "$limit" "$integer" "$name"-*.onnx 2>&1 && pass ||
        fail "$name in ONNX Runtime"
done <<'MODELS'
fp32 a/fp32.safetensors 0.001 0
ptq a/ptq.safetensors 0.1 12
u8 a/ptq.safetensors 0.3 20 --residual u8
percentile b/ptq.safetensors 0.1 12
mixed c/ptq.safetensors 0.1 10
MODELS
summary
