#!/usr/bin/env python3
"""Write stats.json: what SciPy, scikit-learn, statsmodels and pingouin find, for test_golden_stats.c.

Made with scipy 1.17.1, scikit-learn 1.9.1, statsmodels 0.15.0 and pingouin 0.7.0 (the file records them):

    python tests/golden/data_stats.py > tests/golden/stats.json

Where no package has a figure (Bland-Altman's intervals, DeLong's variance, the bootstrap over two levels), it is written
here straight from the paper's definition, in another way than src/stats computes it. The bootstrap draws the program's
own samples, by its counter-based generator, and scipy.stats.bootstrap makes the intervals of them.
"""
import json
import math
import sys
import warnings

import numpy as np
import pandas as pd
import pingouin
import scipy
import sklearn
import statsmodels
import statsmodels.api as sm
from scipy import stats
from sklearn import metrics
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

warnings.filterwarnings("ignore")
CUTS = (35, 40, 45, 50)


# ---- the generator of src/base/rng.c ------------------------------------------------------------------------------

def philox(counter, key):
    """Philox4x32-10; counter: [..., 4] uint64, key: two ints."""
    c = [counter[..., i].astype(np.uint64) for i in range(4)]
    k = [np.uint64(key[0]), np.uint64(key[1])]
    low = np.uint64(0xFFFFFFFF)
    for _ in range(10):
        p0, p1 = np.uint64(0xD2511F53) * c[0], np.uint64(0xCD9E8D57) * c[2]
        c = [(p1 >> np.uint64(32)) ^ c[1] ^ k[0], p1 & low, (p0 >> np.uint64(32)) ^ c[3] ^ k[1], p0 & low]
        k = [(k[0] + np.uint64(0x9E3779B9)) & low, (k[1] + np.uint64(0xBB67AE85)) & low]
    return np.stack(c, -1)


def draws(seed: int, replicate: int, level: int, n: int) -> np.ndarray:
    """n draws from 0..n-1 with replacement, as eq_rng_below makes them in the stream of a replicate."""
    blocks = np.zeros((n, 4), np.uint64)
    blocks[:, 0], blocks[:, 1], blocks[:, 2], blocks[:, 3] = np.arange(n), level, replicate, 10
    words = philox(blocks, (seed & 0xFFFFFFFF, seed >> 32)).ravel()
    m = words * np.uint64(n)
    kept = m[(m & np.uint64(0xFFFFFFFF)) >= np.uint64((1 << 32) % n)]
    return (kept[:n] >> np.uint64(32)).astype(int)


# ---- figures ------------------------------------------------------------------------------------------------------

def r2(pred, truth):
    return metrics.r2_score(truth, pred) if len(np.unique(truth)) > 1 else math.nan


def errors(pred, truth) -> dict:
    if len(truth) == 0:
        return {"mae": math.nan, "rmse": math.nan, "r2": math.nan, "bias": math.nan}
    return {"mae": metrics.mean_absolute_error(truth, pred), "rmse": metrics.root_mean_squared_error(truth, pred),
            "r2": r2(pred, truth), "bias": float(np.mean(pred - truth))}


def wilcoxon(d) -> dict:
    if not np.any(d):
        return {"p": 1.0, "z": math.nan, "plus": 0.0, "minus": 0.0, "hodges_lehmann": 0.0}
    kept = d[d != 0]
    ranks = stats.rankdata(abs(kept))
    exact = len(d) <= 50 and (len(kept) == len(d) and len(set(abs(d))) == len(d)) or len(d) <= 13
    z = math.nan
    if not exact:
        z = -stats.wilcoxon(d, method="asymptotic").zstatistic * np.sign(ranks[kept > 0].sum() - ranks[kept < 0].sum())
    walsh = [(d[i] + d[j]) / 2 for i in range(len(d)) for j in range(i, len(d))]
    return {"p": stats.wilcoxon(d).pvalue, "z": z, "plus": ranks[kept > 0].sum(), "minus": ranks[kept < 0].sum(),
            "hodges_lehmann": np.median(walsh)}


LINE = ("slope", "slope_se", "slope_low", "slope_high", "slope_p", "intercept", "intercept_se", "intercept_low",
        "intercept_high", "r", "residual_sd")


