#!/usr/bin/env python3
"""Fail when a source file includes a header of a floor that is not below its own.

The order is docs/ARCHITECTURE.md's. Rooms on one floor do not know each other. A file may include its own room's headers.
src/main.c stands on top of cmd.
"""
import re
import sys
from pathlib import Path

RANK = {
    "base": 0, "stats": 1, "kernels": 1, "tensor": 2, "nn": 3, "model": 4, "quant": 5, "data": 5, "settings": 6, "infer": 7,
    "rundir": 7, "ptq": 8, "report": 8, "train": 9, "bench": 10, "run": 11, "cmd": 12,
}
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.M)


def floor_of(path: str) -> str | None:
    """The floor that an include path or a source path belongs to; None for a header that is no floor's."""
    parts = path.split("/")
    name = parts[1] if parts[0] == "echoquant" and len(parts) > 1 else parts[0]
    return name.removesuffix(".h") if name.removesuffix(".h") in RANK else None


def violations(root: Path):
    sources = sorted([*root.glob("src/**/*.[ch]"), *root.glob("include/echoquant/*.h")])
    for source in sources:
        inside = source.relative_to(root).parts
        own = floor_of("/".join(inside[1:]))
        if own is None:
            continue
        for include in INCLUDE.findall(source.read_text()):
            other = floor_of(include)
            if other is None or other == own:
                continue
            if RANK[other] >= RANK[own]:
                yield f"{source.relative_to(root)} ({own}) includes {include} ({other})"


def main() -> int:
    root = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
    found = list(violations(root))
    for line in found:
        print(line)
    print(f"{len(found)} includes against the order of the floors")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
