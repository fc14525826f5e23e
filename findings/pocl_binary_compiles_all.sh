#!/usr/bin/env bash
# PoCL 3.1-3+deb12u1 (Debian 12, libpocl2): asking a built program for its binary (clGetProgramInfo with
# CL_PROGRAM_BINARY_SIZES, or CL_PROGRAM_BINARIES) compiles every kernel of the program for a work-group of any size, also
# those that nobody has run, and those that were compiled to run before. In PoCL's cache, a program of 20 kernels, of which
# one has run, has 1 compiled kernel before the question and 21 after it. A kernel of a program made of that binary is
# compiled once more when it runs, for its work-group, so the binary spares nothing but the front end. A caller that stores
# binaries to save time, as is usual for GPUs, pays for all kernels twice.
# For us: src/device/device.c (keeps_programs) asks PoCL for no binary, and relies on PoCL's own cache. The first use of
# echoquant's 14 kernels takes 16.4 s of CPU time with the question, and 6.8 s without.
#
# Output seen ("what was done: kernels in the cache"):
#   build: 0
#   run one of 20: 1
#   ask for the binary: 21
#   build the binary: 21
#   run another of the binary: 22
# Needs: apt-get download, dpkg-deb, Python 3 with venv and pip, on Debian 12 amd64 with clang-15. Ends with 0 as long as
# the behavior is the one above, 77 where these versions can't be had.
set -euo pipefail
version=3.1-3+deb12u1 llvm=1:15.0.6-4+b1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
skip() {
    echo "skipped: these versions can't be had here"
    exit 77
}
apt-get -q download "libpocl2=$version" "libpocl2-common=$version" "libclang-cpp15=$llvm" "libllvm15=$llvm" libhwloc15 \
    >download.log 2>&1 || skip
for package in ./*.deb; do
    dpkg-deb -x "$package" root
done
python3 -m venv venv
venv/bin/pip install -q pyopencl==2026.1.4 numpy==2.4.6 >pip.log 2>&1 || skip
mkdir vendors cache
export LD_LIBRARY_PATH=$work/root/usr/lib/x86_64-linux-gnu OCL_ICD_VENDORS=$work/vendors POCL_CACHE_DIR=$work/cache
echo "$(echo "$LD_LIBRARY_PATH"/libpocl.so.2.*)" >vendors/pocl.icd
venv/bin/python - <<'PY' | tee seen
import glob
import os

import pyopencl as cl

[platform] = cl.get_platforms()
assert " PoCL 3.1" in platform.version, platform.version
context = cl.Context(platform.get_devices()[:1])
queue = cl.CommandQueue(context)
x = cl.Buffer(context, cl.mem_flags.READ_WRITE, 4096)
text = "".join("kernel void k%d(global float *x) { x[get_global_id(0)] += sin(%d * x[get_global_id(0)]); }\n" % (i, i)
               for i in range(20))


def say(what):
    print(f"{what}: {len(glob.glob(os.environ['POCL_CACHE_DIR'] + '/**/*.so', recursive=True))}")


def run(program, name):
    kernel = cl.Kernel(program, name)
    kernel.set_args(x)
    cl.enqueue_nd_range_kernel(queue, kernel, (1024,), (64,))
    queue.finish()


program = cl._cl._Program(context, text)  # without a cache of PyOpenCL's own
program._build(b"", None)
say("build")
run(program, "k0")
say("run one of 20")
binaries = program.get_info(cl.program_info.BINARIES)
say("ask for the binary")
again = cl._cl._Program(context, context.devices, binaries)
again._build(b"", None)
say("build the binary")
run(again, "k1")
say("run another of the binary")
PY
diff - seen <<'END'
build: 0
run one of 20: 1
ask for the binary: 21
build the binary: 21
run another of the binary: 22
END
echo "as seen before: PoCL $version compiles all kernels for the binary"
