#!/usr/bin/env bash
# predict, eval and bench on a device of OpenCL (PoCL on the CPU): the EFs of the CPU, the latency in results.json, tables
# and report, and what is said of devices that are not there, lack memory, are lost on the way, or compute wrongly.
. "$(dirname "$0")/lib.sh"
# PoCL keeps memory of devices that are unloaded before leaks are looked for, so that no suppression can name them.
export ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0
export POCL_CACHE_DIR=${POCL_CACHE_DIR:-$TMP/.cache/pocl}

# ---- names, with and without a device ----
NET=(--fresh int8 --set data.frames=2 --set data.size=32 --set model.width=8)
expect_error 2 '"gpus" names no device: write cpu, gpu, opencl:N, or cuda:N' bench "${NET[@]}" --device gpus
expect_error 2 '"opencl:x" names no device' predict --model "$SOURCE/models/demo.safetensors" --device opencl:x x.avi
expect_error 2 'eval.devices: "tpu" names no device' eval r --set eval.devices=cpu,tpu
expect_error 2 "for train; this command runs on the CPU. predict, eval, and bench have --device" train --device gpu
expect_error 2 "did you mean --device cuda?" bench "${NET[@]}" --cuda
expect_error 2 "--train runs on the CPU" bench --train --device opencl
expect_error 2 "--layers compares the kernels of the CPU" bench "${NET[@]}" --layers --device opencl
expect_error 2 "--precision bf16 (run.precision) is for the CPU only" bench --fresh fp32 --precision bf16 --device gpu
not_there r

# Where a loader finds nothing, the message says so, and nothing is made.
LACKING=$TMP/none # FFmpeg itself is linked to the loader of OpenCL in Debian, so that one is always there
OCL_ICD_VENDORS=$LACKING expect_error 1 'there is no device "opencl' bench "${NET[@]}" --device opencl
has "$ERR" "libOpenCL.so.1"
OCL_ICD_VENDORS=$LACKING expect_error 1 'there is no device "gpu"' bench "${NET[@]}" --device gpu
has "$ERR" '; OpenCL: ' # the notes of the loaders, in one line
tiny_data d
CFG=(--data d "${TINY[@]}" --set data.frames=4)
OCL_ICD_VENDORS=$LACKING expect_error 1 'there is no device "cuda:1"' run-all --run r "${CFG[@]}" --set eval.devices=cpu,cuda:1
not_there r
OCL_ICD_VENDORS=$LACKING expect 0 run-all --run r "${CFG[@]}"
has "$OUT" "| Latency CPU(ms) | Latency GPU(ms) |"
has r/report.md "There is no latency on a GPU: none found ("
has r/report.html "There is no latency on a GPU: none found ("
is "GPU of results.json" "$(python3 - <<'PY'
import json
r = json.load(open("r/results.json"))
print(r["environment"]["gpu"].startswith("none found (") and "libOpenCL.so.1" in r["environment"]["gpu"],
      any("devices" in m for m in r["models"]), {m["device"] for m in r["models"] if m["model"] != "Median"})
PY
)" "True False {'cpu'}"
OCL_ICD_VENDORS=$LACKING expect 0 eval r --set eval.devices=cpu
has r/results.json '"gpu": "none asked for (eval.devices = cpu)"'
# What trains is not on a device, and says so where one was asked for.
OCL_ICD_VENDORS=$LACKING expect 0 ptq --run r --force --set run.device=gpu
has "$ERR" "run.device = gpu changes nothing here: ptq runs on the CPU"
expect 0 eval r --set eval.devices=cpu --set run.device=cpu

run bench "${NET[@]}" --device opencl
if [ "$STATUS" != 0 ]; then
    if grep -q "^LLVM ERROR: " "$ERR"; then
        has "$ERR" "cannot be used: the process that tried it crashed (signal 6, Aborted)"
        skip "the rest: $(grep "^LLVM ERROR: " "$ERR")"
    elif why=$(opencl_lacks); then
        has "$ERR" "its driver does not build the kernels: CL_BUILD_PROGRAM_FAILURE (-11)"
        skip "the rest: PoCL's compiler: $why"
    else
        has "$ERR" 'there is no device "opencl'
        skip "the rest: no device of OpenCL here"
    fi
    summary
    exit
fi

