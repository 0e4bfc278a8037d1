#!/usr/bin/python3
"""Records ten training steps of a neural Turing machine and a differentiable neural computer, written
in PyTorch from the papers' formulas, for memory_parity_test.cc.

Needs Debian's python3-torch. The output is committed, so this is run only to widen it:
    tests/engine/parity/make_memory_fixture.py > tests/engine/parity/memory_fixture.txt

Format: as make_fixture.py. Each step has a label; those beyond a row's length do not count.
"""

import torch
import torch.nn as nn
import torch.nn.functional as F

ROWS, STEPS, FEATURES, UNITS, CLASSES, BATCH, UPDATES = 12, 6, 3, 5, 3, 4, 10
SLOTS, WIDTH, READS = 6, 4, 2


def write(name, tensor):
    print(name, " ".join(f"{x:.9g}" for x in tensor.detach().flatten().tolist()))


def oneplus(x):
    return 1 + F.softplus(x)


def by_content(memory, key, strength):
    """memory [b, slots, width], key [b, width], strength [b, 1]"""
    lengths = torch.sqrt((memory ** 2).sum(2) + 1e-6) * torch.sqrt((key ** 2).sum(1, True) + 1e-6)
    return F.softmax(strength * torch.einsum("bnw,bw->bn", memory, key) / lengths, 1)


class Interface:
    """Takes the numbers of an interface one after the other."""

    def __init__(self, numbers):
        self.numbers, self.at = numbers, 0

    def take(self, count):
        self.at += count
        return self.numbers[:, self.at - count:self.at]


class Ntm:
    """Graves et al. 2014"""
    numbers = (READS + 1) * (WIDTH + 6) + 2 * WIDTH

    def __init__(self, batch):
        self.memory = torch.zeros(batch, SLOTS, WIDTH)
        at_first = torch.zeros(batch, SLOTS)
        at_first[:, 0] = 1
        self.weights = [at_first] * (READS + 1)

    def address(self, head, own):
        key, strength, gate, shift, sharpness = own
        content = by_content(self.memory, key, F.softplus(strength))
        gate = torch.sigmoid(gate)
        gated = gate * content + (1 - gate) * self.weights[head]
        shift = F.softmax(shift, 1)
        shifted = (shift[:, 0:1] * gated.roll(-1, 1) + shift[:, 1:2] * gated
                   + shift[:, 2:3] * gated.roll(1, 1))
        power = (shifted + 1e-12) ** oneplus(sharpness)
        self.weights[head] = power / power.sum(1, True)
        return self.weights[head]

    def step(self, numbers):
        take = Interface(numbers).take
        own = [[take(n) for n in (WIDTH, 1, 1, 3, 1)] for _ in range(READS + 1)]
        erase, add = torch.sigmoid(take(WIDTH)), take(WIDTH)
        w = self.address(READS, own[READS])[:, :, None]
        self.memory = self.memory * (1 - w * erase[:, None]) + w * add[:, None]
        return [torch.einsum("bn,bnw->bw", self.address(h, own[h]), self.memory)
                for h in range(READS)]


