#!/usr/bin/env bash
# Input from strangers (docs/SECURITY.md): names with control characters, links out of the folder, pipes, model files that are
# larger than they look, clips that take long, and signals in all of them.
. "$(dirname "$0")/lib.sh"
TOOLS=${TEST_TOOLS:?the folder of the test programs}
HERE=$SOURCE/tests/cli
tiny_data d

# ---- control characters: a color, a C1 control, a mark that reorders text, a byte that is no UTF-8, a line feed ----

EVIL=$'\e[31mred\e[0m\u009b31m\u202etxt.\xff\x7f\nline'
calm() {
    local found
    found=$(python3 "$HERE/raw_bytes.py" "$OUT" "$ERR")
    if [ -z "$found" ]; then pass; else
        fail "bytes that should not reach a terminal, $*: $found"
        show
    fi
}

mkdir -p evil/Videos "$EVIL"
clip=$(find d/Videos -name '*.avi' | sort | head -n 1)
cp "$clip" "evil/Videos/$EVIL.avi"
cp "$clip" "$EVIL/a.avi"
head -c 100 "$clip" >"evil/Videos/cut$EVIL.avi"
printf 'FileName,EF\n"%s",50\n"%s",60\n"%s",x\n' "$EVIL.avi" "cut$EVIL" "no$EVIL" >evil/FileList.csv
"$BIN" train --run base --data d "${TINY[@]}" --quiet >/dev/null || fail "train"
cp -r base "run$EVIL"
for arguments in "inspect evil" "inspect evil/Videos" "inspect evil/Videos/$EVIL.avi" "inspect $EVIL" "inspect run$EVIL" "inspect no$EVIL" \
    "train --run r1 --data evil" "train --run r1 --data no$EVIL" "train --run r$EVIL --data evil" "eval --run no$EVIL" "report --run no$EVIL" \
    "report --run run$EVIL" "predict --model no$EVIL d" "$EVIL" "predict --no$EVIL" "train --set $EVIL=1" "train --set data.frames=$EVIL" \
    "train --config no$EVIL" "help $EVIL" "export --model no$EVIL --onnx x$EVIL" "inspect evil/FileList.csv" "verify run$EVIL" "bench --model no$EVIL"; do
    words=()
    # The name has blanks nowhere, and the list none in quotes.
    while IFS= read -r -d ' ' word; do words+=("$word"); done <<<"$arguments "
    run "${words[@]}"
    calm "${words[0]} ${words[1]-}"
done
printf '{"data": {"%b": 1}}' '\\u001b[31m' >config.json
run train --config config.json
calm "a key of a configuration"
printf 'evil/Videos/%s.avi\0no%s\0' "$EVIL" "$EVIL" >list
run predict --null --model base/fp32.safetensors @list
has "$OUT" $'\e[31mred' # CSV in a file keeps names as they are
: >"$OUT"
calm "predict's messages"
if command -v script >/dev/null; then
    # On a terminal, nothing of the files' own is left in CSV and JSON either. The bar draws with \r and \e[K.
    for form in "" --json; do
        script -qec "TERM=dumb '$BIN' predict --null --quiet $form --model base/fp32.safetensors @list" /dev/null >"$OUT" 2>"$ERR" </dev/null
        has "$OUT" '\u001b[31mred'
        calm "predict $form on a terminal"
    done
else
    skip "no terminal to write to (util-linux' script)"
fi

# ---- links ----

cp -r d in && mkdir out
mv in/Videos out/
ln -s ../out/Videos in/Videos
for command in "train --run r2" "run-all --run r2" "bench --data"; do
    [ "$command" = "bench --data" ] || expect_error 1 "allow it with --set data.links=any" $command --data in "${TINY[@]}"
