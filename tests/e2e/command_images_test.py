"""Programs in images: what they see, what they cannot reach, and on which workers they run."""

import json
import os
import textwrap
import unittest

import images
from harness import STUBS, wait_for
from images import Archive, entry, link
from programs import CONFINEMENT, FAILED, ProgramTest

CLUSTER = STUBS['cluster'][0]
EVENT = STUBS['event'][0]


@unittest.skipUnless('programs in images' in CONFINEMENT,
                     f'this machine cannot show programs an image: {CONFINEMENT}')
class ImageTest(ProgramTest):

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.image = cls.add_image(Archive(
            images.python_layer(),
            [entry('etc/marker', b'of the image', mode=0o600), entry('top', b'a file in the root'),
             entry('beamline/hidden', b''), entry('tmp/hidden', b''), entry('proc/hidden', b''),
             entry('sys/hidden', b''), entry('dev/hidden', b''), entry('var/lib/data', b'data'),
             link('home', '/var'), entry('opt/tool', b'#!/bin/python3\nprint("tool of the image")\n',
                                         mode=0o4755)],
            env=['PATH=/opt:/bin', 'OF_THE_IMAGE=yes', 'HOME=/never', 'LANG=C']))

    @classmethod
    def add_image(cls, archive, worker='w1'):
        path = archive.write(cls.cluster.path('image.tar'))
        outcome = images.command('import', path, '--images', cls.cluster.path(worker, 'images'))
        assert outcome.returncode == 0, outcome.stderr
        wait_for(lambda: archive.digest in cls.images_of(worker), 'the server knows the image')
        return archive.digest

    @classmethod
    def images_of(cls, worker):
        place = list(cls.cluster.workers).index(worker)
        workers = cls.cluster.stubs['cluster'].ListWorkers(CLUSTER.ListWorkersRequest()).workers
        return list(sorted(workers, key=lambda one: one.join_time.ToNanoseconds())[place].images)

    def run_inside(self, script, **command):
        return self.succeed(script, program={'image': self.image}, **command)

    def test_what_it_sees(self):
        host = self.cluster.write('secret', 'nobody may read this')
        self.cluster.write('points.csv', 'x\n1\n2\n')
        self.inputs = {'inputs': {'points': {'file': 'points.csv'}}}
        _, logs = self.run_inside(f'''
            import json, os, subprocess
            print(json.dumps([os.getcwd(), sorted(os.listdir('/'))]))
            print(json.dumps([sorted(os.listdir(path)) for path in
                              ('/etc', '/beamline', '/tmp', '/dev', '/sys', '/var/lib', '/home/lib')]))
            print(open('/etc/marker').read(), open('/top').read(), open('inputs/points.csv').read().split())
            print(json.dumps([os.environ.get(name) for name in
                              ('PATH', 'OF_THE_IMAGE', 'HOME', 'LANG', 'TMPDIR')]))
            print(subprocess.run(['tool'], capture_output=True, text=True).stdout.strip())
            print(os.path.exists({host!r}), os.path.exists({self.cluster.path()!r}))
            print(len([name for name in os.listdir('/proc') if name.isdigit()]), os.cpu_count() > 0)
            import tempfile
            open('/tmp/one', 'w').write('1'); tempfile.NamedTemporaryFile()
            print(os.listdir('tmp'))
            with open('/dev/null', 'w') as null: print('gone', file=null)
            print(len(open('/dev/urandom', 'rb').read(4)), len(open('/dev/zero', 'rb').read(2)))
            import multiprocessing
            print(multiprocessing.get_context('fork').Pool(2).map(abs, [-1, 2]))
            os.makedirs('model'  , exist_ok=True); open('model/x', 'w').write('made')
            ''', command={'inputs': ['points']})
        seen = ['beamline', 'bin', 'dev', 'etc', 'home', 'opt', 'proc', 'sys', 'tmp', 'top', 'usr', 'var']
        self.assertEqual(json.loads(logs[0])[0], '/beamline')
        self.assertLessEqual(set(json.loads(logs[0])[1]) - {'lib', 'lib64'}, set(seen))
        folders = json.loads(logs[1])
        self.assertEqual(folders[0], ['marker'])
        self.assertEqual(folders[1], sorted(['checkpoint', 'inputs', 'main.py', 'metrics.jsonl', 'model',
                                             'outputs', 'parameters.json', 'tmp']))
        self.assertEqual(folders[2:], [[], sorted(['fd', 'full', 'null', 'random', 'shm', 'stderr',
                                                   'stdin', 'stdout', 'urandom', 'zero']),
                                       ['devices'], ['data'], ['data']])
        self.assertEqual(logs[2], "of the image a file in the root ['x', '1', '2']")
        self.assertEqual(json.loads(logs[3]), ['/opt:/bin', 'yes', '/beamline', 'C', '/beamline/tmp'])
        self.assertEqual(logs[4:6], ['tool of the image', 'False False'])
        self.assertEqual(logs[6], '2 True')
        self.assertEqual(logs[7:], ["['one']", '4 2', '[1, 2]'])

    def test_what_stays_shut(self):
        secret = self.cluster.write('secret', 'nobody may read this')
        root = self.cluster.path('w1', 'images', self.image.replace(':', '-'), 'rootfs')
        before = sorted(os.listdir(root))
        _, logs = self.run_inside(f'''
            import ctypes, glob, os, socket
            def door(name, body):
                try:
                    body()
                    print('open:', name)
                except (OSError, ValueError):
                    pass
            libc = ctypes.CDLL(None, use_errno=True)
            def call(name, *arguments):
                def body():
                    if getattr(libc, name)(*arguments) < 0:
                        raise OSError(ctypes.get_errno(), name)
                return body
            for path in ('/', '/etc', '/usr', '/opt', '/var/lib', '/dev', '/proc', '/sys', '/sys/devices'):
                door('write in ' + path, lambda: open(path + '/new', 'w'))
                door('folder in ' + path, lambda: os.mkdir(path + '/newer'))
            for path in ('/etc/marker', '/top', '/opt/tool', '/dev/null'):
                if path != '/dev/null':
                    door('write ' + path, lambda: open(path, 'r+'))
                door('remove ' + path, lambda: os.remove(path))
                door('mode of ' + path, lambda: os.chmod(path, 0o777))
                door('owner of ' + path, lambda: os.chown(path, os.getuid(), os.getgid()))
                door('times of ' + path, lambda: os.utime(path, (0, 0)))
                door('rename ' + path, lambda: os.rename(path, '/beamline/x'))
                door('link ' + path, lambda: os.link(path, '/beamline/y'))
                door('attribute of ' + path, lambda: os.setxattr(path, 'user.x', b'x'))
            for pid in [name for name in os.listdir('/proc') if name.isdigit()]:
                if int(pid) == os.getpid():
                    continue
                for name in ('root', 'cwd', 'map_files'):
                    door(f'{{name}} of {{pid}}', lambda: os.listdir(f'/proc/{{pid}}/{{name}}'))
                for name in ('root', 'cwd', 'exe', 'ns/mnt', *[f'fd/{{number}}' for number in range(200)]):
                    door(f'link {{name}} of {{pid}}', lambda: os.readlink(f'/proc/{{pid}}/{{name}}'))
                for name in ('exe', 'fd/0', 'fd/1', 'fd/2', 'fd/100', 'environ', 'mem', 'maps', 'ns/mnt'):
                    door(f'{{name}} of {{pid}}', lambda: open(f'/proc/{{pid}}/{{name}}').read(1))
            for name in ('/proc/sys/kernel/core_pattern', '/proc/self/oom_score_adj', '/proc/sysrq-trigger',
                         '/proc/self/uid_map', '/proc/sys/kernel/pid_max', '/proc/self/attr/current'):
                door(name, lambda: open(name, 'w'))
            door('the worker', lambda: os.kill({self.cluster.workers["w1"].pid}, 0))
            door('secret', lambda: open({secret!r}))
            door('secret by dots', lambda: open('../../../../../../../..' + {secret!r}))
            door('secret by the root of 1', lambda: open('/proc/1/root' + {secret!r}))
            door('secret by the own root', lambda: open('/proc/self/root' + {secret!r}))
            door('secret by a link', lambda: (os.symlink({secret!r}, 'link'), open('link')))
            door('chroot', lambda: os.chroot('/beamline'))
            for number in (155, 428, 429, 430, 432, 442, 165, 166, 308, 304, 303):
                door(f'call {{number}}', call('syscall', number, -100, b'/', -100, b'/beamline', 0))
            door('namespaces', call('unshare', 0x10020000))
            door('clone', call('syscall', 56, 0x10000000 | 17, 0, 0, 0, 0))
            door('device', lambda: os.mknod('disk', 0o60600, os.makedev(254, 0)))
            door('character device', lambda: os.mknod('kmsg', 0o20600, os.makedev(1, 11)))
            door('socket', lambda: socket.socket(socket.AF_UNIX))
            door('setuid', lambda: os.setuid(0) if os.getuid() != 0 else os.setuid(1))
            door('ptrace', call('ptrace', 16, 1, 0, 0))
            door('remount', call('mount', None, b'/', None, 32 | 4096, None))
            # Nothing of the machine's is mounted but what is told.
            for line in open('/proc/self/mountinfo'):
                place, options = line.split()[4], line.split()[5].split(',')
                if 'nosuid' not in options:
                    print('open: suid', line)
                if place not in ('/beamline', '/dev/shm') and 'ro' not in options:
                    print('open: writable', line)
                if not place.startswith('/dev/') and 'nodev' not in options:
                    print('open: devices', line)
            print(sorted(line.split()[4] for line in open('/proc/self/mountinfo')
                         if line.split()[4].startswith(('/dev', '/proc', '/sys', '/beamline'))))
            print(sorted(os.listdir('/proc/self/fd')))
            print('done')
            ''')
        self.assertEqual([line for line in logs if line.startswith('open')], [])
        self.assertEqual(logs[-3], str(['/beamline', '/dev/full', '/dev/null', '/dev/random', '/dev/shm',
                                        '/dev/urandom', '/dev/zero', '/proc', '/sys/devices/system']))
        self.assertEqual(logs[-2:], ["['0', '1', '2', '3']", 'done'])
        self.assertEqual(sorted(os.listdir(root)), before)
        with open(os.path.join(root, 'etc', 'marker'), encoding='utf-8') as file:
            self.assertEqual(file.read(), 'of the image')
        self.assertEqual(os.stat(secret).st_nlink, 1)

    def test_bounds_hold_there_too(self):
        self.expect_failure('''
            blocks = []
            while True:
                blocks.append(bytearray(b"x") * (16 << 20))
            ''', 'OUT_OF_MEMORY', 'more memory than the 256 MiB', retry={'max_attempts': 1},
                            resources={'memory_bytes': '256 MiB'}, program={'image': self.image})
        run, _ = self.finish('''
            import os, time
            end = time.monotonic() + 30
            while time.monotonic() < end:
                try:
                    os.fork()
                except OSError:
                    pass
            os._exit(0)
            ''', program={'image': self.image})
        self.assertEqual(run.state, FAILED)
        self.assertIn('more processes', run.failure.message)
        self.expect_failure('', 'USER', 'cannot start no-such-program',
                            program={'image': self.image, 'arguments': ['no-such-program']})
        self.expect_failure('', 'USER', 'cannot start /usr/bin/python3',
                            program={'image': self.image, 'arguments': ['/usr/bin/python3']})

    def test_an_image_that_deceives(self):
        image = self.add_image(Archive(
            images.python_layer(),
            [link('etc', '/proc/1/root/etc'), link('escape', '../../../../../..'), link('dev', '/'),
             link('proc', '/etc'), link('beamline', '/etc'), link('tmp', '/etc'), link('sys', '/')]))
        _, logs = self.succeed('''
            import os
            print(os.path.exists('/etc/passwd'), sorted(os.listdir('/escape')) == sorted(os.listdir('/')))
            print(os.path.islink('/dev'), os.path.islink('/beamline'), os.listdir('/tmp'), os.getcwd())
            ''', program={'image': image})
        self.assertEqual(logs, ['False True', 'False False [] /beamline'])

    def test_a_learner_in_an_image(self):
        rows = 'x,label\n' + ''.join(f'{i % 10},{"yes" if i % 10 > 4 else "no"}\n' for i in range(200))
        self.cluster.write('rows.csv', rows)
        script = textwrap.dedent('''
            import csv, os, sys
            assert os.path.exists('/etc/marker')
            if sys.argv[1] == 'train':
                open('model/threshold', 'w').write('0.5')
            else:
                rows = list(csv.DictReader(open('rows.csv')))
                middle = sum(float(row['x']) for row in rows) / len(rows)
                with open('predictions.csv', 'w') as file:
                    print('no,yes', file=file)
                    for row in rows:
                        print('0.1,0.9' if float(row['x']) > middle else '0.9,0.1', file=file)
            ''')
        program = {'arguments': ['python3', 'main.py'], 'files': {'main.py': {'text': script}},
                   'image': self.image}
        path = self.cluster.write('learner.json', json.dumps({
            'name': 'learner', 'inputs': {'rows': {'file': 'rows.csv'}}, 'steps': [
                {'name': 'train', 'train': {
                    'data': {'input': 'rows', 'target': 'label',
                             'split': {'stratified': {'validation': 0.2, 'test': 0.2}}},
                    'command': {'program': program}}},
                {'name': 'measure', 'evaluate': {'model': 'train'}}]}))
        self.cluster.expect_success(self.cluster.create_run(path))

    def test_only_workers_that_have_it(self):
        self.cluster.start_worker('w2', 2)
        self.addCleanup(self.cluster.workers.pop, 'w2')
        self.addCleanup(self.cluster.workers['w2'].terminate)
        for _ in range(3):
            run, _ = self.run_inside('print("hello")', resources={'cpus': 1.5})
        task = self.task(run)
        workers = {list(worker.images) != []: worker.name for worker in
                   self.cluster.stubs['cluster'].ListWorkers(CLUSTER.ListWorkersRequest()).workers}
        self.assertEqual(task.worker, workers[True])
        # While w1 is full it waits, although w2 has room.
        first = self.start('import time; time.sleep(600)', resources={'cpus': 2},
                           program={'image': self.image})
        self.cluster.wait_for_event(first, lambda event: event.HasField('log'), 'it runs')
        second = self.start('print("second")', program={'image': self.image})
        self.succeed('print("elsewhere")')
        self.assertEqual(self.cluster.run(second).state, EVENT.RUN_STATE_QUEUED)
        self.cluster.cli('run', 'cancel', first, check=0)
        self.cluster.expect_success(second)

    def test_what_no_worker_has_is_refused(self):
        missing = 'sha256:' + '0' * 64
        for image, resources, text in (
                (missing, {}, f'needs {missing}, which no worker has; there are '),
                (self.image, {'pool': 'elsewhere'}, f'no worker of pool elsewhere has image {self.image}'),
                ('debian:12', {}, 'is no digest of an image'),
                (self.image.upper(), {}, 'is no digest of an image')):
            path = self.write_pipeline('', program={'image': image}, resources=resources)
            refused = self.cluster.cli('run', 'create', path)
            self.assertNotEqual(refused.code, 0)
            self.assertIn(text, refused.err)
        self.assertIn('steps.work.command.program.image', refused.err)

    def test_an_image_that_went_away(self):
        image = self.add_image(Archive(images.python_layer(), [entry('etc/other', b'')]))
        held = self.start('import time; time.sleep(600)', resources={'cpus': 2})
        self.cluster.wait_for_event(held, lambda event: event.HasField('log'), 'it runs')
        name = self.start('print("hello")', program={'image': image})
        outcome = images.command('remove', image, '--images', self.cluster.path('w1', 'images'))
        self.assertEqual(outcome.returncode, 0, outcome.stderr)
        wait_for(lambda: image not in self.images_of('w1'), 'the server knows that it is gone')
        self.cluster.cli('run', 'cancel', held, check=0)
        self.succeed('print("others run")')
        self.assertEqual(self.cluster.run(name).state, EVENT.RUN_STATE_QUEUED)
        self.cluster.cli('run', 'cancel', name, check=0)


if __name__ == '__main__':
    unittest.main(verbosity=2)
