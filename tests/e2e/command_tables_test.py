"""Tables that programs make: what later steps do with them, and what is no table."""

import json
import textwrap
import unittest

from harness import STUBS
from programs import FAILED, RUN, ProgramTest

MODEL = STUBS['model'][0]

# Rows of a ring around the origin and of its inside; the same ones each time.
MAKE = '''
    import csv, random
    scale = float(open('inputs/scales.csv').read().split()[1]) if SCALED else 1
    draw = random.Random(7)
    with open('outputs/rings.csv', 'w', newline='') as file:
        rows = csv.writer(file)
        rows.writerow(['x', 'y', 'where', 'number'])
        for number in range(600):
            x, y = draw.uniform(-scale, scale), draw.uniform(-scale, scale)
            rows.writerow([x, y, 'in' if x * x + y * y < scale * scale / 2 else 'out, "far"', number])
    '''

NETWORK = {'layers': [{'dense': {'units': 16, 'activation': 'relu'}}, {'dense': {}}],
           'optimizer': {'adam': {'learning_rate': 0.02}}, 'epochs': 40, 'batch_size': 32}


def command(script, **more):
    return {'program': {'arguments': ['python3', 'main.py'],
                        'files': {'main.py': {'text': textwrap.dedent(script)}}}, **more}


def train(table, **data):
    return {'data': {'input': table, 'target': 'where', 'features': ['x', 'y'],
                     'split': {'random': {'test': 0.3, 'validation': 0.2}}, **data}, 'network': NETWORK}


