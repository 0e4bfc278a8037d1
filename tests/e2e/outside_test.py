"""Tokens of another issuer, made by libraries that are not ours: PyJWT signs, and an HTTPS server of
the test's own has the keys."""

import contextlib
import datetime
import hashlib
import hmac
import http.server
import ipaddress
import json
import os
import signal
import ssl
import threading
import time
import unittest

import grpc
import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

import harness
from harness import STUBS, wait_for

PROJECT = STUBS['project'][0]


def pem(key):
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                             serialization.NoEncryption())


class Issuer:
    """A single sign-on: keys, discovery and a key set at https://127.0.0.1:PORT."""

    def __init__(self, folder):
        self.keys = {}
        self.asked = []
        self.up = True
        self.jwks_uri = None
        self.ca = os.path.join(folder, 'issuer-ca.pem')
        tls_key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, 'issuer')])
        now = datetime.datetime.utcnow()
        certificate = (
            x509.CertificateBuilder().subject_name(name).issuer_name(name)
            .public_key(tls_key.public_key()).serial_number(1)
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName(
                [x509.IPAddress(ipaddress.ip_address('127.0.0.1'))]), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(tls_key, hashes.SHA256()))
        with open(self.ca, 'wb') as file:
            file.write(certificate.public_bytes(serialization.Encoding.PEM))
        key_file = os.path.join(folder, 'issuer-key.pem')
        with open(key_file, 'wb') as file:
            file.write(pem(tls_key))
        self.server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), self.handler())
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.ca, key_file)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.url = f'https://127.0.0.1:{self.server.server_address[1]}'
        # The same without TLS.
        self.plain = http.server.ThreadingHTTPServer(('127.0.0.1', 0), self.handler())
        for server in (self.server, self.plain):
            threading.Thread(target=server.serve_forever, daemon=True).start()

    def stop(self):
        for server in (self.server, self.plain):
            server.shutdown()
            server.server_close()

    def handler(self):
        issuer = self

        class Handler(http.server.BaseHTTPRequestHandler):

            def do_GET(self):
                issuer.asked.append(self.path)
                body = {'/.well-known/openid-configuration':
                        {'issuer': issuer.url,
                         'jwks_uri': issuer.jwks_uri or issuer.url + '/jwks'},
                        '/jwks': issuer.key_set(), '/large': issuer.key_set()}.get(self.path)
                if self.path == '/moved':
                    self.send_response(302)
                    self.send_header('Location', issuer.url + '/jwks')
                    body = issuer.key_set()
                else:
                    self.send_response(200 if body and issuer.up else 503)
                self.end_headers()
                blanks = b' ' * (1 << 20) if self.path == '/large' else b''
                with contextlib.suppress(OSError):
                    self.wfile.write(json.dumps(body).encode() + blanks)

            def log_message(self, *_):
                pass

        return Handler

    def add_key(self, kid, kind='EC'):
        self.keys[kid] = (ec.generate_private_key(ec.SECP256R1()) if kind == 'EC' else
                          rsa.generate_private_key(public_exponent=65537, key_size=2048))

    def key_set(self):
        keys = []
        for kid, key in self.keys.items():
            algorithm = (jwt.algorithms.ECAlgorithm if isinstance(key, ec.EllipticCurvePrivateKey)
                         else jwt.algorithms.RSAAlgorithm)
            if algorithm is jwt.algorithms.RSAAlgorithm:
                fields = json.loads(algorithm.to_jwk(key.public_key()))
            else:
                numbers = key.public_key().public_numbers()
                fields = {'kty': 'EC', 'crv': 'P-256', **{
                    axis: jwt.utils.base64url_encode(getattr(numbers, axis).to_bytes(32, 'big')
                                                     ).decode() for axis in 'xy'}}
            keys.append({**fields, 'kid': kid, 'use': 'sig'})
        return {'keys': keys}

    def token(self, kid, **claims):
        key = self.keys[kid]
        algorithm = 'ES256' if isinstance(key, ec.EllipticCurvePrivateKey) else 'RS256'
        now = int(time.time())
        payload = {'iss': self.url, 'sub': 'ada', 'aud': 'beamline', 'iat': now, 'nbf': now,
                   'exp': now + 600, **claims}
        return jwt.encode(payload, pem(key), algorithm=algorithm, headers={'kid': kid})


ISSUERS = '''
issuers:
  - name: org
    url: {url}
    audiences: [beamline, https://beamline.example.org]
    ca_file: {ca}
    keys_url: "{keys_url}"
    rules:
      - {{claim: wlcg.groups, value: /optics, role: viewer, projects: [default]}}
      - {{scope: beamline.edit, role: editor, projects: [default]}}
      - {{subject: {operator}, operator: true}}
'''


