"""Walls around programs: what they cannot reach, and what libraries need that stands open."""

import os
import unittest

from harness import wait_for
from programs import CONFINEMENT, ProgramTest

READ_ONLY = 'programs in a read-only system' in CONFINEMENT


class WallsTest(ProgramTest):

    def test_what_stays_shut(self):
        secret = self.cluster.write('secret', 'nobody may read this')
        mode = os.stat(secret).st_mode & 0o777
        _, logs = self.succeed(f'''
            import ctypes, os, socket
            def door(name, body):
                try:
                    body()
                    print('open:', name)
                except OSError as error:
                    pass
            libc = ctypes.CDLL(None, use_errno=True)
            def call(name, *arguments):
                def body():
                    if getattr(libc, name)(*arguments) < 0:
                        raise OSError(ctypes.get_errno(), name)
                return body
            door('mode', lambda: os.chmod({secret!r}, 0))
            door('mode by number', call('syscall', 452, -100, {secret!r}.encode(), 0, 0))
            door('times', lambda: os.utime({secret!r}, (0, 0)))
            door('owner', lambda: os.chown({secret!r}, os.getuid(), os.getgid()))
            door('attribute', lambda: os.setxattr({secret!r}, 'user.x', b'x'))
            door('mode of a device', lambda: os.chmod('/dev/null', 0o666))
            if {READ_ONLY}:
                door('mode of the input', lambda: os.fchmod(0, 0o666))
            door('length', lambda: os.truncate({secret!r}, 0))
            door('length by opening', lambda: os.open({secret!r}, os.O_RDONLY | os.O_TRUNC))
            door('memory by descriptor', lambda: os.memfd_create('x'))
            door('watch', call('inotify_add_watch', libc.inotify_init(), {secret!r}.encode(), 2))
            door('datagrams', lambda: socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM))
            door('raw pairs', lambda: socket.socketpair(socket.AF_UNIX, socket.SOCK_RAW))
            door('queued signal', call('syscall', 297, os.getpid(), os.getpid(), 0, bytes(128)))
            print('done')
            ''')
        self.assertEqual(logs, ['done'])
        self.assertEqual(os.stat(secret).st_mode & 0o777, mode)
        with open(secret, encoding='utf-8') as file:
            self.assertEqual(file.read(), 'nobody may read this')

    def test_files_of_programs_lie_beside_the_definition(self):
        self.cluster.write('script.py', 'print("first")')
        os.makedirs(self.cluster.path('deeper'), exist_ok=True)
        os.symlink(self.cluster.path('script.py'), self.cluster.path('deeper', 'link.py'))
        for outside in ('../script.py', 'link.py', self.cluster.path('script.py'), '.'):
            path = self.cluster.write('deeper/script.yaml', f'''
name: script
steps:
  - name: work
    command:
      program:
        arguments: [python3, script.py]
        files: {{script.py: {{file: {outside}}}}}
''')
            refused = self.cluster.cli('run', 'create', path)
            self.assertNotEqual(refused.code, 0)
            self.assertIn('steps.work.command.program.files.script.py', refused.err)
            self.assertIn("outside of the definition's folder", refused.err)

    def test_what_libraries_need_works(self):
        _, logs = self.succeed('''
            import os, shutil, socket, sqlite3, subprocess, tempfile
            left, right = socket.socketpair()
            left.send(b'pair')
            print(right.recv(9).decode())
            database = sqlite3.connect('state.db')
            database.execute('create table t (x)')
            database.execute('insert into t values (7)')
            database.commit()
            print(database.execute('select x from t').fetchall())
            with tempfile.NamedTemporaryFile() as file:
                file.truncate(1 << 20)
                os.fchmod(file.fileno(), 0o640)
            shutil.copyfile('main.py', 'copy.py')
            with open('/dev/null', 'w') as file:
                print('nothing', file=file)
            print(subprocess.run('echo shell > /dev/null && cat < /dev/null && echo ok', shell=True,
                                 capture_output=True, text=True).stdout.strip())
            ''')
        self.assertEqual(logs, ['pair', '[(7,)]', 'ok'])

    @unittest.skipUnless('programs in a process namespace' in CONFINEMENT,
                         'locks between processes lie in a /dev/shm of its own')
    def test_pools_of_processes(self):
        _, logs = self.succeed('''
            import multiprocessing
            def square(x):
                return x * x
            with multiprocessing.get_context('fork').Pool(2) as pool:
                print(pool.map(square, range(4)))
            ''')
        self.assertEqual(logs, ['[0, 1, 4, 9]'])

    @unittest.skipUnless(READ_ONLY, 'modes can be set by path where all else is read-only')
    def test_modes_of_its_own_files(self):
        _, logs = self.succeed('''
            import os, shutil
            shutil.copy('main.py', 'tool')
            shutil.copytree('inputs', 'outputs/copied')
            os.chmod('tool', 0o700)
            os.utime('tool', (1, 2))
            print(oct(os.stat('tool').st_mode), os.stat('tool').st_mtime)
            ''')
        self.assertEqual(logs, ['0o100700 2.0'])

    def test_shared_memory_counts(self):
        self.expect_failure('''
            import mmap, os, time
            block = mmap.mmap(-1, 512 << 20)
            for at in range(0, len(block), 4096):
                block[at] = 1
            time.sleep(600)
            ''', 'OUT_OF_MEMORY', 'more memory than the 256 MiB', retry={'max_attempts': 1},
                  resources={'memory_bytes': '256 MiB'})

    def test_shared_memory_counts_once(self):
        self.succeed('''
            import mmap, os, time
            block = mmap.mmap(-1, 96 << 20)
            for at in range(0, len(block), 4096):
                block[at] = 1
            for _ in range(4):
                if os.fork() == 0:
                    sum(block[at] for at in range(0, len(block), 4096))
                    time.sleep(1)
                    os._exit(0)
            for _ in range(4):
                assert os.wait()[1] == 0
            ''', resources={'memory_bytes': '256 MiB'})

    def test_it_cannot_pretend_that_it_is_not_confined(self):
        self.expect_failure('''
            import sys
            print('this worker cannot confine programs (none)', file=sys.stderr)
            sys.exit(127)
            ''', 'USER', 'exit code 127')

    def test_folders_that_are_hard_to_remove(self):
        self.succeed('''
            import os
            os.makedirs('closed/inner')
            open('closed/inner/file', 'w')
            for name in ('closed/inner', 'closed'):
                os.fchmod(os.open(name, os.O_RDONLY), 0)
            for _ in range(1500):
                os.mkdir('deep')
                os.chdir('deep')
            ''')
        wait_for(lambda: not os.listdir(self.cluster.path('w1', 'work')), 'its folder is gone')


if __name__ == '__main__':
    unittest.main(verbosity=2)