class TablesTest(ProgramTest):

    def write(self, steps, name='tables', **inputs):
        definition = {'name': name, 'inputs': inputs,
                      'steps': [{'name': step, **what} for step, what in steps.items()]}
        return self.cluster.write(f'{name}.json', json.dumps(definition))

    def tasks(self, run):
        return {task.step: task for task in
                self.cluster.stubs['run'].ListTasks(RUN.ListTasksRequest(parent=run.name)).tasks}

    def test_later_steps_use_it(self):
        self.cluster.write('scales.csv', 'scale\n2.5\n')
        path = self.write({
            'make': {'command': command(MAKE.replace('SCALED', 'True'), inputs=['scales'], table='rings')},
            'even': {'prepare': {'input': 'make', 'operations': [
                {'filter': {'where': 'number % 2 == 0'}}]}},
            'train': {'train': train('make')},
            'half': {'train': train('even')},
            'measure': {'evaluate': {'model': 'train'}},
            'again': {'evaluate': {'model': 'half', 'input': 'make'}},
            'count': {'command': command('''
                import csv
                for name in ('make', 'even'):
                    rows = list(csv.reader(open(f'inputs/{name}.csv')))
                    print(name, len(rows) - 1, rows[0], sorted({row[2] for row in rows[1:]}))
                ''', inputs=['make', 'even'])},
            'publish': {'publish': {'model': 'half', 'name': 'half'}}}, scales={'file': 'scales.csv'})
        run = self.cluster.expect_success(self.cluster.create_run(path))
        tasks = self.tasks(run)
        made = tasks['make'].result.table
        self.assertEqual(made.row_count, 600)
        self.assertEqual([column.name for column in made.columns], ['x', 'y', 'where', 'number'])
        self.assertEqual(made.columns[2].statistics.distinct, 2)
        self.assertEqual(tasks['even'].result.table.row_count, 300)
        self.assertEqual(self.logs(run.name), [
            f"{name} {rows} ['x', 'y', 'where', 'number'] ['in', 'out, \"far\"']"
            for name, rows in (('make', 600), ('even', 300))])
        self.assertEqual(tasks['measure'].result.evaluation.row_count, 180)
        self.assertGreater(tasks['measure'].result.evaluation.metrics['accuracy'], 0.85)
        self.assertEqual(tasks['again'].result.evaluation.row_count, 600)
        digests = self.cluster.stubs['model'].GetModel(
            MODEL.GetModelRequest(name=run.models[0])).lineage.data_digests
        self.assertEqual(set(digests), {'scales', 'make', 'even'})
        self.assertEqual(digests['make'], tasks['make'].result.artifacts['table'].digest)

        # The program runs again; what learned from the same table does not.
        name = self.cluster.cli('run', 'create', path, '--name-only', check=0).out.strip()
        again = self.tasks(self.cluster.expect_success(name))
        self.assertEqual(again['make'].result.artifacts['table'].digest, digests['make'])
        self.assertEqual(again['make'].result.taken_from, '')
        for step in ('even', 'train', 'half', 'measure'):
            self.assertEqual(again[step].result.taken_from, tasks[step].name, step)

    def test_searches_and_folds(self):
        path = self.write({
            'make': {'command': command(MAKE.replace('SCALED', 'False'), table='rings')},
            'train': {'train': train('make', split={'random': {'validation': 0.2}}),
                      'search': {'space': {'train.network.batch_size': {'choice': [16, 32]}},
                                 'grid': {}},
                      'cross_validation': {'k_fold': {'folds': 2}}}})
        run = self.cluster.expect_success(self.cluster.create_run(path))
        self.assertEqual(self.tasks(run)['make'].result.table.row_count, 600)

    def expect(self, script, text, field):
        path = self.write({'make': {'command': command(script, table='rings')}})
        run = self.cluster.wait_for_end(self.cluster.create_run(path))
        self.assertEqual(run.state, FAILED, script)
        self.assertIn(text, run.failure.message)
        self.assertEqual(run.failure.field, field)

    def test_what_is_no_table(self):
        secret = self.cluster.write('secret.csv', 'word\nsecret\n')
        link = f'os.symlink({secret!r}, "outputs/rings.csv")'
        for script, text in (
                ('', 'the program left no outputs/rings.csv'),
                (f'import os; {link}', 'is a link'),
                ('import os; os.symlink("/proc/self/environ", "outputs/rings.csv")', 'is a link'),
                (f'import os; os.rmdir("outputs"); os.symlink({self.cluster.path()!r}, "outputs")',
                 'outputs/ cannot be read'),
                ('import os; os.mkdir("outputs/rings.csv")', 'is no file'),
                ('open("outputs/rings.csv", "w")', 'the file is empty'),
                ('open("outputs/rings.csv", "w").write("a,b\\n")', 'outputs/rings.csv'),
                ('open("outputs/rings.csv", "w").write("a,b\\n1,2\\n3\\n")', 'line 3 (row 2)'),
                ('open("outputs/rings.csv", "w").write("a,a\\n1,2\\n")', '"a"'),
                ('open("outputs/rings.csv", "wb").write(b"a,b\\n1,\\xff\\n")', 'UTF-8'),
                ('open("outputs/rings.csv", "wb").write(b"a,b\\n1,\\0\\n")', 'NUL')):
            with self.subTest(script=script):
                self.expect(script, text, 'steps.make.command.table')

    def test_a_table_larger_than_the_memory_of_the_step(self):
        path = self.write({'make': {
            'command': command('''
                with open('outputs/rings.csv', 'w') as file:
                    file.write('a\\n')
                    for _ in range(40):
                        file.write('0.5\\n' * 500000)
                ''', table='rings'),
            'resources': {'memory_bytes': '128 MiB'}, 'retry': {'max_attempts': 1}}})
        run = self.cluster.expect_success(self.cluster.create_run(path))
        self.assertEqual(self.tasks(run)['make'].result.table.row_count, 20_000_000)

    def test_columns_that_steps_miss_are_found_when_they_start(self):
        make = MAKE.replace('SCALED', 'False')
        network = {**train('make'), 'network': {**NETWORK, 'layers': [
            {'dense': {'units': 3}}, {'dense': {'units': 9}}]}}
        for step, field, text in (
                ({'train': train('make', target='there')}, 'train.data.target',
                 'the data has no column "there"'),
                ({'train': train('make', features=['x', 'z'])}, 'train.data.features.1',
                 'the data has no column "z"'),
                ({'train': network}, 'train.network', 'units'),
                ({'prepare': {'input': 'make', 'operations': [{'select': {'columns': ['z']}}]}},
                 'prepare.operations.0.select.columns.0', '"z"')):
            with self.subTest(field=field):
                run = self.failed(make, step)
                self.assertIn(text, run.failure.message)
                self.assertTrue(run.failure.field.startswith(f'steps.last.{field}'), run.failure.field)

    def failed(self, script, step):
        path = self.write({'make': {'command': command(script, table='rings')}, 'last': step})
        run = self.cluster.wait_for_end(self.cluster.create_run(path))
        self.assertEqual(run.state, FAILED)
        return run

    def test_what_is_refused_at_once(self):
        self.cluster.write('points.csv', 'x\n1\n')
        for steps, text in (
                ({'make': {'command': command('', table='rings.csv')}}, 'leave its ".csv" out'),
                ({'make': {'command': command('', table='../rings')}}, "without '/'"),
                ({'points': {'command': command('', table='rings')}}, 'rename one'),
                ({'make': {'command': command('')}, 'train': {'train': train('make')}}, 'makes no table'),
                ({'make': {'command': command('', table='a', inputs=['make'])}}, 'waits for itself')):
            path = self.write(steps, points={'file': 'points.csv'})
            refused = self.cluster.cli('run', 'create', path)
            self.assertNotEqual(refused.code, 0, steps)
            self.assertIn(text, refused.err)


if __name__ == '__main__':
    unittest.main(verbosity=2)
