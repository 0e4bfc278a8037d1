"""How long files, functions and lines may be, and what code must not use."""

import re
import shutil
import subprocess
import unittest

import tree

FILE_LINES = 400
FILE_LINES_WITH_REASON = 600
FUNCTION_LINES = 70
COLUMNS = 100

PRODUCTION = ('base/', 'engine/', 'store/', 'scheduler/', 'pipeline/', 'auth/', 'server/',
              'worker/', 'clients/')

# (pattern, folders where it is forbidden, folders where it is not, remedy)
FORBIDDEN = [
    # A private constructor leaves std::unique_ptr<T>(new T(...)) as the only way.
    (re.compile(r'(?<!>\()\bnew\b(?!\s*\()'), PRODUCTION, (), 'raw new: use std::make_unique'),
    (re.compile(r'\.detach\s*\(\s*\)'), ('',), (), 'a detached thread: keep it and join it'),
    (re.compile(r'\b(sleep_for|sleep_until|usleep|nanosleep|absl::SleepFor)\b'), PRODUCTION, (),
     'sleeping: wait on a condition, a deadline or a descriptor'),
    # gRPC's deadlines are points of the machine's clock.
    (re.compile(r'\b(system_clock|gettimeofday|clock_gettime|absl::Now|'
                r'time\s*\(\s*(nullptr|NULL))'),
     PRODUCTION, ('base/clock.', 'server/rpc/', 'worker/rpc/'),
     'the machine\'s clock: take a beamline::Clock as an argument'),
]

NOT_A_FUNCTION = re.compile(
    r'^\s*(if|for|while|switch|catch|do|else|try|namespace|class|struct|enum|union|extern|return|'
    r'case|default)\b|=\s*$|,\s*$|\(\s*$|\[[^\]]*\]\s*(\([^()]*\))?[^()]*$')

PREPROCESSOR = re.compile(r'^[ \t]*#(?:[^\n]*\\\n)*[^\n]*', re.MULTILINE)


def functions(code):
    """(first line, last line, head) of each outermost function in `code`, heuristically: a block
    whose head has an argument list and is no control structure, type or lambda."""
    found = []
    stack = []
    head_start = 0
    line = 1
    parentheses = 0
    for position, character in enumerate(code):
        if character == '\n':
            line += 1
        if character == '(':
            parentheses += 1
        elif character == ')':
            parentheses -= 1
        elif character == ';' and parentheses == 0:
            head_start = position + 1
        elif character == '{' and re.match(r'[\w>]', code[position - 1:position]):
            stack.append(('value', line, ''))
        elif character == '{':
            head = code[head_start:position]
            inside = any(kind == 'function' for kind, _, _ in stack)
            is_function = (not inside and parentheses == 0 and ')' in head
                           and not NOT_A_FUNCTION.search(head.strip()))
            line_of_head = line - head.lstrip().count('\n')
            stack.append(('function' if is_function else 'block', line_of_head, head.strip()))
            if parentheses == 0:
                head_start = position + 1
        elif character == '}' and stack:
            kind, first, head = stack.pop()
            if kind == 'function':
                found.append((first, line, ' '.join(head.split())))
            if parentheses == 0 and kind != 'value':
                head_start = position + 1
    return found


def head_comment(text):
    lines = []
    for line in text.splitlines():
        if not line.startswith(('//', '#', '"""')) and not (lines and '"""' in lines[0]):
            break
        lines.append(line)
        if len(lines) > 40:
            break
    return '\n'.join(lines)


