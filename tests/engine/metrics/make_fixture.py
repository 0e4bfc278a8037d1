#!/usr/bin/env python3
"""Records metrics by scikit-learn for fixture_test.cc.

Needs scikit-learn (written with 1.9). The output is committed, so this is run only to widen it:
    tests/engine/metrics/make_fixture.py > tests/engine/metrics/fixture.txt

Lines "name value value ...": data, then "metric:NAME" with what scikit-learn, or the formula where
it has none, makes of them; once without weights ("plain") and once with ("weighted").
"""

import numpy as np
import sklearn.metrics as m

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
