#!/usr/bin/env python3
# Long because it is a table of all cases.
"""What people train these learners with: the other side of benchmarks/learners.

    learners.py FOLDER THREADS CLOCK

Reads names of cases, one a line, each with the name of other data behind it if it shall not be the
case's own, and answers each with a line of JSON: {"case", "train", "predict" (seconds), "quality",
"library"}. The cases are those of benchmarks/learners/cases.cc: the same data, settings and numbers of
passes. CLOCK is "wall" or "processors". Numbers are doubles where our learner computes in doubles,
else floats. Where no library offers a learner it is written in NumPy, all rows at once where that can
be.
Without arguments it lists the cases that this Python has the libraries for.
"""

import json
import os
import pathlib
import sys
import time

FOLDER = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else None
THREADS = int(sys.argv[2]) if len(sys.argv) > 2 else 1
CLOCK = time.process_time if sys.argv[3:] == ["processors"] else time.perf_counter
for library in ["OMP", "OPENBLAS", "MKL", "BLIS"]:
    os.environ[f"{library}_NUM_THREADS"] = str(THREADS)

import numpy as np  # noqa: E402

CASES = {}


class Data:
    """The arrays of a data set, as float or double."""

    def __init__(self, name, kind):
        head = [int(word) for word in (FOLDER / f"{name}.head").read_text().split()]
        rows, test, features, self.classes, targets, self.steps, codes = head
        self.x, self.test_x = (
            np.fromfile(FOLDER / f"{name}.{part}x", np.int32 if codes else np.float32)
            .reshape(count, codes or features).astype(np.int32 if codes else kind)
            for part, count in [("", rows), ("test_", test)])
        if self.classes or targets:
            self.y, self.test_y = (
                np.fromfile(FOLDER / f"{name}.{part}y", np.int32 if self.classes else np.float32)
                for part in ["", "test_"])
            if not self.classes:
                self.y, self.test_y = self.y.astype(kind), self.test_y.astype(kind)


def case(name, data, library, kind=np.float64):
    def note(body):
        CASES[name] = (data, library, kind, body)
        return body
    return note


def accuracy(d, said):
    return float(np.mean(np.argmax(said, axis=1) == d.test_y))


def error(d, said):
    return float(np.sqrt(np.mean((said.reshape(-1) - d.test_y) ** 2)))


