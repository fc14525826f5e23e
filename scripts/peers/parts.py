"""The comparisons: the contestants of each, and how their times become rows."""
import math
from dataclasses import dataclass
from pathlib import Path

from peers.engine import Engine, EngineError
from peers.race import Contestant, against, measured, race, summary

PEERS = {"onnxruntime": "ONNX Runtime", "openvino": "OpenVINO", "pytorch": "PyTorch", "opencv": "OpenCV", "ncnn": "ncnn"}
PARTS = ("fp32", "train", "int8", "file", "scaling")


@dataclass
class Bench:
    """Settings and files that all parts need."""
    ours: object
    python: str
    peers: list
    missing: dict  # by peer: why it can't run
    spec: dict  # for the workers: files, frames, size, batch, threads
    fp32: Path
    int8: Path
    data: Path
    clips: list
    form: object
    isa: set  # the CPU's flags
    rounds: int
    train_rounds: int
    calls: int
    warmup: int
    log_dir: Path
    say: object
    versions: dict

    @property
    def threads(self):
        return self.spec["threads"]

    @property
    def has_bf16(self):
        return bool(self.isa & {"avx512_bf16", "amx_bf16"})


class Crew:
    """The workers of one part."""

    def __init__(self, bench, part):
        self.bench, self.part, self.engines = bench, part, {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for engine in self.engines.values():
            engine.close()

    def engine(self, peer):
        if peer not in self.engines:
            b = self.bench
            self.engines[peer] = Engine(PEERS[peer], f"{peer}_peer", b.python, b.spec,
                                        b.log_dir / f"{peer}-{self.part}.log")
        return self.engines[peer]

    def contestant(self, peer, variant, what, rival=True, calls=None):
        """None if the user left this peer out."""
        b = self.bench
        if peer not in b.peers:
            return []
        c = Contestant(PEERS[peer], what, None, rival=rival)
        if peer in b.missing:
            c.failed = b.missing[peer]
            return [c]
        b.say(f"{self.part}: preparing {c.name}")
        try:
            b.versions[PEERS[peer]] = self.engine(peer).ask(op="open", variant=variant)["version"]
        except EngineError as error:
            c.failed = str(error)
            b.say(f"{c.name} is left out: {error}")
        engine, n = self.engine(peer), calls or b.calls
        c.turn = lambda: summary(engine.ask(op="run", variant=variant, warmup=min(n, b.warmup), n=n)["ms"])
        return [c]


def our_inference(b, model, what, threads, precision="fp32"):
    return Contestant("echoquant", what, peer=False, turn=lambda: b.ours.infer(
        model, threads, b.warmup, b.calls, precision)["latency_ms"])


def our_winograd(b, data=None):
    """Times don't depend on the weights, so that nothing has to be calibrated in Winograd's domain."""
    return Contestant("echoquant", "INT8, Winograd (other rounding)", peer=False, turn=lambda: b.ours.infer_winograd(
        b.form, b.threads, b.warmup, b.calls, data)["file_latency_ms" if data else "latency_ms"])


def our_training(b, threads, what="FP32", precision="fp32"):
    return Contestant("echoquant", what, peer=False, turn=lambda: b.ours.train(
        b.fp32, b.form, b.spec["batch"], threads, 1, 1, precision)["step_ms"])


def with_result(rows):
    return {"rows": rows, "against": against(rows)}


def agreement(b, crew, model, variants):
    """How far the peers' EFs are from ours, on clips as OpenCV reads them."""
    if not b.clips or not crew.engines:
        return []
    ours = b.ours.predict(model, b.clips, b.threads)
    out = []
    for peer, variant, what in variants:
        if peer not in b.peers or peer in b.missing:
            continue
        try:
            theirs = crew.engine(peer).ask(op="ef", variant=variant, clips=b.clips)["ef"]
        except EngineError as error:
            out.append({"engine": PEERS[peer], "what": what, "failed": str(error)})
            continue
        differences = [x - y for x, y in zip(theirs, ours)]
        out.append({"engine": PEERS[peer], "what": what, "clips": len(differences),
                    "max": max(map(abs, differences)),
                    "rms": math.sqrt(sum(d * d for d in differences) / len(differences))})
    return out


def fp32(b):
    with Crew(b, "fp32") as crew:
        rows = [our_inference(b, b.fp32, "FP32", b.threads)]
        if b.ours.bf16:
            rows.append(our_inference(b, b.fp32, "BF16 (not FP32)", b.threads, "bf16"))
        rows += crew.contestant("onnxruntime", "fp32", "FP32")
        rows += crew.contestant("openvino", "fp32", "FP32")
        if b.has_bf16:
            rows += crew.contestant("openvino", "fp32-default", "by default, BF16 (not FP32)", rival=False)
        for kind in ("eager", "channels_last", "compile"):
            rows += crew.contestant("pytorch", f"fp32-{kind}", f"FP32, {kind}")
        rows += crew.contestant("opencv", "fp32", "FP32, its DNN module")
        rows += crew.contestant("ncnn", "fp32", "FP32")
        result = with_result(race(rows, b.rounds, lambda text: b.say(f"fp32: {text}")))
        result["agreement"] = agreement(b, crew, b.fp32, [(p, v, "FP32") for p, v in (
            ("onnxruntime", "fp32"), ("openvino", "fp32"), ("pytorch", "fp32-channels_last"), ("opencv", "fp32"),
            ("ncnn", "fp32"))])
    return result


def train(b):
    with Crew(b, "train") as crew:
        rows = [our_training(b, b.threads)]
        if b.ours.bf16:
            rows.append(our_training(b, b.threads, "BF16 (not FP32)", "bf16"))
        for kind in ("eager", "channels_last", "compile"):
            rows += crew.contestant("pytorch", f"train-{kind}", f"FP32, {kind}", calls=1)
        if b.has_bf16:  # emulated, a step takes half a minute
            rows += crew.contestant("pytorch", "train-bf16", "BF16 autocast, channels_last (not FP32)", rival=False,
                                    calls=1)
        return with_result(race(rows, b.train_rounds, lambda text: b.say(f"train: {text}")))


def int8_variants(b):
    """(peer, variant, what). Without VNNI, ONNX Runtime's usual kernels saturate."""
    vnni = b.isa & {"avx512_vnni", "avx_vnni"} or "avx2" not in b.isa
    out = [("onnxruntime", "int8", "INT8" if vnni else "INT8, saturating")]
    if not vnni:
        out.append(("onnxruntime", "int8-exact", "INT8, exact"))
    out.append(("openvino", "int8", "INT8"))
    if b.has_bf16:
        out.append(("openvino", "int8-default", "INT8, the rest in BF16"))
    return out


def int8(b):
    variants = int8_variants(b)
    with Crew(b, "int8") as crew:
        rows = [our_inference(b, b.int8, "INT8", b.threads), our_winograd(b)]
        for variant in variants:
            rows += crew.contestant(*variant)
        result = with_result(race(rows, b.rounds, lambda text: b.say(f"int8: {text}")))
        result["agreement"] = agreement(b, crew, b.int8, variants)
    return result


def file(b):
    """From a video file to EF."""
    b.spec["clip"] = b.ours.infer_file(b.int8, b.data, b.threads, 0, 1)["clip"]
    with Crew(b, "file") as crew:
        rows = [Contestant("echoquant", "INT8", peer=False, turn=lambda: b.ours.infer_file(
            b.int8, b.data, b.threads, b.warmup, b.calls)["file_latency_ms"]), our_winograd(b, b.data)]
        for peer, variant, what in int8_variants(b):
            rows += crew.contestant(peer, f"file-{variant}", f"{what}, OpenCV")
        result = with_result(race(rows, b.rounds, lambda text: b.say(f"file: {text}")))
    result["clip"] = b.spec["clip"]
    return result


def scaling(b):
    """Ours alone: one thread against b.threads, INT8 against FP32."""
    counts = (1, b.threads)
    kinds = {"FP32": lambda t, w: our_inference(b, b.fp32, w, t), "INT8": lambda t, w: our_inference(b, b.int8, w, t),
             "training step": lambda t, w: our_training(b, t, w)}
    rows = [make(t, f"{kind}, {t} thread{'s' * (t > 1)}") for kind, make in kinds.items() for t in counts]
    rows = measured(race(rows, b.train_rounds, lambda text: b.say(f"scaling: {text}")))
    pairs = {kind: (rows[2 * i], rows[2 * i + 1]) for i, kind in enumerate(kinds)}
    ratios = {f"{kind}: {b.threads} threads over 1": pair for kind, pair in pairs.items()}
    ratios[f"INT8 over FP32, {b.threads} threads"] = pairs["FP32"][1], pairs["INT8"][1]
    return {"rows": rows, "against": None,
            "speedups": {name: {key[:-3]: slow[key] / fast[key] for key in ("min_ms", "median_ms")}
                         for name, (slow, fast) in ratios.items()}}


RUN = {"fp32": fp32, "train": train, "int8": int8, "file": file, "scaling": scaling}
