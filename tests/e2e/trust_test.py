"""Identities and the audit with real processes: limited tokens, renewed certificates, a chain that
tells when somebody has been at the database."""

import collections
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import time
import unittest

import grpc

import harness
from harness import STUBS, wait_for
from programs import ProgramTest

# Of the workers' certificates. Unit: seconds.
LIFE = 12


def beamlined(*arguments):
    return subprocess.run([harness.program('beamlined'), *arguments], text=True, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=60 * harness.TIME_FACTOR)


class IdentityTest(harness.ClusterTest):

    def token(self, name, *flags, user='admin'):
        """A token for the user of that name, and a config that has it."""
        secret = self.cluster.cli('token', 'create', *flags, user=user, check=0).out.strip()
        self.cluster.write_config(name, secret)
        return secret

    def test_a_limited_token_does_what_it_says_and_no_more(self):
        self.token('reader', '--project', 'default', '--role', 'viewer', '--expires', '30d')
        who = self.cluster.cli('whoami', user='reader', check=0).out
        self.assertIn('the token is limited: viewer at most in default', who)
        self.cluster.cli('run', 'list', user='reader', check=0)
        self.cluster.cli('user', 'create', 'other', user='reader', check=5)
        self.cluster.cli('project', 'create', 'other', user='reader', check=5)
        path = self.cluster.write('l.csv', harness.two_classes(rows=30))
        self.cluster.cli('dataset', 'upload', path, user='reader', check=5)
        wider = self.cluster.cli('token', 'create', user='reader')
        self.assertEqual(wider.code, 5, wider.err)
        self.assertIn('your token is limited', wider.err)
        longer = self.cluster.cli('token', 'create', '--project', 'default', '--role', 'viewer',
                                  user='reader')
        self.assertEqual(longer.code, 5, longer.err)
        self.token('narrower', '--project', 'default', '--role', 'viewer', '--expires', '1d',
                   user='reader')
        self.cluster.cli('run', 'list', user='narrower', check=0)

    def test_a_disabled_user_is_out_at_once_and_in_again(self):
        self.cluster.cli('user', 'create', 'leaver', check=0)
        self.token('leaver', '--user', 'leaver')
        self.cluster.cli('whoami', user='leaver', check=0)
        self.cluster.cli('user', 'disable', 'leaver', check=0)
        refused = self.cluster.cli('whoami', user='leaver')
        self.assertEqual(refused.code, 5, refused.err)
        self.assertIn('is disabled', refused.err)
        self.cluster.cli('user', 'enable', 'leaver', check=0)
        self.cluster.cli('whoami', user='leaver', check=0)
        last = self.cluster.cli('user', 'disable', 'admin')
        self.assertEqual(last.code, 3, last.err)

    def test_a_service_account_makes_no_tokens(self):
        self.cluster.cli('user', 'create', 'robot', '--service', check=0)
        self.token('robot', '--user', 'robot', '--expires', '1h')
        self.cluster.cli('whoami', user='robot', check=0)
        self.cluster.cli('token', 'create', user='robot', check=5)

    def test_tokens_are_rotated_without_a_gap(self):
        old = self.token('old')
        self.token('new')
        for _ in range(2):
            self.cluster.cli('whoami', user='old', check=0)
            self.cluster.cli('whoami', user='new', check=0)
        name = f'users/admin/tokens/{old[3:19]}'
        self.cluster.cli('token', 'revoke', name, user='new', check=0)
        self.cluster.cli('whoami', user='old', check=5)
        self.cluster.cli('whoami', user='new', check=0)

    def test_secrets_are_in_no_log_and_no_command_line(self):
        secret = self.token('quiet')
        self.cluster.cli('whoami', user='quiet', check=0)
        self.cluster.write_config('wrong', secret[:-4] + '0000')
        self.cluster.cli('whoami', user='wrong', check=5)
        with open(self.cluster.path('join-token'), encoding='ascii') as file:
            join = file.read().strip()
        texts = {'logs': self.cluster.log_ends(10**7)}
        for process in (self.cluster.server, *self.cluster.workers.values()):
            with open(f'/proc/{process.pid}/cmdline', encoding='utf-8') as file:
                texts[f'command line of {process.pid}'] = file.read()
        for what, text in texts.items():
            for token in (secret, self.cluster.token, join):
                self.assertNotIn(token[20:], text, what)
        for process in (self.cluster.server, *self.cluster.workers.values()):
            with open(f'/proc/{process.pid}/limits', encoding='utf-8') as file:
                core = next(line for line in file if line.startswith('Max core file size'))
            self.assertEqual(core.split()[4:6], ['0', '0'])


