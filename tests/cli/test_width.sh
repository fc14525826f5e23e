#!/usr/bin/env bash
# On a terminal of 80 columns nothing is wider, whatever the command prints; on a wide one, and in a file, tables and
# messages keep one line each. run-all counts its steps, the check of the clips first.
. "$(dirname "$0")/lib.sh"

cat >terminal.py <<'PY'
# terminal.py COLUMNS COMMAND...: runs the command on a terminal, prints what it showed, without colors, a bar's states
# on lines of their own. Ends as the command does, and with 99 if a line is wider than the terminal.
import fcntl, os, pty, re, struct, sys, termios
columns = int(sys.argv[1])
pid, fd = pty.fork()
if pid == 0:
    fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    os.environ["TERM"] = "xterm"
    os.execv(sys.argv[2], sys.argv[2:])
shown = b""
while True:
    try:
        part = os.read(fd, 65536)
    except OSError:
        break
    if not part:
        break
    shown += part
status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
lines = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", shown.decode()).replace("\r\n", "\n").replace("\r", "\n").split("\n")
print("\n".join(lines))
wide = [line for line in lines if len(line) > columns]
for line in wide:
    print("WIDER:", line)
sys.exit(99 if wide else status)
PY

# narrow STATUS ARGUMENTS...
narrow() {
    local wanted=$1
    shift
    STATUS=0
    python3 terminal.py 80 "$BIN" "$@" >"$OUT" 2>"$ERR" || STATUS=$?
    if [ "$STATUS" = "$wanted" ]; then
        pass
    else
        fail "exit $STATUS instead of $wanted on a terminal of 80 columns: echoquant $*"
        show
    fi
}

tiny_data d
narrow 0 run-all --run a --data d "${TINY[@]}" --set qat.control=true --set bench.repeats=8
has "$OUT" "step 1 of 11: check the clips"
has "$OUT" "step 2 of 11: train FP32"
has "$OUT" "step 10 of 11: time the models"
has "$OUT" "step 11 of 11: report"
for arguments in "report a" "inspect a" "inspect a/ptq.safetensors" "inspect a/fp32.safetensors" "inspect d" "inspect ." \
    "inspect d/Videos" "inspect $(ls d/Videos/*.avi | head -n 1)" "verify a" "verify a a" "eval --run a" "sensitivity a" "bench a/ptq.safetensors --layers" \
    "bench a/fp32.safetensors --layers" "bench --train --layers --set data.size=32 --set model.width=8" \
    "predict -m a/ptq.safetensors d/Videos"; do
    read -ra words <<<"$arguments"
    case $arguments in
    "inspect d/Videos") narrow 1 "${words[@]}" ;;
    *) narrow 0 "${words[@]}" ;;
    esac
done
narrow 2 train --run a --set train.epochs=4000000000000000000000000000000000000000000000000000000000000000000000000
mv d/Videos/"$(ls d/Videos | head -n 1)" gone.avi
narrow 1 inspect d
narrow 1 run-all --run b --data d "${TINY[@]}"

# The same cells on a wide terminal: one table.
python3 terminal.py 300 "$BIN" report a >"$OUT" 2>"$ERR" && pass || fail "report on a wide terminal"
[ "$(grep -c '^| Model' "$OUT")" = 1 ] && pass || fail "a wide terminal has one table"
run report a
[ "$(grep -c '^| Model' "$OUT")" = 1 ] && pass || fail "a file has one table"
cells() { tr '|' '\n' <"$1" | tr -d ' ' | grep -c '^[-+0-9.x]*[0-9]x\{0,1\}$'; }
wide=$(cells "$OUT")
COLUMNS=80 run report a
[ "$(grep -c '^| Model' "$OUT")" = 3 ] && [ "$(cells "$OUT")" = "$wide" ] && pass || fail "COLUMNS=80 has three tables"

# The one model that is made again is the same file, so nothing has to be evaluated: that step is passed over.
mv gone.avi d/Videos/"$(sed -n 2p d/FileList.csv | cut -d, -f1).avi"
rm a/ptq.safetensors
expect 0 run-all --run a --data d "${TINY[@]}" --set qat.control=true --set bench.repeats=8
has "$ERR" "step 2 of 5: quantize: PTQ"
grep -q "step [34] of 5" "$ERR" && fail "a step that was not taken" || pass
has "$ERR" "step 5 of 5: report"
summary
