#!/usr/bin/env bash
# ptxas.sh FOLDER: NVIDIA's assembler takes the PTX in FOLDER for the architectures that it is for, and the PTX has the
# instructions that it is made for. 77 where there is no PTX or no assembler.
set -u
folder=$1
[ -f "$folder/sm_75.ptx" ] || { echo "skipped: built without PTX (ECHOQUANT_PTX)"; exit 77; }
code=0
complain() {
    echo "FAILED: $*"
    code=1
}
for architecture in 75 80; do
    ptx=$folder/sm_$architecture.ptx
    for word in mma.sync dp4a.u32.s32 fma.rn.f32; do
        grep -q "$word" "$ptx" || complain "$ptx has no $word"
    done
    for word in '\.ftz' satfinite '\.approx' '\.extern'; do
        ! grep -q "$word" "$ptx" || complain "$ptx has $word"
    done
done
grep -q 'mma.sync.aligned.m8n8k16' "$folder/sm_75.ptx" || complain "no m8n8k16 for sm_75"
grep -q 'mma.sync.aligned.m16n8k32' "$folder/sm_80.ptx" || complain "no m16n8k32 for sm_80"

ptxas=$(command -v ptxas || ls /usr/local/cuda*/bin/ptxas 2>/dev/null | tail -n 1)
if [ -z "$ptxas" ]; then
    [ $code = 0 ] || exit 1
    echo "skipped: no ptxas (CUDA's toolkit); the text of the PTX was checked"
    exit 77
fi
out=$(mktemp) log=$(mktemp)
trap 'rm -f "$out" "$log"' EXIT
for pair in 75:75 80:80 80:90; do
    if "$ptxas" -v -arch="sm_${pair#*:}" "$folder/sm_${pair%:*}.ptx" -o "$out" 2>"$log"; then
        echo "sm_${pair%:*}.ptx for sm_${pair#*:}: $(grep -c 'Compiling entry function' "$log") kernels," \
            "$(sed -n 's/.*Used \([0-9]*\) registers.*/\1/p' "$log" | sort -n | tail -n 1) registers at most," \
            "$(sed -n 's/.* \([0-9]*\) bytes spill stores.*/\1/p' "$log" | sort -n | tail -n 1) bytes spilled at most"
        ! grep -q '[1-9][0-9]* bytes stack frame' "$log" || complain "sums or moves of a kernel are not in registers"
    else
        cat "$log"
        complain "sm_${pair%:*}.ptx for sm_${pair#*:}"
    fi
done
exit $code
