"""Prepare steps through the service: tables made from tables, which later steps use by name."""

import csv
import io
import math
import random
import unittest

import harness
from harness import STUBS

RUN = STUBS['run'][0]
MODEL = STUBS['model'][0]

DEFINITION = '''
name: prepared
seed: 5
inputs:
  events: {file: events.csv}
  periods: {file: periods.csv}
steps:
  - name: clean
    prepare:
      input: events
      operations:
        - filter: {where: 'pt > 5 and not is_missing(eta)'}
        - derive: {columns: {px: pt * cos(phi), py: pt * sin(phi), forward: abs(eta) > 1.5}}
        - join: {with: periods, on: [period]}
  - name: means
    prepare:
      input: clean
      operations:
        - group: {by: [period], aggregates: {n: count(), mean_pt: mean(pt), most: max(luminosity)}}
        - sort: {by: [period]}
  - name: testing
    prepare: {input: clean, operations: [{filter: {where: row() % 4 == 0}}]}
  - name: training
    prepare:
      input: clean
      operations: [{filter: {where: row() % 4 != 0}}, {balance: {column: label}}]
  - name: train
    train:
      data:
        input: training
        target: label
        target_kind: classification
        features: [px, py, eta, luminosity]
        split: {input: {test: testing, validation: 0.2}}
      network:
        layers: [dense: {units: 8, activation: relu}, dense: {}]
        optimizer: {adam: {learning_rate: 0.02}}
        epochs: 10
  - name: tuned
    search:
      random: {trials: 2}
      space: {train.network.optimizer.adam.learning_rate: {choice: [0.01, 0.02]}}
    cross_validation: {stratified: {folds: 3}}
    train:
      data: {input: clean, target: label, target_kind: classification, features: [px, py]}
      network:
        layers: [dense: {units: 4, activation: relu}, dense: {}]
        optimizer: {adam: {}}
        epochs: 2
  - name: evaluate
    evaluate: {model: train}
  - name: again
    evaluate: {model: train, input: clean}
  - name: publish
    publish:
      model: train
      name: prepared
      requirements: [{evaluation: evaluate, metric: auc, at_least: 0.9}]
'''


def table(rows):
    text = io.StringIO()
    writer = csv.DictWriter(text, rows[0].keys(), lineterminator='\n')
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


