#!/usr/bin/python3
"""Records ten training steps of PyTorch for transformer_parity_test.cc.

Needs Debian's python3-torch. The output is committed, so this is run only to widen it:
    tests/engine/parity/make_transformer_fixture.py > tests/engine/parity/transformer_fixture.txt

Format: that of make_fixture.py. Tokens of -1 are padding: their embedding is zero.
"""

import math

import torch
import torch.nn as nn
import torch.nn.functional as F

ROWS, BATCH, STEPS, VOCABULARY, WIDTH, HEADS, HIDDEN = 24, 6, 10, 11, 8, 2, 16


def write(name, tensor):
    print(name, " ".join(f"{x:.9g}" for x in tensor.detach().flatten().tolist()))


def rotate(x):
    """Pairs (0, 1), (2, 3), ... of each head by step / 10000^(i / pairs); x: [b, heads, t, n]."""
    pairs = x.shape[-1] // 2
    rates = 10000.0 ** (-torch.arange(pairs, dtype=torch.float64) / pairs)
    angles = torch.arange(x.shape[2], dtype=torch.float64)[:, None] * rates
    cos, sin = angles.cos().float(), angles.sin().float()
    even, odd = x[..., 0::2], x[..., 1::2]
    return torch.stack([even * cos - odd * sin, even * sin + odd * cos], dim=-1).flatten(-2)


def sinusoids(steps):
    i = torch.arange(WIDTH, dtype=torch.float64)
    angles = torch.arange(steps, dtype=torch.float64)[:, None]
    angles = angles * 10000.0 ** (-(i // 2 * 2) / WIDTH)
    return torch.where(i % 2 == 0, angles.sin(), angles.cos()).float()


def split(x, parts):
    b, t, _ = x.shape
    return x.view(b, t, parts, HEADS, -1).permute(2, 0, 3, 1, 4)


def attend(q, k, v, causal, known):
    scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
    if causal:
        scores = scores + torch.full(scores.shape[-2:], float("-inf")).triu(1)
    if known is not None:
        scores = scores.masked_fill(~known[:, None, None, :], float("-inf"))
    y = (scores.softmax(-1) @ v).transpose(1, 2)
    return y.reshape(*y.shape[:2], WIDTH)


class Block(nn.Module):
    def __init__(self, cross, bias, causal, rotary):
        super().__init__()
        self.cross, self.causal, self.rotary = cross, causal, rotary
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        if cross:
            self.q = nn.Linear(WIDTH, WIDTH, bias=bias)
            self.kv = nn.Linear(WIDTH, 2 * WIDTH, bias=bias)
        else:
            self.qkv = nn.Linear(WIDTH, 3 * WIDTH, bias=bias)
        self.out = nn.Linear(WIDTH, WIDTH, bias=bias)
        self.fc1, self.fc2 = nn.Linear(WIDTH, HIDDEN), nn.Linear(HIDDEN, WIDTH)

    def forward(self, x, known=None, memory=None):
        z = self.norm1(x)
        if self.cross:
            (q,), (k, v) = split(self.q(z), 1), split(self.kv(memory), 2)
        else:
            q, k, v = split(self.qkv(z), 3)
        if self.rotary:
            q, k = rotate(q), rotate(k)
        x = x + self.out(attend(q, k, v, self.causal, known))
        return x + self.fc2(F.gelu(self.fc1(self.norm2(x))))


class Tokens(nn.Module):
    def __init__(self):
        super().__init__()
        self.tokens = nn.Embedding(VOCABULARY, WIDTH)

    def embed(self, ids):
        return self.tokens(ids.clamp(min=0)) * (ids >= 0)[..., None]


class CausalLm(Tokens):
    def __init__(self):
        super().__init__()
        self.positions = nn.Embedding(6, WIDTH)
        self.block0, self.block1 = (Block(False, True, True, False) for _ in range(2))
        self.norm, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, VOCABULARY)

    def loss(self, rows, data):
        ids = data["codes"][rows]
        x = self.embed(ids[:, :-1]) + self.positions.weight
        logits = self.head(self.norm(self.block1(self.block0(x))))
        return F.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten(), ignore_index=-1)


class Classifier(Tokens):
    """Encoder over padded tokens; the first step is classified."""

    def __init__(self):
        super().__init__()
        self.encoder = Block(False, True, False, True)
        self.head = nn.Linear(WIDTH, 3)

    def loss(self, rows, data):
        ids = data["codes"][rows]
        x = self.encoder(self.embed(ids), ids >= 0)
        return F.cross_entropy(self.head(x[:, 0]), data["labels"][rows])


