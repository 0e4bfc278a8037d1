"""Scaling studies through the service: real trainings one after the other, the same models with every
number of threads, whoever is killed meanwhile; tables and pictures of what was measured."""

import csv
import json
import os
import unittest
import xml.dom.minidom

import harness
from harness import STUBS

EVENT = STUBS['event'][0]
RUN = STUBS['run'][0]

STUDY = '''
  - name: study
    scaling_study:
      step: train
      vary: {threads: [1, 2], train.network.layers.0.dense.units: [4, 64]}
      repeats: 2
'''


class StudyTest(harness.ClusterTest):

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.cluster.write('points.csv', harness.two_classes(rows=2000))

    def write(self, study=STUDY):
        # Twenty epochs make a training last long enough to be killed in it.
        text = harness.pipeline(epochs=20, units=8).rstrip('\n') + study
        return self.cluster.write('study.yaml', text)

    def result(self, name, step='study'):
        tasks = self.cluster.stubs['run'].ListTasks(RUN.ListTasksRequest(parent=name)).tasks
        return next(task for task in tasks if task.step == step).result

    def trainings(self, name):
        tasks = self.cluster.stubs['run'].ListTasks(
            RUN.ListTasksRequest(parent=name, step='study')).tasks
        return [(task.name.rsplit('/', 1)[1], task.result.artifacts['model'].digest)
                for task in tasks]

    def test_times_and_models(self):
        name = self.cluster.create_run(self.write())
        self.cluster.expect_success(name)
        result = self.result(name)
        points = result.scaling.points
        self.assertEqual([(p.values['threads'].number_value,
                           p.values['train.network.layers.0.dense.units'].number_value)
                          for p in points], [(1, 4), (1, 64), (2, 4), (2, 64)])
        for point in points:
            units = point.values['train.network.layers.0.dense.units'].number_value
            self.assertEqual(point.threads, point.values['threads'].number_value)
            self.assertEqual(point.parameters, 3 * units + units + units + 1)
            self.assertEqual(point.epochs, 20)
            self.assertAlmostEqual(point.seconds, sum(point.repeats) / 2)
            self.assertAlmostEqual(point.examples_per_second * point.seconds,
                                   point.examples * point.epochs, delta=1)
            self.assertIn('validation_auc', point.metrics)
        # Threads change how long it takes and nothing else.
        self.assertEqual(result.metrics['compared_models'], 6)
        self.assertEqual(result.metrics['different_models'], 0)
        digests = dict(self.trainings(name))
        self.assertEqual(len(digests), 8)
        self.assertEqual(len({digests[f'study.{i}'] for i in (1, 2, 5, 6)}), 1)
        self.assertEqual(len({digests[f'study.{i}'] for i in (3, 4, 7, 8)}), 1)
        self.assertNotEqual(digests['study.1'], digests['study.3'])
        # They are the models of a plain step with these values.
        path = self.cluster.write('plain.yaml', harness.pipeline(epochs=20, units=64))
        plain = self.cluster.create_run(path)
        self.cluster.expect_success(plain)
        self.assertEqual(self.result(plain, 'train').artifacts['model'].digest, digests['study.3'])

    def test_kills_change_no_model_and_no_order(self):
        undisturbed = self.cluster.create_run(self.write())
        self.cluster.expect_success(undisturbed)
        name = self.cluster.create_run(self.write())
        ended = []
        def second(event):
            if event.task.startswith('study.') and event.task_state.HasField('result'):
                ended.append(event.task)
            return len(ended) == 2
        self.cluster.wait_for_event(name, second, 'two trainings had ended')
        self.cluster.server.kill()
        self.cluster.start_server()
        self.cluster.wait_for_event(
            name, lambda event: (event.task.startswith('study.') and event.task not in ended
                                 and event.task_state.state == EVENT.TASK_STATE_RUNNING),
            'another one was under way')
        self.cluster.workers['w1'].kill()
        self.cluster.start_worker()
        self.cluster.expect_success(name)
        self.assertEqual(self.trainings(name), self.trainings(undisturbed))
        sequences = [event.sequence for event in self.cluster.events(name)]
        self.assertEqual(sequences, list(range(1, len(sequences) + 1)))

    def test_the_command_line_shows_it(self):
        watched = self.cluster.cli('run', 'create', self.write(), '--watch', check=0)
        self.assertRegex(watched.err, r'study +training 1 of 8 \(threads=1, units=4\): [0-9.]+ s')
        for text in ('SPEED-UP BY threads', 'EFFICIENCY', 'the same, bit for bit', 'auc'):
            self.assertIn(text, watched.out)
            self.assertIn(text, self.cluster.cli('run', 'show', check=0).out)
        tasks = [json.loads(line) for line in
                 self.cluster.cli('run', 'show', '--json', check=0).out.splitlines()]
        study = next(task for task in tasks if task.get('step') == 'study')
        self.assertEqual(len(study['result']['scaling']['points']), 4)
        folder = self.cluster.path('plots')
        self.cluster.cli('run', 'plots', '--step', 'study', '--out', folder, check=0)
        names = set(os.listdir(folder))
        self.assertLessEqual({'study.scaling.csv', 'study.time.threads.svg',
                              'study.speed_up.threads.svg', 'study.efficiency.threads.svg',
                              'study.quality.units.auc.svg'}, names)
        for name in names:
            if name.endswith('.svg'):
                xml.dom.minidom.parse(os.path.join(folder, name))
        with open(os.path.join(folder, 'study.scaling.csv'), encoding='utf-8') as file:
            rows = list(csv.DictReader(file))
        self.assertEqual([row['threads'] for row in rows], ['1', '1', '2', '2'])
        self.assertIn('SPEED-UP', self.cluster.cli('run', 'plots', check=0).out)

    def test_one_that_cannot_be_trained_is_told_and_the_others_go_on(self):
        # A rate at which the loss is no number any more.
        study = STUDY.replace('train.network.layers.0.dense.units: [4, 64]',
                              'train.network.optimizer: [{sgd: {learning_rate: 0.01}}, '
                              '{sgd: {learning_rate: 1000}}]')
        name = self.cluster.create_run(self.write(study))
        self.cluster.expect_success(name)
        points = self.result(name).scaling.points
        self.assertEqual([point.HasField('failure') for point in points],
                         [False, True, False, True])
        self.assertIn('the loss is not a', points[1].failure.message)
        self.assertIn('failed with threads=1',
                      self.cluster.cli('run', 'show', name.rsplit('/', 1)[1], check=0).out)


if __name__ == '__main__':
    unittest.main()
