#!/usr/bin/env bash
# The mean over several phases of a clip: the same from eval and predict, recorded with the results, and one phase is
# what there is without it.
. "$(dirname "$0")/lib.sh"

tiny_data d
expect 0 run-all --run r --data d "${TINY[@]}" --set data.frames=4
cp -r r/predictions one
cp r/config.json before.json
clips=(d/Videos/*.avi)

# values FILE: the predictions of eval's CSV.
values() {
    sed -n '2,$p' "$1" | cut -d, -f4
}
test_clips() {
    local name
    for name in $(sed -n '2,$p' r/predictions/fp32.csv | cut -d, -f1); do echo "d/Videos/$name.avi"; done
}

for model in fp32 ptq; do
    expect 0 predict --json --model "r/$model.safetensors" $(test_clips)
    is "$model, as eval" "$(efs "$OUT")" "$(values "one/$model.csv")"
    cp "$OUT" plain
    expect 0 predict --json --model "r/$model.safetensors" --phases 1 $(test_clips)
    same "$OUT" plain
    expect 0 predict --json --model "r/$model.safetensors" --phases 3 --threads 1 $(test_clips)
    cp "$OUT" three
    expect 0 predict --json --model "r/$model.safetensors" --set eval.phases=3 --threads 2 $(test_clips)
    same "$OUT" three
    cmp -s plain three && fail "three phases give $model's EFs of one" || pass
    cp three "three.$model"
done

expect 0 eval fp32 --run r --phases 1
same r/predictions/fp32.csv one/fp32.csv
expect 0 eval fp32 --run r --phases 3
is "fp32 of three phases" "$(values r/predictions/fp32.csv)" "$(efs three.fp32)"
expect 0 report --run r
has r/report.md "average different numbers of phases"
# The rows that are still of one phase are made anew; nothing is trained.
expect 0 run-all --run r
is "ptq of three phases" "$(values r/predictions/ptq.csv)" "$(efs three.ptq)"
has r/report.md "each EF averages 3 samplings"
has r/report.html "each EF averages 3 samplings"
grep -q "different numbers of phases" r/report.md && fail "the report still warns" || pass
python3 - r/results.json <<'PY' && pass || fail "phases in results.json"
import json, sys
rows = {m["model"]: m for m in json.load(open(sys.argv[1]))["models"]}
assert [rows[name]["phases"] for name in ("FP32", "PTQ", "QAT")] == [3, 3, 3], rows
assert "phases" not in rows["Median"]
PY
expect 0 run-all --run r
has "$ERR" "finished"
expect 0 run-all --run r --set eval.phases=1
for model in fp32 ptq qat; do same "r/predictions/$model.csv" "one/$model.csv"; done

expect_error 2 "--phases: eval.phases = 0" predict --model r/fp32.safetensors --phases 0 "${clips[0]}"
expect_error 2 "--phases: eval.phases = 65" predict --model r/fp32.safetensors --phases 65 "${clips[0]}"
expect_error 2 "no such option" train --run x --data d --phases 2
summary
