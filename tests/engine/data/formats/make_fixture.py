#!/usr/bin/env python3
"""Writes sparse rows by scikit-learn for formats_test.cc, and what scikit-learn reads from them.

Needs scikit-learn (written with 1.9). The outputs are committed, so this is run only to widen them:
    tests/engine/data/formats/make_fixture.py tests/engine/data/formats
"""

import sys

import numpy as np
from sklearn.datasets import dump_svmlight_file, load_svmlight_file

folder = sys.argv[1]
rng = np.random.default_rng(4)
rows = np.where(rng.random((12, 9)) < 0.4, rng.normal(size=(12, 9)), 0)
rows[3] = 0  # a row without features
cases = {
    "from0": (rng.integers(0, 3, 12), dict(zero_based=True, comment="made by\nscikit-learn")),
    "from1": (rng.normal(size=12), dict(zero_based=False)),
    "queries": (rng.integers(0, 2, 12), dict(zero_based=False, query_id=np.arange(12) // 4)),
}
for name, (labels, options) in cases.items():
    path = f"{folder}/{name}.svm"
    dump_svmlight_file(rows, labels, path, **options)
    read = load_svmlight_file(path, zero_based=options["zero_based"],
                              query_id="query_id" in options)
    table = np.column_stack([read[1], *read[2:], read[0].toarray()])
    np.savetxt(f"{folder}/{name}.txt", table, fmt="%.17g")
