#!/usr/bin/env bash
# Training's options as a user meets them: a pretrained start, early stopping, accumulation, and a run that diverges.
. "$(dirname "$0")/lib.sh"

tiny_data d
TORCH=$SOURCE/tests/golden/data/resnet18_w8.safetensors # PyTorch's weights, torchvision's names, width 8

# A pretrained start says what it used, and is another model than a fresh start.
expect 0 train --run fresh --data d "${TINY[@]}"
expect 0 train --run init --data d "${TINY[@]}" --set model.init="$TORCH"
has "$ERR" "100 parameters used, 0 missing, 0 of the wrong shape, 2 left out"
cmp -s fresh/fp32.safetensors init/fp32.safetensors && fail "model.init changes nothing" || pass
expect_error 2 "model.init" qat --run init --set model.init=other.safetensors
# A learning rate that moves nothing shows that the weights are the file's.
expect 0 train --run still --data d "${TINY[@]}" --set model.init="$TORCH" --set train.lr=1e-30 --set train.epochs=1
python3 - "$TORCH" still/fp32.safetensors <<'PY' && pass || fail "the pretrained weights are not the file's"
import json, struct, sys
def read(path):
    data = open(path, "rb").read()
    n = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:8 + n])
    return {k: data[8 + n + v["data_offsets"][0]:8 + n + v["data_offsets"][1]]
            for k, v in header.items() if k != "__metadata__"}
a, b = read(sys.argv[1]), read(sys.argv[2])
assert set(a) == set(b), set(a) ^ set(b)
same = [k for k in a if a[k] == b[k] and not k.startswith("fc.")]
want = [k for k in a if "running" not in k and not k.startswith("fc.")]
assert sorted(same) == sorted(want), sorted(set(want) ^ set(same))[:5]
PY
# Another width: hardly anything fits, and the warning names what doesn't.
run train --run wide --data d "${TINY[@]}" --set model.width=16 --set model.init="$TORCH"
is "exit with a file of another width" "$STATUS" 1
has "$ERR" "resnet18_w8.safetensors: has the width 8, but this network has 16: set model.width to 8"
expect_error 1 "nowhere.safetensors" train --run x --data d "${TINY[@]}" --set model.init=nowhere.safetensors
head -c 5000 "$TORCH" >cut.safetensors
expect_error 1 "cut.safetensors" train --run y --data d "${TINY[@]}" --set model.init=cut.safetensors
grep -q "training split" "$ERR" && fail "a start that is of no use is seen only after the pass over all clips" || pass
python3 - "$TORCH" part.safetensors nan.safetensors <<'PY' || fail "part.safetensors"
import json, struct, sys
data = open(sys.argv[1], "rb").read()
n = struct.unpack("<Q", data[:8])[0]
header, body = json.loads(data[8:8 + n]), bytearray(data[8 + n:])
header["other.weight"] = header.pop("layer2.1.bn2.weight")
shape = header["layer3.0.conv1.weight"]["shape"]
shape[0], shape[1] = shape[1], shape[0]
def write(path):
    text = json.dumps(header).encode()
    open(path, "wb").write(struct.pack("<Q", len(text)) + text + body)
write(sys.argv[2])
begin = header["layer4.1.bn1.bias"]["data_offsets"][0]
body[begin:begin + 4] = struct.pack("<f", float("nan"))
write(sys.argv[3])
PY
expect 0 train --run part --data d "${TINY[@]}" --set model.init=part.safetensors
has "$ERR" "98 parameters used, 1 missing, 1 of the wrong shape, 3 left out"
has "$ERR" "missing: layer2.1.bn2.weight"
has "$ERR" "of the wrong shape: layer3.0.conv1.weight"
expect_error 1 "layer4.1.bn1.bias" train --run z --data d "${TINY[@]}" --set model.init=nan.safetensors

# Early stopping. With a rate that moves no weights only the statistics change, and soon nothing does.
expect 0 train --run early --data d "${TINY[@]}" --set train.epochs=200 --set train.patience=2 --set train.lr=1e-30
has "$ERR" "stopped early, no better validation MAE for 2 epochs"
is "epochs are fewer" "$(($(wc -l <early/history/fp32.csv) < 201))" 1

# Accumulation: 6 training clips give 3 micro-batches of 2, so one step of 2; more than there are is refused.
expect 0 train --run two --data d "${TINY[@]}" --set train.accumulate=2
cmp -s two/fp32.safetensors fresh/fp32.safetensors && fail "train.accumulate changes nothing" || pass
expect_error 2 "batch 2 x accumulate 4 needs at least 8 clips" train --run four --data d "${TINY[@]}" --set train.accumulate=4

# Divergence: the step, the rate and the last good checkpoint are named, and that checkpoint is a model.
DIVERGE=(--data d "${TINY[@]}" --set train.optimizer=sgd --set train.loss=mse --set train.grad_clip=0 --set train.lr=10
    --set train.momentum=0.99 --set train.schedule=constant --set train.epochs=400)
expect_error 1 "is not a finite number at step" train --run diverged "${DIVERGE[@]}"
has "$ERR" "learning rate 10"
not_there diverged/fp32.safetensors
if grep -q "last good checkpoint" "$ERR"; then
    best=$(sed -n 's/.*last good checkpoint: //p' "$ERR")
    expect 0 inspect "$best"
else
    has "$ERR" "there is no good checkpoint yet: try a smaller learning rate"
fi
# Once more, from a rate that is good for an epoch: now there is one.
expect_error 1 "last good checkpoint: later/state/fp32.best.safetensors" train --run later "${DIVERGE[@]}" \
    --set train.schedule=cosine --set train.warmup=399
expect 0 inspect later/state/fp32.best.safetensors
summary
