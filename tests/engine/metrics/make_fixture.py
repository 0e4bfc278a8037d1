#!/usr/bin/env python3
"""Records metrics by scikit-learn for fixture_test.cc.

Needs scikit-learn (written with 1.9). The output is committed, so this is run only to widen it:
    tests/engine/metrics/make_fixture.py > tests/engine/metrics/fixture.txt

Lines "name value value ...": data, then "metric:NAME" with what scikit-learn, or the formula where
it has none, makes of them; once without weights ("plain") and once with ("weighted"). Then curves,
and "interval:NAME": percentiles over resamples that are drawn as Beamline draws them.
"""

import warnings

import numpy as np
import sklearn.metrics as m
from sklearn.calibration import calibration_curve

rng = np.random.default_rng(5)
ROWS, CLASSES = 60, 7


def write(name, values):
    print(name, " ".join(f"{x:.12g}" for x in np.ravel(values)))


def float32(x):
    return x.astype(np.float32).astype(np.float64)


def ams(s, b):
    return np.sqrt(2 * ((s + b + 10) * np.log(1 + s / (b + 10)) - s))


def calibration_error(p, right, w, bins=15):
    at = np.minimum((p * bins).astype(int), bins - 1)
    gaps = [abs((w * (p - right))[at == b].sum()) for b in range(bins)]
    return sum(gaps) / w.sum()


def binary(case, y, p, w):
    chosen = (p >= 0.5).astype(int)
    write(f"metric:{case}:accuracy", m.accuracy_score(y, chosen, sample_weight=w))
    write(f"metric:{case}:balanced_accuracy", m.balanced_accuracy_score(y, chosen, sample_weight=w))
    write(f"metric:{case}:precision", m.precision_score(y, chosen, sample_weight=w))
    write(f"metric:{case}:recall", m.recall_score(y, chosen, sample_weight=w))
    for average in ("binary", "macro", "micro", "weighted"):
        name = "f1" if average == "binary" else f"f1_{average}"
        write(f"metric:{case}:{name}", m.f1_score(y, chosen, average=average, sample_weight=w))
    write(f"metric:{case}:auc", m.roc_auc_score(y, p, sample_weight=w))
    write(f"metric:{case}:pr_auc", m.average_precision_score(y, p, sample_weight=w))
    write(f"metric:{case}:log_loss", m.log_loss(y, p, sample_weight=w))
    write(f"metric:{case}:perplexity", np.exp(m.log_loss(y, p, sample_weight=w)))
    write(f"metric:{case}:calibration_error", calibration_error(p, y, w))
    best = max(ams((w * y)[p >= t].sum(), (w * (1 - y))[p >= t].sum()) for t in p)
    write(f"metric:{case}:ams", best)
    write(f"metric:{case}:ams_at_0.6",
          ams((w * y)[p >= 0.6].sum(), (w * (1 - y))[p >= 0.6].sum()))


def multi_class(case, y, p, w):
    chosen = p.argmax(1)
    write(f"metric:{case}:accuracy", m.accuracy_score(y, chosen, sample_weight=w))
    write(f"metric:{case}:balanced_accuracy", m.balanced_accuracy_score(y, chosen, sample_weight=w))
    write(f"metric:{case}:precision", m.precision_score(y, chosen, average="macro", sample_weight=w,
                                                        zero_division=0))
    write(f"metric:{case}:recall", m.recall_score(y, chosen, average="macro", sample_weight=w))
    for average in ("macro", "micro", "weighted"):
        write(f"metric:{case}:f1_{average}", m.f1_score(y, chosen, average=average, sample_weight=w))
    write(f"metric:{case}:auc_macro", m.roc_auc_score(y, p, multi_class="ovr", sample_weight=w))
    write(f"metric:{case}:log_loss", m.log_loss(y, p, sample_weight=w))
    write(f"metric:{case}:perplexity", np.exp(m.log_loss(y, p, sample_weight=w)))
    for k in (3, 5):
        write(f"metric:{case}:top_{k}_accuracy", m.top_k_accuracy_score(y, p, k=k, sample_weight=w))
    right = (chosen == y).astype(float)
    write(f"metric:{case}:calibration_error", calibration_error(p.max(1), right, w))
    write(f"confusion:{case}", m.confusion_matrix(y, chosen, sample_weight=w))


def numbers(case, t, p, w):
    write(f"metric:{case}:mse", m.mean_squared_error(t, p, sample_weight=w))
    write(f"metric:{case}:rmse", np.sqrt(m.mean_squared_error(t, p, sample_weight=w)))
    write(f"metric:{case}:mae", m.mean_absolute_error(t, p, sample_weight=w))
    write(f"metric:{case}:r2", m.r2_score(t, p, sample_weight=w))


w = float32(rng.uniform(0.1, 3, ROWS))
write("weights", w)
y = rng.integers(0, 2, ROWS)
p = float32(np.round(np.clip(0.3 * y + rng.uniform(0, 0.7, ROWS), 0.01, 0.99), 2))  # with ties
write("binary:labels", y)
write("binary:probabilities", p)
labels = np.concatenate([np.arange(CLASSES), rng.integers(0, CLASSES, ROWS - CLASSES)])
scores = rng.normal(size=(ROWS, CLASSES)) + 1.2 * np.eye(CLASSES)[labels]
q = float32(np.exp(scores) / np.exp(scores).sum(1, keepdims=True))
q[:, 0] += 1 - q.sum(1)
q = float32(q)
write("classes:labels", labels)
write("classes:probabilities", q)
t = float32(rng.normal(size=ROWS))
r = float32(t + 0.3 * rng.normal(size=ROWS))
write("numbers:targets", t)
write("numbers:predicted", r)
for form, weights in (("plain", np.ones(ROWS)), ("weighted", w)):
    binary(f"binary:{form}", y, p, weights)
    multi_class(f"classes:{form}", labels, q, weights)
    numbers(f"numbers:{form}", t, r, weights)