class PrepareTest(harness.ClusterTest):

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        rng = random.Random(1)
        cls.events = []
        for _ in range(2000):
            phi = rng.uniform(-math.pi, math.pi)
            pt = round(rng.expovariate(1 / 20), 3)
            eta = '' if rng.random() < 0.1 else round(rng.gauss(0, 1.5), 3)
            cls.events.append({'pt': pt, 'phi': round(phi, 4), 'eta': eta,
                               'period': rng.choice('ABCD'),
                               'label': int(pt * math.cos(phi) > 4)})
        cls.periods = [{'period': 'A', 'luminosity': 1.5}, {'period': 'C', 'luminosity': 3},
                       {'period': 'D', 'luminosity': 2}, {'period': 'E', 'luminosity': 9}]
        cls.cluster.write('events.csv', table(cls.events))
        cls.cluster.write('periods.csv', table(cls.periods))
        cls.path = cls.cluster.write('prepared.yaml', DEFINITION)

    def tasks(self, name):
        answer = self.cluster.stubs['run'].ListTasks(RUN.ListTasksRequest(parent=name))
        return {task.step: task for task in answer.tasks}

    def test_steps_use_what_steps_have_made(self):
        run = self.cluster.expect_success(self.cluster.create_run(self.path))
        tasks = self.tasks(run.name)
        tables = {step: task.result.table for step, task in tasks.items()}
        kept = [event for event in self.events
                if event['pt'] > 5 and event['eta'] != '' and event['period'] != 'B']
        self.assertEqual(tables['clean'].row_count, len(kept))
        self.assertEqual([column.name for column in tables['clean'].columns],
                         ['pt', 'phi', 'eta', 'period', 'label', 'forward', 'px', 'py', 'luminosity'])
        self.assertEqual(tables['testing'].row_count, len(kept[::4]))
        self.assertEqual(tables['means'].row_count, 3)
        luminosity = tables['means'].columns[3].statistics
        self.assertEqual(tables['means'].columns[3].name, 'n')
        self.assertEqual(luminosity.count, 3)
        self.assertAlmostEqual(3 * luminosity.mean, len(kept))
        rest = [event for i, event in enumerate(kept) if i % 4 != 0]
        rarer = min(sum(event['label'] == k for event in rest) for k in (0, 1))
        self.assertEqual(tables['training'].row_count, 2 * rarer)

        self.assertEqual(tasks['evaluate'].result.evaluation.rows_of, 'testing')
        self.assertEqual(tasks['evaluate'].result.evaluation.row_count, len(kept[::4]))
        self.assertEqual(tasks['again'].result.evaluation.row_count, len(kept))
        held_out = tasks['tuned'].result.out_of_fold
        self.assertEqual(held_out.row_count, len(kept))
        self.assertIn('forward', [column.name for column in held_out.columns])
        self.assertGreater(tasks['evaluate'].result.evaluation.metrics['auc'], 0.9)

        lineage = self.cluster.stubs['model'].GetModel(
            MODEL.GetModelRequest(name=run.models[0])).lineage
        self.assertEqual(set(lineage.data_digests),
                         {'events', 'periods', 'clean', 'testing', 'training'})
        self.assertEqual(lineage.data_digests['clean'],
                         tasks['clean'].result.artifacts['table'].digest)
        shown = self.cluster.cli('run', 'show', run.name.rsplit('/', 1)[1], check=0).out
        self.assertIn(f'table of means: 3 rows x 4 columns', shown)
        logs = self.cluster.cli('run', 'logs', run.name.rsplit('/', 1)[1], '--step', 'means',
                                check=0).out
        self.assertIn(f'group: {len(kept)} rows x 9 columns -> 3 rows x 4 columns', logs)

        # The same tables and the same model again, and the model measured in another pipeline.
        again = self.cluster.expect_success(self.cluster.create_run(self.path))
        for step, task in self.tasks(again.name).items():
            for name, blob in tasks[step].result.artifacts.items():
                self.assertEqual(task.result.artifacts[name].digest, blob.digest, step)
        other = DEFINITION.split('  - name: means')[0].replace('name: prepared', 'name: other')
        other += f'  - name: measure\n    evaluate: {{model: {run.models[0]}, input: clean}}\n'
        run = self.cluster.expect_success(
            self.cluster.create_run(self.cluster.write('other.yaml', other)))
        self.assertEqual(self.tasks(run.name)['measure'].result.evaluation.metrics['auc'],
                         tasks['again'].result.evaluation.metrics['auc'])

    def test_tables_larger_than_memory_go_to_the_disk(self):
        # A million pairs of events in 16 MiB, and in the process's confinement.
        pairs = '''
name: pairs
inputs: {events: {file: events.csv}}
steps:
  - name: pairs
    resources: {memory_bytes: 16 MiB}
    prepare:
      input: events
      operations:
        - join: {with: events, on: [period]}
        - sort: {by: [-pt, pt_2]}
        - group: {by: [period], aggregates: {n: count(), first: first(pt), last: last(pt)}}
        - sort: {by: [period]}
'''
        run = self.cluster.expect_success(
            self.cluster.create_run(self.cluster.write('pairs.yaml', pairs)))
        columns = {column.name: column.statistics
                   for column in self.tasks(run.name)['pairs'].result.table.columns}
        sizes = [sum(event['period'] == period for event in self.events) for period in 'ABCD']
        self.assertEqual(columns['n'].min, min(sizes)**2)
        self.assertAlmostEqual(columns['n'].mean, sum(size**2 for size in sizes) / 4)
        self.assertEqual(columns['first'].max, max(event['pt'] for event in self.events))
        self.assertEqual(columns['last'].min, min(event['pt'] for event in self.events))

    def test_mistakes_are_told_at_once(self):
        wrong = DEFINITION.replace('mean(pt)', 'mean(ptt)').replace(
            'features: [px,', 'features: [pz,')
        wrong = wrong.replace('        target_kind: classification\n', '')
        result = self.cluster.cli('run', 'create',
                                  self.cluster.write('wrong.yaml', wrong), check=None)
        self.assertNotEqual(result.code, 0)
        self.assertIn('there is no column "ptt" (did you mean "pt"?)', result.err)
        self.assertIn('no column "pz"', result.err)
        self.assertIn('whole numbers, which may be classes or not', result.err)

    def test_what_only_rows_tell_fails_the_run(self):
        empty = DEFINITION.replace('pt > 5 and', 'pt < 0 and')
        name = self.cluster.create_run(self.cluster.write('empty.yaml', empty))
        run = self.cluster.wait_for_end(name)
        self.assertEqual(run.state, STUBS['event'][0].RUN_STATE_FAILED)
        self.assertIn('leaves no row of 2000', run.failure.message)
        self.assertIn('steps.clean.prepare.operations.0.filter', run.failure.field)


if __name__ == '__main__':
    unittest.main()
