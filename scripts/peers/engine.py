"""The parent's end of a worker (worker.py): it runs only while it answers."""
import json
import os
import signal
import subprocess
from pathlib import Path

# Each library shall choose its own kernels and number of threads.
FORGET = ("OPENBLAS_CORETYPE", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OMP_WAIT_POLICY", "KMP_BLOCKTIME")


class EngineError(Exception):
    pass


class Engine:
    def __init__(self, name, module, python, spec, log):
        self.name, self.log = name, Path(log)
        env = {key: value for key, value in os.environ.items() if key not in FORGET}
        worker = Path(__file__).with_name("worker.py")
        with open(self.log, "w") as stderr:
            self.process = subprocess.Popen([python, str(worker), module, json.dumps(spec)], stdin=subprocess.PIPE,
                                            stdout=subprocess.PIPE, stderr=stderr, text=True, env=env)

    def ask(self, **request):
        try:
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
            self.process.send_signal(signal.SIGCONT)
            line = self.process.stdout.readline()
            self.process.send_signal(signal.SIGSTOP)
        except BrokenPipeError:
            line = ""
        if not line:
            lines = self.log.read_text().strip().splitlines() or ["it ended without a word"]
            raise EngineError(f"{self.name}: {lines[-1]} ({self.log})")
        answer = json.loads(line)
        if "error" in answer:
            raise EngineError(f"{self.name}: {answer['error']} ({self.log})")
        return answer

    def close(self):
        self.process.kill()
        self.process.wait()
