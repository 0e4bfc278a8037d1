"""The files of the tree, and C++ without its comments and strings."""

import os
import re
import shutil
import subprocess

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), '..', '..'))
CPP = ('.h', '.cc', '.cu', '.cuh')


def files(root=ROOT, suffixes=CPP):
    """Paths below `root`, relative to it: what git tracks, or all but builds if there is no git."""
    found = None
    if os.path.exists(os.path.join(root, '.git')) and shutil.which('git'):
        listing = subprocess.run(
            ['git', '-C', root, '-c', 'safe.directory=*', 'ls-files', '--cached', '--others',
             '--exclude-standard'], capture_output=True, text=True, check=False)
        if listing.returncode == 0:
            found = listing.stdout.splitlines()
    if found is None:
        found = []
        for folder, folders, names in os.walk(root):
            folders[:] = [name for name in folders if name not in ('build', '.git', '__pycache__')]
            found += [os.path.relpath(os.path.join(folder, name), root) for name in names]
    return sorted(path for path in found
                  if path.endswith(suffixes) and os.path.isfile(os.path.join(root, path)))


def read(path, root=ROOT):
    with open(os.path.join(root, path), encoding='utf-8') as file:
        return file.read()


# Comments, raw strings, strings and characters; digit separators (1'000) are no characters.
_QUIET = re.compile(
    r'//[^\n]*|/\*.*?\*/|R"(?P<tag>[^()\s\\]{0,16})\(.*?\)(?P=tag)"'
    r'|"(?:\\.|[^"\\\n])*"|(?<![0-9a-fA-F])\'(?:\\.|[^\'\\\n])+\'', re.DOTALL)


def code_of(text):
    """`text` with comments and literals blanked; lines stay where they are."""
    return _QUIET.sub(lambda m: '""' if m.group(0)[0] in 'R"' and '\n' not in m.group(0)
                      else '\n' * m.group(0).count('\n'), text)
