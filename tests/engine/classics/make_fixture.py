#!/usr/bin/python3
"""Records what scikit-learn makes of small data sets, for the tests of this folder.

Needs scikit-learn and xgboost (1.7.6 was used; of boosted_bins 3.2). The output is committed, so this is run only to widen it:
    tests/engine/classics/make_fixture.py > tests/engine/classics/fixture.txt

A line is a name and numbers; "case" begins a new one. x: [rows, features], from float32.
"""

import numpy as np
import xgboost
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.svm import SVC, SVR
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

ROWS, FEATURES, PROBES, BINS = 80, 5, 12, 12


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
    # With four classes no vector of the sigmoid is free, so that its constant is any of an interval.
    for classes in ((2,) if kernel == 'sigmoid' else (2, 4)):
        x, _, y, probes = begin(f'vectors_{kernel}_{classes}', classes, 8)
        model = SVC(C=0.8, kernel=kernel, gamma=0.05, degree=2, coef0=0.5, tol=1e-6,
                    decision_function_shape='ovo').fit(x, y)
        write('decision', model.decision_function(probes))
        write('predicted', model.predict(probes))
    x, _, y, probes = begin(f'vectors_{kernel}_0', 0, 9)
    model = SVR(C=0.8, kernel=kernel, gamma=0.05, degree=2, coef0=0.5, epsilon=0.2, tol=1e-6)
    model.fit(x, y)
    write('predicted', model.predict(probes))

# XGBoost as it goes by itself: its own objectives, and one thread.
for classes in (0, 2, 3):
    x, weights, y, probes = begin(f'boosted_{classes}', classes, 11)
    parameters = {'tree_method': 'hist', 'max_depth': 3, 'eta': 0.2, 'lambda': 0.7, 'gamma': 0.01,
                  'min_child_weight': 0.5, 'nthread': 1, 'base_score': 0.5 if classes else 0,
                  'objective': {0: 'reg:squarederror', 2: 'binary:logistic', 3: 'multi:softprob'}[classes]}
    if classes == 3:
        parameters['num_class'] = 3
    model = xgboost.train(parameters, xgboost.DMatrix(x, y, weight=weights), 20)
    write('predicted', model.predict(xgboost.DMatrix(probes)))
    gains = model.get_score(importance_type='total_gain')
    write('importance', np.array([gains.get(f'f{i}', 0) for i in range(FEATURES)]) / sum(gains.values()))

# More values than bins: cut at the quantiles of all values, as ours are, before XGBoost sees them. Its own sketch cuts
# some rows beside, and whole trees change with that.
x, weights, y, probes = begin('boosted_bins', 0, 13)
cuts = np.sort(x, axis=0)[ROWS * np.arange(1, BINS) // BINS]
binned, binned_probes = (np.stack([np.searchsorted(cuts[:, f], rows[:, f], 'right') for f in range(FEATURES)], 1)
                         for rows in (x, probes))
model = xgboost.train({'tree_method': 'hist', 'max_depth': 6, 'eta': 0.3, 'nthread': 1, 'base_score': 0},
                      xgboost.DMatrix(binned, y, weight=weights), 20)
write('predicted', model.predict(xgboost.DMatrix(binned_probes)))

# One tree of all rows and features is a decision tree.
for classes in (0, 2):
    x, weights, y, _ = begin(f'tree_{classes}', classes, 12)
    model = (DecisionTreeClassifier if classes else DecisionTreeRegressor)(max_depth=4, random_state=1)
    model.fit(x, y, sample_weight=weights)
    write('predicted', model.predict_proba(x) if classes else model.predict(x))
