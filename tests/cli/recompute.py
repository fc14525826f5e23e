#!/usr/bin/env python3
"""Recompute every figure of a report from the predictions, by the standard library alone.

recompute.py RUN

Reads RUN/predictions/*.csv (of the seeds, if RUN has several), and computes what docs/STATISTICS.md defines: with
formulas written again here, the counter's random numbers and the distributions included. Compares statistics.json with
it to 1e-9, and the tables of report.md with its rounding. Prints the number of figures compared; exits with 1 after a
difference.
"""
import csv
import functools
import json
import math
import re
import sys
from pathlib import Path
from statistics import NormalDist

CUTS, MOVES, OUTLIER, MLPERF = (35, 40, 45, 50), (1, 2, 5), 15, 0.99
NAN = math.nan
NORMAL = NormalDist()
Z = NORMAL.inv_cdf(0.975)
FILES = {"FP32": "fp32", "BF16": "bf16", "PTQ": "ptq", "QAT": "qat", "FP32+": "fp32_plus"}

# ---- distributions ------------------------------------------------------------------------------------------------


def beta_fraction(a, b, x):
    tiny, c, d = 1e-300, 1.0, 1 - (a + b) * x / (a + 1)
    d = 1 / (d if abs(d) > tiny else tiny)
    h = d
    for m in range(1, 20000):
        for term in (m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
                     -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))):
            d = 1 + term * d
            d = 1 / (d if abs(d) > tiny else tiny)
            c = 1 + term / c
            c = c if abs(c) > tiny else tiny
            h *= c * d
        if abs(c * d - 1) < 1e-16:
            break
    return h


def beta_share(a, b, x, rest):
    """The regularized incomplete beta function at x = 1 - rest."""
    if x <= 0 or rest <= 0:
        return 0.0 if x <= 0 else 1.0
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log(rest))
    if x < (a + 1) / (a + b + 2):
        return front * beta_fraction(a, b, x) / a
    return 1 - front * beta_fraction(b, a, rest) / b


def bisect(below, low, high):
    """The point where below(x) turns false."""
    while True:
        middle = (low + high) / 2
        if middle <= low or middle >= high:
            return middle
        low, high = (middle, high) if below(middle) else (low, middle)


def t_tail(t, df):
    """P(T > t), t >= 0"""
    return beta_share(df / 2, 0.5, df / (df + t * t), t * t / (df + t * t)) / 2


@functools.lru_cache(None)
def t_quantile(p, df):
    return bisect(lambda t: t_tail(t, df) > 1 - p, 0, 1e8)


@functools.lru_cache(None)
def f_quantile(p, df1, df2):
    def tail(f):  # P(F > f)
        return beta_share(df2 / 2, df1 / 2, df2 / (df2 + df1 * f), df1 * f / (df2 + df1 * f))

    return math.exp(bisect(lambda g: tail(math.exp(g)) > 1 - p, -60, 60))


@functools.lru_cache(None)
def noncentral_t_quantile(p, df, delta):
    """By Simpson's rule over the chi distribution of the standard deviation."""
    steps, top = 4000, 1 + 14 / math.sqrt(df)
    low = max(0.0, 1 - 14 / math.sqrt(df))
    norm = math.log(2) + df / 2 * math.log(df / 2) - math.lgamma(df / 2)
    nodes = []
    for i in range(steps + 1):
        s = low + (top - low) * i / steps
        weight = (1 if i in (0, steps) else 4 if i % 2 else 2) * (top - low) / steps / 3
        density = math.exp(norm + (df - 1) * math.log(s) - df * s * s / 2) if s > 0 else 0.0
        nodes.append((s, weight * density))
    nodes = [(s, w) for s, w in nodes if w > 1e-25]

    def cdf(t):
        return math.fsum(w * math.erfc((delta - t * s) / math.sqrt(2)) / 2 for s, w in nodes)

    return bisect(lambda t: cdf(t) < p, -1e4, 1e4)


# ---- random numbers -----------------------------------------------------------------------------------------------


def philox(counter, key):
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(10):
        p0, p1 = 0xD2511F53 * c0, 0xCD9E8D57 * c2
        c0, c1, c2, c3 = (p1 >> 32) ^ c1 ^ k0, p1 & 0xFFFFFFFF, (p0 >> 32) ^ c3 ^ k1, p0 & 0xFFFFFFFF
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return c0, c1, c2, c3