# ---- bench ----
has "$OUT" "opencl:0"
has "$OUT" "by the device's clock"
expect 0 bench "${NET[@]}" --device opencl:0 --json --set bench.repeats=5
is "bench" "$(python3 - "$OUT" <<'PY'
import json, sys
r = json.load(open(sys.argv[1]))
assert r["latency_ms"]["repeats"] == 5 and 0 < r["latency_ms"]["min"] <= r["latency_ms"]["median"], r
assert r["device"]["id"] == "opencl:0" and r["device"]["name"] and r["device"]["driver"], r
assert 0 < r["parts_ms"]["compute"] and r["device_bytes"] > 0 and "latency_1_ms" not in r and "scaling" not in r, r
print(r["precision"])
PY
)" INT8
expect_error 1 "opencl:0" bench "${NET[@]}" --device opencl:7 # the list of what there is

# ---- predict ----
# More clips than a batch, several phases, bad clips between good ones: lines, order and messages of the CPU.
for i in 1 2; do cp -r d/Videos "v$i"; done
echo "no clip" >v1/SYN_broken.avi
head -c 9000 "$(ls v2/*.avi | head -n 1)" >v2/SYN_zcut.avi
for how in "fp32 1 use" "ptq 3 use" "qat 1 skip"; do
    read -r model phases on_error <<<"$how"
    ask=(predict --quiet --json --model "r/$model.safetensors" --phases "$phases" --set "data.on_error=$on_error" v1 missing.avi v2)
    run "${ask[@]}"
    cpu=$STATUS
    cp "$OUT" cpu.out && cp "$ERR" cpu.err
    run "${ask[@]}" --device opencl
    is "exit of $model" "$STATUS" "$cpu"
    same "$ERR" cpu.err
    if [ "$model" != fp32 ]; then
        same "$OUT" cpu.out
        continue
    fi
    is "EFs of fp32" "$(python3 - cpu.out "$OUT" <<'PY'
import json, sys
a, b = ([json.loads(line) for line in open(name)] for name in sys.argv[1:])
assert len(a) == len(b) == 25, len(b)
for x, y in zip(a, b):
    assert (x.pop("ef") is None) == (y["ef"] is None) and (x["spread"] is None) == (y["spread"] is None), (x, y)
    y.pop("ef"), x.pop("spread"), y.pop("spread")
    assert x == y, (x, y)
a, b = ([json.loads(line)["ef"] for line in open(name)] for name in sys.argv[1:])
print(all(abs(x - y) <= 1e-3 for x, y in zip(a, b) if x is not None))
PY
)" True
done
ask=(predict --quiet --model r/ptq.safetensors --set data.on_error=fail v2 v1 v2)
run "${ask[@]}"
cp "$OUT" cpu.out && cp "$ERR" cpu.err
run "${ask[@]}" --device opencl:0
is "exit at the first bad clip" "$STATUS" 1
same "$OUT" cpu.out
same "$ERR" cpu.err
expect 0 predict --model r/ptq.safetensors --device opencl --output ef.csv d/Videos
is "lines of the file" "$(wc -l <ef.csv)" 12
expect_error 2 "is for the CPU only" predict --model r/fp32.safetensors --precision bf16 --device opencl d/Videos

# ---- eval ----
cp -r r other
expect 0 eval other --set eval.devices=cpu,opencl:0
for name in fp32 ptq qat; do same r/predictions/$name.csv other/predictions/$name.csv; done
has "$OUT" "Latency opencl:0(ms)"
results() {
    python3 - "$1" "$2" <<'PY'
import json, math, sys
r = json.load(open(sys.argv[1] + "/results.json"))
for m in r["models"]:
    if m["model"] == "Median":
        assert "devices" not in m
        continue
    assert m["device"] == sys.argv[2], m["device"]
    assert list(m["devices"]) == ["opencl:0"], m["devices"]
    d = m["devices"]["opencl:0"]
    assert d["name"] and d["driver"] and d["integer_path"] and d["clips"] == 3 == m["clips"], d
    assert d["largest_difference"] == 0 if m["precision"] == "INT8" else d["largest_difference"] <= 1e-3, d
    l = d["latency_ms"]
    assert 0 < l["min"] <= l["median"] <= l["p90"] <= l["p99"] and l["repeats"] == 2 == len(l["samples"]), l
    assert l["median"] != m["latency_ms"]["median"] and d["timed"] == m["timed"]
    assert set(d["parts_ms"]) == {"upload", "compute", "download"} and d["memory_bytes"] > 0, d
    assert 0 < d["parts_ms"]["compute"] <= 1.5 * l["p99"], d
    if not d["gpu"]:
        assert r["environment"]["gpu"].startswith("none asked for"), r["environment"]
print("as it should be")
PY
}
is "results.json" "$(results other cpu)" "as it should be"
expect 0 report other
has other/report.md "| Latency CPU(ms) | Latency GPU(ms) | Latency opencl:0(ms) |"
has other/report.html "On a GPU or another device"
has other/report.html "Device opencl:0: "
if command -v gnuplot >/dev/null; then has other/plots/latency.csv "ptq@opencl:0"; fi
expect 0 report r other --out both
has both/report.md "Latency opencl:0(ms)"
if ! SCHEMA=$(python_with "import jsonschema"); then
    skip "the schema: no Python with jsonschema"
