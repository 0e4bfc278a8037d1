"""Writes classic_reference.txt: what scikit-learn and NumPy say of small data.

One array a line, its name first. Run with scikit-learn 1.9: python3 classic_reference.py
"""

import os

import numpy as np
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.linear_model import Ridge
from sklearn.metrics.pairwise import rbf_kernel

arrays = {}


def rows(count, features, salt):
    """The rows of Waves in classic.cc, as float32."""
    i = np.arange(count)[:, None]
    k = np.arange(features)[None, :]
    x = np.sin(1.7 * i + 2.3 * k + salt) * (1 + k) + ((i * 7) % 5) * np.cos(k + salt)
    return np.round(x * 1024) / 1024


def k_means():
    x = rows(200, 4, 0.5)
    start = x[[0, 1, 2, 3, 4]]
    fitted = KMeans(5, init=start, n_init=1, tol=0, max_iter=300, algorithm="lloyd").fit(x)
    arrays["k_means_centres"] = fitted.cluster_centers_
    arrays["k_means_inertia"] = [fitted.inertia_]
    arrays["k_means_labels"] = fitted.labels_
    weights = 1 + np.arange(200) % 3
    fitted = KMeans(5, init=start, n_init=1, tol=0, max_iter=300, algorithm="lloyd").fit(
        x, sample_weight=weights)
    arrays["k_means_weighted_centres"] = fitted.cluster_centers_


def principal_components():
    x = rows(150, 6, 1.25)
    for whiten in (False, True):
        fitted = PCA(3, whiten=whiten, svd_solver="full").fit(x)
        codes = fitted.transform(x)
        if not whiten:
            arrays["pca_components"] = fitted.components_
            arrays["pca_variances"] = fitted.explained_variance_
            arrays["pca_mean"] = fitted.mean_
            arrays["pca_made"] = fitted.inverse_transform(codes)[:10]
        arrays["pca_whitened" if whiten else "pca_codes"] = codes[:10]


def isolation_forest():
    x = rows(300, 4, 2.5)
    fitted = IsolationForest(n_estimators=2000, max_samples=64, random_state=0).fit(x)
    arrays["isolation_scores"] = -fitted.score_samples(x)


