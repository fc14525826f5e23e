#!/usr/bin/env bash
# Lists as people have them: letter case, folds, patients, fractions, names in other encodings. What is read is read as
# the plain list would be, and the rest is said before anything is trained.
. "$(dirname "$0")/lib.sh"

"$BIN" synth s --quiet --set synth.train=4 --set synth.val=1 --set synth.test=1 >/dev/null || exit 1
mkdir -p plain/Videos
k=0
for clip in s/Videos/*.avi; do k=$((k + 1)) && cp "$clip" "plain/Videos/p$k.avi"; done
{
    echo FileName,EF,Split
    for k in 1 2 3 4; do echo "p$k,$((30 + 8 * k)),TRAIN"; done
    printf 'p5,50,VAL\np6,42,TEST\n'
} >plain/FileList.csv

# list COMMAND...: a fresh copy of the set as ./l, whose list COMMAND rewrites from stdin to stdout.
list() {
    rm -rf l r && cp -r plain l && "$@" <plain/FileList.csv >l/FileList.csv
}

expect 0 train --run base --data plain "${TINY[@]}"
# trains_alike ARGUMENT...: ./l gives the model of the plain list.
trains_alike() {
    expect 0 train --run r --data l "${TINY[@]}" "$@"
    if cmp -s <(tensors base/fp32.safetensors) <(tensors r/fp32.safetensors); then pass; else fail "another model: $*"; fi
}

# Letter case and extensions.
list sed 's/^p1,/p1.AVI,/; s/^p2,/P2,/' && mv l/Videos/p1.avi l/Videos/p1.Avi && mv l/Videos l/videos
trains_alike
# Semicolons, decimal commas, a byte order mark, empty columns at the end.
list sed '1s/^/\xef\xbb\xbf/; 1!s/,\([0-9]*\),/;\1,0;/; 1s/,/;/g; s/$/;;\r/'
trains_alike
# Fractions.
list sed 's/,\([0-9][0-9]\),/,0.\1,/'
expect_error 1 "data.ef_unit=fraction" train --run r --data l "${TINY[@]}"
expect 1 inspect l
has "$OUT" "looks like a fraction"
expect 0 train --run r --data l "${TINY[@]}" --set data.ef_unit=fraction
expect 0 inspect l --set data.ef_unit=fraction
has "$OUT" "EF 38.0 .. 62.0"
# Folds.
list sed 's/TRAIN/0/; s/VAL/8/; s/TEST/9.0/'
expect_error 1 "--set data.val_folds=8 --set data.test_folds=9" train --run r --data l "${TINY[@]}"
expect_error 1 "the column Split has folds (0, 8, 9)" inspect l
trains_alike --set data.val_folds=8 --set data.test_folds=9

# One clip under two names.
list sed '$s/p6/.\/p1.avi/'
expect_error 1 'FileList.csv:7: FileName "./p1.avi" is the same file as "p1" in line 2' train --run r --data l "${TINY[@]}"
list cat && ln -sf p1.avi l/Videos/p6.avi
expect_error 1 'the same file as "p1" in line 2' train --run r --data l "${TINY[@]}"

# Patients: their clips stay in one split, and what the column holds is written nowhere.
list awk -F, -v OFS=, 'NR == 1 {print $1, $2, "Patient_ID"} NR > 1 {print $1, $2, "hush" int(NR / 2)}'
expect 0 run-all --run r --data l "${TINY[@]}"
has r/predictions/fp32.csv "FileName,Split,EF,Prediction,Patient"
is "patients of the test clips" "$(tail -n +2 r/predictions/fp32.csv | cut -d, -f5 | sort -u | wc -l)" 1
is "test clips" "$(tail -n +2 r/predictions/fp32.csv | wc -l)" 2
expect 0 inspect l --json
grep -rl hush r "$OUT" "$ERR" && fail "an identifier of a patient was stored or printed"
expect 0 report --run r
list awk -F, -v OFS=, 'NR == 1 {print $0, "MRN"} NR > 1 {print $0, "hush" NR % 2}'
expect 0 train --run r --data l "${TINY[@]}"
has "$ERR" "2 of 2 patients have clips in more than one split: patient 1 (lines 2 and 6), patient 2 (lines 3 and 7)"
grep -q hush "$ERR" && fail "an identifier of a patient was printed"
expect 0 inspect l
has "$OUT" "2 of 2 patients"
expect 0 train --run r --data l --force "${TINY[@]}" --set data.patient_column=none
grep -q "patients" "$ERR" && fail "a column that is switched off counts"
expect_error 1 'no column "Person" (data.patient_column)' train --run r --data l --force "${TINY[@]}" --set data.patient_column=Person

# Names that are not UTF-8, with control characters, and names that Markdown and HTML would take for their own.
umlaut=$(printf 'Patient_M\xfcller')
list sed "s/^p6,/$umlaut.avi,/; s/^p5,/p5,/" && mv l/Videos/p6.avi "l/Videos/$umlaut.avi"
printf 'absent_\xe9\x1b[31m,50,TRAIN\n"a|b<i>&\xff",50,TRAIN\n' >>l/FileList.csv
expect 0 run-all --run r --data l "${TINY[@]}" --set data.on_error=skip
is_utf8() {
    if iconv -f UTF-8 -t UTF-8 "$1" >/dev/null 2>&1 && ! LC_ALL=C grep -q "$(printf '\033')" "$1"; then pass; else fail "$1 is not plain UTF-8"; fi
}
for file in r/*.json r/*.md r/*.html r/predictions/*.csv "$OUT" "$ERR"; do is_utf8 "$file"; done
has r/predictions/fp32.csv "Patient_Müller,TEST"
has r/report.md "absent_é"
expect 0 eval --run r --data l "${TINY[@]}" --set data.on_error=skip --set data.cache_mb=0
expect 0 report --run r
expect 1 inspect l
is_utf8 "$OUT"
expect 1 inspect --json l
is_utf8 "$OUT"
expect 0 predict --model r/fp32.safetensors "l/Videos/$umlaut.avi"
is_utf8 "$OUT"
has "$OUT" "Müller"
expect 1 predict --model r/fp32.safetensors "$(printf 'absent_\xfc\033')"
is_utf8 "$ERR"

# A data folder and a run directory of such names: the run goes on, and its files are UTF-8.
folder=$(printf 'Daten_M\xfcnchen') && rm -rf "$folder" u_* && cp -r plain "$folder"
dir=$(printf 'u_\xfc')
expect 0 train --run "$dir" --data "$folder" "${TINY[@]}"
expect 0 ptq --run "$dir" --data "$folder" "${TINY[@]}"
expect 0 eval --run "$dir" --data "$folder" "${TINY[@]}"
expect 0 report --run "$dir"
for file in "$dir"/*.json "$dir"/*.md "$dir"/*.html; do is_utf8 "$file"; done

# No list here, but below.
mkdir -p both && cp -r plain both/A4C && cp -r plain both/PSAX
expect_error 1 "both/A4C" inspect both
summary
