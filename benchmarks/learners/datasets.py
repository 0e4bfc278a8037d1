"""The data of benchmarks/learners, as files that both sides read (data.h): no libraries needed."""

import array
import csv
import gzip
import math
import os
import pathlib
import random
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDER = pathlib.Path(os.environ.get("BEAMLINE_DATASETS", ROOT.parent / "shared/datasets"))


def standardise(rows):
    columns = []
    for column in zip(*rows):
        mean = sum(column) / len(column)
        deviation = math.sqrt(sum((x - mean) ** 2 for x in column) / len(column)) or 1
        columns.append([(x - mean) / deviation for x in column])
    return list(zip(*columns))


def write(folder, name, x, y, test, classes=0, targets=0, steps=0, codes=0):
    """`x`: rows, of which the last `test` are to be predicted."""
    cut, width = len(x) - test, len(x[0])
    head = [cut, test, 0 if codes else width, classes, targets, steps, width if codes else 0]
    (folder / f"{name}.head").write_text(" ".join(map(str, head)))
    for part, begin, end in [("", 0, cut), ("test_", cut, len(x))]:
        values = array.array("i" if codes else "f")
        for row in x[begin:end]:
            values.extend(row)
        (folder / f"{name}.{part}x").write_bytes(values.tobytes())
        if y is not None:
            values = array.array("i" if classes else "f", y[begin:end])
            (folder / f"{name}.{part}y").write_bytes(values.tobytes())


def regression(folder):
    rng = random.Random(1)
    weights = [rng.gauss(0, 1) for _ in range(50)]
    x = [[rng.gauss(0, 1) for _ in range(50)] for _ in range(60000)]
    y = [sum(map(float.__mul__, weights, row)) + row[0] * row[1] + rng.gauss(0, 1) for row in x]
    write(folder, "regression", x, y, 10000, targets=1)


def blobs(folder):
    rng = random.Random(2)
    centres = [[rng.gauss(0, 2) for _ in range(16)] for _ in range(20)]
    x = [[c + rng.gauss(0, 1) for c in rng.choice(centres)] for _ in range(60000)]
    write(folder, "blobs", x, None, 10000)


def series(folder):
    """Windows of Mackey and Glass's equation, and what follows."""
    values = [1.2] * 18
    while len(values) < 4200:
        values.append(values[-1] + 0.2 * values[-18] / (1 + values[-18] ** 10) - 0.1 * values[-1])
    x = [values[i + 100:i + 150] for i in range(4000)]
    write(folder, "series", x, [values[i + 150] for i in range(4000)], 1000, targets=1, steps=50)


def magic(folder):
    rows = list(csv.reader((FOLDER / "magic04/magic04.data").open()))[1:]
    random.Random(3).shuffle(rows)
    x = standardise([[float(value) for value in row[:-1]] for row in rows])
    y = [int(row[-1] == "g") for row in rows]
    write(folder, "magic", x, y, 4020, classes=2)
    write(folder, "magic_small", x[:6000], y[:6000], 2000, classes=2)


def housing(folder):
    with (FOLDER / "california_housing/housing.csv").open() as file:
        rows = [row[:9] for row in list(csv.reader(file))[1:] if "" not in row]
    random.Random(4).shuffle(rows)
    rows = standardise([[float(value) for value in row] for row in rows])
    x, y = [row[:8] for row in rows], [row[8] for row in rows]
    write(folder, "housing", x, y, 4000, targets=1)
    write(folder, "housing_small", x[:6000], y[:6000], 2000, targets=1)


def optdigits(folder):
    rows = []
    for part in ["tra", "tes"]:
        with (FOLDER / f"optdigits/optdigits.{part}").open() as file:
            rows += [[int(value) for value in row] for row in csv.reader(file)]
    x = [[value / 16 for value in row[:-1]] for row in rows]
    write(folder, "optdigits", x, [row[-1] for row in rows], 1797, classes=10)


def mnist(folder):
    images, labels = (gzip.open(FOLDER / f"mnist/train-{name}-ubyte.gz").read()
                      for name in ["images-idx3", "labels-idx1"])
    shades = [value / 255 for value in range(256)]
    x = [[shades[value] for value in images[16 + 784 * i:16 + 784 * (i + 1)]] for i in range(12000)]
    write(folder, "mnist", x, list(labels[8:12008]), 2000, classes=10)


def thyroid(folder):
    with gzip.open(FOLDER / "thyroid_anomaly/thyroid.csv.gz", "rt") as file:
        rows = [[float(value) for value in row[1:]] for row in list(csv.reader(file))[1:]]
    write(folder, "thyroid", rows + rows, None, len(rows))


def semeion(folder):
    with (FOLDER / "semeion/semeion.txt").open() as file:
        rows = [[int(bit) for bit in line.split()[0]] for line in file]
    write(folder, "semeion", rows, None, 393)


def shakespeare(folder):
    text = (FOLDER / "tinyshakespeare/input.txt").read_text()
    number = {letter: i for i, letter in enumerate(sorted(set(text)))}
    x = [[number[c] for c in text[i:i + 129]] for i in range(0, len(text) - 129, 128)]
    write(folder, "shakespeare", x, None, 1000, codes=True)


def folds(folder, name, count):
    """The rows of a data set in `count` data sets, each with another part of them to be predicted."""
    head = (folder / f"{name}.head").read_text()
    names = [f"{name}_fold{fold}" for fold in range(count)]
    for fold, own in enumerate(names):
        (folder / f"{own}.head").write_text(head)
        for kind in "xy":
            parts = [(folder / f"{name}.{part}{kind}").read_bytes() for part in ["", "test_"]]
            test = len(parts[1])
            begin = fold * test
            if len(parts[0]) + test != count * test:
                raise ValueError(f"{name} is not {count} times its test rows")
            rows = parts[0] + parts[1]
            (folder / f"{own}.{kind}").write_bytes(rows[:begin] + rows[begin + test:])
            (folder / f"{own}.test_{kind}").write_bytes(rows[begin:begin + test])
    return names


def words(folder):
    """64 words a row; -1 for those of the test rows that no training row has."""
    text = (FOLDER / "tinyshakespeare/input.txt").read_text().lower()
    found = re.findall(r"[a-z0-9]+|[^\sa-z0-9]", text)
    rows, test = len(found) // 64, 400
    number = {word: i + 1 for i, word in enumerate(sorted(set(found[:64 * (rows - test)])))}
    x = [[number.get(word, -1) for word in found[64 * i:64 * (i + 1)]] for i in range(rows)]
    write(folder, "words", x, None, test, codes=True)


def write_all(folder):
    for make in [regression, blobs, series, magic, housing, optdigits, mnist, thyroid, semeion,
                 shakespeare, words]:
        if not (folder / f"{make.__name__}.head").exists():
            make(folder)
