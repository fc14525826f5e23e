#!/usr/bin/env bash
# Training that is stopped: by Ctrl-C, by SIGTERM, by kill -9 at many points, and goes on with the bits of a run that was
# never stopped.
. "$(dirname "$0")/lib.sh"

tiny_data d
SETTINGS=(--data d --set data.frames=3 --set data.size=40 --set model.width=16 --set train.epochs=5 --set train.batch=2
    --set train.schedule=onecycle --set train.warmup=0 --set qat.freeze_bn_epoch=2
    --set train.shift=2 --set train.random_phase=true --set train.ema=0.9 --set ptq.clips=4 --set qat.epochs=3
    --set ptq.observer=hist_mse --set train.lr=0.001 --set qat.weight_decay=0.02 --set qat.batch=2 --threads 2)

expect 0 train --run whole "${SETTINGS[@]}"
expect 0 qat --run whole
expect 0 qat --control --run whole
not_there whole/state/fp32.state.safetensors

# start COMMAND ARGUMENTS...: in the background; its number is in CHILD.
start() {
    "$BIN" "$@" >"$OUT" 2>"$ERR" </dev/null &
    CHILD=$!
}

# wait_for FILE: until it is there or the child is gone.
wait_for() {
    while [ ! -e "$1" ] && kill -0 "$CHILD" 2>/dev/null; do sleep 0.01; done
}

# stopped SIGNAL COMMAND DIR STATE: one that is stopped after its first epoch leaves a state and exit code 130.
stopped() {
    local signal=$1 command=$2 dir=$3 state=$4
    shift 4
    start "$command" --run "$dir" "$@"
    wait_for "$dir/state/$state.state.safetensors"
    kill -s "$signal" "$CHILD" 2>/dev/null
    STATUS=0
    wait "$CHILD" || STATUS=$?
    is "exit after $signal during $command" "$STATUS" 130
    there "$dir/state/$state.state.safetensors"
    has "$ERR" "Run the same command to resume."
    not_there "$dir/$state.safetensors"
}

compare() {
    same "whole/$1.safetensors" "$2/$1.safetensors"
    is "history of $1 in $2" "$(history_values "$2/history/$1.csv")" "$(history_values "whole/history/$1.csv")"
}

for signal in INT TERM; do
    dir=by_$signal
    stopped "$signal" train "$dir" fp32 "${SETTINGS[@]}"
    expect_error 2 "train.lr" train --run "$dir" "${SETTINGS[@]}" --set train.lr=0.5
    expect 0 train --run "$dir" "${SETTINGS[@]}" --threads 1
    has "$ERR" "resuming at epoch"
    compare fp32 "$dir"
    stopped "$signal" qat "$dir" qat
    expect 0 qat --run "$dir"
    compare qat "$dir"
    stopped "$signal" qat "$dir" fp32_plus --control
    expect 0 qat --control --run "$dir" --threads 1
    compare fp32_plus "$dir"
done

# Where QAT's ranges start is part of its settings.
mkdir restart && cp -r by_INT/config.json by_INT/fp32.safetensors by_INT/history restart/
stopped INT qat restart qat
expect 0 ptq --run restart
expect_error 2 "start of ranges=calibrated, hist_mse -> start of ranges=ptq.safetensors, hash" qat --run restart
rm restart/ptq.safetensors
expect 0 qat --run restart
has "$ERR" "resuming at epoch"
compare qat restart

# States of version 0.1.0 resume. Their signatures, kept in version_0_1_0/, have another order, numbers for enumerations
# and switches, reals with 17 digits, and neither the start of QAT's ranges nor settings that are newer.
as_version_0_1_0() { # STATE SIGNATURE: the lines of this machine, data and baseline stay those of the state
    python3 - "$1" "$2" <<'PY'
import json, struct, sys
raw = open(sys.argv[1], "rb").read()
n = struct.unpack("<Q", raw[:8])[0]
header = json.loads(raw[8:8 + n])
now = dict(line.split("=", 1) for line in header["__metadata__"]["signature"].splitlines())
old = [line.split("=", 1) for line in open(sys.argv[2]).read().splitlines()]
newer = {"start of ranges", "qat.accumulate", "qat.arithmetic"}
assert [k for k, _ in old] != list(now) and set(now) - {k for k, _ in old} <= newer
assert any(now[k] != v for k, v in old)
kept = ("isa", "FileList.csv", "baseline")
header["__metadata__"]["signature"] = "".join(f"{k}={now[k] if k in kept else v}\n" for k, v in old)
text = json.dumps(header).encode()
text += b" " * (-len(text) % 8)
open(sys.argv[1], "wb").write(struct.pack("<Q", len(text)) + text + raw[8 + n:])
PY
    is "state as version 0.1.0 wrote it: $1" "$?" 0
}
OLD=$SOURCE/tests/cli/version_0_1_0
stopped INT train old fp32 "${SETTINGS[@]}"
as_version_0_1_0 old/state/fp32.state.safetensors "$OLD/fp32.txt"
cp -r old changed
sed -i 's/"momentum": 0.9/"momentum": 0.8/; s/"loss": "huber"/"loss": "mse"/' changed/config.json
expect_error 2 "(train.momentum=0.90000000000000002 -> train.momentum=0.8, train.loss=2 -> train.loss=mse)" \
    train --run changed "${SETTINGS[@]}" --set train.momentum=0.8 --set train.loss=mse
