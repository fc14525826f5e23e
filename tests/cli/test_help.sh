#!/usr/bin/env bash
# Help of every command, version, exit codes of wrong usage, options.
. "$(dirname "$0")/lib.sh"

COMMANDS=(run-all train ptq qat eval sensitivity report verify predict bench devices export inspect synth import)

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

for word in -h "help help" "help --help" "help -h"; do
    # shellcheck disable=SC2086
    expect 0 $word
    same "$OUT" overview
done

for command in "${COMMANDS[@]}"; do
    expect 0 "$command" --help
    has "$OUT" "Exit codes: 0 success, 1 failure, 2 wrong usage or settings, 130 interrupted."
    is "examples of $command" "$(grep -c "^  echoquant $command " "$OUT")" 1
    has "$OUT" "--json"
    has "$OUT" "usage: echoquant $command"
    has "$OUT" "--help"
    [[ "$command" =~ ^(export|devices)$ ]] || has "$OUT" "Settings it reads"
    is "stderr of $command --help" "$(cat "$ERR")" ""
    narrow 80 "$OUT"
    cp "$OUT" long
    expect 0 help "$command"
    same "$OUT" long
    expect 0 "$command" -h
    has "$OUT" "usage: echoquant $command"
    has "$OUT" "--help"
    has "$OUT" "Exit codes"
    grep -q "Settings it reads" "$OUT" && fail "settings in $command -h"
    narrow 80 "$OUT"
    is "$command -h shorter" "$(($(wc -l <"$OUT") < $(wc -l <long)))" 1
    expect_error 2 "no such option" "$command" --no-such-option
    expect_error 2 "no such option" "$command" -Z
done

expect 0 --version
has "$OUT" "echoquant "
has "$OUT" "ref"
cp "$OUT" version
for word in -V version; do
    expect 0 $word
    same "$OUT" version
done
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
is "longest line at 300 columns is 101 to 120" "$(($(longest) > 100 && $(longest) <= 120))" 1
on_terminal 10 train --help
is "longest line at 10 columns is 31 to 40" "$(($(longest) > 30 && $(longest) <= 40))" 1
for command in "${COMMANDS[@]}" settings help; do
    COLUMNS=40 run help "$command"
    narrow 40 "$OUT"
done
COLUMNS=60 run train --help
narrow 60 "$OUT"
is "longest line at COLUMNS=60 is above 50" "$(($(longest) > 50))" 1
for odd in 0 -3 x ""; do
    COLUMNS=$odd run train --help
    is "longest line at COLUMNS=$odd is 61 to 80" "$(($(longest) > 60 && $(longest) <= 80))" 1
done

expect_error 2 "no command given"
expect_error 2 "did you mean train?" trian
expect_error 2 "there is no command" help trian
expect_error 2 "did you mean --config?" train --confg x.json
expect_error 2 "needs an argument" train --config
expect_error 2 "needs an argument" train --set
expect_error 2 "unexpected argument \"clip.avi\"" train clip.avi
expect_error 2 "predict needs" predict --model x.safetensors
expect_error 2 "--model" predict clip.avi
# What was meant by an option of other programs.
expect_error 2 "did you mean --set train.epochs=3?" train --epochs 3
expect_error 2 "did you mean --set train.epochs=3?" train --epochs=3
expect_error 2 "did you mean --set train.epochs=3?" train -e 3
expect_error 2 "did you mean --set qat.epochs=3?" qat --epochs 3
expect_error 2 "did you mean --set train.epochs=3 or --set qat.epochs=3?" run-all --epochs 3
expect_error 2 "did you mean --set train.epochs=VALUE?" train --epocs
expect_error 2 "did you mean --set train.lr=0.1?" train --lr 0.1
expect_error 2 "did you mean --set train.lr=0.1?" train --learning-rate 0.1
expect_error 2 "did you mean --set train.batch=4?" train --batch-size 4
expect_error 2 "did you mean --set train.batch=4?" train --batch_size 4
expect_error 2 "did you mean --clips?" bench --batch-size 4
expect_error 2 "did you mean --set train.weight_decay=1?" train --weight-decay 1
expect_error 2 "did you mean --data?" train --data_dir x
expect_error 2 "did you mean --data?" train --data-dir x
expect_error 2 "did you mean --data?" eval --dataset x
expect_error 2 "did you mean --run?" train --out x
expect_error 2 "did you mean --run?" train -o x
expect_error 2 "did you mean --out?" report --output x
expect_error 2 "predict needs" predict --out x # getopt takes it for --output
expect_error 2 "did you mean --output?" predict --out-dir x
expect_error 2 "did you mean --onnx?" export --output x
expect_error 2 "did you mean --threads?" train --num-workers 4
expect_error 2 "did you mean --model?" predict --weights x
expect_error 2 "this command runs on the CPU. predict, eval, and bench have --device" train --device cuda
expect_error 2 "\`echoquant report -h\` lists them" report --epochs 3
expect_error 2 "did you mean train.epochs or qat.epochs?" train --set epochs=3
expect_error 2 "did you mean train.batch or qat.batch?" train --set batch-size=3
expect_error 2 "did you mean train.batch?" train --set train.batch_size=3
expect_error 2 "did you mean train.weight_decay?" train --set train.weight-decay=3
expect_error 2 "did you mean data.frames?" train --set frames=3
expect_error 2 "train.epochs = 0" train --set "train.epochs = 0"
expect_error 2 "train.epochs = 0" train --set " train.epochs =	0 "

expect_error 2 "--model" bench
expect_error 2 "--model" export
expect_error 2 "synth needs" synth
not_there runs data
summary