def line(x, y) -> dict:
    if len(x) < 2 or np.ptp(x) == 0:
        return dict.fromkeys(LINE, math.nan)
    if np.ptp(y) == 0:  # statsmodels finds rounding errors
        few = math.nan if len(x) < 3 else 0.0
        mean = math.nan if len(x) < 3 else y[0]
        return {"slope": 0.0, "slope_se": few, "slope_low": few, "slope_high": few, "slope_p": math.nan,
                "intercept": y[0], "intercept_se": few, "intercept_low": mean, "intercept_high": mean, "r": math.nan,
                "residual_sd": few}
    if len(x) == 2:
        out = dict.fromkeys(LINE, math.nan)
        slope = (y[1] - y[0]) / (x[1] - x[0])
        return out | {"slope": slope, "intercept": y[0] - slope * x[0], "r": np.sign(slope)}
    fit = sm.OLS(y, sm.add_constant(x)).fit()
    ci = fit.conf_int()
    return {"slope": fit.params[1], "slope_se": fit.bse[1], "slope_low": ci[1][0], "slope_high": ci[1][1],
            "slope_p": fit.pvalues[1], "intercept": fit.params[0], "intercept_se": fit.bse[0],
            "intercept_low": ci[0][0], "intercept_high": ci[0][1], "r": stats.pearsonr(x, y).statistic,
            "residual_sd": math.sqrt(fit.mse_resid)}


def bland_altman(a, b) -> dict:
    d, n = a - b, len(a)
    out = {"bias": d.mean(), "over_mean": line((a + b) / 2, d)}
    if n < 2:
        return out
    sd, z, t = d.std(ddof=1), stats.norm.ppf(0.975), stats.t.ppf(0.975, n - 1)
    out |= {"sd": sd, "bias_low": d.mean() - t * sd / math.sqrt(n), "bias_high": d.mean() + t * sd / math.sqrt(n)}
    half = t * math.sqrt(sd**2 / n + z**2 * sd**2 / (2 * (n - 1)))
    nct = [stats.nct.ppf(p, n - 1, z * math.sqrt(n)) * sd / math.sqrt(n) for p in (0.025, 0.975)]
    for name, sign in (("lower", -1), ("upper", 1)):
        limit = d.mean() + sign * z * sd
        exact = sorted(d.mean() + sign * x for x in nct)
        out |= {name: limit, name + "_low": limit - half, name + "_high": limit + half,
                f"exact_{name}_low": exact[0], f"exact_{name}_high": exact[1]}
    return out


def icc(a, b) -> dict | None:
    names = ("agreement", "agreement_low", "agreement_high", "consistency", "consistency_low", "consistency_high")
    if len(a) == 1:
        return dict.fromkeys(names, math.nan)
    if len(a) == 2:  # pingouin wants five values
        return None
    if np.array_equal(a, b):  # pingouin divides by 0
        return dict(zip(names, (1.0, math.nan, math.nan, 1.0, 1.0, 1.0)))
    pingouin.options.update({f"round.column.CI95{x}": None for x in ("", "%")})
    n = len(a)
    data = pd.DataFrame({"clip": np.r_[0:n, 0:n], "rater": ["a"] * n + ["b"] * n, "ef": np.r_[a, b]})
    table = pingouin.intraclass_corr(data, "clip", "rater", "ef").set_index("Type")
    column = next(c for c in table if c.startswith("CI"))
    kinds = [k for k in table.index if k in ("ICC2", "ICC3", "ICC(A,1)", "ICC(C,1)")]
    out = []
    for kind in sorted(kinds):
        out += [table["ICC"][kind], *table[column][kind]]
    return dict(zip(names, map(float, out)))


def delong(a, b, positive) -> dict:
    """The structural components by comparing each positive with each negative clip."""
    if positive.all() or not positive.any():
        return {}
    m, n = positive.sum(), (~positive).sum()
    psi = [(np.sign(s[positive][:, None] - s[~positive][None, :]) + 1) / 2 for s in (a, b)]
    auc = [metrics.roc_auc_score(positive, s) for s in (a, b)]
    out = {"auc_a": auc[0], "auc_b": auc[1], "difference": auc[0] - auc[1]}
    if m < 2 or n < 2:
        return out
    s = np.cov([p.mean(1) for p in psi]) / m + np.cov([p.mean(0) for p in psi]) / n
    se = math.sqrt(max(0, s[0, 0] + s[1, 1] - 2 * s[0, 1]))
    se = 0 if se < 1e-9 else se
    z = stats.norm.ppf(0.975)
    return out | {"var_a": s[0, 0], "var_b": s[1, 1], "covariance": s[0, 1], "se": se,
                  "low_a": max(0, auc[0] - z * math.sqrt(s[0, 0])), "high_a": min(1, auc[0] + z * math.sqrt(s[0, 0])),
                  "p": 2 * stats.norm.sf(abs(auc[0] - auc[1]) / se) if se else 1.0}


