"""echoquant: what an ejection-fraction model loses and gains from FP32 to INT8.

The package carries the program and what is installed with it. `echoquant` and `python -m echoquant` run it; `binary()`
is its path, for subprocess.
"""
import os
import sys
from pathlib import Path

__all__ = ["binary", "main"]


def binary() -> Path:
    """The path of the program."""
    return Path(__file__).resolve().parent / "bin" / "echoquant"


def main() -> None:
    """Becomes the program, with the arguments, signals and exit code of this process."""
    os.execv(binary(), ["echoquant", *sys.argv[1:]])
