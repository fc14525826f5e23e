#!/usr/bin/env bash
# Commands that open data check every clip first, once: what is broken stops them before the first epoch.
. "$(dirname "$0")/lib.sh"

tiny_data good
TRAIN=($(grep TRAIN good/FileList.csv | cut -d, -f1)) TEST=($(grep TEST good/FileList.csv | cut -d, -f1))
CACHE=$XDG_CACHE_HOME/echoquant

fresh() {
    rm -rf bad && cp -r good bad && rm -f bad/synth.json
}

# ---- broken test clips cost no training ----
fresh && : >"bad/Videos/${TEST[0]}.avi" && printf 'text\n' >"bad/Videos/${TEST[2]}.avi"
for command in train run-all; do
    expect_error 1 "2 of 11 clips cannot be used" "$command" --run r --data bad "${TINY[@]}"
    for name in "${TEST[0]}" "${TEST[2]}"; do has "$ERR" "bad/Videos/$name.avi"; done
    has "$ERR" "data.on_error=skip"
    not_there r/fp32.safetensors r/state/fp32.state.safetensors
done
sed -i '3s/,[0-9.]*,/,abc,/' bad/FileList.csv # the list's bad rows stand in the same list
expect_error 1 "3 of 11 clips cannot be used" train --run r --data bad "${TINY[@]}"
has "$ERR" "FileList.csv:3"

# ---- a split without clips is known before the first epoch ----
for split in TRAIN VAL TEST; do
    fresh && sed -i "/,$split/d" bad/FileList.csv
    expect_error 1 "the $split split holds no clips, and run-all needs some in each" run-all --run r --data bad "${TINY[@]}"
    not_there r/config.json r/fp32.safetensors r/state/fp32.state.safetensors
    expect 0 inspect bad
    has "$OUT" "no clip is in $split"
done

# ---- what is found stands among the warnings ----
fresh && cp "bad/Videos/${TRAIN[0]}.avi" "bad/Videos/${TEST[1]}.avi"
expect 0 train --run copies --data bad "${TINY[@]}" --set train.epochs=1
grep '^warning: ' "$ERR" | grep -qF "${TRAIN[0]} = ${TEST[1]}" && pass || { fail "no warning of a copy"; show; }

# ---- the cache ----
expect 0 inspect "$PWD/./good" # other commands, other spellings of the folder: the same cache
there "$CACHE"/clips-*
expect 0 train -v --run cached --data good "${TINY[@]}" --set train.epochs=1
has "$ERR" "11 clips are unchanged since their last check"
touch "good/Videos/${TRAIN[0]}.avi"
expect 0 ptq -v --run cached --data good "${TINY[@]}" --set train.epochs=1
has "$ERR" "10 clips are unchanged since their last check"
for damage in 'truncate -s 100' 'truncate -s 0' 'sed -i s/1/2/g' 'cp /bin/true'; do
    for file in "$CACHE"/clips-*; do
        if [ "$damage" = 'cp /bin/true' ]; then cp /bin/true "$file"; else $damage "$file"; fi
    done
    expect 0 inspect good
    has "$OUT" "every clip can be read"
done
rm -rf "$CACHE" && : >"$XDG_CACHE_HOME/echoquant" # no place for it
expect 0 inspect good
rm "$XDG_CACHE_HOME/echoquant"
# What is used does not depend on data.on_error while nothing is broken: it may change.
expect 0 eval --run cached --set data.on_error=skip
expect 0 ptq --run cached --force --set data.on_error=fail
# A clip that breaks after a good check is seen: size or time differ.
: >"good/Videos/${TEST[0]}.avi"
expect_error 1 "${TEST[0]}.avi" eval --run cached

summary
