#!/usr/bin/env bash
# Settings from files and from the command line: what is refused, with which words, and what config.json keeps.
. "$(dirname "$0")/lib.sh"

expect_error 2 "did you mean data.frames?" train --set data.framse=8
expect_error 2 "did you mean data.frames?" train --set frames=8
expect_error 2 "write KEY=VALUE" train --set data.frames
expect_error 2 "data.frames = 65 is not allowed: it must be a whole number in 1..64" train --set data.frames=65
expect_error 2 "data.frames = 8.5" train --set data.frames=8.5
expect_error 2 "data.frames = eight" train --set data.frames=eight
for list in , 1, ,1 1,,2; do
    expect_error 2 "data.val_folds has an empty name" train --set "data.val_folds=$list"
done
expect_error 2 "train.lr = 0 " train --set train.lr=0
expect_error 2 "train.lr = nan" train --set train.lr=nan
expect_error 2 "one of minmax, moving_average" ptq --set ptq.observer=best
expect_error 2 "true or false" train --set data.synthetic=yes
expect_error 2 "run.dir is empty" train --run ""
expect_error 2 "--seed: run.seed" train --seed x
expect_error 2 "run.threads" train --threads 2000
expect_error 2 "run.cpu" train --cpu z80

expect_error 1 "nowhere.json" train --config nowhere.json
printf '{"data": {"frames": 8}' >cut.json
expect_error 2 "cut.json:1:" train --config cut.json
printf '{"data": {"frames": "8"}}' >text.json
expect_error 2 'text.json: data.frames = "8"' train --config text.json
printf '{"data": {"framse": 8}}' >unknown.json
expect_error 2 "unknown.json: there is no setting data.framse; did you mean data.frames?" train --config unknown.json
printf '{"datum": {"frames": 8}}' >section.json
expect_error 2 'there is no section "datum"' train --config section.json
printf '[]' >array.json
expect_error 2 "a JSON object" train --config array.json
printf '{"data": {"frames": 8, "frames": 9}}' >twice.json
expect_error 2 "comes twice" train --config twice.json
: >empty.json
expect_error 2 "empty.json:1:1" train --config empty.json
expect_error 2 "train.warmup" train --set train.schedule=cosine --set train.warmup=12 --set train.epochs=12
not_there runs data

# Values, their order, and where they came from.
tiny_data d
printf '{"data": {"frames": 3, "dir": "nowhere"}, "train.epochs": 1}' >a.json
printf '{"data": {"frames": 2}}' >b.json
expect 0 train --run r --data d "${TINY[@]}" --set train.epochs=9 --config a.json --config b.json --set train.epochs=1
for text in '"frames":	2' '"epochs":	1' '"dir":	"d"' '"synthetic":	false'; do
    tr -d ' \t' <r/config.json >flat
    has flat "$(tr -d ' \t' <<<"$text")"
done
has r/config.json '"data.dir": "--data"'
has r/config.json '"data.split_seed": "default"'
cp r/config.json first.json

# The run directory's settings are taken up again; config.json is a settings file.
expect 0 ptq --run r
same_settings() { # FILE FILE: all but the digests of models, which are noted when they are made
    same <(sed '/"model_digests"/,$d' "$1") <(sed '/"model_digests"/,$d' "$2")
}
same_settings r/config.json first.json
cp r/config.json second.json
expect 0 train --config first.json --run r2
same r/fp32.safetensors r2/fp32.safetensors
# config.json is written when the data is known to be there, not before.
mv d away
expect_error 1 "no such data folder" eval --run r --set bench.repeats=7
same r/config.json second.json
mv away d
expect_error 2 "data.frames 2 -> 3" qat --run r --set data.frames=3
expect_error 2 "run.seed 1 -> 5" qat --run r --seed 5
expect 0 train --run r
has "$ERR" "nothing to do"
is "what it names" "$(cat "$OUT")" r/fp32.safetensors
expect_error 2 "fp32.safetensors was made with other settings (train.lr" train --run r --set train.lr=0.5
same r/config.json second.json
summary
