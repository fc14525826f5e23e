#!/usr/bin/env bash
# README's "Step by step", line by line as it stands there, in a folder with configs/default.json and build/echoquant;
# the configuration is a tiny one, and so is the synthetic set.
. "$(dirname "$0")/lib.sh"

mkdir build configs
cat >configs/default.json <<'JSON'
{
  "data": {"dir": "data/synthetic", "synthetic": true, "frames": 2, "size": 32},
  "synth": {"train": 6, "val": 2, "test": 3, "seed": 1},
  "model": {"width": 8},
  "train": {"epochs": 1, "batch": 2, "shift": 1},
  "ptq": {"clips": 4},
  "qat": {"epochs": 1, "batch": 2, "control": true},
  "sensitivity": {"clips": 2},
  "bench": {"warmup": 0, "repeats": 2},
  "run": {"dir": "runs/default", "seed": 1}
}
JSON
cat >build/echoquant <<SH
#!/usr/bin/env bash
sizes=()
if [ "\$1" = synth ]; then sizes=(--set synth.train=6 --set synth.val=2 --set synth.test=3); fi
exec "$BIN" "\$@" "\${sizes[@]+"\${sizes[@]}"}"
SH
chmod +x build/echoquant

# `synth` without a configuration makes the set that configs/default.json asks for.
"$BIN" help --markdown >settings.md
python3 - "$SOURCE/configs/default.json" settings.md <<'PY' && pass || fail "synth.* of configs/default.json"
import json, re, sys
defaults = dict(re.findall(r"^\| `synth\.(\w+)` \| `(\d+)`", open(sys.argv[2]).read(), re.M))
assert {k: str(v) for k, v in json.load(open(sys.argv[1]))["synth"].items()} == defaults, defaults
PY

awk '/^## /{inside = /^## Step by step/} inside && /^    /' "$SOURCE/README.md" >steps
is "commands at least" "$(($(grep -c '^    echoquant ' steps) >= 12))" 1
while IFS= read -r line; do
    if [ "$line" != "${line%clip.avi*}" ]; then cp "$(ls data/synthetic/Videos/*.avi | head -n 1)" clip.avi; fi
    STATUS=0
    eval "$line" >"$OUT" 2>"$ERR" </dev/null || STATUS=$?
    if [ "$STATUS" = 0 ]; then
        pass
    else
        fail "exit $STATUS: $line"
        show
    fi
    # Each says behind "#" what it leaves, where that is a file.
    for file in $(grep -o '# .*' <<<"$line" | grep -oE '(runs/)[a-z0-9_/]+\.[a-z]+'); do there "$file"; done
done <steps
is "echoquant" "$(command -v echoquant)" "$PWD/build/echoquant"
there data/synthetic/FileList.csv runs/default/report.html runs/default/results.json runs/default/sensitivity.json ptq.onnx

# The folder of synth, named in one of two ways.
expect 0 synth --data named --set synth.train=1 --set synth.val=1 --set synth.test=1
is "its output" "$(cat "$OUT")" "named/FileList.csv"
expect 0 synth named --set synth.train=1 --set synth.val=1 --set synth.test=1
expect_error 2 "DIR" synth
expect_error 2 "DIR" synth one --data two
expect 0 synth named --data named --set synth.train=1 --set synth.val=1 --set synth.test=1
expect_error 2 "DIR" synth one two
expect_error 2 "DIR" synth --set data.dir=one
not_there one two
summary
