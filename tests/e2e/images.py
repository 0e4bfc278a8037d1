"""OCI archives of a test's own: what those who test images share."""

import gzip
import hashlib
import io
import json
import os
import platform
import subprocess
import sys
import sysconfig
import tarfile

import harness

MACHINE = {'x86_64': 'amd64', 'aarch64': 'arm64'}.get(platform.machine(), platform.machine())


def entry(name, data=None, **fields):
    """An entry of a layer: a file with `data`, or a folder; `fields` as tarfile.TarInfo has them."""
    info = tarfile.TarInfo(name)
    info.type = tarfile.DIRTYPE if data is None else tarfile.REGTYPE
    info.mode = 0o755 if data is None else 0o644
    info.size = len(data or b'')
    for field, value in fields.items():
        setattr(info, field, value)
    return info, data


def link(name, target, kind=tarfile.SYMTYPE):
    return entry(name, type=kind, linkname=target)


def pack(entries):
    """A tar archive."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode='w', format=tarfile.PAX_FORMAT) as archive:
        for info, data in entries:
            archive.addfile(info, None if data is None else io.BytesIO(data))
    return out.getvalue()


def digest(data):
    return 'sha256:' + hashlib.sha256(data).hexdigest()


class Archive:
    """An OCI archive of one image; to be changed before it is written."""

    def __init__(self, *layers, env=(), architecture=MACHINE, compress=gzip.compress):
        self.blobs = {}
        suffix = '+gzip' if compress is gzip.compress else ''
        descriptors = [self.add(compress(pack(layer)) if compress else pack(layer),
                                f'application/vnd.oci.image.layer.v1.tar{suffix}')
                       for layer in layers]
        config = self.add_json({'os': 'linux', 'architecture': architecture,
                                'config': {'Env': list(env), 'Entrypoint': ['/never'],
                                           'WorkingDir': '/never'},
                                'rootfs': {'type': 'layers', 'diff_ids': []}},
                               'application/vnd.oci.image.config.v1+json')
        self.manifest = self.add_json({'schemaVersion': 2, 'config': config, 'layers': descriptors},
                                      'application/vnd.oci.image.manifest.v1+json')
        self.digest = self.manifest['digest']
        self.index = {'schemaVersion': 2, 'manifests': [self.manifest]}

    def add(self, data, kind):
        self.blobs[digest(data)] = data
        return {'mediaType': kind, 'digest': digest(data), 'size': len(data)}

    def add_json(self, document, kind):
        return self.add(json.dumps(document).encode(), kind)

    def write(self, path):
        entries = [entry('oci-layout', b'{"imageLayoutVersion": "1.0.0"}'), entry('blobs'),
                   entry('blobs/sha256'), entry('index.json', json.dumps(self.index).encode())]
        for name, data in self.blobs.items():
            entries.append(entry(f'blobs/sha256/{name.split(":")[1]}', data))
        with open(path, 'wb') as file:
            file.write(pack(entries))
        return path


def command(*arguments):
    """The outcome of "beamline-worker image ..."."""
    return subprocess.run([harness.program('beamline-worker'), 'image', *arguments],
                          capture_output=True, text=True, timeout=300, check=False)


def python_layer():
    """This machine's Python and what it needs, in the places where they are here."""
    binary = os.path.realpath(sys.executable)
    library = sysconfig.get_path('stdlib')
    files = {binary}
    for folder, folders, names in os.walk(library):
        folders[:] = [name for name in folders
                      if name not in ('test', 'tests', 'dist-packages', 'site-packages', '__pycache__',
                                      'idlelib', 'tkinter', 'lib2to3', 'turtledemo')]
        files |= {os.path.join(folder, name) for name in names if name.endswith(('.py', '.so'))}
    for path in [path for path in files if path.endswith('.so') or path == binary]:
        listed = subprocess.run(['ldd', path], capture_output=True, text=True, check=False).stdout
        files |= {word for word in listed.split() if word.startswith('/')}
    entries = [link('bin/python3', binary), link('usr/bin/env', '/bin/python3')]
    for path in sorted(files):
        with open(path, 'rb') as file:
            entries.append(entry(path[1:], file.read(), mode=0o755,
                                 mtime=int(os.stat(path).st_mtime)))
    return entries
