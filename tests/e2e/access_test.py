"""Who may do what: tokens of strangers, expired and revoked ones, roles, and login."""

import time
import unittest

import harness
from harness import STUBS, grpc

PROJECT, RUN = STUBS['project'][0], STUBS['run'][0]


class AccessTest(harness.ClusterTest):

    def new_user(self, name):
        """Makes the user with a token and a config of its own; returns the token."""
        self.cluster.cli('user', 'create', name, check=0)
        token = self.cluster.cli('token', 'create', '--user', name, check=0).out.strip()
        self.assertTrue(token.startswith('bl_'))
        self.cluster.write_config(name, token)
        return token

    def test_strangers_see_nothing_of_a_project(self):
        self.new_user('stranger')
        for command in (['run', 'list'], ['dataset', 'list'], ['model', 'list'],
                        ['project', 'members'], ['run', 'show', 'r-unknown'],
                        ['run', 'list', '--project', 'nonexistent']):
            result = self.cluster.cli(*command, user='stranger')
            self.assertEqual(result.code, 4, f'{command}: {result.err}')
        result = self.cluster.cli('user', 'create', 'friend', user='stranger')
        self.assertEqual(result.code, 5, result.err)

    def test_roles(self):
        self.new_user('viewer')
        self.cluster.cli('project', 'add-member', 'viewer', '--role', 'viewer', check=0)
        self.cluster.cli('run', 'list', user='viewer', check=0)
        path = self.cluster.write('v.csv', harness.two_classes(rows=30))
        result = self.cluster.cli('dataset', 'upload', path, user='viewer')
        self.assertEqual(result.code, 5, result.err)
        self.cluster.cli('project', 'add-member', 'viewer', '--role', 'editor', check=0)
        self.cluster.cli('dataset', 'upload', path, user='viewer', check=0)
        self.cluster.cli('project', 'remove-member', 'viewer', check=0)
        self.cluster.cli('run', 'list', user='viewer', check=4)

    def test_a_project_of_ones_own(self):
        self.new_user('owner')
        self.cluster.cli('project', 'create', 'mine', user='owner', check=0)
        self.cluster.cli('run', 'list', '--project', 'mine', user='owner', check=0)
        result = self.cluster.cli('project', 'create', 'mine')
        self.assertEqual(result.code, 3, result.err)
        result = self.cluster.cli('project', 'create', 'No Such Name!')
        self.assertEqual(result.code, 3, result.err)

    def test_expired_revoked_and_invented_tokens(self):
        expiring = self.cluster.cli('token', 'create', '--expires', '2s', check=0).out.strip()
        self.cluster.write_config('expiring', expiring)
        self.cluster.cli('whoami', user='expiring', check=0)
        revoked = self.cluster.cli('token', 'create', '--json', check=0).json()
        self.cluster.write_config('revoked', revoked['secret'])
        self.cluster.cli('whoami', user='revoked', check=0)
        self.cluster.cli('token', 'revoke', revoked['token']['name'], check=0)
        time.sleep(2.5)
        self.cluster.write_config('invented', 'bl_00000000_' + 'a' * 43)
        self.cluster.write_config('nonsense', 'nonsense')
        for user in ('expiring', 'revoked', 'invented', 'nonsense'):
            result = self.cluster.cli('run', 'list', user=user)
            self.assertEqual(result.code, 5, f'{user}: {result.err}')
            self.assertIn('log in', result.err)
        self.assert_server_lives()

    def test_nothing_but_public_calls_without_a_token(self):
        with open(self.cluster.ca, 'rb') as file:
            channel = grpc.secure_channel(self.cluster.address,
                                          grpc.ssl_channel_credentials(file.read()))
        stub = STUBS['run'][1].RunServiceStub(channel)
        self.assert_code(grpc.StatusCode.UNAUTHENTICATED, stub.ListRuns,
                         RUN.ListRunsRequest(parent='projects/default'))
        info = STUBS['cluster'][1].ClusterServiceStub(channel).GetServerInfo(
            STUBS['cluster'][0].GetServerInfoRequest())
        self.assertTrue(info.version)
        worker = STUBS['worker'][1].WorkerServiceStub(channel)
        worker_pb2 = STUBS['worker'][0]
        for call in (lambda: worker.Synchronize(worker_pb2.SynchronizeRequest()),
                     lambda: worker.Join(worker_pb2.JoinRequest(join_token='bj_x_y'))):
            with self.assertRaises(grpc.RpcError) as caught:
                call()
            self.assertIn(caught.exception.code(), (grpc.StatusCode.UNAUTHENTICATED,
                                                    grpc.StatusCode.INVALID_ARGUMENT,
                                                    grpc.StatusCode.PERMISSION_DENIED))
        channel.close()

    def test_a_user_is_no_worker(self):
        with self.assertRaises(grpc.RpcError) as caught:
            self.cluster.stubs['worker'].Synchronize(STUBS['worker'][0].SynchronizeRequest())
        self.assertIn(caught.exception.code(), (grpc.StatusCode.UNAUTHENTICATED,
                                                grpc.StatusCode.PERMISSION_DENIED))

    def test_login_writes_a_context_that_works(self):
        token = self.new_user('anna')
        config = self.cluster.path('fresh.json')
        result = self.cluster.cli('login', self.cluster.address, '--ca', self.cluster.ca, user='fresh',
                                  stdin=token + '\n', check=0)
        self.assertIn('anna', result.out)
        self.assertNotIn(token, result.out + result.err)
        self.assertIn('anna', self.cluster.cli('whoami', user='fresh', check=0).out)
        self.assertEqual(harness.os.stat(config).st_mode & 0o777, 0o600)
        result = self.cluster.cli('login', self.cluster.address, '--ca', self.cluster.ca,
                                  user='other', stdin='bl_wrong_token\n')
        self.assertEqual(result.code, 5, result.err)
        self.assertFalse(harness.os.path.exists(self.cluster.path('other.json')))

    def test_a_server_with_another_certificate_is_refused(self):
        other = self.cluster.write('other-ca.pem', OTHER_AUTHORITY)
        result = self.cluster.cli('login', self.cluster.address, '--ca', other, user='x',
                                  stdin=self.cluster.token + '\n')
        self.assertEqual(result.code, 6, result.err)
        self.assertIn(self.cluster.address, result.err)