def philox(seed, stream, counter):
    """Philox4x32-10 (Salmon et al. 2011)."""
    k = [seed & 0xFFFFFFFF, seed >> 32]
    c = [counter & 0xFFFFFFFF, counter >> 32, stream & 0xFFFFFFFF, stream >> 32]
    for _ in range(10):
        p0, p1 = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(p1 >> 32) ^ c[1] ^ k[0], p1 & 0xFFFFFFFF, (p0 >> 32) ^ c[3] ^ k[1], p0 & 0xFFFFFFFF]
        k = [(k[0] + 0x9E3779B9) & 0xFFFFFFFF, (k[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return c


def draws(seed, resample, units):
    stream = 0x626F6F74 << 32 | resample
    words = [philox(seed, stream, i) for i in range((units + 1) // 2)]
    bits = [high << 32 | low for w in words for low, high in ((w[0], w[1]), (w[2], w[3]))]
    return np.array([b * units >> 64 for b in bits[:units]])


def curves(case, y, p, w):
    fpr, tpr, _ = m.roc_curve(y, p, sample_weight=w, drop_intermediate=False)
    write(f"roc:{case}", np.stack([fpr, tpr], 1))
    precision, recall, _ = m.precision_recall_curve(y, p, sample_weight=w)
    write(f"precision_recall:{case}", np.stack([recall, precision], 1)[::-1])


def intervals(case, units, resamples, confidence, figures):
    """Of `figures`, name: function of rows."""
    of = range(units.max() + 1)
    members = [np.flatnonzero(units == u) for u in of]
    values = {name: [] for name in figures}
    for r in range(resamples):
        rows = np.concatenate([members[u] for u in draws(SEED, r, len(of))])
        for name, figure in figures.items():
            values[name].append(figure(rows))
    ends = [50 * (1 - confidence), 50 * (1 + confidence)]
    for name, v in values.items():
        v = np.array(v)
        write(f"interval:{case}:{name}", np.percentile(v[np.isfinite(v)], ends))


SEED, RESAMPLES = 11, 150
warnings.simplefilter("ignore")
for form, weights in (("plain", np.ones(ROWS)), ("weighted", w)):
    curves(f"binary:{form}", y, p, weights)
    if form == "plain":
        observed, predicted = calibration_curve(y, p, n_bins=15)
        write("calibration", np.stack([predicted, observed], 1))
    hard = (p >= 0.5).astype(int)
    for grouping, units in (("rows", np.arange(ROWS)), ("groups", np.arange(ROWS) // 4)):
        intervals(f"binary:{form}:{grouping}", units, RESAMPLES, 0.9, {
            "accuracy": lambda i: m.accuracy_score(y[i], hard[i], sample_weight=weights[i]),
            "auc": lambda i: m.roc_auc_score(y[i], p[i], sample_weight=weights[i]),
            "pr_auc": lambda i: m.average_precision_score(y[i], p[i], sample_weight=weights[i]),
            "f1": lambda i: m.f1_score(y[i], hard[i], sample_weight=weights[i]),
            "log_loss": lambda i: m.log_loss(y[i], p[i], sample_weight=weights[i], labels=[0, 1]),
            "calibration_error": lambda i: calibration_error(p[i], y[i], weights[i]),
        })
    best = q.argmax(1)
    intervals(f"classes:{form}:rows", np.arange(ROWS), RESAMPLES, 0.9, {
        "balanced_accuracy": lambda i: m.recall_score(
            labels[i], best[i], average="macro", labels=np.unique(labels[i]),
            sample_weight=weights[i]),
        "f1_weighted": lambda i: m.f1_score(labels[i], best[i], average="weighted",
                                            sample_weight=weights[i]),
        "log_loss": lambda i: m.log_loss(labels[i], q[i], sample_weight=weights[i],
                                         labels=range(CLASSES)),
        "top_3_accuracy": lambda i: m.top_k_accuracy_score(
            labels[i], q[i], k=3, sample_weight=weights[i], labels=range(CLASSES)),
        "auc_macro": lambda i: np.mean([
            m.roc_auc_score(labels[i] == c, q[i][:, c], sample_weight=weights[i])
            for c in np.unique(labels[i])]),
    })
    intervals(f"numbers:{form}:rows", np.arange(ROWS), RESAMPLES, 0.9, {
        "rmse": lambda i: np.sqrt(m.mean_squared_error(t[i], r[i], sample_weight=weights[i])),
        "mse": lambda i: m.mean_squared_error(t[i], r[i], sample_weight=weights[i]),
        "mae": lambda i: m.mean_absolute_error(t[i], r[i], sample_weight=weights[i]),
        "r2": lambda i: m.r2_score(t[i], r[i], sample_weight=weights[i]),
    })
