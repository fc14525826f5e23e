#!/usr/bin/env python3
"""kills.py BIN [--moments N] [--seed S] [--signals A,B] [--jobs N] [--work DIR]

Stops `run-all` at N moments and gives the same command again: it has to end with the files of an undisturbed run, and
with no other ones. The moments take all phases in turn, at a random point of each, and all signals. In half of them
the data are to be made first, and a quarter of the runs is stopped up to three times in a row. Ends with 1 if one run
does not.
"""
import argparse
import collections
import concurrent.futures
import os
import random
import shutil
import signal
import sys
import tempfile
import time

import run_all as lib

HANDLED = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}


def names_of_phases(data_there):
    return [name for name, _ in lib.PHASES if not (data_there and name == "make clips")]


def stop(binary, folder, sent, phase, part, lengths, threads):
    """Starts the run and stops it inside the phase. Returns the phase it was in and its exit code; None: it had
    ended."""
    r = lib.Run(binary, folder, threads)
    if r.wait_for(phase):
        time.sleep(lengths[phase] * part)
    with r.changed:
        met, alive = r.phase, r.process.poll() is None
        if alive:
            r.process.send_signal(sent)
    code = r.wait()
    return (met if alive else None), code, r


def judge_exit(sent, met, code, r):
    if code == "hang":
        return "waits after " + sent.name
    if sent == signal.SIGKILL or met is None:
        return None
    if code == 130:
        told = any("same command" in line or "resume" in line.lower() for line in r.lines)
        return None if told else "ends with 130 and no advice: " + r.last_words()
    if code == 0 or (code == -sent and met == "start"):
        return None # too late, or before there was a handler
    return "%s in phase %s: exit code %s: %s" % (sent.name, met, code, r.last_words())


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("binary")
    parser.add_argument("--moments", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--signals", default="SIGKILL,SIGINT,SIGTERM,SIGHUP")
    parser.add_argument("--jobs", type=int, default=2, help="moments at the same time")
    parser.add_argument("--work")
    args = parser.parse_args()
    binary = os.path.abspath(args.binary)
    work = args.work or tempfile.mkdtemp(prefix="echoquant-kills-")
    signals = [signal.Signals[name] for name in args.signals.split(",")]

    reference, files = lib.make_reference(binary, work)
    begun = sorted(reference.begun.items(), key=lambda item: item[1]) + [("end", reference.seconds)]
    lengths = {name: max(begun[i + 1][1] - at, 0.005) for i, (name, at) in enumerate(begun[:-1])}
    print("seed %d, %d moments, an undisturbed run takes %.1f s and leaves %d files" %
          (args.seed, args.moments, reference.seconds, len(files)), flush=True)

    def moment(i):
        """The stops as (phase, signal, exit code), and what is wrong."""
        rng = random.Random("%d %d" % (args.seed, i))
        folder = lib.new_folder(os.path.join(work, "run-%d" % i))
        sent = signals[i % len(signals)]
        data_there = i // len(signals) % 2 == 1
        if data_there:
            shutil.copytree(os.path.join(work, "reference", "data"), os.path.join(folder, "data"))
        phases = names_of_phases(data_there)
        stops, problems = [], []
        for again in range(3 if i % 4 == 3 - i // 8 % 4 else 1):
            phase = phases[(i // len(signals) + i + again) % len(phases)]
            met, code, r = stop(binary, folder, sent, phase, rng.random(), lengths, 1 + i % 2)
            stops.append((met or "had ended", sent.name, code))
            problems.append(judge_exit(sent, met, code, r))
            half = lib.half_written(files, lib.tree(folder))
            if half:
                problems.append("half-written: " + ", ".join(half))
        r = lib.run(binary, folder, 1 + (i + 1) % 2)
        if r.code != 0:
            problems.append("the same command ends with %s: %s" % (r.code, r.last_words()))
        else:
            other = lib.differences(files, lib.tree(folder))
            if other:
                problems.append("differs: " + ", ".join(other))
        shutil.rmtree(folder)
        return stops, ["moment %d (%s): %s" % (i, sent.name, p) for p in problems if p]

    met_by = collections.defaultdict(collections.Counter)
    codes, bad, stops = collections.Counter(), [], 0
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        for done, (stopped, wrong) in enumerate(pool.map(moment, range(args.moments)), 1):
            for phase, name, code in stopped:
                met_by[phase][name] += 1
                codes[code] += 1
            stops += len(stopped)
            bad += wrong
            for line in wrong:
                print("BAD " + line, flush=True)
            if done % 50 == 0:
                print("%d moments" % done, flush=True)

    columns = [s.name for s in signals]
    print("%-12s %s" % ("stopped in", "  ".join("%7s" % c for c in columns)))
    for name in [n for n, _ in lib.PHASES] + ["had ended"]:
        if met_by[name]:
            print("%-12s %s" % (name, "  ".join("%7d" % met_by[name][c] for c in columns)))
    print("exit codes: " + ", ".join("%s: %d" % (c, n) for c, n in sorted(codes.items(), key=str)))
    failed = len({line.split(" (")[0] for line in bad})
    print("%d of %d stopped runs (%d signals) ended with the bytes of an undisturbed one" %
          (args.moments - failed, args.moments, stops))
    if not args.work:
        shutil.rmtree(work, ignore_errors=True)
    sys.exit(1 if bad else 0)


main()