def faults(path, text):
    """What is too long or forbidden in one file, with the remedy."""
    found = []
    lines = text.count('\n')
    reason = re.search(r'\b(long|longer|lines|length)\b', head_comment(text),
                       re.IGNORECASE)
    if lines > FILE_LINES_WITH_REASON:
        found.append(f'{path}: {lines} lines; split it ({FILE_LINES_WITH_REASON} at the very most)')
    elif lines > FILE_LINES and not reason:
        found.append(f'{path}: {lines} lines; split it, or say in the comment at its head why it '
                     f'is longer than {FILE_LINES} lines')
    for number, line in enumerate(text.splitlines(), 1):
        if len(line) > COLUMNS and 'http' not in line and not path.endswith('.py'):
            found.append(f'{path}:{number}: {len(line)} columns; break the line at {COLUMNS}')
    if path.endswith(tree.CPP):
        code = PREPROCESSOR.sub(lambda m: '\n' * m.group(0).count('\n'), tree.code_of(text))
        for first, last, head in functions(code):
            if last - first + 1 > FUNCTION_LINES:
                found.append(f'{path}:{first}: a function of {last - first + 1} lines '
                             f'({head[-60:]}); give its parts names ({FUNCTION_LINES} at most)')
        for pattern, where, but, remedy in FORBIDDEN:
            if not path.startswith(where) or (but and path.startswith(but)):
                continue
            for match in pattern.finditer(code):
                found.append(f'{path}:{code.count(chr(10), 0, match.start()) + 1}: {remedy}')
    return found


class LimitsTest(unittest.TestCase):

    def test_tree_keeps_to_the_limits(self):
        found = []
        for path in tree.files(suffixes=tree.CPP + ('.py', '.sh')):
            found += faults(path, tree.read(path))
        self.assertEqual(found, [], '\n' + '\n'.join(found))

    def test_code_is_formatted(self):
        program = shutil.which('clang-format')
        if program is None:
            self.skipTest('clang-format is not installed')
        version = subprocess.run([program, '--version'], capture_output=True, text=True, check=True)
        if ' version 14.' not in version.stdout:
            self.skipTest('other versions of clang-format than 14 format in another way')
        paths = tree.files()
        result = subprocess.run([program, '--dry-run', '--Werror', *paths], cwd=tree.ROOT,
                                capture_output=True, text=True, check=False)
        wrong = sorted(set(re.findall(r'^(\S+?):\d+:\d+: error', result.stderr, re.MULTILINE)))
        self.assertEqual(wrong, [], '\nrun: clang-format -i ' + ' '.join(wrong))

    def test_long_functions_are_found(self):
        body = '  Call();\n' * 70
        text = ('// Head.\nnamespace a {\nclass B {\n void Short() { if (x) { y(); } }\n};\n'
                'int Long(int x,\n         int y) {\n' + body + '}\n}\n')
        found = faults('store/a.cc', text)
        self.assertEqual(len(found), 1, found)
        self.assertIn('store/a.cc:6: a function of 73 lines', found[0])
        constructor = 'A::A(int x)\n    : x_(x),\n      y_{2} {\n' + body + '}\n'
        self.assertEqual(len(faults('store/a.cc', constructor)), 1)
        self.assertEqual(faults('store/a.cc', 'const int kTable[] = {\n' + '  1,\n' * 90 + '};\n'),
                         [])

    def test_long_files_need_a_reason(self):
        self.assertEqual(len(faults('a.h', '// Head.\n' + '\n' * 400)), 1)
        self.assertEqual(faults('a.h', '// Long because it is a table.\n' + '\n' * 400), [])
        self.assertEqual(len(faults('a.h', '// Long because.\n' + '\n' * 600)), 1)
        self.assertEqual(len(faults('a.h', 'x' * 101 + '\n')), 1)

    def test_forbidden_things_are_found(self):
        for text in ('auto* p = new Thing();', 'thread.detach();',
                     'std::this_thread::sleep_for(x);',
                     'auto t = std::chrono::system_clock::now();',
                     'auto t = absl::Now();', 'time(nullptr);'):
            self.assertEqual(len(faults('server/a.cc', text + '\n')), 1, text)
        for text in ('// a new thing', 'Print("a new thing");', 'int newest = 1;'):
            self.assertEqual(faults('server/a.cc', text + '\n'), [], text)
        self.assertEqual(faults('base/clock.cc', 'return absl::Now();\n'), [])


if __name__ == '__main__':
    unittest.main()
