#!/usr/bin/env bash
# What a run says of its own results: bias and validation in every row, which file to ship, models that have not learned or
# that quantization breaks, clips that look unlike the training clips, latencies measured by turns.
. "$(dirname "$0")/lib.sh"

tiny_data d
expect 0 run-all --run a --data d "${TINY[@]}" --set bench.repeats=8 --set qat.control=true --threads 2
for text in "Bias" "Val MAE" "Val bias"; do has "$OUT" "$text"; done
for text in "INT8 file to ship: " "The test clips do not influence this choice." "mean of predicted minus true EF"; do
    has a/report.md "$text"
    has a/report.html "$text"
done

# Every row has bias, and MAE and bias on the validation clips, as `predict` gives them; all were timed together.
for split in VAL TEST; do
    mapfile -t clips < <(grep ",$split" d/FileList.csv | sed 's|^\([^,]*\),.*|d/Videos/\1.avi|')
    for model in fp32 ptq qat fp32_plus; do
        expect 0 predict --model "a/$model.safetensors" "${clips[@]}"
        cp "$OUT" "$split.$model.csv"
    done
done
python3 - <<'PY' && pass || fail "bias, validation and timing in results.json"
import csv, json, math, statistics
true = {row["FileName"]: float(row["EF"]) for row in csv.DictReader(open("d/FileList.csv"))}
rows = {m["model"]: m for m in json.load(open("a/results.json"))["models"]}
for split, keys in (("TEST", ("mae", "bias", "clips")), ("VAL", ("val_mae", "val_bias", "val_clips"))):
    for name, row in (("fp32", "FP32"), ("ptq", "PTQ"), ("qat", "QAT"), ("fp32_plus", "FP32+")):
        off = [float(p["EF"]) - true[p["Path"].split("/")[-1][:-4]] for p in csv.DictReader(open(f"{split}.{name}.csv"))]
        for key, value in zip(keys, (statistics.mean(map(abs, off)), statistics.mean(off), len(off))):
            assert math.isclose(rows[row][key], value, rel_tol=1e-4, abs_tol=1e-4), (row, key, rows[row][key], value)
assert rows["Median"]["val_clips"] == 2 and "val_mae" in rows["Median"] and "bias" in rows["Median"]
made = [rows[r] for r in ("FP32", "PTQ", "QAT", "FP32+")]
assert len({m["timed"] for m in made}) == 1
for m in made:
    assert m["clips_unlike_training"] >= 0
    for l in (m["latency_ms"], m["file_latency_ms"]):
        assert l["repeats"] == 8 and l["min"] <= l["low"] <= l["median"] <= l["high"], l
PY

# One model evaluated again: all of them are timed with it. At another number of threads the others are not.
timed() {
    python3 -c 'import json, sys; print(len({m["timed"] for m in json.load(open(sys.argv[1]))["models"] if "timed" in m}))' \
        a/results.json
}
sleep 1
expect 0 eval ptq --run a --threads 2
is "times of timing" "$(timed)" 1
sleep 1
expect 0 eval ptq --run a --threads 1
is "times of timing at another number of threads" "$(timed)" 2
has "$ERR" "Some models were not timed together"
has "$OUT" "not measurable"

# change FILE TENSOR EXPRESSION: every x of the tensor becomes the expression.
change() {
    python3 - "$@" <<'PY'
import json, struct, sys
raw = bytearray(open(sys.argv[1], "rb").read())
n = struct.unpack("<Q", raw[:8])[0]
begin, end = json.loads(raw[8:8 + n])[sys.argv[2]]["data_offsets"]
for at in range(8 + n + begin, 8 + n + end, 4):
    struct.pack_into("<f", raw, at, eval(sys.argv[3], {"x": struct.unpack_from("<f", raw, at)[0]}))
open(sys.argv[1], "wb").write(raw)
PY
}

# A baseline that says 60 points too much is no better than the median: told on stderr, and above the table.
mkdir bad && cp a/config.json a/fp32.safetensors bad/ && change bad/fp32.safetensors fc.bias "x + 60"
expect 0 eval fp32 --run bad
has "$ERR" "warning: The baseline has not learned to predict the EF"
expect 0 report --run bad
is "the caution stands above the table" \
    "$(grep -n -m 1 -e 'The baseline has not learned' -e '^| Model' bad/report.md | cut -d: -f2 | cut -c1-6)" "> The "

# Quantization that breaks the model is told when it is made; ordinary PTQ only says how far it is.
expect 0 ptq --run broken --data d "${TINY[@]}" --model a/fp32.safetensors
has "$ERR" "INT8 differs from FP32 by "
is "warnings of ordinary PTQ" "$(grep -c "breaks the model" "$ERR")" 0
cp a/fp32.safetensors loud.safetensors && change loud.safetensors fc.weight "100 * x"
expect 0 ptq --run broken --data d "${TINY[@]}" --model loud.safetensors --set ptq.weight_bits=2 --force
has "$ERR" "warning: quantization breaks the model: on 4 calibration clips INT8 differs from FP32 by "

# Clips of another kind: noise and a gray wall are told, with the reason; a file without ranges cannot tell.
python3 - <<'PY'
import random, struct
def chunk(tag, data):
    return tag + struct.pack("<I", len(data)) + data + b"\0" * (len(data) & 1)
def write(path, frames, size=64):
    n = len(frames)
    avih = struct.pack("<14I", 20000, 0, 0, 0x10, n, 0, 1, 0, size, size, 0, 0, 0, 0)
    strh = b"vids" + struct.pack("<IIHHIIIIIIII4H", 0, 0, 0, 0, 0, 1, 50, 0, n, 0, 0xFFFFFFFF, 0, 0, 0, size, size)
    strf = struct.pack("<IiiHHIIiiII", 40, size, size, 1, 24, 0, size * size * 3, 0, 0, 0, 0)
    stream = chunk(b"LIST", b"strl" + chunk(b"strh", strh) + chunk(b"strf", strf))
    head = chunk(b"LIST", b"hdrl" + chunk(b"avih", avih) + stream)
    body = b"AVI " + head + chunk(b"LIST", b"movi" + b"".join(chunk(b"00db", f) for f in frames))
    open(path, "wb").write(b"RIFF" + struct.pack("<I", len(body)) + body)
rng = random.Random(1)
write("noise.avi", [rng.randbytes(64 * 64 * 3) for _ in range(12)])
write("wall.avi", [bytes([128]) * (64 * 64 * 3)] * 12)
PY
for model in fp32 ptq qat; do
    expect 0 predict --model "a/$model.safetensors" "${clips[0]}" noise.avi wall.avi
    has "$ERR" "2 of 3 clips look unlike the model's training clips"
    has "$ERR" "noise.avi (mean brightness "
    has "$ERR" "wall.avi (mean brightness 128, training clips "
    is "predictions all the same" "$(wc -l <"$OUT")" 4
done
has <("$BIN" inspect a/ptq.safetensors) "looks of its 6 training clips: brightness "
LC_ALL=C sed 's/clip_statistics/Clip_statistics/' a/fp32.safetensors >old.safetensors
expect 0 predict --model old.safetensors noise.avi
is "warnings without ranges" "$(grep -c "unlike" "$ERR")" 0
has <("$BIN" inspect old.safetensors) "looks of its training clips: not in this file"
summary