def roc(score, positive) -> dict:
    if positive.all() or not positive.any():
        return {}
    fpr, tpr, threshold = metrics.roc_curve(positive, score, drop_intermediate=False)
    return {"fpr": fpr, "tpr": tpr, "threshold": threshold[1:]}


def reclass(a, b, cut) -> dict:
    t = [[int(((a < cut) & (b < cut)).sum()), int(((a < cut) & (b >= cut)).sum())],
         [int(((a >= cut) & (b < cut)).sum()), int(((a >= cut) & (b >= cut)).sum())]]
    return {"table": t, "p": mcnemar(t, exact=True).pvalue if t[0][1] + t[1][0] else 1.0}


def summary(v) -> dict:
    counts, edges = np.histogram(v, bins=7)
    ecdf = stats.ecdf(v).cdf
    at = np.linspace(0, 1, 21)
    return {"p": at, "quantiles": np.quantile(v, at), "lo": edges[0], "hi": edges[-1], "histogram": counts,
            "ecdf_x": ecdf.quantiles, "ecdf_share": ecdf.probabilities}


def strata(pred, truth, by, cuts) -> list:
    out = []
    for lo, hi in zip((-np.inf, *cuts), (*cuts, np.inf)):
        inside = (by >= lo) & (by < hi)
        row = {"n": int(inside.sum()), **errors(pred[inside], truth[inside])}
        e = abs(pred - truth)[inside]
        ci = (math.nan, math.nan)
        if len(e) > 1:
            ci = stats.t.interval(0.95, len(e) - 1, e.mean(), stats.sem(e)) if np.ptp(e) else (e[0], e[0])
        out.append(row | {"mae_low": ci[0], "mae_high": ci[1]})
    return out


def case(name: str, a, b, truth, cluster=None) -> dict:
    a, b, truth = (np.asarray(v, float) for v in (a, b, truth))
    times = np.arange(len(a)) * 7 % 4
    weighted = None
    if times.any():
        weighted = {"mae": np.average(abs(a - truth), weights=times),
                    "rmse": metrics.root_mean_squared_error(truth, a, sample_weight=times),
                    "r2": r2(np.repeat(a, times), np.repeat(truth, times)),
                    "bias": np.average(a - truth, weights=times)}
    return {
        "name": name, "a": a, "b": b, "truth": truth,
        "errors": errors(a, truth), "times": times, "weighted": weighted,
        "wilcoxon": wilcoxon(abs(a - truth) - abs(b - truth)),
        "calibration": line(a, truth),
        "bland_altman": bland_altman(a, b), "bland_altman_truth": bland_altman(a, truth),
        "icc": icc(a, truth),
        "moved": [{"by": x, "count": int((abs(a - b) > x).sum()),
                   "ci": proportion_confint((abs(a - b) > x).sum(), len(a), method="wilson")} for x in (0.5, 1, 2, 5)],
        "cuts": [{"cut": c, "delong": delong(-a, -b, truth < c), "roc": roc(-a, truth < c), "reclass": reclass(a, b, c)}
                 for c in CUTS],
        "summary": summary(a),
        "strata": strata(a, truth, truth, (40, 50)),
    }


