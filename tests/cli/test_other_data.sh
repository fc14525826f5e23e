#!/usr/bin/env bash
# One run directory, one data set: results, models and settings note its digest, and no command brings another list, or
# other clips, into a directory that holds rows or models of the first.
. "$(dirname "$0")/lib.sh"

tiny_data made
cp -r made d && rm d/synth.json && cp d/FileList.csv list.csv
SETTINGS=(--data d "${TINY[@]}")
tree() { find "$1" -type f -printf '%p %T@ %s\n' | sort; }

# untouched DIR TEXT ARGUMENTS...: refused with TEXT and the way on; DIR stays as it is.
untouched() {
    local dir=$1 text=$2
    shift 2
    tree "$dir" >before
    expect_error 2 "$text" "$@"
    has "$ERR" "--run"
    hasnt "$ERR" "--force"
    tree "$dir" >after
    same before after
}

# change_ef: the EF of the last row, a test clip.
change_ef() {
    awk -F, -v OFS=, 'NR==1 {for (i = 1; i <= NF; i++) if ($i == "EF") c = i} {row[NR] = $0}
        END {for (i = 1; i < NR; i++) print row[i]; $0 = row[NR]; $c = $c + 0.001; print}' list.csv >d/FileList.csv
}

hasnt() {
    if grep -qF -- "$2" "$1"; then fail "\"$2\" in $1"; else pass; fi
}

expect 0 run-all --run r "${SETTINGS[@]}"
python3 - r <<'PY' && pass || fail "the digest in results.json and config.json"
import hashlib, json, sys
run = sys.argv[1]
sha256 = lambda name: hashlib.sha256(open(f"{run}/{name}", "rb").read()).hexdigest()
results, config = (json.load(open(f"{run}/{f}.json")) for f in ("results", "config"))
digest = config["data_digest"]
assert digest == sha256("data.csv") and results["data"]["digest"] == digest
assert len(results["models"]) == 4 and all(m["data"] == digest for m in results["models"])
assert config["model_digests"] == {m: sha256(f"{m}.safetensors") for m in ("fp32", "ptq", "qat")}
for m in results["models"][:3]:
    assert m["file_sha256"] == sha256(m["file"])
    assert m["predictions_sha256"] == sha256(f"predictions/{m['model'].lower()}.csv")
PY
is "rows of data.csv" "$(wc -l <r/data.csv)" "$(wc -l <list.csv)"
is "its header" "$(head -n 1 r/data.csv)" FileName,Split,EF,Bytes
for file in results.json config.json; do # a seal is the SHA-256 of the file with zeros in its place
    is "seal of $file" "$(sed -E 's/("seal": ")[0-9a-f]*/\1'"$(printf '%064d' 0)/" "r/$file" | sha256sum | cut -d ' ' -f 1)" \
        "$(grep -o '"seal": "[0-9a-f]*' "r/$file" | cut -d '"' -f 4)"
done
tree r >before
expect 0 run-all --run r
has "$ERR" "finished"
tree r >after
same before after

