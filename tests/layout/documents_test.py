"""Whether the documents tell the truth: commands that they show exist."""

import os
import re
import subprocess
import sys
import unittest

import tree

FIRST_SCREEN_LINES = 60
FENCE = re.compile(r'^```(?:sh|bash|console|shell)\n(.*?)^```', re.MULTILINE | re.DOTALL)
INLINE = re.compile(r'`(beamline [^`]+)`')


def shell_commands(markdown):
    """The command lines in fenced shell blocks, without prompts, comments and output."""
    commands = []
    for block in FENCE.findall(markdown):
        lines = block.replace('\\\n', ' ').splitlines()
        has_prompts = any(line.startswith('$ ') for line in lines)
        for line in lines:
            if has_prompts and not line.startswith('$ '):
                continue
            line = line.removeprefix('$ ').split(' #')[0].strip()
            if line and not line.startswith('#'):
                commands.append(line)
    return commands


class Program:
    """What `beamline` itself says about its commands."""

    def __init__(self, binary):
        self.binary = binary
        overview = subprocess.run([binary, 'help'], capture_output=True, text=True, check=True)
        section = overview.stdout.split('Commands:\n')[1].split('\n\n')[0]
        self.paths = {re.split(r'  +', line.strip())[0] for line in section.splitlines()}

    def fault(self, command):
        """What is wrong with a command line that starts with "beamline "; None if nothing."""
        words = command.split()[1:]
        while words and words[0].startswith('--'):
            words = words[2 if words[0] in ('--context', '--project') else 1:]
        if not words:
            return None
        choices = [word.split('|') for word in words[:2]]
        heads = [first for first in choices[0]]
        tails = choices[1] if len(choices) > 1 else ['']
        for head in heads:
            for tail in tails:
                if head in self.paths:
                    path = head
                elif f'{head} {tail}' in self.paths:
                    path = f'{head} {tail}'
                elif any(known.startswith(head + ' ') for known in self.paths) and (
                        not tail or not re.fullmatch(r'[a-z-]+', tail)):
                    continue
                else:
                    return f'there is no command "beamline {head} {tail}"'
                fault = self.flag_fault(path, command)
                if fault:
                    return fault
        return None

    def flag_fault(self, path, command):
        help_text = subprocess.run([self.binary, 'help', *path.split()], capture_output=True,
                                   text=True, check=True).stdout
        for flag in re.findall(r'(?<=\s)--[a-z-]+', command):
            if not re.search(rf'^\s+{flag}\b', help_text, re.MULTILINE):
                return f'"beamline {path}" has no flag {flag}'
        return None


class DocumentsTest(unittest.TestCase):

    @classmethod
    def setUpClass(cls):
        cls.program = Program(os.environ['BEAMLINE_BINARY'])

    def check_script(self, where, command):
        script = command.split()[0]
        path = os.path.join(tree.ROOT, script)
        self.assertTrue(os.access(path, os.X_OK), f'{where}: {script} is not there')
        subprocess.run(['bash', '-n', path], check=True)

    def test_first_screen_of_the_readme(self):
        path = os.path.join(tree.ROOT, 'README.md')
        if not os.path.exists(path):
            self.skipTest('there is no README.md')
        lines = tree.read('README.md').splitlines()[:FIRST_SCREEN_LINES]
        if sum(line.startswith('```') for line in lines) % 2:
            lines.append('```')
        commands = shell_commands('\n'.join(lines) + '\n')
        scripts = [command for command in commands if command.startswith('./')]
        for wanted in ('./quickstart.sh', './test.sh'):
            self.assertTrue(any(command.split()[0] == wanted for command in scripts),
                            f'the first screen of README.md does not show {wanted}')
        for command in scripts:
            self.check_script('README.md', command)

    def test_commands_in_documents_exist(self):
        for path in tree.files(suffixes=('.md',)):
            text = tree.read(path)
            commands = shell_commands(text) + INLINE.findall(text)
            for command in commands:
                with self.subTest(path=path, command=command):
                    if command.startswith('beamline '):
                        self.assertIsNone(self.program.fault(command))
                    elif command.startswith('./') and '/' not in command.split()[0][2:]:
                        self.check_script(path, command)

    def test_the_reference_of_the_command_line_is_fresh(self):
        program = subprocess.run(
            [sys.executable, os.path.join(tree.ROOT, 'tools/cli_reference.py'),
             self.program.binary], capture_output=True, text=True, check=True)
        self.assertEqual(program.stdout, tree.read('docs/reference/cli.md'),
                         'run: tools/cli_reference.py BINARY > docs/reference/cli.md')

    def test_the_reference_of_pipelines_is_fresh(self):
        check = subprocess.run(
            [sys.executable, os.path.join(tree.ROOT, 'tools/pipeline_reference.py'), '--check'],
            capture_output=True, text=True, check=False)
        self.assertEqual(check.returncode, 0, check.stdout + check.stderr)

    def test_faults_are_found(self):
        for command in ('beamline rnu create', 'beamline run craete x', 'beamline dev --stat x',
                        'beamline run create x --wacth'):
            self.assertIsNotNone(self.program.fault(command), command)
        for command in ('beamline run create x --watch', 'beamline dev', 'beamline run',
                        'beamline --project p run list', 'beamline dataset upload|list|describe'):
            self.assertIsNone(self.program.fault(command), command)
        self.assertEqual(shell_commands('```sh\n$ ./a.sh x # why\noutput\n```\n'), ['./a.sh x'])

    def test_scripts_install_what_one_file_lists(self):
        lines = tree.read('tools/packages.txt').splitlines()
        listed = [name for name in (line.split('#')[0].strip() for line in lines) if name]
        self.assertEqual(len(listed), len(set(listed)), 'a package is listed twice')
        for script in ('quickstart.sh', 'test.sh'):
            self.assertIn('tools/build.sh', tree.read(script))
            self.assertNotIn('apt-get', tree.read(script), f'{script}: packages belong in '
                             'tools/packages.txt')
        self.assertIn('tools/packages.txt', tree.read('tools/build.sh'))


if __name__ == '__main__':
    unittest.main()
