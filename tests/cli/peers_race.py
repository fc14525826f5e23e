"""scripts/peers: who wins, who drops out, whose turn it is; a model file in another form. Arguments: the source folder,
an FP32 model file."""
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

sys.path.insert(0, str(Path(sys.argv[1]) / "scripts"))
sys.dont_write_bytecode = True

from peers import parts  # noqa: E402
from peers.models import Form, in_form, read_header  # noqa: E402
from peers.race import Contestant, against, race, summary  # noqa: E402
from peers.report import part_text  # noqa: E402


def contestant(name, times, order, **more):
    left = list(times)

    def turn():
        order.append(name)
        if not left:
            raise RuntimeError(f"{name} fell over")
        return summary([left.pop(0), 100])
    return Contestant(name, "FP32", turn, **more)


def check_race():
    order = []
    rows = race([contestant("ours", [6, 4, 5], order, peer=False), contestant("a", [9, 8, 10], order),
                 contestant("b", [1], order), contestant("bf16", [2, 2, 2], order, rival=False)], 3, lambda _: None)
    assert order == ["ours", "a", "b", "bf16", "bf16", "b", "a", "ours", "ours", "a", "bf16"], order
    assert [row.get("min_ms") for row in rows] == [4, 8, None, 2], rows
    assert rows[0]["median_ms"] == (5 + 100) / 2 and rows[2]["failed"] == "b fell over", rows
    # Neither one that failed nor one that does other work is who we are measured by.
    result = against(rows)
    assert result["fastest"] == "a FP32" and result["min"] == 0.5, result
    assert against(rows[:1]) is None and against([rows[0], rows[3]]) is None
    settings = {"form": "16 x 112 x 112", "threads": 2, "batch": 4}
    text = "\n".join(part_text("fp32", {"rows": rows, "against": result}, settings))
    assert "0.50 of the fastest (a FP32)" in text and "b FP32 was not measured: b fell over" in text, text


def check_own_failure():
    """Without our own figures there is nothing to compare."""
    try:
        race([contestant("ours", [], [], peer=False)], 1, lambda _: None)
    except RuntimeError:
        return
    raise AssertionError("our own failure went by")


def check_form(model):
    with tempfile.TemporaryDirectory() as folder:
        header, begin = read_header(model)
        meta = header["__metadata__"]
        same = in_form(model, Form(int(meta["frames"]), int(meta["size"])), Path(folder))
        assert same == Path(model), same
        copy = in_form(model, Form(7, 48), Path(folder))
        changed, at = read_header(copy)
        assert changed["__metadata__"] == {**meta, "frames": "7", "size": "48"}, changed["__metadata__"]
        assert {**changed, "__metadata__": meta} == header and at % 8 == 0
        assert copy.read_bytes()[at:] == Path(model).read_bytes()[begin:]


def check_bf16():
    """A peer's BF16 is measured only where the CPU has it: PyTorch emulates it, a hundred times as slowly."""
    real = parts.our_training
    parts.our_training = lambda *_: contestant("ours", [1], [], peer=False)
    for isa in ({"avx2"}, {"avx2", "avx512_bf16"}, {"amx_bf16"}):
        b = parts.Bench(ours=SimpleNamespace(bf16=False), python="", peers=["pytorch"], missing={"pytorch": "not here"},
                        spec={"threads": 1}, fp32=None, int8=None, data=None, clips=[], form=None, isa=isa, rounds=1,
                        train_rounds=1, calls=1, warmup=0, log_dir=None, say=lambda _: None, versions={})
        whats = [row["what"] for row in parts.train(b)["rows"]]
        assert any("BF16" in what for what in whats) == bool(isa - {"avx2"}), (isa, whats)
    parts.our_training = real


check_race()
check_bf16()
check_own_failure()
check_form(sys.argv[2])
