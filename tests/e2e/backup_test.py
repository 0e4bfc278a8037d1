"""Backups of a live server with real processes: what starts from one goes on, with the same bits."""

import os
import signal
import subprocess
import time
import unittest

import harness
from harness import STUBS

RUN = STUBS['run'][0]


class BackupTest(harness.ClusterTest):

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.cluster.write('points.csv', harness.two_classes(rows=4000))
        cls.path = cls.cluster.write(
            'long.yaml', harness.pipeline(epochs=400, units=2000, checkpoint=0.2))
        cls.digest = cls.cluster.model_digest(
            cls.cluster.expect_success(cls.cluster.create_run(cls.path)))

    def beamlined(self, *arguments):
        return subprocess.Popen([harness.program('beamlined'), *arguments], text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def back_up(self, check=True):
        process = self.beamlined('backup', '--state', self.cluster.path(self.cluster.state),
                                 '--to', self.cluster.path('backup'))
        if check:
            output = process.communicate(timeout=60 * harness.TIME_FACTOR)[0]
            self.assertEqual(process.returncode, 0, output)
        return process

    def test_a_run_goes_on_from_a_backup_of_its_middle(self):
        run = self.cluster.create_run(self.path)
        self.cluster.wait_for_event(run, lambda event: event.HasField('checkpoint'),
                                    'its first checkpoint')
        # Killed at some points, whole in the end.
        for milliseconds in (0, 1, 2, 5, 10, 20, 40, 80):
            process = self.back_up(check=False)
            time.sleep(milliseconds / 1000)
            process.send_signal(signal.SIGKILL)
            process.communicate()
        self.back_up()
        # The machine is gone, with all that came after the backup.
        later = self.cluster.create_run(self.path)
        self.cluster.server.kill()
        restored = self.beamlined('restore', '--from', self.cluster.path('backup'), '--state',
                                  self.cluster.path('restored'))
        output = restored.communicate(timeout=60 * harness.TIME_FACTOR)[0]
        self.assertEqual(restored.returncode, 0, output)
        self.assertFalse(os.path.exists(self.cluster.path('restored', 'backup')))
        self.cluster.state = 'restored'
        self.cluster.start_server()
        ended = self.cluster.expect_success(run)
        self.assertEqual(self.cluster.model_digest(ended), self.digest)
        sequences = [event.sequence for event in self.cluster.events(run)]
        self.assertEqual(sequences, list(range(1, len(sequences) + 1)))
        runs = self.cluster.stubs['run'].ListRuns(
            RUN.ListRunsRequest(parent='projects/default')).runs
        self.assertNotIn(later, [one.name for one in runs])
        # Work goes on as ever, on the same worker.
        self.cluster.expect_success(self.cluster.create_run(self.path))


if __name__ == '__main__':
    unittest.main(verbosity=2)