# Another EF by a thousandth, a row less, a clip of size: refused wherever a row or a model would be added.
change_ef
untouched r "row FP32, row PTQ, row QAT" run-all --run r
has "$ERR" "model fp32, model ptq, model qat"
last=$(tail -n 1 list.csv | cut -d, -f1)
grep -qE "Changes since then: EF: $last \([0-9.]+, now [0-9.]+\)\." "$ERR" && pass || fail "the EF that changed: $(cat "$ERR")"
cp r/fp32.safetensors mine.safetensors
untouched r "row PTQ" eval ptq --run r
untouched r "row FP32" eval --model mine.safetensors --run r
untouched r "row FP32" ptq --force --run r
untouched r "row PTQ" qat --force --run r
untouched r "row FP32" sensitivity --run r
sed '$d' list.csv >d/FileList.csv
untouched r "row FP32" eval --run r
has "$ERR" "11 clips, now 10; removed: $last."
{ head -n 1 list.csv && tail -n +2 list.csv | sort -r; } >d/FileList.csv
untouched r "another order of the rows" eval --run r
sed "s/TRAIN/VAL/" list.csv >d/FileList.csv
untouched r "split: " eval --run r
has "$ERR" "(TRAIN, now VAL)"
has "$ERR" " and 3 more"
cp list.csv d/FileList.csv
clip=$(ls d/Videos/*.avi | head -n 1)
printf 'x' >>"$clip"
untouched r "row FP32" run-all --run r
has "$ERR" "size: $(basename "$clip" .avi) ("
truncate -s -1 "$clip"
expect 0 run-all --run r
has "$ERR" "finished"

# Models without rows count, also one that is still in training.
mkdir models && cp r/config.json r/fp32.safetensors models/
mkdir -p state/state && cp r/config.json state/ && printf 'begun' >state/state/fp32.state.safetensors
change_ef
untouched models "model fp32" ptq --run models
untouched models "model fp32" eval --run models
untouched state "model fp32" train --run state
# The way on: another folder, or all of it anew.
expect 0 eval --model r/fp32.safetensors --run elsewhere "${SETTINGS[@]}"
expect 0 run-all --run models --force
digest_of() { grep -o '"data_digest": "[^"]*"' "$1/config.json" | cut -d '"' -f 4; }
has elsewhere/results.json "\"data\": \"$(digest_of models)\""
cp list.csv d/FileList.csv

# The same data in another place, or spelt otherwise, are the same.
mkdir deep
ln -s "$PWD/d" link
for dir in d/ ./d "$PWD/d" deep/../d link; do
    expect 0 run-all --run r --data "$dir"
    has "$ERR" "finished"
done
mv d moved
expect 0 run-all --run r # the data of a finished run may be gone
has "$ERR" "finished"
expect 0 run-all --run r --data moved
has "$ERR" "finished"
expect 0 eval ptq --run r --data moved
has r/config.json '"dir": "moved"'
expect 0 eval qat --run r # and that is where they are from now on
cp r/ptq.safetensors was.safetensors
expect 0 ptq --force --run r --data "$PWD/moved/"
same r/ptq.safetensors was.safetensors
expect 0 sensitivity --run r fc
expect 0 run-all --run r --set data.synthetic=true
mv moved d
# An interrupted training resumes with the bits of an undisturbed one.
LONG=("${TINY[@]}" --set train.epochs=40)
expect 0 train --run whole --data d "${LONG[@]}"
"$BIN" train --run part --data d "${LONG[@]}" >"$OUT" 2>"$ERR" </dev/null &
while [ ! -e part/history/fp32.csv ] && kill -0 $! 2>/dev/null; do sleep 0.01; done
kill -INT $! && wait $!
there part/state/fp32.state.safetensors
mv d moved
expect 0 train --run part --data ./moved/
same part/fp32.safetensors whole/fp32.safetensors
mv moved d

# A directory of version 0.1.0 has no digests. The folder has to be the same one, and from then on it has some.
cp -r r old
python3 - old <<'PY'
import json, sys
run = sys.argv[1]
config, results = (json.load(open(f"{run}/{f}.json")) for f in ("config", "results"))
for key in ("data_digest", "model_digests", "seal"):
    del config[key]
config["data"]["dir"] = "d"
del results["seal"], results["data"]["digest"], results["data"]["file_list_sha256"]
for row in results["models"]:
    for key in ("data", "file_sha256", "predictions_sha256"):
        row.pop(key, None)
json.dump(config, open(f"{run}/config.json", "w"))
json.dump(results, open(f"{run}/results.json", "w"))
PY
rm old/data.csv old/statistics.json
is "digests of the old version" "$(cat old/*.json | grep -cE '"[0-9a-f]{64}"')" 0
expect 0 run-all --run old
has "$ERR" "finished"
cp -r d other
untouched old "was d, but is now other" eval ptq --run old --data other
untouched old "was d, but is now other" run-all --run old --data other
expect 0 eval ptq --run old --data "$PWD/link"
has "$ERR" "noted the digest"
is "the digest that was noted" "$(digest_of old)" "$(digest_of r)"
expect 0 eval ptq --run old --data other
has old/config.json "\"qat\": \"$(sha256sum <r/qat.safetensors | cut -d ' ' -f 1)\""
change_ef
untouched old "row PTQ" eval fp32 --run old --data d
cp list.csv d/FileList.csv
rm -r other

# With data.digest = bytes a clip's content counts too. What is covered can't change under a run.
cp -r d bytes && clip=$(ls bytes/Videos/*.avi | head -n 1) && name=$(basename "$clip" .avi)
expect 0 run-all --run b --data bytes "${TINY[@]}" --set data.digest=bytes
is "the content of a clip" "$(grep "^$name," b/data.csv | cut -d, -f5)" "$(sha256sum <"$clip" | cut -d ' ' -f 1)"
cp "$clip" whole.avi && printf 'x' | dd of="$clip" bs=1 seek=40 conv=notrunc status=none
untouched b "content: $name." run-all --run b
cp whole.avi "$clip"
expect 0 run-all --run b --data d
has "$ERR" "finished"
untouched b "data.digest bytes -> list" eval --run b --set data.digest=list

# Rows of other data, however they came there, are in no table.
cp -r r mixed
sed -i '0,/"data": "[0-9a-f]*"/s//"data": "'"$(printf '%064d' 7)"'"/' mixed/results.json
expect 0 report --run mixed
is "the row FP32" "$(grep -c '^| FP32 ' "$OUT")" 0
has "$ERR" "left out, because evaluated on other data: FP32"
has mixed/report.md "Left out, because they were evaluated on other data: FP32"
# A model that another file has taken the place of is evaluated anew, with a warning.
cp -r r replaced && cp r/qat.safetensors replaced/ptq.safetensors
expect 0 run-all --run replaced --data d
has "$ERR" "replaced/ptq.safetensors is not the file that this run made"
same replaced/predictions/ptq.csv r/predictions/qat.csv

# Several seeds: their folders count, and a table over them is of one data set.
expect 0 run-all --run many "${SETTINGS[@]}" --set train.seeds=2
change_ef
untouched many "row FP32" run-all --run many
rm many/results.json
untouched many "/seed-" run-all --run many --set train.seeds=3
cp list.csv d/FileList.csv
expect 0 run-all --run many
has "$ERR" "finished"
sed -i -E 's/("data": )"[0-9a-f]{64}"/\1"'"$(printf '%064d' 7)"'"/' many/seed-2/results.json
tree many >before
expect_error 2 "seed-1 and seed-2 have results of different data" report --run many
tree many >after
same before after

# A clip that is left out has no part in the data; mended, it makes another set of them.
cp -r d skipping && clip=$(ls skipping/Videos/*.avi | head -n 1) && cp "$clip" whole.avi && printf 'x' >"$clip"
expect 0 run-all --run s --data skipping "${TINY[@]}" --set data.on_error=skip
expect 0 run-all --run s
has "$ERR" "finished"
cp whole.avi "$clip"
untouched s "row FP32" run-all --run s

# A broken test clip concerns no model: it may be left out of a run whose models are made, but not of rows beside others.
# A broken training clip may not.
cp -r d tested && expect 0 train --run t --data tested "${TINY[@]}"
test_clip=tested/Videos/$(grep -m 1 TEST tested/FileList.csv | cut -d, -f1).avi
train_clip=tested/Videos/$(grep -m 1 TRAIN tested/FileList.csv | cut -d, -f1).avi
cp "$test_clip" whole.avi && printf 'x' >"$test_clip"
expect 0 eval --run t --set data.on_error=skip
has t/results.json "\"clips\": 2"
expect 0 ptq --run t
cp whole.avi "$test_clip"
untouched t "row FP32" eval --run t
untouched t "remove results.json there to evaluate all of its models on these clips" eval --run t
cp -r t again && rm again/results.json
expect 0 eval --run again
has again/results.json "\"clips\": 3"
rm -r again
printf 'x' >"$test_clip"
cp "$train_clip" whole.avi && printf 'x' >"$train_clip"
untouched t "model fp32" qat --run t
cp whole.avi "$train_clip"
expect 0 qat --run t

# Synthetic data that the run makes itself; and data that are gone, which contradict nothing.
ONTHEFLY=(--set data.synthetic=true --set data.dir=data/synthetic-fly --set synth.train=6 --set synth.val=2 --set synth.test=3)
expect 0 run-all --run f "${ONTHEFLY[@]}" "${TINY[@]}"
has f/config.json data_digest
expect 0 run-all --run f
has "$ERR" "finished"
rm -r data
expect 0 run-all --run f
has "$ERR" "finished"
not_there data
summary
