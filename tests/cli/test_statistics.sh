#!/usr/bin/env bash
# The verdict: every figure of statistics.json and of report.md is recomputed from the predictions by recompute.py, for runs
# of many kinds; what cannot be said is said; damaged and foreign files are named; the margin is stated before the test
# split is read.
. "$(dirname "$0")/lib.sh"

# Runs without models: results.json and predictions. Names of clips, EFs and errors come from the digits of a digest.
cat >make.py <<'PY'
import hashlib, json, os, sys
def part(*key): return int(hashlib.sha256(repr(key).encode()).hexdigest()[:12], 16) / 16**12
def predictions(name, clips, model, spread):
    for i in range(clips):
        ef = 20 + 55 * part("ef", i)
        yield f"clip{i}", ef, ef * 0.9 + 6 + 24 * (part("noise", i) - 0.5) + spread * (part(model, i, name) - 0.45)
def make(run, clips=40, patients=0, lengths=True, change=None, first=None, seed=None, digest=True, models=None):
    os.makedirs(f"{run}/predictions", exist_ok=True)
    rows = [{"model": "Median", "precision": "-", "prediction": 51.5, "mae": 12.0, "rmse": 14.0, "r2": 0.0}]
    for row, name, precision, spread in models or (("FP32", "fp32", "FP32", 0), ("PTQ", "ptq", "INT8", 1),
                                                    ("QAT", "qat", "INT8", 4), ("FP32+", "fp32_plus", "FP32", 3)):
        off, true = [], []
        text = "FileName,Split,EF,Prediction" + (",Patient" if patients else "") + (",Frames,FPS" if lengths else "") + "\n"
        for i, (clip, ef, p) in enumerate(predictions(seed, clips, row, spread)):
            ef, p = (float(f"{x:.9g}") for x in (change(row, i, ef, p) if change else (ef, p)))
            off.append(p - ef)
            true.append(ef)
            text += f"{(first or '') if row == 'PTQ' else ''}{clip},TEST,{ef:.9g},{p:.9g}"
            text += f",{1 + int(part('who', i) * patients) if i % 10 else ''}" if patients else ""
            text += f",{100 + int(90 * part('frames', i))},{50 if i % 3 else 30}" if lengths else ""
            text += "\n"
        open(f"{run}/predictions/{name}.csv", "w").write(text)
        total = sum((y - sum(true) / clips) ** 2 for y in true)
        rows.append({"model": row, "precision": precision, "clips": clips, "mae": sum(map(abs, off)) / clips,
                     "bias": sum(off) / clips, "rmse": (sum(x * x for x in off) / clips) ** 0.5,
                     "r2": 1 - sum(x * x for x in off) / total if len(set(true)) > 1 else None}
                    | ({"predictions_sha256": hashlib.sha256(text.encode()).hexdigest()} if digest else {}))
    json.dump({"format": "echoquant-results-1", "models": rows,
               "margin": {"points": 0.5, "stated": "2026-01-31T12:00:00Z", "late": False}}, open(f"{run}/results.json", "w"))
PY
make() {
    local run=$1
    shift
    python3 -c "import sys; sys.path.insert(0, '.'); from make import make; make(sys.argv[1], ${*:-})" "$run"
}
# recomputed RUN [SETTINGS]: its report, and every figure again.
recomputed() {
    local run=$1
    shift
    expect 0 report "$run" --set report.replicates=200 "$@"
    if python3 "$SOURCE/tests/cli/recompute.py" "$run" >recomputed 2>&1; then
        pass
    else
        fail "the figures of $run"
        tail -n 20 recomputed
    fi
}

# Clips; patients; no lengths; a user's model.
make plain
recomputed plain
has "$OUT" "PTQ is non-inferior to FP32 (difference of MAE "
has "$OUT" "the margin was stated before the test split was read (2026-01-31T12:00:00Z)."
for text in "## Verdict" "QAT is non-inferior to FP32+" "non-inferior" "MLPerf's rule" "Clips that change class" "Errors by frame rate"; do
    has plain/report.md "$text"
done
has plain/report.html "is non-inferior to FP32"
make patients patients=4
recomputed patients
has patients/report.md "the 8 patients of 40 test clips" # four of the clips have no known patient
has patients/report.md "only 8 patients. Bootstrap intervals from fewer than 10 are too narrow"
has patients/report.md "by the bootstrap over patients"
make own "lengths=False, models=(('FP32', 'fp32', 'FP32', 0), ('mine', 'mine', 'INT8', 30))"
recomputed own
has own/report.md "mine - FP32"
is "strata that are not known" "$(grep -c "Errors by frame rate\|Errors by length" own/report.md)" 0

# The same draws on any number of threads.
cp plain/statistics.json before.json
expect 0 report plain --set report.replicates=200 --set run.threads=1
same plain/statistics.json before.json

# The margin: changed later, never stated, stated too late; not shown and inferior.
recomputed plain --set report.margin=0.01
has "$OUT" "the margin was changed after the test split was read; the one stated before was 0.5"
has "$OUT" "By the stated margin of 0.5, PTQ is non-inferior to FP32."
has "$OUT" "non-inferiority of PTQ to FP32 is not shown"
sed -i 's/"late": false/"late": true/' plain/results.json
recomputed plain
has "$OUT" "the margin was stated after the test split was read"
sed -i 's/"margin"/"other"/' plain/results.json
recomputed plain
has "$OUT" "the margin was not stated before the test split was read"
make worse "change=lambda row, i, ef, p: (ef, p + (6 if row == 'PTQ' and p > ef else -6 if row == 'PTQ' else 0))"
recomputed worse
has "$OUT" "PTQ is inferior to FP32"

