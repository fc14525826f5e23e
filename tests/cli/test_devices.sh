#!/usr/bin/env bash
# The list of devices: with and without drivers, as text and JSON, and what is kept between commands. Drivers are PoCL,
# where it is installed, and libraries that are none.
. "$(dirname "$0")/lib.sh"
export POCL_CACHE_DIR=$TMP/pocl # the first use of a driver

shows() {
    if grep -qE -- "$2" "$1"; then pass; else
        fail "no \"$2\""
        show
    fi
}

# No drivers: a loader that finds none, and files of their names that are no libraries.
mkdir none vendors
for name in libcuda.so.1 libnvidia-opencl.so.1 libamdocl64.so libigdrcl.so; do echo no >none/$name; done
export OCL_ICD_VENDORS=$TMP/vendors OCL_ICD_FILENAMES=
LD_LIBRARY_PATH=$TMP/none run devices
is "status without drivers" "$STATUS" 0
has "$OUT" "There is no device beside the CPU."
shows "$OUT" "^CUDA: no driver of NVIDIA \(.*libcuda.so.1"
shows "$OUT" "^OpenCL: .*libOpenCL.so.1.*; nor is there a driver named libnvidia-opencl.so.1, libamdocl64.so, libigdrcl.so"
LD_LIBRARY_PATH=$TMP/none run devices --json
is "JSON without drivers" "$(python3 -c 'import json, sys; d = json.load(open(sys.argv[1])); print(d["devices"], len(d["notes"]))' "$OUT")" "[] 2"
expect_error 2 "accepts no arguments" devices cpu

# No loader: echoquant may have it through FFmpeg, the program of check_gpu.sh has not.
mkdir no_loader
echo no >no_loader/libOpenCL.so.1
LD_LIBRARY_PATH=$TMP/no_loader "$TEST_TOOLS/check_gpu" --dry >"$OUT" 2>"$ERR"
is "status of check_gpu without a loader" "$?" 0
has "$OUT" "OpenCL: no loader of OpenCL ($TMP/no_loader/libOpenCL.so.1: "

# A loader that is too old for what is called.
if emulated; then
    skip "another loader: the compiler makes one for this machine, not for the emulated one"
elif cc -shared -fPIC -Wl,-soname,libOpenCL.so.1 -x c -o no_loader/libOpenCL.so.1 - 2>/dev/null \
    <<<'int clGetPlatformIDs(void) { return -1001; }'; then
    LD_LIBRARY_PATH=$TMP/no_loader "$TEST_TOOLS/check_gpu" --dry >"$OUT" 2>"$ERR"
    is "status of check_gpu with another loader" "$?" 0
    has "$OUT" "OpenCL: libOpenCL.so.1 lacks clGetPlatformInfo"
    echo no >no_loader/libOpenCL.so.1
else
    skip "another loader: no C compiler"
fi

unset OCL_ICD_VENDORS OCL_ICD_FILENAMES
run devices
if why=$(opencl_lacks); then
    shows "$OUT" "its driver does not build the kernels: CL_BUILD_PROGRAM_FAILURE \(-11\); its log: .*unknown target CPU"
    skip "PoCL's compiler: $why"
elif [ -e /etc/OpenCL/vendors/pocl.icd ] && grep -q '^opencl:' "$OUT"; then
    rm -rf "$XDG_CACHE_HOME"
    # A driver that no file in /etc/OpenCL/vendors names is opened by its own name, with a loader and without one.
    driver=$(cat /etc/OpenCL/vendors/pocl.icd)
    driver=$(python3 -c '
import ctypes, sys
ctypes.CDLL(sys.argv[1])
print(next(line.split()[-1] for line in open("/proc/self/maps") if "libpocl.so" in line))' "$driver")
    # PoCL looks for its parts beside itself, so its headers are missing at first: the log of its compiler is shown.
    by_name=$TMP/usr/lib/by_name
    mkdir -p "$by_name"
    ln -s "$driver" "$by_name/libigdrcl.so"
    ln -s "$(dirname "$driver")/pocl" "$by_name/pocl"
    OCL_ICD_VENDORS=$TMP/vendors LD_LIBRARY_PATH=$by_name run devices
    is "status with a text that does not build" "$STATUS" 0
    has "$OUT" "cannot be used"
    shows "$OUT" "its driver does not build the kernels: CL_BUILD_PROGRAM_FAILURE \(-11\); its log: .*pocl_types.h"
    ln -s /usr/share usr/share
    OCL_ICD_VENDORS=$TMP/vendors LD_LIBRARY_PATH=$by_name run devices
    is "status with a driver by its name" "$STATUS" 0
    has "$OUT" "finds no driver (no platform); opened the driver's own library instead: libigdrcl.so"
    has "$OUT" "self-check passed"
    cp no_loader/libOpenCL.so.1 "$by_name"
    LD_LIBRARY_PATH=$by_name "$TEST_TOOLS/check_gpu" --dry --seconds 0 >"$OUT" 2>"$ERR"
    is "status of check_gpu with a driver by its name" "$?" 0
    has "$OUT" "opened the driver's own library instead: libigdrcl.so"
    has "$OUT" '"model": "INT8"'
    rm -rf "$XDG_CACHE_HOME"

    run devices
    is "status with PoCL" "$STATUS" 0
    shows "$OUT" "^opencl:0 .*: ready, but no GPU: used only if it is named"
    has "$OUT" "self-check passed"
    has "$ERR" "building and checking the kernels, once for this driver"
    run devices --json
    is "stderr of the second time" "$(cat "$ERR")" ""
    is "PoCL as JSON" "$(python3 -c '
import json, sys
d = json.load(open(sys.argv[1]))["devices"][0]
print(d["id"], d["gpu"], d["self_check"], d["why_not"], d["bytes"] > 0, d["units"] > 0, d["integer_path"])' "$OUT")" \
        "opencl:0 False passed None True True plain"

    # What is kept is damaged: said, made anew, and good again.
    for file in "$XDG_CACHE_HOME"/echoquant/device-*; do
        truncate -s -1 "$file"
    done
    run devices
    is "status with a damaged file" "$STATUS" 0
    has "$ERR" "this file of the cache is damaged; it is made anew"
    has "$OUT" "self-check passed"
    run devices
    is "stderr afterwards" "$(cat "$ERR")" ""

    # Nothing can be kept: one warning.
    rm -rf "$XDG_CACHE_HOME/echoquant"
    echo >"$XDG_CACHE_HOME/echoquant"
    run devices
    is "status with a cache that cannot be written" "$STATUS" 0
    is "warnings" "$(grep -c "warning: the kernels of a device are not kept" "$ERR")" 1
    has "$OUT" "self-check passed"
    rm "$XDG_CACHE_HOME/echoquant"
    XDG_CACHE_HOME='' HOME='' run devices
    is "status without a place for a cache" "$STATUS" 0
    is "warnings without a place" "$(grep -c "warning: .*neither XDG_CACHE_HOME nor HOME is set" "$ERR")" 1
else
    skip "PoCL (pocl-opencl-icd) is not installed, or not for this program"
fi
summary
