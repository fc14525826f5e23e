#!/usr/bin/env bash
# export: what it writes and what it refuses. test_onnx.sh runs the files.
. "$(dirname "$0")/lib.sh"

tiny_data data
expect 0 train --run a --data data "${TINY[@]}" --set train.epochs=1
expect 0 ptq --run a

for model in fp32 ptq; do
    expect 0 export --model "a/$model.safetensors" --onnx "$model.onnx"
    has "$OUT" "$model.onnx: ONNX opset 17"
    has "$model.onnx" "echoquant-onnx"
    is "stderr of export" "$(cat "$ERR")" ""
    cp "$model.onnx" first
    expect 0 export --model "a/$model.safetensors" --onnx "$model.onnx"
    same "$model.onnx" first
    expect 0 export --model "a/$model.safetensors" -o "$model.onnx" --opset 21
    has "$OUT" "opset 21"
done
has "$OUT" "INT8 (QDQ)"
expect 0 export --model a/ptq.safetensors --onnx u8.onnx --residual u8
has u8.onnx "layer4.1.conv2/addend"
expect 0 export --model a/ptq.safetensors --onnx u8.onnx --residual float --opset 21
same u8.onnx ptq.onnx
rm u8.onnx
is "INT8 takes less than FP32" "$(($(stat -c %s ptq.onnx) < $(stat -c %s fp32.onnx)))" 1
is "nothing else" "$(find . -maxdepth 1 -type f ! -name '.*' -printf '%f\n' | sort | xargs)" "first fp32.onnx ptq.onnx"

# Refusals leave what was there.
printf 'mine' >kept.onnx
printf 'no model' >text.safetensors
expect_error 2 "needs a model, FILE or --model FILE, and --onnx FILE" export --model a/fp32.safetensors
expect_error 2 "needs a model, FILE or --model FILE, and --onnx FILE" export --onnx kept.onnx
for opset in 16 22 17.5 x ""; do
    expect_error 2 "must be 17 to 21" export --model a/fp32.safetensors --onnx kept.onnx --opset "$opset"
done
expect_error 2 "must be float or u8" export --model a/ptq.safetensors --onnx kept.onnx --residual s8
expect_error 2 "an FP32 model" export --model a/fp32.safetensors --onnx kept.onnx --residual u8
expect_error 2 "accepts only one model file" export ptq --model a/fp32.safetensors --onnx kept.onnx
expect_error 2 "no such option" export --model a/fp32.safetensors --onnx kept.onnx --set data.frames=3
expect_error 1 "missing.safetensors" export --model missing.safetensors --onnx kept.onnx
expect_error 1 "text.safetensors" export --model text.safetensors --onnx kept.onnx
expect_error 1 "fp32.onnx" export --model fp32.onnx --onnx kept.onnx
expect_error 1 "data" export --model data --onnx kept.onnx
expect_error 1 "nowhere/x.onnx" export --model a/ptq.safetensors --onnx nowhere/x.onnx
expect_error 1 "data: " export --model a/ptq.safetensors --onnx data
expect_error 1 "/dev/full" export --model a/ptq.safetensors --onnx /dev/full
for name in a/ptq.safetensors ./a/../a/ptq.safetensors; do
    expect_error 2 "is the model itself" export --model a/ptq.safetensors --onnx "$name"
done
is "what was there" "$(cat kept.onnx)" mine
summary
