"""Bad input: each gets an error that names the place, nothing is stored, and the server lives on."""

import unittest

import harness
from harness import STUBS, grpc

CLUSTER, DATASET, EVENT, PIPELINE, RUN = (
    STUBS[name][0] for name in ('cluster', 'dataset', 'event', 'pipeline', 'run'))
GOOD = harness.pipeline()

# (what, definition, parts of the message). The place is FILE:LINE:COLUMN or a field path.
DEFINITIONS = [
    ('malformed YAML', 'name: x\nsteps: [\n', ['p.yaml:']),
    ('a tab as indentation', 'name: x\nsteps:\n\t- name: y\n', ['p.yaml:3']),
    ('no mapping', '- 1\n- 2\n', ['p.yaml']),
    ('nothing', '', ['p.yaml']),
    ('an unknown field', GOOD.replace('batch_size: 32', 'batch_sise: 32'),
     ['p.yaml:23:', 'batch_sise', 'batch_size']),
    ('a wrong type', GOOD.replace('epochs: 5', 'epochs: many'), ['p.yaml:22:', 'epochs']),
    ('a wrong enum value', GOOD.replace('activation: relu', 'activation: rleu'),
     ['p.yaml:16:', 'rleu', 'relu']),
    ('an unknown input', GOOD.replace('input: points', 'input: pionts'), ['p.yaml:9:', 'points']),
    ('an unknown step', GOOD.replace('evaluate: {model: train', 'evaluate: {model: trian'),
     ['train']),
    ('a cycle', GOOD.replace('  - name: train\n', '  - name: train\n    after: [publish]\n'),
     ['train', 'publish']),
    ('two steps of one name', GOOD.replace('name: evaluate', 'name: train'), ['train']),
    ('a negative size', GOOD.replace('units: 8', 'units: -8'), ['p.yaml:16:', 'units']),
    ('an absurd layer', GOOD.replace('units: 8', 'units: 2000000000'), ['units']),
    ('a number out of range', GOOD.replace('units: 8', 'units: 99999999999999999999'),
     ['p.yaml:16:', 'units']),
    ('absurd resources', GOOD.replace(
        '  - name: train\n', '  - name: train\n    resources: {cpus: -1}\n'), ['cpus']),
    ('a rate that is no number', GOOD.replace('learning_rate: 0.01', 'learning_rate: .nan'),
     ['learning_rate']),
    ('an aliases bomb', 'a: &a [x,x,x,x,x,x,x,x,x]\n' + ''.join(
        f'{chr(98 + i)}: &{chr(98 + i)} [' + ','.join(['*' + chr(97 + i)] * 9) + ']\n'
        for i in range(9)), ['p.yaml']),
    ('deep nesting', '[' * 5000 + ']' * 5000, ['p.yaml']),
    ('bytes that are no text', 'name: x\nseed: "a\udcff"\n', ['p.yaml:2:9:', 'UTF-8']),
]

# (what, CSV, parts of the message, whether the upload is already refused)
TABLES = [
    ('an empty file', '', ['empty'], True),
    ('a header and nothing else', 'x,y,z,label\n', ['row'], True),
    ('a ragged row', 'x,y,z,label\n1,2,3,a\n1,2\n', ['3'], True),
    ('an open quote', 'x,y,z,label\n1,2,3,"a\n', ['2'], True),
    ('a missing column', harness.two_classes().replace('label', 'lable', 1),
     ['target', 'label', 'lable'], False),
    ('labels that are missing', harness.two_classes().replace(',yes', ',NaN', 1), ['label'], False),
    ('labels of one class', harness.two_classes().replace(',no', ',yes'), ['label', 'class'],
     False),
    ('two rows', 'x,y,z,label\n1,2,3,yes\n2,1,1,no\n', ['row'], False),
]


