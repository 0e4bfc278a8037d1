"""Writes word_vectors_reference.txt: word vectors by the definition, in NumPy, on drawn codes.

One array a line, its name first. Everything is computed anew here: the random numbers (Philox4x32),
what is drawn from them, the loss and what lowers it. Run with NumPy: python3
word_vectors_reference.py
"""

import os

import numpy as np

MASK = (1 << 32) - 1
ROWS, COLUMNS, VOCABULARY = 40, 17, 23
BLOCK, STEP = 128, 3.2


def philox(seed, stream, counter):
    c = [counter & MASK, counter >> 32 & MASK, stream & MASK, stream >> 32 & MASK]
    k0, k1 = seed & MASK, seed >> 32
    for _ in range(10):
        p0, p1 = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [p1 >> 32 ^ c[1] ^ k0, p1 & MASK, p0 >> 32 ^ c[3] ^ k1, p0 & MASK]
        k0, k1 = k0 + 0x9E3779B9 & MASK, k1 + 0xBB67AE85 & MASK
    return c


def below(seed, stream, counter, bound):
    word = philox(seed, stream, counter)
    return (word[1] << 32 | word[0]) * bound >> 64


def drawn_codes():
    """Rows whose codes come in pairs; every 29th is unknown."""
    codes = np.zeros((ROWS, COLUMNS), dtype=int)
    for i in range(ROWS * COLUMNS):
        first = below(9, 9, i // 2, 10) * below(9, 10, i // 2, 2)
        codes.flat[i] = -1 if i % 29 == 28 else 2 * first + i % 2
    return codes


def noise_of(counts):
    """Cells of the alias method, as chances times 2^32."""
    parts = np.sqrt(np.sqrt(counts)) ** 3
    parts = [p * (len(counts) / sum(parts)) for p in parts]
    less = [i for i, p in enumerate(parts) if p < 1]
    more = [i for i, p in enumerate(parts) if p >= 1]
    own, other = [1 << 32] * len(counts), list(range(len(counts)))
    while less and more:
        small, large = less.pop(), more[-1]
        own[small], other[small] = int(parts[small] * 2.0**32), large
        parts[large] -= 1 - parts[small]
        if parts[large] < 1:
            less.append(more.pop())
    return own, other


class Training:
    def __init__(self, codes, bag, dimensions, reach, negatives, subsample, rate, epochs, batch,
                 seed):
        self.codes, self.bag, self.reach, self.negatives = codes, bag, reach, negatives
        self.rate, self.epochs, self.batch, self.seed = rate, epochs, batch, seed
        self.counts = np.bincount(codes[codes >= 0], minlength=VOCABULARY)
        shares = self.counts / self.counts.sum()
        with np.errstate(divide="ignore"):
            self.stays = np.minimum(1, np.sqrt(subsample / shares)) if subsample else shares * 0 + 1
        self.own, self.other = noise_of(self.counts)
        self.vectors = np.zeros((VOCABULARY, dimensions))
        for i in range(VOCABULARY * dimensions):
            if self.counts[i // dimensions]:
                word = philox(seed, 0x7776 << 44, i)[0]
                self.vectors.flat[i] = ((word >> 8) * 2.0**-24 - 0.5) / dimensions
        self.contexts = np.zeros((VOCABULARY, dimensions))
        self.losses = []

    def words(self, row, column, stream):
        blocks = (self.negatives + 5) // 4
        first = (row * COLUMNS + column) * blocks
        return [w for b in range(blocks) for w in philox(self.seed, stream, first + b)]

    def draw(self, word):
        product = word * VOCABULARY
        cell = product >> 32
        return cell if product & MASK < self.own[cell] else self.other[cell]

    def places(self, rows, stream):
        """(inputs, outputs, signs) of each place, by the row's and the column's numbers."""
        found = []
        for row in rows:
            kept = []
            for column, code in enumerate(self.codes[row]):
                if code < 0 or not self.counts[code]:
                    continue
                words = self.words(row, column, stream)
                if words[0] < int(self.stays[code] * 2.0**32):
                    kept.append((code, words))
            for at, (code, words) in enumerate(kept):
                reach = 1 + (words[1] * self.reach >> 32)
                around = kept[max(0, at - reach):at] + kept[at + 1:at + 1 + reach]
                outputs = [code] + [self.draw(w) for w in words[2:2 + self.negatives]]
                signs = [1] + [0 if drawn == code else -1 for drawn in outputs[1:]]
                found.append(([c for c, _ in around], outputs, signs))
        return found

    def block(self, places, rate):
        """The loss and the number of pairs, and what the places add to vectors and contexts."""
        v, c = np.zeros_like(self.vectors), np.zeros_like(self.contexts)
        v_terms, c_terms = np.zeros(VOCABULARY), np.zeros(VOCABULARY)
        loss = pairs = 0
        for inputs, outputs, signs in places:
            if not inputs:
                continue
            x = self.vectors[inputs]
            if self.bag:
                x = x.mean(axis=0, keepdims=True)
            y, sign = self.contexts[outputs], np.array(signs)
            against = -sign * (x @ y.T)
            loss += (abs(sign) * np.logaddexp(0, against)).sum()
            pairs += len(x)
            errors = sign / (1 + np.exp(-against))
            towards = errors @ y
            for i, code in enumerate(inputs):
                v[code] += towards[0 if self.bag else i]
                v_terms[code] += len(outputs)
            for j, code in enumerate(outputs):
                if signs[j]:
                    c[code] += errors[:, j] @ x
                    c_terms[code] += len(x)
        v *= np.minimum(rate, STEP / np.maximum(v_terms, 1))[:, None]
        c *= np.minimum(rate, STEP / np.maximum(c_terms, 1))[:, None]
        return loss, pairs, v, c

    def run(self):
        steps = -(-ROWS // self.batch)
        for step in range(steps * self.epochs):
            epoch = step // steps
            if step % steps == 0:
                order = list(range(ROWS))
                for i in range(ROWS - 1, 0, -1):
                    j = below(self.seed, 0x7777 << 44 | epoch, i, i + 1)
                    order[i], order[j] = order[j], order[i]
            rate = self.rate * max(1e-4, 1 - step / (steps * self.epochs))
            rows = order[step % steps * self.batch:][:self.batch]
            places = self.places(rows, 0x7778 << 44 | epoch)
            loss = pairs = 0
            for first in range(0, len(places), BLOCK):
                of_block, count, v, c = self.block(places[first:first + BLOCK], rate)
                loss, pairs = loss + of_block, pairs + count
                self.vectors += v
                self.contexts += c
            self.losses.append(loss / pairs)
        return self

    def measure(self):
        loss, pairs, _, _ = self.block(self.places(range(ROWS), 0x7779 << 44), 0)
        return loss / pairs


def main():
    codes = drawn_codes()
    arrays = {"codes": codes.ravel()}
    for name, bag, subsample in (("skip_gram", False, 0.02), ("bag_of_words", True, 0)):
        made = Training(codes, bag, 19, 3, 5 if bag else 7, subsample, 0.08, 3, 24,
                        11).run()
        arrays |= {f"{name}_vectors": made.vectors.ravel(), f"{name}_losses": made.losses,
                   f"{name}_contexts": made.contexts.ravel(), f"{name}_measured": [made.measure()]}
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "word_vectors_reference.txt")
    with open(path, "w") as out:
        for name, values in arrays.items():
            out.write(name + " " + " ".join(f"{x:.7g}" for x in values) + "\n")


if __name__ == "__main__":
    main()
