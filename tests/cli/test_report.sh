#!/usr/bin/env bash
# report: of one run, with what it was; of an unfinished one; of many, as text, as files and in each format.
. "$(dirname "$0")/lib.sh"

tiny_data d
tree() { find "$1" -type f -printf '%p %T@ %s\n' | sort; }

# ---- what a run was: the command of the report repeats it ----
expect 0 run-all --run "runs/it's one" --data d "${TINY[@]}"
md="runs/it's one/report.md"
has "$md" "## What the run was"
for text in "- Program: echoquant " ", compiled by " "- Machine: " "instruction set " "- Libraries: FFmpeg " "OpenBLAS " \
    "| qat.epochs " "| train.lr " "- To compare the two: echoquant verify 'runs/it'\\''s one' 'runs/it'\\''s one-again'"; do
    has "$md" "$text"
done
for file in "runs/it's one/config.json" d/FileList.csv "runs/it's one/data.csv" "runs/it's one/fp32.safetensors"; do
    has "$md" "| $(sha256sum <"$file" | cut -d' ' -f1) |"
done
sed -n 's/^- To repeat the run: echoquant /"$BIN" /p' "$md" >again.sh
. ./again.sh >/dev/null 2>&1
expect 0 verify "runs/it's one" "runs/it's one-again"
python3 - "runs/it's one" <<'PY' && pass || fail "environment and hash of the list in results.json"
import json, sys
r = json.load(open(sys.argv[1] + "/results.json"))
e = r["environment"]
assert all(e[key] for key in ("version", "cpu", "isa", "threads", "system", "compiler", "flags"))
assert all(isinstance(v, str) and v for v in e["libraries"].values()) and {"FFmpeg", "OpenBLAS", "cJSON"} <= set(e["libraries"])
assert len(r["data"]["file_list_sha256"]) == 64
PY
mv "runs/it's one" a && mv "runs/it's one-again" b

# Another version's results are named as such.
cp -r a other
python3 - <<'PY'
import json
r = json.load(open("other/results.json"))
r["environment"]["version"] = "0.0.9"
del r["seal"], r["environment"]["compiler"], r["environment"]["libraries"]
json.dump(r, open("other/results.json", "w"))
PY
expect 0 report other
has other/report.md "echoquant 0.0.9 made the results, and echoquant "

summary
