"""Real data reaches its reference figures, through the service, with the definitions in examples/.

Looks for the data in $BEAMLINE_DATASETS, then in ../shared/datasets; skips what is not there. The
figures are those of scikit-learn on the same rows, as the README beside each data set has them.
"""

import glob
import gzip
import json
import os
import shutil
import unittest

import harness

DATASETS = os.environ.get('BEAMLINE_DATASETS',
                          os.path.join(harness.ROOT, '..', 'shared', 'datasets'))


class RealDataTest(harness.ClusterTest):

    def evaluation(self, name, dataset=None):
        """Metrics of the run of examples/<name>/pipeline.yaml on a data set, by default that name's."""
        data = os.path.join(DATASETS, dataset or name)
        if not os.path.isdir(data):
            self.skipTest(f'there is no {data}: set BEAMLINE_DATASETS')
        definition = os.path.join(harness.ROOT, 'examples', name, 'pipeline.yaml')
        folder = self.cluster.path(name)
        os.mkdir(folder)
        # The definition names its files as lying beside it.
        for path in [definition, *glob.glob(os.path.join(data, '*'))]:
            os.symlink(os.path.abspath(path), os.path.join(folder, os.path.basename(path)))
        self.addCleanup(shutil.rmtree, folder)
        self.cluster.cli('run', 'create', os.path.join(folder, 'pipeline.yaml'), '--watch',
                         check=0, timeout=300)
        tasks = self.cluster.cli('run', 'show', '--json', check=0).lines()[1:]
        metrics = [task['result']['evaluation']['metrics'] for task in tasks
                   if 'evaluation' in task.get('result', {})]
        self.assertEqual(len(metrics), 1)
        print(name, {key: round(value, 4) for key, value in sorted(metrics[0].items())}, flush=True)
        return metrics[0]

    def test_higgs(self):
        # Train on A, test on B. scikit-learn's MLP(100) has 0.714; above 0.83 leaks.
        auc = self.evaluation('higgs')['auc']
        self.assertGreaterEqual(auc, 0.75)
        self.assertLess(auc, 0.83)

    def test_wdbc(self):
        metrics = self.evaluation('wdbc')
        self.assertGreaterEqual(metrics['auc'], 0.9926)
        self.assertGreaterEqual(metrics['accuracy'], 0.956)

    def test_optdigits_neighbours(self):
        # scikit-learn: 0.9800.
        self.assertGreaterEqual(self.evaluation('optdigits_neighbours', 'optdigits')['accuracy'],
                                0.9799)

    def test_magic_search(self):
        # Hyperband over boosted trees. XGBoost without a search: 0.9396.
        self.assertGreaterEqual(self.evaluation('magic_search', 'magic04')['auc'], 0.937)
        trials = self.cluster.cli('run', 'trials', '--json', check=0).json()['trials']
        self.assertGreater(len(trials), 10)

    def test_wdbc_search(self):
        metrics = self.evaluation('wdbc_search', 'wdbc')
        self.assertGreaterEqual(metrics['auc'], 0.99)
        self.assertGreaterEqual(metrics['accuracy'], 0.956)
        trials = self.cluster.cli('run', 'trials', '--json', check=0).json()['trials']
        self.assertEqual(len(trials), 24)
        self.assertTrue(all(len(trial['fold_values']) == 5 for trial in trials))

    def test_iris(self):
        self.assertGreaterEqual(self.evaluation('iris')['accuracy'], 0.9666)

    def test_california_housing(self):
        # Missing values and a categorical column. The reference is MLP(100, 100).
        metrics = self.evaluation('california_housing')
        self.assertLessEqual(metrics['rmse'], 53_000)
        self.assertGreaterEqual(metrics['r2'], 0.785)

    def test_california_prepared(self):
        # The same from a table that two prepare steps make.
        self.assertLessEqual(self.evaluation('california_prepared', 'california_housing')['rmse'],
                             48_000)
        shown = self.cluster.cli('run', 'show', check=0).out
        self.assertIn('table of coasts: 5 rows x 4 columns', shown)
        self.assertIn('table of clean: 19.7 k rows x 16 columns', shown)

    def test_mnist(self):
        # Two files each for training and test. scikit-learn's MLP(300) has 0.981.
        self.assertGreaterEqual(self.evaluation('mnist_mlp', 'mnist')['accuracy'], 0.98)
        images = self.cluster.path('images.jsonl')
        with gzip.open(os.path.join(DATASETS, 'mnist', 't10k-images-idx3-ubyte.gz')) as file:
            pixels = file.read()[16:16 + 3 * 784]
        with open(images, 'w') as file:
            for i in range(3):
                file.write(json.dumps({'image': list(pixels[784 * i:784 * (i + 1)])}) + '\n')
        answer = self.cluster.cli('model', 'predict', 'mnist-mlp', '--rows', images, '--json',
                                  check=0)
        self.assertEqual([line['label'] for line in answer.lines()], ['7', '2', '1'])
        # The files are there already, however they are given.
        files = [os.path.join(DATASETS, 'mnist', f't10k-{name}-ubyte.gz')
                 for name in ('images-idx3', 'labels-idx1')]
        again = self.cluster.cli('dataset', 'upload', '--join', *files, check=0)
        self.assertIn('is there already', again.err)
        self.assertIn('rows, but array 1 has',
                      self.cluster.cli('dataset', 'upload', '--join', files[0],
                                       os.path.join(DATASETS, 'mnist', 'train-labels-idx1-ubyte.gz')).err)

    def test_thyroid(self):
        # Anomalies by reconstruction. Principal components have 0.956, an isolation forest 0.978.
        metrics = self.evaluation('thyroid_autoencoder', 'thyroid_anomaly')
        self.assertGreaterEqual(metrics['auc'], 0.98)


if __name__ == '__main__':
    unittest.main(verbosity=2)
