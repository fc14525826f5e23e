"""Reads event files of TensorBoard with nothing but Python, and holds them to the histories that they were made of.

tfevents.py EVENTS RUN: EVENTS/<model>/events.out.tfevents.* against RUN/history/<model>.csv
"""
import csv
import math
import struct
import sys
from pathlib import Path


def crc32c(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def masked(data: bytes) -> int:
    crc = crc32c(data)
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def records(data: bytes):
    at = 0
    while at < len(data):
        (length,) = struct.unpack_from("<Q", data, at)
        assert struct.unpack_from("<I", data, at + 8)[0] == masked(data[at:at + 8]), "CRC of a length"
        body = data[at + 12:at + 12 + length]
        assert struct.unpack_from("<I", data, at + 12 + length)[0] == masked(body), "CRC of an event"
        yield body
        at += 16 + length
    assert at == len(data)


def varint(data: bytes, at: int):
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at


def fields(data: bytes):
    """The fields of a protobuf message: number and value, as its wire type says."""
    at = 0
    while at < len(data):
        key, at = varint(data, at)
        if key & 7 == 0:
            value, at = varint(data, at)
        elif key & 7 == 1:
            value, at = struct.unpack_from("<d", data, at)[0], at + 8
        elif key & 7 == 5:
            value, at = struct.unpack_from("<f", data, at)[0], at + 4
        else:
            assert key & 7 == 2, "wire type"
            length, at = varint(data, at)
            value, at = data[at:at + length], at + length
        yield key >> 3, value


def scalars(path: Path):
    """{(tag, step): value}, and the times of the events."""
    out, times = {}, []
    for i, body in enumerate(records(path.read_bytes())):
        event = dict(fields(body))
        if i == 0:
            assert event[3] == b"brain.Event:2"
            continue
        times.append(event.get(1, 0.0))
        for number, value in fields(event[5]):
            assert number == 1
            value = dict(fields(value))
            out[value[1].decode(), event.get(2, 0)] = value[2]
    return out, times


def main() -> None:
    events, run = Path(sys.argv[1]), Path(sys.argv[2])
    models = sorted(p.stem for p in (run / "history").glob("*.csv"))
    assert models and sorted(p.name for p in events.iterdir()) == models
    for model in models:
        (path,) = (events / model).iterdir()
        got, times = scalars(path)
        rows = list(csv.DictReader(open(run / "history" / f"{model}.csv")))
        want, clock, total = {}, [], 0.0
        for row in rows:
            step = int(row.pop("epoch"))
            total += float(row["seconds"])
            clock.append(total)
            for column, text in row.items():
                group, _, rest = column.partition("_")
                tag = f"{group}/{rest}" if group in ("train", "val") else f"train/{column}"
                if not math.isnan(float(text)):
                    want[tag, step] = struct.unpack("<f", struct.pack("<f", float(text)))[0]
        assert got == want, (model, got, want)
        assert len(times) == len(rows) and all(abs(a - b) < 1e-9 for a, b in zip(times, clock))
    print(f"{len(models)} histories")


if __name__ == "__main__":
    main()
