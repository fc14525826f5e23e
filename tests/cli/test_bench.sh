#!/usr/bin/env bash
# bench: what it prints of inference, layers and training, and what it refuses. No time is held to anything.
. "$(dirname "$0")/lib.sh"

SMALL=(--set model.width=16 --frames 4 --size 32 --set bench.warmup=1 --set bench.repeats=3 --set bench.steps=2
    --set bench.layer_ms=0.01)

# json WHAT: checks of the object in $OUT, as Python with r.
json() {
    local what=$1
    { cat <<'PY'; cat; } >check.py
import json, sys
r = json.load(open(sys.argv[1]))
def times(key, n):
    assert 0 < r[key]["min"] <= r[key]["median"] <= r[key]["p95"] and r[key]["repeats"] == n, key
def layers(passes):
    convs = ["conv1"] + [f"layer{s}.{b}.conv{i}" for s in range(1, 5) for b in range(2) for i in (1, 2)]
    convs += [f"layer{s}.0.downsample.0" for s in range(2, 5)]
    seen = [(l["name"], l["pass"]) for l in r["layers"]]
    wanted = {(c, p) for c in convs for p in passes} - {("conv1", "backward_data")}
    assert len(seen) == len(set(seen)) and set(seen) == wanted, seen
    peaks = {p["instruction"] for p in r["peaks"]}
    assert all(p["gmacs"] > 0 for p in r["peaks"])
    for l in r["layers"]:
        chosen = [c["kernel"] for c in l["candidates"] if c["chosen"]]
        assert chosen == [l["kernel"]], l
        names = [c["kernel"] for c in l["candidates"]]
        assert len(names) == len(set(names)), names
        for c in l["candidates"]:
            assert c["ms"] > 0 and c["gmacs"] > 0 and c["pack_ms"] >= 0 and c["products_per_mac"] > 0
            assert ("share" in c) == (c.get("instruction") in peaks), c
            assert "instruction" not in c or c["instruction"] in peaks
            if "share" in c:
                assert abs(c["products_share"] / c["share"] / c["products_per_mac"] - 1) < 1e-9
            assert "winograd" in c["kernel"] or c["products_per_mac"] == 1, c
    total = sum(c["ms"] for l in r["layers"] for c in l["candidates"] if c["chosen"])
    assert abs(total - r["layers_ms"]) < 1e-9 * total
    assert {"conv1", "fc"} <= {n["name"] for n in r["nodes"]}
PY
    python3 check.py "$OUT" && pass || { fail "$what"; show; }
}

# Inference, fresh in either precision; two threads beside one.
for kind in fp32 int8; do
    expect 0 bench --fresh $kind "${SMALL[@]}" --threads 2 --json
    json "bench --fresh $kind" <<'PY'
times("latency_ms", 3), times("latency_1_ms", 3)
assert r["scaling"] == r["latency_1_ms"]["min"] / r["latency_ms"]["min"]
assert (r["model"], r["threads"], r["frames"], r["size"]) == ("fresh", 2, 4, 32)
assert r["arena_bytes"] > 0 and r["packed_bytes"] > 0 and r["peak_rss_bytes"] > r["arena_bytes"]
assert r["load_ms"] > 0 and r["first_call_ms"] > 0 and "layers" not in r
PY
    expect 0 bench --fresh $kind "${SMALL[@]}" --threads 2 --json --set bench.scaling=false
    json "bench.scaling=false" <<<'times("latency_ms", 3); assert "latency_1_ms" not in r and "scaling" not in r'
    expect 0 bench --fresh $kind "${SMALL[@]}" --threads 1 --json
    json "one thread" <<<'times("latency_ms", 3); assert "latency_1_ms" not in r and "scaling" not in r'

    # Every layer, under each ceiling that this machine has.
    for cpu in auto ref; do
        expect 0 bench --fresh $kind "${SMALL[@]}" --threads 1 --layers --json --cpu $cpu
        json "layers of $kind, $cpu" <<<'layers(["forward"])'
    done
    has "$OUT" '"isa": "ref"'
    expect 0 bench --fresh $kind "${SMALL[@]}" --threads 1 --layers
    { grep -q "^\* [a-z0-9_]*__" "$OUT" && pass; } || fail "no kernel is marked as the one in use"
    has "$OUT" "layer4.1.conv2, forward: "
    has "$OUT" "sum of the kernels in use"
    some=direct
    [ $kind = int8 ] || some=im2col # which every CPU has
    expect 0 bench --fresh $kind "${SMALL[@]}" --threads 1 --layers --layer layer3 --kernel "$some"
    has "$OUT" "layer3.1.conv2"
    is "layers left out by --layer" "$(grep -c '^layer[124]' "$OUT")" 0
    is "kernels left out by --kernel" "$(grep -c '  *[a-z0-9]*conv[^ ]*winograd' "$OUT")" 0
done