class AuditTest(unittest.TestCase):

    def setUp(self):
        self.cluster = harness.Cluster()
        self.addCleanup(self.cluster.stop)
        self.cluster.start_server()

    def verify(self, state, *flags):
        return beamlined('audit', 'verify', '--state', state, *flags)

    def tampered(self, name, statement):
        """A copy of the state of the stopped server, after somebody was at its database."""
        copy = self.cluster.path(name)
        shutil.copytree(self.cluster.path('server'), copy)
        with sqlite3.connect(os.path.join(copy, 'beamline.db')) as database:
            for trigger in ('audit_keeps', 'audit_stays'):
                database.execute(f'DROP TRIGGER {trigger}')
            database.execute(statement)
        database.close()
        return copy

    def test_who_did_what(self):
        self.cluster.cli('project', 'create', 'optics', check=0)
        self.cluster.cli('user', 'create', 'ada', check=0)
        self.cluster.cli('project', 'add-member', 'ada', '--role', 'admin', '--project', 'optics',
                         check=0)
        token = self.cluster.cli('token', 'create', '--user', 'ada', check=0).out.strip()
        self.cluster.write_config('ada', token)
        self.cluster.cli('user', 'create', 'eve', user='ada', check=5)
        entries = self.cluster.cli('audit', 'list', '--json', check=0).lines()
        self.assertEqual(entries[0]['method'], 'AuthService.CreateUser')
        self.assertEqual(entries[0]['principal'], 'users/ada')
        self.assertEqual(entries[0]['code'], 7)
        self.assertEqual(entries[0]['summary'], 'user_id=eve')
        table = self.cluster.cli('audit', 'list', '--by', 'ada', check=0).out
        self.assertIn('PERMISSION_DENIED', table)
        self.assertNotIn('users/admin', table)
        own = self.cluster.cli('audit', 'list', '--project', 'optics', '--json', user='ada',
                               check=0).lines()
        self.assertEqual({entry['method'] for entry in own},
                         {'ProjectService.CreateProject', 'ProjectService.SetMember'})
        self.cluster.cli('audit', 'list', user='ada', check=5)
        none = self.cluster.cli('audit', 'list', '--json', '--since', '2100-01-01T00:00:00Z',
                                check=0).out
        self.assertEqual(none, '')

    def test_the_chain_tells_what_was_done_to_it(self):
        for name in ('a', 'b', 'c'):
            self.cluster.cli('project', 'create', name, check=0)
        report = self.cluster.cli('audit', 'verify', check=0).out
        count = int(report.split()[0])
        head = re.search(r'head ([0-9a-f]{64})', report).group(1)
        self.assertGreater(count, 3)
        self.cluster.cli('project', 'create', 'd', check=0)
        self.cluster.cli('audit', 'verify', '--head', head, check=0)
        wrong = self.cluster.cli('audit', 'verify', '--head', 'f' * 64)
        self.assertNotEqual(wrong.code, 0)
        self.assertIn('no entry has the hash', wrong.err)
        # Also beside a server that runs, and of a backup.
        state = self.cluster.path('server')
        self.assertEqual(self.verify(state, '--head', head).returncode, 0)
        backup = self.cluster.path('backup')
        self.assertEqual(beamlined('backup', '--state', state, '--to', backup).returncode, 0)
        self.assertEqual(self.verify(backup, '--head', head).returncode, 0)
        self.cluster.server.terminate()
        with open(self.cluster.server.log, encoding='utf-8') as file:
            logged = re.findall(r'audit: (\d+) entries, head ([0-9a-f]{64})', file.read())
        self.assertEqual(int(logged[-1][0]), count + 1)
        self.assertEqual(self.verify(state, '--head', logged[-1][1]).returncode, 0)
        for name, statement, said in (
                ('changed', 'UPDATE audit SET record = (SELECT record FROM audit WHERE sequence = 1)'
                 ' WHERE sequence = 2', 'entry 2 is not what was written'),
                ('removed', f'DELETE FROM audit WHERE sequence = {count - 1}',
                 f'entry {count - 1} is missing'),
                ('cut', f'DELETE FROM audit WHERE sequence > {count - 1}', 'cut off')):
            result = self.verify(self.tampered(name, statement))
            self.assertEqual(result.returncode, 1, name)
            self.assertIn(said, result.stdout, name)

    def test_wrong_tokens_are_slowed_down_and_counted(self):
        wrong = self.cluster.stubs_for('bl_' + '0' * 16 + '_' + '0' * 64)
        codes = collections.Counter()
        for _ in range(60):
            with self.assertRaises(grpc.RpcError) as refused:
                wrong['auth'].CreateUser(STUBS['project'][0].CreateUserRequest(user_id='x'))
            codes[refused.exception.code()] += 1
        # A burst, and what has been allowed again since.
        self.assertGreaterEqual(codes[grpc.StatusCode.UNAUTHENTICATED], 20)
        self.assertGreater(codes[grpc.StatusCode.RESOURCE_EXHAUSTED], 20)
        self.assertEqual(sum(codes.values()), 60)
        # Restarted, so as not to wait for the end of the minute.
        self.cluster.server.terminate()
        self.cluster.start_server()
        entries = [entry for entry in self.cluster.cli('audit', 'list', '--json', check=0).lines()
                   if entry.get('summary') == 'user_id=x']
        self.assertEqual(sum(int(entry['count']) for entry in entries), 60)
        self.assertLessEqual(len(entries), 4)

    def test_a_change_that_was_acknowledged_is_in_the_audit_after_a_crash(self):
        for i in range(20):
            self.cluster.cli('project', 'create', f'p{i}', check=0)
        self.cluster.server.kill()
        self.assertEqual(self.verify(self.cluster.path('server')).returncode, 0)
        self.cluster.start_server()
        entries = self.cluster.cli('audit', 'list', '--json', '--limit', '1000', check=0).lines()
        made = {entry['resource'] for entry in entries
                if entry['method'] == 'ProjectService.CreateProject'}
        self.assertGreaterEqual(made, {f'projects/p{i}' for i in range(20)})


