#!/usr/bin/env bash
# The whole experiment on the smoke configuration: what it leaves, that it is left alone when finished, that a phase
# can be made again, that the number of threads changes nothing, and what predict, bench and inspect say of its models.
. "$(dirname "$0")/lib.sh"

# As it is, and with a narrower network, for what does not depend on its width.
SMOKE=(--config "$SOURCE/configs/smoke.json")
FRAMES=4 SIDE=64 WIDTH=16
emulated && FRAMES=2 SIDE=32 WIDTH=8 # an hour otherwise
NARROW=("${SMOKE[@]}" --set data.frames=$FRAMES --set data.size=$SIDE --set model.width=$WIDTH)

# made RUN ARGUMENTS...: run-all on two threads, and what it leaves.
made() {
    local dir=$1 start seconds file text title sanitized
    shift
    start=$(date +%s)
    expect 0 run-all --run "$dir" --threads 2 "$@"
    seconds=$(($(date +%s) - start))
    echo "run-all on configs/smoke.json, run $dir: $seconds s"
    for text in "| Model | Precision | Size(MB) | MAE | Latency CPU(ms) | Latency GPU(ms) |" "| FP32 " "| PTQ " "| QAT " "| FP32+ " \
        "$dir/report.html"; do
        has <(tr -s ' ' <"$OUT") "$text"
    done
    there "$dir"/{config.json,results.json,report.md,report.html} "$dir"/{fp32,ptq,qat,fp32_plus}.safetensors \
        "$dir"/history/{fp32,qat,fp32_plus}.csv "$dir"/predictions/{fp32,ptq,qat,fp32_plus}.csv data/synthetic-smoke/FileList.csv
    is "rows of predictions" "$(wc -l <"$dir/predictions/qat.csv")" 7
    is "header of predictions" "$(head -n 1 "$dir/predictions/ptq.csv")" "FileName,Split,EF,Prediction,Frames,FPS"
    is "epochs of the history" "$(wc -l <"$dir/history/fp32.csv")" 3
    for file in report.md report.html fp32.safetensors ptq.safetensors; do
        has "$dir/$file" "For research only: not a medical device"
    done
    sanitized=$(nm -D "$BIN" 2>/dev/null | grep -o '__[at]san_init' | head -n 1)
    python3 - "$dir" $sanitized <<'PY' && pass || fail "results.json"
import json, sys
wide = sys.argv[1] == "wide"
r = json.load(open(sys.argv[1] + "/results.json"))
rows = {m["model"]: m for m in r["models"]}
for name in ("FP32", "PTQ", "QAT", "FP32+"):
    m = rows[name]
    assert m["clips"] == 6 and m["mae"] > 0 and m["rmse"] >= m["mae"] and m["size_mb"] > wide
    for key in ("latency_ms", "file_latency_ms"):
        l = m[key]
        assert 0 < l["min"] <= l["median"] <= l["p90"] <= l["p95"] <= l["p99"]
        samples, n = l["samples"], int(l["repeats"])
        assert len(samples) == n and samples == sorted(samples) and samples[0] == l["min"]
        assert all(l[f"p{p}"] == samples[-(-p * n // 100) - 1] for p in (90, 95, 99)), l
    start, memory = m["start_ms"], m["memory_bytes"]
    assert start["load"] > 0 and start["first_call"] > 0 and start["repeats"] == 3
    assert memory["arena"] > 0 and memory["packed"] > 0
    # Weights, packed weights and buffers were all there at once; the rest of the process does not count.
    # A sanitizer keeps what was freed, so there the peak says nothing.
    if "peak" in memory and len(sys.argv) == 2:
        assert memory["packed"] + memory["arena"] / 2 < memory["peak"] < 40e6 * m["size_mb"] + (0 if wide else 64e6), (memory, m["size_mb"])
    assert m["precision"] == ("FP32" if name.startswith("FP32") else "INT8") and m["threads"] == 2
assert r["skipped"] == []
PY

    # What phases have measured is in the report.
    there "$dir"/quantization/{ptq,qat}.json
    for title in "Latency and memory" "True EF of the clips" "Error of weights and of activations" \
        "Layers: time and sensitivity" "Each layer of PTQ in FP32" "Ranges of the edges"; do
        has "$dir/report.md" "## $title"
        has "$dir/report.html" ">$title</h2>"
    done
    has "$dir/history/qat.csv" "epoch,lr,train_loss,val_mae,val_rmse,grad_norm,grad_norm_max,seconds,waited"
}

made a "${NARROW[@]}"
is "nothing outside the run directory but data" "$(find . -mindepth 1 -maxdepth 1 ! -name '.*' -printf '%f\n' | sort | xargs)" "a data"
if emulated; then
    skip "the network's whole width: it takes an emulator a quarter of an hour"
else
    made wide "${SMOKE[@]}"
    for model in ptq qat; do
        is "$model at most 0.26 of FP32" "$(($(stat -c %s "wide/$model.safetensors") * 100 / $(stat -c %s wide/fp32.safetensors) <= 26))" 1
    done
    rm -r wide
fi

# A finished run is left alone.
find a -type f -printf '%p %T@ %s\n' | sort >before
expect 0 run-all "${NARROW[@]}" --run a
has "$ERR" "finished"
find a -type f -printf '%p %T@ %s\n' | sort >after
same before after

# A --force that is refused loses nothing: not for a model that is no baseline, not for data that isn't there.
for command in ptq qat; do
    expect_error 2 "already quantized" "$command" --run a --force --model a/ptq.safetensors
done
for command in ptq qat train run-all; do expect_error 1 "nowhere" "$command" --run a --force --data nowhere; done
find a -type f -printf '%p %T@ %s\n' | sort >after
same before after
expect_error 2 "qat.epochs 1 -> 2" run-all "${NARROW[@]}" --run a --set qat.epochs=2

# Without the later phases' files it goes on after training, with the same bits; also at other numbers of threads.
for threads in 1 3; do
    mkdir b && cp -r a/config.json a/fp32.safetensors a/history b/ && rm b/history/{qat,fp32_plus}.csv
    expect 0 run-all "${NARROW[@]}" --run b --threads "$threads"
    for model in ptq qat fp32_plus; do same "a/$model.safetensors" "b/$model.safetensors"; done
    for model in fp32 ptq qat fp32_plus; do same "a/predictions/$model.csv" "b/predictions/$model.csv"; done
    is "history of qat" "$(history_values b/history/qat.csv)" "$(history_values a/history/qat.csv)"
    rm -r b
    expect 0 train "${NARROW[@]}" --run c --threads "$threads"
    same a/fp32.safetensors c/fp32.safetensors
    rm -r c
done

# The control is an FP32 model of its own, trained after the baseline, unless none of its epochs is better on validation;
# without it the run is another's finished one.
best=$(sort -t, -k4,4g -s <(tail -n +2 a/history/fp32_plus.csv) | head -n 1 | cut -d, -f1)
cmp -s a/fp32.safetensors a/fp32_plus.safetensors && same=0 || same=1
is "the control is another model than the baseline (best epoch $best)" "$same" "$((best > 0))"
expect 0 inspect a/fp32_plus.safetensors
has "$OUT" "FP32"
cp -r a c && rm c/fp32_plus.safetensors c/history/fp32_plus.csv c/predictions/fp32_plus.csv
expect 0 run-all "${NARROW[@]}" --run c --set qat.control=false
has "$ERR" "finished"
not_there c/fp32_plus.safetensors
expect 0 qat --control --run c
same a/fp32_plus.safetensors c/fp32_plus.safetensors
expect 0 qat --control --run c
has "$ERR" "c/fp32_plus.safetensors exists with these settings: nothing to do"
rm -r c

# The single commands are the same functions.
expect 0 ptq --run a --force
expect 0 eval ptq --run a
expect 0 report --run a
has "$OUT" "a/report.html"
expect 0 run-all "${NARROW[@]}" --run a

# predict
clips=(data/synthetic-smoke/Videos/*.avi)
mkdir "odd, folder" && cp "${clips[1]}" 'odd, folder/a "b".avi'
for model in fp32 ptq qat; do
    expect 0 predict --model "a/$model.safetensors" "${clips[0]}" 'odd, folder/a "b".avi' --threads 2
    cp "$OUT" two
    expect 0 predict --model "a/$model.safetensors" "${clips[0]}" 'odd, folder/a "b".avi' --threads 1
    same "$OUT" two
    python3 - two <<'PY' && pass || fail "the CSV of predict"
import csv, sys
rows = list(csv.reader(open(sys.argv[1])))
assert rows[0] == ["Path", "EF", "Note", "Error"] and len(rows) == 3, rows
assert rows[2][0] == 'odd, folder/a "b".avi' and all(abs(float(r[1])) < 1000 for r in rows[1:]), rows
PY
done
# What predict says of a test clip is what eval wrote.
name=$(sed -n 2p a/predictions/ptq.csv | cut -d, -f1)
expect 0 predict --json --model a/ptq.safetensors "data/synthetic-smoke/Videos/$name.avi"
is "predict against eval" "$(efs "$OUT")" "$(sed -n 2p a/predictions/ptq.csv | cut -d, -f4)"
printf 'no video' >bad.avi
run predict --model a/ptq.safetensors "${clips[0]}" bad.avi
is "exit of predict with one bad clip" "$STATUS" 1
has "$ERR" bad.avi

# bench, inspect
expect 0 bench --model a/ptq.safetensors --json --set bench.repeats=3 --threads 2
python3 - "$OUT" $FRAMES $SIDE <<'PY' && pass || fail "bench --json"
import json, sys
r = json.load(open(sys.argv[1]))
assert 0 < r["latency_ms"]["min"] <= r["latency_ms"]["median"] <= r["latency_ms"]["p95"]
assert (r["threads"], r["frames"], r["size"]) == (2, *map(int, sys.argv[2:])) and r["isa"]
PY
expect 0 bench --model a/fp32.safetensors --json --set bench.repeats=3 --data data/synthetic-smoke --cpu ref
has "$OUT" file_latency_ms
has "$OUT" '"ref"'
for model in fp32 ptq; do
    expect 0 inspect "a/$model.safetensors"
    has "$OUT" "layer4.1.conv2"
    expect 0 inspect "a/$model.safetensors" --json
    python3 -m json.tool "$OUT" >/dev/null && pass || fail "inspect --json"
done

# --force starts anew and takes nothing with it that is not a run's.
printf 'mine' >a/notes.txt
expect 0 run-all "${NARROW[@]}" --run a --force --set train.epochs=1 --set train.lr=0.002
is "notes" "$(cat a/notes.txt)" mine
is "epochs of the new history" "$(wc -l <a/history/fp32.csv)" 2
mkdir -p plain/state && printf 'mine' >plain/fp32.safetensors && printf 'mine' >plain/state/x
run train --run plain --data data/synthetic-smoke "${TINY[@]}" --force
is "a folder that is no run directory" "$(cat plain/state/x)" mine
is "exit" "$STATUS" 2
is "its file" "$(cat plain/fp32.safetensors)" mine
summary