def squares(d, said):
    return float(np.mean((said - d.test_x) ** 2))


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def sklearn_cases():
    from sklearn import (cluster, decomposition, ensemble, linear_model, metrics, naive_bayes,
                         neighbors, neural_network, svm)
    library = "scikit-learn"

    def classifier(name, data, make, kind=np.float64, library=library):
        @case(name, data, library, kind)
        def _(d):
            model = make()
            yield model.fit(d.x, d.y)
            said = model.predict_proba(d.test_x)
            yield said
            yield accuracy(d, said)

    def number(name, data, make, library=library):
        @case(name, data, library)
        def _(d):
            model = make()
            yield model.fit(d.x, d.y)
            said = model.predict(d.test_x)
            yield said
            yield error(d, said)

    number("linear_ridge", "regression", lambda: linear_model.Ridge(alpha=1, solver="cholesky"))
    classifier("linear_logistic_2", "magic",
               lambda: linear_model.LogisticRegression(C=1, tol=1e-5, max_iter=1000))
    classifier("linear_logistic_10", "mnist",
               lambda: linear_model.LogisticRegression(C=1, tol=1e-12, max_iter=50))
    for name, data in [("64", "optdigits"), ("784", "mnist"), ("10", "magic")]:
        classifier(f"nearest_neighbours_{name}", data,
                   lambda: neighbors.KNeighborsClassifier(5, n_jobs=THREADS))
    classifier("naive_bayes", "mnist", lambda: naive_bayes.GaussianNB(var_smoothing=1e-2))
    classifier("naive_bayes_2", "magic", naive_bayes.GaussianNB)

    for name, data in [("10", "optdigits"), ("2", "magic_small")]:
        @case(f"support_vectors_{name}", data, library)
        def _(d):
            model = svm.SVC(cache_size=100, decision_function_shape="ovo")
            yield model.fit(d.x, d.y)
            said = model.decision_function(d.test_x)
            yield said
            yield float(np.mean(model.predict(d.test_x) == d.test_y))
    number("support_vectors_numbers", "housing_small", lambda: svm.SVR(cache_size=100))

    classifier("random_forest", "magic", lambda: ensemble.RandomForestClassifier(
        100, max_depth=12, max_samples=0.8, max_features=0.31, n_jobs=THREADS), np.float32)

    @case("radial_basis", "housing", library)
    def _(d):
        centres = cluster.KMeans(200, n_init=1, tol=1e-4, max_iter=300).fit(d.x).cluster_centers_
        gaps = metrics.pairwise.euclidean_distances(centres)
        np.fill_diagonal(gaps, np.inf)
        gamma = 0.5 / (2 * gaps.min(axis=1).mean()) ** 2
        ridge = linear_model.Ridge(alpha=1e-6, solver="cholesky")
        yield ridge.fit(metrics.pairwise.rbf_kernel(d.x, centres, gamma), d.y)
        said = ridge.predict(metrics.pairwise.rbf_kernel(d.test_x, centres, gamma))
        yield said
        yield error(d, said)

    @case("extreme_learning_machine", "housing", library)
    def _(d):
        rng = np.random.default_rng(1)
        w = rng.normal(scale=1 / np.sqrt(d.x.shape[1]), size=(d.x.shape[1], 500))
        b = rng.normal(size=500)
        ridge = linear_model.Ridge(alpha=1e-3, solver="cholesky")
        yield ridge.fit(np.tanh(d.x @ w + b), d.y)
        said = ridge.predict(np.tanh(d.test_x @ w + b))
        yield said
        yield error(d, said)

    @case("deep_belief", "mnist", library, np.float32)
    def _(d):
        x = d.x
        for hidden in [256, 64]:
            machine = neural_network.BernoulliRBM(hidden, learning_rate=0.1, batch_size=32, n_iter=1)
            x = machine.fit_transform(x)
        network = neural_network.MLPClassifier(
            (256, 64), activation="logistic", alpha=0, batch_size=32, max_iter=2)
        yield network.fit(d.x, d.y)
        said = network.predict_proba(d.test_x)
        yield said
        yield accuracy(d, said)

    @case("isolation_forest", "thyroid", library, np.float32)
    def _(d):
        model = ensemble.IsolationForest(n_estimators=100, max_samples=256, n_jobs=THREADS)
        yield model.fit(d.x)
        said = model.score_samples(d.test_x)
        yield said
        yield float(-said.mean())

    for name, data, clusters in [("16", "blobs", 20), ("784", "mnist", 10)]:
        @case(f"k_means_{name}", data, library)
        def _(d, clusters=clusters):
            model = cluster.KMeans(clusters, init=d.x[:clusters], n_init=1, max_iter=30)
            yield model.fit(d.x)
            distances = model.transform(d.test_x)
            said = model.cluster_centers_[distances.argmin(axis=1)]
            yield said
            yield squares(d, said)

    for name, data, components in [("50", "regression", 10), ("784", "mnist", 50)]:
        @case(f"principal_components_{name}", data, library)
        def _(d, components=components):
            model = decomposition.PCA(components, svd_solver="covariance_eigh")
            yield model.fit(d.x)
            said = model.inverse_transform(model.transform(d.test_x))
            yield said
            yield squares(d, said)

    @case("restricted_boltzmann", "mnist", library, np.float32)
    def _(d):
        model = neural_network.BernoulliRBM(128, learning_rate=0.05, batch_size=32, n_iter=2)
        yield model.fit(d.x)
        hidden = model.transform(d.test_x)
        said = sigmoid(hidden @ model.components_ + model.intercept_visible_)
        yield said
        yield squares(d, said)


