#!/usr/bin/env python3
"""Records what scikit-learn says of models that evaluation_test.cc trains too.

Needs scikit-learn (written with 1.9). The outputs are committed, so this is run only to widen them:
    tests/pipeline/evaluation/make_fixture.py tests/pipeline/evaluation

rows.csv has the data, expected.txt lines "name value value ...". Rows are drawn and columns permuted
as Beamline does both, by Philox; scikit-learn does all the rest.
"""

import sys

import numpy as np
import sklearn.inspection._permutation_importance as permutation
import sklearn.metrics as m
from sklearn.calibration import calibration_curve
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LinearRegression
from sklearn.naive_bayes import GaussianNB

ROWS, TEST, SEED, RESAMPLES, REPEATS = 240, 90, 3, 200, 4
folder = sys.argv[1]
expected = open(f"{folder}/expected.txt", "w")


def write(name, values):
    print(name, " ".join(f"{x:.12g}" for x in np.ravel(values)), file=expected)


def philox(seed, stream, counter):
    """Philox4x32-10 (Salmon et al. 2011)."""
    k = [seed & 0xFFFFFFFF, seed >> 32]
    c = [counter & 0xFFFFFFFF, counter >> 32, stream & 0xFFFFFFFF, stream >> 32]
    for _ in range(10):
        p0, p1 = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(p1 >> 32) ^ c[1] ^ k[0], p1 & 0xFFFFFFFF, (p0 >> 32) ^ c[3] ^ k[1], p0 & 0xFFFFFFFF]
        k = [(k[0] + 0x9E3779B9) & 0xFFFFFFFF, (k[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return c


def draws(resample, units):
    words = [philox(SEED, 0x626F6F74 << 32 | resample, i) for i in range((units + 1) // 2)]
    bits = [high << 32 | low for w in words for low, high in ((w[0], w[1]), (w[2], w[3]))]
    return np.array([b * units >> 64 for b in bits[:units]])


def order_of(column, repeat, size):
    order = list(range(size))
    for i in range(size - 1, 0, -1):
        w = philox(SEED, 0x7065726D << 32 | column << 7 | repeat, i)
        j = (w[1] << 32 | w[0]) * (i + 1) >> 64
        order[i], order[j] = order[j], order[i]
    return np.array(order)


class Orders:
    """In place of the random state of one column: gives Beamline's orders one after the other.

    scikit-learn permutes what it has permuted before, so each order undoes the one before it.
    """

    def __init__(self, column):
        self.column, self.repeat, self.before = column, 0, None

    def randint(self, _):
        return 0

    def shuffle(self, index):
        order = order_of(self.column, self.repeat, len(index))
        index[:] = order if self.before is None else np.argsort(self.before)[order]
        self.repeat, self.before = self.repeat + 1, order


def importance(name, model, columns, target, weights, scoring):
    """scikit-learn asks for a random state once at the start, then once for each column in order."""
    asked = iter([Orders(0)] + [Orders(c) for c in range(columns.shape[1])])
    permutation.check_random_state = lambda _: next(asked)
    found = permutation_importance(model, columns, target, scoring=scoring, n_repeats=REPEATS,
                                   sample_weight=weights)
    for i, column in enumerate(("pt", "eta", "kind")):
        write(f"importance:{name}:{column}", [found.importances_mean[i], found.importances_std[i]])


class Encoded:
    """A model of standardised numbers and of one column for each kind, on the raw columns."""

    def __init__(self, model):
        self.model = model
        self._estimator_type = getattr(model, "_estimator_type", None)

    def encode(self, x):
        return np.column_stack([(x[:, :2] - self.mean) / self.std, x[:, 2:] == [[0, 1, 2]]])

    def fit(self, x, y, weights):
        self.mean, self.std = x[:, :2].mean(0), x[:, :2].std(0)
        self.model.fit(self.encode(x), y, sample_weight=weights)
        return self

    def predict(self, x):
        return self.model.predict(self.encode(x))

    def predict_proba(self, x):
        return self.model.predict_proba(self.encode(x))


def auc(model, x, y, sample_weight=None):
    return m.roc_auc_score(y, model.predict_proba(x)[:, 1], sample_weight=sample_weight)


def negative_rmse(model, x, y, sample_weight=None):
    return -np.sqrt(m.mean_squared_error(y, model.predict(x), sample_weight=sample_weight))


rng = np.random.default_rng(8)
kind = rng.integers(0, 3, ROWS)
pt = np.round(rng.gamma(2, 20, ROWS), 3)
eta = np.round(rng.normal(size=ROWS), 3)
label = (0.03 * pt + 0.8 * eta + kind + rng.normal(size=ROWS) > 2.2).astype(int)
mass = np.round(0.5 * pt - 3 * eta + 4 * (kind == 1) + rng.normal(size=ROWS), 3)
weight = np.round(rng.uniform(0.25, 2, ROWS) * 64) / 64
with open(f"{folder}/rows.csv", "w") as rows:
    print("part,pt,eta,kind,label,mass,weight", file=rows)
    for i in range(ROWS):
        part = "test" if i < TEST else "train"
        print(f"{part},{pt[i]:.3f},{eta[i]:.3f},{'abc'[kind[i]]},{'bs'[label[i]]},{mass[i]:.3f},"
              f"{weight[i]:.6f}", file=rows)

x = np.column_stack([pt, eta, kind])
test, train = slice(0, TEST), slice(TEST, ROWS)
w = weight[test]

bayes = Encoded(GaussianNB()).fit(x[train], label[train], weight[train])
p, y = bayes.predict_proba(x[test])[:, 1], label[test]
hard = (p >= 0.5).astype(int)
figures = {
    "accuracy": lambda i: m.accuracy_score(y[i], hard[i], sample_weight=w[i]),
    "auc": lambda i: m.roc_auc_score(y[i], p[i], sample_weight=w[i]),
    "pr_auc": lambda i: m.average_precision_score(y[i], p[i], sample_weight=w[i]),
    "f1": lambda i: m.f1_score(y[i], hard[i], sample_weight=w[i]),
    "log_loss": lambda i: m.log_loss(y[i], p[i], sample_weight=w[i], labels=[0, 1]),
}
resamples = [draws(r, TEST) for r in range(RESAMPLES)]
for name, figure in figures.items():
    write(f"metric:bayes:{name}", figure(slice(None)))
    write(f"interval:bayes:{name}", np.percentile([figure(i) for i in resamples], [5, 95]))
write("confusion:bayes", m.confusion_matrix(y, hard, sample_weight=w))
precision, recall, _ = m.precision_recall_curve(y, p, sample_weight=w)
write("precision_recall:bayes", np.stack([recall, precision], 1)[::-1])
fpr, tpr, _ = m.roc_curve(y, p, sample_weight=w, drop_intermediate=False)
write("roc:bayes", np.stack([fpr, tpr], 1))
at = np.minimum((p * 15).astype(int), 14)
write("calibration:bayes", [[np.average(p[at == b], weights=w[at == b]),
                             np.average(y[at == b], weights=w[at == b]), w[at == b].sum()]
                            for b in range(15) if (at == b).any()])
# The formula above is scikit-learn's, but for the weights that it does not take.
observed, predicted = calibration_curve(y, p, n_bins=15)
assert np.allclose(observed, [y[at == b].mean() for b in range(15) if (at == b).any()])
assert np.allclose(predicted, [p[at == b].mean() for b in range(15) if (at == b).any()])
for name, of in (("true", y), ("predicted", hard)):
    for k in (0, 1):
        counts, edges = np.histogram(pt[test][of == k], bins=7, range=(5, 60), weights=w[of == k])
        write(f"histogram:pt:{name}:{'bs'[k]}", counts)
        if (name, k) == ("true", 0):
            write("histogram:pt:edges", edges)
        counts, edges = np.histogram(eta[test][of == k], bins=50, weights=w[of == k],
                                     range=(eta[test].min(), eta[test].max()))
        if (name, k) == ("true", 0):
            write("histogram:eta:edges", edges)
        write(f"histogram:eta:{name}:{'bs'[k]}", counts)
importance("bayes", bayes, x[test], y, w, auc)

linear = Encoded(LinearRegression()).fit(x[train], mass[train], weight[train])
said, t = linear.predict(x[test]), mass[test]
rmse = [np.sqrt(m.mean_squared_error(t[i], said[i], sample_weight=w[i])) for i in resamples]
write("metric:linear:rmse", np.sqrt(m.mean_squared_error(t, said, sample_weight=w)))
write("interval:linear:rmse", np.percentile(rmse, [5, 95]))
r2 = [m.r2_score(t[i], said[i], sample_weight=w[i]) for i in resamples]
write("interval:linear:r2", np.percentile(r2, [5, 95]))
importance("linear", linear, x[test], t, w, negative_rmse)
