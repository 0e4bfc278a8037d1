"""`beamline dev`: starts both daemons, watches over them, and leaves nothing behind."""

import json
import os
import signal
import subprocess
import tempfile
import unittest

import harness
from harness import wait_for


def alive(pid):
    try:
        with open(f'/proc/{int(pid)}/stat', encoding='utf-8') as file:
            return file.read().rsplit(')', 1)[1].split()[0] != 'Z'
    except OSError:
        return False


class DevTest(unittest.TestCase):

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix='beamline-dev-')
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.ready = os.path.join(self.folder, 'ready.json')
        self.environment = {
            **harness.environment(self.folder, os.path.join(self.folder, 'config.json')),
            'TMPDIR': self.folder}

    def start(self, *flags):
        if os.path.exists(self.ready):
            os.remove(self.ready)
        dev = subprocess.Popen(
            [harness.program('beamline'), 'dev', '--listen', '127.0.0.1:0', '--ready-file',
             self.ready, *flags], env=self.environment, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        def stop():
            dev.kill()
            dev.communicate()
        self.addCleanup(stop)
        def up():
            self.assertIsNone(dev.poll(), dev.poll() is not None and dev.communicate()[0])
            return os.path.exists(self.ready)
        wait_for(up, 'dev is ready')
        with open(self.ready, encoding='utf-8') as file:
            return dev, json.load(file)

    def cli(self, *arguments):
        return subprocess.run([harness.program('beamline'), *arguments], env=self.environment,
                              capture_output=True, text=True, check=False,
                              timeout=60 * harness.TIME_FACTOR)

    def stop(self, dev, info, number):
        dev.send_signal(number)
        output = dev.communicate(timeout=60 * harness.TIME_FACTOR)[0]
        self.assertEqual(dev.returncode, 0, output)
        wait_for(lambda: not alive(info['server_pid']) and not alive(info['worker_pid']),
                 'both daemons are gone')
        return output

    def test_two_starts_on_one_state(self):
        state = os.path.join(self.folder, 'state')
        dev, info = self.start('--state', state)
        self.assertEqual(self.cli('status').returncode, 0)
        self.assertIn('admin', self.cli('whoami').stdout)
        second = self.cli('dev', '--state', state)
        self.assertEqual(second.returncode, 3, second.stderr)
        self.assertIn('another', second.stderr)
        output = self.stop(dev, info, signal.SIGINT)
        self.assertIn('beamline run create', output)
        self.assertEqual(os.stat(self.environment['BEAMLINE_CONFIG']).st_mode & 0o777, 0o600)
        unreachable = self.cli('status')
        self.assertEqual(unreachable.returncode, 6, unreachable.stderr)
        self.assertIn('beamline dev', unreachable.stderr)

        dev, info = self.start('--state', state)
        status = self.cli('status')
        self.assertIn('1 ready of 1', status.stdout, status.stderr)
        self.stop(dev, info, signal.SIGTERM)

    def test_ephemeral_leaves_nothing(self):
        dev, info = self.start('--ephemeral')
        self.assertTrue(os.path.isdir(info['state']))
        self.stop(dev, info, signal.SIGTERM)
        self.assertFalse(os.path.exists(info['state']))

    def test_a_daemon_that_dies_is_started_again(self):
        state = os.path.join(self.folder, 'state')
        dev, info = self.start('--state', state)
        for which in ('server_pid', 'worker_pid'):
            os.kill(int(info[which]), signal.SIGKILL)
        wait_for(lambda: '1 ready of' in self.cli('status').stdout, 'both are back')
        dev.send_signal(signal.SIGTERM)
        output = dev.communicate(timeout=60 * harness.TIME_FACTOR)[0]
        self.assertEqual(dev.returncode, 0, output)
        self.assertIn('died (killed by signal 9', output)

    def test_daemons_end_when_dev_is_killed(self):
        dev, info = self.start('--state', os.path.join(self.folder, 'state'))
        dev.kill()
        wait_for(lambda: not alive(info['server_pid']) and not alive(info['worker_pid']),
                 'both daemons are gone')


if __name__ == '__main__':
    unittest.main(verbosity=2)
