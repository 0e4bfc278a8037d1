#!/usr/bin/python3 -B
"""kill -9 and SIGSTOP of server, workers and tasks at random instants, while runs of three projects go on.

    chaos.py [--kills 40] [--seed 1] [--runs 20] [--workers 3]

Says what was done and whether all held: no acknowledged run lost, one terminal state each, no gap in any stream of
events, and every model the one that an undisturbed run gives. The instants are the seed's; what they hit is up to the
machine. Exit code 0: all held.
"""

import argparse
import collections
import json
import os
import random
import signal
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'e2e'))
import grpc  # noqa: E402
import harness  # noqa: E402
from harness import STUBS  # noqa: E402

EVENT = STUBS['event'][0]
RUN = STUBS['run'][0]
MODEL = STUBS['model'][0]
TERMINAL = (EVENT.RUN_STATE_SUCCEEDED, EVENT.RUN_STATE_FAILED, EVENT.RUN_STATE_CANCELLED)
PROJECTS = ('astro', 'beams', 'cells')
CALL_SECONDS = 10
# After the last fault all must have ended within this. Unit: seconds.
PATIENCE = 300

SEARCH = '''    search:
      random: {trials: 4}
      space:
        train.network.optimizer.adam.learning_rate: {log_uniform: {min: 0.001, max: 0.1}}
'''


def definitions():
    """YAML by name. All end well, and publish one model."""
    plain = harness.pipeline(epochs=60, units=32, checkpoint=0.2)
    step = '  - name: train\n'
    return {
        'plain': plain,
        'search': plain.replace(step, step + SEARCH).replace('epochs: 60', 'epochs: 10'),
        'folds': plain.replace(step, step + '    cross_validation: {k_fold: {folds: 3}}\n').replace(
            'epochs: 60', 'epochs: 10'),
    }


class LastingCluster(harness.Cluster):
    """Its clients keep their connections, as programs do, whatever becomes of the server."""

    def stubs_for(self, token):
        if not hasattr(self, 'stubs'):
            self.stubs = super().stubs_for(token)
        return self.stubs


