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
    --json --markdown --busy --experiment --experiment-peer --experiment-rounds; do
    has "$OUT" "$option"
done
refused "'int4' is none of fp32, train, int8, file, scaling, all" --parts fp32,int4
refused "'tensorflow' is none of onnxruntime, openvino, pytorch, opencv, ncnn, all, none" --peers tensorflow
refused "'x' is not a whole number in 0..1024" --busy 2,x
refused "nowhere.json is no configuration file" --experiment nowhere.json
echo '{"train": {"epoch": 3}}' >unknown.json
refused "train.epoch is no setting" --experiment unknown.json
echo '{"model": {"width": 16}, "qat": {"control": false}}' >narrow.json
refused "with model.width = 16 the experiment has no counterpart in PyTorch; only the default, 64, has" --experiment narrow.json
echo '{"ptq": {"observer": "entropy"}}' >entropy.json
refused "minmax, moving_average, hist_mse have" --experiment entropy.json
refused "--experiment-peer is for --experiment with PyTorch" --experiment-peer narrow.json
refused "--experiment-peer is for --experiment with PyTorch" --experiment --experiment-peer narrow.json --peers none
refused "narrow.json: with model.width = 16 the experiment has no counterpart" --experiment --experiment-peer narrow.json
echo '{"data": {"frames": 12}}' >twelve.json
refused "twelve.json: data.frames is 12 here and 16 in narrow.json" --experiment narrow.json --experiment-peer twelve.json
echo '{"synth": {"seed": 2}}' >other.json
refused "other.json: synth.seed is 2 here and 1 in " --experiment --experiment-peer other.json
refused "'0' is not a whole number in 1..64" --frames 0
refused "'x' is not a whole number in 32..512" --size x
refused "scripts/setup.sh builds it" --binary nowhere/echoquant
refused "there is no model file nowhere/fp32.safetensors" --run nowhere
refused "go together" --model-fp32 a
refused "holds no FileList.csv" --data nowhere
refused "there is no folder for nowhere/a.json" --json nowhere/a.json
refused "nowhere/python is not a Python that runs" --python nowhere/python --peers onnxruntime
python3 -m venv --without-pip bare
refused "none of the peers is installed" --python bare/bin/python

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
for name in ("int8", "file"):
    assert sum("Winograd" in row["what"] for row in d["parts"][name]["rows"]) == 1, name
PYTHON

# Beside busy loops, which end with the script. Of two peers, one is not installed and the other one can't be loaded.
mkdir fake
echo "raise ImportError('this one is broken')" | tee fake/cv2.py >fake/onnxruntime.py
touch fake/numpy.py
export PYTHONPATH=$PWD/fake
compare 0 "${SMALL[@]}" --busy 1,0 --peers onnxruntime,ncnn --python bare/bin/python --json busy.json
unset PYTHONPATH
has "$OUT" "INT8 inference beside 0 busy loops, one clip of 4 x 32 x 32, threads as each engine chooses"
has "$OUT" "INT8 inference beside 1 busy loop,"
has "$OUT" "of one thread's time by the minimum"
has "$ERR" "ncnn is left out: not installed: ncnn"
has "$OUT" " was not measured: ONNX Runtime: ImportError" # ONNX Runtime INT8; without VNNI "INT8, saturating"
python3 - <<'PYTHON' && pass || fail "busy.json"
import json
d = json.load(open("busy.json"))
assert list(d["parts"]) == ["busy-0", "busy-1"] and len(d["machine"]["load"]) == 2, d
for part in d["parts"].values():
    one, own = part["rows"][1], part["rows"][0]
    assert part["against_one_thread"]["min"] == own["min_ms"] / one["min_ms"], part
    assert part["against"] is None and "failed" in part["rows"][2], part
PYTHON

# The whole experiment, on clips of the configuration and on given ones; with PyTorch where there is one.
cat >tiny.json <<'JSON'
{"data": {"frames": 3, "size": 32}, "synth": {"train": 4, "val": 2, "test": 3},
 "train": {"epochs": 1, "batch": 2, "schedule": "onecycle", "loss": "l1", "flip": true, "random_phase": false, "ema": 0},
 "ptq": {"observer": "hist_mse", "clips": 2}, "qat": {"batch": 2}, "bench": {"warmup": 0, "repeats": 2}}
JSON
sed '1s/{/{"model": {"width": 16}, /' tiny.json >alone.json # PyTorch has the default width only
compare 0 --peers none --experiment alone.json --experiment-rounds 2 --json experiment.json
has "$OUT" "The whole experiment"
has "$OUT" "MAE FP32+"
has "$OUT" "Configuration: alone.json; clips: work/clips-alone."
has "$OUT" "| echoquant run-all |  1+1+1 |"
PYTHON=$(python_with 'import cv2, numpy, safetensors, torch, torchvision')
if [ -n "$PYTHON" ]; then
    cp "$SOURCE/configs/default.json" .
    sed -i 's/"frames": 16, "size": 112/"frames": 3, "size": 32/; s/"epochs": 8, "batch": 4/"epochs": 1, "batch": 2/' default.json
    for config in tiny.json default.json; do
        compare 0 --peers pytorch --python "$PYTHON" --experiment $config --data work/clips-alone --json with-$config
        has "$OUT" "| PyTorch torch.ao, OpenCV |  1+1+1 |"
    done
    sed 's/"epochs": 1, "batch": 2/"epochs": 2, "batch": 2/' tiny.json >longer.json
    compare 0 --peers pytorch --python "$PYTHON" --experiment alone.json --experiment-peer longer.json --json with-longer.json
    has "$OUT" "| echoquant run-all        |  1+1+1 |"
    has "$OUT" "| PyTorch torch.ao, OpenCV |  2+1+1 |"
    has "$OUT" "Configuration: alone.json, PyTorch: longer.json; clips: work/clips-alone."
else
    skip "the experiment in PyTorch: no Python here has torch, torchvision, safetensors and cv2 (ECHOQUANT_PYTHON names one)"
fi
python3 - <<'PYTHON' && pass || fail "the experiment's JSON"
import glob, json
for name in ["experiment.json", *glob.glob("with-*.json")]:
    part = json.load(open(name))["parts"]["experiment"]
    for row in part["rows"]:
        assert 0 < row["min_ms"] <= row["median_ms"] and row["turns"] == (2 if name == "experiment.json" else 1), row
        assert set(row["mae"]) == set(row["latency_ms"]) == {"FP32", "PTQ", "QAT", "FP32+"}, row
        assert all(0 < value < 100 for value in row["mae"].values()), row
    assert len(part["rows"]) == 2 or (name == "experiment.json" and part["against"] is None), part
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
