"""kill -9 of task, worker and server, and a graceful restart, in the middle of a run: each time the
run succeeds, its events have no gap, and the model is the one that an undisturbed run gives."""

import os
import signal
import subprocess
import time
import unittest

import harness
from harness import STUBS, wait_for

EVENT = STUBS['event'][0]
RUN = STUBS['run'][0]

# Long enough to be disturbed in the middle, on any machine.
EPOCHS = 400


class FaultsTest(unittest.TestCase):

    @classmethod
    def setUpClass(cls):
        cls.cluster = harness.Cluster()
        cls.addClassCleanup(cls.cluster.stop)
        cls.cluster.start_server()
        cls.cluster.start_worker()
        cls.cluster.write('points.csv', harness.two_classes(rows=20000))
        cls.path = cls.cluster.write('p.yaml', harness.pipeline(
            epochs=EPOCHS, units=32, checkpoint=0.2))
        cls.expected = cls.cluster.model_digest(
            cls.cluster.expect_success(cls.cluster.create_run(cls.path)))

    def start_and_reach_the_middle(self):
        """A run that has trained for a while and has a checkpoint."""
        name = self.cluster.create_run(self.path)
        self.cluster.wait_for_event(name, lambda event: event.HasField('checkpoint'),
                                    'it had a checkpoint')
        self.cluster.wait_for_event(
            name, lambda event: event.progress.step > event.progress.total_steps // 4,
            'it was in the middle')
        self.assertEqual(self.cluster.run(name).state, EVENT.RUN_STATE_RUNNING)
        return name

    def check(self, name):
        run = self.cluster.expect_success(name)
        self.assertEqual(self.cluster.model_digest(run), self.expected)
        sequences = [event.sequence for event in self.cluster.events(name)]
        self.assertEqual(sequences, list(range(1, len(sequences) + 1)))
        ends = [event for event in self.cluster.events(name)
                if event.run_state.state == EVENT.RUN_STATE_SUCCEEDED]
        self.assertEqual(len(ends), 1)

    def attempts(self, name):
        request = RUN.ListTasksRequest(parent=name)
        tasks = self.cluster.stubs['run'].ListTasks(request).tasks
        return {task.step: task.attempt for task in tasks}

    def test_kill_task(self):
        name = self.start_and_reach_the_middle()
        pids = self.cluster.task_pids(self.cluster.workers['w1'])
        self.assertTrue(pids, 'there is no process of a task')
        # The last one is the attempt; those above it may be what starts attempts.
        os.kill(max(pids), signal.SIGKILL)
        self.check(name)
        self.assertGreaterEqual(self.attempts(name)['train'], 2)

    def test_kill_worker(self):
        name = self.start_and_reach_the_middle()
        pids = self.cluster.task_pids(self.cluster.workers['w1'])
        self.cluster.workers['w1'].kill()
        wait_for(lambda: not any(os.path.exists(f'/proc/{pid}/exe') for pid in pids),
                 'tasks end with their worker')
        self.cluster.start_worker()
        self.check(name)
        self.assertGreaterEqual(self.attempts(name)['train'], 2)

    def test_kill_worker_and_go_on_elsewhere(self):
        name = self.start_and_reach_the_middle()
        self.cluster.start_worker('w2')
        self.cluster.workers['w1'].kill()
        self.check(name)
        self.cluster.start_worker('w1')
        self.cluster.workers.pop('w2').terminate()

    def test_kill_server(self):
        name = self.start_and_reach_the_middle()
        seen = self.cluster.path('watched.jsonl')
        with open(seen, 'wb') as output:
            watch = self.cluster.cli_start('run', 'watch', name, '--json', stdout=output,
                                           stderr=subprocess.PIPE)
        wait_for(lambda: os.path.getsize(seen) > 0, 'an event was watched')
        self.cluster.server.kill()
        self.cluster.start_server()
        self.check(name)
        _, err = watch.communicate(timeout=60 * harness.TIME_FACTOR)
        self.assertEqual(watch.returncode, 0, err)
        with open(seen, encoding='utf-8') as lines:
            sequences = [harness.json.loads(line)['sequence'] for line in lines]
        self.assertEqual([int(s) for s in sequences],
                         [event.sequence for event in self.cluster.events(name)])

    def test_kill_server_again_and_again(self):
        name = self.start_and_reach_the_middle()
        for _ in range(3):
            self.cluster.server.kill()
            self.cluster.start_server()
            time.sleep(0.3)
        self.check(name)

    def test_kill_server_and_worker_at_once(self):
        name = self.start_and_reach_the_middle()
        self.cluster.server.kill()
        self.cluster.workers['w1'].kill()
        self.cluster.start_server()
        self.cluster.start_worker()
        self.check(name)

    def test_graceful_restart(self):
        name = self.start_and_reach_the_middle()
        self.assertEqual(self.cluster.server.terminate(), 0, self.cluster.log_ends())
        self.cluster.start_server()
        self.check(name)
        self.assertEqual(self.cluster.workers['w1'].terminate(), 0, self.cluster.log_ends())
        self.cluster.start_worker()

    def test_an_acknowledged_run_survives(self):
        for _ in range(5):
            name = self.cluster.create_run(self.path)
            self.cluster.server.kill()
            self.cluster.start_server()
            self.assertEqual(self.cluster.run(name).name, name)
            self.cluster.cli('run', 'cancel', name, check=0)
        for run in self.cluster.stubs['run'].ListRuns(
                RUN.ListRunsRequest(parent='projects/default', page_size=5)).runs:
            self.cluster.wait_for_end(run.name, 60)


if __name__ == '__main__':
    unittest.main(verbosity=2)