class Chaos:

    def __init__(self, arguments):
        self.arguments = arguments
        self.random = random.Random(arguments.seed)
        self.cluster = LastingCluster()
        self.done = collections.Counter()
        self.faults_over = threading.Event()
        self.lock = threading.Lock()
        # Of runs that were acknowledged: name -> (project, definition); and all that went wrong.
        self.acknowledged = {}
        self.wrong = []
        self.expected = {}
        self.paths = {}

    def fail(self, what):
        with self.lock:
            self.wrong.append(what)
        print(f'WRONG: {what}', flush=True)

    # ---- The service ----

    def start(self):
        cluster = self.cluster
        cluster.start_server()
        for name, text in definitions().items():
            self.paths[name] = cluster.write(f'{name}.yaml', text)
        cluster.write('points.csv', harness.two_classes(rows=4000))
        for project in PROJECTS:
            cluster.cli('project', 'create', project, check=0)
        for number in range(self.arguments.workers):
            cluster.start_worker(f'w{number + 1}')
        for name, path in self.paths.items():
            run = cluster.expect_success(cluster.create_run(path, '--project', PROJECTS[0]))
            self.expected[name] = cluster.model_digest(run)
        # Uploads the data set to all; from here on clients speak gRPC.
        for project in PROJECTS:
            cluster.expect_success(cluster.create_run(self.paths['plain'], '--project', project))
        self.inputs = {project: self.dataset_of(project) for project in PROJECTS}

    def dataset_of(self, project):
        dataset_pb2 = STUBS['dataset'][0]
        request = dataset_pb2.ListDatasetsRequest(parent=f'projects/{project}')
        return next(dataset.name for dataset in
                    self.cluster.stubs['dataset'].ListDatasets(request).datasets
                    if dataset.display_name == 'points.csv')

    # ---- Clients ----

    def insist(self, call, *arguments):
        """The answer of a call, however often it must be made."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                return call(*arguments, timeout=CALL_SECONDS)
            except grpc.RpcError as error:
                if error.code() not in (grpc.StatusCode.UNAVAILABLE,
                                        grpc.StatusCode.DEADLINE_EXCEEDED,
                                        grpc.StatusCode.RESOURCE_EXHAUSTED):
                    raise
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    def client(self, number):
        """One run after the other, each watched to its end, until the faults are over."""
        project = PROJECTS[number % len(PROJECTS)]
        chance = random.Random(self.arguments.seed * 1000 + number)
        count = 0
        try:
            while not self.faults_over.is_set():
                count += 1
                name = chance.choice(sorted(self.paths))
                with open(self.paths[name], encoding='utf-8') as file:
                    text = file.read()
                request = RUN.CreateRunRequest(
                    parent=f'projects/{project}', request_id=f'client-{number}-{count}', fresh=True,
                    source=STUBS['pipeline'][0].DefinitionSource(yaml=text),
                    inputs={'points': self.inputs[project]})
                run = self.insist(self.cluster.stubs['run'].CreateRun, request).name
                with self.lock:
                    if run in self.acknowledged:
                        self.wrong.append(f'{run} was the answer to two requests')
                    self.acknowledged[run] = (project, name)
                again = self.insist(self.cluster.stubs['run'].CreateRun, request).name
                if again != run:
                    self.fail(f'one request made {run} and {again}')
                self.watch(run, name)
        except Exception as error:  # pylint: disable=broad-except
            self.fail(f'client {number}: {error}')

    def watch(self, run, name):
        events = []
        deadline = None
        while not (events and events[-1].run_state.state in TERMINAL):
            try:
                request = RUN.WatchRunRequest(name=run, after_sequence=len(events))
                for event in self.cluster.stubs['run'].WatchRun(request, timeout=30):
                    if event.sequence != len(events) + 1:
                        self.fail(f'{run}: event {event.sequence} in the place of {len(events) + 1}')
                        return
                    events.append(event)
            except grpc.RpcError as error:
                if error.code() not in (grpc.StatusCode.UNAVAILABLE,
                                        grpc.StatusCode.DEADLINE_EXCEEDED,
                                        grpc.StatusCode.RESOURCE_EXHAUSTED):
                    raise
                time.sleep(0.1)
            if self.faults_over.is_set():
                deadline = deadline or time.monotonic() + PATIENCE
                if time.monotonic() > deadline:
                    self.fail(f'{run} does not end')
                    return
        self.check_events(run, events)
        self.check_model(run, name)

    def check_events(self, run, events):
        ends = sum(event.run_state.state in TERMINAL for event in events)
        if ends != 1:
            self.fail(f'{run} has {ends} terminal states')
        ended = set()
        for event in events:
            task = (event.step, event.task)
            if event.step and task in ended and not event.HasField('trial_ended'):
                self.fail(f'{run}: event {event.sequence} of {task} comes after its end')
            if event.task_state.state in (EVENT.TASK_STATE_SUCCEEDED, EVENT.TASK_STATE_FAILED,
                                          EVENT.TASK_STATE_CANCELLED):
                ended.add(task)

    def check_model(self, run, name):
        answer = self.insist(self.cluster.stubs['run'].GetRun, RUN.GetRunRequest(name=run))
        if answer.state != EVENT.RUN_STATE_SUCCEEDED:
            self.fail(f'{run} ({name}) did not succeed: {answer.failure}')
            return
        model = self.insist(self.cluster.stubs['model'].GetModel,
                            MODEL.GetModelRequest(name=answer.models[0]))
        if model.file.digest != self.expected[name]:
            self.fail(f'{run} ({name}) has model {model.file.digest}, not {self.expected[name]}')

    # ---- Faults ----

    def kill_server(self):
        self.cluster.server.kill()
        time.sleep(self.random.choice((0, 0, 0.2, 2)))
        self.cluster.start_server()

    def kill_worker(self):
        name = self.random.choice(sorted(self.cluster.workers))
        self.cluster.workers[name].kill()
        time.sleep(self.random.choice((0, 0.2, 1)))
        self.cluster.start_worker(name)

    def any_task(self):
        pids = [pid for worker in self.cluster.workers.values()
                for pid in self.cluster.task_pids(worker)]
        return self.random.choice(pids) if pids else None

    def kill_task(self):
        pid = self.any_task()
        if pid is None:
            return False
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return False
        return True

    def stop(self, pid, seconds):
        try:
            os.kill(pid, signal.SIGSTOP)
            time.sleep(seconds)
            os.kill(pid, signal.SIGCONT)
        except ProcessLookupError:
            return False
        return True

    def stop_server(self):
        return self.stop(self.cluster.server.pid, self.random.choice((0.05, 0.5, 3)))

    def stop_worker(self):
        worker = self.cluster.workers[self.random.choice(sorted(self.cluster.workers))]
        # Now and then longer than a lease.
        return self.stop(worker.pid, self.random.choice((0.05, 0.5, 0.5, 3, 12)))

    def stop_task(self):
        pid = self.any_task()
        return pid is not None and self.stop(pid, self.random.choice((0.05, 0.5, 2)))

    def make_trouble(self):
        kinds = (self.kill_server, self.kill_worker, self.kill_task, self.kill_task,
                 self.stop_server, self.stop_worker, self.stop_task)
        while sum(count for kind, count in self.done.items()
                  if kind.startswith('kill')) < self.arguments.kills:
            time.sleep(self.random.expovariate(1 / self.arguments.pause))
            kind = self.random.choice(kinds)
            if kind() is not False:
                self.done[kind.__name__] += 1
                kills = sum(count for name, count in self.done.items() if name.startswith('kill'))
                if kind.__name__.startswith('kill') and kills % 50 == 0:
                    print(f'{kills} kills, {len(self.acknowledged)} runs', flush=True)

    # ---- The verdict ----

    def check_lists(self):
        for project in PROJECTS:
            listed = set()
            token = ''
            while True:
                page = self.insist(self.cluster.stubs['run'].ListRuns, RUN.ListRunsRequest(
                    parent=f'projects/{project}', page_size=1000, page_token=token))
                listed.update(run.name for run in page.runs)
                token = page.next_page_token
                if not token:
                    break
            mine = {run for run, (owner, _) in self.acknowledged.items() if owner == project}
            for run in mine - listed:
                self.fail(f'{run} was acknowledged and is lost')
            before = 1 + (len(self.paths) if project == PROJECTS[0] else 0)
            if len(listed) != len(mine) + before:
                self.fail(f'{project} has {len(listed)} runs; {len(mine) + before} were asked for')

    def run(self):
        try:
            self.start()
            clients = [threading.Thread(target=self.client, args=(number,))
                       for number in range(self.arguments.runs)]
            for client in clients:
                client.start()
            try:
                self.make_trouble()
            finally:
                self.faults_over.set()
            for client in clients:
                client.join()
            self.check_lists()
            if self.wrong:
                print(self.cluster.log_ends())
        finally:
            self.cluster.stop()
        kills = sum(count for kind, count in self.done.items() if kind.startswith('kill'))
        print(json.dumps({'kills': kills, 'faults': dict(self.done), 'runs': len(self.acknowledged),
                          'wrong': self.wrong, 'holds': not self.wrong}))
        return 1 if self.wrong else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--kills', type=int, default=40)
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--runs', type=int, default=20, help='runs that go on at the same time')
    parser.add_argument('--workers', type=int, default=3)
    parser.add_argument('--pause', type=float, default=0.5,
                        help='mean time between two faults, in seconds')
    sys.exit(Chaos(parser.parse_args()).run())


if __name__ == '__main__':
    main()
