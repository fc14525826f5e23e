#!/usr/bin/env bash
# BF16 in training and inference: where the CPU has it, and how it is refused where not.
. "$(dirname "$0")/lib.sh"

tiny_data d
expect 0 train --run full --data d "${TINY[@]}"
MODEL=full/fp32.safetensors

# Below its level nothing is made, and the message says what is missing.
expect_error 1 "BF16 needs" train --run none --data d "${TINY[@]}" --set train.precision=bf16 --cpu ref
expect_error 1 "BF16 needs" run-all --run none --data d "${TINY[@]}" --set run.precision=bf16 --cpu ref
not_there none
expect_error 1 "BF16 needs" eval --run full --precision bf16 --cpu ref
expect_error 1 "BF16 needs" eval bf16 --run full --cpu ref
expect_error 1 "BF16 needs" bench --model $MODEL --precision bf16 --cpu ref
expect_error 1 "BF16 needs" predict --model $MODEL --precision bf16 --cpu ref d/Videos/*.avi
expect_error 2 "run.precision = int8" bench --model $MODEL --precision int8

run bench --model $MODEL --precision bf16 --set bench.repeats=2
if [ "$STATUS" != 0 ]; then
    has "$ERR" "BF16 needs a CPU with AVX512-BF16"
    skip "the rest: no AVX512-BF16 on this CPU"
    summary
    exit
fi
has "$OUT" "BF16,"
has "$OUT" "in FP32"

# A row of its own beside FP32's, from the same file.
expect 0 eval --run full
cp full/predictions/fp32.csv fp32.csv
expect 0 eval --run full --precision bf16
same full/predictions/fp32.csv fp32.csv
there full/predictions/bf16.csv
if cmp -s full/predictions/fp32.csv full/predictions/bf16.csv; then fail "BF16 predicts FP32's bits"; else pass; fi
is "order of the rows" "$(grep '^|' "$OUT" | cut -d'|' -f2 | tail -n +3 | tr -d ' ' | grep . | tr '\n' ' ')" "FP32 BF16 Median "
expect 0 predict --json --model $MODEL --precision bf16 d/Videos/*.avi
awk -F, 'NR > 1 {print $4}' full/predictions/bf16.csv | while read -r ef; do has <(efs "$OUT") "$ef"; done

# Trained in BF16: other weights, the same ones whatever the threads and after an interruption.
BF16=(--data d "${TINY[@]}" --set train.precision=bf16)
expect 0 train --run half "${BF16[@]}" --threads 1
expect 0 train --run again "${BF16[@]}" --threads 3
same half/fp32.safetensors again/fp32.safetensors
if cmp -s half/fp32.safetensors $MODEL; then fail "BF16 trains FP32's bits"; else pass; fi
expect_error 2 "train.precision bf16 -> fp32" ptq --run half --set train.precision=fp32
# What comes after is not BF16 and needs no such CPU.
expect 0 ptq --run half --cpu ref
expect_error 2 "is an INT8 model" bench --model half/ptq.safetensors --precision bf16

# The whole experiment with both.
expect 0 run-all --run all "${BF16[@]}" --set run.precision=bf16 --set qat.control=false
has "$OUT" "| BF16 "
has all/report.md "BF16: MAE"
expect 0 run-all --run all
has "$ERR" "nothing to do"
summary
