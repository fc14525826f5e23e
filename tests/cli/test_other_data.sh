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
    tree "$dir" >after
    same before after
}

# change_ef: the EF of the last row, a test clip.
change_ef() {
    awk -F, -v OFS=, 'NR==1 {for (i = 1; i <= NF; i++) if ($i == "EF") c = i} {row[NR] = $0}
        END {for (i = 1; i < NR; i++) print row[i]; $0 = row[NR]; $c = $c + 0.001; print}' list.csv >d/FileList.csv
}

expect 0 run-all --run r "${SETTINGS[@]}"
python3 - r <<'PY' && pass || fail "the digest in results.json and config.json"
import json, re, sys
results, config = (json.load(open(f"{sys.argv[1]}/{f}.json")) for f in ("results", "config"))
digest = config["data_digest"]
assert re.fullmatch("fnv1a-[0-9a-f]{16}", digest), digest
assert results["data"]["digest"] == digest
assert len(results["models"]) == 4 and all(m["data"] == digest for m in results["models"])
PY
tree r >before
expect 0 run-all --run r
has "$ERR" "finished"
tree r >after
same before after

# Another EF by a thousandth, a row less, a clip of another size: refused wherever a row or a model would be added.
change_ef
untouched r "row FP32, row PTQ, row QAT" run-all --run r
has "$ERR" "model fp32, model ptq, model qat"
cp r/fp32.safetensors mine.safetensors
untouched r "row PTQ" eval ptq --run r
untouched r "row FP32" eval --model mine.safetensors --run r
untouched r "row FP32" ptq --force --run r
untouched r "row PTQ" qat --force --run r
untouched r "row FP32" sensitivity --run r
sed '$d' list.csv >d/FileList.csv
untouched r "row FP32" eval --run r
cp list.csv d/FileList.csv
clip=$(ls d/Videos/*.avi | head -n 1)
printf 'x' >>"$clip"
untouched r "row FP32" run-all --run r
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
has <(grep -o '"data_digest": "[^"]*"' models/config.json) "$(grep -o -m 1 'fnv1a-[0-9a-f]*' elsewhere/results.json)"
cp list.csv d/FileList.csv

# A directory of version 0.1.0 has no digest: accepted, and from then on it has one.
cp -r r old
sed -i '/"data_digest"/d; /"data":.*"fnv1a/d; /"digest":/d' old/results.json
python3 - old/config.json <<'PY'
import json, sys
config = json.load(open(sys.argv[1]))
del config["data_digest"]
json.dump(config, open(sys.argv[1], "w"))
PY
is "digests of the old version" "$(cat old/*.json | grep -c fnv1a)" 0
expect 0 run-all --run old
has "$ERR" "finished"
expect 0 eval ptq --run old
has old/config.json fnv1a
change_ef
untouched old "row PTQ" eval fp32 --run old
cp list.csv d/FileList.csv

# Several seeds: their folders count, and a table over them is of one data set.
expect 0 run-all --run many "${SETTINGS[@]}" --set train.seeds=2
change_ef
untouched many "row FP32" run-all --run many
rm many/results.json
untouched many "/seed-" run-all --run many --set train.seeds=3
cp list.csv d/FileList.csv
expect 0 run-all --run many
has "$ERR" "finished"
sed -i 's/fnv1a-[0-9a-f]*/fnv1a-0123456789abcdef/' many/seed-2/results.json
tree many >before
expect_error 2 "seed-1 and seed-2 are of different data" report --run many
tree many >after
same before after

# A clip that is left out has no part in the data; mended, it makes another set of them.
cp -r d skipping && clip=$(ls skipping/Videos/*.avi | head -n 1) && cp "$clip" whole.avi && printf 'x' >"$clip"
expect 0 run-all --run s --data skipping "${TINY[@]}" --set data.on_error=skip
expect 0 run-all --run s
has "$ERR" "finished"
cp whole.avi "$clip"
untouched s "row FP32" run-all --run s

# Synthetic data that the run makes itself; and data that are gone, which contradict nothing.
ONTHEFLY=(--set data.synthetic=true --set data.dir=data/synthetic-fly --set synth.train=6 --set synth.val=2 --set synth.test=3)
expect 0 run-all --run f "${ONTHEFLY[@]}" "${TINY[@]}"
has f/config.json fnv1a
expect 0 run-all --run f
has "$ERR" "finished"
rm -r data
expect 0 run-all --run f
has "$ERR" "finished"
not_there data
summary
