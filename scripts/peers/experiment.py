"""The whole experiment: `echoquant run-all` by turns with pytorch_experiment.py, a program that does the same with PyTorch,
torch.ao and OpenCV. Both run on the same clips, from one configuration file or each from its own."""
import json
import os
import re
import subprocess
import time
from pathlib import Path

from peers.engine import FORGET, EngineError
from peers.parts import PEERS, with_result
from peers.race import Contestant, race

# Settings that shape the models and that the other program follows, too; the rest must keep its default.
SHARED = {"data.frames", "data.size", "train.epochs", "train.batch", "train.optimizer", "train.lr", "train.weight_decay",
          "train.momentum", "train.schedule", "train.warmup", "train.loss", "train.flip", "train.shift",
          "train.random_phase", "train.grad_clip", "train.ema", "ptq.observer", "ptq.clips", "qat.epochs", "qat.batch",
          "qat.lr", "qat.weight_decay", "qat.freeze_bn_epoch", "qat.freeze_observer_epoch", "run.seed"}
# These shape no model, but add work that the other program doesn't do.
MORE_WORK = {"train.seeds", "eval.phases", "run.precision"}
CLIPS = {"data.frames", "data.size", "data.synthetic"}
CHOICES = {"ptq.observer": ("minmax", "moving_average", "hist_mse")}
ROW = re.compile(r"\| `(\w+\.\w+)` ?(\*?) \| `([^`]*)` \|")
MODELS = ("FP32", "PTQ", "QAT", "FP32+")


class ConfigError(Exception):
    pass


def typed(text):
    try:
        return json.loads(text)
    except ValueError:
        return text


def resolve(ours, path, compared):
    """All settings of a configuration file by their keys, with the program's defaults. compared: PyTorch takes part, which
    can't follow every setting."""
    rows = ROW.findall(ours.run("help", "--markdown"))
    defaults = {key: typed(value) for key, _, value in rows}
    free = {key for key, star, _ in rows if star and key not in MORE_WORK}
    try:
        given = json.loads(Path(path).read_text())
        given = {f"{section}.{key}": value for section, values in given.items() for key, value in values.items()}
    except (OSError, ValueError, AttributeError) as error:
        raise ConfigError(f"{path} is no configuration file: {error}") from None
    for key, value in given.items():
        if key not in defaults:
            raise ConfigError(f"{path}: {key} is no setting")
        if not compared:
            continue
        bound = key not in SHARED and key not in free and not key.startswith("synth.")
        if bound and value != defaults[key]:
            raise ConfigError(f"{path}: with {key} = {value} the experiment has no counterpart in PyTorch; only the "
                              f"default, {defaults[key]}, has")
        if key in CHOICES and value not in CHOICES[key]:
            raise ConfigError(f"{path}: {key} = {value} has no counterpart in PyTorch; {', '.join(CHOICES[key])} have")
    return {**defaults, **given}


def same_clips(ours, own, peer, peer_path):
    """Other settings are the peer's business, but both sides must read the same frames of the same clips."""
    for key, value in own.items():
        if (key.startswith("synth.") or key in CLIPS) and peer[key] != value:
            raise ConfigError(f"{peer_path}: {key} is {peer[key]} here and {value} in {ours}, so the clips would differ")


class Turns:
    """What both sides share; each turn is a whole process, timed from its start to its end. peer_config: the configuration
    that PyTorch follows, None if it is `config`."""

    def __init__(self, ours, config, peer_config, threads, folder, compared):
        self.ours, self.config, self.threads, self.folder = ours, config, threads, folder
        self.peer_config = peer_config or config
        self.log = folder / "pytorch-experiment.log"
        self.settings = resolve(ours, config, compared and not peer_config)
        self.peer_settings = resolve(ours, self.peer_config, compared)
        same_clips(self.config, self.settings, self.peer_settings, self.peer_config)
        self.found = {}  # by engine: what its latest turn reported
        self.data, self.versions = None, {}

    def choose_data(self, given, say):
        """The folder given, or that of the configuration, or the configuration's synthetic clips; made before any turn."""
        if given or not self.settings["data.synthetic"]:
            self.data = Path(given or self.settings["data.dir"])
            return
        self.data = self.folder / f"clips-{self.config.stem}"
        say(f"experiment: synthetic clips in {self.data}")
        self.ours.run("synth", self.data, "--quiet", "--config", self.config)

    @staticmethod
    def epochs(settings):
        """Of the baseline, QAT and the control FP32+."""
        counts = [settings["train.epochs"], settings["qat.epochs"], settings["qat.control"] and settings["qat.epochs"]]
        return [int(count) for count in counts]

    def timed(self, engine, turn):
        def call():
            start = time.monotonic()
            self.found[engine] = turn()
            ms = (time.monotonic() - start) * 1e3
            return {"min": ms, "median": ms}
        return call

    def run_ours(self):
        run = self.folder / "run"
        self.ours.run("run-all", "--quiet", "--force", "--config", self.config, "--data", self.data, "--run", run,
                      "--threads", self.threads, "--cpu", self.ours.cpu)
        models = {m["model"]: m for m in json.loads((run / "results.json").read_text())["models"]}
        return {"mae": {name: models[name]["mae"] for name in MODELS if name in models},
                "latency_ms": {name: models[name]["latency_ms"]["median"] for name in MODELS if name in models}}

    def run_pytorch(self, python):
        program = Path(__file__).with_name("pytorch_experiment.py")
        spec = {"settings": self.peer_settings, "data": str(self.data), "threads": self.threads}
        env = {key: value for key, value in os.environ.items() if key not in FORGET}
        with open(self.log, "w") as stderr:
            done = subprocess.run([python, str(program), json.dumps(spec)], stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=stderr, text=True, env=env)
        if done.returncode != 0:
            lines = self.log.read_text().strip().splitlines() or [f"exit code {done.returncode}"]
            raise EngineError(f"{lines[-1]} ({self.log})")
        result = json.loads(done.stdout.splitlines()[-1])
        self.versions[PEERS["pytorch"]] = result.pop("version")
        return result


def experiment(turns, python, missing, rounds, say):
    """python: the interpreter that has PyTorch, None without this peer; missing: why it can't run there, if it can't."""
    rows = [Contestant("echoquant", "run-all", peer=False, turn=turns.timed("echoquant", turns.run_ours))]
    if python:
        rows.append(Contestant(PEERS["pytorch"], "torch.ao, OpenCV", failed=missing or "",
                               turn=turns.timed(PEERS["pytorch"], lambda: turns.run_pytorch(python))))
    rows = race(rows, rounds, lambda text: say(f"experiment: {text}"))
    for row in rows:
        row.update(turns.found.get(row["engine"], {}))
        row["config"] = str(turns.peer_config if row["peer"] else turns.config)
        row["epochs"] = turns.epochs(turns.peer_settings if row["peer"] else turns.settings)
    return {**with_result(rows), "data": str(turns.data)}
