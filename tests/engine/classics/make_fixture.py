#!/usr/bin/python3
"""Records what scikit-learn makes of small data sets, for the tests of this folder.

Needs scikit-learn. The output is committed, so this is run only to widen it:
    tests/engine/classics/make_fixture.py > tests/engine/classics/fixture.txt

A line is a name and numbers; "case" begins a new one. x: [rows, features], from float32.
"""

import numpy as np
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.svm import SVC, SVR

ROWS, FEATURES, PROBES = 80, 5, 12


def write(name, numbers):
    """Nine digits tell floats apart, seventeen doubles."""
    numbers = np.asarray(numbers)
    digits = 9 if numbers.dtype == np.float32 else 17
    print(name, ' '.join(f'{x:.{digits}g}' for x in numbers.ravel()))


def data(classes, seed):
    """Rows, weights, and labels or numbers; and other rows to ask about."""
    random = np.random.default_rng(seed)
    labels = np.arange(ROWS) % max(classes, 1)
    centres = random.normal(0, 1.2, (max(classes, 1), FEATURES))
    x = (centres[labels] + random.normal(0, 1, (ROWS, FEATURES))).astype(np.float32)
    x[:, 3] *= 4
    weights = random.uniform(0.5, 2, ROWS).astype(np.float32)
    numbers = (x @ random.normal(0, 1, FEATURES) + np.sin(x[:, 0]) + random.normal(0, 0.3, ROWS))
    probes = random.normal(0, 1.5, (PROBES, FEATURES)).astype(np.float32)
    return x, weights, labels, numbers.astype(np.float32), probes


def begin(name, classes, seed):
    x, weights, labels, numbers, probes = data(classes, seed)
    print('case', name)
    write('x', x)
    write('weights', weights)
    write('labels' if classes else 'y', labels if classes else numbers)
    write('probes', probes)
    wide = [a.astype(np.float64) for a in (x, weights, numbers, probes)]
    return wide[0], wide[1], labels if classes else wide[2], wide[3]


for name, penalty in (('least_squares', 0), ('ridge', 3)):
    x, weights, y, probes = begin(name, 0, 1)
    model = Ridge(alpha=penalty, solver='cholesky' if penalty else 'svd', tol=1e-12)
    model.fit(x, y, sample_weight=weights)
    write('coefficients', model.coef_)
    write('bias', model.intercept_)
    write('predicted', model.predict(probes))

# Of two classes the two columns of softmax share the penalty: C is twice as large.
for name, classes, c in (('logistic_2', 2, 2 / 0.7), ('logistic_4', 4, 1 / 0.7)):
    x, weights, y, probes = begin(name, classes, classes)
    model = LogisticRegression(C=c, tol=1e-12, max_iter=100000)
    model.fit(x, y, sample_weight=weights)
    write('coefficients', model.coef_)
    write('bias', model.intercept_)
    write('predicted', model.predict_proba(probes))

x, weights, y, probes = begin('naive_bayes', 3, 5)
model = GaussianNB(var_smoothing=1e-3)
model.fit(x, y, sample_weight=weights)
write('means', model.theta_)
write('variances', model.var_)
write('priors', model.class_prior_)
write('predicted', model.predict_proba(probes))

for weights_name in ('uniform', 'distance'):
    x, _, y, probes = begin(f'neighbours_classes_{weights_name}', 3, 6)
    probes = np.concatenate([probes, x[:2]])
    model = KNeighborsClassifier(n_neighbors=4, weights=weights_name, algorithm='kd_tree').fit(x, y)
    write('neighbours', model.kneighbors(probes)[1])
    write('predicted', model.predict_proba(probes))
    x, _, y, probes = begin(f'neighbours_numbers_{weights_name}', 0, 7)
    probes = np.concatenate([probes, x[:2]])
    model = KNeighborsRegressor(n_neighbors=4, weights=weights_name, algorithm='kd_tree').fit(x, y)
    write('predicted', model.predict(probes))

for kernel in ('rbf', 'linear', 'poly', 'sigmoid'):
    for classes in (2, 4):
        x, weights, y, probes = begin(f'vectors_{kernel}_{classes}', classes, 8)
        model = SVC(C=0.8, kernel=kernel, gamma=0.05, degree=2, coef0=0.5, tol=1e-6,
                    decision_function_shape='ovo').fit(x, y, sample_weight=weights)
        write('decision', model.decision_function(probes))
        write('predicted', model.predict(probes))
    x, weights, y, probes = begin(f'vectors_{kernel}_0', 0, 9)
    model = SVR(C=0.8, kernel=kernel, gamma=0.05, degree=2, coef0=0.5, epsilon=0.2, tol=1e-6)
    model.fit(x, y, sample_weight=weights)
    write('predicted', model.predict(probes))
