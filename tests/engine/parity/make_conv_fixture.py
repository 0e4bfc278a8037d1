#!/usr/bin/python3
"""Records ten training steps of PyTorch's convolutional networks for conv_parity_test.cc.

Needs Debian's python3-torch. The output is committed, so this is run only to widen it:
    tests/engine/parity/make_conv_fixture.py > tests/engine/parity/conv_fixture.txt

The format is that of make_fixture.py. Images are channels last, as ours are; kernels are [height,
width, channels / groups, units], transposed ones [height, width, units / groups, channels].
"""

import torch
import torch.nn as nn
import torch.nn.functional as F

ROWS, BATCH, STEPS, CLASSES = 24, 8, 10, 3


def write(name, tensor):
    print(name, " ".join(f"{x:.9g}" for x in tensor.detach().flatten().tolist()))


class Images(nn.Module):
    """[batch, features] -> [batch, channels, height, width]; the features are channels last."""

    def __init__(self, *shape):
        super().__init__()
        self.shape = shape

    def forward(self, x):
        x = x.reshape(x.shape[0], *self.shape)
        return x.movedim(-1, 1).contiguous()


class Features(nn.Module):
    def forward(self, x):
        return x.movedim(1, -1).flatten(1)


class Mean(nn.Module):
    def forward(self, x):
        return x.flatten(2).mean(2)


class Largest(nn.Module):
    def forward(self, x):
        return x.flatten(2).amax(2)


class Residual(nn.Module):
    def __init__(self, *layers):
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, x):
        return x + self.layers(x)


def small_lenet():
    return nn.Sequential(
        Images(8, 8, 1),
        nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(4, 6, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(6), nn.Tanh(),
        Features(), nn.Linear(24, CLASSES))


def small_resnet():
    return nn.Sequential(
        Images(6, 6, 3),
        nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(),
        Residual(nn.Conv2d(8, 8, 3, padding=2, dilation=2, groups=2), nn.GroupNorm(4, 8)),
        nn.ReLU(), nn.Conv2d(8, 6, (3, 4), stride=2, padding=1, bias=False), nn.BatchNorm2d(6),
        nn.ReLU(), nn.AvgPool2d(3, 2, padding=1, count_include_pad=False), Mean(),
        nn.Linear(6, CLASSES))


def decoder():
    return nn.Sequential(
        Images(3, 3, 4),
        nn.ConvTranspose2d(4, 6, 4, stride=2, padding=1), nn.ReLU(),
        nn.ConvTranspose2d(6, 4, 3, stride=1, dilation=2, groups=2), nn.SiLU(),
        nn.Conv2d(4, 2, 5, stride=3), nn.ReLU(),
        Features(), nn.Linear(8, CLASSES))


def sequence():
    return nn.Sequential(
        Images(12, 3),
        nn.Conv1d(3, 8, 3, padding=1), nn.BatchNorm1d(8), nn.GELU(), nn.MaxPool1d(2),
        nn.Conv1d(8, 8, 3, dilation=2, groups=8, padding=2), nn.ReLU(),
        Largest(), nn.Linear(8, CLASSES))


def parameters(model):
    """(name of ours, tensor in our layout), layers numbered by kind"""
    counts = {}
    for layer in model.modules():
        kind = next((name for base, name in (
            ((nn.Conv1d, nn.Conv2d, nn.ConvTranspose2d), "conv"),
            ((nn.BatchNorm1d, nn.BatchNorm2d), "norm"), (nn.GroupNorm, "group"),
            (nn.Linear, "dense")) if isinstance(layer, base)), None)
        if kind is None:
            continue
        name = f"{kind}{counts.setdefault(kind, 0)}"
        counts[kind] += 1
        if kind == "dense":
            yield name + ".weight", layer.weight.t()
        elif kind == "conv":
            # [units, channels, ...] -> [..., channels, units]; of transposed ones both change
            # places, as they do in ours.
            weight = layer.weight.movedim((0, 1), (-1, -2))
            yield name + ".weight", weight
        else:
            yield name + ".gamma", layer.weight
            yield name + ".beta", layer.bias
        if kind in ("dense", "conv") and layer.bias is not None:
            yield name + ".bias", layer.bias
        if kind == "norm":
            yield name + ".running_mean", layer.running_mean
            yield name + ".running_variance", layer.running_var


def adam(p):
    return torch.optim.Adam(p, 0.01)


def sgd(p):
    return torch.optim.SGD(p, 0.05, 0.9, weight_decay=1e-4)


CASES = {
    "small_lenet": (small_lenet, 64, adam),
    "small_resnet": (small_resnet, 108, sgd),
    "decoder": (decoder, 36, adam),
    "sequence": (sequence, 36, sgd),
}


def record(name, network, features, optimizer):
    torch.manual_seed(len(name))
    x = torch.randn(ROWS, features)
    labels = torch.randint(0, CLASSES, (ROWS,))
    model = network()
    print("case", name)
    write("features", x)
    write("labels", labels.float())
    for key, tensor in parameters(model):
        write("initial:" + key, tensor)
    chosen = optimizer(model.parameters())
    losses = []
    for step in range(STEPS):
        rows = (torch.arange(BATCH) + step * BATCH) % ROWS
        chosen.zero_grad()
        value = F.cross_entropy(model(x[rows]), labels[rows])
        value.backward()
        chosen.step()
        losses.append(value.detach())
    write("losses", torch.stack(losses))
    for key, tensor in parameters(model):
        write("final:" + key, tensor)


torch.set_num_threads(1)
for case, arguments in CASES.items():
    record(case, *arguments)
