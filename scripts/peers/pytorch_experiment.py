"""The experiment of `echoquant run-all` in PyTorch: trains the FP32 baseline, quantizes it after training (PTQ) and in
training (QAT) by torch.ao's FX graph mode, trains the control FP32+, evaluates and times the four models. OpenCV reads
the clips. The argument: JSON with "settings" (all of echoquant's, by key), "data" (a folder with a FileList.csv), and
"threads". Prints one JSON object: seconds by part, MAE on the test clips and latency by model."""
import copy
import csv
import json
import math
import statistics
import sys
import time
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.dont_write_bytecode = True

import cv2  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402
import torchvision  # noqa: E402
from torch.ao.nn.intrinsic.qat import freeze_bn_stats  # noqa: E402
from torch.ao.quantization import (HistogramObserver, MinMaxObserver, MovingAverageMinMaxObserver, QConfig,  # noqa: E402
                                   QConfigMapping, disable_observer, get_default_qat_qconfig, get_default_qconfig)
from torch.ao.quantization.quantize_fx import convert_fx, prepare_fx, prepare_qat_fx  # noqa: E402

from peers.opencv_clip import all_frames  # noqa: E402

ENGINE = "x86"
OBSERVERS = {"minmax": MinMaxObserver, "moving_average": MovingAverageMinMaxObserver, "hist_mse": HistogramObserver}
LOSSES = {"huber": torch.nn.functional.huber_loss, "mse": torch.nn.functional.mse_loss,
          "l1": torch.nn.functional.l1_loss}
LEAST_CALLS = 30  # of a latency, however long they take; as echoquant does


class Part:
    """The settings of one section as attributes."""

    def __init__(self, settings, section):
        for key, value in settings.items():
            if key.startswith(section + "."):
                setattr(self, key.partition(".")[2], value)


class Clips(torch.utils.data.Dataset):
    """The clips of a split: u8 [frames, 3, size, size] and EF. With `augment` each reading is drawn anew."""

    def __init__(self, folder, split, data, augment=None):
        with open(folder / "FileList.csv", newline="") as file:
            rows = [row for row in csv.DictReader(file) if row["Split"].strip().upper() == split]
        self.paths = [self.find(folder, row["FileName"]) for row in rows]
        self.ef = [float(row["EF"]) for row in rows]
        self.frames, self.size, self.augment = data.frames, data.size, augment

    @staticmethod
    def find(folder, name):
        name = name if name.lower().endswith(".avi") else name + ".avi"
        return next(path for path in (folder / "Videos" / name, folder / name) if path.exists())

    def __len__(self):
        return len(self.paths)

    def places(self, count):
        steps = np.arange(self.frames)
        if self.augment and self.augment.random_phase:
            return ((steps + float(torch.rand(()))) * count / self.frames).astype(int)
        return np.round(steps * (count - 1) / max(self.frames - 1, 1)).astype(int)

    def augmented(self, clip):
        reach = self.augment.shift
        if reach:
            dy, dx = torch.randint(-reach, reach + 1, (2,)).tolist()
            padded = np.pad(clip, ((0, 0), (0, 0), (reach, reach), (reach, reach)))
            clip = padded[:, :, reach + dy:reach + dy + self.size, reach + dx:reach + dx + self.size]
        return clip[..., ::-1] if self.augment.flip and torch.rand(()) < 0.5 else clip

    def __getitem__(self, i):
        cv2.setNumThreads(1)
        frames = all_frames(self.paths[i])
        clip = [cv2.cvtColor(frames[k], cv2.COLOR_BGR2RGB) for k in self.places(len(frames))]
        if clip[0].shape[:2] != (self.size, self.size):
            clip = [cv2.resize(frame, (self.size, self.size), interpolation=cv2.INTER_LINEAR) for frame in clip]
        clip = np.stack(clip).transpose(0, 3, 1, 2)
        clip = self.augmented(clip) if self.augment else clip
        return torch.from_numpy(np.ascontiguousarray(clip)), self.ef[i]

    def in_memory(self):
        return torch.stack([self[i][0] for i in range(len(self))]), torch.tensor(self.ef)


class Network(torch.nn.Module):
    """ResNet-18 on each frame, the mean of its features over the frames, a linear layer."""

    def __init__(self, frames):
        super().__init__()
        self.frames = frames
        self.body = torchvision.models.resnet18(weights=None)
        self.body.fc = torch.nn.Identity()
        self.head = torch.nn.Linear(512, 1)

    def forward(self, x):
        return self.head(self.body(x).unflatten(0, (-1, self.frames)).mean(1)).squeeze(1)


