#!/usr/bin/env python3
"""Lets one call fail at a time, in tiny runs of every command, and judges what is left.

    sweep.py FAULTY [--seconds S] [--seed N] [--report FILE] [--only COMMAND,..] [--classes CLASS,..] [--points N]
    sweep.py FAULTY --point COMMAND:CLASS:N

FAULTY is build/tests/echoquant_faulty (faults.h). Without --seconds, every call of a class fails in turn; where there
are more than --points of them, every distinct call stack has its first call among them, and the others are drawn. With
--seconds a sample is drawn by the seed, which is printed; ECHOQUANT_SWEEP_SEED sets another. Exit code 0: no finding,
1: findings, 77: this system cannot let system calls fail.

After each fault:
 - exit code 0: files and output are those of an undisturbed run;
 - otherwise there is a message, of memory where memory was refused, and every file is as before or as in the undisturbed
   run, or, where a command adds to a file step by step, a whole one;
 - the same command afterward ends with the undisturbed files, and no temporary file or lock stays.
"""
import argparse
import bisect
import collections
import concurrent.futures
import hashlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

from history import without_clock

SKIP = 77
TIMEOUT = 60
SAMPLE_POINTS, SAMPLE_LEAST = 4, 20  # of a command and class; of all, on a slow machine
CLASSES = ["alloc", "thread", "read", "write", "fsync", "rename", "open", "close", "mmap", "mkdir", "unlink", "stat",
           "seek", "readdir", "lock"]
TINY = ("--set data.frames=2 --set data.size=32 --set model.width=8 --set train.epochs=2 --set train.batch=2 "
        "--set train.shift=1 --set ptq.clips=4 --set qat.epochs=1 --set qat.batch=2 --set bench.warmup=0 "
        "--set bench.repeats=2").split()
SYNTH = "--set synth.train={} --set synth.val={} --set synth.test={} --quiet"
GOLDEN = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "golden", "dicom")
DICOM = ["explicit_rgb.dcm", "jpeg_422.dcm", "rle_rgb.dcm", "ls_rgb.dcm", "j2k_rct.dcm", "deflated_rgb.dcm"]


class Command:
    """args: of the program. state: the run directory that it finds as r. timed: its output has times in it."""

    def __init__(self, args, state=None, timed=False, files=(), threads=True):
        self.list = args.split() if isinstance(args, str) else args
        self.state, self.timed, self.files, self.threads = state, timed, files, threads

    def args(self, kind):
        """Calls of several threads come in any order, so that one has to do where threads are not what fails."""
        return self.list + (["--threads", "2" if kind == "thread" else "1"] if self.threads else [])


COMMANDS = {
    "synth": Command("synth new " + SYNTH.format(1, 1, 1)),
    "import": Command("import dicom --out new --quiet"),
    "train": Command(["train", "--run", "r", "--data", "d", "--quiet"] + TINY),
    "ptq": Command("ptq --run r --quiet", "trained"),
    "ptq-force": Command("ptq --run r --quiet --force", "all"),
    "qat": Command("qat --run r --quiet", "ptq"),
    "eval": Command("eval --run r --quiet", "qat", timed=True),
    "eval-again": Command("eval --run r --quiet", "all", timed=True),
    "report": Command("report --run r --quiet", "all", threads=False),
    "report-json": Command("report --run r --format json --quiet", "all", threads=False),
    "report-events": Command("report --run r --tensorboard events --quiet", "all", threads=False),
    "sensitivity": Command("sensitivity --run r --quiet", "trained"),
    "verify": Command("verify --run r --quiet", "all"),
    "predict": Command("predict --model r/ptq.safetensors --quiet d", "all"),
    "predict-fp32": Command("predict --model r/fp32.safetensors --quiet d", "all"),
    "export": Command("export --model r/ptq.safetensors --onnx old.onnx --quiet", "all", files=["old.onnx"],
                      threads=False),
    "inspect-model": Command("inspect r/ptq.safetensors", "all"),
    "inspect-data": Command("inspect d --contact-sheet sheet.png"),
    "inspect-run": Command("inspect r", "all"),
    "bench": Command("bench --model r/ptq.safetensors --quiet --set bench.warmup=0 --set bench.repeats=2",
                     "all", timed=True),
    "devices": Command("devices --json", timed=True, threads=False),  # what is found may be less
    "run-all": Command(["run-all", "--run", "r", "--data", "d", "--quiet", "--set", "data.on_error=skip"] + TINY,
                       timed=True),
}

