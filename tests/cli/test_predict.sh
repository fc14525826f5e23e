#!/usr/bin/env bash
# predict: what it prints for whom (CSV, JSON Lines, a file), which clips it takes (files, folders, lists), what becomes of
# bad ones, and that neither threads nor company change an EF.
. "$(dirname "$0")/lib.sh"

tiny_data d
expect 0 run-all --run r --data d "${TINY[@]}" --set data.frames=4
M=r/fp32.safetensors
clips=(d/Videos/*.avi)
is "clips" "${#clips[@]}" 11

# json FILE EXPRESSION: of the rows of JSON Lines, `rows`.
json() {
    python3 - "$1" "$2" <<'PY'
import json, sys
rows = [json.loads(line) for line in open(sys.argv[1], encoding="utf-8")]
print(eval(sys.argv[2]))
PY
}
# csv FILE EXPRESSION: of the rows after the header, `rows`, and of the header, `head`.
csv() {
    python3 - "$1" "$2" <<'PY'
import csv, sys
head, *rows = csv.reader(open(sys.argv[1], newline=""))
print(eval(sys.argv[2]))
PY
}

# Paths as they were given, so that two patients' clips of one name differ.
mkdir a b
cp "${clips[0]}" a/IM_0001.avi && cp "${clips[1]}" b/IM_0001.avi
expect 0 predict --model $M a/IM_0001.avi ./b/IM_0001.avi
is "header" "$(head -n 1 "$OUT")" "Path,EF,Note,Error"
is "paths" "$(tail -n +2 "$OUT" | cut -d, -f1 | xargs)" "a/IM_0001.avi ./b/IM_0001.avi"
is "digits" "$(csv "$OUT" 'all(len(r[1].split(".")[1]) == 4 and r[2] == "" for r in rows)')" True
mkdir odd
cp "${clips[0]}" 'odd/a,b.avi' && cp "${clips[0]}" 'odd/say "c".avi' && cp "${clips[0]}" $'odd/two\nlines.avi'
expect 0 predict --model $M odd/*.avi
is "quoted paths" "$(csv "$OUT" '[r[0] for r in rows] == ["odd/a,b.avi", "odd/say \"c\".avi", "odd/two\nlines.avi"]')" True

# JSON Lines hold what eval wrote, to the last digit, in one object a line and with the same keys in each.
names=$(tail -n +2 r/predictions/fp32.csv | cut -d, -f1)
expect 0 predict --json --model $M $(printf 'd/Videos/%s.avi ' $names)
cp "$OUT" lines
is "lines" "$(wc -l <lines)" 3
is "keys" "$(json lines 'sorted({tuple(r) for r in rows})')" \
    "[('path', 'ef', 'spread', 'phases', 'frames', 'note', 'error')]"
is "as eval" "$(json lines '" ".join("%.9g" % r["ef"] for r in rows)')" \
    "$(tail -n +2 r/predictions/fp32.csv | awk -F, '{print $4}' | xargs)"
is "one phase" "$(json lines '{(r["spread"], r["phases"], r["error"]) for r in rows}')" "{(None, 1, None)}"
is "frames" "$(json lines 'all(90 <= r["frames"] <= 220 for r in rows)')" True

# The spread over phases is the standard deviation of the EFs of the phases.
expect 0 predict --json --model $M --phases 3 "${clips[@]}"
cp "$OUT" three
is "spread" "$(json three 'all(r["spread"] > 0 and r["phases"] == 3 for r in rows)')" True
expect 0 predict --model $M --phases 3 "${clips[@]}"
is "header with phases" "$(head -n 1 "$OUT")" "Path,EF,Spread,Note,Error"
is "as JSON" "$(csv "$OUT" '[(r[1], r[2]) for r in rows]')" \
    "$(json three '[("%.4f" % r["ef"], "%.4f" % r["spread"]) for r in rows]')"

# Threads take clips, or layers when the clips are few; each clip keeps its bits, and the order is that of the arguments.
for model in fp32 ptq; do
    expect 0 predict --json --model r/$model.safetensors --threads 1 "${clips[@]}"
    cp "$OUT" one
    for threads in 2 3 16; do
        expect 0 predict --json --model r/$model.safetensors --threads $threads "${clips[@]}"
        same "$OUT" one
    done
    : >single
    for clip in "${clips[@]}"; do
        expect 0 predict --json --model r/$model.safetensors --threads 2 "$clip"
        cat "$OUT" >>single
    done
    same single one
done

# A file: whole, nothing on stdout; what it replaces stays if the command fails.
expect 0 predict --model r/ptq.safetensors --json "${clips[@]}" --output out.jsonl
same out.jsonl one
is "stdout with -o" "$(wc -c <"$OUT")" 0
expect 0 predict --model $M -o out.csv "${clips[0]}"
has out.csv "${clips[0]},"
cp out.csv before.csv
expect_error 1 "nowhere.safetensors" predict --model nowhere.safetensors -o out.csv "${clips[0]}"
same out.csv before.csv
expect_error 1 "no/such" predict --model $M -o no/such/out.csv "${clips[0]}"
expect_error 2 "is one of the inputs" predict --model $M -o "${clips[0]}" "${clips[0]}"
expect_error 2 "is one of the inputs" predict --model $M -o $M "${clips[0]}"
echo "${clips[0]}" >one.txt
expect_error 2 "is one of the inputs" predict --model $M -o ./one.txt @one.txt
expect 0 predict --model $M -o - "${clips[0]}"
is "rows on stdout" "$(csv "$OUT" 'len(rows)')" 1
not_there ./-
if [ -w /dev/full ]; then
    run predict --model $M -o /dev/full "${clips[0]}"
    is "exit with a full disk" "$STATUS" 1
    STATUS=0
    "$BIN" predict --model $M "${clips[@]}" >/dev/full 2>"$ERR" || STATUS=$?
    is "exit with a full disk behind stdout" "$STATUS" 1
fi

# Folders: all clips in and below, sorted by path, in any letter case, through links but not in circles.
mkdir -p tree/z tree/a/deep && cp "${clips[0]}" tree/z/1.avi && cp "${clips[1]}" tree/a/deep/2.AVI
cp "${clips[2]}" tree/a/b.avi
echo text >tree/notes.txt && echo fork >tree/a/._b.avi && ln -s .. tree/a/up && ln -s ../z tree/a/zz
expect 0 predict --model $M tree
is "clips of a folder" "$(tail -n +2 "$OUT" | cut -d, -f1 | xargs)" \
    "tree/a/b.avi tree/a/deep/2.AVI tree/a/zz/1.avi tree/z/1.avi"
cp "$OUT" plain
expect 0 predict --model $M tree/
same "$OUT" plain
expect 0 predict --model $M d --json
same "$OUT" <("$BIN" predict --model $M --json "${clips[@]}")
mkdir empty
run predict --model $M empty "${clips[0]}"
is "exit with a folder without clips" "$STATUS" 1
is "its row" "$(csv "$OUT" '[(r[0], r[1]) for r in rows][0]')" "('empty', '')"
has "$OUT" "no clip"

# Lists: a path a line, from a file or from stdin; with -0 a NUL after each.
printf '\xef\xbb\xbf%s\r\n\n%s\n' "${clips[0]}" tree >list.txt
expect 0 predict --model $M @list.txt
is "clips of a list" "$(tail -n +2 "$OUT" | wc -l)" 5
cp "$OUT" plain
"$BIN" predict --model $M - <list.txt >"$OUT" 2>"$ERR"
same "$OUT" plain
printf '%s\0' odd/*.avi | "$BIN" predict --model $M -0 - >"$OUT" 2>"$ERR"
is "paths after NUL" "$(csv "$OUT" 'len(rows)')" 3
printf '%s\0' odd/*.avi >list.0
expect 0 predict --model $M --null @list.0
is "paths of a file after NUL" "$(csv "$OUT" 'len(rows)')" 3
expect_error 1 "list.0" predict --model $M @list.0
has "$ERR" "--null"
expect_error 1 "nowhere.txt" predict --model $M @nowhere.txt
: >none.txt
expect_error 1 "none.txt" predict --model $M @none.txt
printf '%s\n' "@list.txt" >nested.txt
run predict --model $M @nested.txt
is "exit of a list in a list" "$STATUS" 1
expect 0 predict --model $M a @list.txt

# ---- lists as people edit them: blanks around a path, blank lines, comments; such names are files where they exist ----
cp "${clips[0]}" '#1.avi' && cp "${clips[0]}" 'blank.avi '
printf '# all clips\n%s  \n \t \n\t%s\r\n#1.avi\nblank.avi \n' "${clips[0]}" "${clips[1]}" >edited.txt
expect 0 predict --model $M @edited.txt
is "clips" "$(tail -n +2 "$OUT" | cut -d, -f1 | tr '\n' '|')" "${clips[0]}|${clips[1]}|#1.avi|\"blank.avi \"|"
has "$ERR" "edited.txt: 1 line that begins with # left out as comments"
printf '# nothing\n\n' >comment.txt
expect_error 1 "the list is empty" predict --model $M @comment.txt
rm '#1.avi' 'blank.avi '

# ---- a folder that cannot be read is one bad row ----
if [ "$(id -u)" != 0 ] || command -v setpriv >/dev/null; then
    mkdir -p locked/in && cp "${clips[0]}" locked/in/ && cp "${clips[1]}" locked/open.avi && chmod 000 locked/in && chmod 755 "$TMP"
    as=() && [ "$(id -u)" != 0 ] || as=(setpriv --reuid=65534 --regid=65534 --clear-groups)
    if "${as[@]}" test -r locked/open.avi -a -r $M -a -x "$BIN"; then
        STATUS=0 && "${as[@]}" "$BIN" predict --model $M locked >"$OUT" 2>"$ERR" || STATUS=$?
        is "exit" "$STATUS" 1
        is "rows" "$(tail -n +2 "$OUT" | wc -l)" 2
        has "$OUT" "locked/in: cannot be read: Permission denied"
    fi
    chmod 755 locked/in
fi

# A bad clip has a row with the reason, the others are predicted, and the exit code says it.
printf 'no video' >bad.avi
: >void.avi
run predict --model $M "${clips[0]}" bad.avi missing.avi void.avi "${clips[1]}"
is "exit with bad clips" "$STATUS" 1
is "rows" "$(csv "$OUT" '[(r[1] != "", r[3] != "") for r in rows]')" \
    "[(True, False), (False, True), (False, True), (False, True), (True, False)]"
has "$ERR" "3 of 5"
for name in bad missing void; do has "$ERR" "$name.avi"; done
run predict --json --model $M "${clips[0]}" bad.avi
is "exit with a bad clip and JSON" "$STATUS" 1
is "its object" "$(json "$OUT" '[rows[1][k] for k in ("path", "ef", "frames")] + ["bad.avi" in rows[1]["error"]]')" \
    "['bad.avi', None, None, True]"
run predict --model $M --set data.on_error=skip bad.avi void.avi
is "exit with nothing but bad clips" "$STATUS" 1
is "rows of bad clips" "$(csv "$OUT" 'len(rows)')" 2
run predict --model $M --set data.on_error=fail --threads 1 "${clips[0]}" bad.avi "${clips[1]}" "${clips[2]}"
is "exit when the first bad clip ends it" "$STATUS" 1
is "rows until then" "$(csv "$OUT" 'len(rows)')" 2
cp before.csv out.csv
run predict --model $M --set data.on_error=fail -o out.csv "${clips[0]}" bad.avi
same out.csv before.csv
run predict --model $M -o out.csv "${clips[0]}" bad.avi
is "exit with a bad clip and a file" "$STATUS" 1
is "rows in the file" "$(csv out.csv 'len(rows)')" 2

# An interruption ends it with 130 and leaves no file behind.
printf "%s\n" $(for i in $(seq 200); do printf '%s ' "${clips[@]}"; done) >many.txt
"$BIN" predict --model $M -o stopped.csv @many.txt 2>"$ERR" &
child=$!
await_handler $child INT
sleep 0.3
kill -INT $child 2>/dev/null
STATUS=0
wait $child || STATUS=$?
if [ "$STATUS" = 0 ]; then skip "the interruption: all was done before it"; else
    is "exit after SIGINT" "$STATUS" 130
    is "files left" "$(ls -A | grep -c stopped)" 0
fi

expect_error 2 "predict needs" predict --model $M
expect_error 2 "--model" predict "${clips[0]}"
summary
