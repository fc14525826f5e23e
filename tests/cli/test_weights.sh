#!/usr/bin/env bash
# Pretrained files as people have them: the converter's choice, and files of other programs or networks as model.init and
# as models.
. "$(dirname "$0")/lib.sh"

PYTHON=$(python_with 'import numpy')
if [ -n "$PYTHON" ]; then
    "$PYTHON" "$SOURCE/tests/cli/checkpoints.py" "$SOURCE/scripts/torchvision_to_safetensors.py" || fail "the converter"
else
    skip "the converter: no Python here has numpy (ECHOQUANT_PYTHON names one)"
fi

tiny_data d
start() { # start FILE: trains from it
    rm -rf r
    run train --run r --data d "${TINY[@]}" --set model.width=8 --threads 1 --set "model.init=$1"
}
# names FILE TEXT: model.init and --model say what it is, in one sentence.
names() {
    start "$1"
    is "exit of train from $1" "$STATUS" 1
    has "$ERR" "$2"
    expect_error 1 "$2" predict --model "$1" d/Videos/*.avi
    expect_error 1 "$2" bench --model "$1"
}
mkdir archive && : >archive/data.pkl
python3 -c 'import zipfile, pickle
with zipfile.ZipFile("net.pth", "w") as z: z.writestr("net/data.pkl", b"x")
with zipfile.ZipFile("net.npz", "w") as z: z.writestr("a.npy", b"x")
pickle.dump({"a": 1}, open("old.ckpt", "wb"), protocol=2)
pickle.dump({"a": 1}, open("new.ckpt", "wb"), protocol=4)'
names net.pth "it is a PyTorch checkpoint; convert it with scripts/torchvision_to_safetensors.py"
names old.ckpt "Python pickle; convert it with scripts/torchvision_to_safetensors.py"
names new.ckpt "Python pickle, perhaps a PyTorch checkpoint"
names net.npz "a NumPy archive"
printf '\010\010\022\007pytorch\032\0052.1.0:' >net.onnx
names net.onnx "an ONNX model"
printf '\211HDF\r\n\032\n0000000000' >net.h5
names net.h5 "an HDF5 file"
printf '<!DOCTYPE html><html><body>Sign in</body></html>' >net.html
names net.html "a web page"
printf 'version https://git-lfs.github.com/spec/v1\noid sha256:0\n' >lfs.safetensors
names lfs.safetensors "a Git LFS pointer"
: >empty.safetensors
names empty.safetensors "it is empty"
expect 0 train --run own --data d "${TINY[@]}" --threads 1
expect 0 export --model own/fp32.safetensors --onnx own.onnx
names own.onnx "an ONNX model"
summary
