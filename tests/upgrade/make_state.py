#!/usr/bin/python3
"""Makes a state folder as an earlier version of the server left it: an upgrade test opens it.

    git checkout COMMIT; build beamline, beamlined, beamline-worker and beamline-task; then, of today,
    tests/upgrade/make_state.py BIN tests/upgrade/states/SCHEMA-COMMIT.tar.xz

In the state are two users with tokens, a project with members, a dataset, a run that has ended with a
model, and one that had taken a checkpoint when server and worker were killed by SIGKILL. Beside it
stands state.json: what a test has to know of it. Keys and certificates (tls) are left out; the server
makes new ones.
"""

import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tarfile
import tempfile
import time

# Of v1.Event.kind: the field "checkpoint".
CHECKPOINT = 10
# Of the run that is under way: some seconds of training.
EPOCHS = 600

PIPELINE = '''name: {name}
seed: 3
inputs:
  points: {{file: points.csv}}
steps:
  - name: train
    train:
      data:
        input: points
        target: label
        split: {{stratified: {{validation: 0.2, test: 0.2}}}}
      checkpoint: {{every_seconds: 1}}
      network:
        layers:
          - dense: {{units: 1000, activation: relu}}
          - dense: {{}}
        loss: {{binary_cross_entropy: {{}}}}
        optimizer: {{adam: {{learning_rate: 0.01}}}}
        epochs: {epochs}
        batch_size: 1
  - name: evaluate
    evaluate: {{model: train, part: test}}
  - name: publish
    publish: {{model: train, name: {name}}}
'''


def points(rows=600):
    generator = random.Random(1)
    lines = ['x,y,label']
    for _ in range(rows):
        label = generator.randrange(2)
        x, y = generator.gauss(label * 1.5, 1), generator.gauss(-label, 1)
        lines.append(f'{x:.3f},{y:.3f},{"yes" if label else "no"}')
    return '\n'.join(lines) + '\n'


def wait_for(condition, what, seconds=60):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.02)
    raise SystemExit(f'not within {seconds} s: {what}')


class Old:
    """Server, worker and CLI of the version in `binaries`."""

    def __init__(self, binaries, folder):
        self.binaries = binaries
        self.folder = folder
        self.processes = []

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, text):
        with open(self.path(name), 'w', encoding='utf-8') as file:
            file.write(text)
        return self.path(name)

    def start(self, name, *arguments):
        with open(self.path(f'{name}.log'), 'wb') as log:
            self.processes.append(subprocess.Popen(
                [os.path.join(self.binaries, name), *arguments], stdin=subprocess.DEVNULL,
                stdout=log, stderr=log))
        ready = self.path(f'{name}.json')
        wait_for(lambda: os.path.exists(ready) and os.path.getsize(ready), f'{name} is ready')
        with open(ready, encoding='utf-8') as file:
            return json.load(file)

    def begin(self):
        server = self.start(
            'beamlined', '--state', self.path('state'), '--listen', '127.0.0.1:0', '--ready-file',
            self.path('beamlined.json'), '--init-admin', self.path('admin-token'),
            '--print-join-token', self.path('join-token'))
        with open(self.path('admin-token'), encoding='ascii') as file:
            self.admin = file.read().strip()
        context = {'server': server['address'], 'ca': server['ca'], 'token': self.admin,
                   'project': 'default'}
        self.write('config.json', json.dumps({'current': 'old', 'contexts': {'old': context}}))
        self.start('beamline-worker', '--state', self.path('worker'), '--server',
                   server['address'], '--ca', server['ca'], '--join-token-file',
                   self.path('join-token'), '--cpus', '2', '--name', 'w1', '--ready-file',
                   self.path('beamline-worker.json'))

    def cli(self, *arguments):
        result = subprocess.run(
            [os.path.join(self.binaries, 'beamline'), *arguments], capture_output=True, text=True,
            check=False, env={'HOME': self.folder, 'BEAMLINE_CONFIG': self.path('config.json'),
                              'PATH': os.environ['PATH'], 'LANG': 'C.UTF-8'})
        if result.returncode != 0:
            raise SystemExit(f'beamline {" ".join(arguments)}: {result.stdout}{result.stderr}')
        return result.stdout.strip()

    def query(self, sql, *arguments):
        database = sqlite3.connect(f'file:{self.path("state/beamline.db")}?mode=ro', uri=True)
        try:
            return database.execute(sql, arguments).fetchall()
        finally:
            database.close()

    def kill(self):
        for process in reversed(self.processes):
            process.send_signal(signal.SIGKILL)
            process.wait()


def main():
    binaries, output = os.path.abspath(sys.argv[1]), sys.argv[2]
    with tempfile.TemporaryDirectory() as folder:
        old = Old(binaries, folder)
        try:
            old.begin()
            old.write('points.csv', points())
            old.cli('project', 'create', 'optics')
            old.cli('user', 'create', 'ada')
            old.cli('project', 'add-member', 'ada', '--role', 'viewer', '--project', 'optics')
            old.cli('project', 'add-member', 'ada', '--role', 'editor')
            ada = old.cli('token', 'create', '--user', 'ada')
            ended = old.cli('run', 'create', old.write('short.yaml', PIPELINE.format(
                name='short', epochs=3)), '--name-only')
            wait_for(lambda: old.query('SELECT 1 FROM models'), 'the first run ends')
            running = old.cli('run', 'create', old.write('long.yaml', PIPELINE.format(
                name='long', epochs=EPOCHS)), '--name-only')
            wait_for(lambda: old.query(
                'SELECT 1 FROM events WHERE run = ? AND kind = ?', running.rsplit('/', 1)[-1],
                CHECKPOINT), 'a checkpoint')
        finally:
            old.kill()
        (version,), = old.query('PRAGMA user_version')
        (dataset,), = old.query("SELECT id FROM datasets")
        old.write('state.json', json.dumps({
            'schema': version, 'admin': old.admin, 'ada': ada, 'ended': ended, 'running': running,
            'dataset': f'projects/default/datasets/{dataset}'}, indent=1) + '\n')
        shutil.rmtree(old.path('state/tls'))
        shutil.rmtree(old.path('state/uploads'))
        with tarfile.open(output, 'w:xz') as tar:
            for name in ('state.json', 'state'):
                tar.add(old.path(name), name, filter=lambda entry: None if entry.name.endswith(
                    ('-shm', '/lock')) else entry)


if __name__ == '__main__':
    main()
