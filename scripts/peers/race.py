"""Contestants that take turns."""
import statistics
from dataclasses import dataclass, field
from typing import Callable


@dataclass
class Contestant:
    engine: str
    what: str
    turn: Callable[[], dict]  # runs a few calls: {"min": ms, "median": ms}
    peer: bool = True
    rival: bool = True  # does the same work at the same precision, so the ratio counts
    turns: list = field(default_factory=list)
    failed: str = ""

    @property
    def name(self):
        return f"{self.engine} {self.what}"

    def row(self):
        row = {"engine": self.engine, "what": self.what, "peer": self.peer, "rival": self.rival}
        if self.failed:
            return {**row, "failed": self.failed}
        return {**row, "min_ms": min(t["min"] for t in self.turns),
                "median_ms": statistics.median(t["median"] for t in self.turns), "turns": len(self.turns)}


def summary(ms):
    return {"min": min(ms), "median": statistics.median(ms)}


def race(contestants, rounds, say):
    """Every contestant once a round, in alternating order; one that fails drops out. Their rows."""
    for i in range(rounds):
        say(f"round {i + 1} of {rounds}")
        for c in contestants if i % 2 == 0 else contestants[::-1]:
            if c.failed:
                continue
            try:
                c.turns.append(c.turn())
            except Exception as error:
                if not c.peer:
                    raise
                c.failed = str(error)
    return [c.row() for c in contestants]


def measured(rows):
    return [row for row in rows if "min_ms" in row]


def against(rows):
    """Our first row against the fastest rival among the peers; None without one."""
    ours = next(row for row in rows if not row["peer"])
    rivals = [row for row in measured(rows) if row["peer"] and row["rival"]]
    if not rivals:
        return None
    best = {key: min(rivals, key=lambda row: row[key]) for key in ("min_ms", "median_ms")}
    return {"fastest": f"{best['min_ms']['engine']} {best['min_ms']['what']}",
            "min": ours["min_ms"] / best["min_ms"]["min_ms"],
            "median": ours["median_ms"] / best["median_ms"]["median_ms"]}