expect 0 train --run old "${SETTINGS[@]}"
has "$ERR" "resuming at epoch"
compare fp32 old
stopped INT qat old qat
as_version_0_1_0 old/state/qat.state.safetensors "$OLD/qat.txt"
expect 0 qat --run old
has "$ERR" "resuming at epoch"
compare qat old
stopped INT qat old fp32_plus --control
as_version_0_1_0 old/state/fp32_plus.state.safetensors "$OLD/fp32_plus.txt"
expect 0 qat --control --run old
has "$ERR" "resuming at epoch"
compare fp32_plus old

# Learned scales with their moments, held half-way, and a teacher.
LSQ=("${SETTINGS[@]}" --model whole/fp32.safetensors --set qat.method=lsq --set qat.weight_bits=4
    --set qat.distill=0.25 --set qat.freeze_observer_epoch=2)
expect 0 qat --run lsq "${LSQ[@]}"
stopped INT qat lsq2 qat "${LSQ[@]}"
expect_error 2 "qat.method" qat --run lsq2 "${LSQ[@]}" --set qat.method=ste
expect 0 qat --run lsq2 "${LSQ[@]}" --threads 3
same lsq/qat.safetensors lsq2/qat.safetensors
is "history with learned scales" "$(history_values lsq2/history/qat.csv)" "$(history_values lsq/history/qat.csv)"
cmp -s lsq/qat.safetensors whole/qat.safetensors && fail "lsq makes the model of ste" || pass

# Before anything was trained.
start train --run early "${SETTINGS[@]}"
wait_for early/config.json
kill -s INT "$CHILD" 2>/dev/null
STATUS=0
wait "$CHILD" || STATUS=$?
is "exit after an early SIGINT" "$STATUS" 130
expect 0 train --run early "${SETTINGS[@]}"
compare fp32 early

# kill -9 again and again, each time a little later, until it gets through.
KILLS=0
for command in train qat; do
    for step in 1 2 3 4 5 6; do
        start "$command" --run killed "${SETTINGS[@]}"
        sleep "0.$(printf %02d $((step * 6)))"
        kill -9 "$CHILD" 2>/dev/null && KILLS=$((KILLS + 1))
        wait "$CHILD" 2>/dev/null
        [ -e "killed/$([ $command = train ] && echo fp32 || echo qat).safetensors" ] && break
    done
    model=$([ "$command" = train ] && echo fp32 || echo qat)
    [ -e "killed/$model.safetensors" ] || expect 0 "$command" --run killed "${SETTINGS[@]}"
    compare "$model" killed
done
is "killed at least four times" "$((KILLS >= 4))" 1
echo "killed $KILLS times"
is "temporary files left" "$(find killed -name '*.tmp*' | wc -l)" 0

# A state that is cut short or missing is named; the finished files are not touched.
stopped INT train cut fp32 "${SETTINGS[@]}"
truncate -s 1000 cut/state/fp32.state.safetensors
expect_error 1 "fp32.state.safetensors" train --run cut "${SETTINGS[@]}"
expect 0 train --run cut "${SETTINGS[@]}" --force
compare fp32 cut

# run-all goes on, too, phase by phase.
stopped INT run-all all fp32 "${SETTINGS[@]}" --set bench.warmup=0 --set bench.repeats=2
expect 0 run-all --run all
compare fp32 all
same <(tensors whole/qat.safetensors) <(tensors all/qat.safetensors) # this one started from ptq.safetensors
there all/report.html
summary
