"""Predict steps through the service: a table for later steps, a dataset for people."""

import csv
import json
import unittest

import harness
from harness import STUBS

RUN = STUBS['run'][0]

DEFINITION = '''
name: asked
seed: 3
inputs:
  points: {file: points.csv}
  fresh: {file: fresh.csv}
steps:
  - name: train
    train:
      data: {input: points, target: label, split: {random: {test: 0.25}}}
      network: {layers: [{dense: {units: 8, activation: relu}}, {dense: {}}], epochs: 10}
  - name: ask
    predict: {model: train}
  - name: wrong
    prepare: {input: ask, operations: [{filter: {where: prediction != label}}]}
  - name: measure
    evaluate: {model: train, metrics: [accuracy]}
  - name: ask-fresh
    predict: {model: train, input: fresh}
  - name: publish
    publish: {model: train, name: asked}
'''


class PredictTest(harness.ClusterTest):

    def rows_of(self, dataset):
        path = self.cluster.path('downloaded.csv')
        self.cluster.cli('dataset', 'download', dataset, '--output', path, check=0)
        with open(path, newline='', encoding='utf-8') as file:
            return list(csv.DictReader(file))

    def test_predictions_are_a_table_and_a_dataset(self):
        self.cluster.write('points.csv', harness.two_classes())
        lines = harness.two_classes(50, seed=9).splitlines()
        unlabelled = [line.rsplit(',', 1)[0] for line in lines]
        self.cluster.write('fresh.csv', '\n'.join(unlabelled) + '\n')
        path = self.cluster.write('asked.yaml', DEFINITION)
        name = self.cluster.create_run(path)
        run = self.cluster.expect_success(name)
        tasks = self.cluster.stubs['run'].ListTasks(RUN.ListTasksRequest(parent=name)).tasks
        results = {task.step: task.result for task in tasks}

        rows = self.rows_of(results['ask'].table.name)
        self.assertEqual(list(rows[0]), ['x', 'y', 'z', 'label', 'prediction', 'probability_no',
                                         'probability_yes'])
        self.assertEqual(len(rows), 150)
        right = sum(row['prediction'] == row['label'] for row in rows)
        accuracy = results['measure'].evaluation.metrics['accuracy']
        self.assertAlmostEqual(right / 150, accuracy, 12)
        self.assertEqual(results['wrong'].table.row_count, 150 - right)

        # The registered model says the same of the same rows, one by one.
        answer = self.cluster.cli('model', 'predict', 'asked', '--json', '--row', json.dumps(
            {name: float(rows[7][name]) for name in 'xyz'}), check=0).json()
        said = answer
        self.assertEqual(said['label'], rows[7]['prediction'])
        self.assertAlmostEqual(said['probabilities'][1], float(rows[7]['probability_yes']), 6)

        fresh = self.rows_of(results['ask-fresh'].table.name)
        self.assertEqual([float(row['x']) for row in fresh],
                         [float(line.split(',')[0]) for line in unlabelled[1:]])
        self.assertEqual(len(fresh), 50)
        self.assertEqual(list(fresh[0])[:4], ['x', 'y', 'z', 'prediction'])
        shown = self.cluster.cli('run', 'show', name, check=0).out
        self.assertIn('table of ask-fresh: 50 rows x 6 columns, dataset asked-ask-fresh.csv', shown)
        lineage = self.cluster.cli('lineage', results['ask'].table.name, check=0).out
        self.assertIn(name.rsplit('/', 1)[1], lineage)

        # The same again is taken from there, and the dataset is the same one.
        again = self.cluster.cli('run', 'create', path, '--name-only', check=0).out.strip()
        self.cluster.expect_success(again)
        for task in self.cluster.stubs['run'].ListTasks(RUN.ListTasksRequest(parent=again)).tasks:
            if task.step.startswith('ask'):
                self.assertIn(name, task.result.taken_from)
                self.assertEqual(task.result.table.name, results[task.step].table.name)
        self.assertEqual(len(run.models), 1)

    def test_a_file_is_scored(self):
        self.cluster.write('points.csv', harness.two_classes())
        self.cluster.expect_success(self.cluster.create_run(
            self.cluster.write('scored.yaml', harness.pipeline(name='scored'))))
        path = self.cluster.path('scores.csv')
        out = self.cluster.cli('model', 'score', 'scored', self.cluster.path('points.csv'),
                               '--output', path, check=0).out
        self.assertEqual(out.splitlines()[-1], path)
        with open(path, newline='', encoding='utf-8') as file:
            rows = list(csv.DictReader(file))
        self.assertEqual(len(rows), 600)
        self.assertGreater(sum(row['prediction'] == row['label'] for row in rows), 450)
        self.cluster.write('short.csv', 'x,y\n1,2\n')
        failed = self.cluster.cli('model', 'score', 'scored', self.cluster.path('short.csv'),
                                  '--output', self.cluster.path('nothing.csv'))
        self.assertEqual(failed.code, 1)
        self.assertIn('"z"', failed.out + failed.err)
        self.assertEqual(self.cluster.cli('model', 'score', 'scored', 'points.csv').code, 2)

    def test_a_registered_model_is_asked(self):
        self.cluster.write('points.csv', harness.two_classes())
        plain = self.cluster.write('plain.yaml', harness.pipeline(name='plain'))
        run = self.cluster.expect_success(self.cluster.create_run(plain))
        path = self.cluster.write('registered.yaml', f'''
name: registered
inputs: {{rows: {{file: points.csv}}}}
steps:
  - name: ask
    predict: {{model: {run.models[0]}, input: rows}}
''')
        name = self.cluster.create_run(path)
        self.cluster.expect_success(name)
        task, = self.cluster.stubs['run'].ListTasks(RUN.ListTasksRequest(parent=name)).tasks
        self.assertEqual(len(self.rows_of(task.result.table.name)), 600)
        # A model of another name is none of this project's.
        other = self.cluster.write('nothing.yaml', f'''
name: nothing
inputs: {{rows: {{file: points.csv}}}}
steps:
  - name: ask
    predict: {{model: {run.models[0].replace('plain', 'plane')}, input: rows}}
''')
        refused = self.cluster.cli('run', 'create', other)
        self.assertEqual(refused.code, 4)
        self.assertIn('plane', refused.err)


if __name__ == '__main__':
    unittest.main()