class EncoderDecoder(Tokens):
    """Encoder over padded tokens; steps of features look at it; one number."""

    def __init__(self):
        super().__init__()
        self.encoder = Block(False, False, False, False)
        self.wide = nn.Linear(4, WIDTH)
        self.decoder = Block(True, False, False, True)
        self.head = nn.Linear(WIDTH, 1)

    def loss(self, rows, data):
        ids = data["codes"][rows]
        known = ids >= 0
        memory = self.encoder(self.embed(ids) + sinusoids(ids.shape[1]), known)
        x = self.wide(data["features"][rows].view(-1, 3, 4))
        x = self.decoder(x, known, memory)
        out = self.head(x.flatten(1)[:, 2:2 + WIDTH])
        return ((out.flatten() - data["targets"][rows]) ** 2).mean()


class Translator(nn.Module):
    """Encoder over padded tokens; a decoder tells each token of a target from those before it."""

    def __init__(self):
        super().__init__()
        self.source, self.told = nn.Embedding(VOCABULARY, WIDTH), nn.Embedding(9, WIDTH)
        self.source_positions, self.told_positions = (nn.Embedding(n, WIDTH) for n in (5, 4))
        self.encoder = Block(False, True, False, False)
        self.decoder = Block(False, True, True, False)
        self.cross = Block(True, True, False, False)
        self.norm, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, 9)

    def loss(self, rows, data):
        ids, target = data["codes"][rows][:, :5], data["codes"][rows][:, 5:]
        known = ids >= 0
        memory = self.source(ids.clamp(min=0)) * known[..., None] + self.source_positions.weight
        memory = self.encoder(memory, known)
        seen = torch.cat([torch.ones_like(target[:, :1]), target[:, :-1]], 1)
        x = self.told(seen.clamp(min=0)) * (seen >= 0)[..., None] + self.told_positions.weight
        x = self.cross(self.decoder(x), known, memory)
        logits = self.head(self.norm(x))
        return F.cross_entropy(logits.flatten(0, 1), target.flatten(), ignore_index=-1,
                               label_smoothing=0.1)


def texts(codes):
    """Rows of a source of 5 tokens at most and a target of 4, closed by token 1."""
    lengths = torch.randint(0, 4, (ROWS,))
    target = torch.randint(2, 9, (ROWS, 4))
    steps = torch.arange(4)
    target = target.masked_fill(steps == lengths[:, None], 1)
    return torch.cat([codes, target.masked_fill(steps > lengths[:, None], -1)], 1)


def parameters(model):
    """(name of ours, tensor in our layout)"""
    for name, tensor in model.named_parameters():
        layer, kind = name.rsplit(".", 1)
        layer = layer.replace(".", "_")
        if layer.rsplit("_", 1)[-1] in ("qkv", "q", "kv", "out"):
            block, what = layer.rsplit("_", 1)
            yield f"{block}_attention.{what}_{kind}", tensor.t() if kind == "weight" else tensor
        elif "norm" in layer:
            yield f"{layer}.{'gamma' if kind == 'weight' else 'beta'}", tensor
        elif isinstance(getattr(model, layer, None), nn.Embedding):
            yield f"{layer}.table", tensor
        else:
            yield f"{layer}.{kind}", tensor.t() if kind == "weight" else tensor


def record(name, make, columns):
    torch.manual_seed(len(name))
    model = make()
    lengths = torch.randint(2, columns + 1, (ROWS,))
    codes = torch.randint(0, VOCABULARY, (ROWS, columns))
    data = {"codes": codes.masked_fill(torch.arange(columns) >= lengths[:, None], -1),
            "features": torch.randn(ROWS, 12), "labels": torch.randint(0, 3, (ROWS,)),
            "targets": torch.randn(ROWS)}
    if make is Translator:
        data = {"codes": texts(data["codes"])}
    print("case", name)
    for key, tensor in data.items():
        write(key, tensor.float())
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.LayerNorm):
                module.weight.add_(0.2 * torch.randn(WIDTH))
                module.bias.add_(0.2 * torch.randn(WIDTH))
    for key, tensor in parameters(model):
        write("initial:" + key, tensor)
    # The bias of keys has no gradient but rounding errors: epsilon keeps them small.
    optimizer = torch.optim.AdamW(model.parameters(), 0.01, weight_decay=0.1, eps=1e-5)
    losses = []
    for step in range(STEPS):
        rows = (torch.arange(BATCH) + step * BATCH) % ROWS
        optimizer.zero_grad()
        loss = model.loss(rows, data)
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
    write("losses", torch.stack(losses))
    for key, tensor in parameters(model):
        write("final:" + key, tensor)


torch.set_num_threads(1)
record("causal_lm", CausalLm, 7)
record("classifier", Classifier, 5)
record("encoder_decoder", EncoderDecoder, 5)
record("translator", Translator, 5)
