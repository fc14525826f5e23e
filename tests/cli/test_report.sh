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

# ---- an unfinished run: what there is, what is missing, and the command for it ----
expect 0 train --run u --data d "${TINY[@]}"
expect 0 report u
has "$OUT" "## This run is not finished"
for line in "| ptq.safetensors *| echoquant ptq --run u *|" "| qat.safetensors *| echoquant qat --run u *|" \
    "| results of FP32 *| echoquant eval fp32 --run u *|" "| results of QAT *| echoquant eval qat --run u *|"; do
    if grep -q "^$line$" "$OUT" && grep -q "^$line$" u/report.md; then pass; else fail "no row $line" && show; fi
done
if grep -q "fp32.safetensors.*echoquant train" "$OUT"; then fail "asks for what is there"; else pass; fi
has u/report.md "![FP32: training]"
has u/report.html "This run is not finished"
expect 0 ptq --run u
expect 0 eval fp32 --run u
expect 0 report u
has "$OUT" "| FP32 "
if grep -q "results of FP32\|ptq.safetensors" "$OUT"; then fail "asks for what is there"; else pass; fi
has "$OUT" "| results of PTQ "
bash -c "$(sed -n 's/^| [^|]*| echoquant \(run-all\|qat\|eval [a-z]*\) --run u *|$/"'"${BIN//\//\\/}"'" \1 --run u --quiet;/p' "$OUT")" >/dev/null 2>&1
expect 0 report u
if grep -q "not finished\|missing" "$OUT"; then fail "the commands of the report did not finish the run" && show; else pass; fi

# Interrupted trainings and several seeds.
cp -r u i && rm i/results.json i/*.safetensors i/report.*
touch i/state/fp32.state.safetensors
expect 0 report i
has "$OUT" "fp32.safetensors: the training was interrupted after 2 epochs"
not_there i/results.json
expect 0 run-all --run s --data d "${TINY[@]}" --set train.seeds=2 --set qat.epochs=1
rm s/seed-*/results.json s/results.json
expect 0 report s
has "$OUT" "echoquant run-all --run s"
if grep -qE "\| seeds [0-9]+, [0-9]+ +\|" "$OUT"; then pass; else fail "seeds without results" && show; fi
expect 0 run-all --run s
expect 0 report s
if grep -q "not finished" "$OUT"; then fail "finished seeds"; else pass; fi

# A damaged history is named with its line; a folder that is no run stays an error.
cp -r i damaged && sed -i '3s/,/;/' damaged/history/fp32.csv
expect_error 1 "damaged/history/fp32.csv:3: " report damaged
mkdir nothing
expect_error 1 "nothing/results.json is missing" report nothing

summary
