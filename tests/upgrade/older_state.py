#!/usr/bin/python3
"""Makes, of a state folder of a later version, one that an earlier commit's server could have left:

    tests/upgrade/older_state.py COMMIT LATER.tar.xz tests/upgrade/states/SCHEMA-COMMIT.tar.xz

The database is made anew by the SQL of that commit, taken from git, and filled with the rows of the
later one, as far as tables and columns were there; messages go through that commit's protos, so that
what was not known then is not in them. For commits whose programs take too
long to build.
"""

import glob
import importlib
import json
import os
import re
import sqlite3
import subprocess
import sys
import tarfile
import tempfile

# Columns that had other names before.
NAMES_BEFORE = {('tasks', 'id'): 'step', ('attempts', 'task'): 'step',
                ('tasks', 'stopping'): 'cancelling'}
# What columns hold.
MESSAGES = {
    ('projects', 'message'): 'Project', ('workers', 'message'): 'Worker',
    ('datasets', 'message'): 'Dataset', ('pipelines', 'message'): 'Pipeline',
    ('runs', 'message'): 'Run', ('runs', 'definition'): 'PipelineDefinition',
    ('tasks', 'message'): 'Task', ('attempts', 'message'): 'Attempt',
    ('attempts', 'result'): 'AttemptResult', ('events', 'message'): 'Event',
    ('models', 'message'): 'Model', ('trials', 'message'): 'Trial'}


def git(*arguments):
    return subprocess.run(['git', *arguments], check=True, capture_output=True).stdout


def schema_of(commit):
    """The SQL of its migrations, in their order."""
    names = sorted(name for name in git('ls-tree', '--name-only', commit, 'store/').decode().split()
                   if re.fullmatch(r'store/schema_v\d+\.h', name))
    return [re.search(r'R"sql\((.*)\)sql"', git('show', f'{commit}:{name}').decode(),
                      re.DOTALL).group(1) for name in names]


def modules_of(commit, folder):
    """Modules with the commit's messages."""
    archive = os.path.join(folder, 'proto.tar')
    with open(archive, 'wb') as file:
        file.write(git('archive', commit, 'proto'))
    with tarfile.open(archive) as tar:
        tar.extractall(folder)
    protos = os.path.join(folder, 'proto')
    names = sorted(glob.glob(os.path.join(protos, 'beamline/v1/*.proto')))
    subprocess.run(['protoc', '-I', protos, '--python_out', folder, *names,
                    *glob.glob(os.path.join(protos, 'google/rpc/*.proto'))], check=True)
    import google
    google.__path__.append(os.path.join(folder, 'google'))
    sys.path.insert(0, folder)
    return [importlib.import_module(f'beamline.v1.{os.path.basename(name)[:-6]}_pb2')
            for name in names]


def as_then(modules, table, column, value):
    """The bytes of a message without what was not known."""
    name = MESSAGES.get((table, column))
    if value is None or name is None:
        return value
    message = next(getattr(module, name) for module in modules
                   if hasattr(module, name)).FromString(value)
    message.DiscardUnknownFields()
    return message.SerializeToString()


def columns_of(database, table):
    return [row[1] for row in database.execute(f'PRAGMA table_info({table})')]


def copy(later, older, modules):
    later_tables = {row[0] for row in later.execute(
        "SELECT name FROM sqlite_schema WHERE type = 'table'")}
    for (table,) in older.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall():
        # Triggers count runs.
        if table not in later_tables or table == 'run_counts':
            continue
        pairs = [(then, now) for now in columns_of(later, table)
                 for then in {now, NAMES_BEFORE.get((table, now), now)}
                 if then in columns_of(older, table)]
        marks = ', '.join('?' * len(pairs))
        for row in later.execute(f'SELECT {", ".join(now for _, now in pairs)} FROM {table}'):
            older.execute(
                f'INSERT INTO {table} ({", ".join(then for then, _ in pairs)}) VALUES ({marks})',
                [as_then(modules, table, now, value) for (_, now), value in zip(pairs, row)])


def main():
    commit, source, output = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        modules = modules_of(commit, folder)
        with tarfile.open(source) as tar:
            tar.extractall(folder)
        path = os.path.join(folder, 'state', 'beamline.db')
        later = sqlite3.connect(path)
        older = sqlite3.connect(path + '.new', isolation_level=None)
        schema = schema_of(commit)
        for sql in schema:
            older.executescript(sql)
        older.execute('BEGIN')
        copy(later, older, modules)
        older.execute('COMMIT')
        older.execute(f'PRAGMA application_id = {later.execute("PRAGMA application_id").fetchone()[0]}')
        older.execute(f'PRAGMA user_version = {len(schema)}')
        older.execute('PRAGMA journal_mode = WAL')
        assert not older.execute('PRAGMA foreign_key_check').fetchall()
        older.close()
        later.close()
        for name in glob.glob(path + '-*') + [path]:
            os.remove(name)
        os.rename(path + '.new', path)
        known = os.path.join(folder, 'state.json')
        with open(known, encoding='utf-8') as file:
            text = {**json.load(file), 'schema': len(schema)}
        with open(known, 'w', encoding='utf-8') as file:
            file.write(json.dumps(text, indent=1) + '\n')
        with tarfile.open(output, 'w:xz') as tar:
            for name in ('state.json', 'state'):
                tar.add(os.path.join(folder, name), name)


if __name__ == '__main__':
    main()
