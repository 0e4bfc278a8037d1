"""Train steps whose learner is a program: its figures, models, searches and folds are those of any."""

import csv
import json
import math
import os
import statistics
import subprocess
import tarfile
import textwrap
import unittest

import harness
from programs import FAILED, RUN, ProgramTest


# Gaussian naive Bayes of two_classes(), in plain Python.
BAYES = '''
import csv, json, math, sys

parameters = json.load(open('parameters.json'))
features = parameters['features']

def read(path):
    with open(path, newline='') as file:
        return list(csv.DictReader(file))

def log_density(model, row):
    return model['log_prior'] - sum(
        math.log(variance) / 2 + (float(row[name]) - mean) ** 2 / (2 * variance)
        for name, (mean, variance) in model['moments'].items())

if sys.argv[1] == 'train':
    rows = read('train.csv')
    assert len(read('validation.csv')) > 0
    models = {}
    for label in parameters['classes']:
        mine = [row for row in rows if row[parameters['target']] == label]
        moments = {}
        for name in features:
            values = [float(row[name]) for row in mine]
            mean = sum(values) / len(values)
            variance = sum((value - mean) ** 2 for value in values) / len(values)
            moments[name] = mean, variance + parameters['numbers']['smoothing']
        models[label] = {'log_prior': math.log(len(mine) / len(rows)), 'moments': moments}
    json.dump(models, open('model/model.json', 'w'))
    print('{"metric": "rows", "value": %d}' % len(rows), file=open('metrics.jsonl', 'a'))
else:
    models = json.load(open('model/model.json'))
    rows = read('rows.csv')
    assert parameters['target'] not in rows[0]
    with open('predictions.csv', 'w', newline='') as file:
        writer = csv.DictWriter(file, parameters['classes'])
        writer.writeheader()
        for row in rows:
            logs = {label: log_density(model, row) for label, model in models.items()}
            top = max(logs.values())
            total = sum(math.exp(value - top) for value in logs.values())
            writer.writerow({label: math.exp(value - top) / total for label, value in logs.items()})
'''


