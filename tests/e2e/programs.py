"""Programs of the user's own in a cluster of the test's: what those who test them share.

Each program is a few lines of Python, run by /usr/bin/python3 and nothing but its standard library.
"""

import json
import os
import subprocess
import textwrap
import unittest

import harness
from harness import STUBS

EVENT = STUBS['event'][0]
RUN = STUBS['run'][0]
COMMON = STUBS['common'][0]

SUCCEEDED = EVENT.RUN_STATE_SUCCEEDED
FAILED = EVENT.RUN_STATE_FAILED


def confinement():
    return subprocess.run([harness.program('beamline-task'), '--confinement'], check=True, text=True,
                          stdout=subprocess.PIPE).stdout.splitlines()


CONFINEMENT = confinement()
CONFINED = 'Landlock' in CONFINEMENT and 'seccomp' in CONFINEMENT


@unittest.skipUnless(CONFINED, f'this machine cannot confine programs: {CONFINEMENT}')
class ProgramTest(harness.ClusterTest):

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.cluster.cli('project', 'set', 'default', '--programs', 'allow', check=0)

    def write_pipeline(self, script, name='program', **command):
        """A pipeline of one command step, "work", that runs `script`."""
        step = {'name': 'work', 'command': {
            'program': {'arguments': ['python3', 'main.py'],
                        'files': {'main.py': {'text': textwrap.dedent(script)}},
                        **command.pop('program', {})}, **command.pop('command', {})}, **command}
        definition = {'name': name, 'steps': [step], **self.inputs}
        return self.cluster.write(f'{name}.json', json.dumps(definition))

    inputs = {}

    def start(self, script, **command):
        return self.cluster.create_run(self.write_pipeline(script, **command))

    def finish(self, script, **command):
        """The run, ended, and what the program wrote."""
        name = self.start(script, **command)
        return self.cluster.wait_for_end(name), self.logs(name)

    def logs(self, name):
        return [event.log.text for event in self.cluster.events(name)
                if event.HasField('log') and event.log.stream != event.log.STREAM_ENGINE]

    def succeed(self, script, **command):
        run, logs = self.finish(script, **command)
        self.assertEqual(run.state, SUCCEEDED, f'{run.failure}\n{logs}')
        return run, logs

    def expect_failure(self, script, kind, text, **command):
        run, logs = self.finish(script, **command)
        self.assertEqual(run.state, FAILED, logs)
        self.assertEqual(COMMON.FailureKind.Name(run.failure.kind), f'FAILURE_KIND_{kind}',
                         run.failure)
        self.assertIn(text, run.failure.message)
        return run, logs

    def task(self, run):
        return self.cluster.stubs['run'].ListTasks(RUN.ListTasksRequest(parent=run.name)).tasks[0]

    def processes_below(self):
        """Programs of the cluster that run: by their current folder."""
        found = []
        for pid in os.listdir('/proc'):
            try:
                if pid.isdigit() and os.readlink(f'/proc/{pid}/cwd').startswith(
                        self.cluster.path('w1', 'work')):
                    found.append(int(pid))
            except OSError:
                pass
        return found
