"""Plans through a real server and worker, from the command line."""

import unittest

from harness import STUBS, ClusterTest, pipeline, two_classes, wait_for


class PlanTest(ClusterTest):

    def setUp(self):
        self.cluster.write('points.csv', two_classes())

    def plan(self, text, *flags):
        path = self.cluster.write('plan.yaml', text)
        return self.cluster.cli('plan', path, *flags, check=0)

    def workers(self):
        cluster_pb2 = STUBS['cluster'][0]
        return self.cluster.stubs['cluster'].ListWorkers(cluster_pb2.ListWorkersRequest()).workers

    def rates(self):
        return [rate for worker in self.workers() for device in worker.devices
                for rate in device.rates]

    def test_says_what_a_run_then_takes(self):
        wait_for(self.rates, 'the worker measures its speed', 120)
        planned = self.plan(pipeline(), '--json').json()
        train = planned['steps'][0]
        self.assertEqual(train['step'], 'train')
        self.assertGreater(train['expected_seconds'], 0)
        self.assertIn('measured rates of', train['basis'])
        self.assertEqual(train['fitting_workers'], 1)
        run = self.cluster.create_run(self.cluster.path('plan.yaml'))
        self.cluster.expect_success(run)
        events = self.cluster.events(run)
        steps = max(event.progress.total_steps for event in events)
        self.assertEqual(int(train['optimizer_steps']), steps)
        mebibytes = -(-int(train['peak_memory_bytes']) // 2**20)
        said = ' '.join(event.log.text for event in events)
        self.assertIn(f'peak memory {mebibytes} MiB', said)
        # Nothing was queued by the plan itself.
        run_pb2 = STUBS['run'][0]
        listed = self.cluster.stubs['run'].ListRuns(
            run_pb2.ListRunsRequest(parent='projects/default')).runs
        self.assertEqual([entry.name for entry in listed], [run])
        # The same again would take what is there, but for what has an effect.
        again = {step['step']: step for step in self.plan(pipeline(), '--json').json()['steps']}
        for step in ('train', 'evaluate'):
            self.assertIn(f'the result is that of {run}/tasks/{step}', again[step]['basis'])
            self.assertEqual(again[step]['expected_seconds'], 0)
        self.assertNotIn('the result is that', again['publish']['basis'])
        other = self.plan(pipeline(units=9), '--json').json()['steps'][0]
        self.assertNotIn('the result is that', other['basis'])

    def test_a_table_for_people(self):
        out = self.plan(pipeline(), '--set', 'steps.train.resources.cpus=64').out
        self.assertRegex(out, r'STEP +TASKS +EXAMPLES +BATCH')
        self.assertIn('! train: lower resources.cpus from 64 to 2 or less', out)
        self.assertIn('the whole run: ', out)

    def test_a_bad_definition_gives_every_violation(self):
        text = pipeline().replace('units: 8', 'units: -8').replace('epochs: 5', 'epochs: -5')
        path = self.cluster.write('bad.yaml', text)
        bad = self.cluster.cli('plan', path)
        self.assertEqual(bad.code, 3)
        self.assertIn('dense.units', bad.err)
        self.assertIn('network.epochs', bad.err)
        self.assertRegex(bad.err, r'bad\.yaml:\d+:\d+: ')

    def test_memory_that_does_not_suffice_is_advice(self):
        out = self.plan(pipeline(units=12000), '--set', 'steps.train.train.network.batch_size=400',
                        '--set', 'steps.train.resources.memory_bytes=16 MiB').out
        self.assertRegex(out, r'! train: training needs \d+ MiB, but the step has 16 MiB')
        self.assertRegex(out, r'batch_size to \d+, which fits')

    def test_rates_survive_a_restart(self):
        wait_for(self.rates, 'the worker measures its speed', 120)
        before = [(rate.kernel, rate.seconds) for rate in self.rates()]
        self.cluster.workers['w1'].terminate()
        self.cluster.start_worker('w1')
        wait_for(self.rates, 'the worker tells its speed', 30)
        self.assertEqual([(rate.kernel, rate.seconds) for rate in self.rates()], before)
        with open(self.cluster.path('w1.log'), encoding='utf-8') as log:
            self.assertEqual(log.read().count('measured this machine'), 1)


if __name__ == '__main__':
    unittest.main()