def xgboost_cases():
    import xgboost
    for name, data, trees, make, judge in [
            ("boosted_trees_2", "magic", 100, xgboost.XGBClassifier, accuracy),
            ("boosted_trees_10", "optdigits", 30, xgboost.XGBClassifier, accuracy),
            ("boosted_trees_numbers", "regression", 50, xgboost.XGBRegressor, error)]:
        @case(name, data, "xgboost", np.float32)
        def _(d, trees=trees, make=make, judge=judge):
            model = make(n_estimators=trees, max_depth=6, learning_rate=0.3, tree_method="hist",
                         n_jobs=THREADS)
            yield model.fit(d.x, d.y)
            said = model.predict_proba(d.test_x) if d.classes else model.predict(d.test_x)
            yield said
            yield judge(d, said)


def minisom_cases():
    import minisom

    def map_of(d, epochs):
        som = minisom.MiniSom(10, 10, d.x.shape[1], sigma=5, learning_rate=1)
        som._weights[:] = d.x[:100].reshape(10, 10, -1)
        som._sigma_decay_function = lambda first, t, _: first * (0.5 / first) ** (t / (epochs - 1))
        return som

    @case("kohonen_map", "optdigits", "minisom")
    def _(d):
        som = map_of(d, 5)
        som._learning_rate_decay_function = lambda rate, t, _: rate
        som.train_batch_offline(d.x, 5)
        yield som
        said = som.quantization(d.test_x)
        yield said
        yield squares(d, said)

    @case("kohonen_map_online", "optdigits", "minisom")
    def _(d):
        som = map_of(d, 5)
        som._learning_rate_decay_function = lambda _, t, __: 0.5 * (0.01 / 0.5) ** (t / 4)
        som.train(d.x, 5, random_order=True, use_epochs=True)
        yield som
        said = som.quantization(d.test_x)
        yield said
        yield squares(d, said)


@case("markov_chain", "shakespeare", "NumPy")
def markov_chain(d):
    v = 65

    def keys(x):
        return x[:, :-1].astype(np.int64) * v + x[:, 1:]
    pairs = keys(d.x)
    second = np.bincount((pairs[:, :-1] * v + d.x[:, 2:]).reshape(-1), minlength=v**3)
    first = np.bincount(pairs[:, 0], minlength=v**2)
    second = (second + 1.0).reshape(-1, v)
    first = (first + 1.0).reshape(v, v)
    yield (second := second / second.sum(axis=1, keepdims=True),
           first := first / first.sum(axis=1, keepdims=True))
    said = np.concatenate([first[d.test_x[:, :1]], second[keys(d.test_x)[:, :-1]]], axis=1,
                          dtype=np.float32)
    yield said
    yield float(-np.log(np.take_along_axis(said, d.test_x[:, 1:, None], axis=2)).mean())


@case("hopfield", "semeion", "NumPy", np.float32)
def hopfield(d):
    signs = np.where(d.x > 0, 1, -1).astype(np.float32)
    w = signs.T @ signs / signs.shape[1]
    np.fill_diagonal(w, 0)
    levels = np.stack([np.where(d.x > 0, 0, d.x).mean(axis=0), np.ones(d.x.shape[1], np.float32)])
    yield w
    state = np.where(d.test_x > 0, 1, -1).astype(np.float32)
    rng = np.random.default_rng(1)
    for _ in range(100):
        before = state.copy()
        for unit in rng.permutation(w.shape[0]):
            field = state @ w[unit]
            state[:, unit] = np.where(field == 0, state[:, unit], np.sign(field))
        if (state == before).all():
            break
    said = np.where(state > 0, levels[1], levels[0])
    yield said
    yield squares(d, said)


