"""raw_bytes.py FILE...: prints each file and byte that should not reach a terminal: controls but for line feeds, what is no
UTF-8, and marks that reorder text. "\\r" before a line feed, as a terminal adds it, is none."""
import sys

for name in sys.argv[1:]:
    data = open(name, "rb").read().replace(b"\r\n", b"\n")
    try:
        text = data.decode()
    except UnicodeDecodeError as problem:
        print(f"{name}: no UTF-8: {problem}")
        continue
    for c in text:
        n = ord(c)
        if (n < 32 and c != "\n") or 0x7F <= n < 0xA0 or 0x202A <= n <= 0x202E or 0x2066 <= n <= 0x2069:
            print(f"{name}: U+{n:04X}")
