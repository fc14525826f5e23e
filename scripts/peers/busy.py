"""Inference beside busy neighbors: as many endless loops as asked for run on the same CPUs while everyone takes turns."""
import subprocess
import sys
from dataclasses import replace

from peers.parts import Crew, int8_variants, our_inference, with_result
from peers.race import measured, race

# Ends with its parent, as worker.py does.
LOOP = """import ctypes, signal
ctypes.CDLL(None).prctl(1, signal.SIGKILL)
print(flush=True)
while True:
    pass"""
OWN_CHOICE = 0  # threads: as many as each engine takes by itself


class Neighbors:
    """Busy loops of this session, so the scheduler weighs each of them like a thread of those that are measured."""

    def __init__(self, count):
        self.count, self.processes = count, []

    def __enter__(self):
        self.processes = [subprocess.Popen([sys.executable, "-c", LOOP], stdin=subprocess.DEVNULL,
                                           stdout=subprocess.PIPE) for _ in range(self.count)]
        for process in self.processes:
            process.stdout.readline()  # it is about to loop
        return self

    def __exit__(self, *_):
        for process in self.processes:
            process.kill()
            process.wait()
            process.stdout.close()


def busy(b, counts):
    """{"busy-N": result}: INT8 with the threads that each engine takes by itself, and ours on one thread."""
    b = replace(b, spec={**b.spec, "threads": OWN_CHOICE})
    results = {}
    with Crew(b, "busy") as crew:
        peers = [c for peer, variant, what in int8_variants(b) for c in crew.contestant(peer, variant, what)]
        for count in counts:
            rows = [our_inference(b, b.int8, "INT8", OWN_CHOICE), our_inference(b, b.int8, "INT8, 1 thread", 1)]
            rows += [replace(c, turns=[]) for c in peers]
            with Neighbors(count):
                rows = race(rows, b.rounds, lambda text: b.say(f"busy-{count}: {text}"))
            ours, alone = measured(rows)[:2]
            results[f"busy-{count}"] = {**with_result(rows), "loops": count, "against_one_thread": {
                key[:-3]: ours[key] / alone[key] for key in ("min_ms", "median_ms")}}
    return results
