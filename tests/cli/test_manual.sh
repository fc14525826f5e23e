#!/usr/bin/env bash
# Manual pages and completions: made for every command, clean in the eyes of man and mandoc; what bash and zsh complete.
. "$(dirname "$0")/lib.sh"

mapfile -t COMMANDS < <("$BIN" help | awk '/^Commands:/ {on = 1; next} !NF {on = 0} on && /^  [a-z]/ {print $1}')
is "commands at least" "$((${#COMMANDS[@]} >= 12))" 1

page() { # FILE ARGUMENTS...
    expect 0 help --man "${@:2}"
    cp "$OUT" "$1"
    if command -v man >/dev/null; then
        is "warnings of man on $1" "$(LC_ALL=C.UTF-8 MANWIDTH=80 man --warnings=w -E UTF-8 -l "$1" 2>&1 >text)" ""
        for part in NAME SYNOPSIS DESCRIPTION; do
            [ "$part $1" = "SYNOPSIS echoquant-settings.7" ] || has text "$part"
        done
    fi
    if command -v mandoc >/dev/null; then is "mandoc on $1" "$(mandoc -T lint -W warning "$1" 2>&1)" ""; fi
}
command -v man >/dev/null || skip "man is not installed"
page echoquant.1
for command in "${COMMANDS[@]}"; do
    has echoquant.1 "echoquant\\-${command//-/\\-}"
    page "echoquant-$command.1" "$command"
    # All that --help says of options is in the page.
    "$BIN" "$command" --help | sed -nE '/^Options:/,/^$/s/^ +(-., )?--([a-z-]+).*/\2/p' | while read -r option; do
        grep -qF -- "\\-\\-${option//-/\\-}" "echoquant-$command.1" || echo "$option"
    done >lacking
    is "options that echoquant-$command.1 lacks" "$(cat lacking)" ""
done
page echoquant-settings.7 settings
for key in $(sed -nE 's/^\| `([a-z_]+\.[a-z_]+)`.*/\1/p' "$SOURCE/docs/CONFIG.md"); do has echoquant-settings.7 "$key"; done
expect_error 2 "did you mean train?" help --man trian
expect_error 2 "bash or zsh" help --completion
expect_error 2 "bash or zsh" help --completion fish

# ---- bash -------------------------------------------------------------------
expect 0 help --completion bash
cp "$OUT" completion.bash
is "bash -n" "$(bash -n completion.bash 2>&1)" ""
mkdir -p "a folder" && touch "a folder/my clip.avi" model.safetensors