@case("boltzmann", "optdigits", "NumPy", np.float32)
def boltzmann(d):
    rng = np.random.default_rng(1)
    visible, hidden, batch = d.x.shape[1], 32, 32
    units = visible + hidden
    w = np.tril(rng.normal(scale=0.01, size=(units, units)), -1).astype(np.float32)
    w, b = w + w.T, np.zeros(units, np.float32)
    chains = (rng.random((batch, units)) < 0.5).astype(np.float32)

    def sweep(states, first):
        drawn = rng.random(states.shape, dtype=np.float32)
        for unit in range(first, units):
            states[:, unit] = drawn[:, unit] < sigmoid(states @ w[unit] + b[unit])

    def mean_field(x):
        h = np.full((len(x), hidden), 0.5, np.float32)
        for _ in range(10):
            for unit in range(hidden):
                row = w[visible + unit]
                h[:, unit] = sigmoid(x @ row[:visible] + h @ row[visible:] + b[visible + unit])
        full = np.concatenate([x, h], axis=1)
        return sigmoid(full @ w[:, :visible] + b[:visible])

    for _ in range(3):
        order = rng.permutation(len(d.x))
        for begin in range(0, len(order), batch):
            rows = d.x[order[begin:begin + batch]]
            mean_field(rows)  # the loss of the step
            states = np.concatenate([rows, np.full((len(rows), hidden), 0.5, np.float32)], axis=1)
            states = (rng.random(states.shape, dtype=np.float32) < states).astype(np.float32)
            sweep(states, visible)
            sweep(chains, 0)
            change = states.T @ states / len(rows) - chains.T @ chains / batch
            np.fill_diagonal(change, 0)
            w += np.float32(0.01) * change
            b += np.float32(0.01) * (states.mean(axis=0) - chains.mean(axis=0))
    yield w
    said = mean_field(d.test_x)
    yield said
    yield squares(d, said)


def ridge(x, y, penalty):
    x, y = x.astype(np.float64), y.astype(np.float64)
    means, mean = x.mean(axis=0), y.mean()
    x -= means
    gram = x.T @ x
    gram[np.diag_indices_from(gram)] += penalty
    w = np.linalg.solve(gram, x.T @ (y - mean))
    return w, mean - means @ w


def connections(rng, units, density, low):
    w = rng.uniform(low, 1, (units, units)).astype(np.float32)
    for row in w:
        row[rng.permutation(units)[:units - round(density * units)]] = 0
    return w.T.copy()


@case("echo_state", "series", "NumPy", np.float32)
def echo_state(d):
    rng = np.random.default_rng(1)
    w = connections(rng, 300, 0.1, -1)
    w *= np.float32(0.9 / np.abs(np.linalg.eigvals(w)).max())
    inputs, bias = rng.uniform(-1, 1, (2, 300)).astype(np.float32)

    def states(rows):
        x = np.zeros((len(rows), 300), np.float32)
        for step in range(d.steps):
            x = np.tanh(rows[:, step:step + 1] * inputs + bias + x @ w)
        return x
    readout, intercept = ridge(states(d.x), d.y, 1e-6)
    yield readout
    said = states(d.test_x) @ readout + intercept
    yield said
    yield error(d, said)


@case("liquid_state", "series", "NumPy", np.float32)
def liquid_state(d):
    rng = np.random.default_rng(1)
    w = connections(rng, 200, 0.1, 0) * np.float32(0.5 / np.sqrt(20))
    w[:40] *= -1
    inputs = rng.uniform(-1, 1, 200).astype(np.float32)
    kept = np.float32(np.exp(-1 / 20))

    def states(rows):
        v, r, spikes = np.zeros((3, len(rows), 200), np.float32)
        for step in range(d.steps):
            current = rows[:, step:step + 1] * inputs
            for _ in range(3):
                v = v * kept + current + spikes @ w
                spikes = (v >= 1).astype(np.float32)
                v[v >= 1] = 0
                r = r * kept + (1 - kept) * spikes
        return r
    readout, intercept = ridge(states(d.x), d.y, 1e-3)
    yield readout
    said = states(d.test_x) @ readout + intercept
    yield said
    yield error(d, said)


