#!/usr/bin/env bash
# Sampled clips on disk (data.cache_dir) and threads that decode (data.workers): the same bytes with and without.
. "$(dirname "$0")/lib.sh"

tiny_data d
sleep 2.1 # clips that are younger are not kept
SETTINGS=("${TINY[@]}" --data d --set data.cache_mb=0 --threads 2)
FILES=(fp32.safetensors ptq.safetensors qat.safetensors predictions/fp32.csv predictions/ptq.csv predictions/qat.csv)

compare() {
    local file
    for file in "${FILES[@]}"; do same "plain/$file" "$1/$file"; done
}

entries() {
    find "$1" -name '*.clip' | wc -l
}

expect 0 run-all --run plain "${SETTINGS[@]}"
expect 0 run-all --run first "${SETTINGS[@]}" --set data.cache_dir=cache
compare first
is "entries" "$(entries cache)" 11
expect 0 run-all --run second "${SETTINGS[@]}" --set data.cache_dir=cache --set data.workers=8
compare second
is "entries" "$(entries cache)" 11

# Damaged entries are made again.
whole=$(cat cache/*.clip | cksum)
for entry in cache/*.clip; do printf 'x' | dd of="$entry" bs=1 seek=1000 conv=notrunc 2>/dev/null; done
expect 0 run-all --run damaged "${SETTINGS[@]}" --set data.cache_dir=cache
compare damaged
is "the entries" "$(cat cache/*.clip | cksum)" "$whole"

# Two processes fill one folder.
"$BIN" run-all --run one "${SETTINGS[@]}" --set data.cache_dir=shared >one.log 2>&1 </dev/null &
other=$!
expect 0 run-all --run two "${SETTINGS[@]}" --set data.cache_dir=shared --set data.workers=3
STATUS=0
wait "$other" || STATUS=$?
is "exit of the other" "$STATUS" 0
compare one
compare two
is "entries of both" "$(entries shared)" 11
is "temporary files" "$(find shared -name '*.tmp-*' | wc -l)" 0

# Where nothing can be kept, a command goes on after one warning.
touch file
expect 0 run-all --run no_folder "${SETTINGS[@]}" --set data.cache_dir=file/below
compare no_folder
is "warnings" "$(grep -c '^warning: data.cache_dir' "$ERR")" 1
if mkdir full && mount -t tmpfs -o size=24k none full 2>/dev/null; then
    CLEANUP+=("umount full")
    expect 0 run-all --run on_full "${SETTINGS[@]}" --set data.cache_dir=full --set data.workers=4
    compare on_full
    is "warnings" "$(grep -c '^warning: data.cache_dir' "$ERR")" 1
    has "$ERR" "No space left on device; clips are not kept there"
    if [ "$(entries full)" -gt 0 ]; then pass; else fail "nothing fits"; fi
else
    skip "a full disk: no right to mount one"
fi
# A clip that is replaced is seen.
clips=(d/Videos/*.avi)
cp "${clips[1]}" "${clips[0]}"
expect 0 train --run replaced_plain "${SETTINGS[@]}"
expect 0 train --run replaced "${SETTINGS[@]}" --set data.cache_dir=cache
same replaced_plain/fp32.safetensors replaced/fp32.safetensors
if cmp -s plain/fp32.safetensors replaced/fp32.safetensors; then fail "the old clip is used"; else pass; fi

expect_error 2 "data.workers" train --run x "${SETTINGS[@]}" --set data.workers=65

summary
