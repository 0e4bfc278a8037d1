"""Stages of models, lineage, and a model that is made again, as users do it."""

import unittest

import harness


class RegistryTest(harness.ClusterTest):

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.cluster.write('points.csv', harness.two_classes())
        cls.path = cls.cluster.write('p.yaml', harness.pipeline())
        cls.name = cls.cluster.create_run(cls.path)
        cls.run_ended = cls.cluster.expect_success(cls.name)

    def test_stages(self):
        cli = self.cluster.cli
        self.assertIn(' none', cli('model', 'stage', 'points/1', check=0).out)
        cli('model', 'show', 'points/production', check=4)
        cli('model', 'stage', 'points/1', 'production', check=0)
        shown = cli('model', 'show', 'points/production', '--json', check=0).json()
        self.assertEqual(shown['stage'], 'MODEL_STAGE_PRODUCTION')
        answer = cli('model', 'predict', 'points/production', '--row',
                     '{"x": 2, "y": -2, "z": 0}', check=0)
        self.assertIn('yes', answer.out)
        self.assertIn('give none, staging', cli('model', 'stage', 'points/1', 'best').err)

    def test_lineage(self):
        out = self.cluster.cli('lineage', 'points/1', check=0).out
        self.assertIn('model points/1', out)
        self.assertIn('dataset points.csv', out)
        self.assertIn(self.name.rsplit('/', 1)[1], out)
        lineage = self.cluster.cli('lineage', self.name, '--json', check=0).json()
        self.assertEqual(len(lineage['arcs']), 2)

    def test_a_model_is_made_again_with_the_same_digest(self):
        digest = self.cluster.model_digest(self.run_ended)
        out = self.cluster.cli('reproduce', 'points/1', check=0).out
        self.assertIn(f'the same model: sha256:{digest}', out)
        models = self.cluster.cli('model', 'list', 'points', '--json', check=0).lines()
        self.assertEqual(len(models), 1)


if __name__ == '__main__':
    unittest.main()
