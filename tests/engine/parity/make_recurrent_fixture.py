#!/usr/bin/python3
"""Records ten training steps of PyTorch's recurrent layers for recurrent_parity_test.cc.

Needs Debian's python3-torch. The output is committed, so this is run only to widen it:
    tests/engine/parity/make_recurrent_fixture.py > tests/engine/parity/recurrent_fixture.txt

Format: as make_fixture.py. PyTorch has two biases per gate where one is enough: the second is held
at zero but for the candidate of a GRU, where it is another thing than the first.
"""

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.nn.utils.rnn import pack_padded_sequence

ROWS, STEPS, FEATURES, UNITS, CLASSES, BATCH, UPDATES = 24, 5, 3, 4, 3, 8, 10


def write(name, tensor):
    print(name, " ".join(f"{x:.9g}" for x in tensor.detach().flatten().tolist()))


class Network(nn.Module):
    def __init__(self, cell, layers, bidirectional):
        super().__init__()
        self.cell = cell(FEATURES, UNITS, layers, batch_first=True, bidirectional=bidirectional)
        self.head = nn.Linear(UNITS * (2 if bidirectional else 1), CLASSES)
        for name, parameter in self.cell.named_parameters():
            if not name.startswith("bias_hh"):
                continue
            mask = torch.zeros_like(parameter)
            if cell is nn.GRU:
                mask[2 * UNITS:] = 1
            parameter.data.mul_(mask)
            parameter.register_hook(lambda gradient, mask=mask: gradient * mask)

    def forward(self, x, lengths):
        packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        _, last = self.cell(packed)
        last = last[0] if isinstance(last, tuple) else last
        top = last[-2:] if self.cell.bidirectional else last[-1:]
        return self.head(torch.cat(list(top), dim=1))


def parameters(model):
    """(name of ours, tensor in our layout)"""
    for name, parameter in model.cell.named_parameters():
        kind, side, layer = name.split("_")[:3]
        suffix = ".reverse" if name.endswith("_reverse") else ""
        layer = "cell" + layer[1:]
        if kind == "weight":
            ours = "weight" if side == "ih" else "recurrent_weight"
            yield f"{layer}.{ours}{suffix}", parameter.t()
        elif side == "ih":
            yield f"{layer}.bias{suffix}", parameter
        elif isinstance(model.cell, nn.GRU):
            yield f"{layer}.recurrent_bias{suffix}", parameter[2 * UNITS:]
    yield "head.weight", model.head.weight.t()
    yield "head.bias", model.head.bias


def adam(values):
    return torch.optim.Adam(values, 0.01)


CASES = {
    "rnn": (nn.RNN, 1, False, False, lambda p: torch.optim.SGD(p, 0.1, 0.9)),
    "lstm": (nn.LSTM, 1, False, False, adam),
    "gru": (nn.GRU, 1, False, False, adam),
    "gru_lengths": (nn.GRU, 1, False, True, adam),
    "lstm_two_layers_both_ways": (nn.LSTM, 2, True, False, adam),
    "lstm_two_layers_both_ways_lengths": (nn.LSTM, 2, True, True, adam),
}


def record(name, cell, layers, bidirectional, with_lengths, optimizer):
    torch.manual_seed(len(name))
    features = torch.randn(ROWS, STEPS, FEATURES)
    labels = torch.randint(0, CLASSES, (ROWS,))
    lengths = torch.full((ROWS,), STEPS)
    if with_lengths:
        lengths = torch.randint(1, STEPS + 1, (ROWS,))
    model = Network(cell, layers, bidirectional)
    print("case", name)
    write("features", features)
    write("labels", labels.float())
    if with_lengths:
        write("lengths", lengths.float())
    for key, tensor in parameters(model):
        write("initial:" + key, tensor)
    chosen = optimizer(model.parameters())
    losses = []
    for step in range(UPDATES):
        rows = (torch.arange(BATCH) + step * BATCH) % ROWS
        chosen.zero_grad()
        value = F.cross_entropy(model(features[rows], lengths[rows]), labels[rows])
        value.backward()
        chosen.step()
        losses.append(value.detach())
    write("losses", torch.stack(losses))
    for key, tensor in parameters(model):
        write("final:" + key, tensor)


torch.set_num_threads(1)
for case, arguments in CASES.items():
    record(case, *arguments)
