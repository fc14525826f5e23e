#!/usr/bin/env bash
# `inspect` of a folder opens every clip, groups what it finds, draws a contact sheet, and says what a folder is that
# holds something else.
. "$(dirname "$0")/lib.sh"

tiny_data good
NAMES=($(tail -n +2 good/FileList.csv | cut -d, -f1))

fresh() {
    rm -rf bad && cp -r good bad && rm -f bad/synth.json
}

# json KEYS: a value of the JSON in $OUT, as Python would index it.
json() {
    python3 -c 'import json, sys
document = json.load(open(sys.argv[1]))
found = {f["kind"]: f for f in document["findings"]}
print(eval(sys.argv[2]))' "$OUT" "$1"
}

# ---- a good folder ----
expect 0 inspect good
has "$OUT" "11 clips, split by FileList.csv"
has "$OUT" "every clip can be read"
expect 0 inspect --json good
is "findings of good clips" "$(json 'document["findings"]')" "[]"
is "clips that can be used" "$(json 'document["usable"]')" 11
is "sizes" "$(json 'document["frames"]["width"]')" "[112, 112]"

# ---- every kind of broken clip ----
fresh
: >"bad/Videos/${NAMES[0]}.avi"
truncate -s 3000 "bad/Videos/${NAMES[1]}.avi"
printf 'this is not a video\n' >"bad/Videos/${NAMES[2]}.avi"
rm "bad/Videos/${NAMES[3]}.avi"
head -c 5000 /dev/urandom >"bad/Videos/${NAMES[4]}.avi"
printf '%0128d' 0 >"bad/Videos/${NAMES[5]}.avi" && printf 'DICM\2\0\0\0UL\4\0' >>"bad/Videos/${NAMES[5]}.avi"
expect 1 inspect bad
has "$OUT" "6 of 11 clips cannot be used"
has "$OUT" "1 clip is empty: ${NAMES[0]}"
has "$OUT" "1 clip is cut off: ${NAMES[1]}"
has "$OUT" "1 file is text, not a clip: ${NAMES[2]}"
has "$OUT" "${NAMES[3]}"
has "$OUT" "1 file is not a video: ${NAMES[4]}"
has "$OUT" "DICOM"
has "$ERR" "error: bad: 6 of 11 clips cannot be used"
expect 1 inspect --json bad
for kind in empty cut_off text missing no_video other_format; do
    is "count of $kind" "$(json "found['$kind']['count']")" 1
    is "$kind is a problem" "$(json "found['$kind']['problem']")" True
done
is "name and split" "$(json "found['empty']['clips'][0]['FileName']")" "${NAMES[0]}"
is "split" "$(json "found['empty']['clips'][0]['split']")" "$(grep "^${NAMES[0]}" good/FileList.csv | awk -F, '{print $NF}')"
is "clips that can be used" "$(json 'document["usable"]')" 5
is "skipped" "$(json 'len(document["skipped"])')" 6

# A folder that cannot be used does not hide the next one.
expect 1 inspect bad good
has "$OUT" "good: synthetic data folder"

# ---- many of a kind: all in the JSON, some in the text ----
fresh
for name in "${NAMES[@]}"; do : >"bad/Videos/$name.avi"; done
expect 1 inspect bad
has "$OUT" "11 clips are empty: ${NAMES[0]}"
has "$OUT" "and 5 more (--json lists all)"
expect 1 inspect --json bad
is "all of them" "$(json "len(found['empty']['clips'])")" 11

