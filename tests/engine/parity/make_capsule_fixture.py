#!/usr/bin/python3
"""Records ten training steps of PyTorch's capsule networks for capsule_parity_test.cc.

Needs Debian's python3-torch. The output is committed, so this is run only to widen it:
    tests/engine/parity/make_capsule_fixture.py > tests/engine/parity/capsule_fixture.txt

The format is that of make_fixture.py; images and kernels are as in make_conv_fixture.py. Routing is
written as the paper has it (Sabour et al. 2017, procedure 1) and differentiated by autograd, through
all iterations.
"""

import torch
import torch.nn as nn
import torch.nn.functional as F

ROWS, BATCH, STEPS, SIDE, CLASSES = 24, 8, 10, 7, 3


def write(name, tensor):
    print(name, " ".join(f"{x:.9g}" for x in tensor.detach().flatten().tolist()))


def squash(s):
    squares = (s * s).sum(-1, keepdim=True)
    return s * squares.sqrt() / (1 + squares)


class Primary(nn.Module):
    """A convolution whose channels are capsules of `dimension` numbers at each position."""

    def __init__(self, channels, capsules, dimension, kernel, stride):
        super().__init__()
        self.dimension = dimension
        self.conv = nn.Conv2d(channels, capsules * dimension, kernel, stride)

    def forward(self, x):
        y = self.conv(x).movedim(1, -1)
        return squash(y.reshape(x.shape[0], -1, self.dimension))


class Capsules(nn.Module):
    def __init__(self, inputs, depth, capsules, dimension, iterations):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(inputs, depth, capsules * dimension) * 0.3)
        self.capsules, self.dimension, self.iterations = capsules, dimension, iterations

    def forward(self, u):
        votes = torch.einsum("bik,ikn->bin", u, self.weight)
        votes = votes.reshape(*votes.shape[:2], self.capsules, self.dimension)
        logits = torch.zeros(votes.shape[:3])
        for iteration in range(self.iterations):
            c = logits.softmax(2)
            v = squash((c.unsqueeze(-1) * votes).sum(1))
            logits = logits + (votes * v.unsqueeze(1)).sum(-1)
        return v


class Network(nn.Module):
    def __init__(self, *capsules):
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3)
        self.primary = Primary(4, 2, 4, 3, 2)
        self.capsules = nn.ModuleList(capsules)

    def forward(self, x):
        x = x.reshape(-1, 1, SIDE, SIDE)
        u = self.primary(F.relu(self.conv(x)))
        for layer in self.capsules:
            u = layer(u)
        return (u * u).sum(-1).sqrt()


def margin_loss(lengths, labels):
    present = F.one_hot(labels, CLASSES).float()
    loss = present * F.relu(0.9 - lengths) ** 2 + 0.5 * (1 - present) * F.relu(lengths - 0.1) ** 2
    return loss.sum(1).mean()


def parameters(model):
    """(name of ours, tensor in our layout)"""
    for name, conv in (("conv", model.conv), ("primary", model.primary.conv)):
        yield name + ".weight", conv.weight.movedim((0, 1), (-1, -2))
        yield name + ".bias", conv.bias
    for i, layer in enumerate(model.capsules):
        yield f"capsules{i}.weight", layer.weight


CASES = {
    "one_layer": lambda: Network(Capsules(8, 4, CLASSES, 6, 3)),
    "two_layers": lambda: Network(Capsules(8, 4, 5, 6, 2), Capsules(5, 6, CLASSES, 4, 4)),
}


def record(name, network):
    torch.manual_seed(len(name))
    x = torch.randn(ROWS, SIDE * SIDE)
    labels = torch.randint(0, CLASSES, (ROWS,))
    model = network()
    print("case", name)
    write("features", x)
    write("labels", labels.float())
    for key, tensor in parameters(model):
        write("initial:" + key, tensor)
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    losses = []
    for step in range(STEPS):
        rows = (torch.arange(BATCH) + step * BATCH) % ROWS
        optimizer.zero_grad()
        value = margin_loss(model(x[rows]), labels[rows])
        value.backward()
        optimizer.step()
        losses.append(value.detach())
    write("losses", torch.stack(losses))
    for key, tensor in parameters(model):
        write("final:" + key, tensor)


torch.set_num_threads(1)
for case, network in CASES.items():
    record(case, network)
