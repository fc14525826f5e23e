#!/usr/bin/env bash
# What a script relies on: JSON from every command that has a result, arguments in place of options, exit codes, and names
# that stay as they were given.
. "$(dirname "$0")/lib.sh"

# object EXPRESSION: of the one object that the last command printed, `o`.
object() {
    python3 - "$OUT" "$1" <<'PY'
import json, sys
o = json.load(open(sys.argv[1], encoding="utf-8"))
print(eval(sys.argv[2]))
PY
}

# JSON from each.
expect 0 synth d --json --set synth.train=6 --set synth.val=2 --set synth.test=3
is "synth" "$(object '[o[k] for k in ("path", "list", "train", "val", "test", "seed")]')" \
    "['d', 'd/FileList.csv', 6, 2, 3, 1]"
expect 0 train --run r --data d "${TINY[@]}" --json
is "train" "$(object '[o[k] for k in ("model", "path", "precision", "made")]')" "['FP32', 'r/fp32.safetensors', 'FP32', True]"
is "bytes of train" "$(object 'o["bytes"]')" "$(stat -c %s r/fp32.safetensors)"
cp -r r start
expect 0 ptq --run r -j
is "ptq" "$(object '[o[k] for k in ("model", "path", "precision", "made")]')" "['PTQ', 'r/ptq.safetensors', 'INT8', True]"
expect 0 qat --run r --json
is "qat" "$(object '[o["model"], o["precision"]]')" "['QAT', 'INT8']"
expect 0 qat --control --run r --json
is "qat --control" "$(object '[o["model"], o["precision"]]')" "['FP32+', 'FP32']"
expect 0 eval --run r --json
is "eval" "$(object '[m["model"] for m in o["models"]]')" "['FP32', 'PTQ', 'QAT', 'FP32+', 'Median']"
cp "$OUT" evaluated
expect 0 sensitivity conv1 --run r --json --set sensitivity.clips=2
is "sensitivity" "$(object 'o["clips"]')" 2
expect 0 export r/ptq.safetensors --onnx p.onnx --json
is "export" "$(object '[o[k] for k in ("path", "model", "opset")]')" "['p.onnx', 'r/ptq.safetensors', 17]"
is "bytes of export" "$(object 'o["bytes"]')" "$(stat -c %s p.onnx)"
expect 0 bench r/ptq.safetensors --json --set bench.repeats=2
is "bench" "$(object 'o["precision"]')" INT8
expect 0 inspect r/ptq.safetensors --json
is "inspect" "$(object 'o["path"]')" r/ptq.safetensors
# Several are JSON Lines.
expect 0 inspect --json r/ptq.safetensors d r d/Videos/*.avi
is "objects of inspect" "$(python3 -c 'import json, sys; print(len([json.loads(l) for l in open(sys.argv[1])]))' "$OUT")" 14
# report --json tells and writes nothing.
expect 0 report --run r --json
same "$OUT" evaluated
not_there r/report.html r/report.md
expect 0 report r
there r/report.html
touch -d 2001-01-01 r/report.html r/plots
expect 0 report r --json
is "date of the report" "$(stat -c %y r/report.html r/plots | cut -c1-4 | xargs)" "2001 2001"
expect_error 1 "results.json" report start --json
expect 0 run-all --run r --json
is "run-all" "$(object 'len(o["models"])')" 5

# An argument instead of an option.
expect 0 bench r/fp32.safetensors --set bench.repeats=2
expect 0 export r/fp32.safetensors --onnx f.onnx
expect 0 eval r
expect 0 eval fp32 r
expect 0 eval r ptq --json
expect 0 sensitivity r conv1 --set sensitivity.clips=2
expect 0 sensitivity r/fp32.safetensors conv1 r --set sensitivity.clips=2
expect 0 eval --run r r
expect_error 2 "name each run once" report --run r r # report compares runs
expect 0 bench --model r/fp32.safetensors r/fp32.safetensors --set bench.repeats=2
expect_error 2 "one model file" bench --model r/fp32.safetensors r/ptq.safetensors
expect_error 2 "one model file" bench r/fp32.safetensors r/ptq.safetensors
expect_error 2 "one model file" export --model r/fp32.safetensors r/ptq.safetensors --onnx x.onnx
expect_error 2 "one run directory" eval --run r start
expect_error 2 "one run directory" eval r start
expect_error 2 "one model file" eval fp32 r/ptq.safetensors --run r
expect_error 1 "nowhere.safetensors" bench nowhere.safetensors
expect_error 1 "nowhere.safetensors" export nowhere.safetensors --onnx x.onnx
expect_error 1 "no command makes" eval ptx --run r
mkdir ptq
expect 0 eval ptq --run r
rmdir ptq
not_there x.onnx

# A model file of one's own: its name is the row and the file.
cp r/ptq.safetensors mine.safetensors
expect 0 eval mine.safetensors --run r
has "$OUT" "| mine "
there r/predictions/mine.csv
expect 0 eval mine.safetensors --run r --name My-Model
has "$OUT" "| My-Model "
there r/predictions/My-Model.csv
expect 0 report r
has r/report.html "My-Model"
for name in PTQ Fp32 median FP32+; do
    expect 2 eval mine.safetensors --run r --name "$name"
done
expect_error 2 "--name NAME" eval mine.safetensors --run r --name "a b"
expect_error 2 "--model FILE" eval "a b" --run r

# Exit codes: 0 for what is there already, 1 for what failed, 2 for what was asked wrongly.
before=$(sha256sum r/*.safetensors r/config.json)
for command in train ptq qat "qat --control"; do
    # shellcheck disable=SC2086
    expect 0 $command --run r
    has "$ERR" "nothing to do"
    # shellcheck disable=SC2086
    expect 0 $command --run r --json
    is "made by a second $command" "$(object 'o["made"]')" False
done
expect_error 2 "ptq.safetensors was made with other settings (ptq.observer" ptq --run r --set ptq.observer=percentile
expect_error 2 "train.lr" train --run r --set train.lr=0.5
is "what was there" "$(sha256sum r/*.safetensors r/config.json)" "$before"
cp d/FileList.csv list && sed -i '2s/,[0-9.]*,/,33.3,/' d/FileList.csv
expect_error 2 "other data" train --run r
cp list d/FileList.csv
expect 0 ptq --run r --force
python3 - r/lock <<'PY' &
import fcntl, sys, time
f = open(sys.argv[1], "w")
fcntl.lockf(f, fcntl.LOCK_EX)
open("held", "w").close()
time.sleep(600)
PY
holder=$!
CLEANUP+=("kill $holder 2>/dev/null")
while [ ! -e held ] && kill -0 $holder; do sleep 0.05; done
expect_error 1 "in use by process $holder" eval --run r
kill $holder
wait $holder 2>/dev/null

# One clip is no "1 clips".
expect 0 inspect d
mkdir single && cp -r d/Videos single && (head -n 1 d/FileList.csv && grep -m1 TRAIN d/FileList.csv) >single/FileList.csv
expect 0 inspect single
grep -qE '\b1 clips' "$OUT" && fail "1 clips" || pass
summary
