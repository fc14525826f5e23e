#!/usr/bin/env python3
"""Predicts steps on many nodes from measurements on few: scaling_model.py docs/SCALING.md

Reads two tables from the page, each a block between lines of ```, whose first line names its columns:
  link,processes,gbit,megabytes,ms        exchanges of whole gradients, nothing else to do meanwhile
  stage,backward_ms,megabytes             the backward pass of a micro-batch by parts of the network, in its order
  pass,ms                                 the other parts of a step: forward, rest

An exchange moves 2 (N - 1) / N of its bytes out of and into each of N nodes, in two phases for every bucket:
  ms = wire * 8 * megabytes * 2 (N - 1) / N / gbit  +  touch * megabytes  +  phase * (2 * buckets + 2)
Least squares of relative errors find the three factors. Prints them and projected steps, as tables for the page.
"""
import re
import sys

BUCKET_MB = 4 * 2**20 / 1e6  # src/train/micro.c
PIECE_MB = 4 * 8 * 2**10 / 1e6
MESSAGE_MS = 0.005  # assumed: each message to one more node takes the CPU 5 us


def tables(path):
    found = {}
    for block in re.findall(r"```\w*\n(.*?)```", open(path, encoding="utf-8").read(), re.S):
        rows = [line.split(",") for line in block.strip().split("\n")]
        if all(len(row) == len(rows[0]) > 1 for row in rows):
            found[",".join(rows[0])] = rows[1:]
    return found


def buckets(megabytes, nodes):
    return max(1, round(megabytes / max(BUCKET_MB, nodes * PIECE_MB)))


def terms(nodes, gbit, megabytes):
    """What the three factors are multiplied by."""
    return [8 * megabytes * 2 * (nodes - 1) / nodes / gbit, megabytes, 2 * buckets(megabytes, nodes) + 2]


def solve(a, b):
    n = len(b)
    m = [row[:] + [value] for row, value in zip(a, b)]
    for i in range(n):
        pivot = max(range(i, n), key=lambda r: abs(m[r][i]))
        m[i], m[pivot] = m[pivot], m[i]
        for r in range(n):
            if r != i:
                by = m[r][i] / m[i][i]
                m[r] = [x - by * y for x, y in zip(m[r], m[i])]
    return [m[i][n] / m[i][i] for i in range(n)]


def fit(rows):
    """Factors that are not negative: one that would be is left out."""
    keep = [0, 1, 2]
    while True:
        x = [[value / ms for value in terms(nodes, gbit, mb)] for nodes, gbit, mb, ms in rows]
        normal = [[sum(row[i] * row[k] for row in x) for k in keep] for i in keep]
        found = dict(zip(keep, solve(normal, [sum(row[i] for row in x) for i in keep])))
        if min(found.values()) >= 0:
            return [found.get(i, 0.0) for i in range(3)]
        keep.remove(min(found, key=found.get))


def exchange_ms(factors, nodes, gbit, megabytes):
    messages = 2 * (nodes - 2) * buckets(megabytes, nodes) * MESSAGE_MS  # those of two nodes are in the fit
    return sum(f * t for f, t in zip(factors, terms(nodes, gbit, megabytes))) + messages


def step(factors, stages, rest_ms, nodes, gbit, times):
    """A step whose node takes `times` as long to compute as in the tables: (all ms, ms of waiting)."""
    now = sent = 0.0
    waiting = 0.0  # MB that are final and not sent yet
    for i, (backward_ms, megabytes) in enumerate(stages):
        now += backward_ms * times
        waiting += megabytes
        if waiting >= max(BUCKET_MB, nodes * PIECE_MB) or i + 1 == len(stages):
            sent = max(sent, now) + exchange_ms(factors, nodes, gbit, waiting)
            waiting = 0.0
    waited = max(0.0, sent - now)
    return rest_ms + now + waited, waited


def main():
    found = tables(sys.argv[1])
    rows = [(int(n), float(gbit), float(mb), float(ms))
            for _, n, gbit, mb, ms in found["link,processes,gbit,megabytes,ms"]]
    stages = [(float(ms), float(mb)) for _, ms, mb in found["stage,backward_ms,megabytes"]]
    other = {name: float(ms) for name, ms in found["pass,ms"]}
    factors = fit(rows)
    print("wire {:.2f} of nominal, touch {:.3f} ms/MB, phase {:.2f} ms".format(*factors))
    errors = sorted(abs(exchange_ms(factors, n, gbit, mb) / ms - 1) for n, gbit, mb, ms in rows)
    print(f"error of the fit: median {100 * errors[len(errors) // 2]:.0f} %, largest {100 * errors[-1]:.0f} %\n")

    print("| node, clips of a micro-batch | nodes | 1 Gbit/s | 10 Gbit/s | 100 Gbit/s |\n|:--|--:|--:|--:|--:|")
    for cores, clips in ((1, 4), (8, 4), (8, 8), (8, 16)):
        times = clips / 4 / cores
        for nodes in (2, 8, 64, 512) if cores == 1 else (8, 64, 512):
            cells = []
            for gbit in (1, 10, 100):
                rest_ms = other["forward"] * times + other["rest"] / cores  # the optimizer sees no clips
                all_ms, waited = step(factors, stages, rest_ms, nodes, gbit, times)
                cells.append(f"{all_ms:.0f} ms, {100 * waited / all_ms:.0f} %")
            print(f"| {cores} core{'s' if cores > 1 else ''}, {clips} | {nodes} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
