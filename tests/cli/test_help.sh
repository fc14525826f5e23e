#!/usr/bin/env bash
# Help of every command, version, exit codes of wrong usage, options.
. "$(dirname "$0")/lib.sh"

COMMANDS=(run-all train ptq qat eval sensitivity report predict bench export inspect synth)

expect 0 help
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
    cp "$OUT" long
    expect 0 help "$command"
    same "$OUT" long
    expect_error 2 "no such option" "$command" --no-such-option
    expect_error 2 "no such option" "$command" -Z
done

expect 0 --version
has "$OUT" "echoquant "
has "$OUT" "ref"
expect 0 help --markdown
same "$OUT" "$SOURCE/docs/CONFIG.md"
expect 0 help settings
keys=$(sed -nE 's/^\| `([a-z_]+\.[a-z_]+)`.*/\1/p' "$SOURCE/docs/CONFIG.md")
is "settings in docs/CONFIG.md, at least 40" "$([ "$(wc -w <<<"$keys")" -ge 40 ] && echo yes)" yes
for key in $keys; do has "$OUT" "  $key = "; done

expect_error 2 "which command?"
expect_error 2 "did you mean train?" trian
expect_error 2 "there is no command" help trian
expect_error 2 "did you mean --config?" train --confg x.json
expect_error 2 "needs an argument" train --config
expect_error 2 "needs an argument" train --set
expect_error 2 "what is \"clip.avi\" for" train clip.avi
expect_error 2 "predict needs" predict --model x.safetensors
expect_error 2 "--model" predict clip.avi
expect_error 2 "--model" bench
expect_error 2 "--model" export
expect_error 2 "synth needs" synth
not_there runs data
summary
