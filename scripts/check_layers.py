#!/usr/bin/env python3
"""Hold the sources to the order of the floors, and to no circle of files.

check_layers.py ROOT [OBJECTS]

A file may include headers of its own room and of rooms on lower floors (RANK; drawn in docs/ARCHITECTURE.md). Rooms on
one floor do not know each other. src/main.c is above cmd.

With OBJECTS, the folder of the built object files, source files may not use each other's functions or data in a circle
either. A file uses another if its object file needs a symbol that the other's defines (nm).
"""
import re
import subprocess
import sys
from pathlib import Path

RANK = {
    "base": 0, "dist": 1, "stats": 1, "picture": 1, "kernels": 1, "clip": 1, "tensor": 2, "nn": 3, "model": 4, "quant": 5, "data": 5,
    "settings": 6, "make": 6, "device": 6, "infer": 7, "rundir": 7, "ptq": 8, "verdict": 8, "train": 9, "report": 9, "bench": 10, "run": 11,
    "cmd": 12,
}
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.M)


def floor_of(path: str) -> str | None:
    """The floor that an include path or a source path belongs to; None for a header that is no floor's."""
    parts = path.split("/")
    name = parts[1] if parts[0] == "echoquant" and len(parts) > 1 else parts[0]
    return name.removesuffix(".h") if name.removesuffix(".h") in RANK else None


def violations(root: Path):
    sources = sorted([*root.glob("src/**/*.[ch]"), *root.glob("src/**/*.cc"), *root.glob("include/echoquant/*.h")])
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


def uses_of(sources: Path, objects: Path) -> dict[str, set[str]]:
    """For each source file, the others whose symbols its object file needs. Objects of files that are gone don't count.

    Sources that the build wrote (instances of kernel templates) stand in src/ of the build folder.
    """
    generated = objects.absolute().parents[2] / "src"
    defined, needed = {}, {}
    for path in sorted(objects.glob("**/*.o")):
        name = str(path.relative_to(objects)).removesuffix(".o")
        if (sources / name).exists() or (generated / name).exists():
            needed[name] = set()
    if not needed:
        return {}
    # One call for all: hundreds would take most of the time to start.
    listed = subprocess.run(["nm", "--print-file-name", *(f"{name}.o" for name in needed)], cwd=objects, check=True,
                            capture_output=True, text=True)
    for line in listed.stdout.splitlines():
        path, _, symbol = line.partition(":")
        name = path.removesuffix(".o")
        m = re.match(r"[0-9a-f]* +([A-Z]) (\S+)$", symbol)
        if m and m[1] == "U":
            needed[name].add(m[2])
        elif m:
            defined[m[2]] = name
    return {name: {defined[s] for s in symbols if s in defined} - {name} for name, symbols in needed.items()}


def circles(uses: dict[str, set[str]]):
    """Groups of files that reach each other: strongly connected components of more than one (Tarjan 1972)."""
    index, low, stack, found = {}, {}, [], []

    def visit(v):
        index[v] = low[v] = len(index)
        stack.append(v)
        for w in sorted(uses[v]):
            if w not in index:
                visit(w)
                low[v] = min(low[v], low[w])
            elif w in stack:
                low[v] = min(low[v], index[w])
        if low[v] == index[v]:
            group = stack[stack.index(v):]
            del stack[stack.index(v):]
            if len(group) > 1:
                found.append(group)

    sys.setrecursionlimit(10000)
    for v in sorted(uses):
        if v not in index:
            visit(v)
    return found


def main() -> int:
    root = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
    found = list(violations(root))
    for line in found:
        print(line)
    print(f"{len(found)} includes against the order of the floors")
    if len(sys.argv) < 3:
        return 1 if found else 0
    uses = uses_of(root / "src", Path(sys.argv[2]))
    groups = circles(uses)
    for group in groups:
        print("circle of files: " + ", ".join(f"{a} -> {b}" for a in sorted(group) for b in sorted(uses[a] & set(group))))
    print(f"{len(groups)} circles among {len(uses)} object files")
    return 1 if found or groups or len(uses) < 100 else 0


if __name__ == "__main__":
    sys.exit(main())
