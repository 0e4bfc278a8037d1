"""A server and workers of the test's own: real processes, a temporary folder, free ports.

Everything is stopped and removed when the test ends, however it ends.
"""

import contextlib
import hashlib
import importlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

import grpc

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), '..', '..'))
BIN = os.environ.get('BEAMLINE_BIN', os.path.join(ROOT, 'build', 'dev', 'bin'))
# All time limits are multiplied by this: programs built with a sanitizer are slow.
TIME_FACTOR = int(os.environ.get('BEAMLINE_TIME_FACTOR', '1'))
START_TIMEOUT = 60
RUN_TIMEOUT = 120


def program(name):
    return os.path.join(BIN, name)


def environment(folder, config):
    """Of a `beamline` whose home is `folder`. Of the test's own only what a sanitizer needs."""
    passed = {name: value for name, value in os.environ.items()
              if name == 'PATH' or name.endswith('SAN_OPTIONS')}
    return {**passed, 'HOME': folder, 'BEAMLINE_CONFIG': config, 'LANG': 'C.UTF-8'}


def wait_for(condition, what, timeout=START_TIMEOUT):
    """The first true value of `condition()`. Fails the test, saying `what` did not happen."""
    timeout *= TIME_FACTOR
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f'not within {timeout} s: {what}')
        time.sleep(0.02)


def load_stubs():
    """Modules generated from the protos: {'run': (run_pb2, run_pb2_grpc), ...}."""
    folder = tempfile.mkdtemp(prefix='beamline-stubs-')
    try:
        protos = os.path.join(ROOT, 'proto')
        names = [name for name in os.listdir(os.path.join(protos, 'beamline/v1'))
                 if name.endswith('.proto')]
        subprocess.run(
            [os.environ.get('PROTOC', 'protoc'), '-I', protos, '--python_out', folder,
             '--grpc_out', folder, '--plugin=protoc-gen-grpc=' +
             os.environ.get('GRPC_PYTHON_PLUGIN', '/usr/bin/grpc_python_plugin'),
             *[f'beamline/v1/{name}' for name in sorted(names)], 'google/rpc/status.proto',
             'google/rpc/error_details.proto'], check=True)
        # The generated google/rpc must not hide the installed google/protobuf.
        import google
        google.__path__.append(os.path.join(folder, 'google'))
        sys.path.insert(0, folder)
        return {name[:-6]: (importlib.import_module(f'beamline.v1.{name[:-6]}_pb2'),
                            importlib.import_module(f'beamline.v1.{name[:-6]}_pb2_grpc'))
                for name in names}
    finally:
        shutil.rmtree(folder)


STUBS = load_stubs()


class Process:
    """A daemon; what it prints goes to a log."""

    def __init__(self, arguments, log):
        self.log = log
        with open(log, 'ab') as output:
            self.popen = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=output,
                                          stderr=output, start_new_session=True)

    @property
    def pid(self):
        return self.popen.pid

    def alive(self):
        return self.popen.poll() is None

    def kill(self):
        """As a power cut would end it."""
        if self.alive():
            self.popen.kill()
        self.popen.wait()

    def terminate(self, timeout=60):
        """As an operator would end it; returns the exit code."""
        if self.alive():
            self.popen.terminate()
        return self.popen.wait(timeout * TIME_FACTOR)


class CliResult:

    def __init__(self, code, out, err):
        self.code = code
        self.out = out
        self.err = err

    def json(self):
        return json.loads(self.out)

    def lines(self):
        return [json.loads(line) for line in self.out.splitlines()]


