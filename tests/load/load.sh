#!/usr/bin/env bash
# Many clips: memory that grows only by the list, order and bits that do not depend on threads, files that are closed.
#
#   load.sh ECHOQUANT SOURCE [N...]    with sets of N clips, each at least 100: 100, 1000 and 10000 unless given
#
# The clips are real files, small (32 x 32 pixels) and all different. TEST_TOOLS is the folder of write_clips.
SIZES=("${@:3}")
[ ${#SIZES[@]} -gt 0 ] || SIZES=(100 1000 10000)
. "$(dirname "$0")/../cli/lib.sh"

# Bytes that a clip may add to a command's peak: its name, path, row and prediction. SLACK, in KiB: by what malloc, the
# pools of threads and the ring of batches differ from run to run.
LIST_BYTES=1024 SLACK=6144 CACHE_MB=1
NETWORK=(--set data.frames=4 --set data.size=32 --set model.width=8 --set train.batch=8 --set train.epochs=1
    --set train.lr=0.003 --set bench.warmup=0 --set bench.repeats=1 --threads 2)
ulimit -n 64

# measured NAME N ARGUMENTS...: runs the program; PEAK is its peak memory in KiB.
measured() {
    local name=$1 n=$2 start
    shift 2
    start=$(date +%s%N)
    STATUS=0
    python3 - "$TMP/.peak" "$BIN" "$@" >"$OUT" 2>"$ERR" </dev/null <<'END' || STATUS=$?
import resource, subprocess, sys
status = subprocess.run(sys.argv[2:], stdin=subprocess.DEVNULL).returncode
open(sys.argv[1], "w").write(str(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss))
sys.exit(status)
END
    PEAK=$(cat "$TMP/.peak")
    is "exit of $name over $n clips" "$STATUS" 0
    [ "$STATUS" = 0 ] || show
    printf '%-22s %6d clips  %8d KiB  %7.1f s\n' "$name" "$n" "$PEAK" "$((($(date +%s%N) - start) / 1000000))e-3"
}

# grows NAME N: remembers PEAK, and compares it with that of the set before.
declare -A PEAKS
grows() {
    local before=${PEAKS[$1]-} most
    PEAKS[$1]=$PEAK
    [ -n "$before" ] || return 0
    most=$((before + SLACK + ($2 - SMALLER) * LIST_BYTES / 1024))
    if [ "$PEAK" -le "$most" ]; then pass; else fail "$1 over $2 clips: $PEAK KiB, more than $most"; fi
}

# Every clip of the list once, in its order, and what predict says about the same files.
check_predictions() {
    python3 - "$1" "$2" "$3" <<'END'
import csv, sys
rows = list(csv.DictReader(open(sys.argv[1])))
listed = [r["FileName"] for r in csv.DictReader(open(sys.argv[2])) if r["Split"] == "TEST"]
predicted = {r["Path"].rsplit("/", 1)[1][:-4]: r for r in csv.DictReader(open(sys.argv[3]))}
assert [r["FileName"] for r in rows] == listed, "other clips, or another order"
assert list(predicted) == sorted(predicted), "predict: another order"
for r in rows:
    p = predicted[r["FileName"]]
    assert not p["Error"] and abs(float(p["EF"]) - float(r["Prediction"])) < 6e-5, r
END
}

SMALLER=0 KEPT=0
for n in "${SIZES[@]}"; do
    data=clips-$n train=$((n / 10 < 40 ? 40 : n / 10)) val=20
    "$TEST_TOOLS/write_clips" "$data" "$n" "$train" "$val" || exit 1
    KEPT=$((KEPT + n - train))

    # All but 20 clips are for training: the same model from one worker and from eight.
    mv "$data/FileList.csv" test.csv
    awk -F, -v OFS=, -v last=$((n - 20)) \
        'NR > last + 1 { $3 = NR % 2 ? "VAL" : "TEST" } NR > 1 && NR <= last + 1 { $3 = "TRAIN" } 1' \
        test.csv >"$data/FileList.csv"
    for workers in 1 8; do
        measured "train, $workers workers" "$n" train --run "train-$n-$workers" --data "$data" "${NETWORK[@]}" \
            --set data.cache_mb=$CACHE_MB --set data.workers=$workers
        grows "train-$workers" "$n"
    done
    same "train-$n-1/fp32.safetensors" "train-$n-8/fp32.safetensors"
    mv test.csv "$data/FileList.csv"

    # Most clips are for the test.
    expect 0 train --run "run-$n" --data "$data" "${NETWORK[@]}"
    for workers in 1 8; do
        measured "eval, $workers workers" "$n" eval --run "run-$n" --set data.workers=$workers \
            --set data.cache_mb=$CACHE_MB
        grows "eval-$workers" "$n"
        cp "run-$n/predictions/fp32.csv" "by-$workers.csv"
    done
    same by-1.csv by-8.csv
    measured "predict" "$n" predict --model "run-$n/fp32.safetensors" --threads 2 --output predict.csv "$data"
    grows predict "$n"
    measured "predict, one thread" "$n" predict --model "run-$n/fp32.safetensors" --threads 1 --output one.csv "$data"
    same predict.csv one.csv
    is "rows of predict" "$(wc -l <predict.csv)" $((n + 1))
    if check_predictions by-8.csv "$data/FileList.csv" predict.csv; then pass; else fail "predictions of $n clips"; fi

    # The clips on disk, as they are kept and as they are used.
    sleep 2.1 # younger ones are not kept
    for round in 1 2; do
        measured "eval, clips on disk, $round" "$n" eval --run "run-$n" --set data.cache_dir=cache \
            --set data.workers=$((4 * round)) --set data.cache_mb=0
        grows "disk-$round" "$n"
        same by-1.csv "run-$n/predictions/fp32.csv"
    done
    SMALLER=$n
done
is "clips on disk" "$(find cache -name '*.clip' | wc -l)" "$KEPT"
summary
