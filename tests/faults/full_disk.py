#!/usr/bin/env python3
"""full_disk.py BIN [--sample] [--work DIR]

`run-all` on a full disk, then with room: it has to end with the files of an undisturbed run, and with no other ones.
The disk is a tmpfs, so root is needed (77: skipped). It is full in two ways: from a size on, in steps of a fortieth of
what a run needs; and in each phase, by a file that leaves 0, 4, 16 or 64 KiB as the phase begins. Ends with 1 if a run
does not.
"""
import argparse
import collections
import os
import shutil
import subprocess
import sys
import tempfile

import run_all as lib

LEFT_KIB = [0, 4, 16, 64]
SAMPLE_PHASES = {"make clips": 16, "train FP32": 4, "evaluate": 0, "report": 4}


def mount(folder, kib):
    os.makedirs(folder, exist_ok=True)
    return subprocess.run(["mount", "-t", "tmpfs", "-o", "size=%dk" % kib, "tmpfs", folder],
                          stderr=subprocess.DEVNULL).returncode == 0


def fill(path, left_kib):
    """Writes a file that leaves so much room."""
    with open(path, "wb", buffering=0) as f:
        space = os.statvfs(path)
        wanted = space.f_bavail * space.f_bsize - left_kib * 1024
        try:
            while wanted > 0:
                wanted -= f.write(bytes(min(wanted, 1 << 20)))
        except OSError:
            pass


def judge(where, code, r, files, folder, binary, make_room):
    problems = []
    if code == "hang" or (isinstance(code, int) and (code < 0 or code > 130)):
        problems.append("%s: exit code %s: %s" % (where, code, r.last_words()))
    if code != 0 and not any(line.startswith("error: ") for line in r.lines):
        problems.append("%s: nothing said" % where)
    half = lib.half_written(files, lib.tree(folder))
    if half:
        problems.append("%s: half-written: %s" % (where, ", ".join(half)))
    make_room()
    again = lib.run(binary, folder)
    if again.code != 0:
        problems.append("%s: the same command ends with %s: %s" % (where, again.code, again.last_words()))
    else:
        other = lib.differences(files, lib.tree(folder))
        if other:
            problems.append("%s: differs: %s" % (where, ", ".join(other)))
    return problems


def by_size(binary, folder, files, kib, whole):
    r = lib.run(binary, folder)
    bad = judge("%d KiB" % kib, r.code, r, files, folder, binary,
                lambda: subprocess.run(["mount", "-o", "remount,size=%dk" % (3 * whole), folder], check=True))
    return r, bad


def by_phase(binary, folder, files, phase, left):
    ballast = os.path.join(folder, "ballast")
    r = lib.Run(binary, folder, 1)
    if r.wait_for(phase):
        fill(ballast, left)
    r.code = r.wait()

    def make_room():
        if os.path.exists(ballast):
            os.unlink(ballast)
    return r, judge("%s, %d KiB left" % (phase, left), r.code, r, files, folder, binary, make_room)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("binary")
    parser.add_argument("--sample", action="store_true")
    parser.add_argument("--work")
    args = parser.parse_args()
    binary = os.path.abspath(args.binary)
    work = args.work or tempfile.mkdtemp(prefix="echoquant-full-disk-")
    disk = os.path.join(work, "disk")
    if os.geteuid() != 0 or not mount(disk, 64):
        print("skipped: a tmpfs needs root and mount")
        sys.exit(77)
    subprocess.run(["umount", disk], check=True)

    _, files = lib.make_reference(binary, work)
    paths = [os.path.join(root, name) for root, _, names in os.walk(os.path.join(work, "reference")) for name in names]
    whole = sum(os.path.getsize(path) + 4096 for path in paths) // 1024
    steps = [1, 8, 20] if args.sample else range(1, 41)
    cases = [(None, whole * k // 40) for k in steps]
    if args.sample:
        cases += list(SAMPLE_PHASES.items())
    else:
        cases += [(name, left) for name, _ in lib.PHASES[1:] for left in LEFT_KIB]
    print("a run needs about %d KiB; %d full disks" % (whole, len(cases)), flush=True)

    stopped, bad = collections.Counter(), []
    for phase, number in cases:
        if not mount(disk, number if phase is None else 3 * whole):
            raise SystemExit("cannot mount")
        try:
            r, problems = by_phase(binary, disk, files, phase, number) if phase else \
                by_size(binary, disk, files, number, whole)
        finally:
            subprocess.run(["umount", disk], check=True)
        stopped[r.phase if r.code else "not stopped"] += 1
        bad += problems
    print("stopped in: " + ", ".join("%s %d" % item for item in stopped.items()))
    for line in bad:
        print("BAD " + line)
    print("%d of %d runs ended with the bytes of an undisturbed one after room was made" %
          (len(cases) - len({line.split(":")[0] for line in bad}), len(cases)))
    if not args.work:
        shutil.rmtree(work, ignore_errors=True)
    sys.exit(1 if bad else 0)


main()