class BadInputTest(harness.ClusterTest):

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.cluster.write('points.csv', harness.two_classes())

    def stored(self):
        """Names of all datasets, runs and pipelines."""
        return [self.cluster.cli(kind, 'list', '--json', check=0).out
                for kind in ('dataset', 'pipeline')] + [
                    [line['name'] for line in
                     self.cluster.cli('run', 'list', '--json', '--limit', '1000', check=0).lines()]]

    def refused(self, arguments, parts, code=3):
        """The call is refused with a message of all parts, and stores nothing."""
        before = self.stored()
        result = self.cluster.cli(*arguments)
        self.assertEqual(result.code, code, result.out + result.err)
        for part in parts:
            self.assertIn(part, result.err)
        self.assertEqual(self.stored(), before)
        self.assert_server_lives()

    def test_definitions(self):
        for what, text, parts in DEFINITIONS:
            with self.subTest(what):
                path = self.cluster.path('p.yaml')
                with open(path, 'wb') as file:
                    file.write(text.encode('utf-8', 'surrogateescape'))
                self.refused(['pipeline', 'validate', path], parts)
                self.refused(['pipeline', 'create', path], [])
                self.refused(['run', 'create', path], [])

    def test_all_errors_at_once(self):
        text = GOOD.replace('epochs: 5', 'epochs: many').replace('units: 8', 'unitts: 8')
        path = self.cluster.write('p.yaml', text)
        self.refused(['pipeline', 'validate', path], ['p.yaml:16:', 'p.yaml:22:', '2 errors'])

    def test_what_is_not_built_yet_says_so(self):
        study = '  - name: own\n    scaling_study: {step: train, vary: {workers: [1]}}\n'
        text = GOOD.replace('  - name: evaluate\n', study + '  - name: evaluate\n')
        path = self.cluster.write('p.yaml', text)
        self.refused(['run', 'create', path], ['several workers'])
        request = PIPELINE.CreatePipelineRequest(parent='projects/default')
        request.source.yaml = text
        error = self.assert_code(grpc.StatusCode.UNIMPLEMENTED,
                                 self.cluster.stubs['pipeline'].CreatePipeline, request)
        self.assertIn('several workers', error.details())

    def test_tables(self):
        for what, text, parts, at_upload in TABLES:
            with self.subTest(what):
                data = self.cluster.write('bad.csv', text)
                if at_upload:
                    self.refused(['dataset', 'upload', data], parts)
                    continue
                self.cluster.cli('dataset', 'upload', data, check=0)
                path = self.cluster.write('q.yaml', harness.pipeline(file='bad.csv'))
                self.refuse_or_fail(path, parts)

    def refuse_or_fail(self, path, parts):
        """Refused at once, or else the run fails by the user's mistake and is not tried again."""
        result = self.cluster.cli('run', 'create', path, '--name-only')
        message = result.err
        if result.code == 0:
            run = self.cluster.wait_for_end(result.out.strip())
            self.assertEqual(run.state, EVENT.RUN_STATE_FAILED)
            self.assertEqual(run.failure.kind, STUBS['common'][0].FAILURE_KIND_USER, run.failure)
            message = f'{run.failure.field}: {run.failure.message}'
        else:
            self.assertEqual(result.code, 3, result.err)
        for part in parts:
            self.assertIn(part, message)
        self.assert_server_lives()

    def test_files_that_are_not_there(self):
        self.refused(['dataset', 'upload', self.cluster.path('absent.csv')], ['absent.csv'])
        self.refused(['dataset', 'upload', self.cluster.folder], ['not a plain file'])
        path = self.cluster.write('absent.yaml', harness.pipeline(file='absent.csv'))
        self.refused(['run', 'create', path], ['inputs.points.file', 'absent.csv', '--input'], 2)
        self.refused(['run', 'create', self.cluster.path('none.yaml')], ['none.yaml'], 2)

    def test_unknown_things(self):
        good = self.cluster.write('good.yaml', GOOD)
        self.refused(['run', 'create', good, '--input', 'points=nothing'], ['nothing'], 4)
        self.refused(['run', 'create', good, '--input', 'pionts=nothing'], ['points'], 2)
        digest = '0' * 64
        result = self.cluster.cli('run', 'create', good, '--input', f'points={digest}')
        self.assertIn(result.code, (3, 4), result.err)
        self.assertIn(digest, result.err)
        for arguments in (['run', 'show', 'r-none'], ['model', 'show', 'none'],
                          ['pipeline', 'show', 'none'], ['dataset', 'describe', 'none'],
                          ['run', 'cancel', 'r-none'], ['run', 'watch', 'r-none'],
                          ['worker', 'drain', 'none']):
            self.refused(arguments, [], 4)

    def test_parameters(self):
        good = self.cluster.write('good.yaml', GOOD)
        self.cluster.cli('dataset', 'upload', self.cluster.path('points.csv'), check=0)
        self.refused(['run', 'create', good, '--set', 'sede=1'], ['sede'])
        self.refused(['run', 'create', good, '--set', 'seed=x'], ['seed'])
        self.refused(['run', 'create', good, '--set', 'steps.train.train.network.epohcs=3'],
                     ['epohcs'])
        self.refused(['run', 'create', good, '--set', 'seed'], ['NAME=VALUE'], 2)

    def begin(self, data, digest=None, size=None):
        request = DATASET.BeginUploadRequest(parent='projects/default', display_name='raw.csv')
        request.source.digest = harness.sha256(data) if digest is None else digest
        request.source.size_bytes = len(data) if size is None else size
        return request

    def test_a_corrupted_upload(self):
        stubs = self.cluster.stubs['dataset']
        data = harness.two_classes(rows=40, seed=77).encode()
        before = self.stored()
        upload = stubs.BeginUpload(self.begin(data)).upload
        damaged = data[:100] + b'9' + data[101:]
        self.assertNotEqual(damaged, data)
        stubs.WriteUpload(iter([DATASET.WriteUploadRequest(upload=upload.name, data=damaged)]))
        error = self.assert_code(grpc.StatusCode.DATA_LOSS, stubs.FinishUpload,
                                 DATASET.FinishUploadRequest(name=upload.name))
        self.assertIn('digest', error.details())
        self.assert_code(grpc.StatusCode.NOT_FOUND, stubs.GetUpload,
                         DATASET.GetUploadRequest(name=upload.name))
        self.assertEqual(self.stored(), before)
        # The right bytes afterwards are welcome.
        upload = stubs.BeginUpload(self.begin(data)).upload
        self.assertEqual(upload.committed_size_bytes, 0)
        stubs.WriteUpload(iter([DATASET.WriteUploadRequest(upload=upload.name, data=data)]))
        dataset = stubs.FinishUpload(DATASET.FinishUploadRequest(name=upload.name))
        self.assertEqual(dataset.row_count, 40)

    def test_uploads_that_make_no_sense(self):
        stubs = self.cluster.stubs['dataset']
        data = harness.two_classes(rows=41, seed=78).encode()
        invalid = grpc.StatusCode.INVALID_ARGUMENT
        for request in (self.begin(data, digest='xyz'), self.begin(data, size=-1),
                        self.begin(data, size=1 << 60), self.begin(data, digest='../../etc')):
            self.assert_code(invalid, stubs.BeginUpload, request)
        upload = stubs.BeginUpload(self.begin(data)).upload
        self.assert_code(
            grpc.StatusCode.OUT_OF_RANGE, stubs.WriteUpload,
            iter([DATASET.WriteUploadRequest(upload=upload.name, offset=10, data=b'x')]))
        data = harness.two_classes(rows=42, seed=79).encode()
        upload = stubs.BeginUpload(self.begin(data)).upload
        with self.assertRaises(grpc.RpcError) as caught:
            stubs.WriteUpload(iter([DATASET.WriteUploadRequest(upload=upload.name,
                                                               data=data + b'more')]))
        self.assertIn(caught.exception.code(), (invalid, grpc.StatusCode.OUT_OF_RANGE))
        with self.assertRaises(grpc.RpcError) as caught:
            stubs.FinishUpload(DATASET.FinishUploadRequest(name=upload.name))
        self.assertIn(caught.exception.code(), (grpc.StatusCode.FAILED_PRECONDITION, invalid,
                                                grpc.StatusCode.DATA_LOSS))
        self.assert_server_lives()

    def test_oversized_messages(self):
        stubs = self.cluster.stubs
        refused = (grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.INVALID_ARGUMENT)
        huge = PIPELINE.ValidatePipelineRequest(parent='projects/default')
        huge.source.yaml = 'name: ' + 'x' * (80 << 20)
        with self.assertRaises(grpc.RpcError) as caught:
            stubs['pipeline'].ValidatePipeline(huge)
        self.assertIn(caught.exception.code(), refused)
        upload = stubs['dataset'].BeginUpload(self.begin(b'x' * (3 << 20))).upload
        with self.assertRaises(grpc.RpcError) as caught:
            stubs['dataset'].WriteUpload(
                iter([DATASET.WriteUploadRequest(upload=upload.name, data=b'x' * (3 << 20))]))
        self.assertIn(caught.exception.code(), refused)
        self.assert_server_lives()

    def test_names_that_are_none(self):
        run = self.cluster.stubs['run']
        for name in ('', 'x', 'projects/', 'projects/default', 'projects/default/runs/',
                     'projects/../default/runs/x', 'projects/default/runs/' + 'x' * 100_000,
                     'projects/default/models/x'):
            with self.subTest(name[:50]):
                with self.assertRaises(grpc.RpcError) as caught:
                    run.GetRun(RUN.GetRunRequest(name=name))
                self.assertIn(caught.exception.code(), (grpc.StatusCode.INVALID_ARGUMENT,
                                                        grpc.StatusCode.NOT_FOUND))
        for page_size in (-1, 2_000_000_000):
            request = RUN.ListRunsRequest(parent='projects/default', page_size=page_size)
            try:
                run.ListRuns(request)
            except grpc.RpcError as error:
                self.assertEqual(error.code(), grpc.StatusCode.INVALID_ARGUMENT)
        self.assert_code(grpc.StatusCode.INVALID_ARGUMENT, run.ListRuns,
                         RUN.ListRunsRequest(parent='projects/default', page_token='\x00junk'))
        self.assert_server_lives()


if __name__ == '__main__':
    unittest.main(verbosity=2)
