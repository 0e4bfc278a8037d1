#!/usr/bin/python3
"""Records losses and their gradients by PyTorch for loss_test.cc.

Needs Debian's python3-torch. The output is committed, so this is run only to widen it:
    tests/engine/backend/make_loss_fixture.py > tests/engine/backend/loss_fixture.txt

Each line: "case NAME rows columns number", then "p", "t" (targets or labels), "w", "c" (class
weights), "loss" and "dp", row-major. Every loss is sum w l / sum |w| of its row losses l.
"""

import torch
import torch.nn.functional as F

torch.manual_seed(7)
torch.set_default_dtype(torch.float64)


def write(name, tensor):
    print(name, " ".join(f"{x:.12g}" for x in tensor.detach().flatten().tolist()))


def hinge(p, t, number):
    return F.relu(1 - (2 * t - 1) * p).mean(1)


def multi_class_hinge(p, t, number):
    others = p.masked_fill(F.one_hot(t, p.shape[1]).bool(), -1e9)
    return F.relu(1 + others.max(1).values - p.gather(1, t[:, None])[:, 0])


def focal(p, t, number):
    """As torchvision.ops.sigmoid_focal_loss without alpha."""
    ce = F.binary_cross_entropy_with_logits(p, t, reduction="none")
    q = torch.sigmoid(p) * t + (1 - torch.sigmoid(p)) * (1 - t)
    return ((1 - q) ** number * ce).mean(1)


def focal_ce(p, t, number):
    ce = F.cross_entropy(p, t, reduction="none")
    return (1 - torch.exp(-ce)) ** number * ce


def kl(p, t, number):
    return F.kl_div(F.log_softmax(p, 1), t, reduction="none").sum(1)


def triplet(p, t, number):
    """Mean over all triplets of an anchor."""
    losses = []
    for a in range(len(t)):
        terms = [F.relu(number + ((p[a] - p[i]) ** 2).sum() - ((p[a] - p[j]) ** 2).sum())
                 for i in range(len(t)) if i != a and t[i] == t[a]
                 for j in range(len(t)) if t[j] != t[a]]
        losses.append(torch.stack(terms).mean())
    return torch.stack(losses)


def info_nce(p, t, number):
    """Each label twice: cross-entropy of the other view among all other rows (Chen et al. 2020)."""
    logits = (p @ p.t() / number).masked_fill(torch.eye(len(t)).bool(), -1e9)
    other = torch.tensor([next(k for k in range(len(t)) if k != i and t[k] == t[i])
                          for i in range(len(t))])
    return F.cross_entropy(logits, other, reduction="none")


def record(name, loss, p, t, w, c, number):
    p.requires_grad_(True)
    weights = w.clone()
    if c is not None:
        weights = weights * c[t.flatten().long()]
    value = (loss(p, t, number) * weights).sum() / weights.abs().sum()
    value.backward()
    print("case", name, p.shape[0], p.shape[1], number)
    write("p", p)
    write("t", t.double())
    write("w", w)
    if c is not None:
        write("c", c)
    write("loss", value)
    write("dp", p.grad)


W = torch.tensor([1.0, 2.0, -0.5, 0.25, 1.5, 1.0])
LABELS = torch.tensor([0, 2, 1, 1, 3, 0])
C4 = torch.tensor([1.0, 2.0, 0.5, 3.0])
C2 = torch.tensor([0.75, 2.0])
unit = F.normalize(torch.randn(6, 3), dim=1)
record("hinge", hinge, torch.randn(6, 1), (LABELS > 0).double()[:, None], W, C2, 0)
record("hinge", hinge, torch.randn(6, 4), F.one_hot(LABELS, 4).double(), W, None, 0)
record("multi_class_hinge", multi_class_hinge, torch.randn(6, 4), LABELS, W, C4, 0)
for gamma in (0.5, 2.0):
    record("focal", focal, 3 * torch.randn(6, 1), (LABELS > 0).double()[:, None], W, C2, gamma)
    record("focal", focal, 3 * torch.randn(6, 4), F.one_hot(LABELS, 4).double(), W, None, gamma)
    record("focal_ce", focal_ce, 3 * torch.randn(6, 4), LABELS, W, C4, gamma)
record("kl", kl, 2 * torch.randn(6, 4), F.softmax(torch.randn(6, 4), 1), W, None, 0)
record("kl", kl, 2 * torch.randn(6, 4), F.one_hot(LABELS, 4).double(), W, None, 0)
PAIRS = torch.tensor([0, 2, 1, 1, 2, 0])
record("triplet", triplet, unit.clone(), PAIRS, W, C4, 0.2)
record("triplet", triplet, torch.randn(6, 3), torch.tensor([0, 0, 1, 0, 1, 1]), W, None, 1.0)
record("info_nce", info_nce, unit.clone(), PAIRS, W, C4, 0.1)
record("info_nce", info_nce, torch.randn(6, 3), PAIRS, W, None, 1.0)
