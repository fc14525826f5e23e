#!/usr/bin/env bash
# scripts/compare_peers.py as far as it goes without the peers: its options, our side of each part, its files.
. "$(dirname "$0")/lib.sh"

# compare STATUS ARGUMENTS...
compare() {
    local wanted=$1
    shift
    STATUS=0
    python3 "$SOURCE/scripts/compare_peers.py" --binary "$BIN" --work work "$@" >"$OUT" 2>"$ERR" </dev/null || STATUS=$?
    if [ "$STATUS" = "$wanted" ]; then
        pass
    else
        fail "exit $STATUS instead of $wanted: compare_peers.py $*"
        show
    fi
}

# refused TEXT ARGUMENTS...: wrong usage, said so before anything is measured or written.
refused() {
    local text=$1
    shift
    compare 2 "$@"
    has "$ERR" "$text"
    is "results in spite of an error" "$(cat "$OUT")" ""
    not_there work
}

SMALL=(--peers none --frames 4 --size 32 --rounds 1 --train-rounds 1 --calls 2 --warmup 1)

compare 0 --help
for option in --parts --peers --frames --size --batch --threads --rounds --run --model-fp32 --model-int8 --data --python \
    --json --markdown; do
    has "$OUT" "$option"
done
refused "'int4' is none of fp32, train, int8, file, scaling, all" --parts fp32,int4
refused "'tensorflow' is none of onnxruntime, openvino, pytorch, all, none" --peers tensorflow
refused "'0' is not a whole number in 1..64" --frames 0
refused "'x' is not a whole number in 32..512" --size x
refused "scripts/setup.sh builds it" --binary nowhere/echoquant
refused "there is no model file nowhere/fp32.safetensors" --run nowhere
refused "go together" --model-fp32 a
refused "holds no FileList.csv" --data nowhere
refused "there is no folder for nowhere/a.json" --json nowhere/a.json
refused "nowhere/python is not a Python that runs" --python nowhere/python --peers onnxruntime

compare 0 "${SMALL[@]}" --json all.json --markdown all.md
there work/model-4x32/fp32.safetensors work/model-4x32/ptq.safetensors work/fp32.onnx work/int8_u8.onnx
same "$OUT" all.md
for text in "FP32 inference, one clip of 4 x 32 x 32" "Training step, 4 clips" "INT8 inference" "From file to EF" \
    "echoquant alone" "INT8 over FP32" "| echoquant FP32 "; do
    has all.md "$text"
done
python3 - <<'PYTHON' && pass || fail "all.json"
import json
d = json.load(open("all.json"))
assert list(d["parts"]) == ["fp32", "train", "int8", "file", "scaling"], d["parts"]
assert d["machine"]["isa"] and d["versions"]["echoquant"] and d["settings"]["form"] == "4 x 32 x 32", d
for name, part in d["parts"].items():
    assert part["against"] is None, name
    assert all(0 < row["min_ms"] <= row["median_ms"] and not row["peer"] for row in part["rows"]), part
assert d["parts"]["file"]["clip"].endswith(".avi")
PYTHON

# Models of the user's, of another form.
MODELS=(--model-fp32 work/model-4x32/fp32.safetensors --model-int8 work/model-4x32/ptq.safetensors --data work/clips)
compare 0 "${SMALL[@]}" "${MODELS[@]}" --frames 6 --size 48 --parts fp32,int8,file --cpu ref
has "$OUT" "one clip of 6 x 48 x 48"
has "$OUT" "echoquant used ref"
has "$OUT" "fp32-6x48.safetensors"
compare 1 "${SMALL[@]}" --model-fp32 "$SOURCE/README.md" --model-int8 "$SOURCE/README.md" --data work/clips
has "$ERR" "README.md can't be read as a safetensors file"
compare 1 "${SMALL[@]}" --cpu pentium
has "$ERR" "pentium"

python3 "$SOURCE/tests/cli/peers_race.py" "$SOURCE" work/model-4x32/fp32.safetensors && pass || fail "peers_race.py"
summary
