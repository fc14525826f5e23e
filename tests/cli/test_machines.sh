#!/usr/bin/env bash
# File systems that cannot lock or sync, signals of terminals and schedulers, limits on file size, readers that leave, and
# temporary files of processes that were killed.
. "$(dirname "$0")/lib.sh"

tiny_data d
TINY=(--data d --set data.frames=3 --set data.size=32 --set model.width=8 --set train.epochs=2 --set train.batch=2
    --set ptq.clips=4 --threads 1)
expect 0 train --run base "${TINY[@]}"

RUNTIME=$(ldd "$BIN" 2>/dev/null | awk '/lib[at]san/ {print $3}') # a sanitizer's library must be loaded first
if emulated; then
    skip "file systems without locks: an emulator runs the program"
elif cc -D_GNU_SOURCE -shared -fPIC -o shim.so "$SOURCE/tests/cli/filesystem_shim.c" -ldl 2>/dev/null; then
    with() { # with NAME=VALUE ARGUMENTS...
        STATUS=0
        env "$1" LD_PRELOAD="$RUNTIME $PWD/shim.so" "$BIN" "${@:2}" >"$OUT" 2>"$ERR" </dev/null || STATUS=$?
    }
    for error in 38 37 95; do # ENOSYS, ENOLCK, EOPNOTSUPP
        rm -rf f
        with LOCK_ERRNO=$error train --run f "${TINY[@]}"
        is "exit without locks, errno $error" "$STATUS" 0
        is "warnings without locks" "$(grep -c 'warning: f: this file system cannot lock files' "$ERR")" 1
        same f/fp32.safetensors base/fp32.safetensors
    done
    rm -rf f
    with LOCK_ERRNO=5 train --run f "${TINY[@]}" # EIO: not a file system that lacks locks
    is "exit when locking fails" "$STATUS" 1
    has "$ERR" "cannot be locked"
    for error in 5 9 38; do # EIO, EBADF, ENOSYS
        rm -rf f
        with DIR_ERRNO=$error train --run f "${TINY[@]}"
        is "exit when folders cannot be synced, errno $error" "$STATUS" 0
        is "warnings without folder sync" "$(grep -c 'cannot sync a folder' "$ERR")" 1
        same f/fp32.safetensors base/fp32.safetensors
    done
    rm -rf f
    with FILE_ERRNO=38 train --run f "${TINY[@]}"
    is "exit when files cannot be synced" "$STATUS" 0
    rm -rf f
    with FILE_ERRNO=5 train --run f "${TINY[@]}" # a disk error: what was written may be lost
    is "exit when syncing a file fails" "$STATUS" 1
    not_there f/fp32.safetensors
else
    skip "file systems without locks: no C compiler"
fi

# Signals that ask for an end leave a state, with which the same command goes on to the same bits.
LONG=("${TINY[@]}" --set train.epochs=400 --set train.batch=1)
for signal in HUP USR1 USR2 XCPU; do
    "$BIN" train --run "s$signal" "${LONG[@]}" >"$OUT" 2>"$ERR" </dev/null &
    CHILD=$!
    while [ ! -e "s$signal/state/fp32.state.safetensors" ] && kill -0 "$CHILD" 2>/dev/null; do sleep 0.01; done
    kill -s "$signal" "$CHILD"
    [ "$signal" = INT ] || kill -s "$signal" "$CHILD" 2>/dev/null # sent twice, as by shell and kernel
    STATUS=0
    wait "$CHILD" || STATUS=$?
    is "exit after SIG$signal" "$STATUS" 130
    has "$ERR" "a signal came"
    has "$ERR" "Run the same command to resume."
    there "s$signal/state/fp32.state.safetensors"
