#!/usr/bin/python3
"""Prints docs/reference/cli.md: what `beamline help` says about every command.

usage: tools/cli_reference.py build/release/bin/beamline > docs/reference/cli.md
"""

import re
import subprocess
import sys


def help_of(binary, *command):
    return subprocess.run([binary, 'help', *command], capture_output=True, text=True,
                          check=True).stdout


def reference(binary):
    overview = help_of(binary)
    commands = overview.split('Commands:\n')[1].split('\n\n')[0].splitlines()
    common = overview.split('Flags of every command:\n')[1].split('\n\n')[0]
    text = ('# The command line\n\nMade by `tools/cli_reference.py` from the program\'s own help; '
            'do not edit.\n\n```\n' + overview + '```\n')
    for line in commands:
        path = re.split(r'  +', line.strip())[0]
        body = help_of(binary, *path.split())
        body = body.split('\n\nFlags of every command:\n')[0].strip()
        text += f'\n## beamline {path}\n\n```\n{body}\n```\n'
    assert common in text
    return text


if __name__ == '__main__':
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    print(reference(sys.argv[1]), end='')
