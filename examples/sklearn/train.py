"""A random forest of scikit-learn as the learner of a train step: docs/command.md has the contract."""

import json
import sys

import joblib
import numpy as np
from sklearn.ensemble import RandomForestClassifier

parameters = json.load(open('parameters.json', encoding='utf-8'))
names = parameters['features']


def columns(path):
    """The columns of a CSV file by name, as texts."""
    with open(path, encoding='utf-8') as file:
        head = file.readline().rstrip('\n').split(',')
        rows = [line.rstrip('\n').split(',') for line in file]
    return {name: [row[i] for row in rows] for i, name in enumerate(head)}


def numbers(table):
    return np.array([table[name] for name in names], dtype=np.float32).T


if sys.argv[1] == 'train':
    table = columns('train.csv')
    model = RandomForestClassifier(
        n_estimators=int(parameters['numbers']['trees']),
        max_depth=int(parameters['numbers']['depth']),
        random_state=parameters['seed'], n_jobs=parameters['threads'])
    model.fit(numbers(table), table[parameters['target']])
    joblib.dump(model, 'model/forest.joblib')
else:
    model = joblib.load('model/forest.joblib')
    probabilities = model.predict_proba(numbers(columns('rows.csv')))
    with open('predictions.csv', 'w', encoding='utf-8') as file:
        print(*model.classes_, sep=',', file=file)
        np.savetxt(file, probabilities, delimiter=',')
