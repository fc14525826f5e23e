#!/usr/bin/env bash
# sensitivity: what it writes, that threads do not change it and that it changes nothing else, and what it refuses.
. "$(dirname "$0")/lib.sh"

tiny_data d
expect 0 train --run base --data d "${TINY[@]}"

# figures FILE: checks a sensitivity file, prints how many layers it has.
figures() {
    python3 - "$1" <<'EOF'
import json, math, sys

found = json.load(open(sys.argv[1]))
needed = ["mae_change_only", "mae_change_all_but", "ef_change_only", "ef_change_all_but", "weight_sqnr_db",
          "output_sqnr_db", "accumulated_sqnr_db", "min", "max", "channels", "dead_channels"]
ranges = ["range_low", "range_high", "range_use", "levels_used", "clipped"]
for layer in found["layers"]:
    keys = needed + (ranges if layer["layer"] != "fc" else [])
    assert all(isinstance(layer[k], (int, float)) and math.isfinite(layer[k]) for k in keys), layer
    if layer["layer"] != "fc":
        assert 0 <= layer["clipped"] <= 1 and 1 <= layer["levels_used"] <= 256, layer
assert found["split"] == "VAL" and found["clips"] == 2, found["clips"]
assert len({layer["layer"] for layer in found["layers"]}) == len(found["layers"])
print(len(found["layers"]))
EOF
}

cp base/config.json config.before
expect 0 sensitivity --run base --data d --threads 1
has "$OUT" "| layer4.1.conv2 "
has "$OUT" "On 2 clips of VAL: MAE "
there base/sensitivity.json base/plots/sensitivity.gp base/plots/sensitivity.csv
is "layers with finite figures" "$(figures base/sensitivity.json)" 21
same config.before base/config.json
not_there base/ptq.safetensors
cp base/sensitivity.json one.json
expect 0 sensitivity --run base --data d --threads 2 --json
same one.json base/sensitivity.json
same one.json "$OUT"

# Weights of 3 bits are noisier than those of 8, on a run directory of other settings; only the layers that are named.
expect 0 sensitivity --run base --data d --set ptq.weight_bits=3 layer2.0.conv1 fc
is "named layers" "$(figures base/sensitivity.json)" 2
python3 - one.json base/sensitivity.json <<'EOF' && pass || fail "weights of 3 bits are not noisier by 20 dB"
import json, sys

noise = [{l["layer"]: l["weight_sqnr_db"] for l in json.load(open(f))["layers"]} for f in sys.argv[1:]]
assert all(noise[0][name] > noise[1][name] + 20 for name in noise[1])
EOF
same config.before base/config.json

# A layer that stays in FP32 has no figures of its own, but stands in the table.
expect 0 sensitivity --run base --data d --set ptq.keep_fp32=conv1 conv1
has "$OUT" "| conv1 (FP32) |"
has base/sensitivity.json '"mae_change_only": null'

# The report shows it. (Of the one layer in FP32 there would be nothing to draw.)
expect 0 sensitivity --run base --data d
expect 0 ptq --run base --data d
expect 0 eval --run base --data d
expect 0 report --run base
has base/report.md "## Layer by layer"
has base/report.html "Layer by layer"
if command -v gnuplot >/dev/null; then
    there base/plots/sensitivity.svg
    has base/report.md "plots/sensitivity.svg"
else
    skip "the picture: no gnuplot here"
fi
cp base/sensitivity.json kept.json
printf '{"format": "x"}' >base/sensitivity.json
expect_error 1 "base/sensitivity.json is not a sensitivity file" report --run base
cp kept.json base/sensitivity.json

# Refused, before anything is written.
tiny=(--data d "${TINY[@]}")
expect_error 1 "no/fp32.safetensors is missing" sensitivity --run no "${tiny[@]}"
expect_error 2 "base/ptq.safetensors is already quantized" sensitivity --run no --model base/ptq.safetensors "${tiny[@]}"
expect_error 2 "there is no layer \"conv2\"; did you mean conv1?" sensitivity --run no --model base/fp32.safetensors \
    "${tiny[@]}" conv2
expect_error 2 "ptq.keep_fp32: there is no layer \"layer9\"" sensitivity --run no --model base/fp32.safetensors \
    "${tiny[@]}" --set ptq.keep_fp32=layer9
expect_error 2 "sensitivity.clips = 0" sensitivity --run no "${tiny[@]}" --set sensitivity.clips=0
expect_error 2 "one of train, val, test" sensitivity --run no "${tiny[@]}" --set sensitivity.split=all
expect_error 2 "other settings (data.frames 2 -> 3)" sensitivity --run base --data d --set data.frames=3
not_there no
mkdir only && cp -r d/Videos only/ && grep -v VAL d/FileList.csv >only/FileList.csv
expect_error 1 "the VAL split has no clips" sensitivity --run new --model base/fp32.safetensors --data only "${TINY[@]}"
not_there new/sensitivity.json
summary