elif "$SCHEMA" "$SOURCE/tests/cli/schema.py" "$SOURCE/docs" other >schema.out; then
    pass
else
    fail "$(tail -n 5 schema.out)"
fi

# The EFs of the device: INT8 to the byte, and FP32 within the bound; verify repeats them on the CPU.
expect 0 eval other --device opencl --set eval.devices=cpu
for name in ptq qat; do same r/predictions/$name.csv other/predictions/$name.csv; done
is "results.json of the device" "$(results other opencl:0)" "as it should be"
expect 0 verify other
expect 0 eval other --device opencl --phases 3
expect 0 eval r --phases 3
for name in ptq qat; do same r/predictions/$name.csv other/predictions/$name.csv; done
# Training in this run: its config.json has the device, which only eval reads.
expect 0 ptq --run other --force
if grep -q "changes nothing" "$ERR"; then fail "a warning of a setting that nobody gave"; else pass; fi

# ---- mixed precision ----
expect 0 ptq --run mixed --model r/fp32.safetensors "${CFG[@]}" --set ptq.keep_fp32=conv1,layer2.0.conv1,layer4.1.conv2
expect 0 eval ptq --run mixed --set eval.devices=cpu,opencl
is "mixed precision" "$(python3 - <<'PY'
import json
row = next(m for m in json.load(open("mixed/results.json"))["models"] if m["model"] == "PTQ")
d = row["devices"]["opencl:0"]
print(d["clips"] == 3 and d["largest_difference"] <= 0.01 and d["latency_ms"]["min"] > 0)
PY
)" True
run predict --quiet --model mixed/ptq.safetensors --device opencl d/Videos
is "lines of mixed precision" "$STATUS $(wc -l <"$OUT")" "0 12"

# ---- a model whose scales a device may flush to zero ----
python3 - <<'PY'
import json, struct
data = bytearray(open("r/ptq.safetensors", "rb").read())
n = struct.unpack("<Q", data[:8])[0]
header = json.loads(data[8:8 + n])
for name, value in ("weight_scale", 2e-38), ("scale", 1000):
    at, end = header["layer1.0.conv1." + name]["data_offsets"]
    for i in range(8 + n + at, 8 + n + end, 4):
        data[i:i + 4] = struct.pack("<f", value)
open("tiny.safetensors", "wb").write(data)
PY
run predict --quiet --model tiny.safetensors d/Videos
is "tiny scales on the CPU" "$STATUS" 0
expect_error 1 "which a device may take for zero: run this model on the CPU" \
    predict --model tiny.safetensors --device opencl d/Videos

# ---- a device that fails or errs ----
if ! cc -shared -fPIC -o shim.so "$SOURCE/tests/cli/opencl_shim.c" -ldl 2>/dev/null ||
    ! LD_PRELOAD=$PWD/shim.so "$BIN" --version >/dev/null 2>&1; then
    skip "a device that fails: no C compiler, or a program that takes no LD_PRELOAD"
    summary
    exit
