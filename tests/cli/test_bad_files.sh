#!/usr/bin/env bash
# Model files of the wrong kind or cut short, folders that can't be written, a full disk.
. "$(dirname "$0")/lib.sh"

tiny_data d
expect 0 train --run r --data d "${TINY[@]}"
expect 0 ptq --run r
CLIP=$(ls d/Videos/*.avi | head -n 1)
expect 0 predict --model r/fp32.safetensors "$CLIP"
expect 0 predict --model r/ptq.safetensors "$CLIP"

# bad_model STATUS TEXT FILE: every command that reads a model refuses it.
bad_model() {
    expect_error "$1" "$2" predict --model "$3" "$CLIP"
    expect_error "$1" "$2" bench --model "$3" --set bench.repeats=1
    expect_error "$1" "$2" inspect "$3"
}
expect_error 1 "nowhere.safetensors" predict --model nowhere.safetensors "$CLIP"
: >empty.safetensors && bad_model 1 "empty.safetensors" empty.safetensors
printf 'not a model, but long enough' >text.safetensors && bad_model 1 "text.safetensors" text.safetensors
for model in fp32 ptq; do
    size=$(stat -c %s "r/$model.safetensors")
    for keep in 7 8 100 $((size / 2)) $((size - 1)); do
        head -c "$keep" "r/$model.safetensors" >cut.safetensors
        bad_model 1 "cut.safetensors" cut.safetensors
    done
    { cat "r/$model.safetensors"; printf x; } >long.safetensors && bad_model 1 "long.safetensors" long.safetensors
done
expect_error 1 "Videos" predict --model "$CLIP" "$CLIP"
expect_error 2 "is already quantized" ptq --run q --data d "${TINY[@]}" --model r/ptq.safetensors
expect_error 2 "is already quantized" qat --run q --data d "${TINY[@]}" --model r/ptq.safetensors
expect_error 1 "fp32.safetensors is missing" ptq --run none --data d "${TINY[@]}"
expect_error 2 "data.frames = 2" ptq --run q --data d "${TINY[@]}" --set data.frames=3 --model r/fp32.safetensors
expect_error 1 "results.json" report --run none

# A results file or a state that is not ours is not overwritten.
mkdir -p own && cp -r r/. own/ && printf '{"mine": 1}' >own/results.json && cp own/results.json mine.json
expect_error 1 "results.json" eval ptq --run own
same own/results.json mine.json

# Folders that can't be written.
printf 'a file' >file
expect_error 1 "file" train --run file/r --data d "${TINY[@]}"
expect_error 1 "file" synth file/d --set synth.train=1 --set synth.val=1 --set synth.test=1
if [ "$(id -u)" = 0 ]; then
    skip "a folder without permission to write: root may write everywhere"
else
    mkdir locked && chmod 555 locked
    expect_error 1 "locked" train --run locked/r --data d "${TINY[@]}"
fi
expect_error 2 "not empty" synth r
STATUS=0
"$BIN" help >/dev/full 2>"$ERR" || STATUS=$?
is "exit of help into a full device" "$STATUS" 1
has "$ERR" "stdout"

# A model that cannot be looked up is an error, not a row less in the table.
cp -r r loop
ln -sf ptq.safetensors loop/ptq.safetensors
expect_error 1 "cannot be looked up" eval --run loop --data d

# A full disk: nothing that was there is lost, and with room again the same command goes on.
mkdir full
if [ "$(id -u)" = 0 ] && mount -t tmpfs -o size=1m tmpfs full 2>/dev/null; then
    CLEANUP+=("umount '$TMP/full'")
    expect_error 1 "space" train --run full/r --data d "${TINY[@]}" --set model.width=32
    not_there full/r/fp32.safetensors
    cp r/fp32.safetensors full/keep.safetensors
    dd if=/dev/zero of=full/ballast bs=4k 2>/dev/null
    expect_error 1 "space" ptq --run full/r --data d "${TINY[@]}" --model full/keep.safetensors
    same full/keep.safetensors r/fp32.safetensors
    expect_error 1 "space" synth full/d --set synth.train=4 --set synth.val=1 --set synth.test=1
    rm -rf full/ballast full/r full/d
    expect 0 ptq --run full/r --data d "${TINY[@]}" --model full/keep.safetensors
    same full/r/ptq.safetensors r/ptq.safetensors
    is "temporary files left" "$(find full -name '*.tmp*' | wc -l)" 0
else
    skip "a full disk: needs root and a tmpfs"
fi
summary