def gensim_cases():
    from gensim.models import Word2Vec

    def loss(d, x, y, counts, bag):
        """Of pairs as our learner draws them: subsampled, within 1 to 5, and 5 negatives."""
        rng = np.random.default_rng(1)
        power = counts ** 0.75
        stays = np.minimum(1, np.sqrt(1e-3 * counts.sum() / np.maximum(counts, 1)))
        total = pairs = 0
        for row in d.test_x:
            row = row[row >= 0]
            row = row[rng.random(len(row)) < stays[row]]
            ends = rng.integers(1, 6, len(row))
            around = [[*row[max(0, i - end):i], *row[i + 1:i + 1 + end]]
                      for i, end in enumerate(ends)]
            if bag:
                told = [(codes, code) for codes, code in zip(around, row) if codes]
                points = np.array([x[codes].mean(axis=0) for codes, _ in told])
                codes = np.array([code for _, code in told], int)
            else:
                told = np.array([(one, code) for many, code in zip(around, row) for one in many])
                points, codes = (x[told[:, 0]], told[:, 1]) if len(told) else ([], [])
            if not len(codes):
                continue
            drawn = rng.choice(len(power), (len(codes), 5), p=power / power.sum())
            total += np.logaddexp(0, -(points * y[codes]).sum(axis=1)).sum()
            against = np.logaddexp(0, np.einsum("id,ikd->ik", points, y[drawn]))
            total += against[drawn != codes[:, None]].sum()
            pairs += len(codes)
        return float(total / pairs)

    for name, bag in [("word_vectors", False), ("word_vectors_bag", True)]:
        @case(name, "words", "gensim")
        def _(d, bag=bag):
            if not hasattr(d, "sentences"):  # not counted: in the first round
                d.sentences = [[str(code) for code in row] for row in d.x]
            rate = 0.05 if bag else 0.025
            model = Word2Vec(d.sentences, vector_size=100, window=5, negative=5, sample=1e-3,
                             sg=not bag, alpha=rate, min_alpha=1e-4 * rate, epochs=5, min_count=1,
                             workers=THREADS, seed=1)
            yield model
            place = np.full(d.x.max() + 2, -1)  # the last is of what is unknown
            for i, word in enumerate(model.wv.index_to_key):
                place[int(word)] = i
            rows = np.vstack([model.wv.vectors, np.zeros_like(model.wv.vectors[:1])])
            said = rows[place[d.test_x]].sum(axis=1)
            said /= np.linalg.norm(said, axis=1, keepdims=True)
            yield said
            x, y = np.zeros((2, len(place), 100), np.float32)
            codes = [int(word) for word in model.wv.index_to_key]
            x[codes], y[codes] = model.wv.vectors, model.syn1neg
            counts = np.bincount(d.x.reshape(-1), minlength=len(place)).astype(float)
            yield loss(d, x, y, counts, bag)


def main():
    for add in [sklearn_cases, xgboost_cases, minisom_cases, gensim_cases]:
        try:
            add()
        except ImportError as reason:
            print(f"peers skipped: {reason}", file=sys.stderr)
    if FOLDER is None:
        print("\n".join(CASES))
        return
    loaded = {}
    for line in sys.stdin:
        name, _, other = line.strip().partition(" ")
        data, library, kind, body = CASES[name]
        data = other or data
        if (data, kind) not in loaded:
            loaded[data, kind] = Data(data, kind)
        start = CLOCK()
        stages = body(loaded[data, kind])
        next(stages)
        trained = CLOCK()
        next(stages)
        predicted = CLOCK()
        print(json.dumps({"case": name, "train": trained - start, "predict": predicted - trained,
                          "quality": next(stages), "library": library}), flush=True)


main()
