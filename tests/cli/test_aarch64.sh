#!/usr/bin/env bash
# The integer part on ARM: the library without what needs other libraries, cross-compiled, and its kernels and engine run
# under an emulator, on a CPU with dot products and on one without. The engine's EF must be this machine's, to the bit.
. "$(dirname "$0")/lib.sh"

CC=${AARCH64_CC:-aarch64-linux-gnu-gcc}
QEMU=$(command -v qemu-aarch64 || command -v qemu-aarch64-static)
if ! command -v "$CC" >/dev/null || [ -z "$QEMU" ]; then
    echo "skipped: needs aarch64-linux-gnu-gcc and qemu-aarch64 (packages gcc-aarch64-linux-gnu, libc6-dev-arm64-cross, qemu-user)"
    exit 77
fi

# As CMakeLists.txt has them, without -Werror: another compiler may warn of more.
FLAGS=(-std=c11 -O2 -D_GNU_SOURCE -DECHOQUANT_VERSION='"test"' -DECHOQUANT_SHARE='"share"'
    -Wall -Wextra -ffp-contract=off -fno-math-errno -fno-trapping-math
    -I"$SOURCE/tests/standins" -I"$SOURCE/include" -I"$SOURCE/src" -I"$SOURCE/tests")

# Everything up to the quant floor but what includes cJSON's or protobuf's headers: those libraries are here for this
# machine's architecture only. OpenBLAS and utf8proc have stand-ins.
sources() {
    find "$SOURCE"/src/{base,kernels,tensor,nn,model,quant} -name '*.c' ! -path '*/x86/*' -print0 |
        xargs -0 grep -LE 'cjson/|onnx\.h|onnx\.pb' | sort
    echo "$SOURCE/tests/standins/standins.c"
    echo "$SOURCE/tests/tools/integer_check.c"
}

# One object; the flags of a level follow from the file's name as in cmake/EchoquantFlags.cmake. Says which headers it saw.
compile() {
    local isa=()
    [[ $1 == *_neondot.c ]] && isa=(-march=armv8.2-a+dotprod)
    "$CC" "${FLAGS[@]}" "${isa[@]}" -MD -MF "$2.d" -c "$1" -o "$2"
}

jobs=0
number=0
status=0
while read -r file; do
    compile "$file" "$TMP/$number.o" 2>>"$ERR" &
    number=$((number + 1))
    jobs=$((jobs + 1))
    if [ $jobs = 2 ]; then
        wait -n || status=1
        jobs=$((jobs - 1))
    fi
done < <(sources)
while [ $jobs -gt 0 ]; do
    wait -n || status=1
    jobs=$((jobs - 1))
done
if [ $status = 0 ]; then pass; else
    fail "does not compile for aarch64"
    cat "$ERR"
fi
if grep -lE 'immintrin|xmmintrin|cpuid\.h|kernels/x86/' "$TMP"/*.d >/dev/null; then fail "includes a header of x86"; else pass; fi
# An archive, from which the linker takes what the program needs.
"${CC%gcc}ar" rcs "$TMP/library.a" "$TMP"/*.o
"$CC" -static -o "$TMP/integer_check" "$TMP/$((number - 1)).o" "$TMP/library.a" -lpthread -lm || fail "does not link for aarch64"
echo "$number files compiled for aarch64"

"$TEST_TOOLS/integer_check" 1 >"$TMP/here" || fail "integer_check fails on this machine"

# on CPU RUNS LEVELS: what the emulated CPU has, and that everything passes with the same EF as here.
on() {
    if "$QEMU" -cpu "$1" "$TMP/integer_check" "$2" >"$OUT" 2>"$ERR"; then pass; else
        fail "integer_check under qemu-user, -cpu $1"
        show
    fi
    has "$OUT" "levels: $3"
    has "$OUT" "$(grep '^EF ' "$TMP/here")"
    sed "s/^/qemu -cpu $1: /" "$OUT"
}

on max 2 "ref neon neondot"
on cortex-a53 1 "ref neon"
if grep -q neondot "$OUT"; then fail "dot products on a Cortex-A53"; else pass; fi
summary
