#!/usr/bin/env bash
# verify: a run is as it was written and makes its predictions again; any byte that changes in it or in its data shows.
. "$(dirname "$0")/lib.sh"

tiny_data d
SETTINGS=(--data d "${TINY[@]}")
expect 0 run-all --run r "${SETTINGS[@]}"
tree() { find "$1" -type f -printf '%p %T@ %s\n' | sort; }

# verdict VERDICT TEXT: a line of the output.
verdict() {
    if grep -qE "^$1 .*$2" "$OUT"; then pass; else fail "no \"$1 ... $2\"" && show; fi
}

# differs TEXT ARGUMENTS...: exit code 1, one line that differs with TEXT, and an error that counts.
differs() {
    local text=$1
    shift
    expect 1 verify "$@"
    verdict differs "$text"
    has "$ERR" "error: "
}

# ---- an untouched run ----
tree r >before
for command in "verify r" "verify --run r" "verify r --threads 1" "verify r --cpu ref"; do
    # shellcheck disable=SC2086
    expect 0 $command
    has "$OUT" " hold, 0 differ, 0 not checked"
done
tree r >after
same before after
for model in PTQ QAT; do verdict holds "row $model: 3 predictions made again with ref, equal to the byte"; done
verdict holds "row FP32: .*(equal to the byte|accepted are 0.01)"
verdict holds "data: 11 clips of d: list and sizes as noted"
expect 0 verify r --json
python3 - "$OUT" <<'PY' && pass || fail "verify --json"
import json, sys
v = json.load(open(sys.argv[1]))
assert v["run"] == "r" and v["differs"] == 0 and v["not_checked"] == 0 and v["holds"] == len(v["checks"]) > 15
assert all(c["verdict"] == "holds" and c["what"] and c["text"] for c in v["checks"])
PY
cp -r r closed && chmod -R a-w closed
expect 0 verify closed
chmod -R u+w closed
cp -r r times # seconds and milliseconds are no results
sed -i 's/\(,[^,]*\)$/,9.999/' times/history/fp32.csv
expect 0 verify times

# ---- where the data are ----
mv d moved
expect 0 verify r
verdict "not checked" "data: the data cannot be found \(no d/FileList.csv\); name their folder with --data"
verdict "not checked" "row PTQ: not repeated: the data cannot be found"
has "$OUT" " 0 differ, "
expect 0 verify r --data "$PWD/moved/"
has "$OUT" "0 differ, 0 not checked"
mv moved d

# ---- damage: one byte ----
# flip FILE OFFSET: changes the byte there.
flip() {
    python3 - "$1" "$2" <<'PY'
import sys
with open(sys.argv[1], "r+b") as f:
    f.seek(int(sys.argv[2]), 0 if int(sys.argv[2]) >= 0 else 2)
    at = f.tell()
    byte = f.read(1)[0]
    f.seek(at)
    f.write(bytes([byte ^ 1]))
PY
}
for model in fp32 ptq qat; do
    rm -rf bad && cp -r r bad && flip "bad/$model.safetensors" -1
    differs "$model.safetensors: SHA-256 is [0-9a-f]{12}..., not" bad
    verdict differs "row $(tr a-z A-Z <<<"$model"): bad/$model.safetensors is not the file that was evaluated"
    rm -rf bad && cp -r r bad && flip "bad/predictions/$model.csv" -2
    differs "predictions/$model.csv: SHA-256 is" bad
done
size=$(stat -c %s r/results.json)
for at in 40 $((size / 3)) $((size / 2)) $((size - 90)) -2; do
    rm -rf bad && cp -r r bad && flip bad/results.json "$at"
    differs "results.json: " bad
done
rm -rf bad && cp -r r bad && sed -i 's/"mae": [0-9]/&1/' bad/results.json
differs "results.json: was changed after it was written" bad
verdict differs "row FP32: the predictions give MAE"
rm -rf bad && cp -r r bad && sed -i '/"seal"/d; s/^\(    "data_digest.*\),$/\1/' bad/results.json
differs "results.json: " bad
rm -rf bad && cp -r r bad && sed -i 's/"lr": 0.001/"lr": 0.002/' bad/config.json
differs "config.json: was changed" bad
rm -rf bad && cp -r r bad && flip bad/data.csv 30
differs "data.csv: " bad
rm -rf bad && cp -r r bad && rm bad/qat.safetensors bad/predictions/ptq.csv
differs "qat.safetensors: " bad
verdict differs "predictions/ptq.csv: "
# Predictions that someone else's program made, with digests and seal to match, still aren't the model's.
rm -rf bad && cp -r r bad
python3 - bad <<'PY'
import hashlib, json, re, sys
run = sys.argv[1]
rows = open(f"{run}/predictions/ptq.csv").read().splitlines()
name, split, ef, value, *rest = rows[1].split(",")
rows[1] = ",".join((name, split, ef, f"{float(value) * 1.0000002:.9g}", *rest))
text = "\n".join(rows) + "\n"
open(f"{run}/predictions/ptq.csv", "w").write(text)
doc = open(f"{run}/results.json").read()
old = next(m for m in json.loads(doc)["models"] if m["model"] == "PTQ")["predictions_sha256"]
doc = doc.replace(old, hashlib.sha256(text.encode()).hexdigest(), 1)  # QAT may be the same model
doc = re.sub(r'"seal": "[0-9a-f]*', '"seal": "' + 64 * "0", doc)
seal = hashlib.sha256(doc.encode()).hexdigest()
open(f"{run}/results.json", "w").write(doc.replace('"seal": "' + 64 * "0", '"seal": "' + seal))
PY
differs "row PTQ: 1 of 3 predictions made again .* differ, by up to .* accepted are 0 .INT8" bad
is "the only difference" "$(grep -c ^differs "$OUT")" 1

