#!/usr/bin/env python3
"""Records histograms by NumPy and correlations by pandas for looking_test.cc.

Pearson's coefficients are computed by fractions without rounding: pandas loses six digits of a
column whose values are close together and far from 0.

Needs NumPy and pandas (written with 2.x and 3.x). The outputs are committed, so this is run only to
widen them:
    tests/engine/data/looking/make_fixture.py tests/engine/data/looking
"""

import sys
from fractions import Fraction

import numpy as np
import pandas as pd

folder = sys.argv[1]


def pearson(x, y):
    both = x.notna() & y.notna()
    x, y = ([Fraction(float(value)) for value in column[both]] for column in (x, y))
    x, y = ([value - sum(column) / len(column) for value in column] for column in (x, y))
    xy, xx, yy = (float(sum(a * b for a, b in zip(*pair))) for pair in ((x, y), (x, x), (y, y)))
    return xy / (xx**0.5 * yy**0.5) if xx and yy else np.nan


rng = np.random.default_rng(12)
ROWS = 400
rows = pd.DataFrame({"a": rng.normal(size=ROWS)})
rows["b"] = 0.6 * rows["a"] + rng.normal(size=ROWS)
rows["c"] = np.round(rows["a"] * 2).astype(int)  # ties
rows["d"] = rng.exponential(size=ROWS) - 0.3 * rows["b"]
rows["fixed"] = 4.25
rows["big"] = 1e9 + rows["a"] * 1e-2
rows["kind"] = rng.choice(["red", "green", "blue", "grey"], ROWS, p=[0.5, 0.3, 0.15, 0.05])
rows["w"] = np.round(rng.uniform(0, 2, ROWS), 3)
rows = rows.round({"a": 4, "b": 4, "d": 4, "big": 6})
for column, share in (("b", 0.1), ("d", 0.2)):
    rows.loc[rng.random(ROWS) < share, column] = np.nan
rows.loc[rng.random(ROWS) < 0.05, "kind"] = None
rows.to_csv(f"{folder}/rows.csv", index=False)
rows = pd.read_csv(f"{folder}/rows.csv")

with open(f"{folder}/expected.txt", "w") as out:
    def write(name, values):
        print(name, " ".join(f"{x:.14g}" for x in np.ravel(values)), file=out)

    numbers = rows[["a", "b", "c", "d", "fixed", "big", "w"]]
    whole = rows[["a", "c", "fixed", "w"]]
    for name, table in (("all", numbers), ("whole", whole)):
        exact = [[pearson(table[a], table[b]) for b in table] for a in table]
        assert np.allclose(exact, table.corr(), rtol=0, atol=1e-5, equal_nan=True)
        write(f"pearson:{name}", exact)
        write(f"spearman:{name}", table.corr(method="spearman"))

    def histogram(name, column, bins, by=None, ends=None, weights=None):
        ends = ends or (rows[column].min(), rows[column].max())
        for k, value in enumerate([None] if by is None else sorted(rows[by].dropna().unique())):
            part = rows if value is None else rows[rows[by] == value]
            w = np.ones(len(part)) if weights is None else part[weights].to_numpy()
            present = part[column].notna().to_numpy()
            counts, edges = np.histogram(part[column][present], bins, ends, weights=w[present])
            if k == 0:
                write(f"{name}:edges", edges)
            write(f"{name}:{'' if value is None else value}", counts)
            write(f"{name}:{'' if value is None else value}:other", w.sum() - counts.sum())

    histogram("plain", "a", 50)
    histogram("ties", "c", 13, by="kind")
    histogram("ranged", "d", 20, by="c", ends=(-0.5, 2.5), weights="w")
    counts = rows["kind"].value_counts()
    print("categories", *counts.index[:3], file=out)
    write("categories:counts", counts.iloc[:3])
    write("categories:other", ROWS - counts.iloc[:3].sum())
