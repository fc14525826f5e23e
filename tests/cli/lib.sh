# Shared by the scripts beside it: sourced with the binary and the source folder as arguments. Each script says what it
# checks, counts it, and ends with one line; a failed check shows what the program printed.
set -u
BIN=$(realpath "${1:?the echoquant binary}")
SOURCE=$(realpath "${2:?the source folder}")
TMP=$(mktemp -d "${TMPDIR:-/tmp}/echoquant-cli-XXXXXX")
OUT=$TMP/.out ERR=$TMP/.err
PASSED=0 FAILED=0 SKIPPED=()
CLEANUP=()
export NO_COLOR=1 XDG_CACHE_HOME=$TMP/.cache
unset COLUMNS
cd "$TMP" || exit 1

finish() {
    local command
    for command in "${CLEANUP[@]+"${CLEANUP[@]}"}"; do eval "$command"; done
    cd / && rm -rf "$TMP"
}
trap finish EXIT

pass() {
    PASSED=$((PASSED + 1))
}

fail() {
    FAILED=$((FAILED + 1))
    printf 'FAILED: %s\n' "$*"
}

skip() {
    SKIPPED+=("$*")
    printf 'skipped: %s\n' "$*"
}

# Is the program started by an emulator, whose limits and libraries are its own?
emulated() {
    [ "$(head -c 2 "$BIN")" = "#!" ]
}

# Runs the program; its status is in STATUS, what it printed in $OUT and $ERR.
run() {
    STATUS=0
    "$BIN" "$@" >"$OUT" 2>"$ERR" </dev/null || STATUS=$?
}

# Why no text of OpenCL can be built here, from the driver's own log: PoCL 1.8 (Ubuntu 22.04) takes the name of its target
# from LLVM 11, which has none for newer CPUs. Fails if there is no such reason.
opencl_lacks() {
    "$BIN" devices 2>&1 | grep -om 1 "unknown target CPU '[^']*'"
}

show() {
    sed 's/^/    stdout: /' "$OUT" | tail -n 12
    sed 's/^/    stderr: /' "$ERR" | tail -n 12
}

# expect STATUS ARGUMENTS...
expect() {
    local wanted=$1
    shift
    run "$@"
    if [ "$STATUS" = "$wanted" ]; then
        pass
    else
        fail "exit $STATUS instead of $wanted: echoquant $*"
        show
    fi
}

# expect_error STATUS TEXT ARGUMENTS...: one message on stderr that begins with "error: " and holds TEXT, no result.
expect_error() {
    local wanted=$1 text=$2
    shift 2
    run "$@"
    if [ "$STATUS" != "$wanted" ]; then
        fail "exit $STATUS instead of $wanted: echoquant $*"
        show
    elif [ "$(grep -c '^error: ' "$ERR")" != 1 ] || ! grep '^error: ' "$ERR" | grep -qF -- "$text"; then
        fail "no single error with \"$text\": echoquant $*"
        show
    elif [ -s "$OUT" ]; then
        fail "results in spite of an error: echoquant $*"
        show
    else
        pass
    fi
}

# await_handler PID SIGNAL: until the process has a handler for the signal, or has ended.
await_handler() {
    local caught bit=$((1 << ($(kill -l "$2") - 1)))
    while kill -0 "$1" 2>/dev/null; do
        caught=$(sed -n 's/^SigCgt:[[:space:]]*//p' "/proc/$1/status" 2>/dev/null)
        [ $((16#${caught:-0} & bit)) = 0 ] || break
        sleep 0.01
    done
}

# has FILE TEXT
has() {
    if grep -qF -- "$2" "$1"; then
        pass
    else
        fail "no \"$2\" in ${1#"$TMP"/}"
        show
    fi
}

# same FILE FILE: equal to the byte.
same() {
    if cmp -s "$1" "$2"; then
        pass
    else
        fail "$1 and $2 differ"
    fi
}

# efs FILE: the EFs of the JSON Lines of predict, as predictions/*.csv has them.
efs() {
    python3 -c 'import json, sys
for line in open(sys.argv[1]): print("%.9g" % json.loads(line)["ef"])' "$1"
}

# tensors FILE: a model file's bytes without the header, which notes how it was made.
tensors() {
    local n
    n=$(od -An -t u8 -N 8 "$1" | tr -d ' ')
    tail -c +"$((n + 9))" "$1"
}

# is WHAT ACTUAL WANTED
is() {
    if [ "$2" = "$3" ]; then
        pass
    else
        fail "$1: \"$2\" instead of \"$3\""
    fi
}

there() {
    local file
    for file in "$@"; do
        if [ -s "$file" ]; then pass; else fail "$file is missing or empty"; fi
    done
}

not_there() {
    local file
    for file in "$@"; do
        if [ -e "$file" ]; then fail "$file should not be there"; else pass; fi
    done
}

# A network and a data set that train in a second, for what does not depend on size.
TINY=(--set data.frames=2 --set data.size=32 --set model.width=8 --set train.epochs=2 --set train.batch=2
    --set train.lr=0.001 --set train.schedule=onecycle --set train.ema=0 --set train.shift=1 --set train.random_phase=false
    --set ptq.clips=4 --set qat.epochs=1 --set qat.batch=2 --set qat.weight_decay=0.02 --set qat.control=false --set bench.warmup=0 --set bench.repeats=2)

# tiny_data DIR: 6 training, 2 validation, 3 test clips. Where TINY_DATA names a folder, the scripts share it: an emulator
# takes long to make one.
tiny_data() {
    local dir=${TINY_DATA:+$TMP/.tiny_data}
    [ -d "${TINY_DATA:-}" ] || "$BIN" synth "${dir:-$1}" --quiet --set synth.train=6 --set synth.val=2 --set synth.test=3 \
        >/dev/null || {
        echo "synth failed"
        exit 1
    }
    if [ -n "${TINY_DATA:-}" ]; then
        [ -d "$TINY_DATA" ] || mv -T "$dir" "$TINY_DATA" || exit 1
        cp -r "$TINY_DATA" "$1"
    fi
}

# far_data DATA DIR: the clips of DATA with EFs 25 points lower. What has learned DATA starts so far off them that an epoch
# of training is better, whatever bits the decoder and FP32 have.
far_data() {
    cp -r "$1" "$2"
    awk -F, -v OFS=, 'NR > 1 { $2 -= 25; $3 = $4 = "" } 1' "$1/FileList.csv" >"$2/FileList.csv"
}

# The columns of a history that do not tell the time.
history_values() {
    cut -d, -f1-5 "$1"
}

summary() {
    local note=""
    if [ ${#SKIPPED[@]} -gt 0 ]; then note=", ${#SKIPPED[@]} skipped"; fi
    printf '%s: %d checks passed, %d failed%s\n' "$(basename "$0" .sh)" "$PASSED" "$FAILED" "$note"
    [ "$FAILED" = 0 ]
}

# python_with IMPORT: the first Python here that can do this import; nothing and failure: none.
python_with() {
    local candidate
    for candidate in "${ECHOQUANT_PYTHON:-}" "$SOURCE/.venv/bin/python" python3 /usr/bin/python3; do
        if [ -n "$candidate" ] && "$candidate" -c "$1" 2>/dev/null; then
            echo "$candidate"
            return 0
        fi
    done
    return 1
}
