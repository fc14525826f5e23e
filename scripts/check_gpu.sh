#!/usr/bin/env bash
# Check and measure echoquant on the GPUs of this machine, beside PyTorch, in under 4 minutes:
#   scripts/check_gpu.sh [--dry] [--program FILE] [--python FILE] [--out DIR]
# The program (build/tests/check_gpu, or check_gpu beside this script) holds every device to the CPU: INT8 to the bit, FP32
# to 1e-3 EF points. Of several that are alike, it takes the first. Then it measures all paths. The same run measures
# PyTorch if --python (python3) has it and a GPU: eager, channels_last, CUDA graph, compiled; FP32 without TF32, and FP16.
# Writes check_gpu.json and check_gpu.md into --out (the working directory). Exit codes: 0 all is exact, 1 something
# differs or failed, 77 no GPU was found.
#
# To carry it to a machine without the sources, copy three files into one folder: this script, check_gpu.py, and the
# program, which needs libc only.
# --dry: for a machine without a GPU. OpenCL on a CPU stands in, times are short, and no figure is one of a GPU.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
program='' python=python3 out=. dry='' seconds=1.5

die() {
    printf 'error: %s\n' "$*" >&2
    exit 2
}
while [ $# -gt 0 ]; do
    case $1 in
    -h | --help)
        sed -n '2,/^[^#]/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
        exit 0
        ;;
    --dry) dry=yes seconds=0 ;;
    --program | --python | --out)
        [ $# -ge 2 ] || die "$1 needs a value"
        printf -v "${1#--}" '%s' "$2"
        shift
        ;;
    *) die "unknown argument: $1 (see --help)" ;;
    esac
    shift
done
for file in "$here/check_gpu" "$here/../build/tests/check_gpu"; do
    [ -n "$program" ] || [ ! -x "$file" ] || program=$file
done
[ -n "$program" ] || die "no program: build it (ninja -C build check_gpu), or name it with --program"
command -v "$python" >/dev/null || die "$python was not found: name another with --python"
mkdir -p "$out"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# Empty caches, also of the drivers: the first use is one. A dry run may have what PoCL compiled before.
export XDG_CACHE_HOME=$work CUDA_CACHE_PATH=$work/nv
[ -n "$dry" ] && [ -n "${POCL_CACHE_DIR:-}" ] || export POCL_CACHE_DIR=$work/pocl

status=0
timeout 100 "$program" ${dry:+--dry} --seconds "$seconds" >"$work/native.json" || status=$?
if [ $status != 0 ] && [ ! -s "$work/native.json" ]; then
    echo "error: $program ended with $status and without a result" >&2
    exit 1
fi
# Written after each variant: what the time is too short for is missing, and the table says so.
timeout 110 "$python" "$here/check_gpu.py" measure --seconds "$seconds" ${dry:+--dry} --out "$work/torch.json" || true
"$python" "$here/check_gpu.py" merge ${dry:+--dry} --native "$work/native.json" --torch "$work/torch.json" --out "$out" || status=1
echo "$out/check_gpu.json"
echo "$out/check_gpu.md"
[ $status = 0 ] || exit 1
grep -q '"gpu": true' "$work/native.json" || [ -n "$dry" ] || exit 77