# ---- damage: the data ----
cp d/FileList.csv list.csv
awk -F, -v OFS=, 'NR == 1 {for (i = 1; i <= NF; i++) if ($i == "EF") c = i} NR == 2 {$c = $c + 0.001} {print}' \
    list.csv >d/FileList.csv
cmp -s list.csv d/FileList.csv && fail "the list is the same"
differs "data: d, changes since the run: EF: " r
verdict "not checked" "row PTQ: not repeated: the data differ"
sed '$d' list.csv >d/FileList.csv
differs "data: d, changes since the run: 11 clips, now 10; removed: " r
printf 'nothing\n' >d/FileList.csv
differs "data: .*FileList.csv" r
cp list.csv d/FileList.csv
clip=d/Videos/$(tail -n 1 list.csv | cut -d, -f1).avi
cp "$clip" whole.avi
printf 'x' >>"$clip"
differs "data: d, changes since the run: size: " r
# Another test clip of the same size: the list does not show it, the predictions do.
python3 - "$clip" <<'PY'
import os, sys
path = sys.argv[1]
size = os.path.getsize(path) - 1
folder = os.path.dirname(path)
for name in sorted(os.listdir(folder)):
    data = open(os.path.join(folder, name), "rb").read()
    if os.path.join(folder, name) != path and len(data) <= size:
        open(path, "wb").write(data + b"\0" * (size - len(data)))
        break
else:
    sys.exit("no clip is small enough")
PY
if cmp -s "$clip" whole.avi; then
    fail "the clip is the same"
else
    differs "row PTQ: [1-3] of 3 predictions made again .* differ" r
    verdict holds "data: 11 clips of d"
fi
cp whole.avi "$clip"
expect 0 verify r
# With data.digest = bytes any byte shows, in a training clip too.
expect 0 run-all --run b --data d "${TINY[@]}" --set data.digest=bytes
expect 0 verify b
verdict holds "data: 11 clips of d: list and every byte as noted"
train=d/Videos/$(grep ,TRAIN list.csv | head -n 1 | cut -d, -f1).avi
[ -e "$train" ] || train=$(ls d/Videos/*.avi | head -n 1)
flip "$train" -1
differs "data: d, changes since the run: content: $(basename "$train" .avi)" b
expect 0 verify r
flip "$train" -1

# ---- several seeds ----
expect 0 run-all --run many "${SETTINGS[@]}" --set train.seeds=2
expect 0 verify many
verdict holds "results.json: against the results of the 2 seeds"
verdict holds "seed-2/row PTQ: .* equal to the byte"
flip many/seed-2/qat.safetensors -1
differs "seed-2/qat.safetensors: " many
flip many/seed-2/qat.safetensors -1
cp r/results.json many/seed-2/results.json
differs "results.json: against" many

# ---- models from elsewhere, BF16, older runs ----
cp r/ptq.safetensors mine.safetensors
expect 0 eval --model mine.safetensors --run else "${SETTINGS[@]}"
expect 0 verify else
verdict "not checked" "row mine: not repeated: mine.safetensors was evaluated from another folder"
if grep -q avx512_bf16 /proc/cpuinfo 2>/dev/null && cp -r r bf16 && run eval --run bf16 --precision bf16 && [ "$STATUS" = 0 ]; then
    expect 0 verify bf16
    verdict holds "row BF16: .*(equal to the byte|accepted are 0.5)"
    expect 0 verify bf16 --cpu avx2
    verdict "not checked" "row BF16: cannot be repeated here: "
else
    skip "BF16: this CPU lacks AVX512-BF16"
fi
# Layers of an INT8 model that stay in FP32 make it a floating-point one here.
expect 0 train --run mixed "${SETTINGS[@]}"
expect 0 ptq --run mixed --set ptq.keep_fp32=layer1.0.conv1
expect 0 eval ptq --run mixed
expect 0 verify mixed --cpu ref
verdict holds "row PTQ: .*(equal to the byte|accepted are 0.01 .FP32)"
cp -r r old && rm old/data.csv
python3 - old <<'PY'
import json, sys
run = sys.argv[1]
config, results = (json.load(open(f"{run}/{f}.json")) for f in ("config", "results"))
for key in ("data_digest", "model_digests", "seal"):
    del config[key]
del results["seal"], results["data"]["digest"]
for row in results["models"]:
    for key in ("data", "file_sha256", "predictions_sha256"):
        row.pop(key, None)
json.dump(config, open(f"{run}/config.json", "w"))
json.dump(results, open(f"{run}/results.json", "w"))
PY
expect 0 verify old
verdict "not checked" "config.json: has no seal: version 0.1.0 wrote none"
verdict "not checked" "ptq.safetensors: no digest of it is noted"
verdict holds "row PTQ: 3 predictions made again .* equal to the byte"

# ---- two runs ----
expect 0 run-all --run again "${SETTINGS[@]}"
cmp -s r/results.json again/results.json && fail "two runs took the same time"
expect 0 verify r again --threads 1
verdict holds "PTQ: predictions: equal"
verdict holds "data: equal"
expect 0 run-all --run other "${SETTINGS[@]}" --seed 2
expect 1 verify other again
verdict differs "FP32: model: SHA-256"
verdict holds "Median: errors: equal"

# ---- refused ----
expect_error 1 "d is not a run directory: it has no config.json" verify d
expect_error 1 "nowhere is not a run directory" verify nowhere
expect 0 verify r --run r # a run and another one: the same
expect_error 2 "unexpected argument" verify r again other
expect_error 1 "results.json is missing" verify r d
not_there nowhere
summary