class Average:
    """Moving averages of weights and running statistics; their decay grows to its full value over the first steps."""

    def __init__(self, model, decay):
        self.model, self.decay, self.steps = copy.deepcopy(model), decay, 0

    @torch.no_grad()
    def update(self, model):
        self.steps += 1
        take = 1 - min(self.decay, (1 + self.steps) / (10 + self.steps))
        for mean, now in zip(self.model.state_dict().values(), model.state_dict().values()):
            if mean.is_floating_point():
                mean.lerp_(now, take)


def learning_rate(kind, peak, warmup, total):
    """The learning rate over the steps, as a scheduler's factory."""
    if kind == "onecycle":
        return lambda optimizer: torch.optim.lr_scheduler.OneCycleLR(optimizer, peak, total_steps=total)

    def factor(step):
        if step < warmup:
            return (step + 1) / warmup
        done = (step - warmup) / max(total - warmup, 1)
        return 1.0 if kind == "constant" else (1 + math.cos(math.pi * min(done, 1.0))) / 2
    return lambda optimizer: torch.optim.lr_scheduler.LambdaLR(optimizer, factor)


def optimizer_of(model, kind, lr, weight_decay, momentum):
    matrices = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim <= 1]
    groups = [{"params": matrices, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]
    if kind == "sgd":
        return torch.optim.SGD(groups, lr, momentum=momentum, fused=True)
    return torch.optim.AdamW(groups, lr, fused=True)


class Experiment:
    def __init__(self, spec):
        settings = spec["settings"]
        self.threads, self.folder = spec["threads"], Path(spec["data"])
        self.data, self.train, self.ptq, self.qat, self.bench = (
            Part(settings, section) for section in ("data", "train", "ptq", "qat", "bench"))
        self.seconds, self.mae, self.latency = {}, {}, {}
        torch.manual_seed(settings["run.seed"])
        self.training = Clips(self.folder, "TRAIN", self.data, augment=self.train)
        self.plain = Clips(self.folder, "TRAIN", self.data)
        self.val = Clips(self.folder, "VAL", self.data)
        self.test = Clips(self.folder, "TEST", self.data)

    def timed(self, part, work, *arguments):
        start = time.monotonic()
        result = work(*arguments)
        self.seconds[part] = round(time.monotonic() - start, 2)
        print(f"{part}: {self.seconds[part]} s", file=sys.stderr, flush=True)
        return result

    def statistics(self):
        values = np.concatenate([self.plain[i][0].numpy()[:, 0].ravel()[::37] for i in range(len(self.plain))])
        self.pixel_mean, self.pixel_std = float(values.mean()), float(values.std())
        self.ef_mean, self.ef_std = statistics.fmean(self.plain.ef), statistics.stdev(self.plain.ef)
        self.val, self.test = self.val.in_memory(), self.test.in_memory()

    def prepared(self, pixels):
        x = (pixels.flatten(0, 1).float() - self.pixel_mean) * (1 / self.pixel_std)
        return x.contiguous(memory_format=torch.channels_last)

    @torch.inference_mode()
    def error(self, model, clips):
        pixels, ef = clips
        model.eval()
        out = torch.cat([model(self.prepared(part)) for part in pixels.split(2)]) * self.ef_std + self.ef_mean
        return float((out - ef).abs().mean())

    def fit(self, model, job, shipped, start_counts=False):
        """Trains; returns the state of the epoch whose shipped model has the least validation error."""
        loader = torch.utils.data.DataLoader(self.training, job.batch, shuffle=True, drop_last=True, num_workers=1,
                                             persistent_workers=True)
        optimizer = optimizer_of(model, job.optimizer, job.lr, job.weight_decay, job.momentum)
        schedule = learning_rate(job.schedule, job.lr, int(job.warmup * len(loader)),
                                 job.epochs * len(loader))(optimizer)
        average = Average(model, job.ema) if job.ema else None
        best = (self.error(model, self.val), copy.deepcopy(model.state_dict())) if start_counts else (math.inf, None)
        for epoch in range(1, job.epochs + 1):
            model.train()
            job.freeze(model, epoch)
            for pixels, ef in loader:
                out = model(self.prepared(pixels))
                loss = LOSSES[self.train.loss](out, ((ef - self.ef_mean) / self.ef_std).float())
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                if self.train.grad_clip:
                    torch.nn.utils.clip_grad_norm_(model.parameters(), self.train.grad_clip)
                optimizer.step()
                schedule.step()
                if average:
                    average.update(model)
            kept = average.model if average else model
            error = self.error(shipped(kept), self.val)
            print(f"epoch {epoch}: validation MAE {error:.2f}", file=sys.stderr, flush=True)
            if error < best[0]:
                best = error, copy.deepcopy(kept.state_dict())
        return best[1]

    def fine_tuning(self, freeze):
        job = copy.copy(self.qat)
        job.optimizer, job.schedule, job.warmup, job.momentum, job.ema, job.freeze = "adamw", "cosine", 0, 0, 0, freeze
        return job

    def baseline(self):
        model = Network(self.data.frames).to(memory_format=torch.channels_last)
        job = copy.copy(self.train)
        job.freeze = lambda *_: None
        model.load_state_dict(self.fit(model, job, lambda m: m))
        return model

    @staticmethod
    def mapping(qconfig):
        """The head stays in float, so that the EF itself is not rounded."""
        return QConfigMapping().set_global(qconfig).set_module_name("head", None)

    def quantized(self, model):
        weight = get_default_qconfig(ENGINE).weight
        activation = OBSERVERS[self.ptq.observer].with_args(reduce_range=True)  # as this engine's default has it
        q = prepare_fx(copy.deepcopy(model).eval(), self.mapping(QConfig(activation, weight)), (self.example,))
        with torch.inference_mode():
            for i in torch.randperm(len(self.plain))[:self.ptq.clips].tolist():
                q(self.prepared(self.plain[i][0][None]))
        return convert_fx(q)

    def quantization_aware(self, model):
        def freeze(q, epoch):
            if 0 < self.qat.freeze_bn_epoch <= epoch:
                q.apply(freeze_bn_stats)
            if 0 < self.qat.freeze_observer_epoch <= epoch:
                q.apply(disable_observer)

        def shipped(q):
            return convert_fx(copy.deepcopy(q).eval())
        q = prepare_qat_fx(copy.deepcopy(model).train(), self.mapping(get_default_qat_qconfig(ENGINE)),
                           (self.example,))
        q.load_state_dict(self.fit(q, self.fine_tuning(freeze), shipped))
        return shipped(q)

    def control(self, model):
        def freeze(m, epoch):
            if 0 < self.qat.freeze_bn_epoch <= epoch:
                for layer in m.modules():
                    if isinstance(layer, torch.nn.BatchNorm2d):
                        layer.eval()
        model = copy.deepcopy(model)
        model.load_state_dict(self.fit(model, self.fine_tuning(freeze), lambda m: m, start_counts=True))
        return model

    @torch.inference_mode()
    def time_calls(self, call):
        ms, start = [], time.monotonic()
        for _ in range(self.bench.warmup):
            call()
        while len(ms) < self.bench.repeats:
            before = time.perf_counter()
            call()
            ms.append((time.perf_counter() - before) * 1e3)
            spent = time.monotonic() - start
            if len(ms) >= LEAST_CALLS and 0 < self.bench.seconds < spent:
                break
        return statistics.median(ms)

    def time_model(self, model):
        """The model alone, and from file to EF."""
        files = Clips(self.folder, "TEST", self.data)
        pixels = self.test[0][:1]
        self.time_calls(lambda: model(self.prepared(files[0][0][None])))
        return self.time_calls(lambda: model(self.prepared(pixels)))

    def evaluate(self, name, model):
        self.mae[name] = self.timed(f"evaluate {name}", self.error, model, self.test)
        self.latency[name] = self.timed(f"time {name}", self.time_model, model)

    def run(self):
        self.timed("statistics", self.statistics)
        self.example = self.prepared(self.val[0][:1])
        model = self.timed("train FP32", self.baseline)
        models = {"FP32": model, "PTQ": self.timed("PTQ", self.quantized, model),
                  "QAT": self.timed("train QAT", self.quantization_aware, model)}
        if self.qat.control:
            models["FP32+"] = self.timed("train FP32+", self.control, model)
        for name, each in models.items():
            self.evaluate(name, each)


def main():
    spec = json.loads(sys.argv[1])
    warnings.filterwarnings("ignore")
    torch.set_num_threads(spec["threads"])
    torch.set_flush_denormal(True)
    torch.backends.quantized.engine = ENGINE
    experiment = Experiment(spec)
    experiment.run()
    print(json.dumps({"seconds": experiment.seconds, "mae": experiment.mae, "latency_ms": experiment.latency,
                      "version": torch.__version__.split("+")[0]}))


if __name__ == "__main__":
    main()
