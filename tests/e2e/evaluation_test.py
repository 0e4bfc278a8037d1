"""Evaluation and looking at data through the service: figures, pictures, histograms, correlations."""

import csv
import math
import os
import unittest
import xml.etree.ElementTree as ElementTree

import harness
from harness import STUBS

RUN = STUBS['run'][0]
DATASET = STUBS['dataset'][0]
FIXTURE = os.path.join(harness.ROOT, 'tests/pipeline/evaluation')

DEFINITION = '''
name: measured
seed: 3
inputs: {rows: {file: %s}}
steps:
  - name: train
    train:
      data:
        input: rows
        target: label
        weight: weight
        features: [pt, eta, kind]
        split: {column: {column: part, test: [test]}}
        transforms: [{standardize: {}}, {one_hot: {}}]
      naive_bayes: {}
  - name: network
    train:
      data: {input: rows, target: label, features: [pt, eta], split: {random: {validation: 0.3}}}
      network:
        layers: [dense: {units: 4, activation: relu}, dense: {}]
        optimizer: {adam: {}}
        epochs: 4
  - name: evaluate
    evaluate:
      model: train
      bootstrap: {resamples: 200, confidence: 0.9}
      importance: {repeats: 4}
      histograms: [{column: pt, bins: 7, min: 5, max: 60}]
'''


def read_expected():
    """What scikit-learn says of the same model (make_fixture.py), by name."""
    with open(os.path.join(FIXTURE, 'expected.txt'), encoding='utf-8') as file:
        lines = [line.split() for line in file]
    return {line[0]: [float(word) for word in line[1:]] for line in lines}


