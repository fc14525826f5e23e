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
    "| train.epochs " "| train.lr " "- To compare the two: echoquant verify 'runs/it'\\''s one' 'runs/it'\\''s one-again'"; do
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

# ---- many runs ----
expect 0 run-all --run "c" --data d "${TINY[@]}" --set train.epochs=3 --set ptq.observer=hist_mse
mv b "b, \"x\" & y_z|#1%"
ODD="b, \"x\" & y_z|#1%"
{ tree a; tree c; } >before
for command in "" "--json" "--format md" "--format csv" "--format json" "--format latex"; do
    # shellcheck disable=SC2086
    expect 0 report a c $command
done
expect 0 report a --format csv
chmod -R a-w a c && expect 0 report a c && chmod -R u+w a c
{ tree a; tree c; } >after
same before after
expect 0 report a c
has "$OUT" "## Settings that differ"
is "only the settings that differ" "$(sed -n '/^| Setting/,/^$/p' "$OUT" | tail -n +3 | cut -d'|' -f2 | xargs)" \
    "train.epochs ptq.observer"
has "$OUT" "| c   | FP32 "
has "$OUT" "## Differences between runs, on the same test clips"
expect 0 report a c --format csv
cp "$OUT" table.csv
expect 0 report a c --format json
cp "$OUT" table.json
expect 0 report a "$ODD" c --format csv
cp "$OUT" odd.csv
python3 - "$ODD" <<'PY' && pass || fail "the tables do not have the numbers of the runs"
import csv, json, math, os, sys
rows = list(csv.DictReader(open("table.csv", newline="")))
table = json.load(open("table.json"))
assert table["format"] == "echoquant-comparison-1" and table["notes"] == []
want = [(run, m) for run in "ac" for m in json.load(open(run + "/results.json"))["models"]]
assert len(rows) == len(want) == len(table["models"])
def error(run, model):
    predictions = csv.DictReader(open(f"{run}/predictions/{model.lower()}.csv"))
    return {p["FileName"]: abs(float(p["Prediction"]) - float(p["EF"])) for p in predictions}
for row, entry, (run, m) in zip(rows, table["models"], want):
    assert row["run"] == entry["run"] == run and row["model"] == entry["model"] == m["model"]
    for key, value in {"mae": m["mae"], "rmse": m["rmse"], "size_mb": m.get("size_mb"),
                       "latency_ms": m.get("latency_ms", {}).get("median")}.items():
        assert (row[key] == "" and key not in entry) if value is None else float(row[key]) == entry[key] == value, (key, row[key], value)
    assert row["train.epochs"] == {"a": "2", "c": "3"}[run] and row["ptq.observer"] == {"a": "minmax", "c": "hist_mse"}[run]
    assert row["test_group"] == "1"
# The front by hand.
def front(rows, x):
    there = [r for r in rows if r[x] and r["model"] != "Median"]
    at = lambda r: (float(r["mae"]), float(r[x]))
    return {(r["run"], r["model"]) for r in there
            if not any(at(o) != at(r) and all(a <= b for a, b in zip(at(o), at(r))) for o in there)}
for x, key in (("size_mb", "front_size"), ("latency_ms", "front_latency")):
    got = {(r["run"], r["model"]) for r in rows if r[key] == "true"}
    assert got == front(rows, x) and got, (key, got)
# Differences by hand.
assert {d["model"] for d in table["differences"]} == {"FP32", "PTQ", "QAT"}
for d in table["differences"]:
    a, c = error("a", d["model"]), error("c", d["model"])
    mean = math.fsum(c[k] - a[k] for k in a) / len(a)
    assert d["run"] == "c" and d["minus"] == "a" and d["clips"] == len(a) and abs(d["mae"] - mean) < 1e-9
    assert d["low"] < d["mae"] < d["high"]
# Names that a table could take for its own.
names = [r["run"] for r in csv.DictReader(open("odd.csv", newline=""))]
assert names[4] == sys.argv[1] and len(set(names)) == 3
PY
expect 0 report "$ODD" a --format latex
has "$OUT" 'b, \textquotedbl{}x\textquotedbl{} \& y\_z\textbar{}\#1\%'
has "$OUT" '\begin{tabular}{lll'
if sed 's/\\[&%#_]//g; /^%/d' "$OUT" | grep -q '[#%]'; then fail "LaTeX: a special character is not escaped"; else pass; fi
expect 0 report "$ODD" a --format md
has "$OUT" 'y_z\|#1%'
expect 0 report a --format md
is "the table of one run" "$(head -n 1 "$OUT" | cut -c1-9)" "| Model  "

# The page of a comparison.
expect 0 report a c --out cmp
there cmp/report.html cmp/report.md cmp/table.csv
has "$OUT" "cmp/report.html"
same cmp/table.csv table.csv
if command -v gnuplot >/dev/null; then there cmp/plots/front_size.svg cmp/plots/front_latency.csv; fi
expect_error 2 "is a run directory" report a c --out a
expect_error 2 "--out and --json" report a --out cmp --json
chmod -R a-w a s && tree a >before && tree s >>before
expect 0 report a --out one
expect 0 report s --out several
chmod -R u+w a s && tree a >after && tree s >>after
same before after
there one/report.html one/report.md one/statistics.json several/report.html
has "$OUT" "several/report.html"
expect_error 2 "--format xml: use md, csv, json, or latex" report a c --format xml
expect_error 2 "--json and --format csv" report a c --format csv --json
expect_error 2 "are the same run" report a c ./a/