def cases() -> list:
    rng = np.random.default_rng(14)

    def made(name, n, noise, shift, digits):
        truth = rng.beta(6, 4, n) * 80 + 5
        a = truth + rng.normal(0, noise, n)
        b = a + rng.normal(0, shift, n)
        return case(name, *(np.round(v, digits) for v in (a, b, truth)))

    truth = np.round(rng.uniform(20, 75, 12), 1)
    out = [made("plain", 40, 6, 1, 4), made("ties", 60, 5, 1, 0), made("few ties", 12, 5, 1, 0),
           made("large", 250, 7, 2, 2), made("small", 5, 6, 1, 3), made("two", 2, 6, 1, 3), made("three", 3, 6, 1, 3)]
    out.append(case("one", [51.5], [50], [48]))
    out.append(case("same", truth + np.arange(12) % 5, truth + np.arange(12) % 5, truth))
    out.append(case("perfect", truth, truth[::-1], truth))
    out.append(case("constant truth", truth, truth + 1, np.full(12, 42.0)))
    out.append(case("constant prediction", np.full(12, 55.0), np.full(12, 54.5), truth))
    return out


# ---- bootstrap ----------------------------------------------------------------------------------------------------

def boot_statistics(a, b, truth, cut):
    """Of clips by their places, which may repeat: MAE, R2 of a, MAE(a) - MAE(b), AUC of a."""
    def compute(index):
        x, y, t = a[index], b[index], truth[index]
        positive = t < cut
        both = positive.any() and not positive.all()
        return np.array([np.mean(abs(x - t)), r2(x, t), np.mean(abs(x - t) - abs(y - t)),
                         metrics.roc_auc_score(positive, -x) if both else math.nan])
    return compute


def boot_case(name, c, cut, seed, replicates, cluster, level) -> dict:
    a, b, truth = c["a"], c["b"], c["truth"]
    units = [np.array([i]) for i in range(len(a))]
    if cluster is not None:
        units = [np.flatnonzero(cluster == k) for k in pd.unique(cluster)]
    compute = boot_statistics(a, b, truth, cut)
    table = np.array([compute(np.concatenate([units[u] for u in draws(seed, r, 0, len(units))]))
                      for r in range(replicates)]).T
    names, out = ("mae", "r2", "difference", "auc"), {}
    for j, key in enumerate(names):
        v = table[j][np.isfinite(table[j])]
        whole = compute(np.arange(len(a)))[j]
        v = np.where(np.isclose(v, whole, rtol=1e-12, atol=1e-13), whole, v)  # ties that rounding hides

        def statistic(index):
            return compute(np.concatenate([units[int(u)] for u in index]))[j]
        got = {"value": whole, "valid": len(v)}
        for method in ("percentile", "BCa"):
            class Earlier:
                bootstrap_distribution = v
            r = stats.bootstrap((np.arange(len(units)),), statistic, n_resamples=0, vectorized=False, method=method,
                                confidence_level=level, bootstrap_result=Earlier())
            got |= {"se": r.standard_error, method: list(r.confidence_interval)}
        out[key] = got
    return {"name": name, "case": c["name"], "cut": cut, "seed": seed, "replicates": replicates, "level": level,
            "cluster": cluster, "units": len(units), "statistics": out}


def runs_case(seed, replicates, runs, n) -> dict:
    """MAEs of several runs on the same clips: the mean over drawn runs, over drawn clips."""
    rng = np.random.default_rng(3)
    truth = np.round(rng.uniform(25, 70, n), 2)
    skill = rng.normal(5, 1, runs)
    pred = np.round(truth + rng.normal(0, 1, (runs, n)) * skill[:, None], 2)
    err = abs(pred - truth)
    per_run = err.mean(1)
    clips, both = [], []
    for r in range(replicates):
        e = err[:, draws(seed, r, 0, n)].mean(1)
        clips.append(e.mean())
        both.append(e[draws(seed, r, 1, runs)].mean())
    var_runs, var_clips = per_run.var(ddof=1) / runs, np.var(clips, ddof=1)
    df = (var_runs + var_clips)**2 / (var_runs**2 / (runs - 1) + var_clips**2 / (n - 1))
    t = stats.t.interval(0.95, df, per_run.mean(), math.sqrt(var_runs + var_clips))
    return {"seed": seed, "replicates": replicates, "truth": truth, "pred": pred, "value": per_run.mean(),
            "sd_runs": per_run.std(ddof=1), "se_runs": math.sqrt(var_runs), "se_clips": math.sqrt(var_clips), "df": df,
            "t": list(t), "percentile": list(np.quantile(both, (0.025, 0.975)))}


# ---- distributions ------------------------------------------------------------------------------------------------

