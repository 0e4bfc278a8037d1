"""Checkpoints of programs: what is kept of them, and that a later attempt goes on from it."""

import unittest

from harness import wait_for
from programs import ProgramTest


class CheckpointTest(ProgramTest):

    # Counts to `last`, and goes on where it was.
    COUNT = '''
        import json, os, signal, sys, time
        state = json.load(open('checkpoint/state')) if os.path.exists('checkpoint/state') else {'n': 0, 'starts': 0}
        state['starts'] += 1
        print('begins at', state['n'])
        def keep():
            with open('checkpoint/new', 'w') as file:
                json.dump(state, file)
            os.replace('checkpoint/new', 'checkpoint/state')
        signal.signal(signal.SIGTERM, lambda *_: (keep(), sys.exit(3)))
        words = open('metrics.jsonl', 'a')
        while state['n'] < 100:
            state['n'] += 1
            if state['n'] % 10 == 0:
                keep()
                print(json.dumps({'checkpoint': state['n']}), file=words, flush=True)
            time.sleep(0.05)
        print(json.dumps({'metric': 'starts', 'value': state['starts']}), file=words)
        '''

    def reach_the_middle(self):
        name = self.start(self.COUNT)
        self.cluster.wait_for_event(name, lambda event: event.checkpoint.step >= 20, 'it had a checkpoint')
        return name

    def check(self, name):
        run = self.cluster.expect_success(name)
        begins = [int(line.split()[-1]) for line in self.logs(name) if line.startswith('begins')]
        self.assertEqual(begins[0], 0)
        self.assertGreaterEqual(begins[-1], 20)
        self.assertEqual(self.task(run).result.metrics['starts'], len(begins))
        self.assertGreaterEqual(len(begins), 2)

    def test_kill_worker(self):
        name = self.reach_the_middle()
        self.cluster.workers['w1'].kill()
        wait_for(lambda: not self.processes_below(), 'programs end with their worker', 10)
        self.cluster.start_worker()
        self.check(name)

    def test_worker_that_leaves(self):
        name = self.reach_the_middle()
        self.assertEqual(self.cluster.workers['w1'].terminate(), 0, self.cluster.log_ends())
        self.cluster.start_worker()
        self.check(name)
        # Kept when it was told to end, not only when it said so.
        self.assertTrue([int(line.split()[-1]) % 10 for line in self.logs(name)
                         if line.startswith('begins')][-1])

    def test_a_checkpoint_is_the_folder_at_one_instant(self):
        # Folders of files that belong together, one after the other as fast as it can, by a child.
        name = self.start('''
            import json, os, shutil, time
            FILES, SIZE = 16, 64 << 10
            kept = sorted(os.listdir('checkpoint'))
            for folder in [folder for folder in kept if folder.startswith('step-')]:
                names = os.listdir('checkpoint/' + folder)
                texts = {open(f'checkpoint/{folder}/{name}').read().strip() for name in names}
                print('found', folder, len(names), len(texts), texts <= {folder})
            if os.fork() == 0:
                for step in range(1000000):
                    new = 'checkpoint/new'
                    shutil.rmtree(new, ignore_errors=True)
                    os.mkdir(new)
                    for file in range(FILES):
                        with open(f'{new}/{file}', 'w') as out:
                            out.write(f'step-{step}'.ljust(SIZE))
                    os.rename(new, f'checkpoint/step-{step}')
                    if step > 0:
                        shutil.rmtree(f'checkpoint/step-{step - 1}')
                    open('turns', 'w').write(str(step))
            while not os.path.exists('turns'):
                time.sleep(0.01)
            with open('metrics.jsonl', 'a') as words:
                for step in range(1, 10000):
                    print(json.dumps({'checkpoint': step}), file=words, flush=True)
                    time.sleep(0.1)
                    if kept and step == 3:
                        os._exit(0)
            ''')
        self.cluster.wait_for_event(name, lambda event: event.checkpoint.step >= 20, 'it had checkpoints')
        self.cluster.workers['w1'].kill()
        self.cluster.start_worker()
        self.cluster.expect_success(name)
        events = self.cluster.events(name)
        self.assertEqual([event.log.text for event in events if 'not kept' in event.log.text], [])
        found = [line.split() for line in self.logs(name) if line.startswith('found')]
        self.assertTrue([line for line in found if line[2:] == ['16', '1', 'True']], found)
        self.assertTrue(all(line[4] == 'True' for line in found), found)


if __name__ == '__main__':
    unittest.main(verbosity=2)