# Other test clips are not compared, and the report says so; the same ones in another folder are.
"$BIN" synth d2 --quiet --set synth.train=6 --set synth.val=2 --set synth.test=3 --set synth.seed=7 >/dev/null
expect 0 run-all --run e --data d2 "${TINY[@]}"
expect 0 report a e c
has "$OUT" "were tested on different clips"
has "$OUT" "Runs with the same test clips: a, c; e."
if sed -n '/^## Differences/,$p' "$OUT" | grep -q '^| e '; then fail "a difference between different clips"; else pass; fi
expect 0 report a e c --format csv
GROUPS_OF=$(awk -F, 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == "test_group") at = i; next } { print $1 "," $at }' "$OUT" | sort -u | xargs)
is "groups of test clips" "$GROUPS_OF" "a,1 c,1 e,2"
cp -r a short && sed -i '/TRAIN/{x;s/^/x/;/^x$/{x;d};x}' short/data.csv
expect_error 1 "short/data.csv does not have the digest" report a short

# Foreign, damaged, unfinished and missing runs are named.
cp -r a g && python3 - <<'PY'
import json
r = json.load(open("g/results.json"))
del r["seal"]
r["models"][1]["mae"] = "low"
json.dump(r, open("g/results.json", "w"))
PY
expect_error 1 'g/results.json: "mae" of the model PTQ is not a number' report a g
cp -r a h && sed -i '3s/,[0-9]/;7/' h/predictions/qat.csv
expect_error 1 "h/predictions/qat.csv:3: " report a h
cp c/predictions/ptq.csv h/predictions/qat.csv
expect_error 1 '"predictions_sha256" is noted for QAT in h/results.json' report a h
echo '{"format": "other"}' >h/results.json
expect_error 1 "h/results.json is not a results file" report a h
echo '{"data": {"frames": "x"}, "origin": {}}' >h/config.json
expect_error 2 "h/config.json: data.frames" report a h
expect_error 1 "nothing is no run directory" report a nothing
expect_error 2 "runs in it: name them, as in" report a .
expect 0 report a i
has "$OUT" "i has no results yet: \`echoquant run-all --run i\` makes them."
expect_error 1 "i has no results yet" report i --format csv
# Runs over several seeds: their means.
expect 0 report s a --format csv
is "seeds of a row" "$(sed -n 2p "$OUT" | cut -d, -f24)" 2

# ---- histories for TensorBoard ----
tree a >before
expect 0 report a c --tensorboard events
tree a >after
same before after
has "$OUT" "events/a/fp32/events.out.tfevents.0.echoquant"
for run in a c; do
    if python3 "$SOURCE/tests/cli/tfevents.py" "events/$run" "$run"; then pass; else fail "events of $run"; fi
done
(cd a && "$BIN" report . --tensorboard ../here >"$OUT" 2>"$ERR") && pass || fail "report . --tensorboard"
same here/a/qat/events.out.tfevents.0.echoquant events/a/qat/events.out.tfevents.0.echoquant
expect 0 report s --tensorboard events
for seed in s/seed-*; do
    if python3 "$SOURCE/tests/cli/tfevents.py" "events/$seed" "$seed"; then pass; else fail "events of $seed"; fi
done
expect_error 1 "damaged/history/fp32.csv:3: " report damaged --tensorboard events
expect_error 1 "nothing has no history" report nothing --tensorboard events
expect_error 2 "leave out --json" report a --tensorboard events --json

# ---- the schemas, and the lines of the README ----
PYTHON=$(python_with 'from jsonschema import Draft202012Validator')
if [ -n "$PYTHON" ]; then
    if "$PYTHON" "$SOURCE/tests/cli/schema.py" "$SOURCE/docs" a s; then pass; else fail "the schemas"; fi
else
    skip "the schemas: no Python here has jsonschema with draft 2020-12 (python3-jsonschema)"
fi
PYTHON=$(python_with 'import pandas')
if [ -n "$PYTHON" ]; then
    mkdir -p runs && cp -r a runs/default
    sed -n 's/^    \(import json.*\)/\1/p; s/^    \(models = .*\)/\1/p; s/^    \(clips = .*\)/\1/p' "$SOURCE/README.md" >readme.py
    is "lines of pandas in the README" "$(wc -l <readme.py)" 3
    echo 'assert abs((clips.Prediction - clips.EF).abs().mean() - models.mae["PTQ"]) < 1e-6 and models.index[0] == "FP32"' >>readme.py
    if "$PYTHON" readme.py; then pass; else fail "the lines of pandas in the README"; fi
else
    skip "the lines of pandas: no Python here has pandas"
fi

summary