class Dnc:
    """Graves et al. 2016, methods"""
    numbers = (READS + 1) * (WIDTH + 1) + 2 * WIDTH + READS + 2 + 3 * READS

    def __init__(self, batch):
        self.memory = torch.zeros(batch, SLOTS, WIDTH)
        self.usage = self.precedence = self.written = torch.zeros(batch, SLOTS)
        self.link = torch.zeros(batch, SLOTS, SLOTS)
        self.read = [torch.zeros(batch, SLOTS)] * READS

    def allocation(self):
        ascending, order = torch.sort(self.usage, dim=1, stable=True)
        product = torch.cumprod(ascending, 1)
        before = torch.cat([torch.ones_like(product[:, :1]), product[:, :-1]], 1)
        return torch.zeros_like(product).scatter(1, order, (1 - ascending) * before)

    def step(self, numbers):
        take = Interface(numbers).take
        keys = [(take(WIDTH), oneplus(take(1))) for _ in range(READS + 1)]
        erase, add = torch.sigmoid(take(WIDTH)), take(WIDTH)
        free = torch.sigmoid(take(READS))
        allocate, write_gate = torch.sigmoid(take(1)), torch.sigmoid(take(1))
        modes = [F.softmax(take(3), 1) for _ in range(READS)]
        retention = 1
        for h in range(READS):
            retention = retention * (1 - free[:, h:h + 1] * self.read[h])
        self.usage = (self.usage + self.written - self.usage * self.written) * retention
        content = by_content(self.memory, *keys[READS])
        w = write_gate * (allocate * self.allocation() + (1 - allocate) * content)
        self.memory = (self.memory * (1 - w[:, :, None] * erase[:, None])
                       + w[:, :, None] * add[:, None])
        self.link = ((1 - w[:, :, None] - w[:, None]) * self.link
                     + w[:, :, None] * self.precedence[:, None]) * (1 - torch.eye(SLOTS))
        self.precedence = (1 - w.sum(1, True)) * self.precedence + w
        self.written = w
        reads = []
        for h in range(READS):
            forward = torch.einsum("bij,bj->bi", self.link, self.read[h])
            backward = torch.einsum("bji,bj->bi", self.link, self.read[h])
            content = by_content(self.memory, *keys[h])
            self.read[h] = (modes[h][:, 0:1] * backward + modes[h][:, 1:2] * content
                            + modes[h][:, 2:3] * forward)
            reads.append(torch.einsum("bn,bnw->bw", self.read[h], self.memory))
        return reads


class Network(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.kind = kind
        self.cell = nn.LSTMCell(FEATURES + READS * WIDTH, UNITS)
        self.cell.bias_hh.data.zero_()
        self.cell.bias_hh.requires_grad = False
        self.interface = nn.Linear(UNITS, kind.numbers)
        self.head = nn.Linear(UNITS + READS * WIDTH, CLASSES)

    def forward(self, x):
        memory = self.kind(len(x))
        reads = [torch.zeros(len(x), WIDTH)] * READS
        state = (torch.zeros(len(x), UNITS), torch.zeros(len(x), UNITS))
        outputs = []
        for step in range(STEPS):
            state = self.cell(torch.cat([x[:, step]] + reads, 1), state)
            reads = memory.step(self.interface(state[0]))
            outputs.append(self.head(torch.cat([state[0]] + reads, 1)))
        return torch.stack(outputs, 1)


def parameters(model):
    """(name of ours, tensor in our layout)"""
    seen = model.cell.weight_ih
    yield "memory.weight", seen[:, :FEATURES].t()
    yield "memory.recurrent_weight", torch.cat([model.cell.weight_hh, seen[:, FEATURES:]], 1).t()
    yield "memory.bias", model.cell.bias_ih
    yield "memory.interface_weight", model.interface.weight.t()
    yield "memory.interface_bias", model.interface.bias
    yield "head.weight", model.head.weight.t()
    yield "head.bias", model.head.bias


def record(name, kind):
    torch.manual_seed(3)
    features = torch.randn(ROWS, STEPS, FEATURES)
    labels = torch.randint(0, CLASSES, (ROWS, STEPS))
    lengths = torch.randint(1, STEPS + 1, (ROWS,))
    lengths[0] = STEPS
    counts = (torch.arange(STEPS)[None] < lengths[:, None]).float()
    model = Network(kind)
    print("case", name)
    write("features", features)
    write("labels", labels.float())
    write("lengths", lengths.float())
    for key, tensor in parameters(model):
        write("initial:" + key, tensor)
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], 0.01)
    losses = []
    for step in range(UPDATES):
        rows = (torch.arange(BATCH) + step * BATCH) % ROWS
        optimizer.zero_grad()
        each = F.cross_entropy(model(features[rows]).reshape(-1, CLASSES), labels[rows].flatten(),
                               reduction="none")
        value = (each * counts[rows].flatten()).sum() / counts[rows].sum()
        value.backward()
        optimizer.step()
        losses.append(value.detach())
    write("losses", torch.stack(losses))
    for key, tensor in parameters(model):
        write("final:" + key, tensor)


torch.set_num_threads(1)
record("ntm", Ntm)
record("dnc", Dnc)