done
has "$ERR" "in/Videos is a link out of the data folder, to $TMP/out/Videos"
expect 1 inspect in
has "$ERR" "--set data.links=any"
expect 0 inspect --set data.links=any in
expect 0 train --run linked --data in --set data.links=any "${TINY[@]}" --quiet
same linked/fp32.safetensors base/fp32.safetensors
ln -s d whole && expect 0 inspect whole # the folder itself may be a link
cp -r d one && first=$(basename "$clip") && rm "one/Videos/$first" && ln -s "$TMP/$clip" "one/Videos/$first"
expect_error 1 "one/Videos/$first is a link out of the data folder" train --run r3 --data one "${TINY[@]}"
expect 1 inspect one
has "$OUT" "1 row cannot be used"
mv one/Videos/SYN* one/ 2>/dev/null || mv one/Videos/*.avi one/
rm "one/$first" && cp "$clip" "one/$first" && rmdir one/Videos && ln -s . one/Videos
expect 0 inspect one # a link that stays inside
mv d/FileList.csv list.csv && ln -s ../list.csv d/FileList.csv
expect_error 1 "d/FileList.csv is a link out of the data folder" train --run r4 --data d "${TINY[@]}"
rm d/FileList.csv && mv list.csv d/FileList.csv

# ---- pipes, sockets, devices ----

mkdir -p pipes/Videos && mkfifo pipes/Videos/p.avi pipes/list pipes/m.safetensors && ln -s /dev/zero pipes/zero.safetensors
printf 'FileName,EF\np,50\n' >pipes/FileList.csv
STATUS=0
for words in "inspect pipes" "inspect pipes/Videos/p.avi" "inspect pipes/m.safetensors" "inspect pipes/zero.safetensors" \
    "predict --model pipes/m.safetensors d" "predict --model base/fp32.safetensors pipes/Videos/p.avi" "predict --model base/fp32.safetensors pipes" \
    "train --run r5 --data pipes" "train --run r5 --data d --set model.init=pipes/m.safetensors" "export --model pipes/zero.safetensors --onnx x"; do
    expect 1 $words
done
rm pipes/FileList.csv && mkfifo pipes/FileList.csv
expect 1 train --run r5 --data pipes

# ---- model files ----

# peak FILE: exit code, and whether the process stayed below 256 MiB.
peak() {
    python3 - "$BIN" "$@" <<'P'
import resource, subprocess, sys
code = subprocess.run(sys.argv[1:], capture_output=True).returncode
print(code, "small" if resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss < 256 * 1024 else "large")
P
}
python3 - <<'P'
import json, struct
def head(name, header, size):
    text = json.dumps(header).encode()
    with open(name, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        f.truncate(8 + len(text) + size)
open("sparse.safetensors", "wb").truncate(2 << 30)
with open("long.safetensors", "wb") as f:
    f.write(struct.pack("<Q", 16 << 20)); f.truncate(2 << 30)
n = 2 << 30
head("other.safetensors", {"__metadata__": {"format": "x"}, "a": {"dtype": "U8", "shape": [n], "data_offsets": [0, n]}}, n)
head("short.safetensors", {"__metadata__": {"format": "echoquant-fp32"}, "a": {"dtype": "U8", "shape": [n], "data_offsets": [0, n]}}, 100)
head("many.safetensors", {str(i): {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]} for i in range(180000)}, 0)
P
for file in sparse long other short many; do
    is "$file.safetensors" "$(peak predict --model $file.safetensors d)" "1 small"
    is "$file.safetensors" "$(peak train --run r6 --data d --set model.init=$file.safetensors "${TINY[@]}")" "1 small"
done
run inspect many.safetensors
has "$ERR" "180000 tensors; at most 4096 are allowed"

# ---- clips that take long ----

mkdir -p slow/Videos
"$TOOLS/slow_clip" slow/Videos/a.avi 1200
printf 'FileName,EF\na,50\n' >slow/FileList.csv
SECONDS_LIMIT=(--set data.clip_seconds=0.5)
expect_error 1 "slow/Videos/a.avi: decoding takes more than 0.5 s of CPU time (data.clip_seconds)" inspect "${SECONDS_LIMIT[@]}" slow/Videos/a.avi
expect_error 1 "(data.clip_seconds)" train --run r7 --data slow "${SECONDS_LIMIT[@]}" --set data.on_error=skip
expect 1 predict --model base/fp32.safetensors "${SECONDS_LIMIT[@]}" slow "$clip"
is "the other clip is predicted" "$(grep -c '^[^,]*,[0-9.-]*,.*,$' "$OUT")" 1
PIXELS=(--set data.max_clip_pixels=100)
expect_error 1 "more than 100 megapixels in all its frames together (data.max_clip_pixels)" inspect "${PIXELS[@]}" slow/Videos/a.avi
expect 1 inspect "${PIXELS[@]}" slow
has "$OUT" "over a limit"
cp "$clip" slow/Videos/ && printf '%s,60\n' "$first" >>slow/FileList.csv
expect 1 train --run r8 --data slow "${PIXELS[@]}" --set data.on_error=skip "${TINY[@]}" # too few clips, but past the check
has "$ERR" "left out: slow/Videos/a.avi: more than 100 megapixels"

for words in "inspect slow" "inspect slow/Videos/a.avi" "train --run r9 --data slow"; do
    is "signal in: $words" "$(python3 "$HERE/signal_soon.py" 1 "$BIN" $words 2>/dev/null)" "130 soon"
done
for words in "predict --model base/fp32.safetensors @pipes/list" "train --config pipes/list" "predict --model base/fp32.safetensors --output pipes/list d"; do
    is "signal in: $words" "$(python3 "$HERE/signal_soon.py" 1 "$BIN" $words 2>/dev/null)" "130 soon"
done
# Nobody reads the pipe: the signal ends the wait.
is "signal in a full pipe" "$(python3 "$HERE/signal_soon.py" 1 bash -c "exec '$BIN' help settings > >(sleep 5)" 2>/dev/null | cut -d' ' -f1 | sed 's/^0$/130/')" 130

summary