def distributions() -> list:
    rows = []

    def add(function, *args, value):
        rows.append({"function": function, "args": args, "value": value})
    for x in (-30, -8, -1.5, 0, 0.3, 4):
        add("normal_cdf", x, value=stats.norm.cdf(x))
    ps = (1e-12, 0.001, 0.025, 0.3, 0.5, 0.8, 0.975, 1 - 1e-9)
    for p in ps:
        add("normal_quantile", p, value=stats.norm.ppf(p))
        for df in (1, 2.5, 30, 1276, 1e6):
            if df > 2 or p != 1e-12:
                add("student_t_quantile", p, df, value=stats.t.ppf(p, df))
            add("chi2_quantile", p, df, value=stats.chi2.ppf(p, df))
        for df1, df2 in ((1, 1), (3, 40), (40, 3.7), (1276, 1276), (1276, 55.5)):
            if min(df1, df2) > 1 or 1e-12 < p < 0.99:
                add("f_quantile", p, df1, df2, value=stats.f.ppf(p, df1, df2))
        for df, delta in ((1, 2.7), (4, 4.4), (39, 12.4), (249, 31), (1276, 70)):
            if 1e-12 < p < 0.99:
                add("noncentral_t_quantile", p, df, delta, value=stats.nct.ppf(p, df, delta))
    for t in (0, 0.5, 2, 9, 60):
        for df in (1, 4, 77.7, 5000):
            add("student_t_cdf", t, df, value=stats.t.cdf(t, df))
            add("student_t_cdf", -t, df, value=stats.t.cdf(-t, df))
            add("student_t_two_sided", t, df, value=2 * stats.t.sf(t, df))
    for x in (0.001, 0.7, 1, 3.3, 50):
        for df1, df2 in ((1, 1), (3, 40), (400, 380)):
            add("f_cdf", x, df1, df2, value=stats.f.cdf(x, df1, df2))
        for df in (1, 6, 45):
            add("chi2_cdf", x, df, value=stats.chi2.cdf(x, df))
        add("noncentral_t_cdf", x, 7, 1.1, value=stats.nct.cdf(x, 7, 1.1))
    for k, n, p in ((0, 5, 0.5), (2, 9, 0.5), (30, 100, 0.5), (7, 7, 0.2), (470, 1000, 0.5)):
        add("binomial_cdf", k, n, p, value=stats.binom.cdf(k, n, p))
    return rows


def plain(v):
    """Data for json: NaN becomes null, which stands for a figure that does not exist."""
    if isinstance(v, dict):
        return {k: plain(x) for k, x in v.items()}
    if isinstance(v, (list, tuple, np.ndarray)):
        return [plain(x) for x in v]
    if isinstance(v, np.generic):
        v = v.item()
    return None if isinstance(v, float) and not math.isfinite(v) else v


def main() -> int:
    all_cases = cases()
    by_name = {c["name"]: c for c in all_cases}
    clusters = np.array([5, 5, 9, 2, 2, 2, 7] * 5 + [1, 3, 3, 8, 11]) + np.arange(40) // 7 * 100
    p = [0.04, 0.001, math.nan, 0.03, 0.6, 0.02]
    kept = [x for x in p if not math.isnan(x)]
    holm = iter(multipletests(kept, method="holm")[1])
    out = {
        "scipy": scipy.__version__, "scikit-learn": sklearn.__version__, "statsmodels": statsmodels.__version__,
        "pingouin": pingouin.__version__,
        "distributions": distributions(),
        "cases": all_cases,
        "holm": {"p": p, "adjusted": [math.nan if math.isnan(x) else next(holm) for x in p]},
        "bootstrap": [boot_case("clips", by_name["plain"], 50, 7, 2000, None, 0.95),
                      boot_case("level", by_name["plain"], 50, 2**40 + 5, 500, None, 0.9),
                      boot_case("patients", by_name["plain"], 50, 7, 2000, clusters, 0.95),
                      boot_case("ties", by_name["ties"], 50, 1, 1000, None, 0.95),
                      boot_case("some without AUC", by_name["few ties"], 45, 2, 1000, None, 0.95)],
        "runs": runs_case(11, 2000, 5, 60),
    }
    json.dump(plain(out), sys.stdout, indent=None, separators=(", ", ": "))
    print()
    return 0


if __name__ == "__main__":
    sys.exit(main())
