"""echoquant's side: its own commands, run and read."""
import json
import subprocess


class OursError(Exception):
    pass


class Ours:
    def __init__(self, binary, cpu):
        self.binary, self.cpu = binary, cpu
        self.bf16 = cpu in ("auto", "avx512bf16") and " avx512bf16" in self.run("--version")

    def run(self, *arguments):
        command = [str(self.binary), *[str(a) for a in arguments]]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if done.returncode != 0:
            lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
            raise OursError(f"echoquant {arguments[0]}: {lines[-1].removeprefix('error: ')}")
        return done.stdout

    def bench(self, *arguments, threads, warmup):
        return json.loads(self.run("bench", "--json", "--quiet", "--threads", threads, "--cpu", self.cpu, "--set",
                                   f"bench.warmup={warmup}", "--set", "bench.scaling=false", *arguments))

    def isa(self):
        """The level that it uses here."""
        return self.bench("--fresh", "int8", "--frames", 1, "--size", 32, "--set", "bench.repeats=1", threads=1,
                          warmup=0)["isa"]

    def infer(self, model, threads, warmup, calls, precision="fp32"):
        return self.bench("--model", model, "--set", f"bench.repeats={calls}", "--precision", precision,
                          threads=threads, warmup=warmup)

    def infer_winograd(self, form, threads, warmup, calls, data=None):
        """With data, from one of its files, too."""
        return self.bench("--fresh", "int8", "--frames", form.frames, "--size", form.size, "--set",
                          "ptq.arithmetic=winograd", "--set", f"bench.repeats={calls}",
                          *(["--data", data] if data else []), threads=threads, warmup=warmup)

    def infer_file(self, model, data, threads, warmup, calls):
        return self.bench("--model", model, "--data", data, "--set", f"bench.repeats={calls}", threads=threads,
                          warmup=warmup)

    def train(self, model, form, batch, threads, warmup, steps, precision="fp32"):
        return self.bench("--train", "--model", model, "--clips", batch, "--frames", form.frames, "--size", form.size,
                          "--set", f"bench.steps={steps}", "--precision", precision, threads=threads, warmup=warmup)

    def predict(self, model, clips, threads):
        """EF in percent of each clip."""
        out = self.run("predict", "--json", "--quiet", "--model", model, "--threads", threads, "--cpu", self.cpu,
                       *clips)
        return [json.loads(line)["ef"] for line in out.splitlines()]