class CertificateTest(ProgramTest):

    @classmethod
    def setUpClass(cls):
        cls.cluster = harness.Cluster()
        cls.addClassCleanup(cls.cluster.stop)
        cls.cluster.start_server('--worker-certificate', str(LIFE))
        cls.cluster.start_worker()
        cls.cluster.cli('project', 'set', 'default', '--programs', 'allow', check=0)

    def renewals(self):
        return [entry for entry in self.cluster.cli('audit', 'list', '--json', '--limit', '1000',
                                                    check=0).lines()
                if entry['method'] == 'WorkerService.RenewCertificate']

    def test_a_run_outlives_the_certificates_of_its_worker(self):
        run = self.start(f'''
            import time
            time.sleep({int(2.2 * LIFE)})
            ''')
        ended = self.cluster.expect_success(run)
        task = self.cluster.stubs['run'].ListTasks(
            STUBS['run'][0].ListTasksRequest(parent=ended.name)).tasks[0]
        self.assertEqual(task.attempt, 1)
        renewals = self.renewals()
        self.assertGreaterEqual(len(renewals), 2)
        self.assertEqual({entry['principal'] for entry in renewals}, {'workers/w1'})
        # From what is on the disk it goes on after a restart.
        self.cluster.workers['w1'].kill()
        self.cluster.start_worker()

    def test_a_worker_that_was_away_for_too_long_is_told_what_to_do(self):
        worker = self.cluster.start_worker('w2')
        os.kill(worker.pid, signal.SIGSTOP)
        time.sleep(LIFE + 1)
        os.kill(worker.pid, signal.SIGCONT)

        def log():
            with open(worker.log, encoding='utf-8') as file:
                return file.read()
        wait_for(lambda: not worker.alive(), 'the worker leaves')
        self.assertEqual(worker.popen.returncode, 1)
        self.assertRegex(log(), 'certificate expired at .*let it join again')
        with self.assertRaisesRegex(AssertionError, 'expired at .*let it join again'):
            self.cluster.start_worker('w2')
        shutil.rmtree(self.cluster.path('w2', 'tls'))
        self.cluster.start_worker('w2').kill()


if __name__ == '__main__':
    unittest.main()