class Cluster:
    """One server, any number of workers, the CLI and gRPC stubs as its admin."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix='beamline-e2e-')
        self.server = None
        self.workers = {}
        self.address = '127.0.0.1:0'
        self.channels = []

    def path(self, *parts):
        return os.path.join(self.folder, *parts)

    def start_server(self, *flags):
        ready = self.path('server-ready.json')
        with contextlib.suppress(FileNotFoundError):
            os.remove(ready)
        self.server = Process(
            [program('beamlined'), '--state', self.path('server'), '--listen', self.address,
             '--ready-file', ready, '--init-admin', self.path('admin-token'),
             '--print-join-token', self.path('join-token'), *flags], self.path('server.log'))
        info = self.read_ready(self.server, ready)
        self.address = info['address']
        self.ca = info['ca']
        with open(self.path('admin-token'), encoding='ascii') as file:
            self.token = file.read().strip()
        self.write_config('admin', self.token)
        self.stubs = self.stubs_for(self.token)

    def start_worker(self, name='w1', cpus=2, *flags):
        ready = self.path(f'{name}-ready.json')
        with contextlib.suppress(FileNotFoundError):
            os.remove(ready)
        worker = Process(
            [program('beamline-worker'), '--state', self.path(name), '--server', self.address,
             '--ca', self.ca, '--join-token-file', self.path('join-token'), '--cpus', str(cpus),
             '--name', name, '--ready-file', ready, *flags], self.path(f'{name}.log'))
        self.workers[name] = worker
        self.read_ready(worker, ready)
        return worker

    def read_ready(self, process, path):
        def ready():
            if not process.alive():
                with open(process.log, encoding='utf-8', errors='replace') as file:
                    raise AssertionError(f'{process.log}: ended at start:\n{file.read()[-4000:]}')
            return os.path.exists(path) and os.path.getsize(path) > 0
        wait_for(ready, f'{path} is written')
        with open(path, encoding='utf-8') as file:
            return json.load(file)

    def stubs_for(self, token):
        """Service stubs by name, "run", with which `token` is sent."""
        with open(self.ca, 'rb') as file:
            channel_credentials = grpc.ssl_channel_credentials(file.read())
        credentials = grpc.composite_channel_credentials(
            channel_credentials, grpc.access_token_call_credentials(token))
        channel = grpc.secure_channel(self.address, credentials)
        self.channels.append(channel)
        services = {'project': 'Project', 'auth': 'Auth', 'dataset': 'Dataset',
                    'pipeline': 'Pipeline', 'run': 'Run', 'model': 'Model', 'cluster': 'Cluster',
                    'worker': 'Worker'}
        stubs = {}
        for name, service in services.items():
            module = STUBS['project' if name == 'auth' else name][1]
            stubs[name] = getattr(module, f'{service}ServiceStub')(channel)
        return stubs

    def write_config(self, name, token):
        path = self.path(f'{name}.json')
        context = {'server': self.address, 'ca': self.ca, 'token': token, 'project': 'default'}
        with open(path, 'w', encoding='utf-8') as file:
            json.dump({'current': 'e2e', 'contexts': {'e2e': context}}, file)
        return path

    def cli(self, *arguments, user='admin', check=None, stdin='', timeout=RUN_TIMEOUT, env=None):
        """Runs `beamline`; fails the test unless its exit code is `check` (None: any)."""
        result = subprocess.run(
            [program('beamline'), *arguments], input=stdin, timeout=timeout * TIME_FACTOR,
            capture_output=True, text=True, check=False,
            env={**environment(self.folder, self.path(f'{user}.json')), **(env or {})})
        if check is not None and result.returncode != check:
            raise AssertionError(f'beamline {" ".join(arguments)}: exit code {result.returncode}, '
                                 f'not {check}\n{result.stdout}\n{result.stderr}\n{self.log_ends()}')
        return CliResult(result.returncode, result.stdout, result.stderr)

    def cli_start(self, *arguments, user='admin', **options):
        """Starts `beamline` and returns its Popen."""
        return subprocess.Popen([program('beamline'), *arguments], stdin=subprocess.DEVNULL,
                                env=environment(self.folder, self.path(f'{user}.json')),
                                text=True, **options)

    def write(self, name, text):
        path = self.path(name)
        with open(path, 'w', encoding='utf-8') as file:
            file.write(text)
        return path

    def create_run(self, path, *flags):
        """Does everything, even what an earlier test has done alike."""
        return self.cli('run', 'create', path, '--name-only', '--fresh', *flags, check=0).out.strip()

    def run(self, name):
        run_pb2 = STUBS['run'][0]
        return self.stubs['run'].GetRun(run_pb2.GetRunRequest(name=name))

    def wait_for_end(self, name, timeout=RUN_TIMEOUT):
        """The run when it has ended."""
        event_pb2 = STUBS['event'][0]
        terminal = (event_pb2.RUN_STATE_SUCCEEDED, event_pb2.RUN_STATE_FAILED,
                    event_pb2.RUN_STATE_CANCELLED)
        def ended():
            run = self.run(name)
            return run if run.state in terminal else None
        try:
            return wait_for(ended, f'{name} ends', timeout)
        except AssertionError as error:
            raise AssertionError(f'{error}\n{self.log_ends()}') from error

    def expect_success(self, name, timeout=RUN_TIMEOUT):
        run = self.wait_for_end(name, timeout)
        if run.state != STUBS['event'][0].RUN_STATE_SUCCEEDED:
            raise AssertionError(f'{name} did not succeed: {run.failure}\n{self.log_ends()}')
        return run

    def wait_for_event(self, name, wanted, what, timeout=RUN_TIMEOUT):
        """The first event of the run for which `wanted(event)` holds."""
        run_pb2 = STUBS['run'][0]
        for event in self.stubs['run'].WatchRun(run_pb2.WatchRunRequest(name=name),
                                                timeout=timeout * TIME_FACTOR):
            if wanted(event):
                return event
        raise AssertionError(f'{name} ended before {what}\n{self.log_ends()}')

    def events(self, name, after=0):
        """All events of a run that has ended."""
        run_pb2 = STUBS['run'][0]
        request = run_pb2.WatchRunRequest(name=name, after_sequence=after)
        return list(self.stubs['run'].WatchRun(request, timeout=RUN_TIMEOUT * TIME_FACTOR))

    def model_digest(self, run):
        """Digest of the one model that the run published."""
        assert len(run.models) == 1, run.models
        model_pb2 = STUBS['model'][0]
        model = self.stubs['model'].GetModel(model_pb2.GetModelRequest(name=run.models[0]))
        return model.file.digest

    def task_pids(self, worker):
        """Processes of attempts below the worker, by their program's name."""
        parents = {}
        names = {}
        for entry in os.listdir('/proc'):
            if not entry.isdigit():
                continue
            with contextlib.suppress(OSError):
                with open(f'/proc/{entry}/stat', encoding='utf-8', errors='replace') as file:
                    text = file.read()
                names[int(entry)] = text[text.index('(') + 1:text.rindex(')')]
                fields = text[text.rindex(')') + 2:].split()
                if fields[0] != 'Z':
                    parents[int(entry)] = int(fields[1])
        def below(pid):
            while pid in parents:
                pid = parents[pid]
                if pid == worker.pid:
                    return True
            return False
        return [pid for pid in parents if names[pid].startswith('beamline-task') and below(pid)]

    def log_ends(self, size=2500):
        text = ''
        for name in sorted(os.listdir(self.folder)):
            if name.endswith('.log'):
                with open(self.path(name), encoding='utf-8', errors='replace') as file:
                    text += f'--- {name}\n{file.read()[-size:]}\n'
        return text

    def stop(self):
        for channel in self.channels:
            channel.close()
        for process in [*self.workers.values(), self.server]:
            if process is not None:
                process.kill()
        for pid in os.listdir('/proc'):
            # Tasks end with their worker; this is for the one that does not.
            if not pid.isdigit():
                continue
            with contextlib.suppress(OSError):
                if os.readlink(f'/proc/{pid}/cwd').startswith(self.folder):
                    os.kill(int(pid), signal.SIGKILL)
        logs = self.log_ends(100_000)
        shutil.rmtree(self.folder, ignore_errors=True)
        assert 'Sanitizer: ' not in logs, logs