# A step of training, plain and with fake-quant.
expect 0 bench --train --clips 2 "${SMALL[@]}" --threads 2 --json
json "scaling of a step" <<<'times("step_ms", 2), times("step_1_ms", 2); assert r["scaling"] > 0'
expect 0 bench --train --clips 2 "${SMALL[@]}" --threads 1 --layers --json
json "bench --train" <<'PY'
times("step_ms", 2)
layers(["forward", "backward_data", "backward_weights"])
assert (r["model"], r["clips"], r["frames"], r["size"], r["precision"]) == ("fresh", 2, 4, 32, "FP32")
assert r["clip_ms"]["min"] == r["step_ms"]["min"] / 2 and r["arena_bytes"] > 0
assert set(r["parts_ms"]) == {"forward", "backward", "exchange", "gradient_norm", "optimizer", "zero_gradients"}
assert all(ms > 0 for part, ms in r["parts_ms"].items() if part != "exchange")
assert (r["processes"], r["micro_batches"]) == (1, 1) and "waited_ms" not in r
PY
expect 0 bench --train --clips 2 "${SMALL[@]}" --threads 1 --json --set train.accumulate=3
json "micro-batches" <<<'assert r["micro_batches"] == 3 and r["clip_ms"]["min"] == r["step_ms"]["min"] / 6'
for method in ste lsq; do
    expect 0 bench --train --qat --clips 2 "${SMALL[@]}" --threads 1 --json --set qat.method=$method
    json "bench --train --qat" <<<"times('step_ms', 2), times('fp32_step_ms', 2); assert r['qat'] == '$method'"
done
expect 0 bench --train --clips 2 "${SMALL[@]}" --threads 1
has "$OUT" "a step of 2 clips of 4 frames of 32 x 32"
has "$OUT" "zero gradients"

# Model files; their own form unless another is asked for.
tiny_data d
expect 0 train --run r --data d "${TINY[@]}" --threads 1
expect 0 ptq --run r --data d "${TINY[@]}" --threads 1 --set ptq.keep_fp32=layer2.0.conv1
for model in fp32 ptq; do
    expect 0 bench --model r/$model.safetensors --json --threads 1 --set bench.repeats=2 --layers --set bench.layer_ms=0.01
    json "layers of a file" <<<'layers(["forward"]); assert (r["frames"], r["size"]) == (2, 32) and r["size_mb"] > 0'
    expect 0 bench --model r/$model.safetensors --json --threads 1 --set bench.repeats=2 --layers --set bench.layer_ms=0.01 \
        --cpu ref
    json "layers of a file in plain C" <<<'layers(["forward"])'
    expect 0 bench --model r/$model.safetensors --json --threads 1 --set bench.repeats=2 --frames 3 --size 48
    json "another form" <<<'assert (r["frames"], r["size"]) == (3, 48)'
done
expect 0 bench --train --model r/fp32.safetensors --clips 2 --threads 1 --json --set bench.steps=1
json "training a file" <<<'assert (r["model"], r["frames"]) == ("r/fp32.safetensors", 2)'

run bench --train --clips 2 "${SMALL[@]}" --threads 1 --layers --json --precision bf16
if [ "$STATUS" = 0 ]; then
    json "in BF16" <<'PY'
times("fp32_step_ms", 2)
assert r["precision"] == "BF16"
layers(["forward", "backward_data", "backward_weights"])
PY
else
    has "$ERR" "BF16 needs"
    skip "training in BF16: no AVX512-BF16 on this CPU"
fi

# What can't be had.
expect_error 2 "bench needs a model, FILE or --model FILE" bench
expect_error 2 "--fresh int4: must be fp32 or int8" bench --fresh int4
expect_error 2 "cannot be combined" bench --fresh int8 --model r/ptq.safetensors
expect_error 2 "--layer is for --layers" bench --fresh int8 --layer conv1
expect_error 2 "--kernel is for --layers" bench --fresh int8 --kernel direct
expect_error 2 "--layer conv9: no layer" bench --fresh int8 "${SMALL[@]}" --threads 1 --layers --layer conv9
expect_error 2 "--kernel magic: no kernel" bench --fresh int8 "${SMALL[@]}" --threads 1 --layers --kernel magic
expect_error 2 "--clips is for --train" bench --fresh fp32 --clips 2
expect_error 2 "--qat is for --train" bench --fresh fp32 --qat
expect_error 2 "--train uses random pixels" bench --train --data d
expect_error 2 "--fresh int8 cannot be trained" bench --train --fresh int8
expect_error 2 "--qat trains in FP32" bench --train --qat --precision bf16
expect_error 2 "is an INT8 model: only FP32 models can be trained" bench --train --model r/ptq.safetensors
expect_error 2 "--fresh int8 is an INT8 model" bench --fresh int8 --precision bf16
expect_error 2 "train.batch = 0" bench --train --clips 0
expect_error 2 "data.frames = 65" bench --fresh fp32 --frames 65
expect_error 2 "bench.layer_ms = -1" bench --fresh fp32 --set bench.layer_ms=-1
expect_error 1 "nope.safetensors" bench --model nope.safetensors
summary
