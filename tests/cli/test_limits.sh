#!/usr/bin/env bash
# Limits of the system (threads, address space, stack, open files), and folders that are being made: nothing waits for
# ever, nothing dies without a word, and the same command ends well once it can.
. "$(dirname "$0")/lib.sh"

SMALL=(--set data.frames=2 --set data.size=32 --set model.width=8 --set train.epochs=1 --set train.batch=2
    --set qat.epochs=1 --set qat.batch=2 --set ptq.clips=2 --set bench.warmup=0 --set bench.repeats=1
    --set synth.train=3 --set synth.val=1 --set synth.test=1)
SYNTH=(--set synth.train=3 --set synth.val=1 --set synth.test=1 --quiet)

# Closes what the caller left open: it would count against a limit of open files.
close_inherited() {
    local fd
    for fd in /proc/self/fd/*; do
        fd=${fd##*/}
        [ "$fd" -le 2 ] || [ "$fd" = 255 ] || eval "exec $fd>&-"
    done
}

# limited LIMITS COMMAND...: as run, with limits of ulimit; 124: it did not end within two minutes.
limited() {
    local limits=$1
    shift
    STATUS=0
    (close_inherited && eval "$limits" && exec timeout 120 "$@") >"$OUT" 2>"$ERR" </dev/null || STATUS=$?
}

# told WHAT: it ended well, or with a message.
told() {
    if [ "$STATUS" = 0 ] || { [ "$STATUS" = 1 ] && grep -q '^error: ' "$ERR"; }; then
        pass
    else
        fail "$1: exit $STATUS"
        show
    fi
}

expect 0 synth whole "${SYNTH[@]}"
expect 0 run-all --run whole-run --data whole "${SMALL[@]}"

# Folders that are being made. A second process waits, and both end well.
for round in 1 2 3; do
    rm -rf raced
    "$BIN" synth raced "${SYNTH[@]}" >"$TMP/.first" 2>&1 &
    first=$!
    expect 0 synth raced "${SYNTH[@]}"
    wait "$first"
    is "the first of two in round $round" "$?" 0
    is "differences in round $round" "$(diff -r whole raced 2>&1)" ""
done
"$BIN" synth other --set synth.train=20 --set synth.val=1 --set synth.test=1 --quiet >"$TMP/.first" 2>&1 &
first=$!
while [ ! -e other/making.lock ]; do read -r -t 0.05 <> <(:) || :; done
run synth other "${SYNTH[@]}"
is "other settings while a folder is being made" "$STATUS" 2
has "$ERR" "has a synthetic set of other settings"
wait "$first"
# A lock and halves of files that a killed process left are no reason to stop; a file of the user's is.
mkdir -p begun/Videos
touch begun/making.lock begun/synth.json.tmp-999999-0
rmdir begun/Videos
expect 0 synth begun "${SYNTH[@]}"
is "differences" "$(diff -r whole begun 2>&1)" ""
rm begun/FileList.csv
touch begun/Videos/SYN000100000.avi.tmp-999999-0 begun/making.lock
echo half >begun/Videos/SYN000100001.avi
expect 0 synth begun "${SYNTH[@]}"
is "differences" "$(diff -r whole begun 2>&1)" ""
mkdir own && touch own/notes.txt
expect_error 2 "is not empty and was not made by synth" synth own "${SYNTH[@]}"
is "files in a folder that was refused" "$(ls own)" notes.txt

# No plots without gnuplot, and no log of it.
(PATH=/nonexistent "$BIN" report --run whole-run >"$OUT" 2>"$ERR") || fail "report without gnuplot"
has "$ERR" "gnuplot"
not_there whole-run/plots/gnuplot.log

if emulated; then
    skip "limits of files, memory and threads: the emulator needs some of each for itself"
    summary
    exit
fi

# Too few files to be opened: a message, and later the same command goes on.
for n in 4 5 6 7; do
    rm -rf data few-run
    limited "ulimit -n $n" "$BIN" run-all --run few-run "${SMALL[@]}"
    told "ulimit -n $n"
    expect 0 run-all --run few-run "${SMALL[@]}"
    same few-run/qat.safetensors whole-run/qat.safetensors
