#!/usr/bin/env bash
# train.seeds: several whole experiments below one run directory, stopped in the middle and gone on with, their report;
# and the lock that keeps two processes from one run directory.
. "$(dirname "$0")/lib.sh"

tiny_data d
SETTINGS=(--data d "${TINY[@]}" --set qat.control=true --threads 2)

# Each seed's folder is the run directory of that seed alone.
expect 0 run-all --run one --seed 6 "${SETTINGS[@]}"
expect 0 run-all --run many --seed 5 "${SETTINGS[@]}" --set train.seeds=2
for text in "Over 2 seeds (5, 6):" "PTQ - FP32" "QAT - FP32" "FP32+ - FP32" "QAT - FP32+" "many/report.html"; do
    has "$OUT" "$text"
done
there many/config.json many/results.json many/report.md many/report.html many/seed-{5,6}/report.html
for model in fp32 ptq qat fp32_plus; do
    same "one/$model.safetensors" "many/seed-6/$model.safetensors"
    same "one/predictions/$model.csv" "many/seed-6/predictions/$model.csv"
done
not_there many/fp32.safetensors many/predictions many/lock many/seed-5/lock
has many/report.md "95 % interval"
has many/report.html "95 % interval"
python3 - many <<'PY' && pass || fail "results.json over seeds"
import json, statistics, sys
run = sys.argv[1]
whole = json.load(open(f"{run}/results.json"))
parts = [json.load(open(f"{run}/seed-{s}/results.json")) for s in (5, 6)]
of = lambda r, name: next(m for m in r["models"] if m["model"] == name)
for name in ("FP32", "PTQ", "QAT", "FP32+"):
    maes = [of(p, name)["mae"] for p in parts]
    row = of(whole, name)
    assert abs(row["mae"] - statistics.mean(maes)) < 1e-9
    over = row["over_seeds"]
    assert over["n"] == 2 and over["mae"]["values"] == maes
    assert abs(over["mae"]["sd"] - statistics.stdev(maes)) < 1e-9
    assert (over["mae"]["min"], over["mae"]["max"]) == (min(maes), max(maes))
d = {(x["model"], x["minus"]): x for x in whole["differences"]}
for a, b in (("PTQ", "FP32"), ("QAT", "FP32"), ("QAT", "FP32+"), ("FP32+", "FP32")):
    values = [of(p, a)["mae"] - of(p, b)["mae"] for p in parts]
    half = 12.706204736 * statistics.stdev(values) / 2 ** 0.5
    assert abs(d[a, b]["mean"] - statistics.mean(values)) < 1e-9
    assert abs(d[a, b]["high"] - d[a, b]["mean"] - half) < 1e-6 * (1 + half)
assert of(whole, "Median")["over_seeds"]["mae"]["sd"] == 0 and len(d) == 4
PY

# A finished run is left alone; report sums up anew; more seeds may follow; other settings may not.
find many -type f -printf '%p %T@ %s\n' | sort >before
expect 0 run-all --run many
has "$ERR" "finished"
find many -type f -printf '%p %T@ %s\n' | sort >after
same before after
cp many/results.json results.json
expect 0 report --run many
same many/results.json results.json
has "$OUT" "Over 2 seeds"
expect 0 run-all --run many --set train.seeds=3
has "$OUT" "Over 3 seeds (5, 6, 7):"
has "$ERR" "many/seed-6 is finished"
expect_error 2 "train.seeds 3 -> 1" run-all --run many --set train.seeds=1
expect_error 2 "train.lr 0.001 -> 0.5" run-all --run many --set train.lr=0.5
expect_error 2 "run.seed 5 -> 4" run-all --run many --seed 4
expect_error 2 "train.seeds 1 -> 2" run-all --run one --set train.seeds=2
expect_error 2 "train.seeds = 0 is not allowed" run-all --run one --set train.seeds=0

# The single commands take one seed's folder.
for command in train ptq qat eval; do expect_error 2 "--run many/seed-5" "$command" --run many; done
expect 0 ptq --run many/seed-6 --force
expect 0 eval ptq --run many/seed-6
expect 0 report --run many/seed-6
expect 0 run-all --run many
has "$OUT" "Over 3 seeds"

# Stopped in the first and in the second seed, it goes on there with the same bits.
start() {
    "$BIN" "$@" >"$OUT" 2>"$ERR" </dev/null &
    CHILD=$!
}
stop() { # SIGNAL: as soon as $1 is there
    while [ ! -e "$2" ] && kill -0 "$CHILD" 2>/dev/null; do sleep 0.01; done
    kill -s "$1" "$CHILD" 2>/dev/null
    STATUS=0
    wait "$CHILD" 2>/dev/null || STATUS=$?
}
start run-all --run stopped --seed 5 "${SETTINGS[@]}" --set train.seeds=2
stop INT stopped/seed-5/state/fp32.state.safetensors
is "exit after Ctrl-C in the first seed" "$STATUS" 130
not_there stopped/report.html stopped/lock stopped/seed-5/lock stopped/seed-6
start run-all --run stopped
stop KILL stopped/seed-6/config.json
is "exit after kill in the second seed" "$STATUS" 137
there stopped/seed-5/report.html
expect 0 report --run stopped
has "$OUT" "Over 1 seed (5), 1 of 2 not yet run"
expect 0 run-all --run stopped
has "$ERR" "stopped/seed-5 is finished"
for seed in 5 6; do
    for model in fp32 qat; do
        [ "$seed" = 5 ] && same "many/seed-5/$model.safetensors" "stopped/seed-5/$model.safetensors"
        [ "$seed" = 6 ] && same "one/$model.safetensors" "stopped/seed-6/$model.safetensors"
    done
done
not_there stopped/lock stopped/seed-6/lock

# --force removes the seeds' runs and nothing else; also on the way to and from a run of one seed.
printf 'mine' >many/seed-7/notes.txt
expect 0 run-all --run many --force --set train.seeds=1 --set qat.control=false
there many/fp32.safetensors many/seed-7/notes.txt
not_there many/seed-5 many/seed-6 many/seed-7/fp32.safetensors many/seed-7/config.json
expect 0 run-all --run many --force --set train.seeds=2
there many/seed-5/qat.safetensors many/seed-6/qat.safetensors
not_there many/fp32.safetensors many/predictions/fp32.csv

# Two processes on one run directory.
start run-all --run busy --seed 5 "${SETTINGS[@]}" --set train.seeds=2 --set train.epochs=2000 --set train.schedule=constant
while [ ! -e busy/seed-5/state/fp32.state.safetensors ] && kill -0 "$CHILD" 2>/dev/null; do sleep 0.01; done
cp "$ERR" first.err
STATUS=0
"$BIN" run-all --run busy >"$OUT" 2>second.err || STATUS=$?
is "exit of the second" "$STATUS" 1
has second.err "busy is in use by process $CHILD"
STATUS=0
"$BIN" train --run busy/seed-5 >"$OUT" 2>second.err || STATUS=$?
is "exit of train on the seed at work" "$STATUS" 1
has second.err "busy/seed-5 is in use by process $CHILD"
kill -s INT "$CHILD" && wait "$CHILD"
is "exit of the first" "$?" 130
summary