def kohonen_map():
    x = rows(250, 3, 0.75)
    height, width, epochs = 4, 6, 8
    units = x[10 * np.arange(height * width)]
    place = np.stack([np.arange(height * width) // width, np.arange(height * width) % width], 1)
    apart = ((place[:, None] - place[None]) ** 2).sum(-1)
    nearest = lambda: ((x[:, None] - units[None]) ** 2).sum(-1).argmin(1)
    for epoch in range(epochs):
        radius = 3 * (0.5 / 3) ** (epoch / (epochs - 1))
        h = np.exp(-apart[:, nearest()] / (2 * radius**2))  # [units, rows]
        units = (h @ x) / h.sum(1, keepdims=True)
        units = units.astype(np.float32).astype(np.float64)
    arrays["kohonen_units"] = units
    arrays["kohonen_places"] = place[nearest()]


def philox_order(seed, stream, count):
    """Philox::Permute: Fisher and Yates by Philox4x32-10."""
    order = list(range(count))
    for i in range(count - 1, 0, -1):
        c, (k0, k1) = [i & 0xFFFFFFFF, i >> 32, stream & 0xFFFFFFFF, stream >> 32], (seed, 0)
        for _ in range(10):
            p0, p1 = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
            c = [p1 >> 32 ^ c[1] ^ k0, p1 & 0xFFFFFFFF, p0 >> 32 ^ c[3] ^ k1, p0 & 0xFFFFFFFF]
            k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
        j = ((c[1] << 32 | c[0]) * (i + 1)) >> 64
        order[i], order[j] = order[j], order[i]
    return order


def kohonen_online():
    x = rows(250, 3, 0.75)
    height, width, epochs = 4, 6, 8
    units = x[10 * np.arange(height * width)]
    place = np.stack([np.arange(height * width) // width, np.arange(height * width) % width], 1)
    apart = ((place[:, None] - place[None]) ** 2).sum(-1)
    for weights, name in ((np.ones(250), "kohonen_online"), (np.arange(250) % 3, "kohonen_weighted")):
        w = units.copy()
        for epoch in range(epochs):
            share = epoch / (epochs - 1)
            radius, rate = 3 * (0.5 / 3) ** share, 0.4 * (0.02 / 0.4) ** share
            for row in philox_order(5, 0x6B6F69 << 32 | epoch, 250):
                nearest = ((x[row] - w) ** 2).sum(1).argmin()
                h = np.exp(-apart[nearest] / (2 * radius**2)) * rate * weights[row] / weights.max()
                w += h[:, None] * (x[row] - w)
            w = w.astype(np.float32).astype(np.float64)
        arrays[name] = w


def target(x):
    return np.round((np.sin(x[:, 0]) + 0.5 * x[:, 1] + 3) * 1024) / 1024


def formula(shape, first, scale):
    return (scale * np.sin(first + np.arange(np.prod(shape)))).astype(np.float32).reshape(shape)


def ridge(name, features, y, penalty, others=None):
    fitted = Ridge(alpha=penalty, solver="cholesky").fit(features, y)
    arrays[name] = fitted.predict(features if others is None else others)


def read_outs():
    x = rows(40, 3, 0.3)
    others = rows(80, 3, 0.3)
    ridge("radial_basis", rbf_kernel(x, x, gamma=1 / 8), target(x), 1e-3, rbf_kernel(others, x, gamma=1 / 8))

    x = rows(60, 3, 0.3)
    h = x @ formula((3, 20), 0.5, 0.4) + formula((20,), 1.5, 0.7)
    for name, made in ("tanh", np.tanh(h)), ("sigmoid", 1 / (1 + np.exp(-h))), ("relu", np.maximum(h, 0)):
        ridge("extreme_" + name, made, target(x), 1e-3)


def recurrent(units, fan_in, scale):
    w = np.zeros((units, units))
    for i in range(units):
        for k in range(fan_in):
            w[i, (i + k + 1) % units] = formula((units, fan_in), 2.25, scale)[i, k]
    return w


def reservoirs():
    x = rows(50, 12, 0.9)
    y = target(x)
    x = (x * 0.25).reshape(50, 6, 2)
    w_in = formula((3, 15), 0.25, 0.8)
    w = recurrent(15, 3, 0.5)
    lengths = 2 + np.arange(50) % 5
    states = np.zeros((7, 50, 15))
    for t in range(6):
        states[t + 1] = 0.4 * states[t] + 0.6 * np.tanh(x[:, t] @ w_in[:2] + w_in[2] + states[t] @ w.T)
    ridge("echo_last", states[6], y, 1e-3)
    mean = np.stack([states[1 : n + 1, i].mean(0) for i, n in enumerate(lengths)])
    ridge("echo_mean", mean, y, 1e-3)

    x = rows(50, 12, 0.4)
    y = target(x)
    x = (x * 0.25).astype(np.float32).reshape(50, 6, 2)
    w_in = formula((2, 15), 0.25, 0.8)
    w = recurrent(15, 3, 0.3).astype(np.float32)
    kept = np.float32(np.exp(-1 / 20))
    v, r, s = np.zeros((3, 50, 15), np.float32)
    ends = []
    for t in range(6):
        for _ in range(4):
            v = v * kept + x[:, t] @ w_in + s @ w.T
            s = (v >= 1).astype(np.float32)
            v = np.where(v >= 1, np.float32(0), v)
            r = r * kept + (1 - kept) * s
        ends.append(r)
    ridge("liquid_last", ends[-1].astype(float), y, 1e-4)
    ridge("liquid_mean", np.mean(ends, 0, dtype=float), y, 1e-4)


isolation_forest()
read_outs()
reservoirs()
k_means()
kohonen_map()
kohonen_online()
principal_components()
with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "classic_reference.txt"), "w") as file:
    for name, array in arrays.items():
        flat = np.asarray(array).ravel()
        file.write(name + " " + " ".join(f"{x:.9g}" for x in flat) + "\n")