class EvaluationTest(harness.ClusterTest):

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        path = cls.cluster.write('measured.yaml', DEFINITION % os.path.join(FIXTURE, 'rows.csv'))
        cls.run_name = cls.cluster.create_run(path)
        cls.cluster.expect_success(cls.run_name)
        cls.id = cls.run_name.rsplit('/', 1)[1]
        cls.expected = read_expected()
        with open(os.path.join(FIXTURE, 'rows.csv'), newline='', encoding='utf-8') as file:
            cls.rows = list(csv.DictReader(file))

    def dataset(self):
        return self.cluster.cli('dataset', 'list', '--json', check=0).lines()[0]['name']

    def test_figures_are_those_of_scikit_learn(self):
        tasks = self.cluster.stubs['run'].ListTasks(RUN.ListTasksRequest(parent=self.run_name)).tasks
        evaluation = {task.step: task.result.evaluation for task in tasks}['evaluate']
        for name in ('accuracy', 'auc', 'pr_auc', 'f1', 'log_loss'):
            low, high = self.expected[f'interval:bayes:{name}']
            self.assertAlmostEqual(evaluation.intervals[name].low, low, 5, name)
            self.assertAlmostEqual(evaluation.intervals[name].high, high, 5, name)
        self.assertEqual({one.column for one in evaluation.importance}, {'pt', 'eta', 'kind'})
        for one in evaluation.importance:
            mean, deviation = self.expected[f'importance:bayes:{one.column}']
            self.assertAlmostEqual(one.mean, mean, 4, one.column)
            self.assertAlmostEqual(one.standard_deviation, deviation, 4, one.column)
        self.assertEqual(len(evaluation.histograms[0].series), 4)
        for series in evaluation.histograms[0].series:
            of = 'predicted' if series.predicted else 'true'
            self.assertEqual(list(series.counts),
                             self.expected[f'histogram:pt:{of}:{getattr(series, "class")}'])
        shown = self.cluster.cli('run', 'show', self.id, check=0).out
        low, high = self.expected['interval:bayes:auc']
        self.assertIn(f'{low:.5f} to {high:.5f} (90%)', shown)

    def test_pictures_and_tables(self):
        folder = self.cluster.path('plots')
        written = self.cluster.cli('run', 'plots', self.id, '--out', folder, check=0).out.split()
        self.assertEqual(sorted(os.listdir(folder)), sorted(os.path.basename(f) for f in written))
        for kind in ('roc', 'precision_recall', 'calibration', 'confusion', 'importance',
                     'histogram.pt'):
            self.assertIn(f'evaluate.{kind}.svg', os.listdir(folder))
        for file in written:
            with open(file, newline='', encoding='utf-8') as content:
                if file.endswith('.svg'):
                    self.assertTrue(ElementTree.parse(content).getroot().tag.endswith('svg'))
                else:
                    rows = list(csv.reader(content))
                    self.assertGreater(len(rows), 1, file)
                    self.assertEqual({len(row) for row in rows}, {len(rows[0])}, file)
        with open(os.path.join(folder, 'network.learning.loss.csv'), newline='',
                  encoding='utf-8') as content:
            curve = list(csv.DictReader(content))
        self.assertEqual([row['epoch'] for row in curve], ['1', '2', '3', '4'])
        self.assertTrue(all(float(row['training']) > 0 and float(row['validation']) > 0
                            for row in curve))
        text = self.cluster.cli('run', 'plots', self.id, '--step', 'evaluate', check=0).out
        for title in ('ROC curve', 'confusion matrix', 'pt by class'):
            self.assertIn(f'evaluate: {title}', text)
        data = self.cluster.cli('run', 'plots', self.id, '--json', check=0).lines()
        self.assertEqual(data[0]['result']['evaluation']['confidence'], 0.9)

    def test_a_histogram(self):
        answer = self.cluster.cli('dataset', 'histogram', self.dataset(), '--column', 'pt', '--by',
                                  'label', '--bins', '4', '--min', '0', '--max', '80', '--weight',
                                  'weight', '--json', check=0).json()
        self.assertEqual(answer['edges'], [0, 20, 40, 60, 80])
        self.assertEqual({series['category'] for series in answer['series']},
                         {row['label'] for row in self.rows})
        for series in answer['series']:
            mine = [row for row in self.rows if row['label'] == series['category']]
            counts = [sum(float(row['weight']) for row in mine
                          if low <= float(row['pt']) < low + 20) for low in (0, 20, 40, 60)]
            self.assertEqual(series['counts'], counts)
            whole = sum(float(row['weight']) for row in mine)
            self.assertAlmostEqual(series.get('other', 0), whole - sum(counts))
        refused = self.cluster.cli('dataset', 'histogram', self.dataset(), '--column', 'mas')
        self.assertEqual(refused.code, 3)
        self.assertIn('there is no column "mas"', refused.err)

    def test_correlations(self):
        svg = self.cluster.path('correlation.svg')
        answer = self.cluster.cli('dataset', 'correlation', self.dataset(), '--columns', 'pt,mass',
                                  '--svg', svg, '--json', check=0).json()
        x, y = ([float(row[name]) for row in self.rows] for name in ('pt', 'mass'))
        x, y = ([value - sum(v) / len(v) for value in v] for v in (x, y))
        expected = sum(a * b for a, b in zip(x, y)) / math.sqrt(
            sum(a * a for a in x) * sum(b * b for b in y))
        self.assertAlmostEqual(answer['values'][1], expected, 12)
        self.assertEqual(answer['values'][1], answer['values'][2])
        ElementTree.parse(svg)
        ranks = self.cluster.stubs['dataset'].ComputeCorrelation(DATASET.ComputeCorrelationRequest(
            name=self.dataset(), method=DATASET.ComputeCorrelationRequest.METHOD_SPEARMAN))
        self.assertEqual(list(ranks.columns), ['pt', 'eta', 'mass', 'weight'])
        self.assert_server_lives()

    def test_nonsense_is_refused_with_its_place(self):
        text = DEFINITION % os.path.join(FIXTURE, 'rows.csv')
        path = self.cluster.write('nonsense.yaml', text.replace('resamples: 200', 'resamples: 5'))
        refused = self.cluster.cli('run', 'create', path)
        self.assertNotEqual(refused.code, 0)
        self.assertIn('bootstrap.resamples', refused.err)


if __name__ == '__main__':
    unittest.main()