class LearnerTest(ProgramTest):

    def write_training(self, script, target='label', file='points.csv', text=None, more='',
                       name='learner', program='', evaluate=''):
        self.cluster.write(file, text or harness.two_classes(rows=300))
        self.cluster.write(f'{name}.py', textwrap.dedent(script))
        return self.cluster.write(f'{name}.yaml', f'''
name: {name}
seed: 5
inputs:
  points: {{file: {file}}}
steps:
  - name: train
    train:
      data: {{input: points, target: {target}, split: {{random: {{validation: 0.2, test: 0.2}}}}}}
      command:
        program:
          arguments: [python3, {name}.py]
          files: {{{name}.py: {{file: {name}.py}}}}
          numbers: {{smoothing: 0.001}}
{textwrap.indent(more, '    ')}
  - name: evaluate
    evaluate: {{model: train, part: test{evaluate}}}
  - name: publish
    publish: {{model: train, name: {name}}}
''')

    def results(self, run):
        tasks = self.cluster.stubs['run'].ListTasks(RUN.ListTasksRequest(parent=run.name)).tasks
        return {task.step: task.result for task in tasks}

    def test_training_evaluation_model(self):
        run = self.cluster.expect_success(self.cluster.create_run(self.write_training(BAYES)))
        results = self.results(run)
        self.assertEqual(results['train'].metrics['rows'], 180)
        for metrics in ({name[11:]: value for name, value in results['train'].metrics.items()},
                        results['evaluate'].evaluation.metrics):
            # Of two normal clouds whose centres are d apart the best area is Phi(d / sqrt(2)); of 60
            # rows it has a standard error of 0.04.
            best = statistics.NormalDist().cdf(math.hypot(1.5, 1) / math.sqrt(2))
            self.assertAlmostEqual(metrics['auc'], best, delta=0.12)
            self.assertAlmostEqual(metrics['loss'], metrics['log_loss'], 5)
        self.assertEqual(results['evaluate'].evaluation.row_count, 60)
        self.assertEqual(len(results['evaluate'].evaluation.confusion), 4)
        path = self.cluster.path('learner.tar')
        self.cluster.cli('model', 'download', 'learner', '--output', path, check=0)
        with tarfile.open(path) as archive:
            self.assertEqual(archive.getnames(), ['beamline.card.json', 'model/model.json'])
            models = json.load(archive.extractfile('model/model.json'))
            card = json.load(archive.extractfile('beamline.card.json'))
        self.assertEqual(sorted(models), ['no', 'yes'])
        self.assertEqual(card['features'], ['x', 'y', 'z'])
        refused = self.cluster.cli('model', 'predict', 'learner', '--row', '{"x": 1, "y": 0, "z": 0}')
        self.assertIn("the model's learner is a program", refused.err)

    def test_a_registered_program_is_measured_and_asked(self):
        learned = self.cluster.expect_success(self.cluster.create_run(self.write_training(BAYES)))
        self.cluster.write('other.csv', harness.two_classes(rows=200, seed=8))
        unlabelled = [line.rsplit(',', 1)[0] for line in harness.two_classes(200, 8).splitlines()]
        self.cluster.write('unlabelled.csv', '\n'.join(unlabelled) + '\n')
        definition = f'''
name: registered
inputs: {{{{other: {{{{file: other.csv}}}}, unlabelled: {{{{file: unlabelled.csv}}}}}}}}
steps:
  - name: measure
    evaluate: {{{{model: {learned.models[0]}, input: other, metrics: [accuracy]}}}}
  - name: ask
    predict: {{{{model: {learned.models[0]}, input: unlabelled}}}}
{{}}
'''
        path = self.cluster.write('registered.yaml', definition.format(''))
        run = self.cluster.expect_success(self.cluster.create_run(path))
        results = self.results(run)
        self.cluster.cli('dataset', 'download', results['ask'].table.name, '--output',
                         self.cluster.path('asked.csv'), check=0)
        with open(self.cluster.path('asked.csv'), newline='', encoding='utf-8') as file:
            rows = list(csv.DictReader(file))
        self.assertEqual(list(rows[0])[3:], ['prediction', 'probability_no', 'probability_yes'])
        labels = [line.rsplit(',', 1)[1] for line in harness.two_classes(200, 8).splitlines()[1:]]
        right = sum(row['prediction'] == label for row, label in zip(rows, labels))
        self.assertAlmostEqual(right / 200, results['measure'].evaluation.metrics['accuracy'], 12)
        refused = self.cluster.cli('run', 'create', self.cluster.write(
            'gpu.yaml', definition.format('    resources: {gpus: 1}')))
        self.assertIn('steps.ask.resources: programs on graphics processors', refused.err)
        # Who may run no programs of his own may run none that is registered either.
        self.cluster.cli('project', 'set', 'default', '--programs', 'deny', check=0)
        self.addCleanup(self.cluster.cli, 'project', 'set', 'default', '--programs', 'allow')
        refused = self.cluster.cli('run', 'create', path)
        self.assertIn('runs a program of the user\'s own', refused.err)

    def test_what_a_command_step_left_answers_for_no_rows(self):
        program = {'arguments': ['python3', '-c', "open('model/one', 'w').write('1')"]}
        path = self.cluster.write('left.json', json.dumps({'name': 'left', 'steps': [
            {'name': 'work', 'command': {'program': program}},
            {'name': 'publish', 'publish': {'model': 'work', 'name': 'left'}}]}))
        model = self.cluster.expect_success(self.cluster.create_run(path)).models[0]
        self.cluster.write('rows.csv', harness.two_classes(rows=50))
        for kind in ('evaluate', 'predict'):
            refused = self.cluster.cli('run', 'create', self.cluster.write('ask.json', json.dumps({
                'name': 'ask', 'inputs': {'rows': {'file': 'rows.csv'}},
                'steps': [{'name': 'ask', kind: {'model': model, 'input': 'rows'}}]})))
            self.assertIn(f'steps.ask.{kind}.model', refused.err)
            self.assertIn('is what the program of a command step left', refused.err)
        # What it is for.
        self.cluster.cli('model', 'download', 'left', '--output', self.cluster.path('left.tar'), check=0)
        with tarfile.open(self.cluster.path('left.tar')) as archive:
            self.assertIn('model/one', archive.getnames())

    def test_intervals_and_importance(self):
        path = self.write_training(BAYES, evaluate=', bootstrap: {}, importance: {repeats: 2}')
        run = self.cluster.expect_success(self.cluster.create_run(path))
        evaluation = self.results(run)['evaluate'].evaluation
        self.assertLess(evaluation.intervals['auc'].low, evaluation.metrics['auc'])
        self.assertGreater(evaluation.intervals['auc'].high, evaluation.metrics['auc'])
        importance = {one.column: one.mean for one in evaluation.importance}
        self.assertEqual(sorted(importance), ['x', 'y', 'z'])
        # z is noise; the clouds are 1.5 apart along x and 1 along y.
        self.assertGreater(importance['x'], 0.05)
        self.assertGreater(importance['x'], importance['z'])

    def test_search_with_folds(self):
        path = self.write_training(BAYES, more='''
cross_validation: {k_fold: {folds: 3}}
search:
  random: {trials: 4}
  objective: log_loss
  space:
    train.command.program.numbers.smoothing: {log_uniform: {min: 0.0001, max: 100}}
''')
        run = self.cluster.expect_success(self.cluster.create_run(path), 240)
        trials = self.cluster.stubs['run'].ListTrials(RUN.ListTrialsRequest(parent=run.name))
        self.assertEqual(len(trials.trials), 4)
        values = [trial.value for trial in trials.trials]
        self.assertEqual(values, sorted(values))
        self.assertLess(values[0], values[-1], 'the smoothing matters')
        result = self.results(run)['train']
        # Our figures against those of the rows that the folds held out.
        name = result.out_of_fold.name
        held_out = self.cluster.path('held_out.csv')
        self.cluster.cli('dataset', 'download', name, '--output', held_out, check=0)
        with open(held_out, encoding='utf-8') as file:
            rows = list(csv.DictReader(file))
        self.assertEqual(len(rows), 240)
        losses = {}
        for row in rows:
            losses.setdefault(row['fold'], []).append(-math.log(float(row['probability_' + row['label']])))
        means = [sum(fold) / len(fold) for _, fold in sorted(losses.items())]
        folds = result.cross_validation['log_loss']
        self.assertEqual(len(folds.values), 3)
        for mean, value in zip(means, folds.values):
            self.assertAlmostEqual(mean, value, 4)

    def test_numbers(self):
        text = 'x,y\n' + ''.join(f'{i},{3 * i + 1}\n' for i in range(100))
        path = self.write_training('''
            import csv, json, sys
            if sys.argv[1] == 'train':
                rows = list(csv.DictReader(open('train.csv')))
                assert all(abs(float(row['y']) - 3 * round((float(row['y']) - 1) / 3) - 1) < 1e-9 for row in rows)
                json.dump(sum(float(row['y']) for row in rows) / len(rows), open('model/mean', 'w'))
            else:
                mean = json.load(open('model/mean'))
                print('prediction', *[mean for _ in csv.DictReader(open('rows.csv'))], sep='\\n',
                      file=open('predictions.csv', 'w'))
            ''', target='y', file='line.csv', text=text, name='numbers')
        run = self.cluster.expect_success(self.cluster.create_run(path))
        metrics = self.results(run)['evaluate'].evaluation.metrics
        self.assertAlmostEqual(metrics['loss'], metrics['rmse'] ** 2, 3)
        self.assertLess(metrics['r2'], 0.1, 'a mean explains nothing')

    def test_bad_predictions(self):
        for written, complaint in (
                ("pass", 'left no predictions.csv'),
                ("file('no,yes\\n0.5,0.5\\n')", 'has 1 rows, but rows.csv has 60'),
                ("file('no\\n' + '1\\n' * 60)", 'no column "yes"'),
                ("file('no,yes\\n' + '1,1\\n' * 60)", 'be 1 together'),
                ("file('no,yes\\n' + '1.5,-0.5\\n' * 60)", 'must not be negative'),
                ("file('no,yes\\n' + 'a,b\\n' * 60)", '"no" is no number'),
                ("__import__('os').symlink('/proc/self/environ', 'predictions.csv')", 'cannot be read'),
                ("__import__('os').mkdir('predictions.csv')", 'is no file'),
                ("__import__('sys').exit(4)", 'exit code 4')):
            path = self.write_training(f'''
import sys
def file(text): open('predictions.csv', 'w').write(text)
if sys.argv[1] == 'train': open('model/x', 'w')
else: {written}
''', name='bad')
            run = self.cluster.wait_for_end(self.cluster.create_run(path))
            self.assertEqual(run.state, FAILED)
            self.assertIn(complaint, run.failure.message)
            self.assertEqual(run.failure.field, 'steps.train.train.command.program')

    @unittest.skipUnless(subprocess.run(['/usr/bin/python3', '-c', 'import sklearn'], check=False,
                                        stderr=subprocess.DEVNULL).returncode == 0,
                         '/usr/bin/python3 has no scikit-learn')
    def test_example_of_scikit_learn(self):
        path = os.path.join(harness.ROOT, 'examples', 'sklearn', 'pipeline.yaml')
        data = self.cluster.write('flowers.csv', harness.two_classes(rows=300).replace('label', 'species'))
        self.cluster.expect_success(self.cluster.create_run(path, '--input', f'flowers={data}'), 300)


if __name__ == '__main__':
    unittest.main(verbosity=2)
