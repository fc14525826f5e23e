"""One library in a process of its own. Arguments: the library's module beside this one, and the material as
JSON. Requests come on stdin, answers go to stdout, one JSON object a line:

  {"op": "open", "variant": V}                      {"version": "..."}: loaded and called once
  {"op": "run", "variant": V, "warmup": W, "n": N}  {"ms": [N numbers]}
  {"op": "ef", "variant": V, "clips": [files]}      {"ef": [percent, one a clip]}

and {"error": "..."} for whatever fails. Between two requests the parent stops this process (engine.py), so that no
waiting thread of one library takes time from another."""
import ctypes
import importlib
import json
import os
import signal
import sys
import time
from pathlib import Path

FROM_FILE = "file-"  # "file-int8": what "int8" does, from a video file on


def die_with_parent():
    """Being stopped, this process would not notice that its stdin is closed."""
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)


class Worker:
    def __init__(self, library, spec):
        self.library = importlib.import_module(f"peers.{library}")
        self.spec = spec
        self.opened = {}

    def read_clip(self, path):
        from peers.opencv_clip import read_clip
        return read_clip(path, self.spec["frames"], self.spec["size"], self.spec["threads"])

    def open(self, variant):
        if variant.startswith(FROM_FILE):
            model = self.library.open_variant(variant[len(FROM_FILE):], self.spec)
            self.opened[variant] = lambda: model(self.read_clip(self.spec["clip"]))
        else:
            self.opened[variant] = self.library.open_variant(variant, self.spec)
        self.opened[variant]()
        return {"version": self.library.version()}

    def run(self, variant, warmup, n):
        call, ms = self.opened[variant], []
        for i in range(-warmup, n):
            start = time.perf_counter()
            call()
            if i >= 0:
                ms.append((time.perf_counter() - start) * 1e3)
        return {"ms": ms}

    def ef(self, variant, clips):
        return {"ef": [self.opened[variant](self.read_clip(clip)) for clip in clips]}


def main():
    die_with_parent()
    # Libraries print; what they print must not get between the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    worker = Worker(sys.argv[1], json.loads(sys.argv[2]))
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = getattr(worker, request.pop("op"))(**request)
        except Exception as error:  # whatever a library throws, the others shall be measured
            text = str(error).strip().splitlines() or [""]
            answer = {"error": f"{type(error).__name__}: {text[0]}"[:300]}
        print(json.dumps(answer), file=answers, flush=True)


main()
