"""Command steps: what a program is given and what it leaves, who may run one, what it cannot do."""

import json
import os
import tarfile
import time
import unittest

import grpc

import harness
from harness import STUBS, wait_for
from programs import EVENT, FAILED, RUN, ProgramTest

PROJECT = STUBS['project'][0]


class ContractTest(ProgramTest):

    def test_what_a_program_is_given(self):
        self.cluster.write('points.csv', 'x,n,name\n0.1,9007199254740993,"a, ""b"""\n-1e-300,,c\n')
        self.inputs = {'inputs': {'points': {'file': 'points.csv'}}, 'seed': 7}
        _, logs = self.succeed('''
            import csv, json, os, sys
            parameters = json.load(open('parameters.json'))
            print(json.dumps([parameters['numbers'], parameters['texts'], parameters['seed'],
                              parameters['threads'], parameters['memory_bytes'] >> 20]))
            print(json.dumps(list(csv.reader(open('inputs/points.csv')))))
            print(json.dumps([sys.argv[1:] == [os.getcwd() + '/x', '$HOME; `id`'],
                              os.environ['OMP_NUM_THREADS'], 'BEAMLINE_CONFIG' in os.environ]))
            ''', program={'arguments': ['python3', 'main.py', '{work}/x', '$HOME; `id`'],
                          'numbers': {'depth': 3, 'rate': 0.1}, 'texts': {'kind': 'ä "b"\n'}},
            command={'inputs': ['points']}, resources={'cpus': 2, 'memory_bytes': '512 MiB'})
        self.assertEqual([json.loads(line) for line in logs], [
            [{'depth': 3, 'rate': 0.1}, {'kind': 'ä "b"\n'}, 7, 2, 512],
            [['x', 'n', 'name'], ['0.1', '9007199254740993', 'a, "b"'], ['-1e-300', '', 'c']],
            [True, '2', False]])

    def test_what_a_program_says_and_leaves(self):
        run, _ = self.succeed('''
            import os
            with open('metrics.jsonl', 'a') as words:
                for line in ['{"metric": "loss", "value": 0.5, "step": 1}', '{"progress": 0.25}',
                             'no JSON', '{"metric": "loss", "value": NaN}',
                             '{"metric": "loss", "value": 0.125, "step": 2, "epoch": 1}']:
                    print(line, file=words, flush=True)
            os.makedirs('model/deep')
            open('model/deep/weights', 'w').write('numbers')
            open('model/tool', 'w').write('#!')
            os.chmod('model/tool', 0o700)
            ''')
        events = self.cluster.events(run.name)
        self.assertEqual([(e.metric.name, e.metric.value, e.metric.step, e.metric.epoch)
                          for e in events if e.HasField('metric')],
                         [('loss', 0.5, 1, 0), ('loss', 0.125, 2, 1)])
        self.assertIn(0.25, [e.progress.step / e.progress.total_steps for e in events
                             if e.progress.total_steps])
        self.assertEqual(len([e for e in events if 'not understood' in e.log.text]), 2)
        result = self.task(run).result
        self.assertEqual(dict(result.metrics), {'loss': 0.125})
        blob = result.artifacts['model'].digest
        (path,) = [os.path.join(folder, name)
                   for folder, _, names in os.walk(self.cluster.path('server', 'blobs'))
                   for name in names if blob.endswith(name) or name == blob]
        with tarfile.open(path) as archive:
            self.assertEqual([(member.name, member.mode) for member in archive],
                             [('beamline.card.json', 0o644), ('model/deep/weights', 0o644),
                              ('model/tool', 0o755)])
            self.assertEqual(archive.extractfile('model/deep/weights').read(), b'numbers')

    def test_what_it_leaves_can_be_published_and_read_by_others(self):
        program = {'arguments': ['python3', 'main.py'], 'numbers': {'x': 0.5}}
        write = {**program, 'files': {'main.py': {'text': 'open("model/x", "w").write("made")'}}}
        definition = {'name': 'made', 'steps': [
            {'name': 'make', 'command': {'program': write}},
            {'name': 'publish', 'publish': {'model': 'make', 'name': 'made'}}]}
        path = self.cluster.write('made.json', json.dumps(definition))
        self.cluster.expect_success(self.cluster.create_run(path))
        output = self.cluster.path('made.tar')
        self.cluster.cli('model', 'download', 'made', '--output', output, check=0)
        with tarfile.open(output) as archive:
            self.assertEqual(archive.extractfile('model/x').read(), b'made')
        self.cluster.cli('model', 'show', 'made', check=0)
        refused = self.cluster.cli('model', 'predict', 'made', '--row', '{"x": 1}')
        self.assertIn('program', refused.err)

    def test_what_it_says_is_heard_while_it_runs(self):
        name = self.start('''
            import time
            with open('metrics.jsonl', 'a') as words:
                print('{"metric": "loss", "value": 1}', file=words, flush=True)
            time.sleep(600)
            ''')
        self.cluster.wait_for_event(name, lambda event: event.HasField('metric'), 'it was heard')
        self.assertEqual(self.cluster.run(name).state, EVENT.RUN_STATE_RUNNING)
        started = time.monotonic()
        self.cluster.cli('run', 'cancel', name, check=0)
        self.assertEqual(self.cluster.wait_for_end(name).state, EVENT.RUN_STATE_CANCELLED)
        self.assertLess(time.monotonic() - started, 5 * harness.TIME_FACTOR)

    def test_failures_say_what_the_program_said_last(self):
        run, _ = self.expect_failure('raise ValueError("no such column: z")', 'USER',
                           'the program ended with exit code 1')
        self.assertIn('ValueError: no such column: z', run.failure.message)
        self.assertEqual(self.task(run).attempt, 1, 'the same again gives the same')
        self.expect_failure('import os; os.abort()', 'USER', 'SIGABRT')
        self.expect_failure('', 'USER', 'cannot start no-such-program', program={'arguments': ['no-such-program']})

    def test_a_time_limit_ends_it(self):
        self.expect_failure('import time; time.sleep(600)', 'TIMEOUT', 'limit of 1 s', timeout_seconds=1)

    def test_only_projects_that_may(self):
        path = self.write_pipeline('print("hello")')
        self.cluster.cli('user', 'create', 'ada', check=0)
        token = self.cluster.cli('token', 'create', '--user', 'ada', '--json', check=0).json()
        self.cluster.write_config('ada', token['secret'])
        self.cluster.cli('project', 'create', 'lab', user='ada', check=0)
        refused = self.cluster.cli('run', 'create', path, '--project', 'lab', user='ada')
        self.assertNotEqual(refused.code, 0)
        self.assertIn('beamline project set lab --programs allow', refused.err)
        refused = self.cluster.cli('project', 'set', 'lab', '--programs', 'allow', user='ada')
        self.assertNotEqual(refused.code, 0, 'an admin of a project is no operator')
        request = PROJECT.CreateProjectRequest(project_id='lab2',
                                               project=PROJECT.Project(commands_allowed=True))
        self.assert_code(grpc.StatusCode.INVALID_ARGUMENT,
                         self.cluster.stubs_for(token['secret'])['project'].CreateProject, request)
        self.cluster.cli('project', 'set', 'lab', '--programs', 'allow', check=0)
        self.assertIn('own programs', self.cluster.cli('project', 'show', 'lab', check=0).out)
        name = self.cluster.cli('run', 'create', path, '--project', 'lab', '--name-only', user='ada',
                                check=0).out.strip()
        self.cluster.expect_success(name)

    def test_it_is_asked_again_when_an_attempt_is_made(self):
        first = self.start('import time; time.sleep(600)', resources={'cpus': 2})
        self.cluster.wait_for_event(first, lambda event: event.HasField('progress') or event.HasField('log'),
                                    'it ran')
        second = self.start('print("hello")', resources={'cpus': 2})
        self.cluster.cli('project', 'set', 'default', '--programs', 'deny', check=0)
        try:
            self.cluster.cli('run', 'cancel', first, check=0)
            run = self.cluster.wait_for_end(second)
            self.assertEqual(run.state, FAILED)
            self.assertIn('may not', run.failure.message)
        finally:
            self.cluster.cli('project', 'set', 'default', '--programs', 'allow', check=0)

    def test_the_script_is_part_of_the_definition(self):
        self.cluster.write('script.py', 'print("first")')
        text = ('name: script\nsteps:\n  - name: work\n    command:\n      program:\n'
                '        arguments: [python3, script.py]\n'
                '        files: {script.py: {file: script.py}}\n')
        path = self.cluster.write('script.yaml', text)
        self.cluster.expect_success(self.cluster.create_run(path))
        self.cluster.write('script.py', 'print("second")')
        run = self.cluster.expect_success(self.cluster.create_run(path))
        self.assertEqual(run.pipeline_version, 2)
        shown = self.cluster.cli('pipeline', 'show', 'script', '--version', '1', check=0).out
        self.assertIn('first', shown)
        os.remove(self.cluster.path('script.py'))
        refused = self.cluster.cli('run', 'create', path)
        self.assertIn('steps.work.command.program.files.script.py', refused.err)

    def test_bad_definitions(self):
        self.cluster.write('large', 'x' * (1 << 20))
        for program, text in (
                ({'arguments': []}, 'arguments'),
                ({'files': {'../x': {'text': ''}}}, "without '/'"),
                ({'files': {'model': {'text': ''}}}, "this name is the service's"),
                ({'files': {'x': {}}}, 'give one of them'),
                ({'files': {'x': {'file': 'large'}, 'y': {'text': 'y'}}}, 'at most 1 MiB'),
                ({'image': 'sha256:00'}, 'no digest of an image')):
            path = self.write_pipeline('', program=program)
            refused = self.cluster.cli('run', 'create', path)
            self.assertNotEqual(refused.code, 0, program)
            self.assertIn(text, refused.err)


