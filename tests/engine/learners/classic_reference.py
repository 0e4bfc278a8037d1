"""Writes classic_reference.txt: what scikit-learn and NumPy say of small data.

One array a line, its name first. Run with scikit-learn 1.9: python3 classic_reference.py
"""

import os

import numpy as np
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest

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


isolation_forest()
k_means()
kohonen_map()
principal_components()
with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "classic_reference.txt"), "w") as file:
    for name, array in arrays.items():
        flat = np.asarray(array).ravel()
        file.write(name + " " + " ".join(f"{x:.9g}" for x in flat) + "\n")