# completed LINE: what Tab offers at its end, one a line, sorted. Words are split as readline does.
completed() {
    bash --norc -c '
        . ./completion.bash
        COMP_LINE=$1 COMP_POINT=${#1} COMP_WORDS=() COMP_WORDBREAKS=$'"' \\t\\n\\\"\\'><=;|&(:'"'
        while IFS= read -r word; do COMP_WORDS+=("$word"); done < <(grep -oE "=|[^ =]+" <<<"$1")
        [[ $1 == *" " ]] && COMP_WORDS+=("")
        COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
        _echoquant
        printf "%s\n" "${COMPREPLY[@]}"' bash "$1" 2>&1 | sort
}
completes() { # LINE WORDS
    is "completion of \"$1\"" "$(completed "$1" | xargs)" "$2"
}
is "all commands" "$(completed "echoquant " | grep -v '^-' | xargs)" "$(printf '%s\n' "${COMMANDS[@]}" help | sort | xargs)"
completes "echoquant tr" "train"
completes "echoquant help sen" "sensitivity"
completes "echoquant help --completion " "bash zsh"
completes "echoquant import --crop " "cone none region"
for command in $("$BIN" help | sed -n 's/^  \([a-z-]*\)  .*/\1/p'); do # a choice of words can be completed, whatever the command
    for option in $("$BIN" "$command" -h 2>/dev/null | sed -n 's/^ .*\(--[a-z-]*\) \(KIND\|LEVEL\|P\)\( .*\)\{0,1\}$/\1/p'); do
        [ "$option" = --phases ] || [ -n "$(completed "echoquant $command $option ")" ] && pass || fail "completion of $command $option"
    done
done
completes "echoquant qat --con" "--config --control"
completes "echoquant train --con" "--config"
completes "echoquant train --set data.on" "data.on_error="
completes "echoquant train -s data.on" "data.on_error="
completes "echoquant train --set data.on_error=" "fail skip use"
completes "echoquant train --set data.on_error=s" "skip"
completes "echoquant train --set=data.on_error=s" "skip"
completes "echoquant train --set data.synthetic=" "false true"
completes "echoquant train --set train.epochs=" ""
completes "echoquant predict --precision b" "bf16"
completes "echoquant predict --precision=b" "bf16"
completes "echoquant bench --fresh " "fp32 int8"
completes "echoquant bench --cpu avx512v" "avx512vnni"
completes "echoquant train --seed " ""
completes "echoquant predict --model mod" "model.safetensors"
completes "echoquant train --data a" "a folder"
completes "echoquant eval pt" "ptq"
completes "echoquant nonsense --" ""
completes "echoquant predict --model model.safetensors mod" "model.safetensors"
for command in "${COMMANDS[@]}"; do
    is "options of $command" "$(completed "echoquant $command --" | xargs)" \
        "$("$BIN" "$command" --help | sed -nE '/^Options:/,/^$/s/^ +(-., )?(--[a-z-]+).*/\2/p' | sort | xargs)"
done

# ---- zsh: as typed into a terminal ------------------------------------------
expect 0 help --completion zsh
mkdir -p functions && cp "$OUT" functions/_echoquant
if ! command -v zsh >/dev/null; then
    skip "zsh is not installed"
else
    is "zsh -n" "$(zsh -n functions/_echoquant 2>&1)" ""
    python3 - "$TMP" >zsh.out <<'PY' && pass || { fail "completion in zsh" && cat zsh.out; }
import os, pty, select, sys, time
os.environ.update(TERM="dumb", PS1="", ZDOTDIR=sys.argv[1])
pid, fd = pty.fork()
if pid == 0:
    os.chdir(sys.argv[1])
    os.execvp("zsh", ["zsh", "-f", "-i"])
def read_until(word, limit=30):
    text, end = "", time.time() + limit
    while word not in text and time.time() < end:
        if select.select([fd], [], [], 0.2)[0]:
            text += os.read(fd, 65536).decode(errors="replace")
    return text
def send(text):
    os.write(fd, text.encode())
send("unsetopt zle_bracketed_paste; PROMPT=; fpath=($PWD/functions $fpath); autoload -Uz compinit; compinit -u -D; "
     "show() { zle -M \"<<$BUFFER>>\"; zle kill-buffer }; zle -N show; bindkey '^X' show; LISTMAX=9999; echo rea''dy\n")
assert "ready" in read_until("ready\r"), "zsh does not start"
for typed, wanted in [("echoquant sens", "echoquant sensitivity "), ("echoquant train --set data.on", "echoquant train --set data.on_error="),
                      ("echoquant train --set data.on_error=s", "echoquant train --set data.on_error=skip"),
                      ("echoquant train --set=data.on_error=s", "echoquant train --set=data.on_error=skip"),
                      ("echoquant predict --precision b", "echoquant predict --precision bf16"),
                      ("echoquant predict --prec", "echoquant predict --precision="),
                      ("echoquant eval pt", "echoquant eval ptq"), ("echoquant help set", "echoquant help settings"),
                      ("echoquant predict --model mod", "echoquant predict --model model.safetensors")]:
    send(typed + "\t\x18")
    shown = read_until(">>")
    assert "<<" + wanted in shown.replace("\r", "").replace("\n", ""), (typed, shown)
send("exit\n")
PY
fi
summary
