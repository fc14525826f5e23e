#!/usr/bin/env bash
# Model files between PyTorch and us: PyTorch loads ours and gives the same EFs, and we start from a checkpoint of PyTorch's
# through scripts/torchvision_to_safetensors.py. Needs torch, torchvision and safetensors; without them it is skipped.
. "$(dirname "$0")/lib.sh"

PYTHON=$(python_with 'import numpy, safetensors, torch, torchvision')
if [ -z "$PYTHON" ]; then
    echo "skipped: no Python here has torch, torchvision and safetensors (ECHOQUANT_PYTHON names one)"
    exit 77
fi

tiny_data d
expect 0 train --run r --data d "${TINY[@]}" --set data.frames=3 --set data.size=48 --threads 1
clips=() pixels=()
for clip in d/Videos/*.avi; do
    clips+=("$clip")
    pixels+=("$(basename "$clip").u8")
    "$TEST_TOOLS/dump_clip" "$clip" 3 48 "${pixels[-1]}" || fail "dump_clip $clip"
done
expect 0 predict --json --model r/fp32.safetensors --threads 1 "${clips[@]}"
efs "$OUT" >ours
"$PYTHON" "$SOURCE/tests/cli/torch_parity.py" check r/fp32.safetensors "${pixels[@]}" >theirs || fail "PyTorch refuses our file"
is "EFs of both" "$(wc -l <theirs)" "$(wc -l <ours)"
worst=$(paste ours theirs | awk '{d = $1 - $2; if (d < 0) d = -d; if (d > m) m = d} END {printf "%.3g", m}')
echo "the EFs lie at most $worst points apart"
is "at most 1e-4 apart" "$(awk -v w="$worst" 'BEGIN {print (w <= 1e-4) ? "yes" : "no"}')" yes

"$PYTHON" "$SOURCE/tests/cli/torch_parity.py" write resnet18.pth || fail "torch.save"
"$PYTHON" "$SOURCE/scripts/torchvision_to_safetensors.py" resnet18.pth start.safetensors >"$OUT" || fail "the conversion"
has "$OUT" "102 tensors"
expect 0 train --run s --data d "${TINY[@]}" --threads 1 --set model.init=start.safetensors
has "$ERR" "100 parameters used, 0 missing, 0 of the wrong shape, 2 left out"
# Checkpoints as people save them.
"$PYTHON" "$SOURCE/tests/cli/torch_parity.py" variants || fail "torch.save of the variants"
for variant in whole script legacy half nested; do
    "$PYTHON" "$SOURCE/scripts/torchvision_to_safetensors.py" "$variant.pth" "$variant.safetensors" >"$OUT" || fail "$variant"
    "$PYTHON" "$SOURCE/tests/cli/torch_parity.py" equal "$variant.pth" "$variant.safetensors" && pass || fail "$variant differs"
done
printf 'no checkpoint' >bad.pth
"$PYTHON" "$SOURCE/scripts/torchvision_to_safetensors.py" bad.pth bad.safetensors >"$OUT" 2>"$ERR" && fail "it takes anything" || pass
not_there bad.safetensors
summary