class BreakOutTest(ProgramTest):

    def test_walls(self):
        secret = self.cluster.write('secret', 'nobody may read this')
        _, logs = self.succeed(f'''
            import ctypes, os, socket, sys
            def door(name, body):
                try:
                    body()
                    print('open:', name)
                except OSError as error:
                    pass
            for family in (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX, socket.AF_NETLINK):
                door(f'socket {{family}}', lambda: socket.socket(family, socket.SOCK_DGRAM))
            door('secret', lambda: open({secret!r}).read())
            door('server', lambda: open({self.cluster.path("server", "beamline.db")!r}, 'rb').read(1))
            door('server folder', lambda: os.listdir({self.cluster.path("server")!r}))
            door('keys', lambda: os.listdir({self.cluster.path("w1", "tls")!r}))
            door('others', lambda: os.listdir('../..'))
            door('task', lambda: os.listdir('..'))
            door('users', lambda: open('/etc/passwd').read())
            door('home', lambda: os.listdir('/root'))
            door('write beside', lambda: open('../beside', 'w'))
            door('write to /tmp', lambda: open('/tmp/beamline-escape', 'w'))
            door('write to /usr', lambda: open('/usr/escape', 'w'))
            door('write by a link', lambda: (os.symlink('/tmp', 'link'), open('link/escape', 'w')))
            door('settings', lambda: open('/proc/sys/kernel/core_pattern', 'w'))
            door('link in', lambda: os.link({secret!r}, 'linked'))
            door('parent', lambda: os.kill(os.getppid(), 9) if os.getppid() > 1 else os.kill({self.cluster.workers["w1"].pid}, 0))
            door('worker', lambda: os.kill({self.cluster.workers["w1"].pid}, 9))
            door('session', os.setsid)
            def child_leaves():
                pid = os.fork()
                if pid == 0:
                    try:
                        os.setpgid(0, 0)
                    except OSError:
                        os._exit(1)
                    os._exit(0)
                if os.waitpid(pid, 0)[1] != 0:
                    raise OSError('refused')
            door('group', child_leaves)
            door('root', lambda: os.chroot('.'))
            door('device', lambda: os.mknod('disk', 0o60600, os.makedev(254, 0)))
            libc = ctypes.CDLL(None, use_errno=True)
            def call(name, *arguments):
                def body():
                    if getattr(libc, name)(*arguments) < 0:
                        raise OSError(ctypes.get_errno(), name)
                return body
            door('ptrace', call('ptrace', 16, os.getppid(), 0, 0))
            door('unshare', call('unshare', 0x10000000))
            door('mount', call('mount', b'none', b'tmp', b'tmpfs', 0, None))
            door('clone', lambda: call('syscall', 56, 0x10000000 | 17, 0, 0, 0, 0)())
            door('memory of the task', lambda: open(f'/proc/{{os.getppid()}}/mem', 'rb'))
            door('files of the task', lambda: os.readlink(f'/proc/{{os.getppid()}}/fd/0'))
            print('files:', sorted(os.listdir('/proc/self/fd')))
            print('core:', __import__('resource').getrlimit(4))
            ''')
        self.assertEqual([line for line in logs if line.startswith('open')], [])
        # 3: the listing itself.
        self.assertIn("files: ['0', '1', '2', '3']", logs)
        self.assertIn('core: (0, 0)', logs)
        self.assertTrue(self.cluster.workers['w1'].alive())
        self.assertFalse(os.path.exists('/tmp/beamline-escape'))
        self.assertFalse(os.path.exists('/tmp/escape'))

    def test_it_may_start_others_which_are_no_freer(self):
        _, logs = self.succeed('''
            import subprocess
            print(subprocess.run(['/bin/sh', '-c', 'echo hello from $0; cat /etc/passwd'],
                                 capture_output=True, text=True).stdout.strip())
            ''')
        self.assertEqual(logs, ['hello from /bin/sh'])

    def test_memory(self):
        self.expect_failure('''
            blocks = []
            while True:
                blocks.append(bytearray(b"x") * (16 << 20))
            ''', 'OUT_OF_MEMORY', 'more memory than the 256 MiB', retry={'max_attempts': 1},
                  resources={'memory_bytes': '256 MiB'})

    def test_memory_of_all_its_processes(self):
        self.expect_failure('''
            import os, time
            for _ in range(8):
                if os.fork() == 0:
                    block = bytearray(b"x") * (64 << 20)
                    time.sleep(600)
            time.sleep(600)
            ''', 'OUT_OF_MEMORY', 'more memory than the 256 MiB', retry={'max_attempts': 1},
                  resources={'memory_bytes': '256 MiB'})
        wait_for(lambda: not self.processes_below(), 'all processes are gone')

    def test_fork_bomb(self):
        started = time.monotonic()
        run, _ = self.finish('''
            import os, time
            end = time.monotonic() + 30  # for the sake of the machine, if nothing else ends it
            while time.monotonic() < end:
                try:
                    os.fork()
                except OSError:
                    pass
            os._exit(0)
            ''')
        self.assertEqual(run.state, FAILED)
        self.assertLess(time.monotonic() - started, 60 * harness.TIME_FACTOR)
        self.assertIn('more processes', run.failure.message)
        wait_for(lambda: not self.processes_below(), 'all processes are gone')
        self.succeed('print("the worker lives")')

    def test_deaf_and_left_behind(self):
        name = self.start('''
            import os, signal, time
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            for _ in range(3):
                if os.fork() == 0 and os.fork() == 0:
                    break
            print('ready')
            while True:
                try:
                    time.sleep(600)
                except BaseException:
                    pass
            ''')
        self.cluster.wait_for_event(name, lambda event: event.log.text == 'ready', 'it is ready')
        started = time.monotonic()
        self.cluster.cli('run', 'cancel', name, check=0)
        self.assertEqual(self.cluster.wait_for_end(name).state, EVENT.RUN_STATE_CANCELLED)
        self.assertLess(time.monotonic() - started, 8 * harness.TIME_FACTOR)
        wait_for(lambda: not self.processes_below(), 'all processes are gone', 5)

    def test_what_it_leaves_running_ends_with_it(self):
        self.succeed('''
            import os, time
            if os.fork() == 0:
                time.sleep(600)
            ''')
        wait_for(lambda: not self.processes_below(), 'all processes are gone', 5)

    def test_floods(self):
        run, logs = self.succeed('''
            import json
            for i in range(200000):
                print('line', i)
            with open('metrics.jsonl', 'a') as words:
                for i in range(400000):
                    print(json.dumps({'metric': f'm{i % 500}', 'value': i}), file=words)
            ''')
        events = self.cluster.events(run.name)
        self.assertLess(len(logs), 20000)
        self.assertTrue([e for e in events if 'lines left out' in e.log.text])
        self.assertTrue([e for e in events if 'the rest of it is not read' in e.log.text])
        self.assertEqual(len(self.task(run).result.metrics), 100)

    def test_models_that_are_not_taken(self):
        self.expect_failure('import os; os.symlink("/etc/passwd", "model/link")', 'USER', '"model/link" is a link')
        self.expect_failure('import os; os.rmdir("model"); os.symlink("/etc", "model")', 'USER', 'model')
        self.expect_failure('f = open("model/large", "wb"); f.truncate((4 << 30) + 1)', 'USER', 'more than 4096 MiB')
        self.expect_failure('open("model/" + "x" * 101, "w")', 'USER', 'too long a name')
        self.expect_failure('for i in range(10001): open(f"model/{i}", "w")', 'USER', 'more than 10000 files')


if __name__ == '__main__':
    unittest.main(verbosity=2)
