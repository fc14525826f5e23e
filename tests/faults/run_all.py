"""Shared by kills.py and full_disk.py: a small `run-all`, what it leaves, and what has to be equal."""
import json
import os
import re
import shutil
import subprocess
import threading
import time

from history import without_clock

SETTINGS = [
    "data.frames=2", "data.size=32", "model.width=8", "train.epochs=2", "train.batch=2", "train.shift=1",
    "ptq.clips=3", "qat.epochs=1", "qat.batch=2", "qat.control=true", "bench.warmup=0", "bench.repeats=2",
    "synth.train=5", "synth.val=2", "synth.test=2",
]
ENVIRONMENT = {"PATH": "/nonexistent", "HOME": "/nonexistent", "LC_ALL": "C", "NO_COLOR": "1"}
DATA = "data/synthetic"
TIMEOUT = 300

# What a line on stderr begins. The last one seen is the phase.
PHASES = [
    ("start", None),
    ("make clips", r"writing \d+ synthetic clips"),
    ("check clips", r"step \d+ of \d+: check the clips"),
    ("train FP32", r"step \d+ of \d+: train FP32$"),
    ("PTQ", r"step \d+ of \d+: quantize"),
    ("train QAT", r"step \d+ of \d+: train QAT"),
    ("train FP32+", r"step \d+ of \d+: train FP32\+"),
    ("evaluate", r"step \d+ of \d+: evaluate"),
    ("time", r"step \d+ of \d+: time the models"),
    ("report", r"step \d+ of \d+: report"),
]


class Run:
    """A run-all at work; `phase` follows what it says."""

    def __init__(self, binary, folder, threads):
        command = [binary, "run-all", "--run", "r", "--set", "data.dir=" + DATA, "--threads", str(threads)]
        for setting in SETTINGS:
            command += ["--set", setting]
        self.started = time.monotonic()
        self.process = subprocess.Popen(command, cwd=folder, env=ENVIRONMENT, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        self.lines = []
        self.phase = "start"
        self.begun = {"start": 0.0}
        self.changed = threading.Condition()
        self.ended = False
        self.reader = threading.Thread(target=self._read)
        self.reader.start()

    def _read(self):
        for raw in self.process.stderr:
            line = raw.decode("utf8", "replace").rstrip("\n")
            with self.changed:
                self.lines.append(line)
                for name, pattern in PHASES:
                    # The clips may be made inside the step that checks them.
                    if pattern and re.match(re.sub(r"\$$", r"(;|$)", pattern), line):
                        self.phase = name
                        self.begun.setdefault(name, time.monotonic() - self.started)
                self.changed.notify_all()
        with self.changed:
            self.ended = True
            self.changed.notify_all()

    def wait_for(self, phase):
        """True once the phase has begun; False if the run ended without it."""
        with self.changed:
            self.changed.wait_for(lambda: phase in self.begun or self.ended, TIMEOUT)
            return phase in self.begun

    def wait(self, seconds=TIMEOUT):
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            self.reader.join()
            return "hang"
        self.reader.join()
        return self.process.returncode

    def last_words(self):
        return " | ".join(self.lines[-3:])[-400:]


def run(binary, folder, threads=1):
    r = Run(binary, folder, threads)
    r.code = r.wait()
    return r


VOLATILE = {"latency_ms", "file_latency_ms", "start_ms", "memory_bytes", "timed", "seal", "threads", "int8_ms",
            "fp32_ms", "cost_ms", "stated"}
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


def without_times(value):
    if isinstance(value, dict):
        return {k: without_times(v) for k, v in value.items() if k not in VOLATILE}
    if isinstance(value, str):
        return MOMENT.sub("", value)
    return [without_times(v) for v in value] if isinstance(value, list) else value


def content(name, data):
    """What of a file has to be equal: all of it, but for what a clock or a number of threads gave."""
    base = os.path.basename(name)
    if base in ("results.json", "statistics.json") or "/quantization/" in "/" + name:
        try:
            return json.dumps(without_times(json.loads(data)))
        except ValueError as error:
            return "broken: %s" % error
    if "/history/" in name:
        return without_clock(data.decode("utf-8", "replace")).encode()
    if base in ("config.json", "report.md", "report.html") or "/plots/" in name:
        return len(data) > 0 # it names times, threads and a seal over them
    return data


def tree(folder):
    """Every file by its name."""
    files = {}
    for root, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(root, name)
            relative = os.path.relpath(path, folder)
            with open(path, "rb") as f:
                files[relative] = content(relative, f.read())
    return files


def differences(reference, files):
    return sorted(name for name in set(reference) | set(files) if reference.get(name) != files.get(name))


def half_written(reference, files):
    """Files under their final names that are neither absent nor as they have to be. Saved states change as a training
    goes on, and results.json grows; a resumed run reads both."""
    kept = re.compile(r"r/[a-z0-9_]+\.safetensors$|r/predictions/[a-z0-9_]+\.csv$|data/.*\.(avi|csv)$|.*/synth\.json$")
    return sorted(name for name, data in files.items() if kept.match(name) and data != reference.get(name))


def new_folder(path):
    shutil.rmtree(path, ignore_errors=True)
    os.makedirs(path)
    return path


def make_reference(binary, work):
    """A run without disturbance: its files, and when its phases began."""
    r = run(binary, new_folder(os.path.join(work, "reference")))
    if r.code != 0:
        raise SystemExit("the undisturbed run fails: " + r.last_words())
    r.seconds = time.monotonic() - r.started
    missing = [name for name, _ in PHASES if name not in r.begun]
    if missing:
        raise SystemExit("phases that were not seen: " + ", ".join(missing))
    return r, tree(os.path.join(work, "reference"))