done
# Measurements are nothing to save, and end at once. (No watchdog in the background: a subshell that is killed as soon as it
# is there still has this script's trap.)
for mode in "base/fp32.safetensors" "--train"; do
    "$BIN" bench $mode --set model.width=8 --set data.size=32 --set bench.repeats=100000 \
        --set bench.steps=100000 >"$OUT" 2>"$ERR" </dev/null &
    CHILD=$!
    await_handler "$CHILD" USR1
    sleep 1
    kill -s USR1 "$CHILD"
    for ((i = 0; i < 200; i++)); do
        kill -0 "$CHILD" 2>/dev/null || break
        sleep 0.1
    done
    kill -s KILL "$CHILD" 2>/dev/null
    STATUS=0 && wait "$CHILD" || STATUS=$?
    is "exit of bench after a signal" "$STATUS" 130
    has "$ERR" "interrupted while measuring times"
done
# nohup holds, also where a library takes the signal for itself when it is loaded (UCX, which comes with Open MPI 5).
for preload in "" "$PWD/shim.so"; do
    [ -z "$preload" ] || [ -e shim.so ] || continue
    rm -rf nohup
    (trap '' HUP && exec env TAKE_SIGHUP=1 LD_PRELOAD="${preload:+$RUNTIME $preload}" "$BIN" train --run nohup "${LONG[@]}") \
        >"$OUT" 2>"$ERR" </dev/null &
    CHILD=$!
    while [ ! -e nohup/state/fp32.state.safetensors ] && kill -0 "$CHILD" 2>/dev/null; do sleep 0.01; done
    kill -s HUP "$CHILD"
    sleep 0.3
    alive=no
    kill -0 "$CHILD" 2>/dev/null && alive=yes
    kill -s TERM "$CHILD" 2>/dev/null
    STATUS=0
    wait "$CHILD" || STATUS=$?
    is "alive after SIGHUP, with nohup${preload:+ and a library that takes it}" "$alive" yes
    if [ $alive = no ]; then
        echo "its exit status: $STATUS"
        show
    fi
done

# A limit on file size and a reader that leaves are errors.
cp base/fp32.safetensors keep.safetensors
STATUS=0
(ulimit -f 20 && exec "$BIN" ptq --run base "${TINY[@]}") >"$OUT" 2>"$ERR" </dev/null || STATUS=$?
is "exit at the limit of file size" "$STATUS" 1
has "$ERR" "File too large"
not_there base/ptq.safetensors
same base/fp32.safetensors keep.safetensors
mkfifo pipe
{ sleep 1; "$BIN" help settings 2>"$ERR"; echo $? >status; } >pipe &
CHILD=$!
true <pipe
wait "$CHILD"
is "exit when nobody reads" "$(cat status)" 1
has "$ERR" "stdout: cannot write the results: Broken pipe"

# Temporary files of killed processes go, whatever the number of the process: the lock keeps others out.
for folder in "" state/ history/ predictions/; do
    mkdir -p "base/$folder"
    : >"base/${folder}fp32.state.safetensors.tmp-1-0"
    : >"base/${folder}config.json.tmp-$$-7"
    : >"base/${folder}x.tmp-999999-0"
done
: >base/notes.tmp-1
: >base/my.tmp-1-0.txt
expect 0 ptq --run base "${TINY[@]}"
is "temporary files left" "$(find base -name '*.tmp-*' | sort | tr '\n' ' ')" "base/my.tmp-1-0.txt base/notes.tmp-1 "

# The CPU quota of a version 1 cgroup, in a namespace of mounts.
if [ "$(id -u)" = 0 ] && [ "$("$BIN" --version | grep -c ', 1 for')" = 0 ] &&
    unshare -m sh -c 'mount -t tmpfs none /sys/fs/cgroup' 2>/dev/null; then
    # shellcheck disable=SC2016
    is "CPUs under a version 1 quota" "$(unshare -m sh -c 'mount -t tmpfs none /sys/fs/cgroup &&
        mkdir /sys/fs/cgroup/cpu && echo 190000 >/sys/fs/cgroup/cpu/cpu.cfs_quota_us &&
        echo 100000 >/sys/fs/cgroup/cpu/cpu.cfs_period_us && "$0" --version' "$BIN" | grep -o '[0-9]* for this')" "1 for this"
else
    skip "a CPU quota: needs root, two CPUs and a namespace of mounts"
fi
summary
