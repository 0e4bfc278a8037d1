"""State folders that earlier versions of the server left, killed in the middle of a run: the server of
today takes them over, and the run goes on. tests/upgrade/make_state.py made them."""

import glob
import json
import os
import sqlite3
import subprocess
import tarfile
import unittest

import harness
from harness import STUBS

STATES = os.path.join(harness.ROOT, 'tests', 'upgrade', 'states')
RUN, DATASET, MODEL = STUBS['run'][0], STUBS['dataset'][0], STUBS['model'][0]


class Upgraded(harness.Cluster):
    """A server on an old state folder."""

    def __init__(self, archive):
        super().__init__()
        with tarfile.open(archive) as tar:
            tar.extractall(self.folder)
        os.rename(self.path('state'), self.path(self.state))
        with open(self.path('state.json'), encoding='utf-8') as file:
            self.known = json.load(file)
        # The token of admin that the old server wrote.
        with open(self.path('admin-token'), 'w', encoding='ascii') as file:
            file.write(self.known['admin'] + '\n')


class UpgradeTest(unittest.TestCase):

    def upgraded(self, archive):
        cluster = Upgraded(archive)
        self.addCleanup(cluster.stop)
        return cluster

    def check(self, archive):
        cluster = self.upgraded(archive)
        known = cluster.known
        cluster.start_server()
        # Tokens and roles.
        self.assertIn('operator', cluster.cli('whoami', check=0).out)
        cluster.write_config('ada', known['ada'])
        who = cluster.cli('whoami', user='ada', check=0).out
        self.assertRegex(who, r'default\s+editor')
        self.assertRegex(who, r'optics\s+viewer')
        # What was there.
        stubs = cluster.stubs_for(known['ada'])
        dataset = stubs['dataset'].GetDataset(DATASET.GetDatasetRequest(name=known['dataset']))
        self.assertEqual(dataset.row_count, 600)
        runs = stubs['run'].ListRuns(RUN.ListRunsRequest(parent='projects/default')).runs
        self.assertEqual({run.name for run in runs}, {known['ended'], known['running']})
        ended = cluster.run(known['ended'])
        self.assertEqual(ended.state, STUBS['event'][0].RUN_STATE_SUCCEEDED)
        events = cluster.events(known['ended'])
        self.assertEqual([event.sequence for event in events], list(range(1, len(events) + 1)))
        self.assertTrue(cluster.model_digest(ended))
        # And goes on: the worker is lost, another one takes the run from its checkpoint.
        cluster.start_worker('w2')
        finished = cluster.expect_success(known['running'])
        events = cluster.events(known['running'])
        self.assertEqual([event.sequence for event in events], list(range(1, len(events) + 1)))
        task = cluster.stubs['run'].ListTasks(
            RUN.ListTasksRequest(parent=finished.name)).tasks[0]
        self.assertEqual(task.attempt, 2)
        losses = [event.metric.epoch for event in events
                  if event.HasField('metric') and event.metric.name == 'loss']
        self.assertEqual(losses.count(min(losses)), 1, 'it began anew')
        cluster.server.terminate()
        database = sqlite3.connect(cluster.path(cluster.state, 'beamline.db'))
        try:
            self.assertEqual(database.execute('PRAGMA integrity_check').fetchall(), [('ok',)])
            self.assertEqual(database.execute('PRAGMA foreign_key_check').fetchall(), [])
        finally:
            database.close()
        verified = subprocess.run([harness.program('beamlined'), 'audit', 'verify', '--state',
                                   cluster.path(cluster.state)], capture_output=True, text=True,
                                  check=False)
        self.assertEqual(verified.returncode, 0, verified.stderr)

    def test_a_newer_state_is_refused(self):
        cluster = self.upgraded(sorted(glob.glob(os.path.join(STATES, '*.tar.xz')))[-1])
        database = sqlite3.connect(cluster.path(cluster.state, 'beamline.db'))
        database.execute('PRAGMA user_version = 99')
        database.close()
        with self.assertRaisesRegex(AssertionError, 'schema version 99, and this program knows'):
            cluster.start_server()


def add_tests():
    for archive in sorted(glob.glob(os.path.join(STATES, '*.tar.xz'))):
        name = os.path.basename(archive).split('.')[0].replace('-', '_')
        setattr(UpgradeTest, f'test_{name}', lambda self, archive=archive: self.check(archive))


add_tests()

if __name__ == '__main__':
    unittest.main()
