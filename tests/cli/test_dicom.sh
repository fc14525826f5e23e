#!/usr/bin/env bash
# DICOM: import into a data folder, prediction from files, and nothing about a patient in whatever is written.
. "$(dirname "$0")/lib.sh"

make_dicom() {
    "$TEST_TOOLS/write_dicom" "$@" || fail "write_dicom $*"
}

mkdir -p in/sub
make_dicom in/a.dcm 1
make_dicom in/sub/b 2

run inspect in/a.dcm
if grep -q "built without DICOM" "$ERR"; then
    for command in "inspect in/a.dcm" "import in --out out"; do
        expect_error 1 "this echoquant was built without DICOM; install libdcmtk-dev and g++" $command
    done
    not_there out
    summary
    exit
fi

# secret_free WHAT FILE...: none of the made-up tags about a patient.
secret_free() {
    local what=$1
    shift
    if grep -rqaE 'SECRET|4711|19610203|20230405|1\.2\.826\.0\.1\.3680043' "$@"; then
        fail "$what: something about the patient"
    else
        pass
    fi
}

grep -qa 'SECRET^NAME' in/a.dcm && pass || fail "the file holds nothing that could be found again"
expect 0 inspect in/a.dcm
has "$OUT" "clip, DICOM, 320 x 260, 30 frames"
secret_free inspect "$OUT" "$ERR"

# A folder with all kinds of files.
cp in/a.dcm in/sub/copy.dcm
make_dicom in/ct.dcm 3 ct
make_dicom in/still.dcm 4 still
echo "no picture" >in/readme.txt
mkfifo in/pipe
expect 0 import in --out out --pictures --json -v
cp "$OUT" import.json && cp "$ERR" log
python3 - import.json <<'PY' && pass || fail "import --json"
import json, sys
o = json.load(open(sys.argv[1]))
assert (o["written"], o["kept"], o["skipped"], o["failed"], o["without_ef"]) == (2, 0, 5, 0, 2), o
state = {f["source"]: f for f in o["files"]}
assert state["in/a.dcm"]["frames"] == 30 and state["in/a.dcm"]["fps"] == 50, state
reasons = {k: f.get("reason", "") for k, f in state.items()}
assert "copy of in/a.dcm" in reasons["in/sub/copy.dcm"] and "not of ultrasound" in reasons["in/ct.dcm"], reasons
assert "one frame" in reasons["in/still.dcm"], reasons
assert reasons["in/readme.txt"] == reasons["in/pipe"] == "not a DICOM file", reasons
PY
has log "2 files skipped: not a DICOM file"
has log "2 of 2 clips have no EF"
there out/import.json out/FileList.csv
is "clips" "$(ls out/Videos | wc -l)" 2
is "pictures" "$(head -c 8 out/Pictures/*.png | grep -ac PNG)" 2
for clip in out/Videos/*.avi; do
    expect 0 inspect "$clip"
    has "$OUT" "mjpeg, 112 x 112, 30 frames decode, 50 frames a second, gray"
done
secret_free import out import.json log
is "names of clips" "$(ls out/Videos | grep -vcE '^DCM[0-9a-f]{16}\.avi$')" 0

# Without EFs the folder says what is missing; nothing is overwritten.
expect_error 1 "EF is empty; write it in percent" train --data out --run r "${TINY[@]}"
cp -r out before
expect_error 2 "has a finished import" import in --out out
diff -r out before >/dev/null && pass || fail "a finished import was changed"
mkdir other && echo mine >other/file
expect_error 2 "other is not empty" import in --out other
is "a foreign folder" "$(ls other)" file

# An interrupted import goes on, and gives the same bytes.
rm out/FileList.csv out/Videos/"$(ls out/Videos | head -n 1)"
expect_error 2 "other options" import in --out out --crop none
expect 0 import in --out out --pictures
diff -r out before >/dev/null && pass || fail "a resumed import differs"
expect 0 import in --out one --threads 1 --pictures
diff -r one before >/dev/null && pass || fail "an import with one thread differs"

# EFs from a list, by name, by path, with and without extension.
printf 'FileName,EF,Split\na,55,TRAIN\nsub/b,61.5,TEST\n' >labels.csv
rm in/sub/copy.dcm
expect 0 import in --out labeled --labels labels.csv
is "EFs" "$(cut -d, -f2,9 labeled/FileList.csv | tr '\n' ' ')" "EF,Split 55,TRAIN 61.5,TEST "
expect 0 inspect labeled
has "$OUT" "TEST        1 clip,"
make_dicom in/sub/a.dcm 5
expect_error 2 "matches in/a.dcm and in/sub/a.dcm" import in --out ambiguous --labels labels.csv
not_there ambiguous
rm in/sub/a.dcm

# A damaged file is named and fails the command; the others are there.
head -c 3000000 in/a.dcm >in/cut.dcm
expect 1 import in --out some
has "$ERR" "error: 1 of 7 files failed; the other clips are in some"
has "$ERR" "in/cut.dcm: a damaged or cut off DICOM file"
is "clips beside a failure" "$(ls some/Videos | wc -l)" 2
there some/FileList.csv
rm in/cut.dcm

# Wrong usage.
expect_error 2 "--out DIR" import in
expect_error 2 "must be cone, region, or none" import in --out new --crop square
expect_error 2 "--no-mask needs --crop cone" import in --out new --crop none --no-mask
expect_error 1 "no such file or folder" import nowhere --out new
expect_error 1 "no ultrasound clip" import in/ct.dcm --out new
not_there new

# Every coding, as whole pictures.
expect 0 import "$SOURCE/tests/golden/dicom" --out codings --crop none --quiet
is "clips of all codings" "$(ls codings/Videos | wc -l)" "$(ls "$SOURCE"/tests/golden/dicom/*.dcm | wc -l)"
secret_free codings codings

# Prediction from the files: near that of the imported clips, which went through MJPEG once.
tiny_data data
expect 0 train --run r --data data --quiet "${TINY[@]}"
expect 0 import in --out small --size 32 --quiet
expect 0 predict --model r/fp32.safetensors in/a.dcm in/sub/b
cp "$OUT" direct && secret_free predict "$OUT" "$ERR"

# A folder: machines give files no extension; a table of contents is none of the clips.
mkdir -p medium/a && cp in/a.dcm medium/a/IM_0001 && cp in/sub/b medium/a/IM_0002 && cp in/a.dcm medium/DICOMDIR
printf 'a text' >medium/README
expect 0 predict --model r/fp32.safetensors medium
is "clips of a medium" "$(cut -d, -f1 "$OUT" | xargs)" "Path medium/a/IM_0001 medium/a/IM_0002"
run inspect medium/a
has "$OUT" "2 clips, no FileList.csv"
expect 0 predict --model r/fp32.safetensors $(tail -n +2 small/FileList.csv | cut -d, -f1 | sed 's|.*|small/Videos/&.avi|')
paste -d, direct "$OUT" | awk -F, 'NR > 1 {d = $2 - $6; if (d < 0) d = -d; if (d > most) most = d}
    END {exit !(NR == 3 && most < 0.5)}' && pass || fail "prediction from DICOM and from its import differ: $(paste -d, direct "$OUT")"

# DICOM files in a data folder.
mkdir mixed && cp in/a.dcm mixed/ && cp in/sub/b mixed/
printf 'FileName,EF,Split\na.dcm,55,TRAIN\nb,61.5,TEST\n' >mixed/FileList.csv
expect 0 inspect mixed
has "$OUT" "2 clips"
expect 0 eval --model r/fp32.safetensors --data mixed --run rr --quiet "${TINY[@]}"

summary
