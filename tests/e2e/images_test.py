"""Images for programs: what of an archive becomes a root file system, and what is refused."""

import os
import stat
import tarfile
import tempfile
import unittest

import images
from images import Archive, entry, link


class ImportTest(unittest.TestCase):

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix='beamline-images-')
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.images = os.path.join(self.folder, 'images')
        self.outside = os.path.join(self.folder, 'outside')
        os.mkdir(self.outside)
        with open(os.path.join(self.outside, 'file'), 'w', encoding='utf-8') as file:
            file.write('untouched')

    def run_import(self, archive, *flags):
        path = os.path.join(self.folder, 'image.tar')
        if isinstance(archive, Archive):
            archive.write(path)
        else:
            with open(path, 'wb') as file:
                file.write(archive)
        outcome = images.command('import', path, '--images', self.images, *flags)
        self.assertEqual(os.listdir(self.outside), ['file'])
        with open(os.path.join(self.outside, 'file'), encoding='utf-8') as file:
            self.assertEqual(file.read(), 'untouched')
        self.assertFalse(os.path.exists(os.path.join(self.images, '.importing')), 'nothing is left')
        return outcome

    def take(self, *layers, **options):
        """The root file system of an image of these layers."""
        archive = Archive(*layers, **options)
        outcome = self.run_import(archive)
        self.assertEqual(outcome.returncode, 0, outcome.stderr)
        self.assertEqual(outcome.stdout, archive.digest + '\n')
        self.notes = outcome.stderr
        self.place = os.path.join(self.images, archive.digest.replace(':', '-'))
        return os.path.join(self.place, 'rootfs')

    def refuse(self, archive, text, *flags, code=1):
        outcome = self.run_import(archive, *flags)
        self.assertEqual(outcome.returncode, code, outcome.stdout + outcome.stderr)
        self.assertIn(text, outcome.stderr)
        if os.path.exists(self.images):
            self.assertEqual(os.listdir(self.images), [])

    def read(self, *parts):
        with open(os.path.join(*parts), 'rb') as file:
            return file.read()

    def tree(self, root):
        return sorted(os.path.relpath(os.path.join(folder, name), root)
                      for folder, folders, names in os.walk(root) for name in folders + names)

    def test_an_image(self):
        root = self.take([
            entry('bin'), entry('bin/tool', b'#!', mode=0o4755), entry('etc/secret', b'key', mode=0o600),
            entry('tmp', mode=0o1777), entry('closed', mode=0), link('lib', 'usr/lib'),
            entry('usr/lib/x', b'x', mtime=1234567890), link('usr/lib/y', 'usr/lib/x', tarfile.LNKTYPE),
            entry('ä/名', b'name')], env=['A=b=c', 'PATH=/bin'])
        self.assertEqual(self.tree(root), sorted([
            'bin', 'bin/tool', 'closed', 'etc', 'etc/secret', 'lib', 'tmp', 'usr', 'usr/lib', 'usr/lib/x',
            'usr/lib/y', 'ä', 'ä/名']))
        modes = {name: stat.S_IMODE(os.lstat(os.path.join(root, name)).st_mode)
                 for name in ('bin/tool', 'etc/secret', 'tmp', 'closed')}
        self.assertEqual(modes, {'bin/tool': 0o755, 'etc/secret': 0o644, 'tmp': 0o755, 'closed': 0o755})
        self.assertEqual(os.stat(os.path.join(root, 'usr/lib/x')).st_mtime, 1234567890)
        self.assertEqual(self.read(root, 'lib/y'), b'x')
        self.assertEqual(self.read(self.place, 'environment'), b'A=b=c\0PATH=/bin\0')
        listed = images.command('list', '--images', self.images)
        self.assertEqual(listed.stdout, os.path.basename(self.place).replace('-', ':') + '\n')

    def test_again_and_away(self):
        archive = Archive([entry('a', b'a')])
        self.assertEqual(self.run_import(archive).returncode, 0)
        again = self.run_import(archive)
        self.assertEqual((again.returncode, again.stdout), (0, archive.digest + '\n'))
        self.assertIn('there already', again.stderr)
        removed = images.command('remove', archive.digest, '--images', self.images)
        self.assertEqual(removed.returncode, 0, removed.stderr)
        self.assertEqual(os.listdir(self.images), [])
        for wrong in (archive.digest, '..', '../outside', 'sha256:..'):
            removed = images.command('remove', wrong, '--images', self.images)
            self.assertEqual(removed.returncode, 1, wrong)
        self.assertEqual(os.listdir(self.outside), ['file'])
        nowhere = self.images + '-nowhere'
        removed = images.command('remove', archive.digest, '--images', nowhere)
        self.assertEqual(removed.returncode, 1)
        self.assertIn('there is no folder', removed.stderr)
        self.assertFalse(os.path.exists(nowhere))

    def test_what_a_killed_import_left_goes(self):
        os.makedirs(os.path.join(self.images, '.importing', 'blobs', 'deep'))
        self.take([entry('a', b'a')])

    def test_layers_lie_over_each_other(self):
        root = self.take(
            [entry('a/old', b'1'), entry('a/kept', b'1'), entry('b/x/y', b'1'), entry('c/file', b'1'),
             entry('d', b'1'), entry('e/one', b'1'), entry('e/two', b'1'), link('f', 'a'),
             entry('h/1', b'1'), link('h/2', 'h/1', tarfile.LNKTYPE)],
            # Whiteouts count for layers below, wherever they stand in theirs.
            [entry('a/.wh.old', b''), entry('e/three', b'2'), entry('e/.wh..wh..opq', b''),
             entry('b', b'2'), entry('c/.wh.file', b''), entry('c/file', b'2'),
             entry('d'), entry('d/in', b'2'), entry('f', b'2'), entry('h/1', b'2'),
             entry('none/.wh.none', b''), entry('.wh..wh.plnk/1', b'')],
            compress=None)
        self.assertEqual(self.tree(root), ['a', 'a/kept', 'b', 'c', 'c/file', 'd', 'd/in', 'e', 'e/three',
                                           'f', 'h', 'h/1', 'h/2'])
        self.assertEqual([self.read(root, name) for name in ('b', 'c/file', 'f', 'h/1', 'h/2')],
                         [b'2', b'2', b'2', b'2', b'1'])

    def test_links_lead_nowhere_else(self):
        root = self.take(
            [link('up', '../../../../outside'), link('absolute', self.outside), entry('real/x', b'1'),
             link('inside', '/real')],
            [entry('up/new', b'2'), entry('absolute/new', b'2'), entry('absolute/file', b'2'),
             entry('inside/new', b'2'), entry('/rooted', b'2'), entry('./dotted', b'2'),
             entry('absolute/.wh.file', b'')])
        self.assertEqual(self.read(root, 'real/new'), b'2')
        self.assertEqual(self.read(root, 'rooted'), b'2')
        self.assertEqual(self.read(root, 'dotted'), b'2')

    def test_a_link_is_not_written_through(self):
        root = self.take([link('a', os.path.join(self.outside, 'file'))], [entry('a', b'2')])
        self.assertFalse(os.path.islink(os.path.join(root, 'a')))
        self.assertEqual(self.read(root, 'a'), b'2')

    def test_devices_are_left_out(self):
        root = self.take([entry('dev/disk', type=tarfile.BLKTYPE, devmajor=8), entry('a', b'a'),
                          entry('dev/null', type=tarfile.CHRTYPE, devmajor=1, devminor=3),
                          entry('pipe', type=tarfile.FIFOTYPE)])
        self.assertEqual(self.tree(root), ['a'])
        self.assertIn('left out: 3 devices', self.notes)

    def test_entries_that_lead_out(self):
        for hostile in (entry('../outside/new', b''), entry('a/../../outside/new', b''),
                        entry('../outside/.wh.file', b''), entry('..', b''),
                        link('../outside/link', 'x'), entry('a/.wh...', b'')):
            self.refuse(Archive([entry('a/b', b''), hostile]), 'out of its root')

    def test_hard_links_that_lead_out(self):
        for target in ('../outside/file', '../../../../../../etc/passwd'):
            self.refuse(Archive([link('x', target, tarfile.LNKTYPE)]), 'out of its root')
        for target in (os.path.join(self.outside, 'file'), '/etc/passwd', 'out/file', 'missing'):
            self.refuse(Archive([link('out', self.outside), link('x', target, tarfile.LNKTYPE)]),
                        'no f')

    def test_digests_count(self):
        def changed(kind):
            archive = Archive([entry('a', b'a')])
            for name, data in archive.blobs.items():
                if kind in data:
                    archive.blobs[name] = data + b' '
            return archive
        for kind in (b'schemaVersion', b'Entrypoint', b'\x1f\x8b'):
            self.refuse(changed(kind), 'does not have that digest')
        archive = Archive([entry('a', b'a')])
        archive.blobs = {name: data for name, data in archive.blobs.items() if data[:2] != b'\x1f\x8b'}
        self.refuse(archive, 'the archive lacks sha256:')

    def test_what_is_no_image(self):
        self.refuse(b'', 'index.json')
        self.refuse(b'x' * 5000, 'cannot be read as a tar archive')
        self.refuse(images.pack([entry('manifest.json', b'[]')]), 'oci-archive')
        self.refuse(Archive([entry('a', b'a')], architecture='vax'), 'linux/vax')
        self.refuse(Archive([entry('a', b'a')], env=['NOVALUE']), 'NAME=VALUE')
        self.refuse(Archive(), '0 layers')
        for index in ({'manifests': []}, {}, [], {'manifests': 7}, {'manifests': [{'digest': 'md5:00'}]}):
            archive = Archive([entry('a', b'a')])
            archive.index = index
            self.refuse(archive, 'index')
        damaged = Archive([entry('a', b'a' * 100000)])
        blob = damaged.blobs[next(iter(damaged.blobs))]
        damaged = Archive.__new__(Archive)
        damaged.__init__([entry('a', b'a')], compress=lambda data: blob[:60])
        self.refuse(damaged, 'cannot be read as a tar archive')

    def test_the_image_for_this_machine(self):
        archive = Archive([entry('a', b'a')])
        other = {**archive.manifest, 'digest': 'sha256:' + '0' * 64,
                 'platform': {'os': 'linux', 'architecture': 'vax'}}
        mine = {**archive.manifest, 'platform': {'os': 'linux', 'architecture': images.MACHINE}}
        inner = archive.add_json({'manifests': [other, mine]}, 'application/vnd.oci.image.index.v1+json')
        archive.index = {'manifests': [inner]}
        outcome = self.run_import(archive)
        self.assertEqual((outcome.returncode, outcome.stdout), (0, archive.digest + '\n'), outcome.stderr)
        images.command('remove', archive.digest, '--images', self.images)
        archive.index = {'manifests': [mine, {**mine, 'digest': 'sha256:' + '0' * 64}]}
        self.refuse(archive, 'several images')
        loop = Archive([entry('a', b'a')])
        for _ in range(5):
            loop.index = {'manifests': [loop.add_json(
                loop.index, 'application/vnd.oci.image.index.v1+json')]}
        self.refuse(loop, 'too often')

    def test_bounds(self):
        bomb = Archive([entry('zeros', bytes(32 << 20))])
        self.refuse(bomb, 'take more than 16 MiB', '--limit', '16MiB')
        self.refuse(Archive([entry('x', os.urandom(2 << 20))], compress=None), 'more than an image may',
                    '--limit', '1MiB')
        self.refuse(bomb, 'usage', '--limit', 'much', code=2)
        self.refuse(Archive([entry('d/' * 256 + 'x', b'')]), 'lies deeper than 256')
        self.take([entry('d/' * 255 + 'x', b'')])

    def test_bounds_of_the_root_folder(self):
        self.refuse(Archive([entry(f'e{i}', b'') for i in range(1001)]), '1001 entries in its root')
        # What a layer removes does not count.
        self.take([entry(f'e{i}', b'') for i in range(1001)], [entry('.wh.e7', b'')])

    def test_a_hundred_images(self):
        names = [f'sha256-{i:064}' for i in range(100)]
        for name in names:
            os.makedirs(os.path.join(self.images, name, 'rootfs'))
        archive = Archive([entry('a', b'a')])
        outcome = self.run_import(archive)
        self.assertEqual(outcome.returncode, 1)
        self.assertIn('there are 100 images', outcome.stderr)
        os.makedirs(os.path.join(self.images, 'sha256-' + 'f' * 64, 'rootfs'))
        listed = images.command('list', '--images', self.images).stdout.split()
        self.assertEqual(len(listed), 101)
        os.makedirs(os.path.join(self.images, archive.digest.replace(':', '-'), 'rootfs'))
        self.assertEqual(self.run_import(archive).returncode, 0, 'it is there already')


if __name__ == '__main__':
    unittest.main(verbosity=2)
