"""Searches and cross-validation through the service: the same trials and the same model whatever
runs at once and whoever is killed meanwhile; what folds leave behind can be used."""

import csv
import io
import os
import subprocess
import unittest
import xml.dom.minidom

import harness
from harness import STUBS

EVENT = STUBS['event'][0]
RUN = STUBS['run'][0]

SEARCH = '''
    search:
      {algorithm}
      objective: auc
      max_parallel: {parallel}
      space:
        train.network.optimizer.adam.learning_rate: {{log_uniform: {{min: 0.0003, max: 0.3}}}}
        train.network.layers.0.dense.units: {{choice: [2, 4, 8]}}
'''


def with_repetition(definition, text):
    """`definition` with a search or cross-validation in its train step."""
    marker = '  - name: evaluate'
    assert definition.count(marker) == 1, definition
    return definition.replace(marker, text.lstrip('\n') + marker)


class SearchTest(harness.ClusterTest):

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.cluster.write('points.csv', harness.two_classes(rows=2000))
        cls.plain = harness.pipeline(epochs=9, units=8)

    def write(self, text):
        return self.cluster.write('search.yaml', with_repetition(self.plain, text))

    def trials(self, name):
        answer = self.cluster.stubs['run'].ListTrials(RUN.ListTrialsRequest(parent=name))
        return [(trial.number, trial.epochs, trial.value,
                 sorted((key, str(value)) for key, value in trial.parameters.items()))
                for trial in answer.trials]

    def check_events(self, name):
        sequences = [event.sequence for event in self.cluster.events(name)]
        self.assertEqual(sequences, list(range(1, len(sequences) + 1)))

    def test_nothing_depends_on_parallelism_or_kills(self):
        for algorithm in ('hyperband: {}', 'tpe: {trials: 8, startup_trials: 3, lag: 2}'):
            path = self.write(SEARCH.format(algorithm=algorithm, parallel=1))
            undisturbed = self.cluster.expect_success(self.cluster.create_run(path))
            trials = self.trials(undisturbed.name)
            self.assertGreaterEqual(len(trials), 8)
            digest = self.cluster.model_digest(undisturbed)

            path = self.write(SEARCH.format(algorithm=algorithm, parallel=5))
            name = self.cluster.create_run(path)
            self.cluster.start_worker('w2')
            ended = []
            def third(event):
                ended.extend([event] if event.HasField('trial_ended') else [])
                return len(ended) == 3
            self.cluster.wait_for_event(name, third, 'three trials had ended')
            self.cluster.server.kill()
            self.cluster.workers.pop('w2').kill()
            self.cluster.start_server()
            run = self.cluster.expect_success(name)
            self.assertEqual(self.trials(name), trials)
            self.assertEqual(self.cluster.model_digest(run), digest)
            self.check_events(name)

    def test_the_model_of_a_search_is_that_of_a_plain_step(self):
        path = self.write(SEARCH.format(algorithm='successive_halving: {trials: 6}', parallel=4))
        run = self.cluster.expect_success(self.cluster.create_run(path))
        model = STUBS['model'][0]
        lineage = self.cluster.stubs['model'].GetModel(
            model.GetModelRequest(name=run.models[0])).lineage
        self.assertEqual(len(lineage.trial_values), 2)
        # The log of one trial, as it was kept and as it is followed.
        number = lineage.run.rsplit('/', 1)[1]
        kept = self.cluster.cli('run', 'logs', number, '--step', 'train.1.e1', check=0).out
        followed = self.cluster.cli('run', 'logs', number, '--follow', '--step', 'train.1.e1',
                                    check=0).out
        self.assertGreater(len(kept.splitlines()), 0)
        self.assertEqual(len(followed.splitlines()), len(kept.splitlines()))
        plain = self.cluster.write('plain.yaml', self.plain)
        sets = [f'--set=steps.train.{key}={value.number_value!r}'
                for key, value in lineage.trial_values.items()]
        again = self.cluster.expect_success(self.cluster.create_run(plain, *sets))
        self.assertEqual(self.cluster.model_digest(again), self.cluster.model_digest(run))

    def test_cross_validation_leaves_predictions_of_every_row(self):
        path = self.write('    cross_validation: {stratified: {folds: 4}}\n')
        name = self.cluster.create_run(path)
        self.cluster.expect_success(name)
        tasks = self.cluster.stubs['run'].ListTasks(RUN.ListTasksRequest(parent=name)).tasks
        own = next(task for task in tasks if task.step == 'train')
        statistics = own.result.cross_validation['auc']
        self.assertEqual(len(statistics.values), 4)
        self.assertAlmostEqual(statistics.mean, sum(statistics.values) / 4)
        dataset = own.result.out_of_fold
        target = self.cluster.path('oof.csv')
        self.cluster.cli('dataset', 'download', dataset.name.rsplit('/', 1)[1], '--output', target,
                         check=0)
        with open(target, encoding='utf-8', newline='') as file:
            rows = list(csv.DictReader(io.StringIO(file.read())))
        self.assertEqual(len(rows), dataset.row_count)
        label = next(key for key in rows[0] if key not in ('fold', 'prediction')
                     and {row[key] for row in rows} == {row['prediction'] for row in rows})
        for fold, accuracy in enumerate(own.result.cross_validation['accuracy'].values, start=1):
            mine = [row for row in rows if row['fold'] == str(fold)]
            right = sum(row['prediction'] == row[label] for row in mine)
            self.assertAlmostEqual(right / len(mine), accuracy, places=9)
        # It is a dataset like any other.
        shown = self.cluster.cli('dataset', 'list', check=0).out
        self.assertIn('train-out-of-fold.csv', shown)

    def test_the_command_line_tells_what_was_found(self):
        path = self.write(SEARCH.format(algorithm='random: {trials: 7}', parallel=4))
        watched = self.cluster.cli('run', 'create', path, '--watch', check=0)
        for number in range(1, 8):
            self.assertRegex(watched.err, rf'train +trial {number} of 7: auc 0\.\d+ \(units=')
        self.assertNotIn('train.1', watched.err)
        for text in ('7 trials; auc, more is better', 'learning_rate', 'FRONT', 'IMPORTANCE',
                     'training time, s'):
            self.assertIn(text, watched.out)
        self.assertIn('IMPORTANCE', self.cluster.cli('run', 'show', check=0).out)
        # From the middle it ends alike.
        again = self.cluster.cli('run', 'watch', '--after', '20', check=0)
        self.assertEqual(again.out, watched.out)
        # In files and tables, all of them.
        table, picture = self.cluster.path('trials.csv'), self.cluster.path('trials.svg')
        best = self.cluster.cli('run', 'trials', '--csv', table, '--svg', picture, check=0).out
        with open(table, encoding='utf-8', newline='') as file:
            rows = list(csv.DictReader(file))
        self.assertEqual(sorted(int(row['number']) for row in rows), list(range(1, 8)))
        self.assertEqual(best.splitlines()[2].split()[0], rows[0]['number'])
        self.assertEqual(float(rows[0]['value']), max(float(row['value']) for row in rows))
        xml.dom.minidom.parse(picture)
        answer = self.cluster.cli('run', 'trials', '--limit', '2', '--json', check=0).json()
        self.assertEqual([str(trial['number']) for trial in answer['trials']],
                         [row['number'] for row in rows[:2]])
        tasks = self.cluster.cli('run', 'tasks', '--step', 'train', '--quiet', check=0).out
        self.assertEqual({line.split()[0] for line in tasks.splitlines()},
                         {f'train.{number}' for number in range(1, 8)})
        metrics = self.cluster.cli('run', 'metrics', '--step', 'train.3', check=0).out
        self.assertEqual(metrics.splitlines()[0], 'train.3')
        self.assertIn('train.3  ', self.cluster.cli('run', 'logs', '--step', 'train.3', check=0).out)

    def test_the_example_finds_a_good_network(self):
        subprocess.run([harness.program('beamline_collisions'), '--events', '20000', '--output',
                        self.cluster.path('collisions.csv')], check=True, capture_output=True)
        with open(os.path.join(harness.ROOT, 'examples', 'collisions_search', 'pipeline.yaml'),
                  encoding='utf-8') as file:
            path = self.cluster.write('collisions.yaml', file.read())
        name = self.cluster.create_run(path)
        self.cluster.expect_success(name)
        trials = self.trials(name)
        # Hyperband with 27 epochs by thirds: 27 + 12 + 6 + 4 trials.
        self.assertEqual(len(trials), 49)
        self.assertGreater(trials[0][2], 0.945)
        tasks = self.cluster.stubs['run'].ListTasks(RUN.ListTasksRequest(parent=name)).tasks
        auc = next(task.result.evaluation.metrics['auc'] for task in tasks
                   if task.step == 'evaluate')
        self.assertGreater(auc, 0.945)
        self.assertLess(auc, 0.9577 + 0.01)

    def test_a_population_takes_over_what_the_best_have_learned(self):
        path = self.write("""
    search:
      population: {population: 4, generations: 3}
      objective: auc
      max_parallel: 1
      space:
        train.network.optimizer.adam.learning_rate: {log_uniform: {min: 0.0001, max: 0.3}}
""")
        alone = self.cluster.expect_success(self.cluster.create_run(path))
        with open(path, encoding='utf-8') as file:
            definition = file.read()
        path = self.cluster.write('search.yaml', definition.replace('max_parallel: 1',
                                                                    'max_parallel: 4'))
        name = self.cluster.create_run(path)
        together = self.cluster.expect_success(name)
        self.assertEqual(self.trials(together.name), self.trials(alone.name))
        self.assertEqual(self.cluster.model_digest(together),
                         self.cluster.model_digest(alone))
        tasks = self.cluster.stubs['run'].ListTasks(
            RUN.ListTasksRequest(parent=name, step='train')).tasks
        self.assertEqual(len(tasks), 12)
        taken = [task.trial for task in tasks if task.trial.after_trial]
        self.assertEqual(len(taken), 2)
        for trial in taken:
            said = self.cluster.cli('run', 'logs', '--step',
                                    f'train.{trial.number}' +
                                    (f'.e{trial.epochs}' if trial.epochs else ''), check=0).out
            self.assertIn(f'of trial {trial.after_trial}', said)

    def test_a_pipeline_is_drawn(self):
        path = self.write(SEARCH.format(algorithm='tpe: {trials: 8}', parallel=1))
        drawn = self.cluster.cli('pipeline', 'show', path, '--graph', check=0).out
        self.assertEqual([line.split()[1] for line in drawn.splitlines()][:2],
                         ['points', 'train'])
        self.assertIn('tpe search', drawn)
        self.cluster.cli('pipeline', 'create', path, check=0)
        shown = self.cluster.cli('pipeline', 'show', 'points', '--svg', self.cluster.path('p.svg'),
                                 check=0)
        self.assertIn('steps:', shown.out)
        self.assertIn('tpe search', shown.err)
        with open(self.cluster.path('p.svg'), encoding='utf-8') as file:
            picture = xml.dom.minidom.parse(file)
        texts = [text.firstChild.data for text in picture.getElementsByTagName('text')]
        for step in ('train', 'evaluate', 'publish'):
            self.assertIn(step, texts)

    def test_a_search_is_refused_with_its_path(self):
        path = self.write(SEARCH.format(algorithm='grid: {}', parallel=1))
        answer = self.cluster.cli('run', 'create', path)
        self.assertNotEqual(answer.code, 0)
        self.assertIn('a grid needs to know which values: give points', answer.err)

    def test_cancel_stops_all_trials(self):
        path = self.cluster.write('long.yaml', with_repetition(
            harness.pipeline(epochs=100_000, units=8),
            SEARCH.format(algorithm='random: {trials: 20}', parallel=8)))
        name = self.cluster.create_run(path)
        self.cluster.wait_for_event(name, lambda event: event.progress.step > 0, 'it trains')
        self.cluster.cli('run', 'cancel', name.rsplit('/', 1)[1], check=0)
        run = self.cluster.wait_for_end(name)
        self.assertEqual(run.state, EVENT.RUN_STATE_CANCELLED)
        self.check_events(name)


if __name__ == '__main__':
    unittest.main()
