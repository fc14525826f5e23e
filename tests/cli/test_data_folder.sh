#!/usr/bin/env bash
# A name that is no folder never becomes a folder of synthetic clips, whatever data.synthetic says, unless it is one of
# the names for synthetic clips; the nearest folder beside it is suggested.
. "$(dirname "$0")/lib.sh"

SMALL=("${TINY[@]}" --set synth.train=6 --set synth.val=2 --set synth.test=3)
tiny_data EchoNet-Dynamic
rm EchoNet-Dynamic/synth.json
mkdir -p sub/data && touch EchoNet-Dynamics
printf '{"data": {"dir": "EchoNet-Dynamc", "synthetic": true}}' >typo.json

for command in run-all train; do
    for wrong in "--set data.dir=EchoNet-Dynamc --set data.synthetic=true" "--set data.dir=EchoNet-Dynamc" "--data EchoNet-Dynamc" \
        "--config typo.json"; do
        read -ra words <<<"$wrong"
        expect_error 1 "EchoNet-Dynamc: no such data folder; did you mean EchoNet-Dynamic?" "$command" --run r "${SMALL[@]}" "${words[@]}"
        not_there EchoNet-Dynamc r/fp32.safetensors r/config.json
    done
done
# The way to synthetic clips under another name is said; `synth` makes them, and the run takes them.
expect_error 1 "echoquant synth quite/other" train --run r "${SMALL[@]}" --set data.dir=quite/other
expect_error 1 "no such data folder" train --run r "${SMALL[@]}" --data quite/other
has <(grep -c "did you mean" "$ERR") 0
for wrong in "$PWD/data/synthetc" sub/data/synthetic data/synthetics data/real "data/synthetic/.." EchoNet-Dynamc/ ""; do
    run train --run r "${SMALL[@]}" --set data.dir="$wrong"
    is "data.dir=$wrong refused" "$((STATUS > 0))" 1
done
not_there data quite sub/data/synthetic
is "files of sub" "$(find sub -type f | wc -l)" 0
expect 0 synth made --set synth.train=6 --set synth.val=2 --set synth.test=3
expect 0 train --run made-run "${SMALL[@]}" --set data.dir=made
# One whose making was interrupted has the note, but no list: it is completed.
rm made/FileList.csv
expect 0 train --run again-run "${SMALL[@]}" --set data.dir=made
there made/FileList.csv

# The names for synthetic clips, as people spell them.
for dir in data/synthetic ./data/synthetic/ data//synthetic data/synthetic-2 "$PWD/data/synthetic"; do
    rm -rf data
    expect 0 train --run synthetic-run --force "${SMALL[@]}" --set data.dir="$dir"
    there "$dir/synth.json" "$dir/FileList.csv"
done
rm -rf data
expect_error 1 "no such data folder" train --run r "${SMALL[@]}" --set data.synthetic=false
expect_error 1 "no such data folder" train --run r "${SMALL[@]}" --data data/synthetic
not_there data
# A data folder of the user's own under such a name is used as it is.
mkdir data && cp -r EchoNet-Dynamic data/synthetic
expect 0 train --run own-run "${SMALL[@]}"
not_there data/synthetic/synth.json
summary