# ---- the list ----
# column NAME PROGRAM: that column of the rows, set by awk.
column() {
    awk -F, -v OFS=, -v name="$1" 'NR == 1 {for (i = 1; i <= NF; i++) if ($i == name) c = i} NR > 1 {'"$2"'} {print}' \
        good/FileList.csv >bad/FileList.csv
}
# warns TEXT: inspect finds it in ./bad, and it is only a warning.
warns() {
    expect 0 inspect bad
    has "$OUT" "$1"
}
fresh && column EF '$c = $c / 100'
expect 1 inspect bad
has "$OUT" "EF looks like a fraction"
expect 0 inspect bad --set data.ef_unit=fraction
fresh && column EF '$c = 55' && warns "all 11 clips have the EF 55 %"
fresh && column ESV '$c = 40' && warns "ESV is the same in every row"
fresh && column EF 'if (NR == 3) $c = 4' && warns "1 row has an unusual EF: ${NAMES[1]}"
fresh && column EDV 'if (NR == 3) $c = 2 * $c' && warns "1 row has an EF that contradicts its volumes: ${NAMES[1]}"
fresh && column FrameWidth 'if (NR == 3) $c = 120' && warns "1 row states a frame size that differs from its clip: ${NAMES[1]}"
fresh && column NumberOfFrames 'if (NR == 3) $c = 20' &&
    warns "1 row states a number of frames that differs from its clip: ${NAMES[1]}"
fresh && column FPS 'if (NR == 3) $c = 25' && warns "1 row states a frame rate that differs from its clip: ${NAMES[1]}"

# ---- patients ----
patient() { awk -F, -v OFS=, 'NR == 1 {print $0, "PatientID"} NR > 1 {print $0, '"$1"'}' good/FileList.csv >bad/FileList.csv; }
fresh && patient '"a" NR'
expect 0 inspect bad
has "$OUT" "11 patients"
fresh && patient '"a" NR % 6' # one of the first six clips and one of the others each
expect 0 inspect bad
has "$OUT" "5 of 6 patients have clips in more than one split"
expect 0 inspect --json bad
is "patients" "$(json 'document["patients"]')" 6
is "a warning" "$(json "found['patient_across_splits']['problem']")" False

# ---- copies ----
names_of() { grep "$1" good/FileList.csv | cut -d, -f1; }
TRAIN=($(names_of TRAIN)) TEST=($(names_of TEST))
fresh && cp "bad/Videos/${TRAIN[0]}.avi" "bad/Videos/${TRAIN[1]}.avi"
warns "identical"
fresh && cp "bad/Videos/${TRAIN[0]}.avi" "bad/Videos/${TEST[1]}.avi"
expect 1 inspect bad
has "$OUT" "${TRAIN[0]} = ${TEST[1]}"
expect 1 inspect --json bad
is "copies across splits" "$(json "found['copy_across_splits']['clips'][0]['split']")" TRAIN

# ---- no list ----
fresh && rm bad/FileList.csv
expect 1 inspect bad
has "$OUT" "11 clips, no FileList.csv"
expect 1 inspect --json bad
is "no list" "$(json "found['no_list']['problem']")" True
mkdir nothing && expect_error 1 "nowhere: no such file or folder" inspect nowhere
expect_error 1 "FileList.csv" inspect nothing

# ---- the contact sheet ----
fresh && : >"bad/Videos/${TEST[0]}.avi"
expect 1 inspect --contact-sheet sheet.png bad
is "a PNG" "$(od -An -c -N 4 sheet.png | tr -d ' ')" '211PNG'
has "$OUT" "sheet.png"
expect 1 inspect --json --contact-sheet sheet.png bad
is "tiles" "$(json 'len(document["contact_sheet"]["tiles"])')" 11
is "tiles of bad clips" "$(json 'sum(t["problem"] for t in document["contact_sheet"]["tiles"])')" 1
expect_error 1 "nowhere/sheet.png" inspect --contact-sheet nowhere/sheet.png good
expect_error 2 "data folder" inspect --contact-sheet sheet.png "good/Videos/${NAMES[0]}.avi"
expect_error 2 "one" inspect --contact-sheet sheet.png good good

# ---- runs ----
expect 0 train -q --run runs/half --data good "${TINY[@]}" --set train.epochs=1
expect 0 inspect runs/half
has "$OUT" "runs/half: run directory without results"
has "$OUT" "fp32"
expect 0 inspect runs
has "$OUT" "runs: folder of 1 run directory"
expect 0 inspect --json runs
summary
