#!/usr/bin/env bash
# Help of every command, version, exit codes of wrong usage, options.
. "$(dirname "$0")/lib.sh"

COMMANDS=(run-all train ptq qat eval sensitivity report predict bench export inspect synth)

# narrow WIDTH FILE: no line is longer.
narrow() {
    is "lines of ${2#"$TMP"/} above $1 columns" "$(awk -v width="$1" 'length > width' "$2")" ""
}

expect 0 help
narrow 80 "$OUT"
for command in "${COMMANDS[@]}"; do has "$OUT" "  $command "; done
is "stderr of help" "$(cat "$ERR")" ""
cp "$OUT" overview
expect 0 --help
same "$OUT" overview

for command in "${COMMANDS[@]}"; do
    expect 0 "$command" --help
    has "$OUT" "usage: echoquant $command"
    has "$OUT" "--help"
    [ "$command" = export ] || has "$OUT" "Settings it reads"
    is "stderr of $command --help" "$(cat "$ERR")" ""
    narrow 80 "$OUT"
    cp "$OUT" long
    expect 0 help "$command"
    same "$OUT" long
    expect_error 2 "no such option" "$command" --no-such-option
    expect_error 2 "no such option" "$command" -Z
done

expect 0 --version
has "$OUT" "echoquant "
has "$OUT" "ref"
has "$OUT" "For research only"
has overview "For research only"
expect 0 help --markdown
same "$OUT" "$SOURCE/docs/CONFIG.md"
expect 0 help settings
narrow 80 "$OUT"
keys=$(sed -nE 's/^\| `([a-z_]+\.[a-z_]+)`.*/\1/p' "$SOURCE/docs/CONFIG.md")
is "settings in docs/CONFIG.md, at least 40" "$([ "$(wc -w <<<"$keys")" -ge 40 ] && echo yes)" yes
for key in $keys; do has "$OUT" "  $key = "; done

# on_terminal COLUMNS ARGUMENTS...: what a terminal of that width shows, as $OUT.
on_terminal() {
    python3 - "$OUT" "$@" <<PY
import fcntl, os, pty, struct, sys, termios
pid, fd = pty.fork()
if pid == 0:
    fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", 50, int(sys.argv[2]), 0, 0))
    os.execv("$BIN", ["echoquant", *sys.argv[3:]])
text = b""
try:
    while part := os.read(fd, 65536):
        text += part
except OSError:  # the end of a terminal
    pass
os.waitpid(pid, 0)
open(sys.argv[1], "wb").write(text.replace(b"\r\n", b"\n"))
PY
}
longest() {
    awk 'length > n {n = length} END {print n}' "$OUT"
}
on_terminal 90 run-all --help
is "longest line at 90 columns is 81 to 90" "$(($(longest) > 80 && $(longest) <= 90))" 1
on_terminal 300 run-all --help
is "longest line at 300 columns is 91 to 100" "$(($(longest) > 90 && $(longest) <= 100))" 1

expect_error 2 "no command given"
expect_error 2 "did you mean train?" trian
expect_error 2 "there is no command" help trian
expect_error 2 "did you mean --config?" train --confg x.json
expect_error 2 "needs an argument" train --config
expect_error 2 "needs an argument" train --set
expect_error 2 "unexpected argument \"clip.avi\"" train clip.avi
expect_error 2 "predict needs" predict --model x.safetensors
expect_error 2 "--model" predict clip.avi
expect_error 2 "--model" bench
expect_error 2 "--model" export
expect_error 2 "synth needs" synth
not_there runs data
summary