def draw(seed, replicate, level, n):
    """How often each of n is drawn; purpose 10 is the bootstrap's."""
    times, block, at = [0.0] * n, (), 0

    def word():
        nonlocal block, at
        if at % 4 == 0:
            block = philox((at // 4, level, replicate, 10), (seed & 0xFFFFFFFF, seed >> 32))
        at += 1
        return block[(at - 1) % 4]

    for _ in range(n):
        m = word() * n
        if m & 0xFFFFFFFF < n:
            while m & 0xFFFFFFFF < (1 << 32) % n:
                m = word() * n
        times[m >> 32] += 1
    return times


# ---- figures of a sample ------------------------------------------------------------------------------------------


class Run:
    """The models of a run on one list of clips. pred: by row."""

    def __init__(self, clips, rows, pred, pairs, median, with_auc=True):
        self.clips, self.rows, self.pred, self.pairs, self.median = clips, rows, pred, pairs, median
        self.ef = [c["ef"] for c in clips]
        self.auc = with_auc
        self.below = [[y < cut for y in self.ef] for cut in CUTS]
        self.order = {r: sorted(range(len(clips)), key=lambda i, r=r: -pred[r][i]) for r in rows}

    def metrics(self, pred, times):
        weight = total = absolute = squares = signed = 0.0
        used = [i for i, w in enumerate(times) if w]
        first = self.ef[used[0]]
        varies = any(self.ef[i] != first for i in used)
        for i in used:
            w, e = times[i], pred[i] - self.ef[i]
            weight += w
            total += w * (self.ef[i] - first)
            absolute += w * abs(e)
            signed += w * e
            squares += w * e * e
        mean, spread = first + total / weight, 0.0
        for i in used:
            spread += times[i] * (self.ef[i] - mean) * (self.ef[i] - mean)
        return [absolute / weight, math.sqrt(squares / weight), 1 - squares / spread if varies else NAN,
                signed / weight]

    def auc_of(self, row, below, times):
        pred, order = self.pred[row], self.order[row]
        negatives = positives = pairs = 0.0
        i = 0
        while i < len(order):
            sums, end = [0.0, 0.0], i
            while end < len(order) and pred[order[end]] == pred[order[i]]:
                sums[below[order[end]]] += times[order[end]]
                end += 1
            pairs += sums[1] * (negatives + sums[0] / 2)
            negatives += sums[0]
            positives += sums[1]
            i = end
        return pairs / (positives * negatives) if positives * negatives else NAN

    def figures(self, times):
        total, median, out = sum(times), 0.0, {}
        for w, y in zip(times, self.ef):
            median += w * abs(self.median - y)
        median /= total
        for row in self.rows:
            m = self.metrics(self.pred[row], times)
            quality = 1 - m[0] / median if median > 0 else NAN
            aucs = [self.auc_of(row, b, times) if self.auc else NAN for b in self.below]
            out[row] = [*m, quality, *aucs]
        for a, b in self.pairs:
            x, y = out[a], out[b]
            out[a, b] = [x[0] - y[0], x[1] - y[1], x[2] - y[2], x[4] / y[4] if y[4] > 0 else NAN]
        return [(key, k, v) for key in (*self.rows, *self.pairs) for k, v in enumerate(out[key])]

    def units(self):
        """The unit of each clip, in the order of their first clips."""
        seen = {}
        return [seen.setdefault(c["patient"] or ("unknown", i), len(seen)) for i, c in enumerate(self.clips)]


def quantile(v, p):
    at = p * (len(v) - 1)
    i, part = math.floor(at), at - math.floor(at)
    if part == 0 or i + 1 >= len(v):
        return v[i]
    return v[i] + (v[i + 1] - v[i]) * part if part < 0.5 else v[i + 1] - (v[i + 1] - v[i]) * (1 - part)


def sd_of(v):
    mean = sum(v) / len(v)
    return math.sqrt(sum((x - mean) ** 2 for x in v) / (len(v) - 1)) if len(v) > 1 else NAN


def grain(value):
    return 1e-12 * max(1, abs(value))


def constant(v, value):
    return v[-1] - v[0] <= grain(value)


def valid(v):
    v = sorted(x for x in v if math.isfinite(x))
    return v, len(v)


def bootstrap(run, replicates, seed):
    unit = run.units()
    n = max(unit) + 1
    values = run.figures([1.0] * len(unit))
    keys = ("value", "se", "low", "high", "bca_low", "bca_high", "z0", "acceleration")
    samples, jack = [], []
    if n >= 2:
        for r in range(replicates):
            times = draw(seed, r, 0, n)
            samples.append([f[2] for f in run.figures([times[u] for u in unit])])
        for g in range(n):
            jack.append([f[2] for f in run.figures([0.0 if u == g else 1.0 for u in unit])])
    out = {}
    for j, (key, k, value) in enumerate(values):
        o = dict.fromkeys(keys, NAN) | {"value": value, "units": n, "valid": 0}
        out[key, k] = o
        if n < 2:
            continue
        v, o["valid"] = valid([s[j] for s in samples])
        if o["valid"] < 0.9 * replicates or o["valid"] < 2 or not math.isfinite(value):
            continue
        if constant(v, value):
            o.update(se=0, low=value, high=value, bca_low=value, bca_high=value)
            continue
        o.update(se=sd_of(v), low=quantile(v, (1 - 0.95) / 2), high=quantile(v, (1 + 0.95) / 2))
        near = grain(value)
        below = sum(1.0 if x < value - near else 0.5 if x <= value + near else 0 for x in v)
        left = [s[j] for s in jack]
        mean = sum(x / len(left) for x in left)
        squares, cubes = sum((mean - x) ** 2 for x in left), sum((mean - x) ** 3 for x in left)
        if below <= 0 or below >= len(v) or not math.isfinite(squares):
            continue
        z0 = NORMAL.inv_cdf(below / len(v))
        a = cubes / (6 * squares * math.sqrt(squares)) if squares > 0 else 0
        o.update(z0=z0, acceleration=a)
        stretch = [1 - a * (z0 + z) for z in (-Z, Z)]
        if min(stretch) > 0:
            limits = [quantile(v, NORMAL.cdf(z0 + (z0 + z) / s)) for z, s in zip((-Z, Z), stretch)]
            o.update(bca_low=limits[0], bca_high=limits[1])
    return out


def bootstrap_runs(runs, replicates, seed):
    unit = runs[0].units()
    n, k = max(unit) + 1, len(runs)
    values = [[f[2] for f in run.figures([1.0] * len(unit))] for run in runs]
    names = [f[:2] for f in runs[0].figures([1.0] * len(unit))]
    once, twice = [], []
    for r in range(replicates if n >= 2 else 0):
        times, drawn = draw(seed, r, 0, n), draw(seed, r, 1, k)
        of = [[f[2] for f in run.figures([times[u] for u in unit])] for run in runs]
        once.append([sum(o[j] / k for o in of) for j in range(len(names))])
        twice.append([sum(d * o[j] / k for d, o in zip(drawn, of) if d) for j in range(len(names))])
    out = {}
    for j, name in enumerate(names):
        own = [v[j] for v in values]
        o = dict.fromkeys(("sd_runs", "se_runs", "se_clips", "se_both", "df", "t_low", "t_high", "low", "high"), NAN)
        out[name] = o
        o |= {"value": sum(x / k for x in own), "units": n, "valid": 0}
        out[name] = o
        if not math.isfinite(o["value"]):
            continue
        if k > 1:
            o["sd_runs"] = sd_of(own)
            o["se_runs"] = o["sd_runs"] / math.sqrt(k)
        if n < 2:
            continue
        v, enough = valid([s[j] for s in once])
        w, o["valid"] = valid([s[j] for s in twice])
        if enough >= 0.9 * replicates:
            o["se_clips"] = 0.0 if constant(v, o["value"]) else sd_of(v)
        if enough < 0.9 * replicates or o["valid"] < 0.9 * replicates or k < 2:
            continue
        a, c = o["se_runs"] ** 2, o["se_clips"] ** 2
        o["se_both"] = math.sqrt(a + c)
        o["t_low"] = o["t_high"] = o["value"]
        if a + c > 0:
            o["df"] = (a + c) ** 2 / (a * a / (k - 1) + c * c / (n - 1))
            half = t_quantile(0.975, o["df"]) * o["se_both"]
            o["t_low"] -= half
            o["t_high"] += half
        same = constant(w, o["value"])
        o["low"] = o["value"] if same else quantile(w, (1 - 0.95) / 2)
        o["high"] = o["value"] if same else quantile(w, (1 + 0.95) / 2)
    return out


# ---- single figures -----------------------------------------------------------------------------------------------


def mean_of(v):
    return math.fsum(v) / len(v)


def line(x, y):
    keys = ("slope", "slope_se", "slope_low", "slope_high", "slope_p", "intercept", "intercept_se", "intercept_low",
            "intercept_high", "r", "residual_sd")
    o, n = dict.fromkeys(keys, NAN), len(x)
    if n < 2 or all(v == x[0] for v in x):
        return o
    mx, my, flat = mean_of(x), mean_of(y), all(v == y[0] for v in y)
    sxx = math.fsum((v - mx) ** 2 for v in x)
    sxy = math.fsum((v - mx) * (w - my) for v, w in zip(x, y))
    syy = math.fsum((w - my) ** 2 for w in y)
    slope = 0.0 if flat else sxy / sxx
    o.update(slope=slope, intercept=my - slope * mx, r=NAN if flat else max(-1, min(1, sxy / math.sqrt(sxx * syy))))
    if n < 3:
        return o
    residuals = 0 if flat else math.fsum((w - my - slope * (v - mx)) ** 2 for v, w in zip(x, y))
    df = n - 2
    sd, t = math.sqrt(residuals / df), t_quantile(0.975, df)
    se, se0 = sd / math.sqrt(sxx), sd * math.sqrt(1 / n + mx * mx / sxx)
    o.update(residual_sd=sd, slope_se=se, intercept_se=se0, slope_low=slope - t * se, slope_high=slope + t * se,
             intercept_low=o["intercept"] - t * se0, intercept_high=o["intercept"] + t * se0)
    o["slope_p"] = 2 * t_tail(abs(slope / se), df) if se > 0 else NAN if slope == 0 else 0.0
    return o


def bland_altman(a, b):
    d, n = [x - y for x, y in zip(a, b)], len(a)
    keys = ("bias_low", "bias_high", "sd", "lower", "lower_low", "lower_high", "upper", "upper_low", "upper_high",
            "exact_lower_low", "exact_lower_high", "exact_upper_low", "exact_upper_high")
    o = dict.fromkeys(keys, NAN) | {"bias": mean_of(d), "over_mean": line([(x + y) / 2 for x, y in zip(a, b)], d)}
    if n < 2:
        return o
    bias, sd = o["bias"], math.sqrt(math.fsum((x - o["bias"]) ** 2 for x in d) / (n - 1))
    t = t_quantile(0.975, n - 1) * sd
    half, wide, root = t / math.sqrt(n), t * math.sqrt(1 / n + Z * Z / (2 * (n - 1))), math.sqrt(n)
    inner, outer = (noncentral_t_quantile(p, n - 1, Z * root) / root * sd for p in (0.025, 0.975))
    o.update(sd=sd, bias_low=bias - half, bias_high=bias + half, lower=bias - Z * sd, upper=bias + Z * sd,
             exact_upper_low=bias + inner, exact_upper_high=bias + outer, exact_lower_low=bias - outer,
             exact_lower_high=bias - inner)
    for side in ("lower", "upper"):
        o[side + "_low"], o[side + "_high"] = o[side] - wide, o[side] + wide
    return o


def icc(a, b):
    o, n, k = dict.fromkeys(("agreement", "agreement_low", "agreement_high", "consistency", "consistency_low",
                             "consistency_high"), NAN), len(a), 2
    if n < 2 or all(v == a[0] for v in (*a, *b)):
        return o
    grand = mean_of([*a, *b])
    row = [(x + y) / 2 for x, y in zip(a, b)]
    columns = [mean_of(a) - grand, mean_of(b) - grand]
    msr = k * math.fsum((r - grand) ** 2 for r in row) / (n - 1)
    msc = n * math.fsum(c * c for c in columns) / (k - 1)
    mse = math.fsum((x - r - c) ** 2 for v, c in zip((a, b), columns) for x, r in zip(v, row)) / ((n - 1) * (k - 1))
    o["consistency"] = (msr - mse) / (msr + (k - 1) * mse)
    o["agreement"] = value = (msr - mse) / (msr + (k - 1) * mse + k * (msc - mse) / n)
    if mse == 0:
        o["consistency_low"] = o["consistency_high"] = 1.0
    else:
        f, df = msr / mse, (n - 1) * (k - 1)
        low, high = f / f_quantile(0.975, n - 1, df), f * f_quantile(0.975, df, n - 1)
        o["consistency_low"], o["consistency_high"] = ((v - 1) / (v + k - 1) for v in (low, high))
    if value == 1:
        return o
    x, y = k * value / (n * (1 - value)), 1 + k * value * (n - 1) / (n * (1 - value))
    both = x * msc + y * mse
    under = (x * msc) ** 2 / (k - 1) + (y * mse) ** 2 / ((n - 1) * (k - 1))
    df = both * both / under if under else NAN
    if not math.isfinite(df) or df <= 0:
        return o
    f, g, rest = f_quantile(0.975, n - 1, df), f_quantile(0.975, df, n - 1), k * msc + (k * n - k - n) * mse
    o["agreement_low"] = n * (msr - f * mse) / (f * rest + n * msr)
    o["agreement_high"] = n * (g * msr - mse) / (rest + n * g * msr)
    return o


def share(count, n):
    p = count / n
    center = (p + Z * Z / (2 * n)) / (1 + Z * Z / n)
    half = Z / (1 + Z * Z / n) * math.sqrt(p * (1 - p) / n + Z * Z / (4 * n * n))
    return {"count": count, "n": n, "share": p, "low": 0 if count == 0 else center - half,
            "high": 1 if count == n else center + half}


def moved(a, b, by):
    return share(sum(abs(x - y) > by for x, y in zip(a, b)), len(a))


def components(pred, below):
    pos = [p for p, b in zip(pred, below) if b]
    neg = [p for p, b in zip(pred, below) if not b]

    def higher(p, q):  # a score is minus the prediction
        return 1.0 if p < q else 0.5 if p == q else 0.0

    return [sum(higher(p, q) for q in neg) / len(neg) if b else sum(higher(q, p) for q in pos) / len(pos)
            for p, b in zip(pred, below)]


def covariance(a, b, ma, mb, below):
    counts = [below.count(False), below.count(True)]
    if min(counts) < 2:
        return NAN
    sums = [math.fsum((x - ma) * (y - mb) for x, y, c in zip(a, b, below) if c == which) for which in (False, True)]
    return sum(s / (c - 1) / c for s, c in zip(sums, counts))


def auc(pred, below):
    o = {"positives": below.count(True), "negatives": below.count(False), "auc": NAN, "se": NAN, "low": NAN,
         "high": NAN}
    if o["positives"] and o["negatives"]:
        c = components(pred, below)
        value = math.fsum(x for x, b in zip(c, below) if b) / o["positives"]
        se = math.sqrt(covariance(c, c, value, value, below))
        o.update(auc=value, se=se)
        if not math.isnan(se):
            o.update(low=max(0, value - Z * se), high=min(1, value + Z * se))
    return o


def auc_pair(a, b, below):
    o = dict.fromkeys(("difference", "se", "low", "high", "z", "p"), NAN)
    if not (any(below) and not all(below)):
        return o
    c = [x - y for x, y in zip(components(a, below), components(b, below))]
    d = auc(a, below)["auc"] - auc(b, below)["auc"]
    se = math.sqrt(covariance(c, c, d, d, below)) if any(c) or min(map(below.count, (True, False))) < 2 else 0.0
    o.update(difference=d, se=se, low=d - Z * se, high=d + Z * se)
    if se > 0:
        o.update(z=d / se, p=math.erfc(abs(d / se) / math.sqrt(2)))
    elif se == 0 and d == 0:
        o["p"] = 1.0
    return o


def wilcoxon(d):
    kept = [x for x in d if x != 0]
    n, zeros = len(kept), len(d) - len(kept)
    order = sorted(range(n), key=lambda i: abs(kept[i]))
    ranks, ties, i = [0.0] * n, 0, 0
    while i < n:
        end = i
        while end < n and abs(kept[order[end]]) == abs(kept[order[i]]):
            end += 1
        for j in order[i:end]:
            ranks[j] = (i + end + 1) / 2
        ties += (end - i) ** 3 - (end - i)
        i = end
    plus = sum(r for r, x in zip(ranks, kept) if x > 0)
    walsh = sorted((x + y) / 2 for i, x in enumerate(d) for y in d[i:])
    half = (len(walsh) + 1) // 2
    hl = walsh[half - 1] if len(walsh) % 2 else (walsh[half - 1] + walsh[half]) / 2
    o = {"n": n, "zeros": zeros, "plus": plus, "minus": sum(ranks) - plus, "z": NAN, "p": NAN, "method": "none",
         "hodges_lehmann": hl}
    plain = not ties and not zeros
    if n == 0:
        o["p"] = 1.0 if zeros else NAN
    elif n <= 50 if plain else n + zeros <= 13:
        ways = {0: 1}
        for r in ranks:
            new = dict(ways)
            for s, c in ways.items():
                new[s + 2 * r] = new.get(s + 2 * r, 0) + c
            ways = new
        low, high = (sum(c for s, c in ways.items() if cmp(s)) for cmp in
                     (lambda s: s <= 2 * plus, lambda s: s >= 2 * plus))
        o.update(p=min(1, 2 * min(low, high) / 2**n), method="exact" if plain else "exact with ties")
    else:
        o["z"] = (plus - n * (n + 1) / 4) / math.sqrt((n * (n + 1) * (2 * n + 1) - ties / 2) / 24)
        o.update(p=math.erfc(abs(o["z"]) / math.sqrt(2)), method="normal approximation")
    return o


def reclass(old, new, cut):
    o = {"stay_below": 0, "stay_above": 0, "up": 0, "down": 0}
    for x, y in zip(old, new):
        o["stay_below" if x < cut and y < cut else "up" if x < cut else "down" if y < cut else "stay_above"] += 1
    n, fewer = o["up"] + o["down"], min(o["up"], o["down"])
    o["mcnemar_p"] = min(1, 2 * sum(math.comb(n, i) for i in range(fewer + 1)) / 2**n) if n else 1.0
    return o


def metrics(pred, ef):
    n, e = len(ef), [p - y for p, y in zip(pred, ef)]
    mean = mean_of(ef)
    total = math.fsum((y - mean) ** 2 for y in ef)
    squares = math.fsum(x * x for x in e)
    varies = any(y != ef[0] for y in ef)
    return {"mae": mean_of([abs(x) for x in e]), "rmse": math.sqrt(squares / n), "bias": mean_of(e),
            "r2": 1 - squares / total if varies else NAN, "clips": n}


def strata(pred, clips, by, cuts):
    """cuts None: thirds"""
    v = [c[by] for c in clips]
    if not all(v) and by != "ef":
        return []
    if cuts is None:
        cuts = []
        for third in (1, 2):
            cut = quantile(sorted(v), third / 3.0)
            if cut > min(v) and (not cuts or cut > cuts[-1]):
                cuts.append(cut)
    out = []
    for low, high in zip([-math.inf, *cuts], [*cuts, math.inf]):
        inside = [i for i, x in enumerate(v) if low <= x < high]
        if not inside:
            continue
        p, y = [pred[i] for i in inside], [clips[i]["ef"] for i in inside]
        e = [abs(a - b) for a, b in zip(p, y)]
        half = t_quantile(0.975, len(e) - 1) * sd_of(e) / math.sqrt(len(e)) if len(e) > 1 else NAN
        same = not cuts
        least = mean_of(e) - half
        out.append({"from": v[0] if same else low, "to": v[0] if same else high, "metrics": metrics(p, y),
                    "mae_low": max(0.0, least) if least == least else NAN, "mae_high": mean_of(e) + half})
    return out


def decision(low, high, margin):
    if any(map(math.isnan, (low, high, margin))):
        return "none"
    return "non-inferior" if high < margin else "inferior" if low > margin else "not shown"


def holm(p):
    out, most, left = list(p), 0.0, sum(not math.isnan(x) for x in p)
    for i in sorted((i for i, x in enumerate(p) if not math.isnan(x)), key=lambda i: p[i]):
        most = max(most, min(1, left * p[i]))
        out[i], left = most, left - 1
    return out


# ---- a run --------------------------------------------------------------------------------------------------------


def read_run(folder):
    """Predictions by row, each a dict of clips; the rows of results.json."""
    results = json.loads((folder / "results.json").read_text())
    rows = {m["model"]: m for m in results["models"]}
    out = {}
    for row in rows:
        path = folder / "predictions" / f"{FILES.get(row, row)}.csv"
        if row == "Median" or not path.exists():
            continue
        with path.open(newline="", encoding="utf-8") as f:
            out[row] = {r["FileName"]: {"ef": float(r["EF"]), "prediction": float(r["Prediction"]),
                                        "patient": r.get("Patient") or None, "frames": float(r.get("Frames") or 0),
                                        "fps": float(r.get("FPS") or 0)} for r in csv.DictReader(f)}
    return rows, {row: clips for row, clips in out.items() if clips}


def pairs_of(rows, same):
    base = "FP32+" if "FP32+" in rows else "FP32"
    wanted = [("PTQ", "FP32"), ("QAT", base), ("QAT", "PTQ")]
    wanted += [(r, "FP32") for r in rows if r not in ("FP32", "PTQ", "QAT", "FP32+")]
    return [(a, b) for a, b in wanted if a in rows and b in rows and same(a, b)]


def true_efs(clips):
    return {name: c["ef"] for name, c in clips.items()}


class Verdict:
    """One run: models and pairs as statistics.json has them."""

    def __init__(self, folder, replicates, seed, margins):
        rows, read = read_run(folder)
        self.precision = {r: rows[r].get("precision", "") for r in read}
        median = rows.get("Median", {}).get("prediction", NAN)
        self.pairs = pairs_of(read, lambda a, b: true_efs(read[a]) == true_efs(read[b]))
        self.models, self.of_pair, self.runs, done = {}, {}, {}, []
        for row in read:
            if row in done:
                continue
            group = [r for r in read if true_efs(read[r]) == true_efs(read[row])]
            done += group
            names = list(read[row])
            clips = [read[row][n] for n in names]
            pred = {r: [read[r][n]["prediction"] for n in names] for r in group}
            run = Run(clips, group, pred, [p for p in self.pairs if p[0] in group], median)
            boot = bootstrap(run, replicates, seed)
            for r in group:
                self.runs[r] = run
                self.models[r] = self.model(run, r, boot)
            for p in run.pairs:
                self.of_pair[p] = self.pair(run, p, boot, margins)
        for p, adjusted in zip(self.pairs, holm([self.of_pair[p]["wilcoxon"]["p"] for p in self.pairs])):
            self.of_pair[p]["wilcoxon_holm"] = adjusted
        self.models = {r: self.models[r] for r in read}

    def model(self, run, row, boot):
        pred, ef = run.pred[row], run.ef
        patients = max(run.units()) + 1 if any(c["patient"] for c in run.clips) else 0
        o = {"clips": len(ef), "patients": patients, "row": row, "precision": self.precision[row],
             "metrics": metrics(pred, ef), "outliers": moved(pred, ef, OUTLIER), "agreement": bland_altman(pred, ef),
             "icc": icc(pred, ef), "calibration": line(pred, ef),
             "auc": [{"cut": c} | auc(pred, b) for c, b in zip(CUTS, run.below)],
             "strata": {"ef": strata(pred, run.clips, "ef", [40, 50]), "frames": strata(pred, run.clips, "frames", None),
                        "fps": strata(pred, run.clips, "fps", None)}}
        for k, key in enumerate(("mae", "rmse", "r2", "bias", "quality")):
            o[key] = boot[row, k]
        o["auc_boot"] = [{"cut": c} | boot[row, 5 + k] for k, c in enumerate(CUTS)]
        return o

    def pair(self, run, pair, boot, margins):
        a, b, ef = run.pred[pair[0]], run.pred[pair[1]], run.ef
        d = [abs(x - y) - abs(z - y) for x, z, y in zip(a, b, ef)]
        o = {"model": pair[0], "minus": pair[1], "wilcoxon": wilcoxon(d), "agreement": bland_altman(a, b),
             "rms": math.sqrt(math.fsum((x - y) ** 2 for x, y in zip(a, b)) / len(ef)), "icc": icc(a, b),
             "moved": [{"by": m} | moved(a, b, m) for m in MOVES],
             "auc": [{"cut": c} | auc_pair(a, b, w) for c, w in zip(CUTS, run.below)],
             "reclass": [{"cut": c} | reclass(b, a, c) for c in CUTS]}
        for k, key in enumerate(("mae", "rmse", "r2", "quality_ratio")):
            o[key] = boot[pair, k]
        mae = o["mae"]
        o["verdict"] = decision(mae["low"], mae["high"], margins[0])
        o["verdict_bca"] = decision(mae["bca_low"], mae["bca_high"], margins[0])
        o["verdict_stated"] = decision(mae["low"], mae["high"], margins[1])
        o["mlperf"] = o["quality_ratio"]["value"] >= MLPERF
        return o


def over_seeds(seeds, replicates, seed, margins):
    """models and pairs over the seeds: by row, by pair"""
    models, pairs = {}, {}

    def runs_of(rows):
        out, names = [], None
        for v in seeds:
            if not all(r in v.runs for r in rows):
                continue
            run = v.runs[rows[0]]
            out.append(Run(run.clips, list(rows), {r: v.runs[r].pred[r] for r in rows},
                           [tuple(rows)] if len(rows) == 2 else [], run.median, False))
        return out

    for v in seeds:
        for row in v.models:
            if row not in models:
                runs = runs_of([row])
                boot = bootstrap_runs(runs, replicates, seed)
                models[row] = {k: v.models[row][k] for k in ("clips", "patients", "row", "precision")} | {
                    "runs": len(runs), "over_mae": boot[row, 0], "over_rmse": boot[row, 1], "over_r2": boot[row, 2],
                    "over_quality": boot[row, 4]}
        for pair in v.pairs:
            if pair in pairs:
                continue
            runs = runs_of(list(pair))
            boot = bootstrap_runs(runs, replicates, seed)
            o = {"model": pair[0], "minus": pair[1], "runs": len(runs), "over_mae": boot[pair, 0],
                 "over_rmse": boot[pair, 1], "over_r2": boot[pair, 2], "over_quality_ratio": boot[pair, 3]}
            mae = o["over_mae"]
            o["verdict"] = decision(mae["t_low"], mae["t_high"], margins[0])
            o["verdict_bca"] = decision(mae["low"], mae["high"], margins[0])
            o["verdict_stated"] = decision(mae["t_low"], mae["t_high"], margins[1])
            o["mlperf"] = o["over_quality_ratio"]["value"] >= MLPERF
            pairs[pair] = o
    return models, pairs


# ---- comparing ----------------------------------------------------------------------------------------------------

compared, differences = 0, []


def number(x):
    return NAN if x is None else x


def close(a, b):
    if not math.isfinite(a) or not math.isfinite(b):  # JSON has null for both
        return not math.isfinite(a) and not math.isfinite(b)
    return abs(a - b) <= 1e-9 * max(1, abs(b))


def compare(found, wanted, where):
    global compared
    if isinstance(wanted, dict):
        if set(found) != set(wanted):
            differences.append(f"{where}: keys {sorted(set(found) ^ set(wanted))}")
        for key in set(found) & set(wanted):
            compare(found[key], wanted[key], f"{where}.{key}")
    elif isinstance(wanted, list):
        if len(found) != len(wanted):
            differences.append(f"{where}: {len(found)} items instead of {len(wanted)}")
        for i, (f, w) in enumerate(zip(found, wanted)):
            compare(f, w, f"{where}[{i}]")
    else:
        compared += 1
        text = isinstance(wanted, (str, bool))
        if found != wanted if text else not close(number(found), wanted):
            differences.append(f"{where}: {found}, recomputed {wanted}")


def tables_of(report):
    """The first table of each section of report.md, by its title, as a list of rows of cells; "results": that table."""
    out, title, table = {}, "", None
    for text in report.split("\n"):
        if text.startswith("## "):
            title = text[3:]
        if not text.startswith("|"):
            table = None
            continue
        cells = [c.strip() for c in re.split(r"(?<!\\)\|", text)[1:-1]]
        if table is None:
            table = out.setdefault("results" if cells[:2] == ["Model", "Precision"] else title, [])
            table = [] if table else table  # a second table of the section
        if not re.fullmatch(r":?-+:?", cells[0]):
            table.append(cells)
    return out


def expect_cell(cell, numbers, after, where, times=1):
    """The cell prints these numbers, rounded; NaN is not printed."""
    global compared
    compared += 1
    wanted = [x * times for x in numbers if math.isfinite(x)] if math.isfinite(numbers[0]) else []
    if len(numbers) == 3 and len(wanted) < 3:
        wanted = wanted[:1]
    printed = [float(x) for x in re.findall(r"[-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?", cell)] if cell != "-" else []
    tolerance = [(0.5 * 10.0**-after if after is not None else 0.006 * abs(w)) + 1e-9 for w in wanted]
    if len(printed) != len(wanted) or any(abs(p - w) > t for p, w, t in zip(printed, wanted, tolerance)):
        differences.append(f"report.md, {where}: \"{cell}\", recomputed {wanted}")


def check_table(tables, title, rows, columns):
    """rows: [(first cell, item of each run)]; columns: {name: (numbers of an item, digits after the point, factor)}"""
    if not rows:
        return
    if title not in tables:
        differences.append(f"report.md has no section {title}")
        return
    header, *body = tables[title]
    if len(body) != len(rows):
        differences.append(f"report.md, {title}: {len(body)} rows instead of {len(rows)}")
    for cells, (name, items) in zip(body, rows):
        if cells[0] != name:
            differences.append(f"report.md, {title}: row {cells[0]} instead of {name}")
        for column, (get, after, times) in columns.items():
            values = [get(i) for i in items]
            if len(values) > 1:  # over seeds: mean, least, greatest
                first = [v[0] for v in values if not math.isnan(v[0])] or [NAN]
                numbers = [sum(first) / len(first), min(first), max(first)]
                if after is None:
                    numbers = numbers[1:]
                expect_cell(cells[header.index(column)], numbers, after, f"{title}, {name}, {column}", times)
            else:
                expect_cell(cells[header.index(column)], values[0], after, f"{title}, {name}, {column}", times)


def boot(key):
    return lambda i: [i[key]["value"], i[key]["low"], i[key]["high"]]


def limits(*path):
    def get(item):
        for p in path[:-1]:
            item = item[p]
        return [item[path[-1] + s] for s in ("", "_low", "_high")]

    return get


def part(item, low="low", high="high", value="value"):
    return [item[value], item[low], item[high]]


def check_report(run, models, pairs, seeds, over):
    """models, pairs: by name, the items of each run"""
    tables = tables_of((run / "report.md").read_text())
    named = list(models.items())
    of_pair = [(f"{a} - {b}", items) for (a, b), items in pairs.items()]
    if not seeds:
        check_table(tables, "Errors with intervals", named, {
            "MAE": (boot("mae"), 2, 1), "RMSE": (boot("rmse"), 2, 1), "R2": (boot("r2"), 3, 1),
            "Bias": (boot("bias"), 2, 1), "Errors above 15 points (%)": (lambda i: part(i["outliers"], value="share"), 1, 100)})
        check_table(tables, "Differences between models", of_pair, {
            "MAE": (boot("mae"), 3, 1), "MAE, BCa": (lambda i: part(i["mae"], "bca_low", "bca_high"), 3, 1),
            "RMSE": (boot("rmse"), 3, 1), "R2": (boot("r2"), 3, 1),
            "Median error": (lambda i: [i["wilcoxon"]["hodges_lehmann"]], 3, 1),
            "Wilcoxon p": (lambda i: [i["wilcoxon"]["p"]], None, 1), "Holm p": (lambda i: [i["wilcoxon_holm"]], None, 1)})
        rule = [(p, i) for p, i in pairs.items() if i[0]["int8"]]
        check_table(tables, "MLPerf's rule", [(p[0], i) for p, i in rule], {
            "Quality": (lambda i: [models[i["model"]][0]["quality"]["value"]], 3, 1),
            "Quality of the baseline": (lambda i: [models[i["minus"]][0]["quality"]["value"]], 3, 1),
            "Ratio (%)": (boot("quality_ratio"), 2, 100)})
    else:
        def two(key):
            return {name: (lambda i, name=name: [i[0][key][name]]) for name in ("sd_runs", "se_clips")}

        for title, items in (("Errors with intervals", over[0].items()),
                             ("Differences between models", ((f"{a} - {b}", i) for (a, b), i in over[1].items()))):
            header, *body = tables[title]
            digits = (2, 2, 3) if title.startswith("Errors") else (3, 3, 3)
            for cells, (name, i) in zip(body, items):
                for key, after in zip(("mae", "rmse", "r2"), digits):
                    at, o = header.index(key.upper()), i["over_" + key]
                    expect_cell(cells[at], [o["value"], o["t_low"], o["t_high"]], after, f"{title}, {name}, {key}")
                    expect_cell(cells[at + 1], [o["sd_runs"]], after, f"{title}, {name}, SD of {key}")
                    expect_cell(cells[at + 2], [o["se_clips"]], after, f"{title}, {name}, SE of {key}")
    check_table(tables, "What it changes for a clip", of_pair, {
        "Bias": (limits("agreement", "bias"), 3, 1), "Lower limit": (limits("agreement", "lower"), 3, 1),
        "Upper limit": (limits("agreement", "upper"), 3, 1),
        "Slope over the mean": (limits("agreement", "over_mean", "slope"), 3, 1), "RMS": (lambda i: [i["rms"]], 3, 1),
        "ICC(2,1)": (limits("icc", "agreement"), 5, 1),
        **{f"Moved > {m} (%)": (lambda i, k=k: part(i["moved"][k], value="share"), 1, 100) for k, m in enumerate(MOVES)}})
    check_table(tables, "Agreement with the true EF", named, {
        "Bias": (limits("agreement", "bias"), 2, 1), "Lower limit": (limits("agreement", "lower"), 2, 1),
        "Upper limit": (limits("agreement", "upper"), 2, 1),
        "Slope over the mean": (limits("agreement", "over_mean", "slope"), 3, 1),
        "ICC(2,1)": (limits("icc", "agreement"), 3, 1)})
    by_patient = any(items[0]["patients"] for items in models.values())
    check_table(tables, "AUC for a low EF", named, {
        f"EF below {c} %": (lambda i, k=k: [i["auc"][k]["auc"], *(i["auc_boot" if by_patient else "auc"][k][s]
                                                               for s in ("low", "high"))], 3, 1)
        for k, c in enumerate(CUTS)})
    check_table(tables, "Differences of AUC",
                [(name, [i["auc"][k] for i in items]) for name, items in of_pair for k in range(len(CUTS))],
                {"Difference": (lambda i: part(i, value="difference"), 4, 1), "DeLong p": (lambda i: [i["p"]], None, 1)})
    check_table(tables, "Clips that change class",
                [(f"{b} to {a}", [i["reclass"][k] for i in items]) for (a, b), items in pairs.items()
                 for k in range(len(CUTS))],
                {"Stay below": (lambda i: [i["stay_below"]], 1 if seeds else 0, 1),
                 "Stay at or above": (lambda i: [i["stay_above"]], 1 if seeds else 0, 1),
                 "Move up": (lambda i: [i["up"]], 1 if seeds else 0, 1),
                 "Move down": (lambda i: [i["down"]], 1 if seeds else 0, 1),
                 "McNemar p": (lambda i: [i["mcnemar_p"]], None, 1)})
    check_table(tables, "Calibration", named, {
        "Slope": (limits("calibration", "slope"), 3, 1), "Intercept": (limits("calibration", "intercept"), 2, 1),
        "Correlation": (lambda i: [i["calibration"]["r"]], 3, 1)})
    for key, title in (("ef", "Errors by EF"), ("frames", "Errors by length of the clip"), ("fps", "Errors by frame rate")):
        check_strata(tables, title, key, models)
    if not seeds:
        check_results(tables["results"], models)


def check_results(table, models):
    """The errors in the table of results."""
    header, *body = table
    for cells in body:
        items = models.get(cells[0])
        if items:
            for column, key, after in (("MAE", "mae", 2), ("RMSE", "rmse", 2), ("R2", "r2", 3), ("Bias", "bias", 2)):
                expect_cell(cells[header.index(column)], [items[0]["metrics"][key]], after, f"{cells[0]}, {column}")
        if items and "FP32" in models and cells[0] != "FP32":
            change = items[0]["metrics"]["mae"] - models["FP32"][0]["metrics"]["mae"]
            expect_cell(cells[header.index("MAE vs FP32")], [change], 2, f"{cells[0]}, MAE vs FP32")


def check_strata(tables, title, key, models):
    first = next(iter(models.values()))[0]["strata"][key]
    if not first:
        if title in tables:
            differences.append(f"report.md has {title}, which is not known")
        return
    header, *body = tables[title]
    for s, (cells, stratum) in enumerate(zip(body, first)):
        expect_cell(cells[1], [stratum["metrics"]["clips"]], 0, f"{title}, row {s + 1}")
        for row, items in models.items():
            of = [i["strata"][key] for i in items]
            if s >= len(of[0]) or of[0][s]["metrics"]["clips"] != stratum["metrics"]["clips"]:
                continue
            values = [o[s]["metrics"]["mae"] for o in of]
            numbers = [sum(values) / len(values), min(values), max(values)] if len(values) > 1 else [
                values[0], of[0][s]["mae_low"], of[0][s]["mae_high"]]
            expect_cell(cells[header.index(row)], numbers, 2, f"{title}, row {s + 1}, {row}")


def main():
    run = Path(sys.argv[1])
    found = json.loads((run / "statistics.json").read_text())
    assert found["format"] == "echoquant-statistics-1"
    boot_of, margin = found["bootstrap"], found["margin"]
    how = boot_of["replicates"], boot_of["seed"], (margin["points"], number(margin["stated_points"]))
    if "seeds" in found:
        seeds = [Verdict(run / f"seed-{s['seed']}", *how) for s in found["seeds"]]
        for s, v in zip(found["seeds"], seeds):
            compare(s["models"], list(v.models.values()), f"seed {s['seed']}: models")
            compare(s["pairs"], [v.of_pair[p] for p in v.pairs], f"seed {s['seed']}: pairs")
        over = over_seeds(seeds, *how)
        compare(found["models"], list(over[0].values()), "models")
        compare(found["pairs"], list(over[1].values()), "pairs")
        models = {r: [v.models[r] for v in seeds if r in v.models] for r in over[0]}
        pairs = {p: [v.of_pair[p] for v in seeds if p in v.of_pair] for p in over[1]}
        check_report(run, models, pairs, True, over)
    else:
        v = Verdict(run if (run / "predictions").exists() else next(run.glob("seed-*")), *how)  # or the only seed
        compare(found["models"], list(v.models.values()), "models")
        compare(found["pairs"], [v.of_pair[p] for p in v.pairs], "pairs")
        for p, o in v.of_pair.items():
            o["int8"] = v.precision[p[0]] == "INT8" and v.precision[p[1]] != "INT8"
        check_report(run, {r: [m] for r, m in v.models.items()}, {p: [o] for p, o in v.of_pair.items()}, False, None)
    for line_ in differences[:40]:
        print(line_)
    print(f"{compared} figures compared, {len(differences)} differ")
    sys.exit(1 if differences or compared < 100 else 0)


if __name__ == "__main__":
    main()