class OutsideTest(unittest.TestCase):

    def setUp(self):
        self.cluster = harness.Cluster()
        self.addCleanup(self.cluster.stop)
        self.issuer = Issuer(self.cluster.folder)
        self.addCleanup(self.issuer.stop)
        self.issuer.add_key('rsa', 'RSA')
        self.issuer.add_key('ec')
        self.issuers = self.cluster.path('issuers.yaml')
        self.write_issuers('root')

    def write_issuers(self, operator, ca=None, keys_url=''):
        with open(self.issuers, 'w', encoding='utf-8') as file:
            file.write(ISSUERS.format(url=self.issuer.url, ca=ca or self.issuer.ca,
                                      keys_url=keys_url, operator=operator))

    def log(self):
        with open(self.cluster.server.log, encoding='utf-8') as file:
            return file.read()

    def start(self):
        self.cluster.start_server('--issuers', self.issuers)
        wait_for(lambda: f'have the keys of {self.issuer.url}' in self.log(), 'keys are fetched')

    def cli(self, token, *arguments):
        self.cluster.write_config('outside', token)
        return self.cluster.cli(*arguments, user='outside')

    def code(self, token):
        """How a call that needs the role of a viewer is answered."""
        stubs = self.cluster.stubs_for(token)
        try:
            stubs['project'].GetProject(PROJECT.GetProjectRequest(name='projects/default'))
            return grpc.StatusCode.OK
        except grpc.RpcError as error:
            return error.code()

    def test_good_tokens_do_what_the_rules_say(self):
        self.start()
        for kid in ('rsa', 'ec'):
            viewer = self.issuer.token(kid, **{'wlcg.groups': ['/x', '/optics']})
            who = self.cli(viewer, 'whoami')
            self.assertEqual(who.code, 0, who.err)
            self.assertIn('org--ada', who.out)
            self.assertRegex(who.out, r'default\s+viewer')
            self.assertEqual(self.cli(viewer, 'run', 'list').code, 0)
            table = self.cluster.write('o.csv', harness.two_classes(rows=30))
            self.assertEqual(self.cli(viewer, 'dataset', 'upload', table).code, 5)
            editor = self.issuer.token(kid, scope='openid beamline.edit:/default')
            self.assertEqual(self.cli(editor, 'dataset', 'upload', table).code, 0)
            self.assertEqual(self.cli(editor, 'user', 'list').code, 5)
            self.assertEqual(self.cli(self.issuer.token(kid, sub='root'), 'user', 'list').code, 0)
        audit = self.cluster.cli('audit', 'list', '--json', '--by', 'org--ada', check=0).lines()
        self.assertTrue(audit)
        self.assertEqual({entry['token'] for entry in audit}, {f'{self.issuer.url} ada'})
        # A token of the server's own is good beside them.
        self.cluster.cli('run', 'list', check=0)

    def test_tokens_that_are_none(self):
        self.start()
        groups = {'wlcg.groups': ['/optics']}
        now = int(time.time())
        good = self.issuer.token('ec', **groups)
        self.assertEqual(self.code(good), grpc.StatusCode.OK)
        public = self.issuer.keys['rsa'].public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        payload = jwt.decode(good, options={'verify_signature': False})
        head, body, signature = good.split('.')
        stranger = ec.generate_private_key(ec.SECP256R1())
        tokens = {
            'another issuer': self.issuer.token('ec', iss='https://auth.example.org', **groups),
            'another audience': self.issuer.token('ec', aud='https://other.example.org', **groups),
            'expired': self.issuer.token('ec', exp=now - 60, **groups),
            'not yet valid': self.issuer.token('ec', nbf=now + 120, **groups),
            'another key': jwt.encode(payload, pem(stranger), 'ES256', {'kid': 'ec'}),
            'signature of another': '.'.join((head, self.issuer.token(
                'ec', sub='root').split('.')[1], signature)),
            'none': jwt.encode(payload, None, 'none', {'kid': 'ec'}),
            'no signature': f'{head}.{body}.',
            'shared secret': self.hs256(payload, public),
        }
        for what, token in tokens.items():
            self.assertEqual(self.code(token), grpc.StatusCode.UNAUTHENTICATED, what)
        self.assertEqual(self.code(self.issuer.token('ec', sub='bob')),
                         grpc.StatusCode.PERMISSION_DENIED)
        for what, token in {**tokens, 'good': good}.items():
            self.assertNotIn(token[30:], self.log(), what)
        self.assertEqual(self.code(good), grpc.StatusCode.OK)

    @staticmethod
    def hs256(payload, secret):
        # PyJWT refuses to sign by a public key, so that its own users are not fooled.
        encode = jwt.utils.base64url_encode
        text = b'.'.join(encode(json.dumps(part).encode()) for part in
                         ({'alg': 'HS256', 'typ': 'JWT', 'kid': 'rsa'}, payload))
        return (text + b'.' + encode(hmac.new(secret, text, hashlib.sha256).digest())).decode()

    def test_keys_change_and_the_issuer_goes_down(self):
        self.start()
        groups = {'wlcg.groups': ['/optics']}
        old = self.issuer.token('ec', **groups)
        self.assertEqual(self.code(old), grpc.StatusCode.OK)
        self.issuer.add_key('new')
        fresh = self.issuer.token('new', **groups)
        before = len(self.issuer.asked)
        self.assertEqual(self.code(fresh), grpc.StatusCode.UNAVAILABLE)
        wait_for(lambda: len(self.issuer.asked) > before, 'the issuer is asked again')
        wait_for(lambda: self.code(fresh) == grpc.StatusCode.OK, 'the new key counts')
        self.assertEqual(self.code(old), grpc.StatusCode.OK)
        self.issuer.up = False
        os.kill(self.cluster.server.pid, signal.SIGHUP)
        wait_for(lambda: 'those of before are used' in self.log(), 'the fetch fails')
        self.assertEqual(self.code(self.issuer.token('new', jti='2', **groups)),
                         grpc.StatusCode.OK)
        self.cluster.cli('run', 'list', check=0)

    def test_keys_from_where_they_cannot_be_trusted_are_not_taken(self):
        folder = self.cluster.path('other')
        os.mkdir(folder)
        other = Issuer(folder)
        self.addCleanup(other.stop)
        plain = f'http://127.0.0.1:{self.issuer.plain.server_address[1]}/jwks'
        good = self.issuer.token('ec', **{'wlcg.groups': ['/optics']})
        cases = [
            ('a certificate of another', {'ca': other.ca}, None, 'certificate'),
            ('a redirection', {'keys_url': self.issuer.url + '/moved'}, None, 'HTTP 302'),
            ('too much', {'keys_url': self.issuer.url + '/large'}, None, 'more than 1 MiB'),
            ('without TLS', {}, plain, 'rotocol'),
        ]
        for number, (what, fields, jwks_uri, reason) in enumerate(cases, 1):
            self.issuer.jwks_uri = jwks_uri
            self.write_issuers('root', **fields)
            if number == 1:
                self.cluster.start_server('--issuers', self.issuers)
            else:
                os.kill(self.cluster.server.pid, signal.SIGHUP)
            wait_for(lambda n=number: self.log().count('cannot get the keys of') == n, what)
            last = [line for line in self.log().splitlines() if 'cannot get the keys' in line][-1]
            self.assertIn(reason, last, what)
            self.assertEqual(self.code(good), grpc.StatusCode.UNAVAILABLE, what)
        # But for that they would have been.
        self.issuer.jwks_uri = None
        os.kill(self.cluster.server.pid, signal.SIGHUP)
        wait_for(lambda: self.code(good) == grpc.StatusCode.OK, 'keys are fetched')

    def test_rules_are_read_again_and_users_are_shut_out(self):
        self.start()
        root = self.issuer.token('ec', sub='root')
        self.assertEqual(self.code(root), grpc.StatusCode.OK)
        self.write_issuers('nobody')
        os.kill(self.cluster.server.pid, signal.SIGHUP)
        wait_for(lambda: self.code(root) == grpc.StatusCode.PERMISSION_DENIED,
                 'the rule is gone')
        with open(self.issuers, 'a', encoding='utf-8') as file:
            file.write('      - {subjekt: ada}\n')
        os.kill(self.cluster.server.pid, signal.SIGHUP)
        wait_for(lambda: 'the issuers stay as they were' in self.log(), 'the file is refused')
        self.assertIn('did you mean "subject"', self.log())
        ada = self.issuer.token('ec', scope='beamline.edit:/default')
        self.assertEqual(self.code(ada), grpc.StatusCode.OK)
        self.cluster.cli('user', 'create', 'org--ada', check=0)
        self.cluster.cli('user', 'disable', 'org--ada', check=0)
        self.assertEqual(self.code(ada), grpc.StatusCode.UNAUTHENTICATED)

    def test_a_file_that_is_wrong_is_not_started_with(self):
        with open(self.issuers, 'w', encoding='utf-8') as file:
            file.write('issuers: [{name: org, url: "http://x"}]\n')
        with self.assertRaisesRegex(AssertionError, 'issuers.0.url'):
            self.cluster.start_server('--issuers', self.issuers)


if __name__ == '__main__':
    unittest.main()