done
# A clip is never left out for it.
rm -rf few-run
limited "ulimit -n 5" "$BIN" train --run few-run --data whole "${SMALL[@]}" --set data.on_error=skip
[ "$STATUS" = 0 ] || has "$ERR" "error: "
is "clips left out for want of open files" "$(grep -c 'left out' "$ERR")" 0

if nm -D "$BIN" 2>/dev/null | grep -q '__asan\|__tsan'; then
    skip "limits of memory: a sanitizer needs more"
    summary
    exit
fi

# A stack of 256 KiB is enough.
limited "ulimit -s 256" "$BIN" run-all --run stack-run --data whole "${SMALL[@]}"
is "ulimit -s 256" "$STATUS" 0
same stack-run/qat.safetensors whole-run/qat.safetensors

# Address space: OpenBLAS would ask for its buffer for ever.
for v in 250000 300000 400000; do
    rm -rf space-run
    limited "ulimit -v $v" "$BIN" version # newer ones do so as soon as they are loaded
    if [ "$STATUS" = 127 ]; then pass; else told "version under ulimit -v $v"; fi
    limited "ulimit -v $v" "$BIN" train --run space-run --data whole "${SMALL[@]}" --threads 1
    if [ "$STATUS" = 127 ]; then pass; else told "ulimit -v $v"; fi # 127: the loader's own message
done
# At every limit around the least: other libraries take room between the look for it and OpenBLAS's start.
for ((v = 200000; v <= 560000; v += 10000)); do
    limited "ulimit -v $v" "$BIN" version
    if [ "$STATUS" = 127 ]; then pass; else told "version under ulimit -v $v"; fi
done
limited "ulimit -v 400000" "$BIN" predict --model whole-run/ptq.safetensors whole/Videos/SYN000100000.avi --threads 1
told "predict under ulimit -v"
# Libraries start no thread of their own.
run predict --model whole-run/ptq.safetensors whole/Videos/SYN000100000.avi --threads 1
"$BIN" synth idle --set synth.train=50 --quiet --threads 1 >"$TMP/.first" 2>&1 &
first=$!
while [ ! -e idle/making.lock ]; do read -r -t 0.05 <> <(:) || :; done
is "threads with --threads 1" "$(ls /proc/$first/task | wc -l)" 1
kill -9 "$first"
wait "$first" 2>/dev/null

# Threads. The limit does not hold for root, so another user is needed.
if [ "$(id -u)" != 0 ] || ! command -v setpriv >/dev/null || [ "$(nproc)" -lt 2 ]; then
    skip "ulimit -u: root, setpriv and two CPUs are needed"
else
    public=$(mktemp -d /tmp/echoquant-limits-XXXXXX)
    CLEANUP+=("rm -rf $public")
    cp "$BIN" "$public/echoquant"
    cp whole-run/fp32.safetensors "$public/m.safetensors"
    cp whole/Videos/SYN000100000.avi "$public/c.avi"
    chmod -R a+rX "$public"
    nobody=(timeout -s KILL 60 setpriv --reuid=65534 --regid=65534 --clear-groups env HOME=/nonexistent bash -c)
    STATUS=0
    "${nobody[@]}" "ulimit -u 1; cd $public; exec ./echoquant predict --model m.safetensors \
        --threads 2 c.avi" >"$OUT" 2>"$ERR" || STATUS=$?
    if grep -q 'cannot start 2 threads' "$ERR"; then
        is "no second thread" "$STATUS" 1
        has "$ERR" "--threads 1"
        STATUS=0
        "${nobody[@]}" "ulimit -u 1; cd $public; exec ./echoquant predict --model m.safetensors \
            c.avi" >"$OUT" 2>"$ERR" || STATUS=$?
        is "by default" "$STATUS" 0
        has "$ERR" "Going on with 1"
    else
        told "ulimit -u 1" # some kernels count otherwise
    fi
fi
summary
