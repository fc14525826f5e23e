#!/usr/bin/env bash
# Data that can't be used: each fault gives one message with its place and leaves everything as it was.
. "$(dirname "$0")/lib.sh"

tiny_data good
NAMES=($(tail -n +2 good/FileList.csv | cut -d, -f1))

# copy_data DIR: a fresh copy of the good folder.
copy_data() {
    rm -rf "$1" r && cp -r good "$1" && rm "$1/synth.json"
}

# bad_data STATUS TEXT: training on ./bad fails, and nothing but config.json is left behind.
bad_data() {
    expect_error "$1" "$2" train --run r --data bad "${TINY[@]}"
    not_there r/fp32.safetensors r/results.json
}

expect_error 1 "nowhere" train --run r --data nowhere "${TINY[@]}"
mkdir empty && expect_error 1 "FileList.csv" train --run r --data empty "${TINY[@]}"
copy_data bad && sed -i '1s/FileName/Name/' bad/FileList.csv && bad_data 1 "FileName"
copy_data bad && sed -i '1s/\bEF\b/Ejection/' bad/FileList.csv && bad_data 1 "EF"
copy_data bad && head -n 1 good/FileList.csv >bad/FileList.csv && bad_data 1 "FileList.csv"

# set_ef LINE VALUE
set_ef() {
    awk -F, -v OFS=, -v line="$1" -v value="$2" 'NR==1 {for (i = 1; i <= NF; i++) if ($i == "EF") column = i}
        NR==line {$column = value} {print}' good/FileList.csv >bad/FileList.csv
}
for value in abc 101 -1 nan inf "" 1e999; do
    copy_data bad && set_ef 4 "$value" && bad_data 1 "FileList.csv:4"
done
copy_data bad && sed -n 3p good/FileList.csv >>bad/FileList.csv && bad_data 1 "${NAMES[1]}"
copy_data bad && rm "bad/Videos/${NAMES[2]}.avi" && bad_data 1 "${NAMES[2]}"
copy_data bad && sed -i '5s/TRAIN/PRACTICE/' bad/FileList.csv && bad_data 1 "FileList.csv:5"
copy_data bad && sed -i 's/,VAL/,TRAIN/' bad/FileList.csv && bad_data 1 "VAL"
copy_data bad && printf 'FileName,EF\n"a' >bad/FileList.csv && bad_data 1 "FileList.csv"
copy_data bad && printf '\0\1\2\377' >bad/FileList.csv && bad_data 1 "FileList.csv"

# Clips. A training clip: the first that is in the split.
train_name=$(grep -m 1 TRAIN good/FileList.csv | cut -d, -f1)
clip=bad/Videos/$train_name.avi
copy_data bad && : >"$clip" && bad_data 1 "$train_name.avi"
copy_data bad && truncate -s 40% "$clip" 2>/dev/null || truncate -s $(($(stat -c %s "$clip") * 2 / 5)) "$clip"
bad_data 1 "$train_name.avi"
copy_data bad && head -c 300 "good/Videos/$train_name.avi" >"$clip" && bad_data 1 "$train_name.avi"
copy_data bad && printf 'this is no video\n' >"$clip" && bad_data 1 "$train_name.avi"
copy_data bad && rm "$clip" && mkdir "$clip" && bad_data 1 "$train_name"
if [ -s "$SOURCE/tests/fuzz/corpus/fuzz_clip/audio.avi" ]; then
    copy_data bad && cp "$SOURCE/tests/fuzz/corpus/fuzz_clip/audio.avi" "$clip" && bad_data 1 "no video"
else
    skip "sound without a picture: the seed file is missing"
fi

# data.on_error = skip: the same faults, a row and two clips, leave the rest to work with.
copy_data bad
set_ef 4 abc
: >"$clip"
test_name=$(grep -m 1 TEST good/FileList.csv | cut -d, -f1)
printf 'no video' >"bad/Videos/$test_name.avi"
expect 0 run-all --run s --data bad "${TINY[@]}" --set data.on_error=skip
is "clips left out" "$(grep -c '"reason"' s/results.json)" 3
for name in "${NAMES[2]}" "$train_name" "$test_name"; do has s/results.json "\"FileName\": \"$name\""; done
is "rows of predictions" "$(tail -n +2 s/predictions/fp32.csv | wc -l)" 2
grep -q "$test_name" s/predictions/fp32.csv && fail "a bad clip has a prediction"
has "$ERR" "$test_name"
has s/report.md "$test_name"

# A damaged clip: an error, left out, or used, by the same setting, and told of each time.
cut=cut.avi
head -c $(($(stat -c %s "good/Videos/$test_name.avi") / 2)) "good/Videos/$test_name.avi" >"$cut"
expect 1 predict --model s/fp32.safetensors "$cut" "good/Videos/$test_name.avi"
has "$ERR" "the clip is damaged: the file is cut off"
has "$ERR" "--set data.on_error=use predicts it"
is "rows" "$(wc -l <"$OUT")" 3
is "predictions" "$(tail -n +2 "$OUT" | cut -d, -f2 | grep -c .)" 1
expect 0 predict --model s/fp32.safetensors --set data.on_error=use "$cut" "good/Videos/$test_name.avi"
is "predictions" "$(tail -n +2 "$OUT" | cut -d, -f2 | grep -c .)" 2
has "$OUT" "damaged: the file is cut off"
has "$ERR" "$cut: damaged: the file is cut off"
expect 0 inspect "$cut"
has "$OUT" "damaged: the file is cut off"
copy_data bad && cp "$cut" "$clip" && cp "$cut" "bad/Videos/$test_name.avi"
bad_data 1 "the clip is damaged"
expect 0 run-all --run u --data bad "${TINY[@]}" --set data.on_error=use
has "$ERR" "2 damaged clips are used as far as they can be read"
is "damaged clips" "$(grep -c '"reason"' u/results.json)" 2
has u/report.md "2 damaged clips used"
has u/report.html "2 damaged clips used"
set_ef 4 abc
: >"$clip"
printf 'no video' >"bad/Videos/$test_name.avi"

# predict and inspect on clips
expect 1 predict --model s/fp32.safetensors --set data.on_error=skip "$clip" "good/Videos/$test_name.avi"
is "predictions" "$(wc -l <"$OUT")" 3
has "$ERR" "$clip"
expect 1 predict --model s/fp32.safetensors "$clip"
expect 0 inspect good
has "$OUT" "11 clips"
expect 1 inspect bad
has "$OUT" "cannot be used"
expect 0 inspect "good/Videos/${NAMES[0]}.avi"
has "$OUT" "112 x 112"
expect_error 1 "no such file" inspect nowhere.avi
expect_error 1 "README.md" inspect "$SOURCE/README.md"
summary