# Of a key that nobody has: made for this test with openssl req -x509 and thrown away.
OTHER_AUTHORITY = '''-----BEGIN CERTIFICATE-----
MIIBdjCCAR2gAwIBAgIUB7nLX6ga+6wA0sY3uJo7ZfObefIwCgYIKoZIzj0EAwIw
EDEOMAwGA1UEAwwFb3RoZXIwIBcNMjYxMTIzMjEzOTEzWhgPMjEyNjEwMzAyMTM5
MTNaMBAxDjAMBgNVBAMMBW90aGVyMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE
pxgCfp8r1BmLN51k1G3NsKOyLU/vXo/Ccz5NViUsWBrz/1QSDXvoKrH2rsdqYYKH
H8XAvoS8MH5/0EzfIxGbsKNTMFEwHQYDVR0OBBYEFHZT1bOjPaGQ7S/iMMFrZpS4
bX3KMB8GA1UdIwQYMBaAFHZT1bOjPaGQ7S/iMMFrZpS4bX3KMA8GA1UdEwEB/wQF
MAMBAf8wCgYIKoZIzj0EAwIDRwAwRAIgK6IXxpGTm3P7Vqjz4y7ou6mrouHWbyES
QYgG3dEZs4cCIG7/1u+EhVYqu/CotF0Y8N2I7NcQ+o3CC55B1bE2uaMW
-----END CERTIFICATE-----
'''


if __name__ == '__main__':
    unittest.main(verbosity=2)