# Few clips, one clip, one EF, one class, equal models.
make nine clips=9
recomputed nine
has nine/report.md "The test split has only 9 clips. Bootstrap intervals from fewer than 10 are too narrow"
make one clips=1
recomputed one
has "$OUT" "nothing can be said of PTQ against FP32"
has one/report.md "The test split has one clip. One clip gives no intervals, and so no verdict."
make constant "change=lambda row, i, ef, p: (55, p)"
recomputed constant
has constant/report.md "All test clips have the same EF, so there is no R2"
make healthy "change=lambda row, i, ef, p: (41 + ef / 4, p)"
recomputed healthy
has healthy/report.md "No test clip has an EF below 40 %, so there is no AUC at that cut."
make equal "change=lambda row, i, ef, p: (ef, 50 + i % 7)"
recomputed equal
has equal/report.md "PTQ predicts exactly what FP32 predicts, for every test clip."

# Other test clips are not compared clip by clip.
make other "first='x'"
recomputed other
has other/report.md "PTQ and FP32 are not compared clip by clip: they were evaluated on different test clips (40 and 40)."
is "pairs of other clips" "$(grep -c "^| PTQ - FP32" other/report.md)" 0

# Predictions that are missing, changed, damaged, doubled; results that are foreign or damaged.
make bad
rm bad/predictions/qat.csv
recomputed bad
has bad/report.md "QAT is left out: it has no file of predictions."
make bad
sed -i '3s/TEST,[0-9.]*/TEST,12.5/' bad/predictions/ptq.csv
expect_error 1 "bad/predictions/ptq.csv was changed or replaced after the evaluation: its SHA-256 is" report bad
has "$ERR" "(models[2].predictions_sha256). Run \`echoquant eval ptq\` again"
make bad digest=False
sed -i '3s/TEST,[0-9.]*/TEST,x/' bad/predictions/ptq.csv
expect_error 1 "bad/predictions/ptq.csv:3: not a number" report bad
make bad digest=False
sed -i '4s/^clip2,/clip1,/' bad/predictions/ptq.csv
expect_error 1 "bad: predictions/ptq.csv: clip clip1 is listed twice (rows 2 and 3)" report bad
make bad
sed -i 's/echoquant-results-1/other-results/' bad/results.json
expect_error 1 "bad/results.json is not a results file of this program" report bad
make bad
sed -i 's/"models"/"models" 5/' bad/results.json
expect_error 1 "bad/results.json:1:44: not valid JSON" report bad
make bad
sed -i 's/"mae": [0-9.]*/"mae": 3.5/g' bad/results.json
expect 0 report bad
has "$OUT" "results.json says an MAE of 3.5 for PTQ (models[2].mae), but its predictions give "

# Several seeds: two levels.
mkdir seeds
for seed in 1 2 3; do make "seeds/seed-$seed" "seed=$seed"; done
echo '{"train": {"seeds": 3}, "run": {"seed": 1}}' >seeds/config.json
recomputed seeds
has "$OUT" "PTQ is non-inferior to FP32 (difference of MAE "
has "$OUT" "The interval covers other seeds and other clips, from 3 seeds and 40 test clips (PTQ - FP32: SD over seeds "
has seeds/report.md "mean of the seeds' figures and, in brackets, their range"
rm -r seeds/seed-3
recomputed seeds
has "$OUT" "from 2 seeds and 40 test clips"
rm -r seeds/seed-2
recomputed seeds
has "$OUT" "Only seed 1 has results. The intervals do not cover other seeds."

# A run from end to end: eval states the margin, tells the length of each clip, and prints the verdict.
tiny_data d
expect 0 run-all --run r --data d "${TINY[@]}" --set report.margin=0.75
has "$OUT" "With a margin of 0.75 EF points of MAE, "
recomputed r
python3 - <<'PY' && pass || fail "the margin, and the length of each clip"
import csv, json, os
results = json.load(open("r/results.json"))
assert results["margin"]["points"] == 0.75 and not results["margin"]["late"]
stated = results["margin"]["stated"]
assert stated <= min(m["timed"] for m in results["models"] if "timed" in m)
listed = {r["FileName"]: r for r in csv.DictReader(open("d/FileList.csv"))}
rows = list(csv.DictReader(open("r/predictions/ptq.csv")))
assert len(rows) == 3
for row in rows:
    clip = listed[row["FileName"].split(".")[0]] if row["FileName"] not in listed else listed[row["FileName"]]
    assert (int(row["Frames"]), float(row["FPS"])) == (int(clip["NumberOfFrames"]), float(clip["FPS"]))
PY
expect 0 eval ptq --run r --data d --set report.margin=0.25
has "$OUT" "the margin was changed after the test split was read; the one stated before was 0.75"
grep -q '"points": 0.75' r/results.json && pass || fail "the stated margin stays"
expect 0 verify r --data d
has "$OUT" "statistics.json: as it was written"

# --force starts over: a new statement.
expect 0 run-all --run r --data d "${TINY[@]}" --set report.margin=0.3 --force
has "$OUT" "With a margin of 0.3 EF points of MAE, "
grep -q '"points": 0.3' r/results.json && pass || fail "a new margin"
expect_error 2 "report.margin = 0" report r --set report.margin=0

# sensitivity on test clips reads them, too. Without rows there is a report that says so.
cp -r r t && rm t/results.json
expect 0 sensitivity conv1 --run t --data d --set sensitivity.split=test --set sensitivity.clips=1
grep -q '"points": 0.3' t/results.json && pass || fail "sensitivity on test clips states the margin"
expect 0 report t
summary
