"""A run from the file to predictions, watching, the same thing twice, cancelling, draining."""

import os
import signal
import unittest

import harness
from harness import STUBS, wait_for

RUN, DATASET, MODEL, CLUSTER, EVENT = (STUBS[name][0]
                                       for name in ('run', 'dataset', 'model', 'cluster', 'event'))


GENERATE = """
name: made
inputs: {points: {file: points.csv}}
steps:
  - name: train
    train:
      data: {input: points, features: [x, y]}
      adversarial:
        latent: 4
        epochs: 2
        generator: {layers: [{dense: {units: 8, activation: relu}}, {dense: {}}]}
        discriminator: {layers: [{dense: {units: 8, activation: tanh}}, {dense: {}}]}
        loss: wasserstein
  - name: publish
    publish: {model: train, name: made}
"""


class ServiceTest(harness.ClusterTest):

    def setUp(self):
        self.cluster.write('points.csv', harness.two_classes())
        self.quick = self.cluster.write('quick.yaml', harness.pipeline())
        self.slow = self.cluster.write(
            'slow.yaml', harness.pipeline(name='slow', epochs=100_000, checkpoint=0.2))

    def test_run_from_file_to_predictions(self):
        svg = self.cluster.path('roc.svg')
        result = self.cluster.cli('run', 'create', self.quick, '--watch', '--svg', svg, check=0)
        self.assertIn('succeeded', result.out)
        self.assertIn('auc', result.out)
        self.assertIn('false positive rate', result.out)
        self.assertRegex(result.out, r'model projects/default/models/points/versions/\d+')
        self.assertRegex(result.out, r'digest sha256:[0-9a-f]{64}')
        with open(svg, encoding='utf-8') as file:
            self.assertIn('</svg>', file.read())

        tasks = self.cluster.cli('run', 'show', '--json', check=0).lines()[1:]
        auc = next(task['result']['evaluation']['metrics']['auc'] for task in tasks
                   if task['step'] == 'evaluate')
        self.assertGreater(auc, 0.8)

        rows = self.cluster.write('rows.csv', 'x,y,z\n4,-3,0\n-3,2,0\n')
        predictions = self.cluster.cli('model', 'predict', 'points', '--rows', rows, '--json',
                                       check=0).lines()
        self.assertEqual([prediction['label'] for prediction in predictions], ['yes', 'no'])
        self.assertAlmostEqual(sum(predictions[0]['probabilities']), 1, places=6)
        row = '{"x": 4, "y": -3, "z": 0}'
        shown = self.cluster.cli('model', 'predict', 'points', '--row', row, check=0).out
        self.assertIn('yes', shown)

        path = self.cluster.path('m.safetensors')
        self.cluster.cli('model', 'download', 'points', '--output', path, check=0)
        digest = self.cluster.cli('model', 'show', 'points', '--json', check=0).json()['file']
        with open(path, 'rb') as file:
            self.assertEqual(harness.sha256(file.read()), digest['digest'])

    def test_samples_of_a_model_that_generates(self):
        definition = self.cluster.write('generate.yaml', GENERATE)
        self.cluster.cli('run', 'create', definition, '--watch', check=0)
        samples = self.cluster.cli('model', 'predict', 'made', '--samples', '120', '--json',
                                   check=0).lines()
        self.assertEqual({len(sample['sample']) for sample in samples}, {2})
        # The same number gives the same sample, however many are asked for.
        later = self.cluster.cli('model', 'predict', 'made', '--samples', '3', '--first', '100',
                                 '--json', check=0).lines()
        self.assertEqual(later, samples[100:103])
        self.assertNotEqual(samples[0], samples[50])
        result = self.cluster.cli('model', 'predict', 'made', '--samples', '3')
        self.assertIn('add --json', result.err)

    def test_prediction_errors_name_row_and_column(self):
        self.cluster.cli('run', 'create', self.quick, '--watch', check=0)
        rows = self.cluster.write('bad_rows.csv', 'x,y\n1,2\n')
        result = self.cluster.cli('model', 'predict', 'points', '--rows', rows)
        self.assertEqual(result.code, 3, result.err)
        self.assertIn('z', result.err)
        self.assert_server_lives()

    def test_events_are_numbered_without_gaps_and_resume_anywhere(self):
        name = self.cluster.create_run(self.quick)
        self.cluster.expect_success(name)
        events = self.cluster.events(name)
        self.assertEqual([event.sequence for event in events], list(range(1, len(events) + 1)))
        self.assertEqual(events[-1].run_state.state, EVENT.RUN_STATE_SUCCEEDED)
        for after in (1, len(events) // 2, len(events) - 1):
            self.assertEqual(self.cluster.events(name, after), events[after:])
        error = self.assert_code(
            harness.grpc.StatusCode.OUT_OF_RANGE, self.cluster.stubs['run'].WatchRun,
            RUN.WatchRunRequest(name=name, after_sequence=len(events) + 1))
        self.assertTrue(error.details())
        lines = self.cluster.cli('run', 'watch', name, '--json', '--after', '2', check=0).lines()
        self.assertEqual([int(line['sequence']) for line in lines],
                         list(range(3, len(events) + 1)))

    def test_progress_metrics_and_logs_are_there(self):
        name = self.cluster.create_run(self.quick)
        self.cluster.expect_success(name)
        kinds = {event.WhichOneof('kind') for event in self.cluster.events(name)}
        self.assertLessEqual({'run_state', 'task_state', 'progress', 'metric'}, kinds)
        metrics = self.cluster.cli('run', 'metrics', name, '--json', check=0).lines()
        names = {line['metric']['name'] for line in metrics}
        self.assertIn('validation_loss', names)
        table = self.cluster.cli('run', 'metrics', name, '--metric', 'validation_loss', check=0).out
        self.assertEqual(len(table.splitlines()), 2 + 5)
        self.cluster.cli('run', 'logs', name, check=0)

    def test_the_same_run_gives_the_same_model(self):
        digests = set()
        for _ in range(2):
            run = self.cluster.expect_success(self.cluster.create_run(self.quick))
            digests.add(self.cluster.model_digest(run))
        self.assertEqual(len(digests), 1)
        run = self.cluster.expect_success(
            self.cluster.create_run(self.quick, '--set', 'seed=4'))
        self.assertNotIn(self.cluster.model_digest(run), digests)

    def test_the_same_request_gives_the_same_run(self):
        first = self.cluster.create_run(self.quick, '--request-id', 'once')
        self.assertEqual(self.cluster.create_run(self.quick, '--request-id', 'once'), first)
        other = self.cluster.cli('run', 'create', self.quick, '--request-id', 'once', '--set',
                                 'seed=9')
        self.assertEqual(other.code, 3, other.err)
        self.cluster.expect_success(first)

    def test_the_same_bytes_are_one_dataset(self):
        path = self.cluster.write('twice.csv', harness.two_classes(rows=50, seed=9))
        names = {self.cluster.cli('dataset', 'upload', path, check=0).out for _ in range(2)}
        self.assertEqual(len(names), 1)
        listed = [line for line in self.cluster.cli('dataset', 'list', '--json', check=0).lines()
                  if line.get('display_name') == 'twice.csv']
        self.assertEqual(len(listed), 1)
        described = self.cluster.cli('dataset', 'describe', 'twice.csv', '--json', check=0).json()
        self.assertEqual(int(described['row_count']), 50)
        self.assertEqual([column['name'] for column in described['columns']],
                         ['x', 'y', 'z', 'label'])
        copy = self.cluster.path('copy.csv')
        self.cluster.cli('dataset', 'download', 'twice.csv', '--output', copy, check=0)
        with open(path, 'rb') as a, open(copy, 'rb') as b:
            self.assertEqual(a.read(), b.read())
        self.cluster.cli('dataset', 'delete', 'twice.csv', check=0)
        self.cluster.cli('dataset', 'describe', 'twice.csv', check=4)

    def test_an_upload_goes_on_where_it_was_cut(self):
        data = harness.two_classes(rows=2000, seed=5).encode()
        stubs = self.cluster.stubs['dataset']
        begin = DATASET.BeginUploadRequest(parent='projects/default', display_name='cut.csv')
        begin.source.digest = harness.sha256(data)
        begin.source.size_bytes = len(data)
        upload = stubs.BeginUpload(begin).upload
        half = len(data) // 2
        stubs.WriteUpload(iter([DATASET.WriteUploadRequest(upload=upload.name, offset=0,
                                                           data=data[:half])]))
        again = stubs.BeginUpload(begin).upload
        self.assertEqual(again.name, upload.name)
        self.assertEqual(again.committed_size_bytes, half)
        path = self.cluster.path('cut.csv')
        with open(path, 'wb') as file:
            file.write(data)
        self.cluster.cli('dataset', 'upload', path, check=0)
        self.assertTrue(stubs.BeginUpload(begin).HasField('dataset'))

    def test_cancel(self):
        name = self.cluster.create_run(self.slow)
        self.cluster.wait_for_event(name, lambda e: e.HasField('progress'), 'it trains')
        self.cluster.cli('run', 'cancel', name, '--reason', 'enough', check=0)
        run = self.cluster.wait_for_end(name, 30)
        self.assertEqual(run.state, EVENT.RUN_STATE_CANCELLED)
        wait_for(lambda: not self.cluster.task_pids(self.cluster.workers['w1']), 'its process ends')
        self.cluster.cli('run', 'watch', name, check=1)
        self.cluster.cli('run', 'cancel', name, check=0)

    def test_ctrl_c_detaches_and_the_run_goes_on(self):
        name = self.cluster.create_run(self.slow)
        said = self.cluster.path('watched.txt')
        with open(said, 'wb') as output:
            watch = self.cluster.cli_start('run', 'watch', name, stdout=output, stderr=output)
        self.cluster.wait_for_event(name, lambda e: e.HasField('progress'), 'it trains')
        wait_for(lambda: os.path.getsize(said) > 0, 'an event was watched')
        watch.send_signal(signal.SIGINT)
        watch.wait(20 * harness.TIME_FACTOR)
        with open(said, encoding='utf-8') as file:
            err = file.read()
        self.assertEqual(watch.returncode, 130, err)
        self.assertIn('beamline run watch', err)
        self.assertIn('beamline run cancel', err)
        self.assertEqual(self.cluster.run(name).state, EVENT.RUN_STATE_RUNNING)
        self.cluster.cli('run', 'cancel', name, check=0)
        self.cluster.wait_for_end(name, 30)

    def test_why_a_run_waits(self):
        path = self.cluster.write('large.yaml', harness.pipeline(name='large').replace(
            '  - name: train\n', '  - name: train\n    resources: {memory_bytes: 4 TiB}\n'))
        result = self.cluster.cli('run', 'create', path, '--name-only')
        if result.code == 0:
            name = result.out.strip()
            why = self.cluster.cli('why', name, check=0).out
            self.assertIn('train', why)
            self.cluster.cli('run', 'cancel', name, check=0)
            self.cluster.wait_for_end(name, 30)
        else:
            self.assertEqual(result.code, 3, result.err)

    def test_status_and_lists(self):
        self.assertIn('1 ready of', self.cluster.cli('status', check=0).out)
        self.assertIn('2 cores', self.cluster.cli('worker', 'list', check=0).out)
        for command in (['queue'], ['run', 'list'], ['model', 'list'], ['pipeline', 'list'],
                        ['project', 'list'], ['project', 'members'], ['user', 'list'],
                        ['token', 'list'], ['whoami'], ['project', 'show']):
            self.cluster.cli(*command, check=0)
            self.cluster.cli(*command, '--json', check=0)

    def test_pipelines_are_versioned(self):
        path = self.cluster.write('stored.yaml', harness.pipeline(name='stored'))
        self.assertIn('version 1', self.cluster.cli('pipeline', 'create', path, check=0).out)
        self.assertIn('version 1', self.cluster.cli('pipeline', 'create', path, check=0).out)
        path = self.cluster.write('stored.yaml', harness.pipeline(name='stored', epochs=6))
        self.assertIn('version 2', self.cluster.cli('pipeline', 'create', path, check=0).out)
        shown = self.cluster.cli('pipeline', 'show', 'stored', '--json', check=0).json()
        self.assertEqual(shown['version'], 2)
        yaml = self.cluster.cli('pipeline', 'show', 'stored', '--version', '1', check=0).out
        self.assertTrue(yaml.startswith('name: stored\n'), yaml)
        self.assertIn('activation: relu\n', yaml)
        path = self.cluster.write('shown.yaml', yaml.replace('epochs: 5', 'epochs: 6'))
        self.assertIn('version 2', self.cluster.cli('pipeline', 'create', path, check=0).out)
        points = self.cluster.path('points.csv')
        self.cluster.cli('run', 'create', 'stored', '--input', f'points={points}', '--watch',
                         check=0)


class DrainTest(harness.ClusterTest):

    def test_a_drained_worker_hands_its_run_on(self):
        self.cluster.write('points.csv', harness.two_classes())
        path = self.cluster.write(
            'p.yaml', harness.pipeline(epochs=3000, checkpoint=0.2))
        name = self.cluster.create_run(path)
        self.cluster.wait_for_event(name, lambda e: e.HasField('progress'), 'it trains')
        self.cluster.start_worker('w2')
        self.assertEqual(self.cluster.workers['w1'].terminate(), 0, self.cluster.log_ends())
        self.cluster.expect_success(name)
        states = {line.split()[1] if len(line.split()) > 1 else ''
                  for line in self.cluster.cli('worker', 'list', '--quiet', check=0).out.splitlines()}
        self.assertTrue(states)


if __name__ == '__main__':
    unittest.main(verbosity=2)
