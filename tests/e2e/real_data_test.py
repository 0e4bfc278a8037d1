"""Real data reaches its reference figures, through the service, with the definitions in examples/.

Looks for the data in $BEAMLINE_DATASETS, then in ../shared/datasets; skips what is not there. The
figures are those of scikit-learn on the same rows, as the README beside each data set has them.
"""

import glob
import os
import shutil
import unittest

import harness

DATASETS = os.environ.get('BEAMLINE_DATASETS',
                          os.path.join(harness.ROOT, '..', 'shared', 'datasets'))


class RealDataTest(harness.ClusterTest):

    def evaluation(self, name):
        """Metrics of the run of examples/<name>/pipeline.yaml on the data set of that name."""
        data = os.path.join(DATASETS, name)
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

    def test_iris(self):
        self.assertGreaterEqual(self.evaluation('iris')['accuracy'], 0.9666)

    def test_california_housing(self):
        # Missing values and a categorical column. The reference is MLP(100, 100).
        metrics = self.evaluation('california_housing')
        self.assertLessEqual(metrics['rmse'], 53_000)
        self.assertGreaterEqual(metrics['r2'], 0.785)


if __name__ == '__main__':
    unittest.main(verbosity=2)