# Crashes in a library, none of ours to mend: what the call stack of the crash has in it, and why.
OUTSIDE = [
    (r"libavformat:avformat_open_input", "FFmpeg 5.1 compares a text that av_strdup could not copy while opening a file"),
    (r"libc:fts(64)?_open", "glibc 2.36's fts_open frees an entry that it could not make"),
    (r"libdcmdata:.*DcmDataDictionary.*loadExternalDictionaries.*", "DCMTK 3.6.7 uses a list of files that it could not "
                                                                  "copy while loading its dictionary"),
]


def environment(folder, **more):
    """OpenCL finds no driver: those make programs by whole compilers, which end with the process without memory."""
    env = {"PATH": "/nonexistent", "HOME": folder, "XDG_CACHE_HOME": os.path.join(folder, "cache"), "LC_ALL": "C",
           "NO_COLOR": "1", "OCL_ICD_VENDORS": "/nonexistent"}
    env.update(more)
    return env


class Result:
    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out.decode("utf-8", "replace"), err.decode("utf-8", "replace")


def run(program, args, folder, **env):
    """code: "hang" if it does not end; it is asked for its call stack first."""
    child = subprocess.Popen([program] + args, cwd=folder, env=environment(folder, **env), stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        out, err = child.communicate(timeout=TIMEOUT)
        return Result(child.returncode, out, err)
    except subprocess.TimeoutExpired:
        child.send_signal(signal.SIGABRT)
        try:
            out, err = child.communicate(timeout=5)
        except subprocess.TimeoutExpired:
            child.kill()
            out, err = child.communicate()
        return Result("hang", out, err)


# ---- what is compared ----

MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
TIMES = re.compile(r"latenc|faster|slower|speed|disturb|measur|seconds|waited| ms\b|timed|caution|^>", re.I)


def steady(text):
    """Without what depends on the clock."""
    lines = [line for line in text.splitlines() if line.strip() and not TIMES.search(line)]
    text = re.sub(r"[-+]?[0-9][0-9.e+-]*", "#", "\n".join(lines))
    return re.sub(r"[ -]{2,}", " ", text)


def without_times(value):
    if isinstance(value, dict):
        return {k: without_times(v) for k, v in value.items()
                if not ("latency" in k or k in ("timed", "start_ms", "memory_bytes", "peak_rss_mb", "peak_rss_bytes",
                                             "seconds", "seal", "int8_ms", "fp32_ms", "cost_ms", "stated"))}
    if isinstance(value, str):
        return MOMENT.sub("", value)
    return [without_times(v) for v in value] if isinstance(value, list) else value


class File:
    """content: what has to be the same; whole: it can be read."""

    def __init__(self, name, data, timed):
        self.whole = bool(data)
        base, text = os.path.basename(name), data.decode("utf-8", "replace")
        if base.endswith(".json"):
            try:
                text = json.dumps(without_times(json.loads(data)))
            except ValueError:
                self.whole = False
            if base not in ("results.json", "statistics.json") and "/quantization/" not in "/" + name:
                text = data.decode("utf-8", "replace")
        elif base.startswith("report.") and timed:  # the command `report` has no times of its own
            text = " ".join(re.findall(r"(?m)^#+ .*|<h[1-6].*?>", text))
        elif base.startswith("report.") or "/plots/" in "/" + name:
            text = steady(text)
        elif "/history/" in "/" + name:
            text = without_clock(text)
        else:
            text = hashlib.sha256(data).hexdigest()
        self.content = hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


def tree(folder, timed):
    files = {}
    for root, folders, names in os.walk(folder):
        folders[:] = [f for f in folders if not (root == folder and f in ("d", "dicom"))]
        for name in names:
            path = os.path.join(root, name)
            rel = os.path.relpath(path, folder)
            if rel not in ("fault.log", "sites"):
                with open(path, "rb") as f:
                    files[rel] = File(rel, f.read(), timed)
    return files


def is_left(name):
    return ".tmp-" in name or os.path.basename(name) in ("lock", "making.lock")


def clean(files):
    """The cache of checks may be missing, which costs time and nothing else."""
    return {k: v for k, v in files.items() if not is_left(k) and not k.startswith("cache/")}


def without_waste(files, wanted):
    """Without what a command makes for itself and removes at its end."""
    return {k: v for k, v in files.items() if k in wanted or not ("/state/" in k or k.endswith("gnuplot.log"))}


def differing(a, b):
    return sorted(k for k in set(a) | set(b) if (k in a) != (k in b) or a[k].content != b[k].content)


# Commands add to these step by step, and the next command goes on from there.
GROWING = re.compile(r"(^|/)(results|config|synth|import|sensitivity|statistics)\.json$|(^|/)quantization/|"
                     r"(^|/)report\.|/plots/|/history/|/state/|(^|/)data\.csv$")


# ---- the log of a fault ----

class Symbols:
    def __init__(self, program):
        lines = subprocess.run(["nm", "-n", program], capture_output=True, text=True, check=False).stdout.splitlines()
        parts = [line.split() for line in lines]
        self.list = [(int(p[0], 16), p[2]) for p in parts if len(p) == 3 and p[1] in "tTwW"]
        self.at = [s[0] for s in self.list]
        self.program = os.path.basename(program)

    def name(self, line):
        m = re.match(r"(\S+)\+0x([0-9a-f]+) ?(\S*)", line)
        if not m:
            return None
        if m.group(1) == self.program:
            i = bisect.bisect(self.at, int(m.group(2), 16)) - 1
            return self.list[i][1] if i >= 0 else "?"
        return m.group(1).split(".so")[0] + ":" + (m.group(3) or "?")


class Log:
    """hit, crash: the call stacks, innermost first; empty if there was none."""

    def __init__(self, path, symbols):
        self.count, self.hit, self.crash = None, [], []
        stack = None
        try:
            with open(path) as f:
                lines = f.read().splitlines()
        except OSError:
            return
        for line in lines:
            word = line.split(" ")[0]
            if word == "count":
                self.count = int(line.split()[1])
            elif word in ("hit", "crash"):
                stack = self.hit if word == "hit" else self.crash
                stack.append(line)
            elif stack is not None:
                stack.append(symbols.name(line) or line)
        own = ("faults_", "malloc", "calloc", "realloc", "memalign", "posix_memalign", "aligned_alloc", "on_call",
               "on_crash", "note_stack", "refuse")
        self.hit = [f for f in self.hit if not f.startswith(own)]
        self.crash = [f for f in self.crash if not f.startswith(own)]


def outside(log):
    """Why a crash is none of ours; None: it is."""
    inner = []
    for frame in log.crash[1:]:
        if ":" not in frame:  # of our own
            break
        inner.append(frame)
    for pattern, why in OUTSIDE:
        if any(re.match(pattern + "$", f) for f in inner):
            return why
    return None


# ---- a sweep ----

class Sweep:
    def __init__(self, program, work):
        self.program, self.work = os.path.join(work, "echoquant_faulty"), work
        shutil.copy(program, self.program)  # it may be built again meanwhile
        self.base = os.path.join(work, "base")
        self.symbols = Symbols(self.program)
        self.known, self.unsteady = {}, set()
        self.numbers = iter(range(1 << 30))
        self.lock = threading.Lock()

    def must(self, args):
        r = run(self.program, args, self.base)
        if r.code != 0:
            sys.exit("echoquant %s: exit code %s: %s" % (" ".join(args), r.code, r.err))

    def make_base(self, names):
        os.makedirs(os.path.join(self.base, "dicom"))
        for name in DICOM:
            shutil.copy(os.path.join(GOLDEN, name), os.path.join(self.base, "dicom"))
        self.must(("synth d " + SYNTH.format(6, 2, 3)).split())
        if not any(COMMANDS[n].state for n in names):
            return
        keep = lambda state: shutil.copytree(os.path.join(self.base, "r"), os.path.join(self.base, state))
        self.must(["train", "--run", "r", "--data", "d", "--quiet", "--threads", "1"] + TINY)
        keep("trained")
        self.must("ptq --run r --quiet".split())
        keep("ptq")
        self.must("qat --run r --quiet".split())
        keep("qat")
        self.must("eval --run r --quiet".split())
        self.must("report --run r --quiet".split())
        keep("all")
        self.must("export --model r/fp32.safetensors --onnx old.onnx --quiet".split())

    def prepare(self, name):
        with self.lock:
            folder = os.path.join(self.work, "case-%d" % next(self.numbers))
        command = COMMANDS[name]
        os.makedirs(folder)
        for data in ("d", "dicom"):
            os.symlink(os.path.join(self.base, data), os.path.join(folder, data))
        if command.state:
            shutil.copytree(os.path.join(self.base, command.state), os.path.join(folder, "r"))
        for f in command.files:
            shutil.copy(os.path.join(self.base, f), folder)
        return folder

    def output(self, name, result):
        """Tables of times differ in more than numbers: in the files they are compared without them."""
        return bool(result.out) if COMMANDS[name].timed else result.out

    def learn(self, name, kind):
        """What the undisturbed command leaves, twice."""
        if (name, kind == "thread") in self.known:
            return
        seen = []
        for _ in range(2):
            folder = self.prepare(name)
            before = clean(tree(folder, COMMANDS[name].timed))
            r = run(self.program, COMMANDS[name].args(kind), folder)
            seen.append((clean(tree(folder, COMMANDS[name].timed)), self.output(name, r)))
            left = [k for k in tree(folder, COMMANDS[name].timed) if is_left(k)]
            if r.code != 0 or left:
                sys.exit("%s: exit code %s, %s left: %s" % (name, r.code, left, r.err))
            shutil.rmtree(folder)
        for f in differing(seen[0][0], seen[1][0]):  # of what depends on the clock, in spite of steady()
            self.unsteady.add((name, f))
        if self.output(name, r) != seen[0][1]:
            self.unsteady.add((name, "output"))
        self.known[name, kind == "thread"] = (before, seen[0][0], seen[0][1])

    def differing(self, name, a, b):
        return [f for f in differing(a, b) if (name, f) not in self.unsteady or (f in a) != (f in b)]

    def count(self, name, kind):
        """How many calls of a class there are, and the first of each distinct call stack."""
        folder = self.prepare(name)
        log, sites = os.path.join(folder, "fault.log"), os.path.join(folder, "sites")
        r = run(self.program, COMMANDS[name].args(kind), folder, ECHOQUANT_FAULT=kind + ":0", ECHOQUANT_FAULT_LOG=log,
                ECHOQUANT_FAULT_SITES=sites)
        if r.code == SKIP:
            print("skipped: " + r.err.strip())
            sys.exit(SKIP)
        total = Log(log, self.symbols).count
        if r.code != 0 or total is None:
            sys.exit("%s: counting %s: exit code %s: %s" % (name, kind, r.code, r.err))
        with open(sites) as f:
            first = [int(n) for n in f.read().split()]
        shutil.rmtree(folder)
        return total, first

    def judge(self, name, kind, n):
        before, wanted, wanted_out = self.known[name, kind == "thread"]
        folder = self.prepare(name)
        log_path = os.path.join(folder, "fault.log")
        began = time.monotonic()
        r = run(self.program, COMMANDS[name].args(kind), folder, ECHOQUANT_FAULT="%s:%s" % (kind, n),
                ECHOQUANT_FAULT_LOG=log_path)
        log = Log(log_path, self.symbols)
        found, whole = [], tree(folder, COMMANDS[name].timed)
        after, left = clean(whole), [k for k in whole if is_left(k)]
        why = None
        if kind == "unlink":  # what could not be removed stays, until the next command
            left = []
            after = without_waste(after, wanted)
        if r.code not in (0, 1, 2):
            why = outside(log)
            if not why:
                found.append("hang" if r.code == "hang" else "crash: %s" % r.code)
        elif r.code == 0:
            changed = self.differing(name, after, wanted)
            if changed:
                found.append("silent: exit code 0, but other files: " + ", ".join(changed))
            if self.output(name, r) != wanted_out and (name, "output") not in self.unsteady:
                found.append("silent: exit code 0, but another output")
            if left:
                found.append("left: " + ", ".join(left))
        else:
            if "error: " not in r.err:
                found.append("no message")
            elif kind == "alloc" and not re.search("memory|allocate", r.err):
                found.append("blamed: memory was refused, but the message is: " + r.err.strip()[-200:])
        for f, was in before.items():
            now = after.get(f)
            if now and now.content not in (was.content, wanted[f].content if f in wanted else "") and \
                    not (GROWING.search(f) and now.whole):
                found.append("damaged: " + f)
        if r.code != 0:
            for f, now in after.items():
                if f not in before and not (f in wanted and now.content == wanted[f].content) and \
                        not (GROWING.search(f) and now.whole) and not f.startswith("new/Videos/"):
                    found.append("wrong file: " + f)
        if r.code != 0 and (differing(after, before) or left) or kind == "unlink":
            found += self.again(name, kind, folder)
        record = {"command": name, "class": kind, "n": n, "code": r.code, "seconds": round(time.monotonic() - began, 2),
                  "found": found, "outside": why, "hit": log.hit[1:], "crash": log.crash, "err": r.err.strip()[-400:]}
        shutil.rmtree(folder)
        return record

    def again(self, name, kind, folder):
        _, wanted, _ = self.known[name, kind == "thread"]
        r = run(self.program, COMMANDS[name].args(kind), folder)
        whole = tree(folder, COMMANDS[name].timed)
        left, after = [k for k in whole if is_left(k)], clean(whole)
        changed = self.differing(name, without_waste(after, wanted) if kind == "unlink" else after, wanted)
        done = r.code == 2 and ("there already" in r.err or "has a finished import" in r.err)
        found = []
        if r.code != 0 and not (done and not changed):
            found.append("again: exit code %s: %s" % (r.code, r.err.strip()[-200:]))
        elif changed:
            found.append("again: other files: " + ", ".join(changed))
        if left and kind != "unlink":
            found.append("again: left: " + ", ".join(left))
        return found


def draw(total, first, points, rng):
    """All calls of a class, or the first of each call stack and others."""
    if total <= points:
        return list(range(1, total + 1))
    chosen = set(first if len(first) <= points else rng.sample(first, points))
    while len(chosen) < points:
        chosen.add(rng.randint(1, total))
    return sorted(chosen)


def summary(records, totals):
    kinds = ["silent", "crash", "hang", "blamed", "damaged", "again", "other"]
    rows = collections.OrderedDict((k, collections.Counter()) for k in CLASSES)
    for r in records:
        row = rows[r["class"]]
        row["points"] += 1
        row["ends"] += r["code"] not in (0, "hang")
        row["outside"] += bool(r["outside"])
        words = {f.split(":")[0] for f in r["found"]}
        for k in kinds[:-1]:
            row[k] += k in words
        row["other"] += bool(words - set(kinds))
    print("\n%-8s %8s %8s %7s %8s" % ("class", "calls", "points", "ends", "outside") +
          "".join("%9s" % k for k in kinds))
    for name, row in list(rows.items()) + [("all", sum(rows.values(), collections.Counter()))]:
        calls = sum(t for (_, c), t in totals.items() if name in (c, "all"))
        if row["points"]:
            print("%-8s %8d %8d %7d %8d" % (name, calls, row["points"], row["ends"], row["outside"]) +
                  "".join("%9d" % row[k] for k in kinds))
    for why, n in collections.Counter(r["outside"] for r in records if r["outside"]).items():
        print("outside: %d: %s" % (n, why))


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("program")
    ap.add_argument("--seconds", type=float, default=0)
    ap.add_argument("--seed", type=int, default=int(os.environ.get("ECHOQUANT_SWEEP_SEED", "13")))
    ap.add_argument("--report")
    ap.add_argument("--only", default=",".join(COMMANDS))
    ap.add_argument("--classes", default=",".join(CLASSES))
    ap.add_argument("--points", type=int, default=120)
    ap.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    ap.add_argument("--point")
    o = ap.parse_args()
    names, kinds = o.only.split(","), o.classes.split(",")
    if o.point:
        names, kinds = [o.point.split(":")[0]], [o.point.split(":")[1]]
    began = time.monotonic()
    stop = began + (o.seconds or float("inf"))
    rng = random.Random(o.seed)
    print("seed %d; one point again: %s %s --point COMMAND:CLASS:N" % (o.seed, sys.argv[0], o.program), flush=True)
    if not has_dicom(o.program):
        names = [n for n in names if n != "import"]
    totals, records = {}, []
    report = open(o.report, "w") if o.report else None
    with tempfile.TemporaryDirectory(prefix="echoquant-sweep-", dir=memory_folder()) as work, \
            concurrent.futures.ThreadPoolExecutor(max_workers=max(1, o.jobs)) as pool:
        sweep = Sweep(o.program, work)
        sweep.make_base(names)
        if o.point:
            sweep.learn(names[0], kinds[0])
            print(json.dumps(sweep.judge(names[0], kinds[0], o.point.split(":")[2]), indent=1))
            return 0

        def enough():
            return time.monotonic() > stop and len(records) >= SAMPLE_LEAST

        def turn(task):
            name, kind, seed = task
            if enough():
                return
            sweep.learn(name, kind)
            total, first = sweep.count(name, kind)
            totals[name, kind] = total
            points = o.points if not o.seconds else SAMPLE_POINTS * (1 + (kind == "alloc"))
            for n in draw(total, first, points, random.Random(seed)):
                if enough():
                    return
                record = sweep.judge(name, kind, n)
                with sweep.lock:
                    records.append(record)
                    tell(record, report)
            if not o.seconds:
                print("%s, %s: %d points, %.0f s" % (name, kind, len(records), time.monotonic() - began), flush=True)

        tasks = [(name, kind, rng.random()) for name in names for kind in kinds]
        if o.seconds:
            rng.shuffle(tasks)
            tasks.sort(key=lambda task: task[1] != "alloc")
            tasks = interleave(tasks[:len(names)], tasks[len(names):])
        list(pool.map(turn, tasks))
        summary(records, totals)
        for name, f in sorted(sweep.unsteady):
            print("differs between undisturbed runs, so only whether it is whole was looked at: %s: %s" % (name, f))
    bad = sum(bool(r["found"]) for r in records)
    print("%d points, %d findings, %.0f s" % (len(records), bad, time.monotonic() - began))
    return 1 if bad or not records else 0


def memory_folder():
    """A disk would cost more than all else, because every file is synced."""
    shm = "/dev/shm"
    return shm if os.access(shm, os.W_OK) and shutil.disk_usage(shm).free > 1 << 29 else None


def interleave(a, b):
    """One of a after two of b."""
    return [task for i in range(max(len(a), (len(b) + 1) // 2)) for task in a[i:i + 1] + b[2 * i:2 * i + 2]]


def tell(record, report):
    if report:
        report.write(json.dumps(record) + "\n")
        report.flush()
    if record["found"]:
        print("FOUND %(command)s:%(class)s:%(n)s, exit code %(code)s" % record)
        print("  " + "\n  ".join(record["found"]))
        print("  at " + " < ".join(record["hit"][:8]), flush=True)


def has_dicom(program):
    with tempfile.TemporaryDirectory() as folder:
        r = run(os.path.abspath(program), ["inspect", os.path.join(GOLDEN, DICOM[0])], folder)
        return "built without DICOM" not in r.err


if __name__ == "__main__":
    sys.exit(main())
