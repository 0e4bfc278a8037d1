"""Who may include whom: every #include against the table in docs/architecture.md."""

import os
import re
import tempfile
import unittest

import tree

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)

# Other people's headers, and the only folders that may see them.
FENCES = [
    ('gRPC', re.compile(r'^(grpcpp|grpc|grpc\+\+)/|\.grpc\.pb\.h$'),
     ('server/rpc/', 'worker/rpc/', 'clients/', 'tests/', 'benchmarks/')),
    ('SQLite', re.compile(r'^sqlite3'), ('store/', 'tests/', 'benchmarks/')),
    ('yaml-cpp', re.compile(r'^yaml-cpp/'), ('pipeline/', 'clients/', 'tests/', 'benchmarks/')),
    ('OpenSSL', re.compile(r'^openssl/'), ('base/', 'auth/', 'tests/')),
    ('cjose', re.compile(r'^(cjose/|jansson)'), ('auth/jwt.cc', 'tests/')),
    ('libcurl', re.compile(r'^curl/'), ('auth/https_get.cc',)),
    ('CUDA', re.compile(r'^(cuda|cublas|cudnn|nccl)'),
     ('engine/backend/cuda/', 'engine/collective/nccl')),
    ('libarchive', re.compile(r'^archive(_entry)?\.h$'), ('worker/images/',)),
    ('Protocol Buffers', re.compile(r'^google/(protobuf|rpc)/|\.pb\.h$|^beamline/v1/'),
     ('proto/', 'store/', 'scheduler/', 'pipeline/', 'auth/', 'server/', 'worker/', 'clients/',
      'tests/', 'benchmarks/', 'examples/')),
]
# The engine needs a C++ compiler and nothing else.
FOREIGN_TO_ENGINE = re.compile(r'^(absl|spdlog|fmt|nlohmann|zstd|zlib)')
SEE_ANYTHING = ('tests', 'benchmarks', 'examples')


def table_of(architecture):
    """{folder: folders that it may include}, from the table of the section "Folders"."""
    block = re.search(r'^## Folders.*?^```\w*\n(.*?)^```', architecture, re.MULTILINE | re.DOTALL)
    may_see = {'base': set(), 'engine': set(), 'proto': set()}
    for name, seen in re.findall(r'(\w+) \(([a-z ]+)\)', block.group(1) if block else ''):
        if name not in SEE_ANYTHING + ('tools',) and name not in may_see:
            may_see[name] = set(seen.split())
    return may_see


def breaches(root, may_see):
    """One message for each #include that the table or a fence forbids."""
    found = []
    for path in tree.files(root):
        top = path.split('/')[0]
        for match in INCLUDE.finditer(tree.read(path, root)):
            name = match.group(2)
            for whose, pattern, where in FENCES:
                if pattern.search(name) and not path.startswith(where):
                    found.append(f'{path} includes {name}: {whose} belongs in {", ".join(where)} '
                                 'only; put what you need behind a function there')
            if top == 'engine' and FOREIGN_TO_ENGINE.search(name):
                found.append(f'{path} includes {name}: the engine sees the standard library and '
                             'itself only')
            target = name.split('/')[0]
            if top not in may_see or target not in may_see or target == top:
                continue
            if target not in may_see[top]:
                allowed = ', '.join(sorted(may_see[top])) or 'nothing else'
                found.append(f'{path} includes {name}: {top} may see {allowed}; move the code, or '
                             'hand over what it needs as an argument')
    return found


class LayeringTest(unittest.TestCase):

    def test_tree_keeps_to_the_table(self):
        may_see = table_of(tree.read('docs/architecture.md'))
        self.assertEqual(may_see['server'], {'proto', 'base', 'store', 'scheduler', 'pipeline',
                                             'auth'})
        self.assertNotIn('server', may_see['worker'])
        found = breaches(tree.ROOT, may_see)
        self.assertEqual(found, [], '\n' + '\n'.join(found))

    def test_every_folder_with_code_is_in_the_table(self):
        may_see = table_of(tree.read('docs/architecture.md'))
        tops = {path.split('/')[0] for path in tree.files()}
        unknown = sorted(tops - set(may_see) - set(SEE_ANYTHING))
        self.assertEqual(unknown, [], 'give these folders a line in docs/architecture.md')

    def test_breaches_are_found(self):
        cases = {
            'store/a.h': '#include "scheduler/b.h"',
            'worker/b.cc': '#include "server/api/run_api.h"',
            'server/run.cc': '#include <grpcpp/grpcpp.h>',
            'base/c.h': '#include "google/protobuf/message.h"',
            'engine/d.h': '#include "absl/status/status.h"',
            'engine/e.cc': '#  include "base/clock.h"',
            'server/f.cc': '#include <sqlite3.h>',
            'worker/h.cc': '#include <archive.h>',
            'clients/g.cc': '#include "store/store.h"',
        }
        harmless = {
            'store/ok.cc': '#include <sqlite3.h>\n#include "base/clock.h"\n',
            'server/rpc/ok.cc': '#include <grpcpp/grpcpp.h>\n',
            'tests/ok.cc': '#include "server/x.h"\n#include "worker/y.h"\n',
        }
        with tempfile.TemporaryDirectory() as root:
            for path, text in {**cases, **harmless}.items():
                os.makedirs(os.path.dirname(os.path.join(root, path)), exist_ok=True)
                with open(os.path.join(root, path), 'w', encoding='utf-8') as file:
                    file.write(text)
            found = breaches(root, table_of(tree.read('docs/architecture.md')))
        self.assertEqual(sorted(message.split(' ')[0] for message in found), sorted(cases))


if __name__ == '__main__':
    unittest.main()
