"""Who runs when, with real processes: pauses and preemption change no bit of a model; quotas hold; people
are told why they wait."""

import json
import unittest

import harness
from harness import STUBS, wait_for

EVENT = STUBS['event'][0]
RUN = STUBS['run'][0]
PROJECT = STUBS['project'][0]
# Some seconds of one core.
EPOCHS = 400


class SchedulingTest(unittest.TestCase):

    @classmethod
    def setUpClass(cls):
        cls.cluster = harness.Cluster()
        cls.addClassCleanup(cls.cluster.stop)
        # Rounds every second, and nobody is safe for longer than two.
        cls.cluster.start_server('--preempt-every', '1', '--preempt-after', '2')
        cls.cluster.start_worker()
        cls.cluster.write('points.csv', harness.two_classes(rows=4000))
        cls.cluster.cli('project', 'create', 'other', check=0)
        cls.path = cls.cluster.write('long.yaml', harness.pipeline(epochs=EPOCHS, units=2000))
        cls.short = cls.cluster.write('short.yaml', harness.pipeline(name='short', epochs=20))
        undisturbed = cls.cluster.expect_success(cls.cluster.create_run(cls.path))
        cls.digest = cls.cluster.model_digest(undisturbed)

    def task(self, run, step='train'):
        answer = self.cluster.stubs['run'].ListTasks(RUN.ListTasksRequest(parent=run))
        return next(task for task in answer.tasks if task.step == step)

    def wait_for_training(self, run):
        self.cluster.wait_for_event(
            run, lambda event: event.HasField('progress') and event.progress.step > 100,
            'it had trained for a while')

    def check_events(self, name):
        events = self.cluster.events(name)
        self.assertEqual([event.sequence for event in events], list(range(1, len(events) + 1)))
        return events

    def test_a_paused_run_gives_back_what_it_holds_and_ends_with_the_same_bits(self):
        run = self.cluster.create_run(self.path)
        self.wait_for_training(run)
        self.cluster.cli('run', 'pause', run, check=0)
        wait_for(lambda: self.task(run).state == EVENT.TASK_STATE_PAUSED, 'the task is paused')
        self.assertEqual(self.cluster.task_pids(self.cluster.workers['w1']), [])
        self.assertIn('paused', self.cluster.cli('why', run, check=0).out)
        # Neither does a restart of the server start it.
        self.cluster.server.kill()
        self.cluster.start_server('--preempt-every', '1', '--preempt-after', '2')
        self.cluster.expect_success(self.cluster.create_run(self.short))
        self.assertEqual(self.task(run).state, EVENT.TASK_STATE_PAUSED)
        self.cluster.cli('run', 'resume', run, check=0)
        ended = self.cluster.expect_success(run)
        self.assertEqual(self.cluster.model_digest(ended), self.digest)
        self.assertEqual(self.task(run).attempt, 2)
        texts = [event.log.text for event in self.check_events(run) if event.HasField('log')]
        self.assertTrue(any(text.startswith('goes on from step') for text in texts), texts)

    def test_a_preempted_run_ends_with_the_same_bits(self):
        runs = [self.cluster.create_run(self.path) for _ in range(2)]
        for run in runs:
            self.wait_for_training(run)
        other = self.cluster.create_run(self.path, '--project', 'other')
        self.cluster.wait_for_event(
            other, lambda event: event.HasField('task_state') and
            event.task_state.state == EVENT.TASK_STATE_RUNNING, 'the other project got a place')
        shares = json.loads(self.cluster.cli('fairshare', '--json', check=0).out)
        held = {share['project']: share['held'] for share in shares['shares']}
        self.assertEqual(held, {'projects/default': 0.5, 'projects/other': 0.5})
        ended = [self.cluster.expect_success(run) for run in runs]
        self.assertEqual([self.cluster.model_digest(run) for run in ended], [self.digest] * 2)
        reasons = {event.task_state.reason for run in runs for event in self.check_events(run)}
        self.assertTrue(any('makes room at a checkpoint' in reason for reason in reasons), reasons)
        self.assertFalse(any('other' in reason for reason in reasons), reasons)
        self.assertGreaterEqual(max(self.task(run).attempt for run in runs), 2)
        self.cluster.expect_success(other)

    def test_a_quota_holds_and_its_reason_is_told(self):
        self.cluster.cli('project', 'quota', 'other', '--max-cores', '1', '--weight', '2', check=0)
        first = self.cluster.create_run(self.path, '--project', 'other')
        self.wait_for_training(first)
        second = self.cluster.create_run(self.short, '--project', 'other')
        why = self.cluster.cli('why', second, '--project', 'other', check=0).out
        self.assertIn('quota', why)
        queue = self.cluster.cli('queue', check=0).out
        self.assertIn(second.split('/')[-1], queue)
        refused = self.cluster.cli('run', 'create', self.path, '--project', 'other', '--set',
                                   'steps.train.resources.cpus=2', check=3)
        self.assertIn('the project may hold 1 core', refused.err)
        self.cluster.cli('project', 'quota', 'other', '--max-cores', '0', check=0)
        self.cluster.expect_success(second)
        self.cluster.cli('run', 'cancel', first, '--project', 'other', check=0)
        self.cluster.wait_for_end(first)
        self.cluster.cli('run', 'resume', first, '--project', 'other', check=3)
        retry = self.cluster.cli('run', 'retry', first, '--project', 'other', check=0).out.strip()
        ended = self.cluster.expect_success(retry)
        self.assertEqual(ended.retry_of, first)
        self.assertEqual(self.cluster.model_digest(ended), self.digest)

    def test_what_an_earlier_run_did_is_taken(self):
        first = self.cluster.expect_success(self.cluster.create_run(self.short))
        again = self.cluster.cli('run', 'create', self.short, '--watch', check=0)
        self.assertIn('taken from', again.out + again.err)
        runs = self.cluster.stubs['run'].ListRuns(
            RUN.ListRunsRequest(parent='projects/default', page_size=1)).runs
        self.assertEqual(self.cluster.model_digest(runs[0]), self.cluster.model_digest(first))
        self.assertTrue(self.task(runs[0].name).result.taken_from)


if __name__ == '__main__':
    unittest.main(verbosity=2)
