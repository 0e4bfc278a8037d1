"""Steps that ask for GPUs, on a worker whose GPUs exist in name only: no CUDA is needed."""

import os
import unittest

import harness
from harness import STUBS, wait_for

RUN, COMMON, EVENT = (STUBS[name][0] for name in ('run', 'common', 'event'))


class GpusTest(unittest.TestCase):

    @classmethod
    def setUpClass(cls):
        cls.cluster = harness.Cluster()
        cls.addClassCleanup(cls.cluster.stop)
        cls.cluster.start_server()
        cls.cluster.write('points.csv', harness.two_classes())

    def create(self, name, resources, **options):
        """A run whose train step has these resources."""
        text = harness.pipeline(name=name, **options).replace(
            '  - name: train\n', f'  - name: train\n    resources: {resources}\n'
            '    retry: {max_attempts: 1}\n', 1)
        return self.cluster.create_run(self.cluster.write(f'{name}.yaml', text))

    def task(self, run, step='train'):
        tasks = self.cluster.stubs['run'].ListTasks(RUN.ListTasksRequest(parent=run)).tasks
        return next(task for task in tasks if task.step == step)

    def test_fake_devices(self):
        # The whole GPU and the slice: memory decides which step gets which.
        worker = self.cluster.start_worker('w1', 2, '--fake-devices',
                                           'gpu0:H100:80GiB,gpu1/mig0:H100 MIG 1g.10gb:10GiB')
        listed = self.cluster.cli('worker', 'list', check=0).out
        self.assertIn('2 cores, H100, H100 MIG 1g.10gb', listed)
        workers = self.cluster.cli('worker', 'list', '--json', check=0).json()['workers']
        shown = next(worker for worker in workers if worker['hostname'] == 'w1')
        self.assertEqual([device['id'] for device in shown['devices']],
                         ['cpu', 'gpu0', 'gpu1/mig0'])

        run = self.create('named', '{gpus: 1, gpu_memory_bytes: 40 GiB}')
        ended = self.cluster.wait_for_end(run)
        self.assertEqual(ended.state, EVENT.RUN_STATE_FAILED)
        failure = self.task(run).failure
        self.assertEqual(failure.kind, COMMON.FAILURE_KIND_INFRASTRUCTURE)
        self.assertIn('device gpu0 cannot be used: ', failure.message)
        self.assertIn('"cuda"', failure.message)
        self.assertEqual(worker.terminate(), 0)

    def test_a_gpu_is_for_one_step_while_cores_go_on(self):
        # In place of a task a program that does nothing until its worker is gone.
        idle = self.cluster.write('idle-task', '#!/bin/sh\n[ "$1" = --confinement ] && echo none '
                                  '&& exit\nexec cat <&3 >/dev/null\n')
        os.chmod(idle, 0o755)
        worker = self.cluster.start_worker('w2', 2, '--fake-devices', 'gpu0:H100:80GiB',
                                           '--task-binary', idle)
        self.addCleanup(worker.kill)
        first = self.create('first', '{gpus: 1}')
        wait_for(lambda: self.task(first).state == EVENT.TASK_STATE_RUNNING, 'the first step runs')
        second = self.create('second', '{gpus: 1}')
        third = self.create('third', '{cpus: 1}')
        wait_for(lambda: self.task(third).state == EVENT.TASK_STATE_RUNNING, 'the third step runs')
        self.assertEqual(self.task(second).state, EVENT.TASK_STATE_QUEUED)
        self.assertIn('busy', self.cluster.cli('why', second, check=0).out)

        # The worker goes, and its tasks with it: what waited gets its turn elsewhere.
        worker.kill()
        self.cluster.start_worker('w3', 2, '--fake-devices', 'gpu0:A30:24GiB')
        self.addCleanup(self.cluster.workers['w3'].kill)
        self.assertIn('gpu0', self.cluster.wait_for_end(second).failure.message)
        self.cluster.expect_success(third)

    def test_malformed_devices_end_the_worker(self):
        process = harness.Process(
            [harness.program('beamline-worker'), '--state', self.cluster.path('bad'),
             '--fake-devices', 'gpu0:H100'], self.cluster.path('bad.log'))
        self.assertEqual(process.popen.wait(60 * harness.TIME_FACTOR), 2)
        with open(self.cluster.path('bad.log'), encoding='utf-8') as file:
            self.assertIn('--fake-devices: "gpu0:H100" is not of the form ID:MODEL:MEMORY',
                          file.read())


if __name__ == '__main__':
    unittest.main()