fi
# with NAME=VALUE COMMAND...: one of the shim's faults.
with() {
    export LD_PRELOAD=$PWD/shim.so "${1?}"
    "${@:2}"
    unset LD_PRELOAD "${1%%=*}"
}
# lost N COMMAND...: at the Nth batch.
lost() {
    with OPENCL_LOST_AT="$1" "${@:2}"
}
expect 0 predict --model r/ptq.safetensors --device opencl v1/SYN0*.avi v2/SYN0*.avi
cp "$OUT" whole
lost 2 run predict --model r/ptq.safetensors --device opencl v1/SYN0*.avi v2/SYN0*.avi
is "exit of predict" "$STATUS" 1
has "$ERR" "after 16 of 22 clips: "
same "$OUT" <(head -n 17 whole)
lost 2 run predict --model r/ptq.safetensors --device opencl --output lost.csv v1/SYN0*.avi v2/SYN0*.avi
is "exit with --output" "$STATUS" 1
has "$ERR" "The predictions so far are in lost.csv.partial"
not_there lost.csv
same lost.csv.partial <(head -n 17 whole)
expect 0 predict --model r/ptq.safetensors --device opencl --output lost.csv v1/SYN0*.avi v2/SYN0*.avi
same lost.csv whole

# eval: of the test clips so far if it predicts, and all results of the CPU if it only compares. 3 phases: 5 clips a batch.
synth=(--set synth.train=6 --set synth.val=2 --set synth.test=8)
expect 0 synth more "${synth[@]}"
expect 0 run-all --run more.run --data more "${TINY[@]}" --set data.frames=4 --set eval.phases=3 --set eval.devices=cpu
cp more.run/predictions/ptq.csv cpu.csv
lost 2 expect_error 1 "The predictions of 5 clips so far are in more.run/predictions/ptq.partial.csv" \
    eval ptq --run more.run --device opencl
has "$ERR" "opencl:0"
same more.run/predictions/ptq.partial.csv <(head -n 6 cpu.csv)
same more.run/predictions/ptq.csv cpu.csv
lost 2 expect_error 1 "opencl:0" eval ptq --run more.run --set run.device=cpu --set eval.devices=opencl
same more.run/predictions/ptq.csv cpu.csv
expect 0 eval ptq --run more.run --device opencl
not_there more.run/predictions/ptq.partial.csv
same more.run/predictions/ptq.csv cpu.csv
expect 0 verify more.run

# Memory for some clips at once, and for none.
with OPENCL_MOST_BYTES=600000 run predict --verbose --model r/ptq.safetensors --device opencl v1/SYN0*.avi v2/SYN0*.avi
is "exit with little memory" "$STATUS" 0
has "$ERR" "for want of memory"
same "$OUT" whole
with OPENCL_MOST_BYTES=10000 expect_error 1 "opencl:0 (" predict --model r/ptq.safetensors --device opencl v1/SYN0*.avi
has "$ERR" "not enough memory: clCreateBuffer failed: CL_MEM_OBJECT_ALLOCATION_FAILURE (-4)"

# A device that computes wrongly after its self-check, as after an update of its driver that kept the version.
with OPENCL_WRONG=pixels expect_error 1 "Do not use this device: its driver computes wrongly" \
    eval ptq --run more.run --set run.device=cpu --set eval.devices=opencl
has "$ERR" "PTQ predicts"
has "$ERR" "8 of 8 test clips differ by more than 0 EF points"
same more.run/predictions/ptq.csv cpu.csv

# One that fails the self-check is refused by name, at once and from the cache, and nothing runs on the CPU instead.
export XDG_CACHE_HOME=$TMP/wrong
with OPENCL_WRONG=edges expect_error 1 "is not used, because it failed the self-check: opencl:0" \
    predict --model r/ptq.safetensors --device opencl d/Videos
expect_error 1 "is not used, because it failed the self-check: opencl:0" \
    predict --model r/ptq.safetensors --device opencl:0 d/Videos
has "$ERR" "Update its driver, or remove $XDG_CACHE_HOME/echoquant/device-"
expect 0 devices
has "$OUT" "self-check failed"
has "$OUT" "cannot be used"

# One whose compiler aborts or ends the process: the command says so and goes on to its own end.
export XDG_CACHE_HOME=$TMP/crash
with OPENCL_BUILD=abort expect_error 1 "cannot be used: the process that tried it crashed (signal 6, Aborted)" \
    predict --model r/ptq.safetensors --device opencl d/Videos
has "$ERR" "The driver is $("$BIN" devices --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["devices"][0]["driver"])')"
rm -rf "$XDG_CACHE_HOME"
with OPENCL_BUILD=exit expect_error 1 "the process that tried it ended with exit code 0" \
    predict --model r/ptq.safetensors --device opencl d/Videos
with OPENCL_BUILD=abort expect 0 devices
has "$OUT" "cannot be used"
expect 0 predict --model r/ptq.safetensors --device opencl d/Videos
summary