class ClusterTest(unittest.TestCase):
    """Tests that share one cluster with one worker."""

    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster()
        cls.addClassCleanup(cls.cluster.stop)
        cls.cluster.start_server()
        cls.cluster.start_worker()

    def assert_server_lives(self):
        cluster_pb2 = STUBS['cluster'][0]
        self.assertTrue(self.cluster.server.alive(), self.cluster.log_ends())
        self.cluster.stubs['cluster'].GetServerInfo(cluster_pb2.GetServerInfoRequest(),
                                                    timeout=10 * TIME_FACTOR)

    def assert_code(self, code, function, *arguments, **named):
        """The error that the call ends with, which must have the code."""
        with self.assertRaises(grpc.RpcError) as caught:
            result = function(*arguments, **named)
            if hasattr(result, '__iter__'):
                list(result)
        self.assertEqual(caught.exception.code(), code, caught.exception.details())
        return caught.exception


def two_classes(rows=600, seed=1):
    """CSV text: two Gaussian clouds that overlap, columns x, y, z and label."""
    generator = random.Random(seed)
    lines = ['x,y,z,label']
    for _ in range(rows):
        label = generator.randrange(2)
        x, y = generator.gauss(label * 1.5, 1), generator.gauss(-label, 1)
        lines.append(f'{x:.5f},{y:.5f},{generator.gauss(0, 1):.5f},{"yes" if label else "no"}')
    return '\n'.join(lines) + '\n'


# A definition that trains on two_classes(). `extra` goes below the network.
PIPELINE = '''name: {name}
seed: 3
inputs:
  points: {{file: {file}}}
steps:
  - name: train
    train:
      data:
        input: points
        target: label
        split:
          stratified: {{validation: 0.2, test: 0.2}}
      checkpoint: {{every_seconds: {checkpoint}}}
      network:
        layers:
          - dense: {{units: {units}, activation: relu}}
          - dense: {{}}
        loss:
          binary_cross_entropy: {{}}
        optimizer:
          adam: {{learning_rate: 0.01}}
        epochs: {epochs}
        batch_size: 32
  - name: evaluate
    evaluate: {{model: train, part: test}}
  - name: publish
    publish: {{model: train, name: {name}}}
'''


def pipeline(name='points', file='points.csv', epochs=5, units=8, checkpoint=30):
    return PIPELINE.format(name=name, file=file, epochs=epochs, units=units, checkpoint=checkpoint)


def sha256(data):
    return hashlib.sha256(data).hexdigest()
